//! The end of the line: pictures are compared with the true ones, counted and written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use hearsight_codecs::container::{ContainerError, Writer};
use hearsight_core::media::Flow;
use hearsight_core::stage::{Engine, Fault, Outbox, Signal, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_live::clock::Clock;

use super::between::{Came, Shown};
use super::reference::Truth;
use super::report::{Counts, Meter};
use super::{fit, lock};

/// What the last stage works at; whoever started the film looks here when it is over.
pub(super) struct Desk {
    writer: Option<Writer>,
    size: (u32, u32),
    pub(super) truth: Option<Truth>,
    pub(super) progress: Meter,
    pub(super) counts: Counts,
    /// From the first picture to the end of the last.
    pub(super) lasts: Span,
    first: Option<MediaTime>,
    /// What went wrong first.
    pub(super) failure: Option<String>,
}

impl Desk {
    pub(super) fn new(writer: Writer, size: (u32, u32), truth: Option<Truth>, progress: Meter) -> Desk {
        Desk {
            writer: Some(writer),
            size,
            truth,
            progress,
            counts: Counts::default(),
            lasts: Span::ZERO,
            first: None,
            failure: None,
        }
    }

    pub(super) fn fail(&mut self, why: &str) {
        self.failure.get_or_insert_with(|| why.to_owned());
    }

    /// Closes the file.
    pub(super) fn finish(&mut self) -> Result<(), ContainerError> {
        self.writer.take().map_or(Ok(()), Writer::finish)
    }

    fn take(&mut self, now: Moment, shown: &Stamped<Shown>) -> Result<(), ContainerError> {
        let Shown { picture, lasts, came } = &shown.item;
        let first = *self.first.get_or_insert(shown.at);
        if let (Some(truth), true) = (&mut self.truth, *came != Came::Kept) {
            truth.compare(shown.at - first, picture);
        }
        if let Some(writer) = &mut self.writer {
            writer.picture(&fit::to(picture, self.size), shown.at, *lasts)?;
        }
        self.counts.count(*came);
        self.lasts = shown.at + *lasts - first;
        self.progress.look(now, shown.at, &self.counts);
        Ok(())
    }
}

/// The last stage.
pub(super) struct Write {
    pub(super) desk: Arc<Mutex<Desk>>,
    pub(super) clock: Clock,
    pub(super) stop: Arc<AtomicBool>,
}

/// Nothing comes out of it but a file.
#[derive(Clone, Debug)]
pub(super) enum Nothing {}

impl Flow for Nothing {}

impl Engine for Write {
    type In = Shown;
    type Out = Nothing;

    fn run(&mut self, _: Moment, signal: Signal<Shown>, _: &mut Outbox<Nothing>) -> Result<Wake, Fault> {
        let Signal::Item(shown) = signal else {
            return Ok(Wake::OnSignal);
        };
        let mut desk = lock(&self.desk);
        if let Err(error) = desk.take(self.clock.now(), &shown) {
            let error = error.to_string();
            desk.fail(&error);
            self.stop.store(true, Ordering::Relaxed);
            return Err(Fault::Dead(error));
        }
        Ok(Wake::OnSignal)
    }

    /// Offline nothing is late: what a slow CPU takes to encode one large picture.
    fn slice(&self) -> Span {
        Span::from_secs(10)
    }
}
