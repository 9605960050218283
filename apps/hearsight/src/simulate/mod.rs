//! Any mix of sessions, talkers, networks, engine costs and machines, in virtual time: the same drawing as the server's, the
//! same schedule, and who comes and what they say drawn from a seed.
//!
//! `hearsight simulate SCENARIO.toml` tells what came in time, how old it was and what was lost, draws it, and estimates how many
//! such sessions a machine holds. Start at [`run`]; [`scenario`] says what can be asked, [`oracle`] what could have been had at
//! most, `docs/deadlines.md` what it is good for.

pub mod capacity;
pub mod command;
mod ears;
pub mod oracle;
mod people;
mod plot;
pub mod report;
pub mod rooms;
pub mod scenario;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::PoisonError;

use hearsight_core::gate::Budget;
use hearsight_core::meter::Tally;
use hearsight_core::schedule::{Gauge, Strain};
use hearsight_core::sim::{self, SessionId, Sim};
use hearsight_core::time::{Moment, Span};

use crate::budget;
use ears::{Ears, Seconds};
pub use ears::{Second, Turned};
use people::{Person, Watching, enter, people};
use rooms::ALLOWED;
use scenario::Scenario;

/// The outlets that are looked at, with their budgets.
pub const OUTLETS: [Budget; 8] = [
    budget::WORDS_FINAL,
    budget::TURN,
    budget::WORDS_PARTIAL,
    budget::ANSWER,
    budget::whole_answer(ALLOWED),
    budget::READING,
    budget::PICTURE,
    budget::VIEW,
];

/// What became of one who came.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Of which crowd.
    pub crowd: usize,
    /// Whether they were let in.
    pub admitted: bool,
    /// Words that they said.
    pub spoken: usize,
    /// Those that came back as final words.
    pub words: usize,
    /// And in time.
    pub in_time: usize,
    /// Turns that were told in time.
    pub turns: Vec<Turned>,
    /// Pictures that were made between others.
    pub made: u64,
    /// What their graph counted.
    pub tally: Tally,
}

impl Visit {
    /// How many came out of an outlet within its budget.
    pub fn in_time(&self, budget: &Budget) -> u64 {
        let delivered = self.tally.ages.get(budget.outlet).map_or(0, |ages| ages.count());
        let late = (budget.outlet, hearsight_core::stage::Lost::TooLate);
        match budget.late {
            hearsight_core::gate::Late::Deliver => delivered - self.tally.lost.get(&late).copied().unwrap_or(0),
            hearsight_core::gate::Late::Shed => delivered,
        }
    }

    /// How many of somebody's turns, as an unlimited machine tells them, were told in time and at the right place. One whose sound
    /// was lost is told of where sound comes again, and that is not where it was.
    fn right_turns(&self, alone: &Visit) -> u64 {
        let mut told = self.turns.iter().peekable();
        let right = alone.turns.iter().filter(|true_one| {
            while told.next_if(|turn| turn.at < true_one.at - MISPLACED).is_some() {}
            let mut here = told.clone().take_while(|turn| turn.at <= true_one.at + MISPLACED);
            here.any(|turn| turn.stopped == true_one.stopped)
        });
        right.count() as u64
    }
}

/// A turn told further away from where it was is not that turn.
const MISPLACED: Span = Span::from_millis(50);

/// How the machine stood at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// When.
    pub at: Moment,
    /// What gave way.
    pub strain: Strain,
    /// Sessions that were here.
    pub here: usize,
}

/// What came of a simulation.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Everybody who came, in the order of arrival.
    pub visits: Vec<Visit>,
    /// How the machine stood, ten times a second.
    pub looks: Vec<Look>,
    /// What its seconds were like.
    pub seconds: BTreeMap<i64, Second>,
    /// When the last session was over.
    pub until: Moment,
    /// Slices, and what they cost.
    pub worked: (u64, Span),
}

/// One who is in the simulation.
struct Present {
    person: usize,
    session: SessionId,
    ears: std::sync::Arc<Ears>,
    _watching: Watching,
}

#[derive(Default)]
struct Ledger {
    present: Vec<Present>,
    visits: BTreeMap<usize, Visit>,
    looks: Vec<Look>,
    until: Moment,
}

