//! ONNX Runtime, which runs the models of hearing and of reading.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use crate::files::{BadFile, Magic, verify};

/// The ONNX Runtime library, loaded once per process.
#[derive(Clone)]
pub struct Runtime {
    environment: Environment,
}

static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

impl Runtime {
    /// Loads the shared library at `path`. A process has one: later calls answer with the first, whatever their path.
    pub fn open(path: &Path) -> Result<Runtime, BadFile> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            return Ok(runtime.clone());
        }
        verify(path, Magic::OneOf(&[b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe"]), 1 << 20)?;
        let environment = ort::init_from(path)
            .map_err(|why| BadFile::damaged(path, why))?
            .build()
            .map_err(|why| BadFile::damaged(path, why))?;
        let runtime = Runtime { environment };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// Loads the model at `path`, to be run on `threads` threads, the caller's among them.
    pub(crate) fn session(&self, path: &Path, threads: usize) -> Result<Session, BadFile> {
        self.load(path, threads).map_err(|why| BadFile::damaged(path, why))
    }

    /// The model whose file is `bytes`; `path` is what it is called where it can't be loaded.
    pub(crate) fn session_of(&self, bytes: &[u8], path: &Path, threads: usize) -> Result<Session, BadFile> {
        let made = self
            .builder(threads)
            .and_then(|mut builder| builder.commit_from_memory(bytes));
        made.map_err(|why| BadFile::damaged(path, why))
    }

    fn load(&self, path: &Path, threads: usize) -> Result<Session, ort::Error> {
        self.builder(threads)?.commit_from_file(path)
    }

    /// No spinning: a pool that waits so would burn a core per model.
    fn builder(&self, threads: usize) -> Result<SessionBuilder, ort::Error> {
        let builder = Session::builder(&self.environment)?
            .with_intra_threads(threads)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .with_inter_op_spinning(false)?;
        Ok(builder)
    }
}
