//! The part of PocketSphinx 5.1.1's C interface that is used here (`pocketsphinx.h`, `pocketsphinx/err.h`, `search.h`).

use std::ffi::{c_char, c_double, c_int, c_long};

/// `ps_config_t`.
#[repr(C)]
pub(super) struct Config {
    opaque: [u8; 0],
}

/// `ps_decoder_t`.
#[repr(C)]
pub(super) struct Decoder {
    opaque: [u8; 0],
}

/// `ps_seg_t`.
#[repr(C)]
pub(super) struct Seg {
    opaque: [u8; 0],
}

/// `logmath_t`.
#[repr(C)]
pub(super) struct LogMath {
    opaque: [u8; 0],
}

/// `ps_endpointer_t`.
#[repr(C)]
pub(super) struct Endpointer {
    opaque: [u8; 0],
}

unsafe extern "C" {
    pub(super) fn ps_endpointer_init(
        window: c_double,
        ratio: c_double,
        mode: c_int,
        sample_rate: c_int,
        frame_length: c_double,
    ) -> *mut Endpointer;
    pub(super) fn ps_endpointer_free(endpointer: *mut Endpointer) -> c_int;
    pub(super) fn ps_endpointer_process(endpointer: *mut Endpointer, frame: *const i16) -> *const i16;
    pub(super) fn ps_endpointer_end_stream(
        endpointer: *mut Endpointer,
        frame: *const i16,
        samples: usize,
        out_samples: *mut usize,
    ) -> *const i16;
    pub(super) fn ps_endpointer_in_speech(endpointer: *mut Endpointer) -> c_int;
    pub(super) fn ps_endpointer_speech_start(endpointer: *mut Endpointer) -> c_double;
    pub(super) fn ps_config_init(definition: *const std::ffi::c_void) -> *mut Config;
    pub(super) fn ps_config_free(config: *mut Config) -> c_int;
    pub(super) fn ps_config_set_str(config: *mut Config, name: *const c_char, value: *const c_char) -> *const u8;
    pub(super) fn ps_config_set_bool(config: *mut Config, name: *const c_char, value: c_int) -> *const u8;
    pub(super) fn ps_config_set_int(config: *mut Config, name: *const c_char, value: c_long) -> *const u8;
    pub(super) fn ps_init(config: *mut Config) -> *mut Decoder;
    pub(super) fn ps_free(decoder: *mut Decoder) -> c_int;
    pub(super) fn ps_get_logmath(decoder: *mut Decoder) -> *mut LogMath;
    pub(super) fn logmath_exp(math: *mut LogMath, value: c_int) -> c_double;
    pub(super) fn ps_start_utt(decoder: *mut Decoder) -> c_int;
    pub(super) fn ps_process_raw(
        decoder: *mut Decoder,
        data: *const i16,
        samples: usize,
        no_search: c_int,
        full_utterance: c_int,
    ) -> c_int;
    pub(super) fn ps_end_utt(decoder: *mut Decoder) -> c_int;
    pub(super) fn ps_get_cmn(decoder: *mut Decoder, update: c_int) -> *const c_char;
    pub(super) fn ps_set_cmn(decoder: *mut Decoder, means: *const c_char) -> c_int;
    pub(super) fn ps_get_hyp(decoder: *mut Decoder, score: *mut i32) -> *const c_char;
    pub(super) fn ps_seg_iter(decoder: *mut Decoder) -> *mut Seg;
    pub(super) fn ps_seg_next(seg: *mut Seg) -> *mut Seg;
    pub(super) fn ps_seg_word(seg: *mut Seg) -> *const c_char;
    pub(super) fn ps_seg_frames(seg: *mut Seg, first: *mut c_int, last: *mut c_int);
    pub(super) fn ps_seg_prob(seg: *mut Seg, acoustic: *mut i32, language: *mut i32, backoff: *mut i32) -> i32;
    pub(super) fn ps_seg_free(seg: *mut Seg);
    pub(super) fn err_set_loglevel_str(level: *const c_char) -> c_int;
}
