//! Hops through our own graph: on one thread, and from one thread to another under the live host.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use hearsight_core::graph::{Graph, NodeId, Outlet, Source};
use hearsight_core::link::Keep;
use hearsight_core::media::{Decoded, Flow};
use hearsight_core::meter::Meter;
use hearsight_core::schedule::Lane;
use hearsight_core::stage::{Engine, Fault, Outbox, Signal, Stage, Wake};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;
use hearsight_live::host::{Host, Session};

use crate::crossing::{Arrivals, Hop};

/// Room for a burst in every link.
const KEEP: Keep = Keep::Every(400);

/// A stage that does nothing but pass on.
struct Relay<T>(PhantomData<fn(T)>);

impl<T> Stage for Relay<T> {
    type In = T;
    type Out = T;
    fn step(&mut self, _: Moment, signal: Signal<T>, out: &mut Outbox<T>) -> Wake {
        match signal {
            Signal::Item(unit) => out.put(unit),
            Signal::Gap(gap) => out.pass(gap),
            Signal::End => out.end(),
            Signal::Timer | Signal::Flush(_) => {}
        }
        Wake::OnSignal
    }
}

/// A door and `relays` stages.
fn row<T: Flow + Clone>(relays: usize) -> (Graph, Source<T>, Outlet<T>) {
    let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
    let (source, mut outlet) = graph.source("door", Span::ZERO);
    for _ in 0..relays {
        outlet = graph.stage("relay", &outlet, KEEP, Some(Mark::Decoded), Relay(PhantomData));
    }
    (graph, source, outlet)
}

/// A row of stages on the calling thread, stepped as the live host steps the quick stages of a session.
pub(crate) struct Chain<T> {
    graph: Graph,
    source: Source<T>,
    nodes: Vec<NodeId>,
    landed: Arc<Mutex<Option<Stamped<T>>>>,
}

impl<T: Flow + Clone> Chain<T> {
    /// A chain of `hops` links.
    pub(crate) fn draw(hops: usize) -> Chain<T> {
        let (mut graph, source, outlet) = row(hops - 1);
        let landed = Arc::new(Mutex::new(None));
        let ground = landed.clone();
        graph.sink("ground", &outlet, KEEP, move |_, signal| {
            if let Signal::Item(unit) = signal {
                *ground.lock().unwrap_or_else(PoisonError::into_inner) = Some(unit);
            }
        });
        let nodes = graph.nodes().skip(1).collect();
        Chain {
            graph,
            source,
            nodes,
            landed,
        }
    }

    /// Lets a unit in at one end and takes it out at the other.
    pub(crate) fn pass(&self, now: Moment, unit: Stamped<T>) -> Option<Stamped<T>> {
        self.source.push(now, Signal::Item(unit));
        for node in &self.nodes {
            self.graph.step(*node, now, || now);
        }
        self.landed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The first thing that an engine thread does with a unit: to say that it came.
struct Ground {
    clock: Clock,
    arrivals: Arrivals,
}

impl Engine for Ground {
    type In = Decoded;
    type Out = Decoded;
    fn run(&mut self, _: Moment, signal: Signal<Decoded>, out: &mut Outbox<Decoded>) -> Result<Wake, Fault> {
        match signal {
            Signal::Item(_) => self.arrivals.one(self.clock.now()),
            Signal::End => out.end(),
            _ => {}
        }
        Ok(Wake::OnSignal)
    }
    fn slice(&self) -> Span {
        Span::from_millis(1)
    }
}

/// A hop from the calling thread into a graph that the live host runs.
pub(crate) struct Live {
    session: Session,
    source: Source<Decoded>,
    unit: Stamped<Decoded>,
    _host: Host,
}

impl Live {
    /// Onto the session's own task, through `relays` stages more. Must be called on a tokio runtime.
    pub(crate) fn task(clock: Clock, relays: usize, unit: Stamped<Decoded>, arrivals: Arrivals) -> Result<Live> {
        let (mut graph, source, outlet) = row(relays);
        graph.sink("ground", &outlet, KEEP, move |_, signal| {
            if let Signal::Item(_) = signal {
                arrivals.one(clock.now());
            }
        });
        Live::adopt(clock, graph, source, unit)
    }

    /// Onto an engine thread. Must be called on a tokio runtime.
    pub(crate) fn engine(clock: Clock, unit: Stamped<Decoded>, arrivals: Arrivals) -> Result<Live> {
        let (mut graph, source, outlet) = row(0);
        let outlet = graph.engine("ground", Lane::Hear, &outlet, KEEP, None, Ground { clock, arrivals });
        graph.sink("end", &outlet, KEEP, |_, _: Signal<Decoded>| {});
        Live::adopt(clock, graph, source, unit)
    }

    fn adopt(clock: Clock, graph: Graph, source: Source<Decoded>, unit: Stamped<Decoded>) -> Result<Live> {
        let host = Host::start(clock, 1).context("no engine thread")?;
        Ok(Live {
            session: host.adopt(graph),
            source,
            unit,
            _host: host,
        })
    }
}

impl Hop for Live {
    fn push(&mut self) {
        self.session.push(&self.source, Signal::Item(self.unit.clone()));
    }
}
