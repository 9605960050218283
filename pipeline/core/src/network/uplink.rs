//! A thin uplink that was recorded: packets queue for it, wait, overflow, get lost, and arrive.
//!
//! A [`Trace`] says how many bits had left by when. Two kinds of recording come to that: the moments at which one packet could
//! leave (Mahimahi), and stretches of a rate (OpenNetLab). It begins anew when it is over.

use std::collections::VecDeque;

use thiserror::Error;

use crate::time::{Moment, Span};

/// What one moment of Mahimahi's lets through, in bytes.
const OPPORTUNITY: u32 = 1_504;
/// Points of a trace, at most: twenty minutes of a fast link.
const MOST_POINTS: usize = 4_000_000;
/// The longest trace.
const LONGEST: Span = Span::from_secs(24 * 3_600);

/// Why a recording can't be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TraceError {
    /// Nothing is in it, or it lasts no time.
    #[error("the trace is empty, or lasts no time; it must last for at least a millisecond")]
    Empty,
    /// No bit ever leaves.
    #[error("the trace lets nothing through at all; some stretch must have a capacity")]
    Dead,
    /// It goes back in time.
    #[error("moment {0} of the trace is before the one above it; they must be in order")]
    Unordered(usize),
    /// A number that can't be.
    #[error("stretch {0} of the trace has a number that can't be; use finite numbers, none below zero")]
    Number(usize),
    /// Too much of it.
    #[error("the trace is too long: at most 4,000,000 moments within 24 hours")]
    Long,
}

/// A stretch of time over which an uplink is the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// How long.
    pub span: Span,
    /// Bits per second that leave.
    pub rate: f64,
    /// The chance that a packet is lost, 0..1.
    pub loss: f64,
    /// How much later all packets arrive than they do otherwise.
    pub delay: Span,
    /// Up to this much more, drawn for each packet; they stay in order.
    pub jitter: Span,
}

/// A recorded uplink.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// When, and how many bits could have left by then. Two points at one time are a jump.
    points: Vec<(Span, f64)>,
    /// What else the stretches say, each up to its end; one for a recording of moments.
    stretches: Vec<Stretch>,
}

impl Trace {
    /// From the milliseconds at which one packet of 1504 bytes may leave, in order, as Mahimahi records them; the last is the
    /// length of the trace.
    pub fn from_opportunities(millis: impl IntoIterator<Item = u64>) -> Result<Trace, TraceError> {
        let (mut points, mut bits) = (vec![(Span::ZERO, 0.0)], 0.0);
        for (index, at) in millis.into_iter().enumerate() {
            let at = i64::try_from(at).map_or(Span::MAX, Span::from_millis);
            let last = points[points.len() - 1].0;
            if at < last {
                return Err(TraceError::Unordered(index + 1));
            }
            if at > LONGEST || points.len() >= MOST_POINTS {
                return Err(TraceError::Long);
            }
            points.push((at, bits));
            bits += f64::from(OPPORTUNITY) * 8.0;
            points.push((at, bits));
        }
        let whole = Stretch {
            span: points[points.len() - 1].0,
            rate: 0.0,
            loss: 0.0,
            delay: Span::ZERO,
            jitter: Span::ZERO,
        };
        Trace::checked(points, vec![whole])
    }

    /// From stretches, one after the other.
    pub fn from_stretches(stretches: Vec<Stretch>) -> Result<Trace, TraceError> {
        if stretches.len() >= MOST_POINTS {
            return Err(TraceError::Long);
        }
        let (mut points, mut at, mut bits) = (vec![(Span::ZERO, 0.0)], Span::ZERO, 0.0);
        for (index, stretch) in stretches.iter().enumerate() {
            let sane = stretch.rate.is_finite()
                && (0.0..=1e12).contains(&stretch.rate)
                && (0.0..=1.0).contains(&stretch.loss)
                && stretch.span >= Span::ZERO
                && (Span::ZERO..=LONGEST).contains(&stretch.delay)
                && (Span::ZERO..=LONGEST).contains(&stretch.jitter);
            if !sane {
                return Err(TraceError::Number(index + 1));
            }
            at += stretch.span;
            if at > LONGEST {
                return Err(TraceError::Long);
            }
            bits += stretch.rate * stretch.span.secs_f64();
            points.push((at, bits));
        }
        Trace::checked(points, stretches)
    }

