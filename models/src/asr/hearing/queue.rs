//! What comes while the last words of a segment are looked for.

use std::collections::VecDeque;

use hearsight_core::media::Voice;
use hearsight_core::stage::{Gap, Lost};
use hearsight_core::stamped::Stamped;

use super::BACKLOG;
use crate::origin::RATE;

/// Signals that wait, at most: a second of sound comes in thirty.
const MOST: usize = 256;

/// What is to be done next.
pub(super) enum Next {
    Voice(Stamped<Voice>),
    Gap(Gap),
    /// Units were lost here.
    Lost(Lost, u32),
    End,
}

/// In the order in which it came.
#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<Next>,
    samples: usize,
}

impl Queue {
    /// Puts it behind the others. What there is no room for is lost, and the loss waits in its place.
    pub(super) fn push(&mut self, next: Next) {
        let samples = samples(&next);
        let fits = self.waiting.len() < MOST && self.samples + samples <= BACKLOG.samples(RATE) as usize;
        match (&next, self.waiting.back_mut()) {
            (Next::End, _) => {}
            _ if fits => {}
            (_, Some(Next::Lost(Lost::TooOld, count))) => {
                *count += 1;
                return;
            }
            _ => return self.waiting.push_back(Next::Lost(Lost::TooOld, 1)),
        }
        self.samples += samples;
        self.waiting.push_back(next);
    }

    /// Puts it before the others.
    pub(super) fn next(&mut self, next: Next) {
        self.waiting.push_front(next);
    }

    pub(super) fn pop(&mut self) -> Option<Next> {
        let next = self.waiting.pop_front()?;
        self.samples -= samples(&next);
        Some(next)
    }

    pub(super) fn clear(&mut self) {
        *self = Queue::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether nothing comes any more.
    pub(super) fn ends(&self) -> bool {
        matches!(self.waiting.back(), Some(Next::End))
    }
}

fn samples(next: &Next) -> usize {
    match next {
        Next::Voice(unit) => match &unit.item {
            Voice::Sound(pcm) => pcm.samples.len(),
            _ => 0,
        },
        _ => 0,
    }
}
