//! Properties of graphs under the simulated host, over many seeds.

use std::sync::Mutex;

use super::*;
use crate::gate::{Budget, Gated, Late};
use crate::graph::Source;
use crate::link::Keep;
use crate::media::Flow;
use crate::meter::{Meter, Tally};
use crate::stage::{Engine, Fault, Lost, Outbox, Signal, Stage, Wake};
use crate::stamped::{Mark, Stamped};
use crate::time::MediaTime;

mod load;

#[derive(Clone, Debug, PartialEq)]
struct Unit(u32);
impl Flow for Unit {}

/// Passes units on; each slice costs what a seeded draw says.
struct Slow {
    random: fastrand::Rng,
    longest: Span,
}
impl Engine for Slow {
    type In = Unit;
    type Out = Unit;
    fn run(&mut self, _: Moment, signal: Signal<Unit>, out: &mut Outbox<Unit>) -> Result<Wake, Fault> {
        match signal {
            Signal::Item(item) => {
                out.spend(Span::from_micros(self.random.i64(0..=self.longest.micros())));
                out.put(item);
            }
            Signal::Gap(gap) => out.pass(gap),
            _ => {}
        }
        Ok(Wake::OnSignal)
    }
    fn slice(&self) -> Span {
        self.longest
    }
}

/// Holds each unit back for a fixed time.
struct Delay(Span, Vec<Stamped<Unit>>);
impl Stage for Delay {
    type In = Unit;
    type Out = Unit;
    fn step(&mut self, now: Moment, signal: Signal<Unit>, out: &mut Outbox<Unit>) -> Wake {
        match signal {
            Signal::Item(item) => self.1.push(item),
            Signal::Gap(gap) => out.pass(gap),
            Signal::Flush(_) => self.1.clear(),
            Signal::End => self.1.drain(..).for_each(|item| out.put(item)),
            Signal::Timer => {}
        }
        while self.1.first().is_some_and(|item| item.age(now) >= self.0) {
            out.put(self.1.remove(0));
        }
        self.1
            .first()
            .map_or(Wake::OnSignal, |item| Wake::At(item.born + self.0))
    }
    fn delay(&self) -> Span {
        self.0
    }
}

struct Ears(Heard);
const BUDGET: Budget = Budget {
    outlet: "out",
    span: Span::from_millis(100),
    value: 1.0,
    late: Late::Deliver,
};
impl crate::graph::Sink<Unit> for Ears {
    fn budget(&self, _: &Unit) -> Option<Budget> {
        Some(BUDGET)
    }
    fn take(&mut self, now: Moment, signal: Signal<Unit>) {
        self.0.lock().expect("ears").push((now, signal));
    }
}

type Heard = Arc<Mutex<Vec<(Moment, Signal<Unit>)>>>;

fn draw(seed: u64) -> (Graph, Source<Unit>, Heard) {
    let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
    let (source, units) = graph.source("door", Span::ZERO);
    let units = graph.stage(
        "delay",
        &units,
        Keep::Recent(Span::from_millis(10)),
        None,
        Delay(Span::from_millis(15), vec![]),
    );
    let slow = Slow {
        random: fastrand::Rng::with_seed(seed),
        longest: Span::from_millis(20),
    };
    let units = graph.engine(
        "slow",
        Lane::Hear,
        &units,
        Keep::Recent(Span::from_millis(30)),
        Some(Mark::Decoded),
        slow,
    );
    let heard = Heard::default();
    let sink = graph.sink("ears", &units, Keep::Every(64), Ears(heard.clone()));
    graph.promise(sink, BUDGET, Span::ZERO);
    (graph, source, heard)
}

fn play(seed: u64, sessions: usize, flush: bool) -> (Vec<Step>, Vec<Tally>, Vec<Heard>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut sim = Sim::new(1 + seed as usize % 3);
    let mut all = Vec::new();
    for _ in 0..sessions {
        let (graph, source, heard) = draw(random.u64(..));
        let session = sim.adopt(graph);
        let source = Arc::new(source);
        let mut when = Moment::ZERO;
        for number in 0..100 {
            when += Span::from_micros(random.i64(0..25_000));
            let door = source.clone();
            let signal = Signal::Item(Stamped::new(MediaTime::ZERO, when, Unit(number)));
            sim.at(when, session, source.id(), move |now| door.push(now, signal));
        }
        let door = source.clone();
        sim.at(when, session, source.id(), move |now| door.push(now, Signal::End));
        if flush {
            sim.flush_at(Moment::from_millis(400), session, Why::BargeIn);
        }
        all.push(heard);
    }
    let trace = sim.run(Moment::MAX).to_vec();
    let tallies = (0..sessions)
        .map(|session| sim.graph(session).meter().tally())
        .collect();
    assert!((0..sessions).all(|session| sim.graph(session).finished()));
    (trace, tallies, all)
}

