//! What a simulation came to, in figures and in tables for people.

use std::collections::BTreeMap;
use std::fmt::Write;

use hearsight_core::gate::{Budget, Late};
use hearsight_core::meter::{Histogram, Tally};
use hearsight_core::schedule::Strain;
use hearsight_core::stage::Lost;
use hearsight_core::time::Span;

use super::scenario::Scenario;
use super::{OUTLETS, Outcome, Visit};
use crate::budget;

/// One outlet of all sessions.
#[derive(Clone, Debug)]
pub struct Outlet {
    /// Its budget.
    pub budget: Budget,
    /// What an unlimited machine has for everybody who came, in time.
    pub wanted: u64,
    /// What came in time.
    pub in_time: u64,
    /// What came late.
    pub late: u64,
    /// How old what came was.
    pub ages: Histogram,
}

/// All figures of one simulation.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Who came, and who was let in.
    pub came: usize,
    /// Who was let in.
    pub admitted: usize,
    /// Value of what came in time, each second.
    pub goodput: f64,
    /// And of what an unlimited machine has.
    pub wanted: f64,
    /// By outlet, in the order of [`OUTLETS`].
    pub outlets: Vec<Outlet>,
    /// Final words in time, of those that the admitted said; none where they said none.
    pub final_words: Option<f64>,
    /// What was lost, by stage and reason.
    pub lost: BTreeMap<(&'static str, Lost), u64>,
    /// The part of the looks at which each strain was in force.
    pub strain: BTreeMap<Strain, f64>,
    /// Processor time of all slices over that of the machine.
    pub busy: f64,
    /// Over which goodput counts.
    pub over: Span,
}

impl Figures {
    /// What came to all who came to `outcome`; `alone` is what each had alone.
    pub fn new(scenario: &Scenario, outcome: &Outcome, alone: &[Visit]) -> Figures {
        let over = (outcome.until - hearsight_core::time::Moment::ZERO).max(scenario.length);
        let pairs: Vec<_> = outcome.visits.iter().zip(alone).collect();
        let outlets = OUTLETS.map(|budget| outlet(budget, &pairs)).to_vec();
        let value = |outlet: &Outlet, count: u64| f64::from(outlet.budget.value) * count as f64;
        let admitted: Vec<_> = pairs.iter().filter(|(visit, _)| visit.admitted).collect();
        let said: usize = admitted.iter().map(|(_, alone)| alone.words).sum();
        let heard: usize = admitted
            .iter()
            .map(|(visit, alone)| visit.in_time.min(alone.words))
            .sum();
        let mut tally = Tally::default();
        outcome.visits.iter().for_each(|visit| tally.merge(&visit.tally));
        let looks = outcome.looks.len().max(1) as f64;
        let mut strain = BTreeMap::new();
        for look in &outcome.looks {
            *strain.entry(look.strain).or_default() += 1.0 / looks;
        }
        Figures {
            came: outcome.visits.len(),
            admitted: admitted.len(),
            goodput: outlets.iter().map(|outlet| value(outlet, outlet.in_time)).sum::<f64>() / over.secs_f64(),
            wanted: outlets.iter().map(|outlet| value(outlet, outlet.wanted)).sum::<f64>() / over.secs_f64(),
            final_words: (said > 0).then(|| heard as f64 / said as f64),
            outlets,
            lost: tally.lost,
            strain,
            busy: outcome.worked.1.secs_f64() / (over.secs_f64() * scenario.machine.cores as f64),
            over,
        }
    }

    /// What came in time of what an unlimited machine has, by value.
    pub fn delivered_share(&self) -> f64 {
        if self.wanted > 0.0 {
            self.goodput / self.wanted
        } else {
            1.0
        }
    }

    /// An outlet by its budget.
    pub fn outlet(&self, budget: &Budget) -> Option<&Outlet> {
        self.outlets.iter().find(|outlet| outlet.budget.outlet == budget.outlet)
    }

