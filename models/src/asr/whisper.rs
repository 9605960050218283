//! Whisper (MIT licence, arXiv 2212.04356) through whisper.cpp: it hears a window at once and knows many languages.
//!
//! It is no streaming model. The driver has it hear the segment again as that grows, looking at no more of the window than there is
//! sound, and takes words as said that two hypotheses in a row have. A file is read whole and checked before whisper.cpp sees it
//! (`ggml`): a damaged one would end the process.
//!
//! Start at [`Model::open`], then `session.rs`.

mod ggml;
pub mod own;
mod runs;
mod session;

pub use session::Whisper;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearsight_core::time::Span;
use whisper_rs::{WhisperContext, WhisperContextParameters};

use super::Hints;
use super::folder::{BadModel, read};
use super::pieces::Pieces;
use runs::{Expected, Runs, STEP};

/// The largest file: `large-v3` has 3.1 GB.
const MOST_BYTES: u64 = 4 << 30;
/// Speech has no more tokens than this in a second.
const MOST_PER_SECOND: usize = 8;

/// Tokens of hints that it is given, at most: its window of text has room for 224.
const MOST_HINTED: usize = 96;

/// What a server may choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Working memories: as many streams may be at work at the same moment. They share the weights.
    pub copies: usize,
    /// Threads of a run.
    pub threads: usize,
    /// The language that is spoken, as whisper.cpp names it (`en`, `de`, …), or `auto`. A model of English alone hears English.
    pub language: String,
    /// The longest stretch of speech that is heard at once. Longer segments are cut where they are quiet.
    pub stretch: Span,
    /// The segment is heard again when so much was added.
    pub every: Span,
    /// The longest that a run may take. What was found by the one before is what there is then.
    pub limit: Span,
    /// What [`super::Recogniser::slice`] declares.
    pub slice: Span,
    /// A hypothesis whose tokens are less likely than this, by their geometric mean, is noise.
    pub least: f32,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            copies: 1,
            threads: 2,
            language: "en".to_owned(),
            stretch: Span::from_secs(20),
            every: Span::from_millis(800),
            limit: Span::from_millis(800),
            slice: Span::from_secs(1),
            least: 0.3,
        }
    }
}

/// A loaded model, which the streams of a server share.
pub struct Model {
    name: String,
    copies: Vec<Mutex<Runs>>,
    next: AtomicUsize,
    pieces: Pieces,
    context: usize,
    loaded: WhisperContext,
    language: &'static str,
    multilingual: bool,
    config: Config,
}

impl Model {
    /// Loads the model in `file`, once it is sure that whisper.cpp will take it.
    pub fn open(file: &Path, config: Config) -> Result<Model, BadModel> {
        let bytes = read(file, MOST_BYTES)?;
        let header = ggml::check(&bytes).map_err(|why| BadModel::damaged(file, why))?;
        let unfit = |why: String| BadModel::unfit(file, why);
        let language = language(&config.language)
            .ok_or_else(|| unfit(format!("language {:?} is not known to it", config.language)))?;
        let language = if header.multilingual { language } else { "en" };
        // It would write to the standard error; nobody listens now.
        whisper_rs::install_logging_hooks();
        let mut params = WhisperContextParameters::default();
        params.use_gpu(false).flash_attn(false);
        let loaded =
            WhisperContext::new_from_buffer_with_params(&bytes, params).map_err(|why| unfit(why.to_string()))?;
        drop(bytes);
        let copy = |_| Runs::new(&loaded, header.context, language, &config).map(Mutex::new);
        let copies: Vec<Mutex<Runs>> = (0..config.copies.max(1))
            .map(copy)
            .collect::<Result<_, _>>()
            .map_err(unfit)?;
        let named = file.file_stem().map(|name| name.to_string_lossy().into_owned());
        Ok(Model {
            name: named.unwrap_or_else(|| "Whisper".to_owned()),
            copies,
            next: AtomicUsize::new(0),
            pieces: Pieces::spaced(header.pieces),
            context: header.context,
            loaded,
            language,
            multilingual: header.multilingual,
            config,
        })
    }

    /// A recogniser for one stream.
    pub fn recogniser(self: &Arc<Model>) -> Whisper {
        self.recogniser_with(None, &Hints::default())
    }

    /// A recogniser for one stream, in which this language is spoken, where the model knows it, and these words are likely.
    pub fn recogniser_with(self: &Arc<Model>, spoken: Option<&str>, hints: &Hints) -> Whisper {
        let spoken = spoken.and_then(language).filter(|_| self.multilingual);
        let text: Vec<&str> = hints.iter().collect();
        let text = match text.is_empty() {
            true => String::new(),
            false => format!(" {}.", text.join(", ")),
        };
        // Each token has a byte at least.
        let mut before = self.loaded.tokenize(&text, text.len() + 1).unwrap_or_default();
        before.truncate(MOST_HINTED);
        let expected = Expected {
            language: spoken.unwrap_or(self.language),
            before,
        };
        Whisper::new(self.clone(), expected)
    }

    /// Whether it knows more languages than English.
    pub fn multilingual(&self) -> bool {
        self.multilingual
    }

    /// What people call it: the file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// [`Config::stretch`] in samples: whole steps, four seconds at least where the model's window has them, and no more than that.
    fn stretch(&self) -> usize {
        let asked = self.config.stretch.samples(16_000).max(0) as usize / STEP;
        asked.max(200).min(self.context) * STEP
    }

    /// [`Config::every`] in samples.
    fn every(&self) -> usize {
        self.config.every.samples(16_000).max(1) as usize
    }

    /// A working memory that is free, or the next in turn once it is: a slice later at most, for each stream that waits for it.
    fn runs(&self) -> MutexGuard<'_, Runs> {
        if let Some(free) = self.copies.iter().find_map(|copy| copy.try_lock().ok()) {
            return free;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.copies.len();
        self.copies[turn].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A language as whisper.cpp names it, or `auto`; none where it has no such name.
pub fn language(named: &str) -> Option<&'static str> {
    // It would complain of names that it does not know to the standard error.
    whisper_rs::install_logging_hooks();
    // What holds a NUL is no name, and would panic at the border.
    match named {
        "auto" => Some("auto"),
        _ if !named.bytes().all(|c| c.is_ascii_alphabetic()) || named.len() > 16 => None,
        named => whisper_rs::get_lang_id(named).and_then(whisper_rs::get_lang_str),
    }
}
