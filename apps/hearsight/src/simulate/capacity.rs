//! How many sessions of a scenario's mix a machine holds within budget.

use super::report::Figures;
use super::scenario::Scenario;
use super::{Alone, run};
use hearsight_core::schedule::Strain;
use hearsight_core::time::Span;

/// This part of what every outlet could have must come in time for a machine to hold its sessions.
pub const SHARE: f64 = 0.99;
/// More sessions than these are not tried.
const MOST: usize = 4_000;
/// All of them come within this time, so that they are here together.
const ARRIVAL: Span = Span::from_secs(2);

/// The scenario with its crowds in the same proportions, `count` sessions in all, who all come at the beginning and stay.
pub fn with_sessions(scenario: &Scenario, count: usize) -> Scenario {
    let all: usize = scenario.crowds.iter().map(|crowd| crowd.count).sum();
    let mut scaled = scenario.clone();
    let (mut before, mut given) = (0, 0);
    for crowd in &mut scaled.crowds {
        before += crowd.count;
        // Largest remainders would favour large crowds; running totals favour none.
        let until = (count * before + all / 2) / all.max(1);
        crowd.count = until - given;
        given = until;
        crowd.from = Span::ZERO;
        crowd.every = ARRIVAL / (crowd.count.max(1) as i64);
        crowd.stay = scenario.length;
    }
    scaled
}

/// The most sessions of a scenario's mix that its machine holds: everybody let in, every final word in time, and [`SHARE`] of all
/// else. None where it does not hold one; `told` hears of every number that is tried.
pub fn estimate(scenario: &Scenario, mut told: impl FnMut(usize, &Figures)) -> Option<usize> {
    let mut alone = Alone::default();
    let mut holds = |count: usize| {
        let scaled = with_sessions(scenario, count);
        let figures = Figures::new(&scaled, &run(&scaled), &alone.visits(&scaled, Strain::None));
        told(count, &figures);
        figures.holds(SHARE)
    };
    let mut most = 1;
    if !holds(most) {
        return None;
    }
    let mut too_many = loop {
        let next = most * 2;
        if next > MOST {
            return Some(most);
        }
        if !holds(next) {
            break next;
        }
        most = next;
    };
    while too_many - most > 1 + most / 16 {
        let between = (most + too_many) / 2;
        if holds(between) {
            most = between;
        } else {
            too_many = between;
        }
    }
    Some(most)
}
