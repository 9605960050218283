//! What was locked when models first came: `models.lock`, beside them.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::manifest::Model;
use super::{StoreError, digest};

/// The name of the file in the folder of models.
const NAME: &str = "models.lock";
/// Thousands of files.
const MAX_BYTES: u64 = 1 << 20;
const HEADER: &str = "# The digests of the models in this folder, locked when each first came. Later pulls and `hearsight models verify` \
                      must\n# match them. To let a model change, remove its entry and its folder.\n\n";

/// The digests of every model that is or was here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lock {
    #[serde(default, rename = "model")]
    models: Vec<Locked>,
}

/// The digests of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Locked {
    pub(super) name: String,
    pub(super) repository: String,
    pub(super) revision: String,
    /// Whose word the digests are.
    pub(super) witness: Witness,
    /// When its files last matched, RFC 3339.
    pub(super) verified: String,
    #[serde(rename = "file")]
    pub(super) files: Vec<LockedFile>,
}

/// Whose word a digest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Witness {
    /// The hub's.
    Hub,
    /// Nobody's: the files were put here by hand.
    Hand,
}

/// One file as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LockedFile {
    /// Below the model's folder.
    pub(super) path: String,
    /// Bytes.
    pub(super) size: u64,
    /// Of its content, in hexadecimal.
    pub(super) sha256: String,
}

impl Lock {
    /// Reads the lock of a folder; where there is none, nothing is locked.
    pub(super) fn read(folder: &Path) -> Result<Lock, StoreError> {
        let path = folder.join(NAME);
        let damaged = |problem: String| StoreError::Lock {
            path: path.clone(),
            problem,
        };
        let mut text = String::new();
        match File::open(&path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text)) {
            Err(problem) if problem.kind() == ErrorKind::NotFound => return Ok(Lock::default()),
            Err(problem) => return Err(damaged(problem.to_string())),
            Ok(bytes) if bytes as u64 > MAX_BYTES => return Err(damaged("it is longer than 1 MiB".into())),
            Ok(_) => {}
        }
        let lock: Lock = toml::from_str(&text).map_err(|problem| damaged(problem.message().to_owned()))?;
        let files = || lock.models.iter().flat_map(|model| &model.files);
        if let Some(file) = files().find(|file| !digest::is_hex(&file.sha256, digest::SHA256_BYTES)) {
            return Err(damaged(format!("the digest of {} is none", file.path)));
        }
        Ok(lock)
    }

    /// What is locked of a model; an entry for another revision than the manifest's counts as none.
    pub(super) fn find(&self, model: &Model) -> Option<&Locked> {
        let is_it = |locked: &&Locked| {
            locked.name == model.name
                && locked.repository == model.repository
                && locked.revision == model.revision
                && model.files.iter().all(|file| locked.file(file.saved_as()).is_some())
        };
        self.models.iter().find(is_it)
    }

    /// Locks a model, in place of what was locked of it.
    pub(super) fn put(&mut self, locked: Locked) {
        self.models.retain(|other| other.name != locked.name);
        self.models.push(locked);
        self.models.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Writes it as a whole or not at all.
    pub(super) fn write(&self, folder: &Path) -> Result<(), StoreError> {
        let path = folder.join(NAME);
        let unwritable = |problem: std::io::Error| StoreError::Disk {
            path: path.clone(),
            problem,
        };
        let text = toml::to_string(self).expect("a lock can be written: it holds text and sizes");
        let made = folder.join(format!(".{NAME}.new"));
        let write = || {
            let mut file = File::create(&made)?;
            file.write_all(HEADER.as_bytes())?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&made, &path)?;
            File::open(folder)?.sync_all()
        };
        write().map_err(unwritable)
    }
}

impl Locked {
    /// The file at a path below the model's folder.
    pub(super) fn file(&self, path: &str) -> Option<&LockedFile> {
        self.files.iter().find(|file| file.path == path)
    }
}
