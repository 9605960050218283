//! Who listens to a simulated session, and what is written down of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearsight_codecs::measure::PictureStats;
use hearsight_core::gate::Budget;
use hearsight_core::media::{Reading, Voice, Words};
use hearsight_core::stage::Signal;
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::vlm::turn::Turn;

use super::rooms::ALLOWED;
use crate::budget;
use crate::view::Counts;
use crate::wiring::Audience;

/// One second of a simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Second {
    /// The value of what came in time.
    pub value: f64,
    /// The oldest final words.
    pub oldest: Span,
}

/// What a whole simulation's seconds were like.
pub(super) type Seconds = Arc<Mutex<BTreeMap<i64, Second>>>;

/// Speech that began, paused or went on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turned {
    /// Whether it stopped.
    pub stopped: bool,
    /// Where in the sound.
    pub at: MediaTime,
}

/// What one session heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// Words that will not change.
    pub words: usize,
    /// Those within their budget.
    pub in_time: usize,
    /// Turns within their budget.
    pub turns: Vec<Turned>,
    /// What became of the display moments.
    pub counts: Option<Counts>,
}

#[derive(Default)]
pub(super) struct Ears {
    heard: Mutex<Heard>,
    seconds: Seconds,
}

impl Ears {
    pub(super) fn new(seconds: &Seconds) -> Arc<Ears> {
        Arc::new(Ears {
            heard: Mutex::default(),
            seconds: seconds.clone(),
        })
    }

    pub(super) fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note<T>(&self, now: Moment, unit: &Stamped<T>, budget: &Budget) -> bool {
        let age = unit.age(now);
        let mut seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        let second = seconds.entry(now.micros() / 1_000_000).or_default();
        if budget.outlet == budget::WORDS_FINAL.outlet {
            second.oldest = second.oldest.max(age);
        }
        let in_time = age <= budget.span;
        if in_time {
            second.value += f64::from(budget.value);
        }
        in_time
    }
}

impl Audience for Ears {
    fn voice(&self, now: Moment, signal: Signal<Voice>) {
        let Signal::Item(unit) = signal else { return };
        let stopped = match unit.item {
            Voice::Started | Voice::Resumed => false,
            Voice::Paused => true,
            Voice::Sound(_) | Voice::Rested | Voice::Ended => return,
        };
        if self.note(now, &unit, &budget::TURN) {
            let at = unit.at;
            self.heard().turns.push(Turned { stopped, at });
        }
    }
    fn words(&self, now: Moment, signal: Signal<Words>) {
        let Signal::Item(unit) = signal else { return };
        if !unit.item.settled {
            self.note(now, &unit, &budget::WORDS_PARTIAL);
            return;
        }
        let in_time = self.note(now, &unit, &budget::WORDS_FINAL);
        let count = unit.item.words.len();
        let mut heard = self.heard();
        heard.words += count;
        heard.in_time += if in_time { count } else { 0 };
    }
    fn picture(&self, now: Moment, signal: Signal<PictureStats>) {
        if let Signal::Item(unit) = signal {
            self.note(now, &unit, &budget::PICTURE);
        }
    }
    fn reading(&self, now: Moment, signal: Signal<Reading>) {
        if let Signal::Item(unit) = signal {
            self.note(now, &unit, &budget::READING);
        }
    }
    fn answer(&self, now: Moment, signal: Signal<Turn>) {
        let Signal::Item(unit) = signal else { return };
        match unit.item {
            Turn::First { .. } => self.note(now, &unit, &budget::ANSWER),
            Turn::Answer { .. } => self.note(now, &unit, &budget::whole_answer(ALLOWED)),
            _ => false,
        };
    }
    fn viewed(&self, _: Moment, signal: Signal<Counts>) {
        if let Signal::Item(unit) = signal {
            self.heard().counts = Some(unit.item);
        }
    }
}
