//! The publisher's clock and its distance from the server's.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;

/// Seconds between the NTP era (1900) and the Unix epoch (RFC 5905 section 6).
const NTP_TO_UNIX: u64 = 2_208_988_800;
/// Enough to outlast a burst of queueing, few enough to follow a drifting clock.
const SAMPLES: usize = 16;

/// Unix time derived from the monotonic clock: the wall clock is read once, so what a sender report and a `clock`
/// message say never disagrees, even when the machine's wall clock is set in between.
#[derive(Clone, Copy, Debug)]
pub struct UnixClock {
    clock: Clock,
    unix_at_origin: Span,
}

impl UnixClock {
    /// Reads the wall clock once.
    pub fn new(clock: Clock) -> UnixClock {
        #[allow(clippy::disallowed_methods, reason = "the sender is a live host: unix time is what the wire speaks")]
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixClock { clock, unix_at_origin: Span::from_duration(unix) - (clock.now() - Moment::ZERO) }
    }
    /// What time it is.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }
    /// The monotonic clock underneath.
    pub fn clock(&self) -> Clock {
        self.clock
    }
    /// Microseconds of unix time: the client's clock of the wire.
    pub fn unix_us_from_moment(&self, moment: Moment) -> i64 {
        (self.unix_at_origin + (moment - Moment::ZERO)).micros()
    }
    /// The 64-bit NTP timestamp of a sender report (RFC 3550 section 4): seconds and 2⁻³² seconds.
    pub fn ntp_from_moment(&self, moment: Moment) -> u64 {
        let nanos = (self.unix_at_origin + (moment - Moment::ZERO)).nanos().max(0) as u64;
        let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        // NTP seconds wrap in 2036 by design: eras are told apart by the receiver.
        (((seconds + NTP_TO_UNIX) & 0xffff_ffff) << 32) | ((rest << 32) / 1_000_000_000)
    }
}

/// How far the server's clock is from ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// Server's clock minus our unix time, in microseconds.
    pub offset_us: i64,
    /// Half the best round trip, in microseconds: the offset is no further off than this.
    pub error_us: i64,
}

/// Estimates the offset from questions and answers by the minimum round trip: the quickest exchange has queued least,
/// so its midpoint is the best guess (the clock filter of RFC 5905 section 10).
#[derive(Debug, Default)]
pub struct OffsetFilter {
    samples: VecDeque<Offset>,
}

impl OffsetFilter {
    /// Takes one exchange: asked at `t0_us` (our unix time), answered at `t1_us` (the server's clock), heard at `t2_us`
    /// (our unix time). Returns the best estimate of the last 16; `None` while no exchange made sense.
    pub fn take(&mut self, t0_us: i64, t1_us: i64, t2_us: i64) -> Option<Offset> {
        if let Some(round_trip) = t2_us.checked_sub(t0_us).filter(|span| (0..60_000_000).contains(span))
            && let Some(offset_us) = t1_us.checked_sub(t0_us + round_trip / 2)
        {
            if self.samples.len() == SAMPLES {
                self.samples.pop_front();
            }
            self.samples.push_back(Offset { offset_us, error_us: (round_trip + 1) / 2 });
        }
        self.samples.iter().copied().min_by_key(|sample| sample.error_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_no_further_off_than_its_error_whatever_the_asymmetry() {
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let truth = rng.i64(-1_000_000_000_000..1_000_000_000_000);
            let mut filter = OffsetFilter::default();
            for _ in 0..40 {
                let (there, back) = (rng.i64(0..50_000), rng.i64(0..50_000));
                let t0 = rng.i64(0..2_000_000_000_000_000);
                let best = filter.take(t0, t0 + there + truth, t0 + there + back).expect("sensible exchange");
                assert!((best.offset_us - truth).abs() <= best.error_us + 1, "{best:?} against {truth}");
            }
            assert!(filter.samples.len() <= SAMPLES);
        }
    }

    #[test]
    fn nonsense_is_left_out() {
        let mut filter = OffsetFilter::default();
        assert_eq!(filter.take(10, 0, 5), None);
        assert_eq!(filter.take(i64::MIN, 0, i64::MAX), None);
        assert_eq!(filter.take(0, i64::MIN, 100), None);
        assert_eq!(filter.take(0, 1_050, 100), Some(Offset { offset_us: 1_000, error_us: 50 }));
    }

    #[test]
    fn ntp_and_unix_time_say_the_same() {
        let unix = UnixClock::new(Clock::new());
        let moment = unix.now();
        let ntp = unix.ntp_from_moment(moment);
        let seconds = (ntp >> 32) as i64 - NTP_TO_UNIX as i64;
        let micros = (((ntp & 0xffff_ffff) * 1_000_000) >> 32) as i64;
        assert!((seconds * 1_000_000 + micros - unix.unix_us_from_moment(moment)).abs() <= 1);
    }
}
