//! When to send what: pure arithmetic on moments.

use hearsight_core::time::{Moment, Span};

/// The plan of a stream of units at a steady interval. Who is late catches up at twice the pace, never in a burst.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    start: Moment,
    interval: Span,
    next: u64,
    not_before: Moment,
}

impl Pace {
    /// Unit 0 is due at `start`.
    pub(super) fn new(start: Moment, interval: Span) -> Pace {
        Pace {
            start,
            interval,
            next: 0,
            not_before: start,
        }
    }

    /// When the next unit is to be sent.
    pub(super) fn due(&self) -> Moment {
        self.planned(self.next).max(self.not_before)
    }

    /// The next unit; it counts as sent at `now`.
    pub(super) fn take(&mut self, now: Moment) -> u64 {
        let unit = self.next;
        self.next += 1;
        self.not_before = now + self.interval / 2;
        unit
    }

    /// The newest unit that is due, which leaves out those that have become worthless; it counts as sent at `now`.
    pub(super) fn take_newest(&mut self, now: Moment) -> u64 {
        let passed = (now - self.start).nanos().max(0) / self.interval.nanos().max(1);
        self.next = self.next.max(passed as u64);
        self.take(now)
    }

    fn planned(&self, unit: u64) -> Moment {
        self.start + self.interval * i64::try_from(unit).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Span = Span::from_millis(20);

    #[test]
    fn a_host_on_time_sends_every_unit_at_its_moment() {
        let mut pace = Pace::new(Moment::from_millis(500), INTERVAL);
        for unit in 0..5_000 {
            let due = pace.due();
            assert_eq!(due, Moment::from_millis(500) + INTERVAL * unit);
            assert_eq!(pace.take(due), unit as u64);
        }
    }

    #[test]
    fn a_late_host_leaves_nothing_out_catches_up_and_never_bursts() {
        for seed in 0..100 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut pace = Pace::new(Moment::ZERO, INTERVAL);
            let (mut now, mut before) = (Moment::ZERO, None);
            for unit in 0..2_000u64 {
                now = now.max(pace.due());
                // Wakes a little late always, and very late now and then, but not towards the end.
                now += Span::from_micros(random.i64(0..500));
                if unit < 1_000 && random.u8(..) == 0 {
                    now += Span::from_millis(random.i64(0..400));
                }
                assert_eq!(pace.take(now), unit);
                if let Some(before) = before {
                    assert!(now - before >= INTERVAL / 2, "a burst: {:?}", now - before);
                }
                before = Some(now);
            }
            let late = now - (Moment::ZERO + INTERVAL * 1_999);
            assert!(late < Span::from_millis(1), "seed {seed}: still {late} late");
        }
    }

    #[test]
    fn pictures_that_are_past_are_left_out() {
        let mut pace = Pace::new(Moment::ZERO, INTERVAL);
        assert_eq!(pace.take_newest(Moment::ZERO), 0);
        assert_eq!(pace.take_newest(Moment::from_millis(21)), 1);
        assert_eq!(pace.take_newest(Moment::from_millis(219)), 10);
        assert_eq!(pace.due(), Moment::from_millis(229));
        assert_eq!(pace.take_newest(Moment::from_millis(229)), 11);
        assert_eq!(pace.due(), Moment::from_millis(240));
    }
}
