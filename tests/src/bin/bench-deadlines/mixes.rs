//! The mixes of sessions that machines are loaded with.

use hearsight::simulate::Alone;
use hearsight::simulate::capacity::with_sessions;
use hearsight::simulate::scenario::{Costs, Crowd, Machine, Scenario};
use hearsight_core::network::Network;
use hearsight_core::schedule::{Policy, Strain};
use hearsight_core::time::Span;

/// Of the simulated machine.
pub(crate) const CORES: usize = 4;

/// Parts of those who come, by what they do.
pub(crate) struct Mix {
    pub(crate) name: &'static str,
    /// They talk alone; they show what is read as well; and are watched; and ask as well.
    parts: [usize; 4],
}

pub(crate) const MIXES: [Mix; 4] = [
    Mix {
        name: "everything",
        parts: [4, 3, 2, 1],
    },
    Mix {
        name: "captions",
        parts: [1, 0, 0, 0],
    },
    Mix {
        name: "captions and seeing",
        parts: [1, 1, 0, 0],
    },
    Mix {
        name: "questions",
        parts: [1, 0, 0, 1],
    },
];

impl Mix {
    /// So many sessions, who come by and by in the first fifth of the time.
    pub(crate) fn scenario(&self, count: usize, seed: u64, seconds: i64) -> Scenario {
        let whole = Scenario {
            name: self.name.into(),
            seed,
            length: Span::from_secs(seconds),
            machine: Machine {
                cores: CORES,
                threads: CORES,
                policy: Policy::Ours,
            },
            costs: Costs {
                decode: Span::from_micros(2_500),
                ..Costs::default()
            },
            crowds: self.crowds(),
        };
        let mut scenario = with_sessions(&whole, count);
        for crowd in &mut scenario.crowds {
            crowd.every = Span::from_secs(seconds) / 5 / crowd.count.max(1) as i64;
            crowd.stay = Span::from_secs(seconds) * 4 / 5;
        }
        scenario
    }

    fn crowds(&self) -> Vec<Crowd> {
        let who = ["talk", "show", "watched", "ask"];
        let crowd = |(kind, count): (usize, &usize)| Crowd {
            name: who[kind].into(),
            count: *count,
            from: Span::ZERO,
            every: Span::ZERO,
            stay: Span::from_secs(1),
            network: Network {
                delay: Span::from_millis(20),
                jitter: Span::from_millis(8),
                loss: 0.002,
                reorder: 0.005,
                rate: None,
            },
            talk: 0.5,
            fps: if kind == 0 { 0 } else { 30 },
            reads: kind == 1 || kind == 2,
            watched: kind == 2,
            questions: if kind == 3 { 12.0 } else { 0.0 },
            one_user: false,
        };
        self.parts.iter().enumerate().map(crowd).collect()
    }

    /// How many sessions of this mix take all of the machine, by what they cost alone.
    pub(crate) fn capacity(&self, seed: u64, seconds: i64, alone: &mut Alone) -> f64 {
        let some = 20;
        let scenario = self.scenario(some, seed, seconds);
        let spent = |visit: &hearsight::simulate::Visit| {
            visit
                .tally
                .slices
                .values()
                .map(|slices| slices.sum().secs_f64())
                .sum::<f64>()
        };
        let visits = alone.visits(&scenario, Strain::None);
        let each = visits.iter().map(spent).sum::<f64>() / visits.len().max(1) as f64;
        let stay = seconds as f64 * 0.8;
        CORES as f64 * stay / each
    }
}
