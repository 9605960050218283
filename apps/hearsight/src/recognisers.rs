//! Who makes words of speech: the recognisers that the settings choose, opened once, and what a session gets of them.
//!
//! Models are held against their digests before they are opened. Those that compute in this process work aside, on threads of their
//! own ([`hearsight_models::asr::Crew`]), so that their runs are no slices of the engines' threads.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use hearsight_core::time::Span;
use hearsight_models::asr::pocketsphinx::{self, Pool};
use hearsight_models::asr::{BadModel, Cascade, Crew, Hints, Recogniser, moonshine, whisper};
use hearsight_models::files::BadFile;
use hearsight_models::runtime::Runtime;
use thiserror::Error;

use crate::config::{self, Place, RecogniserKind as Kind};
use crate::ingest::Refusal;
use crate::model_store::{self, StoreError, Whole};
use crate::wire;

/// Seconds after which a client that found no room may ask again: about what a short talk takes.
const RETRY_AFTER: u32 = 10;

/// Why a recogniser can't be opened. Each says which setting, and what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    /// PocketSphinx's files are missing or damaged.
    #[error(transparent)]
    PocketSphinx(#[from] BadFile),
    /// Its processes don't start.
    #[error("the recogniser does not start: {0}")]
    Process(pocketsphinx::Refused),
    /// A model is not here, or not what came.
    #[error("{setting}: {problem}")]
    Store {
        /// The setting.
        setting: &'static str,
        /// What is wrong.
        problem: StoreError,
    },
    /// A model can't be used.
    #[error("{setting}: {problem}")]
    Model {
        /// The setting.
        setting: &'static str,
        /// What is wrong.
        problem: BadModel,
    },
    /// Its threads don't start.
    #[error("the system refuses the threads of a recogniser: {0}")]
    Threads(#[from] std::io::Error),
}

/// What a session asks for when it begins; whatever it leaves out is as the server has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Who makes its words.
    pub recogniser: Option<Kind>,
    /// The language that is spoken, as whisper names it.
    pub language: Option<&'static str>,
    /// What is likely to be said.
    pub hints: Hints,
}

/// The recognisers of a server.
pub struct Recognisers {
    first: Kind,
    last: Option<Kind>,
    also: Vec<Kind>,
    hints: Hints,
    pool: Option<Pool>,
    moonshine: Option<Aside<moonshine::Model>>,
    whisper: Option<Aside<whisper::Model>>,
}

/// A model and the threads that its runs are on.
struct Aside<M> {
    model: Arc<M>,
    crew: Arc<Crew>,
    /// The longest run.
    slice: Span,
}

/// Where recognisers and their models are found.
#[derive(Clone, Copy)]
pub struct Where<'a> {
    /// Who, and with what.
    pub hearing: &'a config::Hearing,
    /// Of PocketSphinx.
    pub assets: &'a config::Assets,
    /// Of its processes.
    pub recognise: &'a config::Recognise,
    /// Of those that were pulled.
    pub models: &'a config::Models,
}

