//! The processors of a simulated machine, shared as an operating system shares them: slices of lower priority run beside the
//! others with less weight, no slice on more than one processor at once (generalised processor sharing, Parekh and Gallager
//! 1993).

use crate::graph::NodeId;
use crate::schedule::{Lane, Policy};
use crate::time::{Moment, Span};

use super::SessionId;

/// One slice that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub session: SessionId,
    pub node: NodeId,
    pub lane: Lane,
    pub began: Moment,
}

struct Running {
    slice: Slice,
    /// Nanoseconds of a processor that are still to be spent.
    left: f64,
    weight: f64,
    rate: f64,
}

pub(super) struct Processors {
    count: Option<usize>,
    policy: Policy,
    running: Vec<Running>,
    at: Moment,
    edition: u64,
    planned: u64,
    worked: Span,
}

impl Processors {
    pub(super) fn new(count: Option<usize>, policy: Policy) -> Processors {
        Processors {
            count,
            policy,
            running: Vec::new(),
            at: Moment::ZERO,
            edition: 0,
            planned: 0,
            worked: Span::ZERO,
        }
    }

    /// Counts the changes of what runs.
    pub(super) fn edition(&self) -> u64 {
        self.edition
    }

    /// What all slices that began cost.
    pub(super) fn worked(&self) -> Span {
        self.worked
    }

    pub(super) fn start(&mut self, now: Moment, slice: Slice, cost: Span) {
        self.advance(now);
        self.worked += cost;
        self.running.push(Running {
            slice,
            left: cost.nanos().max(0) as f64,
            weight: self.weight(slice.lane),
            rate: 0.0,
        });
        self.share();
    }

    /// The slices that are over at `now`, in the order in which they began.
    pub(super) fn ended(&mut self, now: Moment) -> Vec<Slice> {
        self.advance(now);
        let mut ended = Vec::new();
        self.running.retain(|running| {
            let over = running.left < 0.5;
            if over {
                ended.push(running.slice);
            }
            !over
        });
        self.share();
        ended
    }

    /// When the next slice is over, where that has changed.
    pub(super) fn plan(&mut self, now: Moment) -> Option<(u64, Moment)> {
        if self.planned == self.edition {
            return None;
        }
        self.planned = self.edition;
        let left = |running: &Running| (running.left / running.rate).ceil().max(0.0) as i64;
        let next = self.running.iter().map(left).min()?;
        Some((self.edition, now + Span::from_nanos(next)))
    }

    /// Linux's weights of the nice values that the live host gives its threads (0 and 10).
    fn weight(&self, lane: Lane) -> f64 {
        match lane {
            _ if self.policy != Policy::Ours => 1024.0,
            Lane::Quick | Lane::Listen | Lane::Hear | Lane::See => 1024.0,
            Lane::Think | Lane::Show => 110.0,
        }
    }

    fn advance(&mut self, now: Moment) {
        let passed = (now - self.at).nanos() as f64;
        self.at = now;
        for running in &mut self.running {
            running.left -= passed * running.rate;
        }
    }

    /// By weight, none with more than a whole processor.
    fn share(&mut self) {
        self.edition += 1;
        let crowded = self.count.filter(|count| *count < self.running.len());
        for running in &mut self.running {
            running.rate = if crowded.is_some() { 0.0 } else { 1.0 };
        }
        let Some(count) = crowded else { return };
        let (mut free, mut settled) = (count as f64, false);
        while !settled {
            let open = |running: &&mut Running| running.rate < 1.0;
            let weights: f64 = self.running.iter_mut().filter(open).map(|running| running.weight).sum();
            settled = true;
            let each = free / weights;
            for running in self.running.iter_mut().filter(|running| running.rate < 1.0) {
                running.rate = (running.weight * each).min(1.0);
                if running.rate >= 1.0 {
                    free -= 1.0;
                    settled = false;
                }
            }
        }
    }
}
