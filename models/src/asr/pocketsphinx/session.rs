//! One session's recogniser: a worker taken from the pool, and what was learnt about the speaker.

use hearsight_core::stage::Fault;
use hearsight_core::time::{MediaTime, Span};

use super::PORTION_MS;
use super::means::Means;
use super::pool::Pool;
use super::protocol::{LONGEST_SOUND, Reply, Request};
use super::workers::Worker;
use crate::asr::{Hypothesis, Recogniser};

/// PocketSphinx for one session. A worker that dies or hangs is replaced: the call answers [`Fault::Reset`], the next segment
/// finds another. Cepstral means stay with the session, whichever worker it has.
pub struct PocketSphinx {
    pool: Pool,
    worker: Option<Worker>,
    means: Means,
}

impl PocketSphinx {
    pub(super) fn new(pool: Pool, worker: Worker) -> PocketSphinx {
        PocketSphinx {
            pool,
            worker: Some(worker),
            means: Means::default(),
        }
    }
    /// The process id of its worker, while it has one.
    pub fn worker_pid(&self) -> Option<u32> {
        self.worker.as_ref().map(Worker::pid)
    }

    fn ask(&mut self, request: &Request) -> Result<Reply, Fault> {
        let Some(worker) = &mut self.worker else {
            return Err(Fault::Reset("the recogniser's worker is gone".to_owned()));
        };
        worker
            .ask(request, self.pool.reply_limit())
            .map_err(|why| self.lose_worker(why))
    }

    fn lose_worker(&mut self, why: String) -> Fault {
        if let Some(worker) = self.worker.take() {
            self.pool.discard(worker);
        }
        tracing::warn!(stage = "recognise", "{why}");
        Fault::Reset(why)
    }

    fn out_of_step(&mut self) -> Fault {
        self.lose_worker("the recogniser's worker gave an answer to another question".to_owned())
    }
}

impl Recogniser for PocketSphinx {
    fn name(&self) -> &str {
        "PocketSphinx 5.1"
    }

    fn begin(&mut self, _at: MediaTime) -> Result<(), Fault> {
        if self.worker.is_none() {
            self.worker = Some(self.pool.grab_warm().map_err(|why| Fault::Reset(why.to_string()))?);
        }
        match self.ask(&Request::Begin(self.means.clone()))? {
            Reply::Begun => Ok(()),
            _ => Err(self.out_of_step()),
        }
    }

    fn hear(&mut self, samples: &[f32]) -> Result<Option<Hypothesis>, Fault> {
        let mut latest = None;
        for portion in samples.chunks(LONGEST_SOUND) {
            let sound = portion.iter().map(|sample| (sample * 32768.0).round() as i16).collect();
            match self.ask(&Request::Sound(sound))? {
                Reply::Heard(hypothesis) => latest = Some(hypothesis),
                _ => return Err(self.out_of_step()),
            }
        }
        Ok(latest)
    }

    fn finish(&mut self) -> Result<Hypothesis, Fault> {
        match self.ask(&Request::Finish)? {
            Reply::Final(hypothesis, means) => {
                self.means = means;
                Ok(hypothesis)
            }
            _ => Err(self.out_of_step()),
        }
    }

    /// The next `Begin` makes the worker forget, so nothing needs to be said now.
    fn reset(&mut self) {}

    fn portion(&self) -> Span {
        Span::from_millis(PORTION_MS)
    }

    /// A portion of 128 ms at a third of real time, or the end of a segment.
    fn slice(&self) -> Span {
        Span::from_millis(50)
    }
}

impl Drop for PocketSphinx {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            self.pool.give_back(worker);
        }
    }
}
