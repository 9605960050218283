//! Properties of the pull host, over drawings, links and bursts that seeds choose.

use std::sync::Mutex;

use super::*;
use crate::link::Keep;
use crate::meter::Meter;
use crate::schedule::Lane;
use crate::stage::{Engine, Fault, Outbox, Stage, Wake};
use crate::time::{MediaTime, Span};

#[derive(Clone, Debug, PartialEq)]
struct Unit(u32);
impl Flow for Unit {}

fn unit(number: u32) -> Stamped<Unit> {
    Stamped::new(MediaTime::from_millis(number.into()), Moment::ZERO, Unit(number))
}

/// Keeps units to itself and lets them go in bursts, as a decoder does that reorders; the rest at the end.
struct Bursts {
    random: fastrand::Rng,
    most: usize,
    held: Vec<Stamped<Unit>>,
}

impl Engine for Bursts {
    type In = Unit;
    type Out = Unit;
    fn run(&mut self, _: Moment, signal: Signal<Unit>, out: &mut Outbox<Unit>) -> Result<Wake, Fault> {
        match signal {
            Signal::Item(item) => {
                self.held.push(item);
                if self.held.len() >= self.random.usize(1..=self.most) {
                    self.held.drain(..).for_each(|item| out.put(item));
                }
            }
            Signal::Gap(gap) => out.pass(gap),
            Signal::End => self.held.drain(..).for_each(|item| out.put(item)),
            Signal::Flush(_) | Signal::Timer => {}
        }
        Ok(Wake::OnSignal)
    }
    fn slice(&self) -> Span {
        Span::from_millis(1)
    }
}

/// Holds each unit back until a timer.
#[derive(Default)]
struct Later(Vec<Stamped<Unit>>);

impl Stage for Later {
    type In = Unit;
    type Out = Unit;
    fn step(&mut self, now: Moment, signal: Signal<Unit>, out: &mut Outbox<Unit>) -> Wake {
        match signal {
            Signal::Item(item) => self.0.push(item),
            Signal::Gap(gap) => out.pass(gap),
            Signal::Timer => self.0.drain(..).for_each(|item| out.put(item)),
            Signal::Flush(_) | Signal::End => {}
        }
        if self.0.is_empty() {
            Wake::OnSignal
        } else {
            Wake::At(now + Span::from_secs(60))
        }
    }
}

type Heard = Arc<Mutex<(Vec<u32>, bool)>>;

fn keep(random: &mut fastrand::Rng) -> Keep {
    match random.u8(0..4) {
        0 => Keep::Latest,
        1 => Keep::Recent(Span::from_millis(random.i64(0..50))),
        2 => Keep::Every(random.usize(0..3)),
        _ => Keep::Every(random.usize(1..40)),
    }
}

/// A line of bursting nodes that forks into sinks at its end, `units` going in; with what each sink heard.
fn drawn(seed: u64, units: u32) -> (Pull, Vec<Heard>, Meter) {
    let mut random = fastrand::Rng::with_seed(seed);
    let meter = Meter::default();
    let mut graph = Graph::new(meter.clone(), Arc::new(|_| {}));
    let (source, mut line) = graph.source::<Unit>("source", Span::ZERO);
    for name in ["first", "second", "third"] {
        let lane = [Lane::Quick, Lane::Hear, Lane::See][random.usize(0..3)];
        let bursts = Bursts {
            random: random.fork(),
            most: random.usize(1..70),
            held: Vec::new(),
        };
        line = graph.engine(name, lane, &line, keep(&mut random), None, bursts);
    }
    let heard: Vec<Heard> = (0..random.usize(1..4)).map(|_| Heard::default()).collect();
    for ears in &heard {
        let ears = Arc::clone(ears);
        graph.sink("sink", &line, keep(&mut random), move |_, signal: Signal<Unit>| {
            let mut heard = ears.lock().unwrap();
            match signal {
                Signal::Item(item) => heard.0.push(item.item.0),
                Signal::Gap(gap) => panic!("seed {seed}: {gap:?}"),
                Signal::End => heard.1 = true,
                Signal::Flush(_) | Signal::Timer => {}
            }
        });
    }
    let mut pull = Pull::new(graph);
    let mut numbers = 0..units;
    pull.feed(source, move || numbers.next().map(unit));
    (pull, heard, meter)
}