impl Recognisers {
    /// Opens what the settings choose, and tries it. `worker` makes the command that starts a PocketSphinx process.
    pub fn open(
        found: Where<'_>,
        runtime: &Runtime,
        worker: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Result<Recognisers, OpenError> {
        let settings = found.hearing;
        let (first, moonshine) = match settings.recogniser {
            Some(named) => (named, None),
            None => best(found, runtime)?,
        };
        let last = settings.last.filter(|last| *last != first);
        let needed = |kind: Kind| first == kind || last == Some(kind) || settings.also.contains(&kind);
        let moonshine = match moonshine {
            None if needed(Kind::Moonshine) => Some(open_moonshine(found, runtime)?),
            opened => opened,
        };
        let whisper = needed(Kind::Whisper).then(|| open_whisper(found)).transpose()?;
        let pool = needed(Kind::PocketSphinx)
            .then(|| open_pool(found, worker))
            .transpose()?;
        Ok(Recognisers {
            first,
            last,
            also: settings.also.clone(),
            hints: settings.hints.clone(),
            pool,
            moonshine,
            whisper,
        })
    }

    /// The pool of PocketSphinx's processes, where it is used.
    pub fn pool(&self) -> Option<&Pool> {
        self.pool.as_ref()
    }

    /// How the recogniser of a session is announced to people.
    pub fn announced(&self, wishes: &Wishes) -> wire::Recogniser {
        let (first, last) = self.chosen(wishes);
        let note = |kind| match kind {
            Kind::PocketSphinx => {
                "A small recogniser that needs nothing but this machine. Expect many wrong words; clear, slow English works best."
            }
            Kind::Moonshine => "It hears English as it is spoken, on this machine.",
            Kind::Whisper => "It hears what was said again as it grows, on this machine: words come a little later.",
        };
        let names: Vec<String> = std::iter::once(first).chain(last).map(|kind| self.name(kind)).collect();
        wire::Recogniser {
            name: names.join(", then "),
            note: match last {
                None => note(first).into(),
                Some(_) => "The first is quick, the second makes the final words.".into(),
            },
        }
    }

    fn name(&self, kind: Kind) -> String {
        match kind {
            Kind::PocketSphinx => "PocketSphinx (US English)".into(),
            Kind::Moonshine => named("Moonshine", self.moonshine.as_ref().map(|aside| aside.model.name())),
            Kind::Whisper => named("Whisper", self.whisper.as_ref().map(|aside| aside.model.name())),
        }
    }

    /// Who makes the words of a session, and the final ones where that is another. Whoever asks for one gets that one.
    fn chosen(&self, wishes: &Wishes) -> (Kind, Option<Kind>) {
        match wishes.recogniser {
            Some(asked) if asked != self.first => (asked, None),
            _ => (self.first, self.last),
        }
    }

    /// A recogniser for a new session.
    pub fn take(&self, wishes: &Wishes) -> Result<Box<dyn Recogniser>, Refusal> {
        let offered = |kind: &Kind| *kind == self.first || self.also.contains(kind);
        if let Some(asked) = wishes.recogniser.filter(|asked| !offered(asked)) {
            let offered: Vec<&str> = Kind::ALL.into_iter().filter(offered).map(Kind::name).collect();
            return Err(Refusal::NotFound {
                detail: format!(
                    "this server does not hear with {}: ask for {}",
                    asked.name(),
                    offered.join(" or ")
                ),
            });
        }
        let (first, last) = self.chosen(wishes);
        let quick = self.one(first, wishes)?;
        Ok(match last {
            None => quick,
            Some(last) => Box::new(Cascade::new(quick, self.one(last, wishes)?)),
        })
    }

    fn one(&self, kind: Kind, wishes: &Wishes) -> Result<Box<dyn Recogniser>, Refusal> {
        let hints = || wishes.hints.after(&self.hints);
        Ok(match (kind, &self.pool, &self.moonshine, &self.whisper) {
            (Kind::PocketSphinx, Some(pool), ..) => Box::new(pool.take().map_err(busy)?),
            (Kind::Moonshine, _, Some(aside), _) => {
                let recogniser = aside.model.recogniser_with(&hints());
                Box::new(aside.crew.take(recogniser, aside.slice))
            }
            (Kind::Whisper, .., Some(aside)) => {
                let recogniser = aside.model.recogniser_with(wishes.language, &hints());
                Box::new(aside.crew.take(recogniser, aside.slice))
            }
            // What is chosen was opened.
            _ => return Err(busy(format!("{} is not open", kind.name()))),
        })
    }
}

/// A family and its model, without saying the one twice.
fn named(family: &str, model: Option<&str>) -> String {
    match model {
        None => family.to_owned(),
        Some(model) => match model.to_lowercase().trim_start_matches("ggml-") {
            bare if bare.contains(&family.to_lowercase()) => bare.to_owned(),
            bare => format!("{family} {bare}"),
        },
    }
}

/// Moonshine where its model is here, whole and can be used, else PocketSphinx.
fn best(found: Where<'_>, runtime: &Runtime) -> Result<(Kind, Option<Aside<moonshine::Model>>), OpenError> {
    match open_moonshine(found, runtime) {
        Ok(opened) => Ok((Kind::Moonshine, Some(opened))),
        Err(OpenError::Store {
            problem: StoreError::NotHere { .. },
            ..
        }) => Ok((Kind::PocketSphinx, None)),
        Err(problem @ (OpenError::Store { .. } | OpenError::Model { .. })) => {
            tracing::warn!("words come from PocketSphinx: {problem}");
            Ok((Kind::PocketSphinx, None))
        }
        Err(problem) => Err(problem),
    }
}

fn open_pool(found: Where<'_>, worker: impl Fn() -> Command + Send + Sync + 'static) -> Result<Pool, OpenError> {
    pocketsphinx::verify_model(&found.assets.pocketsphinx)?;
    let limits = pocketsphinx::Config {
        most: found.recognise.workers,
        spare: found.recognise.warm,
        ..Default::default()
    };
    let pool = Pool::new(worker, limits);
    pool.take().map_err(OpenError::Process)?;
    Ok(pool)
}

fn open_moonshine(found: Where<'_>, runtime: &Runtime) -> Result<Aside<moonshine::Model>, OpenError> {
    const SETTING: &str = "hearing.moonshine";
    let settings = found.hearing;
    let folder = match pulled(found, &settings.moonshine, SETTING)? {
        Ok(whole) => whole.folder,
        Err(path) => path,
    };
    let config = moonshine::Config {
        copies: settings.runs.get(),
        threads: settings.threads.get(),
        ..Default::default()
    };
    let slice = config.slice;
    let model = moonshine::Model::open(runtime, &folder, config).map_err(|problem| OpenError::Model {
        setting: SETTING,
        problem,
    })?;
    Aside::new(model, settings.runs.get(), slice)
}

fn open_whisper(found: Where<'_>) -> Result<Aside<whisper::Model>, OpenError> {
    const SETTING: &str = "hearing.whisper";
    let settings = found.hearing;
    let file = match pulled(found, &settings.whisper, SETTING)? {
        // A model of whisper.cpp is one file.
        Ok(whole) => whole.files.into_iter().next().unwrap_or(whole.folder),
        Err(path) => path,
    };
    let config = whisper::Config {
        copies: settings.runs.get(),
        threads: settings.threads.get(),
        language: settings.language.clone(),
        ..Default::default()
    };
    let slice = config.slice;
    let model = whisper::Model::open(&file, config).map_err(|problem| OpenError::Model {
        setting: SETTING,
        problem,
    })?;
    Aside::new(model, settings.runs.get(), slice)
}

/// The files of a pulled model, held against their digests; or the path that the setting names.
fn pulled(found: Where<'_>, place: &Place, setting: &'static str) -> Result<Result<Whole, PathBuf>, OpenError> {
    match place {
        Place::Path(path) => Ok(Err(path.clone())),
        Place::Pulled(name) => {
            let store = model_store::command::open(found.models);
            let whole = store.whole(name);
            whole.map(Ok).map_err(|problem| OpenError::Store { setting, problem })
        }
    }
}

impl<M> Aside<M> {
    fn new(model: M, runs: usize, slice: Span) -> Result<Aside<M>, OpenError> {
        Ok(Aside {
            model: Arc::new(model),
            crew: Arc::new(Crew::start("recognise", runs)?),
            slice,
        })
    }
}

/// Who would be at work.
#[derive(Debug)]
pub struct Checked {
    /// For people.
    pub text: String,
    /// Whether PocketSphinx's processes are needed.
    pub processes: bool,
}

/// Whether what the settings choose can be opened, but for PocketSphinx's processes.
pub fn check(found: Where<'_>, runtime: &Runtime) -> Result<Checked, OpenError> {
    let settings = found.hearing;
    let (first, mut moonshine) = match settings.recogniser {
        Some(named) => (named, None),
        None => best(found, runtime)?,
    };
    let (mut names, mut processes) = (Vec::new(), false);
    for kind in std::iter::once(first)
        .chain(settings.last)
        .chain(settings.also.iter().copied())
    {
        let name = match kind {
            Kind::PocketSphinx => {
                processes = true;
                "PocketSphinx".to_owned()
            }
            Kind::Moonshine => match moonshine.take() {
                Some(opened) => opened.model.name().to_owned(),
                None => open_moonshine(found, runtime)?.model.name().to_owned(),
            },
            Kind::Whisper => open_whisper(found)?.model.name().to_owned(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(Checked {
        text: format!("words come from {}", names.join(", ")),
        processes,
    })
}

/// Nothing that a session needs is broken, for it was tried at the start: there is no room for one more.
pub(crate) fn busy(problem: impl std::fmt::Display) -> Refusal {
    Refusal::Busy {
        retry_after: RETRY_AFTER,
        detail: problem.to_string(),
    }
}

#[cfg(test)]
mod tests;
