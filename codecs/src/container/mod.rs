//! Files taken apart into coded pictures and whatever else they carry, and put together again.
//!
//! Knows containers (mp4, Matroska, transport streams and more) through the system's libavformat, and nothing of what is
//! done with the pictures in between. Whatever is not the picture (sound, subtitles, chapters, titles, the rotation of a
//! telephone held upright) is a passenger: it is carried over packet by packet, as it is, with its times. That is why these
//! files go through libavformat, while [`crate::source`] goes through GStreamer, whose muxers leave out the packets of
//! sound before the first sample that is heard.
//!
//! Start at [`Reader::open`] and [`Writer::create`].

mod annexb;
mod border;
mod reader;
#[cfg(test)]
mod tests;
mod times;
mod writer;

use std::path::Path;

use thiserror::Error;

pub use reader::{Passenger, Pictures, Reader, Unit};
pub use times::Rate;
pub use writer::{Carried, ENDINGS, Passage, Writer, WriterConfig};

/// Why a file can't be read or written. No message holds more of the file than names of codecs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ContainerError {
    /// There is no such file, or it is a folder, a device or a pipe.
    #[error("there is no such file")]
    NoFile,
    /// Its name is not text.
    #[error("its name is not UTF-8: rename it")]
    Name,
    /// No container, or one that is cut short where its index lies.
    #[error("it is no film that libavformat can read, or it is cut short: {0}")]
    Unreadable(String),
    /// Sound alone, or nothing.
    #[error("there are no pictures in it")]
    NoPictures,
    /// Pictures, but not H.264.
    #[error("its pictures are {0}, and only H.264's decoder tells how they move")]
    OtherCodec(String),
    /// H.264, but of a sort that is not decoded with its vectors.
    #[error("its pictures are {0}, and only progressive 4:2:0 with 8 bits is decoded")]
    OtherKind(String),
    /// The ending of a name says nothing about a container that can be written.
    #[error("its name must end in one of {ENDINGS}, which says what is written")]
    Ending,
    /// The installed libraries have no encoder.
    #[error("the installed libavcodec has no libx264 encoder; install Debian's with `make setup`")]
    NoEncoder,
    /// The library refused.
    #[error("it can't be written: {0}")]
    Unwritable(String),
}

/// A path as libavformat takes it: never as the name of a protocol.
fn address(path: &Path) -> Result<String, ContainerError> {
    let path = path.to_str().ok_or(ContainerError::Name)?;
    Ok(format!("file:{path}"))
}
