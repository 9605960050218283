//! The one place that reads the machine's monotonic clock.

use std::time::{Duration, Instant};

use hearsight_core::time::{Moment, Span};

/// Converts between the machine's monotonic clock and [`Moment`]s. Copies of one clock agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that starts at zero now.
    #[expect(clippy::new_without_default, reason = "reading a clock is not a default")]
    pub fn new() -> Clock {
        #[expect(clippy::disallowed_methods, reason = "the live host is where clocks are read")]
        let origin = Instant::now();
        Clock { origin }
    }
    /// What time it is.
    pub fn now(&self) -> Moment {
        #[expect(clippy::disallowed_methods, reason = "the live host is where clocks are read")]
        let now = Instant::now();
        self.moment_from_instant(now)
    }
    /// The moment of an instant, before the origin too.
    pub fn moment_from_instant(&self, instant: Instant) -> Moment {
        let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        match instant.checked_duration_since(self.origin) {
            Some(after) => Moment::from_nanos(nanos(after)),
            None => Moment::from_nanos(-nanos(self.origin.duration_since(instant))),
        }
    }
    /// The instant of a moment; moments that the platform can't express become the origin.
    pub fn instant_from_moment(&self, moment: Moment) -> Instant {
        let since: Span = moment - Moment::ZERO;
        if since >= Span::ZERO {
            self.origin.checked_add(since.to_duration()).unwrap_or(self.origin)
        } else {
            self.origin.checked_sub((-since).to_duration()).unwrap_or(self.origin)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_instants_invert_each_other() {
        let clock = Clock::new();
        for millis in [0, 1, 999, 86_400_000] {
            let moment = Moment::from_millis(millis);
            assert_eq!(clock.moment_from_instant(clock.instant_from_moment(moment)), moment);
        }
    }
}
