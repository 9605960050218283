//! The recognisers that have their files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::Result;
use hearsight::config::{self, Config, Place};
use hearsight::model_store;
use hearsight_core::time::{MediaTime, Span};
use hearsight_models::asr::pocketsphinx::{self, Pool};
use hearsight_models::asr::{Recogniser, moonshine, whisper};
use hearsight_models::files::Files;
use hearsight_models::runtime::Runtime;
use hearsight_models::vad::Silero;
use hearsight_tests::rig::process::held;

use super::{Wanted, sound};

/// What this program calls itself with to be a recogniser's worker.
pub(crate) const WORKER: &str = "recognise-worker";
/// Streams that speak at the same time, when memory is measured.
const STREAMS: usize = 8;

pub(crate) struct Engines {
    pub(crate) files: Files,
    talk: PathBuf,
    runtime: Runtime,
    engines: Vec<Engine>,
    notes: Vec<String>,
}

pub(crate) enum Engine {
    PocketSphinx(Pool),
    Moonshine(Arc<moonshine::Model>),
    Whisper(Arc<whisper::Model>),
}

impl Engines {
    pub(crate) fn open(wanted: &Wanted) -> Result<Engines> {
        let deps = std::env::var_os("HEARSIGHT_DEPS").map_or_else(|| PathBuf::from(".deps"), PathBuf::from);
        let files = Files::under(&deps);
        let runtime = Runtime::open(&files.onnxruntime)?;
        let settings = config::load(["hearsight", "config"])?.config;
        let mut notes = Vec::new();
        let mut engines = vec![Engine::PocketSphinx(pool(&files.pocketsphinx)?)];
        match found(wanted.moonshine.as_deref(), &settings, &settings.hearing.moonshine) {
            Ok(folder) => {
                let model = moonshine::Model::open(&runtime, &folder, moonshine::Config::default())?;
                if model.name().contains("random") {
                    notes.push("moonshine: random weights of the tiny model's sizes, 32 bits; costs alone".into());
                }
                engines.push(Engine::Moonshine(Arc::new(model)));
            }
            Err(why) => notes.push(format!("moonshine: {why}")),
        }
        match found(wanted.whisper.as_deref(), &settings, &settings.hearing.whisper) {
            Ok(file) => {
                let config = whisper::Config {
                    threads: 1,
                    ..whisper::Config::default()
                };
                engines.push(Engine::Whisper(Arc::new(whisper::Model::open(&file, config)?)));
            }
            Err(why) => notes.push(format!("whisper: {why}")),
        }
        Ok(Engines {
            talk: deps.join("talk/talk.wav"),
            files,
            runtime,
            engines,
            notes,
        })
    }

    pub(crate) fn list(&self) -> &[Engine] {
        &self.engines
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    pub(crate) fn silero(&self) -> Result<Silero> {
        Ok(Silero::open(&self.runtime, &self.files.silero)?)
    }

    /// What is said once a minute: at most half of it.
    pub(crate) fn talk(&self) -> Result<Vec<f32>> {
        let mut talk = sound::hushed(&sound::load(&self.talk)?);
        talk.truncate(30 * sound::RATE);
        Ok(talk)
    }
}

/// The model that was named, or the one that was pulled.
fn found(named: Option<&Path>, settings: &Config, place: &Place) -> Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    match place {
        Place::Path(path) => Ok(path.clone()),
        Place::Pulled(name) => {
            let whole = model_store::command::open(&settings.models).whole(name)?;
            Ok(match whole.files.as_slice() {
                [file] => file.clone(),
                _ => whole.folder,
            })
        }
    }
}

fn pool(model: &Path) -> Result<Pool> {
    let (program, model) = (std::env::current_exe()?, model.to_owned());
    let command = move || {
        let mut command = Command::new(&program);
        command.arg(WORKER).arg(&model);
        command
    };
    let config = pocketsphinx::Config {
        most: 2,
        // Work is measured, not waiting: each portion's words are waited for.
        patience: Span::from_secs(3),
        ..pocketsphinx::Config::default()
    };
    Ok(Pool::new(command, config))
}

impl Engine {
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Engine::PocketSphinx(_) => "pocketsphinx",
            Engine::Moonshine(_) => "moonshine",
            Engine::Whisper(_) => "whisper",
        }
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Engine::PocketSphinx(_) => "PocketSphinx".into(),
            Engine::Moonshine(model) if model.incremental() => format!("{}, encoder with memory", model.name()),
            Engine::Moonshine(model) => model.name().into(),
            Engine::Whisper(model) => model.name().into(),
        }
    }

    /// A recogniser, and the process that works for it where there is one.
    pub(crate) fn recogniser(&self) -> Result<(Box<dyn Recogniser>, Option<u32>)> {
        Ok(match self {
            Engine::PocketSphinx(pool) => {
                let taken = pool.take()?;
                let worker = taken.worker_pid();
                (Box::new(taken), worker)
            }
            Engine::Moonshine(model) => (Box::new(model.recogniser()), None),
            Engine::Whisper(model) => (Box::new(model.recogniser()), None),
        })
    }

    /// Megabytes of one stream that speaks, beyond what streams share: what a process takes more when [`STREAMS`] of them do; none where that
    /// can't be had.
    pub(crate) fn memory(&self, talk: &[f32]) -> Result<Option<f64>> {
        if let Engine::PocketSphinx(pool) = self {
            let largest = pool.memory().iter().map(|memory| memory.resident).max();
            // A worker that broke down is not there to be looked at.
            return Ok(largest.map(|bytes| bytes as f64 / 1e6));
        }
        let speaking = |count: usize| -> Result<Vec<Box<dyn Recogniser>>> {
            let mut streams = (0..count)
                .map(|_| self.recogniser().map(|(recogniser, _)| recogniser))
                .collect::<Result<Vec<_>>>()?;
            for stream in &mut streams {
                stream.begin(MediaTime::ZERO)?;
            }
            // Just before the longest stretch would be cut.
            for portion in talk[..talk.len().min(16_000 * 27 / 4)].chunks(16_000 / 4) {
                for stream in &mut streams {
                    stream.hear(portion)?;
                }
            }
            Ok(streams)
        };
        // What the runtime keeps for its runs is shared, and there once one stream has spoken.
        drop(speaking(1)?);
        let before = held(std::process::id())?;
        let streams = speaking(STREAMS)?;
        let after = held(std::process::id())?;
        drop(streams);
        let more = after.resident_kb.saturating_sub(before.resident_kb);
        Ok(Some(more as f64 * 1024.0 / 1e6 / STREAMS as f64))
    }
}
