//! What any scheduler could have had at most: a relaxation that bounds them all from above.
//!
//! Every session is run by itself on a machine that has time for all of it, once as it is and once with everything given way that
//! can; what came out is the most it is worth, and the lesser cost of both for each result what it must cost. Then the machine's
//! time is shared out as if it could be divided at will and nothing ever came at a bad moment: a linear programme, whose dual (one
//! price for a second of a processor) is solved. Three things are kept of the drawing: nothing is recognised without being listened
//! to, no word is provisional without being final, and nothing is seen without a picture that was decoded: one for each of its
//! figures, and one for each that is watched. Whoever decodes fewer pictures, from one that stands alone to the next, is not
//! bounded too low by that.

use hearsight_core::gate::Budget;
use hearsight_core::schedule::Strain;
use hearsight_core::time::{Moment, Span};

use super::people::{Person, people};
use super::scenario::Scenario;
use super::{Alone, Visit};
use crate::budget;

/// Something that is worth a value at a cost, and what can be had only with it.
#[derive(Clone, Debug, Default)]
struct Good {
    value: f64,
    seconds: f64,
    needs_it: Vec<Good>,
}

impl Good {
    fn leaf(value: f64, seconds: f64) -> Good {
        Good {
            value,
            seconds,
            needs_it: Vec::new(),
        }
    }

    /// What it is worth beyond the price of its cost, taken or left.
    fn gain(&self, price: f64) -> f64 {
        let more: f64 = self.needs_it.iter().map(|good| good.gain(price)).sum();
        (self.value - price * self.seconds + more).max(0.0)
    }
}

/// The most that could have been had of the values of a scenario, and what an unlimited machine has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// By any scheduler on the scenario's machine within `over`.
    pub most: f64,
    /// With time for everything.
    pub whole: f64,
}

/// Bounds what can be had of a scenario in `over`.
pub fn bound(scenario: &Scenario, alone: &mut Alone, over: Span) -> Bound {
    bound_of(scenario, alone, over, |_| true)
}

/// As [`bound`], of some of those who come, by their number, where nobody else is let in.
pub fn bound_of(scenario: &Scenario, alone: &mut Alone, over: Span, some: impl Fn(usize) -> bool) -> Bound {
    let visits = alone.visits(scenario, Strain::None);
    let strained = alone.visits(scenario, Strain::Newcomers);
    let both = visits.iter().zip(&strained).enumerate();
    let goods: Vec<Good> = both
        .filter(|(number, _)| some(*number))
        .flat_map(|(_, (whole, strained))| goods(whole, strained))
        .collect();
    let seconds = usable(scenario).min(over).secs_f64() * scenario.machine.cores as f64;
    let total = |price: f64| price * seconds + goods.iter().map(|good| good.gain(price)).sum::<f64>();
    // Convex in the price: what costs a microsecond is worth its value at any price below this.
    let (mut low, mut high) = (0.0, 1e7);
    for _ in 0..200 {
        let third = (high - low) / 3.0;
        if total(low + third) <= total(high - third) {
            high -= third;
        } else {
            low += third;
        }
    }
    Bound {
        most: total(low).min(total(0.0)),
        whole: total(0.0),
    }
}

/// For how long there is anything to do that could still be in time: nothing but answers may take longer than a reading, and they
/// count as free.
fn usable(scenario: &Scenario) -> Span {
    let leaves = |person: &Person| person.arrives + scenario.crowds[person.crowd].stay;
    let last = people(scenario).iter().map(leaves).max();
    last.map_or(Span::ZERO, |last| last - Moment::ZERO) + budget::READING.span
}

/// What an engine took of a visit.
fn cost(visit: &Visit, engine: &str) -> f64 {
    let slices = visit.tally.slices.get(engine);
    slices.map_or(0.0, |slices| slices.sum().secs_f64())
}

fn goods(whole: &Visit, strained: &Visit) -> [Good; 2] {
    let value = |budget: &Budget| whole.in_time(budget) as f64 * f64::from(budget.value);
    // As many as whole, each at the lesser cost: strain makes some cheaper, and leaves some out.
    let cheapest = |engine: &str, budget: &Budget| {
        let each = |visit: &Visit| match visit.in_time(budget) {
            0 => f64::INFINITY,
            count => cost(visit, engine) / count as f64,
        };
        match whole.in_time(budget) {
            0 => 0.0,
            count => each(whole).min(each(strained)) * count as f64,
        }
    };
    let settled = cheapest("recognise", &budget::WORDS_FINAL);
    let provisional = (cost(whole, "recognise") - settled).max(0.0);
    let words = Good {
        value: value(&budget::WORDS_FINAL),
        seconds: settled,
        needs_it: vec![Good::leaf(value(&budget::WORDS_PARTIAL), provisional)],
    };
    let listening = Good {
        value: value(&budget::TURN),
        seconds: cost(whole, "vad"),
        needs_it: vec![words],
    };
    let coded = whole.tally.slices.get("encode").map_or(0, |slices| slices.count());
    let views = value(&budget::VIEW);
    let made = whole.made as f64 / coded.max(1) as f64;
    let (smooth, encode) = (cost(whole, "smooth"), cost(whole, "encode"));
    let decoded = whole.tally.slices.get("decode").map_or(0, |slices| slices.count());
    let decode = cost(whole, "decode");
    // Whatever is read or asked about can do with the pictures that figures are of.
    let least = decode * (whole.in_time(&budget::PICTURE) as f64 / decoded.max(1) as f64).min(1.0);
    let received = Good {
        value: views * (1.0 - made).max(0.0),
        seconds: decode - least + encode * (1.0 - made).max(0.0),
        needs_it: vec![Good::leaf(views * made, smooth + encode * made)],
    };
    let answers = value(&budget::ANSWER) + value(&budget::whole_answer(super::rooms::ALLOWED));
    let seeing = Good {
        value: value(&budget::PICTURE),
        seconds: least,
        needs_it: vec![
            Good::leaf(value(&budget::READING), cheapest("read", &budget::READING)),
            received,
            Good::leaf(answers, 0.0),
        ],
    };
    [listening, seeing]
}
