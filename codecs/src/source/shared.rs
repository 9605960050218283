//! What the lanes of a source have in common: the pipeline, its first trouble, and the end of each round.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use hearsight_core::time::{MediaTime, Span};

use super::{Rounds, SourceError, clock_time, trouble};

/// The pipeline and what its threads report.
pub(super) struct Shared {
    pub(super) pipeline: gst::Pipeline,
    rounds: Rounds,
    start: Span,
    live: AtomicBool,
    stopped: AtomicBool,
    trouble: Mutex<Trouble>,
    round: Mutex<Round>,
    next_round: Condvar,
}

/// What went wrong first: something that one stream lacks does not end the others.
#[derive(Debug, Default)]
struct Trouble {
    missing: Option<SourceError>,
    fatal: Option<SourceError>,
}

/// Which lanes have come to the end of this round, and where the next begins on the timeline.
#[derive(Debug, Default)]
pub(super) struct Round {
    number: u64,
    playing: [bool; 2],
    ended: [bool; 2],
    base: Span,
    end: Span,
}

/// Which lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pictures,
    Sound,
}

/// What a lane does at the end of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing: it was the last.
    Stop,
    /// The other lane is not there yet.
    Wait,
    /// The next round plays.
    Go,
}

impl Shared {
    /// A pipeline whose bus keeps the first trouble and nothing else: nobody would read the rest, and it would pile up.
    pub(super) fn new(rounds: Rounds, start: Span) -> Arc<Shared> {
        let pipeline = gst::Pipeline::new();
        // The microphone's own clock would drift from the camera's stamps.
        pipeline.use_clock(Some(&gst::SystemClock::obtain()));
        let shared = Arc::new(Shared {
            pipeline,
            rounds,
            start,
            live: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            trouble: Mutex::default(),
            round: Mutex::default(),
            next_round: Condvar::new(),
        });
        if let Some(bus) = shared.pipeline.bus() {
            let held = Arc::downgrade(&shared);
            bus.set_sync_handler(move |_, message| {
                if let (Some(shared), Some(error)) = (held.upgrade(), trouble::from_message(message)) {
                    shared.complain(error);
                }
                gst::BusSyncReply::Drop
            });
        }
        shared
    }

    /// Keeps the first trouble of its sort: it is the cause of those that follow.
    pub(super) fn complain(&self, error: SourceError) {
        let mut trouble = lock(&self.trouble);
        let kept = match error {
            SourceError::Missing { .. } => &mut trouble.missing,
            _ => &mut trouble.fatal,
        };
        kept.get_or_insert(error);
    }

    /// The trouble that ended the source, or its explanation where there is a better one.
    pub(super) fn check(&self) -> Result<(), SourceError> {
        let trouble = lock(&self.trouble);
        match &trouble.fatal {
            Some(error) => Err(trouble.missing.as_ref().unwrap_or(error).clone()),
            None => Ok(()),
        }
    }

    /// A plug-in that one of the streams lacks.
    pub(super) fn missing(&self) -> Option<SourceError> {
        lock(&self.trouble).missing.clone()
    }

    /// Declares it live.
    pub(super) fn set_live(&self) {
        self.live.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    pub(super) fn is_live(&self) -> bool {
        self.live.load(Ordering::Relaxed)
    }

    /// Whether it has been ended.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Ends the pipeline and joins its threads.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        if self.pipeline.set_state(gst::State::Null).is_err() {
            tracing::debug!("a pipeline did not stop in order");
        }
        self.next_round.notify_all();
    }

    /// Says which lanes there are, by [`Kind`].
    pub(super) fn expect(&self, lanes: [bool; 2]) {
        lock(&self.round).playing = lanes;
    }

    /// Goes to where playing begins; the running time starts at zero again.
    pub(super) fn rewind(&self) -> Result<(), SourceError> {
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
        let sought = self.pipeline.seek_simple(flags, clock_time(self.start));
        sought.map_err(|_| SourceError::Seek)
    }

    /// Where the round that plays lies on the timeline.
    pub(super) fn base(&self) -> Span {
        lock(&self.round).base
    }

    /// Lane `kind` has played to its end, which was at `end` of the timeline. Waits for the other at most `wait`; whoever
    /// comes last begins the next round.
    pub(super) fn ended(&self, kind: Kind, end: MediaTime, wait: Span) -> Result<Then, SourceError> {
        if self.rounds == Rounds::Once || self.is_stopped() {
            return Ok(Then::Stop);
        }
        let mut round = lock(&self.round);
        round.end = round.end.max(end - MediaTime::ZERO);
        round.ended[kind as usize] = true;
        if round.ended == round.playing {
            if round.end <= round.base {
                // It can be played again for ever without a frame to show for it.
                return Err(SourceError::Empty);
            }
            self.rewind()?;
            round.base = round.end;
            round.ended = [false; 2];
            round.number += 1;
            self.next_round.notify_all();
            return Ok(Then::Go);
        }
        let number = round.number;
        let (round, _) = self
            .next_round
            .wait_timeout_while(round, wait.to_duration(), |round| {
                round.number == number && !self.is_stopped()
            })
            .unwrap_or_else(PoisonError::into_inner);
        Ok(if round.number == number { Then::Wait } else { Then::Go })
    }
}

/// A lane that panicked leaves whole values behind: each is written in one go.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
