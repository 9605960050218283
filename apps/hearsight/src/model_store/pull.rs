//! A whole model: what is missing is fetched into a folder of its own and moved into place when all of it is right.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock, statvfs};

use super::digest::{Computed, Digest};
use super::download::Download;
use super::hub::{Hub, Listed};
use super::lock::{Lock, LockedFile, Witness};
use super::manifest::{self, Model, Wanted};
use super::progress::Watch;
use super::{Store, StoreError, bytes};

/// Where what is under way lies, below the folder of models.
const INCOMING: &str = ".incoming";
/// Held while a pull is under way; the system lets go of it when the process ends, however it does.
const GUARD: &str = ".pull.lock";
/// What is left free on the disk, for everybody else.
const SPARE: u64 = 256 << 20;
/// No file of a model for one machine is larger.
const MOST_FILE: u64 = 32 << 30;

/// How a pull came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// Everything was here and matched its lock.
    Already,
    /// So many files came.
    Came(usize),
}

impl Store {
    /// Fetches what of a model is missing or damaged.
    ///
    /// Digests are those of the lock, or else the hub's, which are locked then. An interrupted pull is gone on with by the
    /// next. Files that are here and right are left where they are.
    pub async fn pull(&self, hub: &Hub, name: &str, watch: &mut dyn Watch) -> Result<Pulled, StoreError> {
        let model = manifest::find(&self.models, name)?;
        let _guard = self.guard()?;
        let mut lock = Lock::read(&self.folder)?;
        let locked = lock.find(model).cloned();
        let meant = match &locked {
            Some(locked) => model
                .files
                .iter()
                .filter_map(|file| locked.file(file.saved_as()))
                .map(listed)
                .collect(),
            None => hub.listing(model).await?,
        };
        let plan: Vec<_> = model.files.iter().zip(&meant).collect();
        let incoming = self.folder.join(INCOMING).join(&model.name);
        let mut files = Vec::new();
        let mut missing = Vec::new();
        for &(file, meant) in &plan {
            match self.here(&self.home(model).join(file.saved_as()), meant).await? {
                Some(found) => files.push(entry(file, found)),
                None => missing.push((file, meant)),
            }
        }
        if missing.is_empty() && locked.is_some() {
            return Ok(Pulled::Already);
        }
        self.room(model, hub, &missing, &incoming)?;
        for &(file, meant) in &missing {
            let came = incoming.join(file.saved_as());
            let found = match self.here(&came, meant).await? {
                Some(found) => found,
                None => self.fetch(hub, model, (file, meant), &came, watch).await?,
            };
            files.push(entry(file, found));
        }
        let witness = locked.map_or(Witness::Hub, |locked| locked.witness);
        // First the lock, then the files: a crash in between leaves files that the next pull finds right and moves.
        lock.put(self.entry(model, witness, files));
        lock.write(&self.folder)?;
        if !missing.is_empty() {
            let home = self.home(model);
            let paths: Vec<_> = missing.iter().map(|(file, _)| file.saved_as()).collect();
            install(&incoming, &home, &paths).map_err(|problem| disk(&home, problem))?;
        }
        Ok(Pulled::Came(missing.len()))
    }