    fn checked(points: Vec<(Span, f64)>, stretches: Vec<Stretch>) -> Result<Trace, TraceError> {
        let (span, bits) = points[points.len() - 1];
        if span < Span::from_millis(1) {
            return Err(TraceError::Empty);
        }
        if bits < 8.0 {
            return Err(TraceError::Dead);
        }
        Ok(Trace { points, stretches })
    }

    /// How long it is before it begins anew.
    pub fn span(&self) -> Span {
        self.points[self.points.len() - 1].0
    }

    /// Its mean, in bits per second.
    pub fn mean_rate(&self) -> f64 {
        self.round() / self.span().secs_f64()
    }

    /// Bits that leave in one round of it.
    fn round(&self) -> f64 {
        self.points[self.points.len() - 1].1
    }

    /// Bits that could have left before `at`, counted from its beginning.
    pub fn bits_before(&self, at: Span) -> f64 {
        let (rounds, within) = (
            at.nanos().div_euclid(self.span().nanos()),
            at.nanos().rem_euclid(self.span().nanos()),
        );
        let within = Span::from_nanos(within);
        let next = self.points.partition_point(|(time, _)| *time < within).max(1);
        let ((from, low), (to, high)) = (self.points[next - 1], self.points[next.min(self.points.len() - 1)]);
        let share = if to > from {
            (within - from).secs_f64() / (to - from).secs_f64()
        } else {
            0.0
        };
        rounds as f64 * self.round() + low + (high - low) * share
    }

    /// When this many bits have left, counted from its beginning.
    fn when(&self, bits: f64) -> Span {
        let rounds = ((bits / self.round()).ceil() - 1.0).max(0.0);
        let within = bits - rounds * self.round();
        let next = self.points.partition_point(|(_, left)| *left < within);
        let next = next.clamp(1, self.points.len() - 1);
        let ((from, low), (to, high)) = (self.points[next - 1], self.points[next]);
        let share = if high > low {
            ((within - low) / (high - low)).clamp(0.0, 1.0)
        } else {
            1.0
        };
        let whole = Span::from_nanos((rounds as i64).saturating_mul(self.span().nanos()));
        whole + from + Span::from_nanos(((to - from).nanos() as f64 * share) as i64)
    }

    /// What else it says of `at`.
    fn stretch(&self, at: Span) -> Stretch {
        let within = Span::from_nanos(at.nanos().rem_euclid(self.span().nanos()));
        // As many points as stretches and one, where there are stretches at all.
        let index = match self.stretches.len() {
            1 => 0,
            count => self.points.partition_point(|(time, _)| *time <= within).clamp(1, count) - 1,
        };
        self.stretches[index]
    }
}

/// What is between a sender and its receiver besides the trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    /// One-way delay of every packet.
    pub delay: Span,
    /// The chance that a packet is lost on top of what the trace loses, 0..1.
    pub loss: f64,
    /// The queue before the thin link, in bytes; what does not fit is dropped.
    pub queue: usize,
}

impl Default for Path {
    /// 30 ms each way, no loss of its own, and a queue as Mahimahi's users have it: 60 packets of 1500 bytes.
    fn default() -> Path {
        Path {
            delay: Span::from_millis(30),
            loss: 0.0,
            queue: 60 * 1_500,
        }
    }
}

