//! Moonshine, streaming (MIT licence, arXiv 2602.12241): an encoder that hears as sound comes, and looks 320 ms ahead; a decoder
//! that looks at all that is heard and says its words.
//!
//! Sound goes one way through the graphs of the published layout, 16 kHz to 50 features a second: `frontend`, `encoder`,
//! `adapter`, `cross_kv`, `decoder_kv`. Nothing of it is computed twice: the front end carries what its convolutions need, the
//! encoder what its layers look back at (where it has a memory, `encode`), and the decoder's keys and values of what was heard are
//! appended to (`cross`). Words are found again with every portion: the last hypothesis is verified in one pass and gone on
//! from (`decode`), and what the decoder is certain of is not verified again until the last pass. That one is over everything,
//! so that the words of a segment are the same however its sound came.
//!
//! Start at [`Model::open`], then `session.rs`.

mod cross;
mod decode;
mod encode;
mod favour;
mod graphs;
mod session;
mod shape;

pub use session::Moonshine;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearsight_core::time::Span;

use super::Hints;
use super::folder::BadModel;
use super::pieces::Pieces;
use super::words;
use crate::runtime::Runtime;
use favour::Favour;
use graphs::Graphs;
use shape::Shape;

/// What a server may choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Sets of the graphs, each with the weights: as many streams may be at work at the same moment.
    pub copies: usize,
    /// Threads of a run, the caller's among them.
    pub threads: usize,
    /// The longest stretch of speech that the decoder looks at: what its state grows to. Longer segments are heard as stretches
    /// that are cut where it is quiet.
    pub stretch: Span,
    /// Words are looked for again when so much more was heard.
    pub every: Span,
    /// The longest that words are looked for at a time. What was found by then is what there is.
    pub limit: Span,
    /// What [`super::Recogniser::slice`] declares.
    pub slice: Span,
    /// A hypothesis whose tokens are less likely than this, by their geometric mean, is noise.
    pub least: f32,
    /// What the decoder repeats so many times is said once, and ends there; 0 lets it repeat.
    pub rounds: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            copies: 1,
            threads: 1,
            stretch: Span::from_secs(7),
            every: Span::from_millis(160),
            limit: Span::from_millis(150),
            slice: Span::from_millis(200),
            least: 0.2,
            rounds: 4,
        }
    }
}

impl Config {
    /// [`Config::every`] in features.
    fn every(&self) -> usize {
        (self.every.nanos() / words::FEATURE.nanos()).max(1) as usize
    }
}

/// A loaded model, which the streams of a server share.
pub struct Model {
    name: String,
    copies: Vec<Mutex<Graphs>>,
    next: AtomicUsize,
    pieces: Arc<Pieces>,
    shape: Shape,
    config: Config,
    incremental: bool,
}

impl Model {
    /// Loads the model in `folder`: `streaming_config.json`, `tokenizer.bin` and the graphs, as `.ort` or `.onnx`.
    pub fn open(runtime: &Runtime, folder: &Path, config: Config) -> Result<Model, BadModel> {
        let shape = Shape::read(folder)?;
        let pieces = Pieces::read(folder, shape.vocabulary)?;
        let copy = |_| Graphs::open(runtime, folder, &shape, config.threads.max(1)).map(Mutex::new);
        let copies: Vec<Mutex<Graphs>> = (0..config.copies.max(1)).map(copy).collect::<Result<_, _>>()?;
        let named = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let model = Model {
            name: named.unwrap_or_else(|| "Moonshine".to_owned()),
            copies,
            next: AtomicUsize::new(0),
            pieces: Arc::new(pieces),
            shape,
            config,
            incremental: false,
        };
        let incremental = model.graphs().incremental();
        Ok(Model { incremental, ..model })
    }

    /// A recogniser for one stream.
    pub fn recogniser(self: &Arc<Model>) -> Moonshine {
        self.recogniser_with(&Hints::default())
    }

    /// A recogniser for one stream, in which these words are likely.
    pub fn recogniser_with(self: &Arc<Model>, hints: &Hints) -> Moonshine {
        Moonshine::new(self.clone(), Favour::new(&self.pieces, hints))
    }

    /// What people call it: the folder's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its encoder has a memory, and sees every feature once.
    pub fn incremental(&self) -> bool {
        self.incremental
    }

    /// [`Config::stretch`] in features: at least twice what a pause is looked for in, at most what there are places for.
    fn stretch(&self) -> usize {
        let asked = (self.config.stretch.nanos() / words::FEATURE.nanos()).max(0) as usize;
        asked.max(128).min(self.shape.longest)
    }

    /// A set of graphs that is free, or the next in turn once it is: a slice later at most, for each stream that waits for it.
    fn graphs(&self) -> MutexGuard<'_, Graphs> {
        if let Some(free) = self.copies.iter().find_map(|copy| copy.try_lock().ok()) {
            return free;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.copies.len();
        self.copies[turn].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
