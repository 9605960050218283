//! Budgets, and admission at the door: slow work is refused while it would be late, before any of it is spent.

use crate::stage::{Engine, Fault, Lost, Outbox, Signal, Wake};
use crate::time::{Moment, Span};

/// What happens to a unit that reaches its outlet late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// It is worthless: counted and dropped.
    Shed,
    /// It must not be lost: counted and handed over.
    Deliver,
}

/// How old a unit may be when its outlet hands it over, and what it is worth then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// The outlet's name, in metrics and on the wire.
    pub outlet: &'static str,
    /// The greatest age.
    pub span: Span,
    /// The value of one unit in time.
    pub value: f32,
    /// What happens past the span.
    pub late: Late,
}

impl Budget {
    /// The last moment at which a unit born at `born` is in time.
    pub fn deadline(&self, born: Moment) -> Moment {
        born + self.span
    }
}

/// A learnt 95th percentile, by stochastic approximation: each sample moves it a little, up 19 times as far as down.
#[derive(Clone, Copy, Debug, Default)]
pub struct Percentile95 {
    value: Option<Span>,
}

impl Percentile95 {
    /// Learns from one sample.
    pub fn learn(&mut self, sample: Span) {
        let Some(value) = self.value else {
            self.value = Some(sample);
            return;
        };
        // A step of 1/100 of the larger of both: settles within some hundred samples, follows load within seconds.
        let step = Span::from_nanos((value.max(sample).nanos() / 100).max(1_000));
        self.value = Some(if sample > value {
            (value + step * 19 / 5).min(sample)
        } else {
            (value - step / 5).max(sample)
        });
    }
    /// The estimate; `None` before the first sample.
    pub fn get(&self) -> Option<Span> {
        self.value
    }
}

/// Deadline-aware admission to slow work.
#[derive(Clone, Debug)]
pub struct Gate {
    cost: Percentile95,
    refused: u32,
    probe_after: u32,
}

impl Gate {
    /// A gate that lets one through after `probe_after` refusals in a row, to learn whether things got better.
    pub fn new(probe_after: u32) -> Gate {
        Gate {
            cost: Percentile95::default(),
            refused: 0,
            probe_after,
        }
    }
    /// Whether work that must be done by `deadline` may start at `now`, `queued` being the work already ahead of it.
    pub fn admit(&mut self, now: Moment, queued: Span, deadline: Moment) -> bool {
        let ready = now + queued + self.cost.get().unwrap_or(Span::ZERO);
        if ready <= deadline || self.refused >= self.probe_after {
            self.refused = 0;
            return true;
        }
        self.refused += 1;
        false
    }
    /// Learns what one piece of work took.
    pub fn took(&mut self, cost: Span) {
        self.cost.learn(cost);
    }
}

/// An engine behind a gate: units that could not be done by their deadline are refused before any work is spent on them.
pub struct Gated<E> {
    engine: E,
    gate: Gate,
    budget: Budget,
    working: bool,
}

impl<E: Engine> Gated<E> {
    /// Admits to `engine` what can leave within `budget`; probes after eight refusals in a row.
    pub fn new(engine: E, budget: Budget) -> Gated<E> {
        Gated {
            engine,
            gate: Gate::new(8),
            budget,
            working: false,
        }
    }
}

impl<E: Engine> Engine for Gated<E> {
    type In = E::In;
    type Out = E::Out;
    fn run(&mut self, now: Moment, signal: Signal<E::In>, out: &mut Outbox<E::Out>) -> Result<Wake, Fault> {
        self.working = false;
        if let Signal::Item(item) = &signal {
            if !self.gate.admit(now, Span::ZERO, self.budget.deadline(item.born)) {
                out.lose(Lost::Refused, 1);
                return Ok(Wake::OnSignal);
            }
            self.working = true;
        }
        self.engine.run(now, signal, out)
    }
    fn slice(&self) -> Span {
        self.engine.slice()
    }
    fn delay(&self) -> Span {
        self.engine.delay()
    }
    fn took(&mut self, cost: Span) {
        if self.working {
            self.gate.took(cost);
        }
        self.engine.took(cost);
    }
    fn variant(&self) -> u8 {
        self.engine.variant()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_settles_near_the_truth_and_follows_a_change() {
        for seed in 0..20 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut estimate = Percentile95::default();
            for scale in [1_000, 10_000, 500] {
                let (mut above, mut counted) = (0, 0);
                for i in 0..6_000 {
                    let sample = Span::from_micros(random.i64(0..scale));
                    if i >= 2_000 {
                        counted += 1;
                        above += i32::from(Some(sample) > estimate.get());
                    }
                    estimate.learn(sample);
                }
                let share = f64::from(above) / f64::from(counted);
                assert!((0.02..0.09).contains(&share), "seed {seed} scale {scale}: {share}");
            }
        }
    }

    #[test]
    fn late_work_is_refused_and_probed() {
        let mut gate = Gate::new(3);
        gate.took(Span::from_millis(80));
        let now = Moment::from_millis(1_000);
        assert!(gate.admit(now, Span::ZERO, now + Span::from_millis(100)));
        assert!(!gate.admit(now, Span::from_millis(30), now + Span::from_millis(100)));
        let late = now + Span::from_millis(10);
        let admitted: Vec<bool> = (0..8).map(|_| gate.admit(now, Span::ZERO, late)).collect();
        assert_eq!(admitted, [false, false, true, false, false, false, true, false]);
    }
}
