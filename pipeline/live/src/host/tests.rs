use std::sync::mpsc::{Receiver, sync_channel};

use hearsight_core::link::Keep;
use hearsight_core::meter::Meter;
use hearsight_core::stage::{Engine, Fault, Outbox, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::MediaTime;

use super::*;

#[derive(Clone, Debug, PartialEq)]
struct Unit(u32);
impl Flow for Unit {}

/// Passes units on; falls over at one of them.
struct Relay {
    fatal: Option<u32>,
}
impl Engine for Relay {
    type In = Unit;
    type Out = Unit;
    fn run(&mut self, _: Moment, signal: Signal<Unit>, out: &mut Outbox<Unit>) -> Result<Wake, Fault> {
        match signal {
            Signal::Item(item) => {
                assert_ne!(Some(item.item.0), self.fatal, "told to panic");
                out.put(item);
            }
            Signal::Gap(gap) => out.pass(gap),
            _ => {}
        }
        Ok(Wake::OnSignal)
    }
    fn slice(&self) -> Span {
        Span::from_millis(1)
    }
}

fn draw(fatal: Option<u32>) -> (Graph, Source<Unit>, Receiver<Signal<Unit>>) {
    let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
    let (source, units) = graph.source("door", Span::ZERO);
    let units = graph.engine("first", Lane::Hear, &units, Keep::Every(400), None, Relay { fatal });
    let units = graph.engine(
        "second",
        Lane::See,
        &units,
        Keep::Every(400),
        None,
        Relay { fatal: None },
    );
    let (heard, ears) = sync_channel(1_024);
    graph.sink("ears", &units, Keep::Every(400), move |_, signal| {
        let _ = heard.try_send(signal);
    });
    (graph, source, ears)
}

fn unit(number: u32) -> Signal<Unit> {
    Signal::Item(Stamped::new(MediaTime::ZERO, Moment::ZERO, Unit(number)))
}

fn heard(ears: &Receiver<Signal<Unit>>) -> Vec<u32> {
    let mut units = Vec::new();
    loop {
        match ears.recv_timeout(Duration::from_secs(20)).expect("the session ends") {
            Signal::Item(item) => units.push(item.item.0),
            Signal::End => return units,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_in_order_on_any_number_of_threads() {
    for threads in 1..=3 {
        let host = Host::start(Clock::new(), threads).expect("threads");
        let sessions: Vec<_> = (0..4)
            .map(|_| {
                let (graph, source, ears) = draw(None);
                (host.adopt(graph), source, ears)
            })
            .collect();
        for number in 0..300 {
            sessions
                .iter()
                .for_each(|(session, source, _)| session.push(source, unit(number)));
        }
        sessions
            .iter()
            .for_each(|(session, source, _)| session.push(source, Signal::End));
        for (_, _, ears) in &sessions {
            assert_eq!(heard(ears), (0..300).collect::<Vec<_>>());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_its_own_engine_and_nobody_elses_session() {
    let host = Host::start(Clock::new(), 2).expect("threads");
    let (broken, door, ears) = draw(Some(5));
    let (sound, other_door, other_ears) = draw(None);
    let (broken, sound) = (host.adopt(broken), host.adopt(sound));
    for number in 0..20 {
        broken.push(&door, unit(number));
        sound.push(&other_door, unit(number));
    }
    sound.push(&other_door, Signal::End);
    assert_eq!(heard(&ears), [0, 1, 2, 3, 4]);
    assert_eq!(heard(&other_ears), (0..20).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_on_the_way_has_a_place_that_nobody_else_gets() {
    let host = Host::start(Clock::new(), 2).expect("threads");
    let knock = || std::iter::from_fn(|| host.admit().ok()).take(1_000).collect::<Vec<_>>();
    let places = knock();
    assert!(
        (2..100).contains(&places.len()),
        "{} at once on two threads",
        places.len()
    );
    // Those who arrive have theirs; the others gave theirs back.
    let (graph, ..) = draw(None);
    let _here = host.adopt(graph);
    drop(places);
    assert!(!knock().is_empty());
}

/// Passes units on at once, while others take a second of a processor for each.
struct Aside;
impl Engine for Aside {
    type In = Unit;
    type Out = Unit;
    fn run(&mut self, _: Moment, signal: Signal<Unit>, out: &mut Outbox<Unit>) -> Result<Wake, Fault> {
        if let Signal::Item(item) = signal {
            out.spend(Span::from_secs(1));
            out.put(item);
        }
        Ok(Wake::OnSignal)
    }
    fn slice(&self) -> Span {
        Span::from_millis(1)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_take_for_an_engine_counts_as_hearing_and_fills_the_machine() {
    let host = Host::start(Clock::new(), 1).expect("threads");
    let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
    let (source, units) = graph.source("door", Span::ZERO);
    let units = graph.engine("aside", Lane::Hear, &units, Keep::Every(4), None, Aside);
    let (heard, ears) = sync_channel(4);
    graph.sink("ears", &units, Keep::Every(4), move |_, signal| {
        let _ = heard.try_send(signal);
    });
    let session = host.adopt(graph);
    assert!(host.admit().is_ok());
    let until = host.clock().now() + Span::from_secs(20);
    // Units follow each other at once: many in the tenth of a second after which the machine is looked at.
    while host.admit().is_ok() {
        assert!(host.clock().now() < until, "{:?}", host.load());
        session.push(&source, unit(0));
        ears.recv_timeout(Duration::from_secs(20)).expect("it comes out");
    }
    assert!(host.load().hearing > 1.0, "{:?}", host.load());
}
