//! One session's recogniser: a worker taken from the pool, and what was learnt about the speaker.

use hearsight_core::stage::Fault;
use hearsight_core::time::{MediaTime, Span};

use super::PORTION_MS;
use super::means::Means;
use super::pool::Pool;
use super::protocol::{LONGEST_SOUND, Reply, Request};
use super::workers::{MOST_UNANSWERED, Worker};
use crate::asr::{Hypothesis, Recogniser};

/// PocketSphinx for one session. A worker that dies or hangs is replaced: the call answers [`Fault::Reset`], the next segment
/// finds another. Cepstral means stay with the session, whichever worker it has.
pub struct PocketSphinx {
    pool: Pool,
    worker: Option<Worker>,
    means: Means,
    /// Portions of sound whose words have not come back yet.
    unanswered: usize,
    /// The worker that was asked last what it took, and what that was.
    taken: Option<(u32, Span)>,
}

impl PocketSphinx {
    pub(super) fn new(pool: Pool, worker: Worker) -> PocketSphinx {
        PocketSphinx {
            pool,
            worker: Some(worker),
            means: Means::default(),
            unanswered: 0,
            taken: None,
        }
    }
    /// The process id of its worker, while it has one.
    pub fn worker_pid(&self) -> Option<u32> {
        self.worker.as_ref().map(Worker::pid)
    }

    fn with<T>(&mut self, ask: impl FnOnce(&mut Worker, &Pool) -> Result<T, String>) -> Result<T, Fault> {
        let Some(worker) = &mut self.worker else {
            return Err(Fault::Reset("the recogniser's worker is gone".to_owned()));
        };
        ask(worker, &self.pool).map_err(|why| self.lose_worker(why))
    }

    /// Asks when nothing else is under way.
    fn ask(&mut self, request: &Request) -> Result<Reply, Fault> {
        while self.unanswered > 0 {
            self.heard(self.pool.reply_limit())?.ok_or_else(|| self.hangs())?;
        }
        self.with(|worker, pool| worker.ask(request, pool.reply_limit()))
    }

    /// The words of the oldest portion without an answer, if they come within `limit`.
    fn heard(&mut self, limit: Span) -> Result<Option<Hypothesis>, Fault> {
        match self.with(|worker, _| worker.answer(limit))? {
            Some(Reply::Heard(hypothesis)) => {
                self.unanswered -= 1;
                Ok(Some(hypothesis))
            }
            Some(_) => Err(self.out_of_step()),
            None => Ok(None),
        }
    }

    fn lose_worker(&mut self, why: String) -> Fault {
        if let Some(worker) = self.worker.take() {
            self.pool.discard(worker);
        }
        self.unanswered = 0;
        tracing::warn!(stage = "recognise", "{why}");
        Fault::Reset(why)
    }

    fn hangs(&mut self) -> Fault {
        self.lose_worker("the recogniser's worker does not answer".to_owned())
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
            if self.unanswered == MOST_UNANSWERED {
                latest = Some(self.heard(self.pool.reply_limit())?.ok_or_else(|| self.hangs())?);
            }
            let sound = portion.iter().map(|sample| (sample * 32768.0).round() as i16).collect();
            self.with(|worker, _| worker.tell(&Request::Sound(sound)))?;
            self.unanswered += 1;
        }
        // On time there is one answer to wait for; behind, whatever has come is taken and nothing more is waited for.
        let mut limit = self.pool.patience();
        while self.unanswered > 0
            && let Some(hypothesis) = self.heard(limit)?
        {
            latest = Some(hypothesis);
            limit = Span::ZERO;
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

    fn aside(&mut self) -> Span {
        let Some(worker) = &self.worker else { return Span::ZERO };
        let (pid, taken) = (worker.pid(), worker.processor_time());
        let before = self.taken.replace((pid, taken));
        // A worker that is new here may have worked for others.
        match before {
            Some((other, before)) if other == pid => taken - before,
            _ => Span::ZERO,
        }
    }

    /// A portion of 128 ms at a third of real time, or the end of a segment.
    fn slice(&self) -> Span {
        Span::from_millis(50)
    }
}

impl Drop for PocketSphinx {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            // An answer still under way would be taken for the next session's.
            if self.unanswered > 0 {
                self.pool.discard(worker);
            } else {
                self.pool.give_back(worker);
            }
        }
    }
}