#[test]
fn no_unit_is_older_than_the_worst_case_and_none_vanishes_uncounted() {
    for seed in 0..200 {
        let bound = draw(0).0.worst_case("out").expect("promised");
        assert_eq!(bound, Span::from_millis(10 + 15 + 30 + 20 + 5));
        let (_, tallies, heard) = play(seed, 1 + seed as usize % 4, false);
        for (tally, heard) in tallies.iter().zip(heard) {
            assert!(
                tally.ages["out"].worst() <= bound,
                "seed {seed}: {:?}",
                tally.ages["out"].worst()
            );
            let heard = heard.lock().expect("heard");
            let units = heard
                .iter()
                .filter(|(_, signal)| matches!(signal, Signal::Item(_)))
                .count() as u64;
            let gaps: u64 = heard
                .iter()
                .map(|(_, signal)| {
                    if let Signal::Gap(gap) = signal {
                        u64::from(gap.count)
                    } else {
                        0
                    }
                })
                .sum();
            assert_eq!(units + gaps, 100, "seed {seed}");
            assert_eq!(gaps, tally.lost.values().sum::<u64>(), "seed {seed}");
            assert!(matches!(heard.last(), Some((_, Signal::End))));
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..20 {
        assert_eq!(play(seed, 3, true).0, play(seed, 3, true).0);
    }
}

#[test]
fn after_a_flush_nothing_older_comes_out() {
    for seed in 0..100 {
        for heard in play(seed, 2, true).2 {
            let flushed = Moment::from_millis(400);
            let mut after = false;
            for (_, signal) in heard.lock().expect("heard").iter() {
                match signal {
                    Signal::Flush(why) => {
                        assert_eq!(*why, Why::BargeIn);
                        after = true;
                    }
                    Signal::Item(item) if after => assert!(item.born >= flushed, "seed {seed}"),
                    _ => {}
                }
            }
            assert!(after, "seed {seed}");
        }
    }
}

/// Wants to be woken at once, always, and takes its time.
struct Restless(u32);
impl Engine for Restless {
    type In = Unit;
    type Out = Unit;
    fn run(&mut self, now: Moment, _: Signal<Unit>, out: &mut Outbox<Unit>) -> Result<Wake, Fault> {
        out.spend(Span::from_millis(1));
        self.0 += 1;
        Ok(if self.0 < 50 { Wake::At(now) } else { Wake::OnSignal })
    }
    fn slice(&self) -> Span {
        Span::from_millis(1)
    }
}

#[test]
fn a_timer_that_comes_due_while_its_engine_runs_does_not_stop_time() {
    let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
    let (source, units) = graph.source("door", Span::ZERO);
    let units = graph.engine("restless", Lane::Hear, &units, Keep::Every(64), None, Restless(0));
    graph.sink("ears", &units, Keep::Every(64), |_: Moment, _: Signal<Unit>| {});
    let mut sim = Sim::new(1);
    let session = sim.adopt(graph);
    let source = Arc::new(source);
    for number in 0..20 {
        let door = source.clone();
        let signal = Signal::Item(Stamped::new(MediaTime::ZERO, Moment::ZERO, Unit(number)));
        sim.at(Moment::ZERO, session, source.id(), move |now| door.push(now, signal));
    }
    let slices = sim
        .run(Moment::MAX)
        .iter()
        .filter(|step| step.node == "restless")
        .count();
    assert!((50..=70).contains(&slices), "{slices} slices");
}

#[test]
fn a_gated_engine_refuses_what_would_be_late_and_stays_useful_under_overload() {
    let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
    let (source, units) = graph.source("door", Span::ZERO);
    let slow = Slow {
        random: fastrand::Rng::with_seed(1),
        longest: Span::from_millis(40),
    };
    let gated = Gated::new(slow, BUDGET);
    // Twice as many units as the engine can do, and a link that would let them grow old.
    let units = graph.engine("see", Lane::See, &units, Keep::Every(64), None, gated);
    let heard = Heard::default();
    graph.sink("ears", &units, Keep::Every(64), Ears(heard.clone()));
    let mut sim = Sim::new(1);
    let session = sim.adopt(graph);
    let source = Arc::new(source);
    for number in 0..1_000 {
        let when = Moment::from_millis(i64::from(number) * 10);
        let door = source.clone();
        let signal = Signal::Item(Stamped::new(MediaTime::ZERO, when, Unit(number)));
        sim.at(when, session, source.id(), move |now| door.push(now, signal));
    }
    sim.run(Moment::MAX);
    let tally = sim.graph(session).meter().tally();
    let late = tally.lost.get(&("out", Lost::TooLate)).copied().unwrap_or(0);
    let done = tally.ages["out"].count();
    assert!(tally.lost[&("see", Lost::Refused)] > 100);
    assert!(done > 300 && late * 5 < done, "{done} done, {late} late");
}