/// One uplink at work. It is asked in the order of time.
#[derive(Clone, Debug)]
pub struct Uplink {
    trace: Trace,
    path: Path,
    random: fastrand::Rng,
    began: Moment,
    /// Bits of the trace that are spoken for.
    spent: f64,
    /// What waits or is on its way out: when it will have left, and its bytes.
    queue: VecDeque<(Moment, usize)>,
    queued: usize,
    newest: Moment,
}

impl Uplink {
    /// An uplink whose trace begins at `began`.
    pub fn new(trace: Trace, path: Path, began: Moment, seed: u64) -> Uplink {
        Uplink {
            trace,
            path,
            random: fastrand::Rng::with_seed(seed),
            began,
            spent: 0.0,
            queue: VecDeque::new(),
            queued: 0,
            newest: Moment::from_nanos(i64::MIN),
        }
    }

    /// Sends a packet of so many bytes at `now`. When it arrives; none when it is lost.
    pub fn send(&mut self, now: Moment, bytes: usize) -> Option<Moment> {
        while self.queue.front().is_some_and(|(left, _)| *left <= now) {
            self.queued -= self.queue.pop_front().map_or(0, |(_, bytes)| bytes);
        }
        if self.queued + bytes > self.path.queue {
            return None;
        }
        let idle = self.trace.bits_before(now - self.began);
        self.spent = self.spent.max(idle) + bytes as f64 * 8.0;
        let at = self.trace.when(self.spent).max(now - self.began);
        let left = self.began + at;
        self.queue.push_back((left, bytes));
        self.queued += bytes;
        let Stretch {
            loss, delay, jitter, ..
        } = self.trace.stretch(at);
        let late = Span::from_nanos(self.random.i64(0..=jitter.nanos()));
        let lost = self.random.f64() < 1.0 - (1.0 - loss) * (1.0 - self.path.loss);
        if lost {
            return None;
        }
        // A link keeps the order of what it carries.
        self.newest = self.newest.max(left + self.path.delay + delay + late);
        Some(self.newest)
    }

