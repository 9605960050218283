//! Silero VAD v6 (MIT licence, <https://github.com/snakers4/silero-vad>) on ONNX Runtime.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use hearsight_core::stage::Fault;
use hearsight_core::time::MediaTime;
use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;

use super::{VoiceProbability, WINDOW};
use crate::files::{BadFile, Magic, verify};

/// The model sees this many samples before each window too.
const CONTEXT: usize = 64;
/// Two layers of 128 values that the model carries from window to window.
const STATE: usize = 2 * 128;

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
}

/// One stream's voice detector. A stream has a session of its own, because a run borrows it whole.
pub struct Silero {
    session: Session,
    state: Vec<f32>,
    input: Vec<f32>,
}

impl Silero {
    /// Opens the model file at `path` for one stream.
    pub fn open(runtime: &Runtime, path: &Path) -> Result<Silero, BadFile> {
        verify(path, Magic::Any, 1 << 16)?;
        let session = session(runtime, path).map_err(|why| BadFile::damaged(path, why))?;
        let names: Vec<_> = session.inputs().iter().map(|input| input.name()).collect();
        if names != ["input", "state", "sr"] {
            return Err(BadFile::damaged(
                path,
                format!("inputs are {names:?}, not [\"input\", \"state\", \"sr\"]"),
            ));
        }
        Ok(Silero {
            session,
            state: vec![0.0; STATE],
            input: vec![0.0; CONTEXT + WINDOW],
        })
    }

    fn infer(&mut self) -> Result<f32, ort::Error> {
        let outputs = self.session.run(ort::inputs![
            "input" => TensorRef::from_array_view(([1usize, CONTEXT + WINDOW], self.input.as_slice()))?,
            "state" => TensorRef::from_array_view(([2usize, 1, STATE / 2], self.state.as_slice()))?,
            "sr" => TensorRef::from_array_view(([1usize; 0], [16_000i64].as_slice()))?,
        ])?;
        let (_, probability) = outputs[0].try_extract_tensor::<f32>()?;
        let (_, state) = outputs[1].try_extract_tensor::<f32>()?;
        let probability = probability.first().copied().unwrap_or(0.0);
        if state.len() == STATE && state.iter().all(|value| value.is_finite()) {
            self.state.copy_from_slice(state);
        } else {
            self.state.fill(0.0);
        }
        Ok(if probability.is_finite() {
            probability.clamp(0.0, 1.0)
        } else {
            0.0
        })
    }
}

/// One thread and no spinning: a window takes 0.1 ms, and a waiting pool would burn a core per stream.
fn session(runtime: &Runtime, path: &Path) -> Result<Session, ort::Error> {
    let mut builder = Session::builder(&runtime.environment)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?;
    builder.commit_from_file(path)
}

impl VoiceProbability for Silero {
    fn window(&mut self, _at: MediaTime, samples: &[f32; WINDOW]) -> Result<f32, Fault> {
        self.input.copy_within(WINDOW.., 0);
        self.input[CONTEXT..].copy_from_slice(samples);
        self.infer()
            .map_err(|why| Fault::Reset(format!("voice detector: {why}")))
    }

    fn reset(&mut self) {
        self.state.fill(0.0);
        self.input.fill(0.0);
    }
}