fn all_came_in_order(heard: &[Heard], units: u32, meter: &Meter, seed: u64) {
    for ears in heard {
        let heard = ears.lock().unwrap();
        assert!(heard.0.iter().copied().eq(0..units), "seed {seed}: {:?}", heard.0);
        assert!(heard.1, "seed {seed}: no end");
    }
    assert!(meter.tally().lost.is_empty(), "seed {seed}: {:?}", meter.tally().lost);
}

#[test]
fn nothing_is_lost_and_order_holds_whatever_the_links_keep() {
    for seed in 0..400 {
        let (mut pull, heard, meter) = drawn(seed, 200);
        pull.run();
        assert!(pull.is_over(), "seed {seed}");
        all_came_in_order(&heard, 200, &meter, seed);
    }
}

#[test]
fn turns_may_come_back_in_any_order() {
    for seed in 0..400 {
        let mut random = fastrand::Rng::with_seed(!seed);
        let (mut pull, heard, meter) = drawn(seed, 100);
        let mut under_way: Vec<Turn> = Vec::new();
        loop {
            let turn = if under_way.len() < 3 { pull.claim() } else { None };
            if let Some(turn) = turn {
                under_way.push(turn);
            } else if under_way.is_empty() {
                break;
            } else {
                let turn = under_way.swap_remove(random.usize(0..under_way.len()));
                let took = turn.take();
                pull.done(&turn, took);
            }
        }
        assert!(pull.is_over(), "seed {seed}");
        all_came_in_order(&heard, 100, &meter, seed);
    }
}

#[test]
fn memory_is_what_the_links_keep() {
    for seed in 0..100 {
        let (mut pull, _, meter) = drawn(seed, 500);
        pull.run();
        assert!(meter.tally().depths.values().all(|depth| *depth <= 40), "seed {seed}");
    }
}

#[test]
fn time_goes_on_only_when_nothing_else_does() {
    let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
    let (source, line) = graph.source::<Unit>("source", Span::ZERO);
    graph.stage("later", &line, Keep::Every(2), None, Later::default());
    let mut pull = Pull::new(graph);
    let mut numbers = 0..3;
    pull.feed(source, move || numbers.next().map(unit));
    let mut steps = Vec::new();
    while let Some(turn) = pull.claim() {
        steps.push((turn.now, turn.node().is_some()));
        let took = turn.take();
        pull.done(&turn, took);
    }
    // Each unit is taken before the next goes in, then the end; the stage is over before its timer comes.
    assert_eq!(steps.iter().filter(|(_, node)| *node).count(), 4);
    assert!(steps.iter().all(|(now, _)| *now == Moment::ZERO));
    assert!(pull.is_over());
}

#[test]
fn a_timer_comes_when_the_source_is_busy_elsewhere() {
    let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
    let (source, line) = graph.source::<Unit>("source", Span::ZERO);
    let line = graph.stage("later", &line, Keep::Every(2), None, Later::default());
    let heard = Heard::default();
    let ears = Arc::clone(&heard);
    graph.sink("sink", &line, Keep::Latest, move |_, signal: Signal<Unit>| {
        if let Signal::Item(item) = signal {
            ears.lock().unwrap().0.push(item.item.0);
        }
    });
    let pull = Pull::new(graph);
    // No door: what is pushed by hand is all there is for now.
    source.push(Moment::ZERO, Signal::Item(unit(7)));
    let mut pull = pull;
    pull.run();
    assert_eq!(pull.now, Moment::ZERO + Span::from_secs(60));
    assert_eq!(heard.lock().unwrap().0, [7]);
}
