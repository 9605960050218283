//! Silero VAD v6 (MIT licence, <https://github.com/snakers4/silero-vad>) on ONNX Runtime.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearsight_core::stage::Fault;
use hearsight_core::time::MediaTime;
use ort::session::Session;
use ort::value::TensorRef;

use super::{VoiceProbability, WINDOW};
use crate::files::{BadFile, Magic, verify};
use crate::runtime::Runtime;

/// The model sees this many samples before each window too.
const CONTEXT: usize = 64;
/// Two layers of 128 values that the model carries from window to window.
const STATE: usize = 2 * 128;
/// A session takes 4 MB and works for one stream at a time, 0.1 ms per window: a few serve hundreds of streams.
const SESSIONS: usize = 4;

/// Models by the file they were loaded from: sessions of the server share them.
type Models = Vec<(PathBuf, Arc<Model>)>;

static LOADED: Mutex<Models> = Mutex::new(Vec::new());

fn model(runtime: &Runtime, path: &Path) -> Result<Arc<Model>, BadFile> {
    let mut models = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, model)) = models.iter().find(|(known, _)| known == path) {
        return Ok(model.clone());
    }
    let model = Arc::new(Model::open(runtime, path)?);
    models.push((path.to_path_buf(), model.clone()));
    Ok(model)
}

/// The loaded model. It holds no stream's state, so that streams share it.
struct Model {
    sessions: Vec<Mutex<Session>>,
    next: AtomicUsize,
}

impl Model {
    fn open(runtime: &Runtime, path: &Path) -> Result<Model, BadFile> {
        let count = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(SESSIONS);
        let mut sessions = Vec::new();
        for _ in 0..count {
            // A window takes 0.1 ms: a second thread would cost more than it does.
            let session = runtime.session(path, 1)?;
            let names: Vec<_> = session.inputs().iter().map(|input| input.name()).collect();
            if names != ["input", "state", "sr"] {
                let why = format!("inputs are {names:?}, not [\"input\", \"state\", \"sr\"]");
                return Err(BadFile::damaged(path, why));
            }
            sessions.push(Mutex::new(session));
        }
        Ok(Model {
            sessions,
            next: AtomicUsize::new(0),
        })
    }
    /// A session that is free, or the next in turn once it is: a window later at most, per stream that waits for it.
    fn session(&self) -> MutexGuard<'_, Session> {
        if let Some(free) = self.sessions.iter().find_map(|session| session.try_lock().ok()) {
            return free;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.sessions.len();
        self.sessions[turn].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream's voice detector: what the model carries from window to window. The model itself is shared.
pub struct Silero {
    model: Arc<Model>,
    state: Vec<f32>,
    input: Vec<f32>,
}

impl Silero {
    /// A detector for one stream, by the model file at `path`; the first call for a path loads it.
    pub fn open(runtime: &Runtime, path: &Path) -> Result<Silero, BadFile> {
        verify(path, Magic::Any, 1 << 16)?;
        let model = model(runtime, path)?;
        Ok(Silero {
            model,
            state: vec![0.0; STATE],
            input: vec![0.0; CONTEXT + WINDOW],
        })
    }

    fn infer(&mut self) -> Result<f32, ort::Error> {
        let mut session = self.model.session();
        let outputs = session.run(ort::inputs![
            "input" => TensorRef::from_array_view(([1usize, CONTEXT + WINDOW], self.input.as_slice()))?,
            "state" => TensorRef::from_array_view(([2usize, 1, STATE / 2], self.state.as_slice()))?,
            "sr" => TensorRef::from_array_view(([1usize; 0], [16_000i64].as_slice()))?,
        ])?;
        if outputs.len() < 2 {
            return Err(ort::Error::new("the model has fewer than two outputs"));
        }
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
