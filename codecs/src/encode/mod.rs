//! Encoders for the sample talk and the tests: what a browser would send, made here.

mod h264;
mod opus;
mod regions;

use thiserror::Error;

pub(crate) use self::h264::frame_from_picture;
pub use self::h264::{H264Config, H264Encoder, Preset};
pub use self::opus::{OpusConfig, OpusEncoder};

/// Why something was not encoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The library for it is not there.
    #[error("no {0} encoder in the installed libraries; install it with `make setup`")]
    Missing(&'static str),
    /// The encoder's library refused.
    #[error("the encoder refused: {0}")]
    Refused(String),
    /// The input does not have the size that the encoder was opened for.
    #[error("expected {expected}, got {got}")]
    Size {
        /// What the encoder was opened for.
        expected: String,
        /// What it was given.
        got: String,
    },
}
