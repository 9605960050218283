//! H.264 by libx264 through libavcodec.
//!
//! libx264 is under the GPL. It is never linked by this crate: libavcodec, a shared library of the system, loads it, and
//! without it [`H264Encoder::new`] answers [`EncodeError::Missing`].

use std::sync::Arc;

use ffmpeg_next::codec::packet::side_data::Type as Side;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::{Dictionary, Error, Packet as Coded, Rational, codec, encoder, frame, picture};
use hearsight_core::allocate::Map;
use hearsight_core::media::{Codec, Packet, Picture, Plane, Planes};

use super::{EncodeError, regions};
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
    /// For machines that have time for nothing else.
    Ultrafast,
}

impl Preset {
    /// What x264 calls it.
    const fn name(self) -> &'static str {
        match self {
            Preset::Veryfast => "veryfast",
            Preset::Superfast => "superfast",
            Preset::Ultrafast => "ultrafast",
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
    map: Option<Map>,
    pace: f32,
    quantiser: Option<f32>,
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
        // `ultrafast` turns it off, and x264 then ignores every region without a word.
        options.set("aq-mode", "1");
        options.set("bufsize", &buffer(bitrate).to_string());
        let encoder = video.open_with(options).map_err(refused)?;
        Ok(H264Encoder {
            encoder,
            config,
            pictures: 0,
            key_wanted: false,
            map: None,
            pace: fps as f32,
            quantiser: None,
        })
    }

    /// Makes the next picture a key picture.
    pub fn request_key(&mut self) {
        self.key_wanted = true;
    }

    /// Codes coarsely from the next picture on what the map says is worth little, so that its bits go where they matter. None:
    /// all alike.
    pub fn set_map(&mut self, map: Option<Map>) {
        self.map = map;
    }

    /// Changes the rate from the next picture on, in bits per second, without a key picture.
    pub fn set_bitrate(&mut self, bitrate: u32) {
        self.set_rate(bitrate, self.pace);
    }

    /// The same, where from now on so many pictures come in a second, at most as many as it was opened for.
    pub fn set_rate(&mut self, bitrate: u32, pace: f32) {
        (self.config.bitrate, self.pace) = (bitrate, pace);
        // x264 counts pictures, not time: where fewer come, each has more bits.
        let times = (self.config.fps as f32 / pace.max(0.5)).max(1.0);
        let counted = (bitrate as f32 * times) as usize;
        // A buffer of the old rate would let a lower one burst for seconds.
        regions::set_buffer(&mut self.encoder, buffer(bitrate));
        self.encoder.set_bit_rate(counted);
        self.encoder.set_max_bit_rate(counted);
    }

    /// Pictures that come in a second.
    pub fn pace(&self) -> f32 {
        self.pace
    }

    /// The mean quantiser of the newest picture, 0 (nothing lost) to 51; none before the first.
    pub fn quantiser(&self) -> Option<f32> {
        self.quantiser
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
        if let Some(map) = &self.map {
            regions::attach(&mut input, map, (self.config.width, self.config.height));
        }
        self.encoder.send_frame(&input).map_err(refused)?;
        let mut unit = Coded::empty();
        self.encoder.receive_packet(&mut unit).map_err(refused)?;
        self.quantiser = quantiser(&unit);
        let payload: Arc<[u8]> = unit.data().unwrap_or_default().into();
        Ok(Packet {
            codec: Codec::H264,
            key: h264::is_key(&payload),
            payload,
            missing: 0,
        })
    }
}

/// What the coder says of its steps: libav has it as a Lagrangian factor, in the first four bytes.
fn quantiser(unit: &Coded) -> Option<f32> {
    const LAMBDA_PER_STEP: f32 = 118.0;
    let side = unit.side_data().find(|side| side.kind() == Side::QualityStats)?;
    let lambda: [u8; 4] = side.data().get(..4)?.try_into().ok()?;
    Some(u32::from_le_bytes(lambda) as f32 / LAMBDA_PER_STEP)
}

