//! When what is shown is due: the one converter between a film's timeline and the clock.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_live::clock::Clock;

/// Who says when a frame is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tempo {
    /// The playhead: frames wait for their moment, and time can be held.
    Paced,
    /// The world: a frame that is there is due.
    Live,
}

/// Where playing has come to. Shared by the threads of a film, so that sound and pictures hold and go on together.
pub(super) struct Playhead {
    clock: Clock,
    tempo: Tempo,
    phase: Mutex<Phase>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Held at this place.
    Held(MediaTime),
    /// Playing: media time zero was, or will be, at this moment.
    Playing(Moment),
    /// Over.
    Stopped,
}

impl Playhead {
    /// Held at the start.
    pub(super) fn new(clock: Clock, tempo: Tempo) -> Playhead {
        Playhead {
            clock,
            tempo,
            phase: Mutex::new(Phase::Held(MediaTime::ZERO)),
            changed: Condvar::new(),
        }
    }

    /// Plays from `moment` on, where it is held.
    pub(super) fn play(&self, moment: Moment) {
        self.change(|phase| match phase {
            Phase::Held(at) => Phase::Playing(moment - (at - MediaTime::ZERO)),
            other => other,
        });
    }

    /// Holds where it is at `moment`.
    pub(super) fn hold(&self, moment: Moment) {
        self.change(|phase| match phase {
            Phase::Playing(zero) => Phase::Held(MediaTime::ZERO + (moment - zero)),
            other => other,
        });
    }

    /// Ends it for good.
    pub(super) fn stop(&self) {
        self.change(|_| Phase::Stopped);
    }

    /// Whether it is over.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(*self.lock(), Phase::Stopped)
    }

    /// What is due now; none while it is held, or where the world says when.
    pub(super) fn position(&self) -> Option<MediaTime> {
        match *self.lock() {
            Phase::Playing(zero) if self.tempo == Tempo::Paced => Some(MediaTime::ZERO + (self.clock.now() - zero)),
            _ => None,
        }
    }

    /// Waits until `at` is due, and not before `rested`; a live frame is due, and `age` old. Returns when what it shows was
    /// captured; none when the film is over.
    pub(super) fn wait(&self, at: MediaTime, rested: Moment, age: Span) -> Option<Moment> {
        let mut phase = self.lock();
        loop {
            let zero = match *phase {
                Phase::Stopped => return None,
                _ if self.tempo == Tempo::Live => return Some(self.clock.now() - age),
                Phase::Held(_) => {
                    phase = self.changed.wait(phase).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                Phase::Playing(zero) => zero,
            };
            let captured = zero + (at - MediaTime::ZERO);
            let left = captured.max(rested) - self.clock.now();
            if left <= Span::ZERO {
                return Some(captured);
            }
            let waited = self.changed.wait_timeout(phase, left.to_duration());
            phase = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn change(&self, change: impl FnOnce(Phase) -> Phase) {
        let mut phase = self.lock();
        *phase = change(*phase);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Moment = Moment::from_nanos(i64::MIN);

    #[test]
    fn time_that_was_held_is_not_played() {
        let clock = Clock::new();
        let head = Playhead::new(clock, Tempo::Paced);
        assert_eq!(head.position(), None);
        // Far in the past, so that nothing here waits.
        head.play(Moment::from_millis(-100_000));
        let at = MediaTime::from_millis(700);
        assert_eq!(head.wait(at, MIN, Span::ZERO), Some(Moment::from_millis(-99_300)));
        head.hold(Moment::from_millis(-99_000));
        head.hold(Moment::from_millis(-98_000));
        head.play(Moment::from_millis(-50_000));
        head.play(Moment::from_millis(-40_000));
        let at = MediaTime::from_millis(1_500);
        assert_eq!(head.wait(at, MIN, Span::ZERO), Some(Moment::from_millis(-49_500)));
        head.stop();
        head.play(clock.now());
        assert_eq!(head.wait(at, MIN, Span::ZERO), None);
    }

    #[test]
    fn who_waits_is_woken_by_playing_and_by_the_end() {
        let clock = Clock::new();
        let head = Playhead::new(clock, Tempo::Paced);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| head.wait(MediaTime::ZERO, MIN, Span::ZERO));
            head.play(clock.now());
            assert!(waits.join().unwrap().is_some());
            let waits = scope.spawn(|| head.wait(MediaTime::from_millis(1_000_000_000), MIN, Span::ZERO));
            head.stop();
            assert_eq!(waits.join().unwrap(), None);
        });
    }

    #[test]
    fn what_happens_now_is_due_when_it_is_there() {
        let clock = Clock::new();
        let head = Playhead::new(clock, Tempo::Live);
        let age = Span::from_millis(30);
        let before = clock.now();
        let born = head.wait(MediaTime::from_millis(9_000_000), Moment::MAX, age).unwrap();
        assert!(born + age >= before && born + age <= clock.now());
        assert_eq!(head.position(), None);
    }
}
