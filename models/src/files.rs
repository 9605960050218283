//! Where the models and their run-time library lie, and whether what lies there can be what it should be.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file that a model needs cannot be used. Each message is one line that names the file and the repair.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadFile {
    /// It is not there, or cannot be read.
    #[error("{path} cannot be read ({why}); run `make setup` to install it")]
    Missing {
        /// Which file.
        path: String,
        /// What the system says.
        why: String,
    },
    /// It is there, but is not what it should be.
    #[error("{path} is damaged ({why}); run `make setup` to install it again")]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

impl BadFile {
    /// `path` is there and is wrong.
    pub(crate) fn damaged(path: &Path, why: impl ToString) -> BadFile {
        // One line for people: libraries put line breaks into their messages.
        let why = why.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        BadFile::Damaged {
            path: path.display().to_string(),
            why: why.chars().take(300).collect(),
        }
    }
}

/// The files that set-up installs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The ONNX Runtime shared library.
    pub onnxruntime: PathBuf,
    /// Silero VAD, 16 kHz.
    pub silero: PathBuf,
    /// The folder of the reader's models: `detect.onnx`, `turn.onnx`, `recognise.onnx`.
    pub ocr: PathBuf,
    /// The folder of the PocketSphinx model: `en-us/`, `cmudict-en-us.dict`, `en-us.lm.bin`.
    pub pocketsphinx: PathBuf,
}

impl Files {
    /// The layout below the folder that set-up fills (`HEARSIGHT_DEPS`).
    pub fn under(deps: &Path) -> Files {
        Files {
            onnxruntime: deps.join("onnxruntime/libonnxruntime.so"),
            silero: deps.join("silero/silero_vad_16k_op15.onnx"),
            ocr: deps.join("ocr"),
            pocketsphinx: deps.join("pocketsphinx/model/en-us"),
        }
    }
}

/// What the first bytes of a file must be.
#[derive(Clone, Copy)]
pub(crate) enum Magic {
    /// One of these.
    OneOf(&'static [&'static [u8]]),
    /// Anything, as long as there is something.
    Any,
}

/// Whether `path` is a readable file of at least `least` bytes that begins as it should.
pub(crate) fn verify(path: &Path, magic: Magic, least: u64) -> Result<(), BadFile> {
    let missing = |why: std::io::Error| BadFile::Missing {
        path: path.display().to_string(),
        why: why.to_string(),
    };
    let mut file = File::open(path).map_err(missing)?;
    let size = file.metadata().map_err(missing)?;
    if !size.is_file() {
        return Err(BadFile::damaged(path, "not a file"));
    }
    if size.len() < least {
        return Err(BadFile::damaged(
            path,
            format!("{} bytes, at least {least} expected", size.len()),
        ));
    }
    if let Magic::OneOf(starts) = magic {
        let mut head = [0u8; 32];
        let longest = starts
            .iter()
            .map(|start| start.len())
            .max()
            .unwrap_or(0)
            .min(head.len());
        file.read_exact(&mut head[..longest])
            .map_err(|why| BadFile::damaged(path, why))?;
        if !starts.iter().any(|start| head.starts_with(start)) {
            return Err(BadFile::damaged(path, "it does not begin as a file of its kind"));
        }
    }
    Ok(())
}
