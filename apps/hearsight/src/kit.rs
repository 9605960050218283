//! What sessions share: the run-time library, the models' files and the recognisers, opened once.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use hearsight_codecs::h264;
use hearsight_codecs::hearing;
use hearsight_codecs::measure;
use hearsight_models::asr::pocketsphinx::Pool;
use hearsight_models::asr::{self, Recogniser};
use hearsight_models::files::BadFile;
use hearsight_models::ocr::{self, Chooser, PaddleOcr};
use hearsight_models::runtime::Runtime;
use hearsight_models::vad::{self, Listener, Silero};
use thiserror::Error;

use crate::budget;
use crate::config;
use crate::ingest::Refusal;
use crate::recognisers::{self, Recognisers, Where, Wishes, busy};
use crate::wire;
use crate::wiring::{Hearing, Reading, Rooms};

/// Why the engines can't be opened. One line each, naming the file and the repair.
#[derive(Debug, Error)]
pub enum KitError {
    /// A file is missing or damaged.
    #[error(transparent)]
    File(#[from] BadFile),
    /// A recogniser can't be opened.
    #[error(transparent)]
    Recogniser(#[from] recognisers::OpenError),
    /// A session's engines can't be made.
    #[error("{0}")]
    Room(Refusal),
}

/// Libraries, models and worker processes.
pub struct Kit {
    runtime: Runtime,
    silero: PathBuf,
    recognisers: Recognisers,
    reader: Option<(config::Reader, Arc<ocr::Model>)>,
    denoise: bool,
}

impl Kit {
    /// Opens everything once, and tries it, so that what is missing is told before anyone calls. It works on so many engine
    /// `threads`; `worker` makes the command
    /// that starts a recogniser process.
    pub fn open(
        found: Where<'_>,
        seeing: &config::Seeing,
        threads: usize,
        worker: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Result<Kit, KitError> {
        let assets = found.assets;
        let runtime = Runtime::open(&assets.onnxruntime)?;
        let open = |reader: config::Reader| {
            let pictures = reader.pictures.map_or(threads / 4, NonZeroUsize::get);
            let model = ocr::Model::open(&runtime, &assets.ocr, reader.threads.get(), pictures)?;
            Ok::<_, BadFile>((reader, Arc::new(model)))
        };
        let reader = seeing.reader.map(open).transpose()?;
        Silero::open(&runtime, &assets.silero)?;
        Ok(Kit {
            denoise: found.hearing.denoise,
            recognisers: Recognisers::open(found, &runtime, worker)?,
            runtime,
            silero: assets.silero.clone(),
            reader,
        })
    }

    /// How the recogniser of a session with these wishes is announced to people.
    pub fn recogniser(&self, wishes: &Wishes) -> wire::Recogniser {
        self.recognisers.announced(wishes)
    }

    /// The pool of recogniser processes, where one is used.
    pub fn pool(&self) -> Option<&Pool> {
        self.recognisers.pool()
    }

    /// The rooms of a new session.
    pub fn rooms(&self, wishes: &Wishes) -> Result<Rooms, Refusal> {
        Ok(Rooms {
            hearing: self.hearing(wishes)?,
            opus: Box::new(hearing::Hearing::with(self.denoise).map_err(busy)?),
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
    pub fn hearing(&self, wishes: &Wishes) -> Result<Hearing, Refusal> {
        let silero = Silero::open(&self.runtime, &self.silero).map_err(busy)?;
        let listening = vad::Config::default();
        let (pause, ending) = (listening.pause_delay(), listening.rest_delay());
        let recogniser = self.recognisers.take(wishes)?;
        let settling = recogniser.settling();
        Ok(Hearing {
            vad: Box::new(Listener::new(silero, listening)),
            recognise: Box::new(asr::Hearing::new(recogniser)),
            pause,
            ending,
            settling,
        })
    }
}
