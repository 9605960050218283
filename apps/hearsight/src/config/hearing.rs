//! Who makes words of speech.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use hearsight_models::asr::Hints;

/// Who makes words of speech, and with what.
#[derive(Clone, Debug, PartialEq)]
pub struct Hearing {
    /// None: the best that is there.
    pub recogniser: Option<Engine>,
    /// Who makes the final words, where that is another.
    pub last: Option<Engine>,
    /// Others that a session may ask for.
    pub also: Vec<Engine>,
    /// A folder.
    pub moonshine: Place,
    /// A file.
    pub whisper: Place,
    /// As whisper names it, or `auto`.
    pub language: String,
    /// What is likely to be said in any session.
    pub hints: Hints,
    /// Threads of one run.
    pub threads: NonZeroUsize,
    /// Runs of a model at a time.
    pub runs: NonZeroUsize,
    /// Noise is taken out of what is heard.
    pub denoise: bool,
}

/// A recogniser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Embedded, weak, English.
    PocketSphinx,
    /// Streaming, English.
    Moonshine,
    /// Many languages, the whole stretch at once.
    Whisper,
}

impl Engine {
    /// All of them.
    pub const ALL: [Engine; 3] = [Engine::PocketSphinx, Engine::Moonshine, Engine::Whisper];

    /// As settings and addresses name it.
    pub const fn name(self) -> &'static str {
        match self {
            Engine::PocketSphinx => "pocketsphinx",
            Engine::Moonshine => "moonshine",
            Engine::Whisper => "whisper",
        }
    }

    /// The engine of that name.
    pub fn parse(name: &str) -> Option<Engine> {
        Engine::ALL.into_iter().find(|engine| engine.name() == name)
    }
}

/// Where a model lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the folder of models, under this name.
    Pulled(String),
    /// Here.
    Path(PathBuf),
}

impl Place {
    /// What people call it.
    pub fn name(&self) -> String {
        match self {
            Place::Pulled(name) => name.clone(),
            Place::Path(path) => path.display().to_string(),
        }
    }
}