    /// Bytes that wait.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// The trace that is played.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady(rate: f64) -> Trace {
        Trace::from_stretches(vec![stretch(1_000, rate)]).expect("a trace")
    }

    fn stretch(millis: i64, rate: f64) -> Stretch {
        Stretch {
            span: Span::from_millis(millis),
            rate,
            loss: 0.0,
            delay: Span::ZERO,
            jitter: Span::ZERO,
        }
    }

    #[test]
    fn a_recording_is_asked_both_ways_round_and_agrees_over_many_rounds() {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let trace = if random.bool() {
                let mut at = 0;
                Trace::from_opportunities((0..200).map(|_| {
                    at += random.u64(0..40);
                    at
                }))
            } else {
                let stretches = (0..30).map(|_| stretch(random.i64(0..500), random.f64() * 2e6));
                Trace::from_stretches(stretches.collect())
            };
            let trace = trace.expect("a trace");
            let (mut before, mut bits) = (Span::ZERO, 0.0);
            for _ in 0..400 {
                bits += random.f64() * 20_000.0;
                let at = trace.when(bits);
                assert!(at >= before, "seed {seed}: time goes on");
                // By then that many had left, and a moment before fewer.
                assert!(
                    trace.bits_before(at + Span::from_micros(1)) >= bits - 1.0,
                    "seed {seed}"
                );
                assert!(
                    trace.bits_before(at - Span::from_micros(1)) <= bits + 1.0,
                    "seed {seed}"
                );
                before = at;
            }
        }
    }

    #[test]
    fn no_more_leaves_than_the_trace_lets_and_all_of_it_where_there_is_enough() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut at = 0;
            let trace = Trace::from_opportunities((0..500).map(|_| {
                at += random.u64(0..20);
                at
            }))
            .expect("a trace");
            let path = Path {
                delay: Span::ZERO,
                ..Path::default()
            };
            let mut uplink = Uplink::new(trace.clone(), path, Moment::ZERO, seed);
            let (mut arrived, mut newest) = (0, Moment::ZERO);
            let mut now = Moment::ZERO;
            for _ in 0..5_000 {
                now += Span::from_micros(random.i64(0..4_000));
                let bytes = random.usize(40..1_500);
                if let Some(at) = uplink.send(now, bytes) {
                    assert!(at >= now && at >= newest, "seed {seed}");
                    (arrived, newest) = (arrived + bytes, at);
                }
                assert!(uplink.queued() <= path.queue);
            }
            let let_through = trace.bits_before(newest - Moment::ZERO + Span::from_micros(1)) / 8.0;
            assert!(
                arrived as f64 <= let_through + 1.0,
                "seed {seed}: {arrived} of {let_through}"
            );
            if trace.mean_rate() < 2e6 {
                assert!(
                    arrived as f64 > let_through * 0.9,
                    "seed {seed}: {arrived} of {let_through}"
                );
            }
        }
    }

    #[test]
    fn a_full_queue_drops_and_delay_is_what_waits_before() {
        let mut uplink = Uplink::new(steady(1e6), Path::default(), Moment::ZERO, 1);
        let burst: Vec<_> = (0..100).map(|_| uplink.send(Moment::ZERO, 1_500)).collect();
        assert_eq!(burst.iter().flatten().count(), 60);
        // 1500 bytes at 1 Mbit/s take 12 ms.
        for (index, at) in burst.iter().flatten().enumerate() {
            let expected = Moment::from_millis(30 + 12 * (index as i64 + 1));
            assert!((*at - expected).nanos().abs() < 1_000, "{at:?}");
        }
    }

    #[test]
    fn losses_and_delays_are_those_of_the_stretch() {
        let lossy = Stretch {
            loss: 0.3,
            delay: Span::from_millis(200),
            ..stretch(1_000, 1e9)
        };
        let trace = Trace::from_stretches(vec![stretch(1_000, 1e9), lossy]).expect("a trace");
        let mut uplink = Uplink::new(trace, Path::default(), Moment::ZERO, 3);
        let mut lost = [0, 0];
        for millis in 0..20_000 {
            let now = Moment::from_millis(millis);
            match uplink.send(now, 100) {
                None => lost[(millis / 1_000 % 2) as usize] += 1,
                Some(at) if millis % 2_000 > 1_000 => assert!(at - now >= Span::from_millis(230)),
                Some(_) => {}
            }
        }
        assert!(lost[0] == 0 && (2_700..3_300).contains(&lost[1]), "{lost:?}");
    }

    #[test]
    fn broken_recordings_are_refused_by_name() {
        let from = |stretches: &[Stretch]| Trace::from_stretches(stretches.to_vec()).unwrap_err();
        assert_eq!(from(&[]), TraceError::Empty);
        assert_eq!(from(&[stretch(0, 1e6)]), TraceError::Empty);
        assert_eq!(from(&[stretch(1_000, 0.0)]), TraceError::Dead);
        assert_eq!(from(&[stretch(1, 1.0), stretch(1, f64::NAN)]), TraceError::Number(2));
        assert_eq!(from(&[stretch(-1, 1.0)]), TraceError::Number(1));
        let odd = Stretch {
            loss: 1.5,
            ..stretch(1, 1e6)
        };
        assert_eq!(from(&[odd]), TraceError::Number(1));
        assert_eq!(from(&[stretch(i64::MAX, 1.0)]), TraceError::Long);
        assert_eq!(Trace::from_opportunities([]).unwrap_err(), TraceError::Empty);
        assert_eq!(Trace::from_opportunities([0, 0]).unwrap_err(), TraceError::Empty);
        assert_eq!(Trace::from_opportunities([5, 4]).unwrap_err(), TraceError::Unordered(2));
        assert_eq!(Trace::from_opportunities([u64::MAX]).unwrap_err(), TraceError::Long);
    }
}
