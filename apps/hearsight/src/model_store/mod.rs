//! Models that are pulled from a hub: `hearsight models list|pull|verify`.
//!
//! Knows a manifest, a hub's way of answering, and one folder. Must not know what a model is for. Nothing stands under its final
//! name before its digest is right, and what was right once is locked. Start at [`Store`], then `pull`.

pub mod command;
mod digest;
mod download;
pub mod hub;
mod lock;
pub mod manifest;
pub mod progress;
mod pull;
#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use thiserror::Error;

use digest::Computed;
use lock::{Lock, Locked, LockedFile, Witness};
use manifest::Model;
pub use pull::Pulled;

/// Why a model can't be listed, pulled or verified. Each message is one line that says what to do.
#[derive(Debug, Error)]
pub enum StoreError {
    /// No model of the manifest has this name.
    #[error("there is no model {name}; did you mean {nearest}? `hearsight models list` names all")]
    Unknown {
        /// As it was given.
        name: String,
        /// The name most like it.
        nearest: String,
    },
    /// Something on the disk can't be read or written.
    #[error("{}: {problem}; check the folder that models.folder names, its owner and its disk", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        problem: std::io::Error,
    },
    /// It would not fit.
    #[error("{model} needs {needed}, and {} has {free} free; make room, or name another folder with models.folder", folder.display())]
    Full {
        /// The model.
        model: String,
        /// With some room to spare.
        needed: String,
        /// What there is.
        free: String,
        /// The folder of models.
        folder: PathBuf,
    },
    /// Another process pulls into the folder.
    #[error("another pull into {} is under way; wait for it", folder.display())]
    Busy {
        /// The folder of models.
        folder: PathBuf,
    },
    /// The lock is not one.
    #[error("{} can't be used ({problem}); restore it, or remove it to lock anew what the hub says today", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The token is not one. It is not quoted.
    #[error("models.token_file {} can't be used: {problem}; write the token into it, alone", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The hub can't be asked.
    #[error(
        "{hub} can't be reached: {problem}; try again later, name a mirror with models.hub, or copy the files of {model} from \
         another machine and run `hearsight models verify {model}` (docs/models.md)"
    )]
    Unreachable {
        /// Host and port.
        hub: String,
        /// The last failure.
        problem: String,
        /// The model.
        model: String,
    },
    /// The hub wants to know who asks.
    #[error(
        "{hub} does not give {model} to everybody ({status}); put a token into a file and name it with models.token_file"
    )]
    NotAllowed {
        /// Host and port.
        hub: String,
        /// Of its answer.
        status: u16,
        /// The model.
        model: String,
    },
    /// The hub answers something that can't be used.
    #[error("{hub}: {problem}; nothing was installed")]
    Hub {
        /// Host and port.
        hub: String,
        /// What is wrong.
        problem: String,
    },
    /// What came is not what was meant to come.
    #[error("{hub} gives a {file} whose digest is wrong; nothing was installed, try again later or from another hub")]
    Wrong {
        /// Host and port.
        hub: String,
        /// The file.
        file: String,
    },
    /// Nothing of it is here.
    #[error("{model} is not here; `hearsight models pull {model}` brings it")]
    NotHere {
        /// The model.
        model: String,
    },
    /// Nobody vouches for it.
    #[error(
        "{model} was put here by hand; `hearsight models verify {model}` locks it as it is, and then it can be used"
    )]
    NotLocked {
        /// The model.
        model: String,
    },
    /// It did not come in the time that it was given.
    #[error("{model} did not come within {} s; what came is kept, and gone on with the next time", within.as_secs())]
    Slow {
        /// The model.
        model: String,
        /// The time.
        within: std::time::Duration,
    },
    /// Files here are not what was locked.
    #[error("{model}: {files}; `hearsight models pull {model}` fetches what is wrong again")]
    Damaged {
        /// The model.
        model: String,
        /// Each with what is wrong with it.
        files: String,
    },
}

/// What of a model is here, at a glance: sizes are compared, digests are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Missing,
    /// So many files of so many are here and have their size.
    Partial(usize, usize),
    /// All files, and when they last matched their digests (RFC 3339); none where nothing is locked yet.
    Here(Option<String>),
}

/// One folder of models. One process at a time writes it.
pub struct Store {
    folder: PathBuf,
    models: Vec<Model>,
    /// RFC 3339.
    now: String,
}

impl Store {
    /// The folder, which may not exist yet, for the models of a manifest; `now` is written where it is kept when files matched.
    pub fn new(folder: &Path, models: Vec<Model>, now: String) -> Store {
        Store {
            folder: folder.to_path_buf(),
            models,
            now,
        }
    }

    /// Every model, and what of it is here.
    pub fn list(&self) -> Result<Vec<(&Model, State)>, StoreError> {
        let lock = Lock::read(&self.folder)?;
        Ok(self
            .models
            .iter()
            .map(|model| (model, self.state(model, &lock)))
            .collect())
    }

    fn state(&self, model: &Model, lock: &Lock) -> State {
        let locked = lock.find(model);
        let folder = self.home(model);
        let here = |path: &str| {
            let meta = std::fs::metadata(folder.join(path))
                .ok()
                .filter(std::fs::Metadata::is_file)?;
            let size = locked.and_then(|locked| locked.file(path)).map(|file| file.size);
            (meta.len() > 0 && size.is_none_or(|size| size == meta.len())).then_some(())
        };
        let count = model
            .files
            .iter()
            .filter(|file| here(file.saved_as()).is_some())
            .count();
        match count {
            0 => State::Missing,
            all if all == model.files.len() => State::Here(locked.map(|locked| locked.verified.clone())),
            some => State::Partial(some, model.files.len()),
        }
    }

