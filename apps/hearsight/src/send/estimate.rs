//! What the path takes: the `webrtc` crate numbers packets and reads what the receiver says of them; how much to send is ours to
//! say. The crate's own controller is kept beside ours to be measured: `make bench-allocation` flies both.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hearsight_core::congestion::{Controller, Fate, Limits};
use hearsight_core::network::flight::Control;
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;
use rtc::interceptor::{BandwidthEstimator, PacketReport};

/// A receiver that has not said a word of any packet for so long does not mean to.
const PATIENCE: Span = Span::from_secs(1);
/// Before anything is known: more than a thin link takes, for less than a second, and a fair picture on any other.
const LIMITS: Limits = Limits {
    start: 600_000,
    least: 50_000,
    most: 20_000_000,
};

/// The estimate of one connection, shared by whoever sends and whoever hears.
#[derive(Clone)]
pub(super) struct Estimate {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

struct State {
    controller: Controller,
    began: Option<Moment>,
    heard: bool,
}

impl Estimate {
    /// Of a path of which nothing is known.
    pub(super) fn new(clock: Clock) -> Estimate {
        let state = State {
            controller: Controller::new(LIMITS),
            began: None,
            heard: false,
        };
        Estimate {
            clock,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// A packet leaves now.
    pub(super) fn sent(&self, now: Moment) {
        let mut state = self.lock();
        state.began.get_or_insert(now);
        state.controller.sent(now);
    }

    /// Bits per second that the path takes; none where the receiver says nothing of packets, and so nobody knows.
    pub(super) fn allowed(&self, now: Moment) -> Option<u32> {
        let state = self.lock();
        let begins = state.began.is_none_or(|began| now - began < PATIENCE);
        (state.heard || begins).then(|| state.controller.target(now))
    }

    /// The share of packets lost lately, 0..1, and how long packets wait in queues.
    pub(super) fn trouble(&self) -> (f64, Span) {
        let state = self.lock();
        (state.controller.loss(), state.controller.standing())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BandwidthEstimator for Estimate {
    fn on_reports(&mut self, now: Instant, reports: &[PacketReport]) {
        let clock = self.clock;
        let fates: Vec<Fate> = reports
            .iter()
            .map(|report| Fate {
                sent: clock.moment_from_instant(report.departure),
                bytes: report.size,
                arrived: report.arrival.filter(|_| report.arrived).map(Span::from_duration),
            })
            .collect();
        let mut state = self.lock();
        state.heard |= !fates.is_empty();
        state.controller.heard(clock.moment_from_instant(now), &fates);
    }

    fn target_bitrate(&self) -> f64 {
        f64::from(self.lock().controller.target(self.clock.now()))
    }
}

/// The crate's own controller, in the simulator's terms, so that the two can be compared on the same flights.
#[doc(hidden)]
pub struct Crates {
    gcc: rtc::interceptor::Gcc,
    clock: Clock,
    next: u64,
}

#[doc(hidden)]
impl Crates {
    /// Within ours limits; the clock only turns moments into instants.
    pub fn new(limits: Limits, clock: Clock) -> Crates {
        let [start, least, most] = [limits.start, limits.least, limits.most].map(f64::from);
        Crates {
            gcc: rtc::interceptor::Gcc::new(start, least, most),
            clock,
            next: 0,
        }
    }
}

impl Control for Crates {
    fn sent(&mut self, _: Moment) {}

    fn heard(&mut self, now: Moment, fates: &[Fate]) {
        let reports: Vec<PacketReport> = fates
            .iter()
            .map(|fate| {
                self.next += 1;
                PacketReport {
                    ssrc: 1,
                    id: self.next,
                    rtp_sequence_number: self.next as u16,
                    is_twcc: true,
                    twcc_sequence_number: self.next as u16,
                    size: fate.bytes,
                    arrived: fate.arrived.is_some(),
                    departure: self.clock.instant_from_moment(fate.sent),
                    arrival: fate.arrived.map(Span::to_duration),
                    ecn: Default::default(),
                }
            })
            .collect();
        self.gcc.on_reports(self.clock.instant_from_moment(now), &reports);
    }

    fn target(&self, _: Moment) -> u32 {
        self.gcc.target_bitrate() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_that_says_nothing_of_packets_is_sent_what_the_caller_likes() {
        let estimate = Estimate::new(Clock::new());
        let now = Moment::from_millis(5_000);
        assert_eq!(estimate.allowed(now), Some(LIMITS.start), "a path begins with care");
        estimate.sent(now);
        assert_eq!(estimate.allowed(now + Span::from_millis(500)), Some(LIMITS.start));
        assert_eq!(estimate.allowed(now + PATIENCE), None);
    }

    #[test]
    fn what_the_crate_reads_of_packets_reaches_the_controller() {
        let clock = Clock::new();
        let mut estimate = Estimate::new(clock);
        let at = |millis: i64| Moment::from_millis(10_000 + millis);
        // A path whose every packet comes at once: it may be sent more and more.
        for turn in 0..100_u64 {
            let reports: Vec<PacketReport> = (0..5)
                .map(|n| PacketReport {
                    ssrc: 1,
                    id: turn * 5 + n,
                    rtp_sequence_number: 0,
                    is_twcc: true,
                    twcc_sequence_number: 0,
                    size: 1_200,
                    arrived: true,
                    departure: clock.instant_from_moment(at((turn * 50 + n * 10) as i64)),
                    arrival: Some(std::time::Duration::from_millis(turn * 50 + n * 10 + 7)),
                    ecn: Default::default(),
                })
                .collect();
            estimate.on_reports(clock.instant_from_moment(at(turn as i64 * 50 + 60)), &reports);
        }
        assert!(
            estimate
                .allowed(at(5_100))
                .is_some_and(|allowed| allowed > LIMITS.start)
        );
        assert_eq!(estimate.trouble().0, 0.0);
    }
}
