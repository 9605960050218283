//! What sessions share: the run-time library, the models' files and the pool of recogniser processes, opened once.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use hearsight_codecs::h264;
use hearsight_codecs::hearing;
use hearsight_codecs::measure;
use hearsight_models::asr;
use hearsight_models::asr::pocketsphinx::{self, Pool};
use hearsight_models::files::BadFile;
use hearsight_models::ocr::{self, Chooser, PaddleOcr};
use hearsight_models::runtime::Runtime;
use hearsight_models::vad::{self, Listener, Silero};
use thiserror::Error;

use crate::budget;
use crate::config;
use crate::ingest::Refusal;
use crate::wire;
use crate::wiring::{Hearing, Reading, Rooms};

/// Seconds after which a client that found no room may ask again: about what a short talk takes.
const RETRY_AFTER: u32 = 10;

/// Why the engines can't be opened. One line each, naming the file and the repair.
#[derive(Debug, Error)]
pub enum KitError {
    /// A file is missing or damaged.
    #[error(transparent)]
    File(#[from] BadFile),
    /// The recogniser does not start.
    #[error("the recogniser does not start: {0}")]
    Recogniser(pocketsphinx::Refused),
    /// A session's engines can't be made.
    #[error("{0}")]
    Room(Refusal),
}

/// Libraries, models and worker processes.
pub struct Kit {
    runtime: Runtime,
    silero: PathBuf,
    pool: Pool,
    reader: Option<(config::Reader, Arc<ocr::Model>)>,
}

impl Kit {
    /// Opens everything once, and tries it, so that what is missing is told before anyone calls. `worker` makes the command
    /// that starts a recogniser process.
    pub fn open(
        assets: &config::Assets,
        recognise: &config::Recognise,
        seeing: &config::Seeing,
        worker: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Result<Kit, KitError> {
        let runtime = Runtime::open(&assets.onnxruntime)?;
        pocketsphinx::verify_model(&assets.pocketsphinx)?;
        let limits = pocketsphinx::Config {
            most: recognise.workers,
            spare: recognise.warm,
            ..Default::default()
        };
        let open = |reader: config::Reader| {
            let model = ocr::Model::open(&runtime, &assets.ocr, reader.threads.get())?;
            Ok::<_, BadFile>((reader, Arc::new(model)))
        };
        let reader = seeing.reader.map(open).transpose()?;
        let kit = Kit {
            runtime,
            silero: assets.silero.clone(),
            pool: Pool::new(worker, limits),
            reader,
        };
        Silero::open(&kit.runtime, &kit.silero)?;
        kit.pool.take().map_err(KitError::Recogniser)?;
        Ok(kit)
    }

    /// How the recogniser is announced to people.
    pub fn recogniser(&self) -> wire::Recogniser {
        wire::Recogniser {
            name: "PocketSphinx (US English)".into(),
            note: "A small recogniser that needs nothing but this machine. Expect many wrong words; clear, slow English works best.".into(),
        }
    }

    /// The pool of recogniser processes.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The rooms of a new session.
    pub fn rooms(&self) -> Result<Rooms, Refusal> {
        Ok(Rooms {
            hearing: self.hearing()?,
            opus: Box::new(hearing::Hearing::new().map_err(busy)?),
            decode: Box::new(h264::Decoder::new(h264::Config::default()).map_err(busy)?),
            measure: Box::new(measure::Meter::default()),
            reading: self.reader.as_ref().map(|(reader, model)| Reading {
                choose: Box::new(Chooser::new(reader.per_second)),
                read: Box::new(ocr::Reader::new(
                    PaddleOcr::new(model.clone()),
                    ocr::Config {
                        budget: budget::READING,
                    },
                )),
            }),
            answering: None,
            view: None,
        })
    }

    /// What turns 16 kHz sound into words.
    pub fn hearing(&self) -> Result<Hearing, Refusal> {
        let silero = Silero::open(&self.runtime, &self.silero).map_err(busy)?;
        let listening = vad::Config::default();
        let (pause, ending) = (listening.pause_delay(), listening.end_delay());
        let recogniser = self.pool.take().map_err(busy)?;
        Ok(Hearing {
            vad: Box::new(Listener::new(silero, listening)),
            recognise: Box::new(asr::Hearing::new(recogniser)),
            pause,
            ending,
        })
    }
}

/// Nothing that a session needs is broken, for it was tried at the start: there is no room for one more.
fn busy(problem: impl std::fmt::Display) -> Refusal {
    Refusal::Busy {
        retry_after: RETRY_AFTER,
        detail: problem.to_string(),
    }
}
