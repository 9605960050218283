//! H.264 by libx264 through libavcodec.
//!
//! libx264 is under the GPL. It is never linked by this crate: libavcodec, a shared library of the system, loads it, and
//! without it [`H264Encoder::new`] answers [`EncodeError::Missing`].

use std::sync::Arc;

use ffmpeg_next::format::Pixel;
use ffmpeg_next::{Dictionary, Error, Packet as Coded, Rational, codec, encoder, frame, picture};
use hearsight_core::media::{Codec, Packet, Picture, Plane, Planes};

use super::EncodeError;
use crate::{h264, libav};

/// What to encode to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct H264Config {
    /// Width in luma pixels, even.
    pub width: u32,
    /// Height in luma pixels, even.
    pub height: u32,
    /// Pictures per second, for the rate control alone.
    pub fps: u32,
    /// Bits per second.
    pub bitrate: u32,
    /// At most so many pictures from one key picture to the next.
    pub gop: u32,
    /// What a picture may cost.
    pub preset: Preset,
}

/// How thoroughly x264 looks for what can be left out: at the same rate, time against quality.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// For what is coded once and seen by many.
    #[default]
    Veryfast,
    /// For what is to be coded while somebody waits, on a machine that has other things to do.
    Superfast,
}

impl Preset {
    /// What x264 calls it.
    const fn name(self) -> &'static str {
        match self {
            Preset::Veryfast => "veryfast",
            Preset::Superfast => "superfast",
        }
    }
}

/// Encodes I420 pictures to constrained baseline H.264, one access unit per picture at once, with its parameter sets
/// before every key picture (Annex B).
pub struct H264Encoder {
    encoder: encoder::video::Encoder,
    config: H264Config,
    pictures: i64,
    key_wanted: bool,
}

impl H264Encoder {
    /// Opens the encoder. Errors: no libx264 installed, or a configuration that it refuses.
    pub fn new(config: H264Config) -> Result<H264Encoder, EncodeError> {
        libav::quiet();
        let H264Config {
            width,
            height,
            fps,
            bitrate,
            gop,
            preset,
        } = config;
        if width < 16 || height < 16 || width % 2 != 0 || height % 2 != 0 || fps == 0 {
            let got = format!("{width}×{height} at {fps} pictures a second");
            return Err(EncodeError::Size {
                expected: "even sides of at least 16 and a rate".into(),
                got,
            });
        }
        let codec = encoder::find_by_name("libx264").ok_or(EncodeError::Missing("libx264"))?;
        let mut video = codec::Context::new_with_codec(codec)
            .encoder()
            .video()
            .map_err(refused)?;
        video.set_width(width);
        video.set_height(height);
        video.set_format(Pixel::YUV420P);
        video.set_time_base(Rational::new(1, i32::try_from(fps).unwrap_or(30)));
        video.set_frame_rate(Some(Rational::new(i32::try_from(fps).unwrap_or(30), 1)));
        video.set_gop(gop.max(1));
        video.set_max_b_frames(0);
        video.set_bit_rate(bitrate as usize);
        video.set_max_bit_rate(bitrate as usize);
        let mut options = Dictionary::new();
        for (key, value) in [
            ("preset", preset.name()),
            ("tune", "zerolatency"),
            ("profile", "baseline"),
        ] {
            options.set(key, value);
        }
        options.set("forced-idr", "1");
        // One slice per picture and repeatable output: zerolatency would cut a slice per core.
        options.set("threads", "1");
        // Half a second of buffer: room for a key picture without a burst that a link would not carry.
        options.set("bufsize", &(bitrate / 2).to_string());
        let encoder = video.open_with(options).map_err(refused)?;
        Ok(H264Encoder {
            encoder,
            config,
            pictures: 0,
            key_wanted: false,
        })
    }

    /// Makes the next picture a key picture.
    pub fn request_key(&mut self) {
        self.key_wanted = true;
    }

    /// Changes the rate from the next picture on, in bits per second.
    pub fn set_bitrate(&mut self, bitrate: u32) {
        self.config.bitrate = bitrate;
        self.encoder.set_bit_rate(bitrate as usize);
        self.encoder.set_max_bit_rate(bitrate as usize);
    }

    /// What it was opened with, and the rate as it is now.
    pub fn config(&self) -> H264Config {
        self.config
    }

    /// Encodes one picture of the configured size. Errors: another size, planes too short, or the library's own.
    pub fn encode(&mut self, picture: &Picture<Planes>) -> Result<Packet, EncodeError> {
        let mut input = frame_from_picture(picture, (self.config.width, self.config.height))?;
        input.set_pts(Some(self.pictures));
        self.pictures += 1;
        if std::mem::take(&mut self.key_wanted) {
            input.set_kind(picture::Type::I);
        }
        self.encoder.send_frame(&input).map_err(refused)?;
        let mut unit = Coded::empty();
        self.encoder.receive_packet(&mut unit).map_err(refused)?;
        let payload: Arc<[u8]> = unit.data().unwrap_or_default().into();
        Ok(Packet {
            codec: Codec::H264,
            key: h264::is_key(&payload),
            payload,
            missing: 0,
        })
    }
}

/// A picture of `width` × `height` copied into a frame of the library's. Errors: another size, planes too short.
pub(crate) fn frame_from_picture(
    picture: &Picture<Planes>,
    (width, height): (u32, u32),
) -> Result<frame::Video, EncodeError> {
    if (picture.width, picture.height) != (width, height) {
        let got = format!("{}×{}", picture.width, picture.height);
        return Err(EncodeError::Size {
            expected: format!("{width}×{height}"),
            got,
        });
    }
    let mut input = frame::Video::new(Pixel::YUV420P, width, height);
    let Planes { y, u, v } = &picture.pixels;
    for (index, plane) in [y, u, v].into_iter().enumerate() {
        let halves = if index == 0 { 1 } else { 2 };
        copy_plane(
            plane,
            &mut input,
            index,
            (width / halves) as usize,
            (height / halves) as usize,
        )?;
    }
    Ok(input)
}

fn copy_plane(
    plane: &Plane,
    input: &mut frame::Video,
    index: usize,
    columns: usize,
    rows: usize,
) -> Result<(), EncodeError> {
    let stride = input.stride(index);
    for (y, target) in input.data_mut(index).chunks_mut(stride.max(1)).take(rows).enumerate() {
        let source = plane.row(y, columns).ok_or_else(|| EncodeError::Size {
            expected: format!("{rows} rows of {columns} in plane {index}"),
            got: format!("{y} rows"),
        })?;
        target[..columns].copy_from_slice(source);
    }
    Ok(())
}

fn refused(error: Error) -> EncodeError {
    EncodeError::Refused(error.to_string())
}