    /// What a file is, if it is what is meant.
    async fn here(&self, path: &Path, meant: &Listed) -> Result<Option<Computed>, StoreError> {
        let read = path.to_path_buf();
        let computed = tokio::task::spawn_blocking(move || Computed::of(&read)).await;
        match computed.unwrap_or_else(|problem| Err(io::Error::other(problem))) {
            Ok(found) => Ok(Some(found).filter(|found| found.size == meant.size && found.matches(&meant.digest))),
            Err(problem) if matches!(problem.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(problem) => Err(disk(path, problem)),
        }
    }

    async fn fetch(
        &self,
        hub: &Hub,
        model: &Model,
        (file, meant): (&Wanted, &Listed),
        came: &Path,
        watch: &mut dyn Watch,
    ) -> Result<Computed, StoreError> {
        let part = part(came);
        let download = Download {
            hub,
            model,
            file,
            meant,
            part: part.clone(),
        };
        let found = download.run(watch).await?;
        std::fs::rename(&part, came).map_err(|problem| disk(came, problem))?;
        Ok(found)
    }

    /// One pull at a time.
    pub(super) fn guard(&self) -> Result<File, StoreError> {
        let path = self.folder.join(GUARD);
        let made = std::fs::create_dir_all(&self.folder).and_then(|()| File::create(&path));
        let file = made.map_err(|problem| disk(&path, problem))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::Busy {
                folder: self.folder.clone(),
            }),
            Err(problem) => Err(disk(&path, problem.into())),
        }
    }

    /// Whether what is to come fits, before any of it does.
    fn room(
        &self,
        model: &Model,
        hub: &Hub,
        missing: &[(&Wanted, &Listed)],
        incoming: &Path,
    ) -> Result<(), StoreError> {
        let mut needed = SPARE;
        for (file, meant) in missing {
            if meant.size > MOST_FILE {
                let (name, size) = (file.saved_as(), bytes(meant.size));
                return Err(hub.broken(format!("{name} would have {size}, more than any file of a model")));
            }
            let came = incoming.join(file.saved_as());
            let begun = |path: &Path| std::fs::metadata(path).map_or(0, |about| about.len());
            needed += meant.size.saturating_sub(begun(&came).max(begun(&part(&came))));
        }
        let about = statvfs(&self.folder).map_err(|problem| disk(&self.folder, problem.into()))?;
        let free = about.f_bavail.saturating_mul(about.f_frsize);
        if free >= needed {
            return Ok(());
        }
        Err(StoreError::Full {
            model: model.name.clone(),
            needed: bytes(needed),
            free: bytes(free),
            folder: self.folder.clone(),
        })
    }
}

/// Moves files from one folder into another on the same disk: all at once where the other does not exist yet, else one by
/// one, each as a whole.
fn install(incoming: &Path, home: &Path, paths: &[&str]) -> io::Result<()> {
    let wanted: Vec<_> = paths.iter().map(|path| incoming.join(path)).collect();
    prune(incoming, &wanted)?;
    for folder in folders(incoming, paths) {
        File::open(folder)?.sync_all()?;
    }
    if std::fs::rename(incoming, home).is_err() {
        for path in paths {
            let to = home.join(path);
            if let Some(folder) = to.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::rename(incoming.join(path), to)?;
        }
        for folder in folders(home, paths) {
            File::open(folder)?.sync_all()?;
        }
        std::fs::remove_dir_all(incoming)?;
    }
    if let Some(store) = home.parent() {
        File::open(store)?.sync_all()?;
    }
    Ok(())
}

/// Removes what an earlier pull of another revision left.
fn prune(folder: &Path, wanted: &[PathBuf]) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        if wanted.contains(&path) {
            continue;
        }
        match kind.is_dir() {
            true if wanted.iter().any(|wanted| wanted.starts_with(&path)) => prune(&path, wanted)?,
            true => std::fs::remove_dir_all(&path)?,
            false => std::fs::remove_file(&path)?,
        }
    }
    Ok(())
}

/// The folders that the files lie in, each once.
fn folders(root: &Path, paths: &[&str]) -> Vec<PathBuf> {
    let mut folders: Vec<_> = paths
        .iter()
        .filter_map(|path| Some(root.join(path).parent()?.to_path_buf()))
        .collect();
    folders.sort();
    folders.dedup();
    folders
}

fn listed(file: &LockedFile) -> Listed {
    Listed {
        size: file.size,
        digest: Digest::Sha256(file.sha256.clone()),
    }
}

fn entry(file: &Wanted, found: Computed) -> LockedFile {
    LockedFile {
        path: file.saved_as().to_owned(),
        size: found.size,
        sha256: found.sha256,
    }
}

fn part(came: &Path) -> PathBuf {
    let mut name = came.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn disk(path: &Path, problem: io::Error) -> StoreError {
    StoreError::Disk {
        path: path.to_path_buf(),
        problem,
    }
}
