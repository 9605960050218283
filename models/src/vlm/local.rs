//! The engine that runs vision-language models of our own machine: the three-file ONNX layout of SmolVLM's exports
//! (`vision_encoder`, `embed_tokens`, `decoder_model_merged`, with `tokenizer.json` and the settings beside them).
//!
//! Weights are shared: one [`Model`] for the process, one [`Local`] for each conversation, which holds its cache of keys and values.
//! Start at [`Model::open`], then `answering.rs`, which is the answer slice by slice.

mod answering;
mod choice;
mod costs;
mod encodings;
mod folder;
mod gaze;
mod glance;
mod graphs;
pub mod processor;
mod question;
mod saying;
mod scaling;
mod words;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearsight_core::time::Span;

pub use answering::{Local, OnChoice};
pub use choice::Sampling;
pub use folder::BadModel;

use self::costs::Costs;
use self::folder::{Calibration, Folder, Shape};
use self::graphs::{Cache, Failed, Graphs};
use self::processor::{Detail, Processor};
use self::words::Words;
use super::allowance::Allowance;
use crate::runtime::Runtime;

/// How a model is run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which export of the graphs: `q4`, `int8`, …; empty for the plain ones. Its keys and values must be 32-bit floats.
    pub variant: String,
    /// Threads for one slice, the caller's among them.
    pub threads: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// What nobody's question may exceed.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            variant: String::new(),
            threads: 1,
            sampling: Sampling::Greedy,
            limits: Limits::default(),
        }
    }
}

/// What nobody's question may exceed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Tokens of one conversation; a longer one begins anew with its newest question.
    pub tokens: usize,
    /// Bytes of one conversation's cache.
    pub bytes: usize,
    /// Bytes of what was made of one conversation's pictures, so that those asked about again are not seen again.
    pub encodings: usize,
    /// Tokens of one answer, whatever the question allows.
    pub answer: u32,
    /// Bytes of one question.
    pub question: usize,
    /// Pictures of one question.
    pub pictures: usize,
    /// Tokens of the question that are read in one slice.
    pub portion: usize,
    /// The longest slice, declared.
    pub slice: Span,
    /// A run of the model is ended after this, even where there is no deadline.
    pub run: Span,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // SmolVLM-256M holds 45 KB for each token: 92 MB.
            tokens: 2048,
            bytes: 128 << 20,
            // Of SmolVLM-256M, six pictures in all detail.
            encodings: 16 << 20,
            answer: 512,
            question: 2000,
            pictures: 8,
            portion: 64,
            slice: Span::from_millis(400),
            run: Span::from_secs(10),
        }
    }
}

/// A loaded model. It holds nobody's conversation.
pub struct Model {
    name: Arc<str>,
    config: Config,
    shape: Shape,
    processor: Processor,
    words: Words,
    calibration: Calibration,
    graphs: Mutex<Graphs>,
    costs: Mutex<Costs>,
}

impl Model {
    /// Opens the model in `folder`: every file is looked at before it is loaded, and the graphs are run once, so that what doesn't
    /// fit together is found here, and the first question waits for nothing.
    pub fn open(runtime: &Runtime, folder: &Path, config: Config) -> Result<Model, BadModel> {
        Model::open_in(runtime, Folder::new(folder, &config.variant), config)
    }

    /// Opens the small model that is part of the program. `config.variant` is of no account: there is one.
    pub fn glance(runtime: &Runtime, config: Config) -> Result<Model, BadModel> {
        Model::open_in(runtime, Folder::carried("glance", glance::FILES), config)
    }

    fn open_in(runtime: &Runtime, place: Folder, config: Config) -> Result<Model, BadModel> {
        let folder = place.file("");
        let shape = folder::shape(&place)?;
        let processor = folder::processor(&place)?;
        let words = Words::open(&place, &shape)?;
        let calibration = folder::calibration(&place)?;
        let side = processor.tile() as usize;
        let mut graphs = Graphs::open(runtime, &place, &shape, side, config.threads.max(1))?;
        try_once(&mut graphs, &shape, side).map_err(|why| BadModel::unfit(&folder, why))?;
        let name = folder
            .file_name()
            .map_or_else(|| "local".into(), |name| name.to_string_lossy());
        Ok(Model {
            name: name.as_ref().into(),
            graphs: Mutex::new(graphs),
            costs: Mutex::default(),
            config,
            shape,
            processor,
            words,
            calibration,
        })
    }

    /// A conversation with one viewer, whose questions are counted against `allowance`.
    pub fn conversation(self: &Arc<Self>, allowance: Option<Arc<Allowance>>) -> Local {
        Local::new(self.clone(), allowance)
    }

    /// The name of its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The most detail that it was made to see.
    pub fn full_detail(&self) -> Detail {
        self.processor.full()
    }

    /// Tokens that a conversation may have.
    pub fn room(&self) -> usize {
        let limits = self.config.limits;
        let by_bytes = limits.bytes / self.shape.bytes_per_token().max(1);
        limits.tokens.min(self.shape.positions).min(by_bytes)
    }

    fn costs(&self) -> MutexGuard<'_, Costs> {
        self.costs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The graphs, unless another conversation has them.
    fn graphs(&self) -> Option<MutexGuard<'_, Graphs>> {
        match self.graphs.try_lock() {
            Ok(graphs) => Some(graphs),
            Err(std::sync::TryLockError::Poisoned(graphs)) => Some(graphs.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }
}

/// One tile, and one token after another.
fn try_once(graphs: &mut Graphs, shape: &Shape, side: usize) -> Result<(), String> {
    // The first run allocates, on a large model for seconds.
    const PATIENCE: Span = Span::from_secs(120);
    let words = |failed| match failed {
        Failed::Late | Failed::Busy => format!("one run takes longer than {PATIENCE}"),
        Failed::Broken(why) => why,
    };
    let features = graphs
        .see(&vec![0.0; 3 * side * side], PATIENCE)
        .map_err(words)?
        .features;
    let mut cache = Cache::default();
    let mut rest = features.as_slice();
    graphs
        .read(&mut cache, &[shape.image_token, shape.image_token], &mut rest, PATIENCE)
        .map_err(words)?;
    graphs.read(&mut cache, &[0], &mut rest, PATIENCE).map_err(words)?;
    Ok(())
}
