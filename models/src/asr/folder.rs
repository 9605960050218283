//! The folder of a recogniser that is pulled: are its files there, are they whole, are they what their names say.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

/// A settings file is a few hundred bytes: a larger one is something else.
const MOST_SETTINGS: u64 = 1 << 16;

/// A recogniser's model can't be used. One line that names the file and the repair.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadModel {
    /// A file is not there, or can't be read.
    #[error("{path} cannot be read ({why}); `hearsight models pull` brings it")]
    Missing {
        /// Which file.
        path: String,
        /// What the system says.
        why: String,
    },
    /// A file is not what it should be.
    #[error(
        "{path} is damaged ({why}); `hearsight models verify` tells which files are, `hearsight models pull` brings them again"
    )]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The files are whole, but this engine can't run them, or they don't belong together.
    #[error(
        "{path} cannot be used ({why}); take one of the models that `hearsight models list` names, all files of one revision"
    )]
    Unfit {
        /// Which file.
        path: String,
        /// What doesn't fit.
        why: String,
    },
}

impl BadModel {
    pub(super) fn damaged(path: &Path, why: impl ToString) -> BadModel {
        let (path, why) = (path.display().to_string(), one_line(&why.to_string()));
        BadModel::Damaged { path, why }
    }
    pub(super) fn unfit(path: &Path, why: impl ToString) -> BadModel {
        let (path, why) = (path.display().to_string(), one_line(&why.to_string()));
        BadModel::Unfit { path, why }
    }
    fn missing(path: &Path, why: &std::io::Error) -> BadModel {
        let (path, why) = (path.display().to_string(), why.to_string());
        BadModel::Missing { path, why }
    }
}

/// Libraries put line breaks into their messages.
fn one_line(why: &str) -> String {
    let line = why.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(300).collect()
}

/// Opens a file of at least one and at most `most` bytes, and says how many it has.
pub(super) fn open(path: &Path, most: u64) -> Result<(File, u64), BadModel> {
    let file = File::open(path).map_err(|why| BadModel::missing(path, &why))?;
    let about = file.metadata().map_err(|why| BadModel::missing(path, &why))?;
    if !about.is_file() {
        return Err(BadModel::damaged(path, "it is not a file"));
    }
    let size = about.len();
    if size == 0 || size > most {
        return Err(BadModel::damaged(path, format!("{size} bytes, 1 to {most} expected")));
    }
    Ok((file, size))
}

/// All of a file of at most `most` bytes.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>, BadModel> {
    let (file, _) = open(path, most)?;
    let mut bytes = Vec::new();
    // A file that grows while it is read does not get in whole.
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(|why| BadModel::missing(path, &why))?;
    Ok(bytes)
}

/// The graph of this name below `folder`, in ONNX Runtime's own format (`.ort`) or as ONNX; none where neither is. Its head is
/// held against its kind.
pub(super) fn graph(folder: &Path, name: &str) -> Result<Option<PathBuf>, BadModel> {
    for (ending, at, magic) in [("ort", 4, b"ORTM".as_slice()), ("onnx", 0, b"\x08".as_slice())] {
        let path = folder.join(format!("{name}.{ending}"));
        if !path.exists() {
            continue;
        }
        let (mut file, _) = open(&path, u64::MAX)?;
        let mut head = [0u8; 8];
        file.read_exact(&mut head)
            .map_err(|why| BadModel::damaged(&path, why))?;
        if !head[at..].starts_with(magic) {
            return Err(BadModel::damaged(&path, "it does not begin as a file of its kind"));
        }
        return Ok(Some(path));
    }
    Ok(None)
}

/// The graph of this name, which the model can't do without.
pub(super) fn needed_graph(folder: &Path, name: &str) -> Result<PathBuf, BadModel> {
    graph(folder, name)?.ok_or_else(|| {
        let path = folder.join(format!("{name}.ort"));
        BadModel::missing(&path, &std::io::ErrorKind::NotFound.into())
    })
}

/// A file of settings: one JSON object of numbers.
pub(super) struct Settings {
    path: PathBuf,
    value: Value,
}

impl Settings {
    pub(super) fn read(path: PathBuf) -> Result<Settings, BadModel> {
        let bytes = read(&path, MOST_SETTINGS)?;
        let value = serde_json::from_slice(&bytes).map_err(|why| BadModel::damaged(&path, why))?;
        Ok(Settings { path, value })
    }
    /// A whole number from 1 to `most`.
    pub(super) fn count(&self, field: &str, most: usize) -> Result<usize, BadModel> {
        self.find(field, 1, most)?
            .ok_or_else(|| BadModel::unfit(&self.path, format!("it lacks {field}")))
    }
    /// A whole number from 0 to `most`, or `otherwise` where the file has none.
    pub(super) fn count_or(&self, field: &str, most: usize, otherwise: usize) -> Result<usize, BadModel> {
        Ok(self.find(field, 0, most)?.unwrap_or(otherwise))
    }
    fn find(&self, field: &str, least: usize, most: usize) -> Result<Option<usize>, BadModel> {
        let Some(found) = self.value.get(field) else {
            return Ok(None);
        };
        let number = found.as_u64().and_then(|number| usize::try_from(number).ok());
        let number = number.filter(|number| (least..=most).contains(number));
        let why = || format!("{field} is {found}, not {least} to {most}");
        number.map(Some).ok_or_else(|| BadModel::unfit(&self.path, why()))
    }
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