impl Ledger {
    fn close(&mut self, sim: &Sim, person: usize, people: &[Person]) {
        let Some(place) = self.present.iter().position(|present| present.person == person) else {
            return;
        };
        let present = self.present.swap_remove(place);
        let heard = present.ears.heard().clone();
        self.until = sim.now();
        let visit = Visit {
            admitted: true,
            words: heard.words,
            in_time: heard.in_time,
            turns: heard.turns,
            made: heard.counts.map_or(0, |counts| counts.of(crate::view::Origin::Made)),
            tally: sim.graph(present.session).meter().tally(),
            ..absent(&people[person])
        };
        self.visits.insert(person, visit);
    }
}

fn absent(person: &Person) -> Visit {
    Visit {
        crowd: person.crowd,
        admitted: false,
        spoken: person.talk.len(),
        words: 0,
        in_time: 0,
        turns: Vec::new(),
        made: 0,
        tally: Tally::default(),
    }
}

/// Runs a scenario.
pub fn run(scenario: &Scenario) -> Outcome {
    let machine = sim::Machine {
        workers: scenario.machine.threads,
        processors: Some(scenario.machine.cores),
        policy: scenario.machine.policy,
    };
    play(scenario, machine, people(scenario), None)
}

/// What each has who is alone on a machine with time for all of it. Whoever was alone once is known: for scenarios that differ
/// in how many come, how soon, and on what machine, and in nothing else.
#[derive(Debug, Default)]
pub struct Alone {
    known: BTreeMap<(u64, Strain), Visit>,
}

impl Alone {
    /// Everybody of a scenario by themselves, held at one strain.
    pub fn visits(&mut self, scenario: &Scenario, strain: Strain) -> Vec<Visit> {
        let machine = sim::Machine {
            workers: 4,
            processors: None,
            policy: hearsight_core::schedule::Policy::Ours,
        };
        let gauge = Gauge::fixed(strain);
        let by_itself = |person: Person| {
            let key = (person.seed, strain);
            if let Some(visit) = self.known.get(&key) {
                return visit.clone();
            }
            let none = absent(&person);
            let first = Person {
                arrives: Moment::ZERO,
                ..person
            };
            let outcome = play(scenario, machine, vec![first], Some(gauge.clone()));
            let visit = outcome.visits.into_iter().next().unwrap_or(none);
            self.known.insert(key, visit.clone());
            visit
        };
        people(scenario).into_iter().map(by_itself).collect()
    }
}

fn play(scenario: &Scenario, machine: sim::Machine, people: Vec<Person>, gauge: Option<Gauge>) -> Outcome {
    let mut sim = Sim::on(machine);
    sim.forget();
    let (people, scenario) = (Rc::new(people), Rc::new(scenario.clone()));
    let (ledger, seconds) = (Rc::new(RefCell::new(Ledger::default())), Seconds::default());
    for (number, person) in people.iter().enumerate() {
        let (people, scenario, gauge) = (people.clone(), scenario.clone(), gauge.clone());
        let (ledger, seconds) = (ledger.clone(), seconds.clone());
        sim.visit_at(person.arrives, move |sim| {
            if gauge.is_none() && sim.admit().is_err() {
                return;
            }
            let ears = Ears::new(&seconds);
            let (session, gone, watching) = enter(sim, &scenario, &people[number], &ears, gauge.as_ref());
            ledger.borrow_mut().present.push(Present {
                person: number,
                session,
                ears,
                _watching: watching,
            });
            sim.visit_at(gone, move |sim| {
                sim.leave(session);
                ledger.borrow_mut().close(sim, number, &people);
            });
        });
    }
    look_on(&mut sim, &ledger, Moment::ZERO + scenario.length);
    sim.run(Moment::MAX);
    let worked = sim.worked();
    let mut ledger = ledger.take();
    let visits = people
        .iter()
        .enumerate()
        .map(|(number, person)| ledger.visits.remove(&number).unwrap_or_else(|| absent(person)));
    let seconds = std::mem::take(&mut *seconds.lock().unwrap_or_else(PoisonError::into_inner));
    Outcome {
        visits: visits.collect(),
        looks: ledger.looks,
        seconds,
        until: ledger.until,
        worked,
    }
}

/// Notes how the machine stands, ten times a second.
fn look_on(sim: &mut Sim, ledger: &Rc<RefCell<Ledger>>, until: Moment) {
    let mut at = Moment::ZERO;
    while at <= until {
        let ledger = ledger.clone();
        sim.visit_at(at, move |sim| {
            let mut ledger = ledger.borrow_mut();
            let look = Look {
                at: sim.now(),
                strain: sim.load().strain,
                here: ledger.present.len(),
            };
            ledger.looks.push(look);
        });
        at += Span::from_millis(100);
    }
}
