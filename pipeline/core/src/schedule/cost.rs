//! What engines take: learnt from every slice, and forgotten where nothing is heard of them.

use std::collections::BTreeMap;

use super::Phase;
use crate::gate::Percentile95;
use crate::time::{Moment, Span};

/// An estimate that nothing confirms is halved in this time, so that what was refused for its cost is tried again.
const FORGET: Span = Span::from_secs(10);

/// Which work an estimate is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// The engine's name in the drawing.
    pub engine: &'static str,
    /// The configuration it ran in: [`crate::stage::Engine::variant`].
    pub variant: u8,
    /// Up to the first result, or after it.
    pub phase: Phase,
}

#[derive(Clone, Copy, Debug)]
struct Estimate {
    p95: Percentile95,
    learnt: Moment,
}

/// The 95th percentiles of what one unit takes, by engine and configuration, for a whole process.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    estimates: BTreeMap<Service, Estimate>,
}

impl Costs {
    /// Learns what one unit took.
    pub fn learn(&mut self, now: Moment, work: Service, took: Span) {
        let fresh = Estimate {
            p95: Percentile95::default(),
            learnt: now,
        };
        let estimate = self.estimates.entry(work).or_insert(fresh);
        estimate.p95.learn(took);
        estimate.learnt = now;
    }

    /// What one unit is likely to take; zero where nothing is known.
    pub fn of(&self, now: Moment, work: Service) -> Span {
        let Some(estimate) = self.estimates.get(&work) else {
            return Span::ZERO;
        };
        let halvings = ((now - estimate.learnt).nanos() / FORGET.nanos()).clamp(0, 62);
        let known = estimate.p95.get().unwrap_or(Span::ZERO);
        Span::from_nanos(known.nanos() >> halvings)
    }

    /// What engines further along are likely to take for a first result, in the configuration they run in most cheaply.
    pub(super) fn ahead(&self, now: Moment, engines: &[&'static str]) -> Span {
        let least = |engine: &&'static str| {
            let from = Service {
                engine,
                variant: 0,
                phase: Phase::First,
            };
            let known = self
                .estimates
                .range(from..)
                .take_while(|(work, _)| work.engine == *engine);
            let first = known.filter(|(work, _)| work.phase == Phase::First);
            first.map(|(work, _)| self.of(now, *work)).min().unwrap_or(Span::ZERO)
        };
        engines.iter().map(least).sum()
    }
}
