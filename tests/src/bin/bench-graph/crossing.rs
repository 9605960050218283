//! How a hop from one thread to another is timed: the same way for everyone.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result};
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;

/// Longer than anything here takes; reached only when something is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// Carries a unit that it holds from the calling thread to another.
pub(crate) trait Hop {
    /// Sends one unit off. Never waits for room.
    fn push(&mut self);
}

/// Told by the other thread about each unit, with the moment at which it could have used it.
#[derive(Clone)]
pub(crate) struct Arrivals(SyncSender<Moment>);

impl Arrivals {
    pub(crate) fn one(&self, at: Moment) {
        // The bench may have gone on without it; it would have failed then.
        let _ = self.0.try_send(at);
    }
}

/// A hop and the way back.
pub(crate) struct Crossing {
    clock: Clock,
    hop: Box<dyn Hop>,
    arrivals: Receiver<Moment>,
}

impl Crossing {
    /// The longest burst.
    pub(crate) const BURST: usize = 128;

    pub(crate) fn new<H: Hop + 'static>(clock: Clock, make: impl FnOnce(Arrivals) -> Result<H>) -> Result<Crossing> {
        let (tell, arrivals) = sync_channel(Crossing::BURST);
        let hop = Box::new(make(Arrivals(tell))?);
        Ok(Crossing { clock, hop, arrivals })
    }

    /// From before one unit is sent off to when the other thread, asleep until then, has it.
    pub(crate) fn wake(&mut self) -> Result<Span> {
        let sent = self.clock.now();
        self.hop.push();
        Ok(self.arrival()? - sent)
    }

    /// From before a burst is sent off to when the other thread has the last of it, for each unit.
    pub(crate) fn burst(&mut self) -> Result<Span> {
        let sent = self.clock.now();
        for _ in 0..Crossing::BURST {
            self.hop.push();
        }
        let mut last = sent;
        for _ in 0..Crossing::BURST {
            last = self.arrival()?;
        }
        Ok((last - sent) / Crossing::BURST as i64)
    }

    fn arrival(&self) -> Result<Moment> {
        self.arrivals
            .recv_timeout(PATIENCE)
            .context("a unit was lost on the way")
    }
}
