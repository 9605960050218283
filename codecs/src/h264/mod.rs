//! H.264 in, pictures and their motion vectors out.

mod continuity;
mod decoder;
mod motion;
mod nal;
mod references;
#[cfg(test)]
mod tests;

pub use continuity::Continuity;
pub use decoder::{Config, Decoder, OpenError};
pub use nal::{is_key, is_predicted};