/// Half a second: room for a key picture without a burst that a link would not carry.
const fn buffer(bitrate: u32) -> u32 {
    bitrate / 2
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

#[cfg(test)]
mod tests {
    use hearsight_core::allocate::Regions;
    use hearsight_core::media::{Point, Region};
    use hearsight_core::stage::{Engine, Outbox, Signal};
    use hearsight_core::stamped::Stamped;
    use hearsight_core::time::{MediaTime, Moment};

    use super::*;
    use crate::h264::{Config, Decoder};
    use crate::scenes::picture;

    const SIZE: (u32, u32) = (640, 368);
    /// Left, top, right and bottom of what matters, in pixels.
    const PLACE: [usize; 4] = [64, 80, 256, 160];

    /// Noise that moves: as hard to code as anything.
    fn scene(number: i32) -> Picture<Planes> {
        picture(SIZE.0, SIZE.1, |x, y| {
            let mixed = ((x + number * 3) / 2).wrapping_mul(7_349) ^ (y / 2).wrapping_mul(9_151);
            let mixed = (mixed ^ (mixed >> 7)).wrapping_mul(2_741);
            (mixed >> 5) as u8
        })
    }

    fn map() -> Map {
        let [left, top, right, bottom] = PLACE.map(|pixels| pixels as f32);
        let point = |x: f32, y: f32| Point {
            x: x / SIZE.0 as f32,
            y: y / SIZE.1 as f32,
        };
        let corners = [
            point(left, top),
            point(right, top),
            point(right, bottom),
            point(left, bottom),
        ];
        let mut regions = Regions::default();
        regions.replace(MediaTime::ZERO, [Region { corners }]);
        regions.map(MediaTime::ZERO).expect("a place")
    }

    fn encoder(preset: Preset, bitrate: u32) -> H264Encoder {
        H264Encoder::new(H264Config {
            width: SIZE.0,
            height: SIZE.1,
            fps: 30,
            bitrate,
            gop: 300,
            preset,
        })
        .expect("libx264")
    }

    /// PSNR of the luma within the place, over the last ten pictures of forty, and all bits.
    fn coded(preset: Preset, map: Option<Map>) -> (f64, usize) {
        let mut encoder = encoder(preset, 400_000);
        encoder.set_map(map);
        let mut decoder = Decoder::new(Config::default()).expect("a decoder");
        let (mut squares, mut count, mut bits) = (0.0, 0.0, 0);
        for number in 0..40 {
            let source = scene(number);
            let packet = encoder.encode(&source).expect("coded");
            bits += packet.payload.len() * 8;
            let mut out = Outbox::default();
            let at = MediaTime::from_millis(i64::from(number) * 33);
            let unit = Stamped::new(at, Moment::ZERO, packet);
            decoder
                .run(Moment::ZERO, Signal::Item(unit), &mut out)
                .expect("decoded");
            for signal in out.drain() {
                let Signal::Item(decoded) = signal else { continue };
                if number < 30 {
                    continue;
                }
                let [left, top, right, bottom] = PLACE;
                for y in top..bottom {
                    let wanted = &source.pixels.y.row(y, 640).expect("a row")[left..right];
                    let got = &decoded.item.picture.pixels.y.row(y, 640).expect("a row")[left..right];
                    squares += wanted
                        .iter()
                        .zip(got)
                        .map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2))
                        .sum::<f64>();
                    count += (right - left) as f64;
                }
            }
        }
        assert!(count > 0.0, "something was decoded");
        (10.0 * (255.0_f64.powi(2) * count / squares).log10(), bits)
    }

    #[test]
    fn bits_go_where_the_map_says_with_every_preset_and_no_more_of_them() {
        for preset in [Preset::Veryfast, Preset::Superfast, Preset::Ultrafast] {
            let (alike, bits) = coded(preset, None);
            let (framed, spent) = coded(preset, Some(map()));
            assert!(
                framed > alike + 2.0,
                "{preset:?}: {framed} dB where all alike is {alike}"
            );
            assert!(spent as f64 <= bits as f64 * 1.1, "{preset:?}: {spent} bits for {bits}");
        }
    }

    #[test]
    fn the_quantiser_says_how_coarse_the_coder_has_to_be() {
        let mean = |bitrate: u32| {
            let mut encoder = encoder(Preset::Veryfast, bitrate);
            assert_eq!(encoder.quantiser(), None, "nothing was coded");
            let quantisers: Vec<f32> = (0..30)
                .map(|number| {
                    encoder.encode(&scene(number)).expect("coded");
                    encoder.quantiser().expect("told with every picture")
                })
                .collect();
            quantisers[10..].iter().sum::<f32>() / 20.0
        };
        let (fine, coarse) = (mean(3_000_000), mean(400_000));
        assert!(fine >= 0.0 && fine + 6.0 < coarse && coarse <= 51.0, "{fine}, {coarse}");
    }

    #[test]
    fn the_rate_changes_within_a_second_and_without_a_key_picture() {
        let mut encoder = encoder(Preset::Veryfast, 2_000_000);
        let spent = |encoder: &mut H264Encoder, from: i32| {
            let packets: Vec<Packet> = (from..from + 60)
                .map(|number| encoder.encode(&scene(number)).expect("coded"))
                .collect();
            let bits: usize = packets[30..].iter().map(|packet| packet.payload.len() * 8).sum();
            (bits, packets.iter().filter(|packet| packet.key).count())
        };
        let (wide, keys) = spent(&mut encoder, 0);
        assert!(
            (900_000..2_700_000).contains(&wide) && keys == 1,
            "{wide} bits, {keys} keys"
        );
        encoder.set_bitrate(500_000);
        let (thin, keys) = spent(&mut encoder, 60);
        assert!(thin < wide / 2 && keys == 0, "{thin} bits after {wide}, {keys} keys");
        encoder.set_bitrate(2_000_000);
        let (again, keys) = spent(&mut encoder, 120);
        assert!(again > wide / 2 && keys == 0, "{again} bits after {thin}, {keys} keys");
    }
}