    /// The bytes of a model: locked ones exactly, others as public pages round them; none where these leave one out.
    pub fn size(&self, model: &Model) -> Option<u64> {
        let lock = Lock::read(&self.folder).ok()?;
        let locked = lock
            .find(model)
            .map(|locked| locked.files.iter().map(|file| file.size).sum());
        locked.or_else(|| model.about())
    }

    /// Reads every file of a model and holds it against the lock. A model that was put here by hand, of which nothing is
    /// locked, is locked as it is.
    pub fn verify(&self, name: &str) -> Result<Verified, StoreError> {
        let model = manifest::find(&self.models, name)?;
        let locked = Lock::read(&self.folder)?.find(model).cloned();
        let files = self.compare(model, locked.as_ref())?;
        let told = match &locked {
            Some(locked) if locked.witness == Witness::Hub => Verified::Matches,
            Some(_) => Verified::MatchesHand,
            None => Verified::LockedByHand,
        };
        let witness = locked.map_or(Witness::Hand, |locked| locked.witness);
        match self.remember(self.entry(model, witness, files)) {
            // Whoever may only read the models, or looks while others come, may verify them; when is then not kept.
            Err(StoreError::Busy { .. }) if told != Verified::LockedByHand => {}
            Err(StoreError::Disk { problem, .. })
                if told != Verified::LockedByHand
                    && matches!(
                        problem.kind(),
                        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
                    ) => {}
            done => done?,
        }
        Ok(told)
    }

    /// The files of a model that is here and is what was locked, for whoever is about to open them. Reads them whole, and writes
    /// nothing.
    pub fn whole(&self, name: &str) -> Result<Whole, StoreError> {
        let model = manifest::find(&self.models, name)?;
        let lock = Lock::read(&self.folder)?;
        let told = model.name.clone();
        if self.state(model, &lock) == State::Missing {
            return Err(StoreError::NotHere { model: told });
        }
        let Some(locked) = lock.find(model) else {
            return Err(StoreError::NotLocked { model: told });
        };
        self.compare(model, Some(locked))?;
        let folder = self.home(model);
        let files = model.files.iter().map(|file| folder.join(file.saved_as())).collect();
        Ok(Whole { folder, files })
    }

    /// Reads every file of a model and holds it against the lock, if it has one.
    fn compare(&self, model: &Model, locked: Option<&Locked>) -> Result<Vec<LockedFile>, StoreError> {
        let mut files = Vec::new();
        let mut wrong = Vec::new();
        for file in model.files.iter().map(manifest::Wanted::saved_as) {
            let meant = locked.and_then(|locked| locked.file(file));
            match self.inspect(model, file)? {
                None => wrong.push(format!("{file} is missing")),
                Some(found) if meant.is_some_and(|meant| found.sha256 != meant.sha256) => {
                    wrong.push(format!("{file} is damaged"));
                }
                Some(found) if found.size == 0 => wrong.push(format!("{file} is empty")),
                Some(found) => files.push(LockedFile {
                    path: file.to_owned(),
                    size: found.size,
                    sha256: found.sha256,
                }),
            }
        }
        if !wrong.is_empty() {
            return Err(StoreError::Damaged {
                model: model.name.clone(),
                files: wrong.join(", "),
            });
        }
        Ok(files)
    }

    /// Puts an entry into the lock as it is now, which may have changed while files were read.
    fn remember(&self, entry: Locked) -> Result<(), StoreError> {
        let _guard = self.guard()?;
        let mut lock = Lock::read(&self.folder)?;
        lock.put(entry);
        lock.write(&self.folder)
    }

    /// Names of the models that are here in whole or in part.
    pub fn installed(&self) -> Result<Vec<String>, StoreError> {
        let list = self.list()?;
        let here = list.into_iter().filter(|(_, state)| *state != State::Missing);
        Ok(here.map(|(model, _)| model.name.clone()).collect())
    }

    fn entry(&self, model: &Model, witness: Witness, files: Vec<LockedFile>) -> Locked {
        Locked {
            name: model.name.clone(),
            repository: model.repository.clone(),
            revision: model.revision.clone(),
            witness,
            verified: self.now.clone(),
            files,
        }
    }

    /// Reads a file of a model; none where there is none.
    fn inspect(&self, model: &Model, file: &str) -> Result<Option<Computed>, StoreError> {
        let path = self.home(model).join(file);
        match Computed::of(&path) {
            Ok(found) => Ok(Some(found)),
            Err(problem) if matches!(problem.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(problem) => Err(StoreError::Disk { path, problem }),
        }
    }

    /// Where a model lies.
    fn home(&self, model: &Model) -> PathBuf {
        self.folder.join(&model.name)
    }
}

/// A model that is here and whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Where it lies.
    pub folder: PathBuf,
    /// Its files, in the order of the manifest.
    pub files: Vec<PathBuf>,
}

/// How a model came out that is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It is what the hub gave.
    Matches,
    /// It is what was put here by hand.
    MatchesHand,
    /// It was put here by hand and is locked from now on.
    LockedByHand,
}

/// Bytes as people read them.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
