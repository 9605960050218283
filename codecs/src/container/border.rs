//! What `ffmpeg-next` has no words for: fields of streams and their side data.
#![allow(unsafe_code)]

use std::ptr;

use ffmpeg_next::codec::Parameters;
use ffmpeg_next::format::{Pixel, context};
use ffmpeg_next::{Stream, encoder, ffi};

/// What a stream of pictures says of itself.
pub(super) struct Told {
    pub(super) width: u32,
    pub(super) height: u32,
    /// None where it is not known before decoding.
    pub(super) format: Option<Pixel>,
    pub(super) interlaced: bool,
    /// What a decoder must know before the first packet.
    pub(super) header: Vec<u8>,
}

pub(super) fn told(parameters: &Parameters) -> Told {
    // SAFETY: parameters of a stream are valid for reads while its `Parameters` keeps the context alive; `extradata` has
    // `extradata_size` bytes where it is not null.
    unsafe {
        let raw = &*parameters.as_ptr();
        let size = usize::try_from(raw.extradata_size).unwrap_or(0);
        let header = match raw.extradata.is_null() {
            true => Vec::new(),
            false => std::slice::from_raw_parts(raw.extradata, size).to_vec(),
        };
        let format = (raw.format == ffi::AVPixelFormat::AV_PIX_FMT_YUV420P as i32)
            .then_some(Pixel::YUV420P)
            .or((raw.format == ffi::AVPixelFormat::AV_PIX_FMT_YUVJ420P as i32).then_some(Pixel::YUVJ420P))
            .or((raw.format >= 0).then_some(Pixel::None));
        use ffi::AVFieldOrder::{AV_FIELD_PROGRESSIVE, AV_FIELD_UNKNOWN};
        Told {
            width: u32::try_from(raw.width).unwrap_or(0),
            height: u32::try_from(raw.height).unwrap_or(0),
            format,
            interlaced: raw.field_order != AV_FIELD_UNKNOWN && raw.field_order != AV_FIELD_PROGRESSIVE,
            header,
        }
    }
}

/// Where a file's own clock starts, in microseconds.
pub(super) fn start(input: &context::Input) -> i64 {
    // SAFETY: the context is valid while `input` is.
    let start = unsafe { (*input.as_ptr()).start_time };
    if start == ffi::AV_NOPTS_VALUE { 0 } else { start }
}

/// Whether a container knows nothing of times, so that what it says of them is made up.
pub(super) fn is_timeless(input: &context::Input) -> bool {
    // SAFETY: an open input has a format, which is static.
    unsafe { (*(*input.as_ptr()).iformat).flags & ffi::AVFMT_NOTIMESTAMPS != 0 }
}

/// Whether a container can hold what `parameters` describe; one that does not say is believed to.
pub(super) fn holds(output: &context::Output, parameters: &Parameters) -> bool {
    // SAFETY: an open output has a format, which is static; the codec's id is a plain number.
    let answer = unsafe {
        let format = (*output.as_ptr()).oformat;
        ffi::avformat_query_codec(format, (*parameters.as_ptr()).codec_id, ffi::FF_COMPLIANCE_NORMAL)
    };
    answer != 0
}

/// The same parameters, without the name that the codec had in its old container.
pub(super) fn untagged(parameters: &Parameters) -> Parameters {
    let mut copy = parameters.clone();
    // SAFETY: `copy` owns its parameters.
    unsafe { (*copy.as_mut_ptr()).codec_tag = 0 };
    copy
}

/// Colours, and the shape of pixels, from a stream to an encoder.
pub(super) fn copy_look(parameters: &Parameters, encoder: &mut encoder::video::Video) {
    // SAFETY: both are valid while their owners are; the fields are plain numbers.
    unsafe {
        let from = &*parameters.as_ptr();
        let to = &mut *encoder.as_mut_ptr();
        to.color_range = from.color_range;
        to.color_primaries = from.color_primaries;
        to.color_trc = from.color_trc;
        to.colorspace = from.color_space;
        to.chroma_sample_location = from.chroma_location;
        to.sample_aspect_ratio = from.sample_aspect_ratio;
    }
}

/// How players are to turn the pictures, from stream to stream.
pub(super) fn copy_rotation(from: &Stream<'_>, output: &mut context::Output, to: usize) {
    use ffmpeg_next::codec::packet::side_data::Type;
    let Some(rotation) = from.side_data().find(|data| data.kind() == Type::DisplayMatrix) else {
        return;
    };
    let bytes = rotation.data();
    let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX;
    if to >= output.nb_streams() as usize {
        return;
    }
    // SAFETY: stream `to` exists. The library gives `bytes.len()` bytes of its own, or null.
    unsafe {
        let stream = *(*output.as_mut_ptr()).streams.add(to);
        let room = ffi::av_stream_new_side_data(stream, kind, bytes.len());
        if !room.is_null() {
            ptr::copy_nonoverlapping(bytes.as_ptr(), room, bytes.len());
        }
    }
}
