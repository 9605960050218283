//! Coded sound and pictures in, samples, pixels and motion out; and back again for the sample talk and the tests.
//!
//! Knows H.264 through the system's libavcodec, Opus through libopus, resampling, noise suppression, plain measures of pictures,
//! files and cameras through the system's GStreamer, and files that are rewritten through its libavformat. Must not know any
//! model, shader, socket or clock: every stage is stepped with a moment. Start at [`h264::Decoder`] and [`hearing::Hearing`].

pub mod container;
pub mod denoise;
pub mod encode;
pub mod h264;
pub mod hearing;
mod libav;
pub mod measure;
pub mod opus;
pub mod quality;
pub mod resample;
pub mod scale;
#[cfg(test)]
mod scenes;
pub mod source;