    /// Whether everybody was let in, and `share` of what they wanted came in time at every outlet, and every final word.
    pub fn holds(&self, share: f64) -> bool {
        let enough = |outlet: &Outlet| outlet.in_time as f64 >= share * outlet.wanted as f64;
        self.admitted == self.came
            && self.outlets.iter().all(enough)
            && self.final_words.is_none_or(|share| share >= 0.999)
    }

    /// The tables.
    pub fn tell(&self) -> String {
        let mut text = String::new();
        let seconds = self.over.secs_f64();
        let _ = writeln!(
            text,
            "{} of {} sessions let in; {:.1} of {:.1} in value a second in time, over {seconds:.0} s; engines busy {:.0} %",
            self.admitted,
            self.came,
            self.goodput,
            self.wanted,
            self.busy * 100.0
        );
        if let Some(share) = self.final_words {
            let _ = writeln!(text, "final words of those let in, in time: {:.2} %", share * 100.0);
        }
        let _ = writeln!(
            text,
            "\n{:14} {:>7} {:>8} {:>6} {:>7}  {:>7} {:>7} {:>7}",
            "outlet", "in time", "of", "late", "budget", "p50", "p99", "p99.9"
        );
        for outlet in self
            .outlets
            .iter()
            .filter(|outlet| outlet.wanted + outlet.ages.count() > 0)
        {
            let age = |q| {
                outlet
                    .ages
                    .quantile(q)
                    .map_or("-".into(), |age| format!("{:.0} ms", age.millis_f64()))
            };
            let _ = writeln!(
                text,
                "{:14} {:>7} {:>8} {:>6} {:>4} ms  {:>7} {:>7} {:>7}",
                outlet.budget.outlet,
                outlet.in_time,
                outlet.wanted,
                outlet.late,
                outlet.budget.span.millis_f64(),
                age(0.5),
                age(0.99),
                age(0.999)
            );
        }
        self.tell_losses(&mut text);
        text
    }

    fn tell_losses(&self, text: &mut String) {
        if !self.lost.is_empty() {
            let _ = writeln!(text, "\n{:14} {:12} {:>8}", "lost at", "why", "units");
        }
        for ((stage, why), count) in &self.lost {
            let _ = writeln!(text, "{stage:14} {:12} {count:>8}", why.name());
        }
        let given = self.strain.iter().filter(|(strain, _)| **strain > Strain::None);
        let given: Vec<_> = given
            .map(|(strain, share)| format!("{} {:.0} %", strain.name(), share * 100.0))
            .collect();
        if !given.is_empty() {
            let _ = writeln!(text, "\ngiving way, up to: {} of the time", given.join(", "));
        }
    }
}

fn outlet(budget: Budget, pairs: &[(&Visit, &Visit)]) -> Outlet {
    let late = (budget.outlet, Lost::TooLate);
    let mut outlet = Outlet {
        budget,
        wanted: 0,
        in_time: 0,
        late: 0,
        ages: Histogram::default(),
    };
    for (visit, alone) in pairs {
        let wanted = alone.in_time(&budget);
        outlet.wanted += wanted;
        outlet.late += visit.tally.lost.get(&late).copied().unwrap_or(0);
        if let Some(ages) = visit.tally.ages.get(budget.outlet) {
            outlet.ages.merge(ages);
        }
        // Holes break segments in two: more results than an unlimited machine has are no gain.
        outlet.in_time += in_time(visit, alone, &budget).min(wanted);
    }
    outlet
}

/// Final words count by the word: a segment with holes is not worth a whole one. Turns count where they were.
fn in_time(visit: &Visit, alone: &Visit, budget: &Budget) -> u64 {
    if budget.outlet == budget::TURN.outlet {
        return visit.right_turns(alone);
    }
    if budget.outlet != budget::WORDS_FINAL.outlet || budget.late != Late::Deliver {
        return visit.in_time(budget);
    }
    let share = visit.in_time as f64 / alone.words.max(1) as f64;
    (share.min(1.0) * alone.in_time(budget) as f64).round() as u64
}
