//! Nodes joined by links. A graph is drawn once, by a wiring function, and run by either host: it owns the stages and
//! knows how to step each, but neither when nor on which thread.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::epoch::Epoch;
use crate::gate::Budget;
use crate::link::{Keep, Link};
use crate::media::{Flow, Request};
use crate::meter::Meter;
use crate::node::{Fan, Job, Node, Quick, Work};
use crate::schedule::{Gauge, Lane, Member, Phase, Prospect, Service, Task};
use crate::sink::SinkStage;
use crate::stage::{Engine, Signal, Stage, Why};
use crate::stamped::Mark;
use crate::time::{Moment, Span};

pub use crate::sink::Sink;

/// The grain of waking: a host may be this late for a timer or a wake-up.
pub const TICK: Span = Span::from_millis(5);

/// A node's place in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(usize);

impl NodeId {
    /// Counts the nodes of a graph from 0, in the order in which they were drawn.
    pub fn index(self) -> usize {
        self.0
    }
}

/// Where units of type `T` come out of a node: the start of links.
pub struct Outlet<T> {
    from: NodeId,
    fan: Arc<Fan<T>>,
}

/// A door of the graph, through which the host lets units in.
pub struct Source<T> {
    id: NodeId,
    fan: Arc<Fan<T>>,
    epoch: Arc<Epoch>,
}

impl<T: Flow + Clone> Source<T> {
    /// Lets a signal in. The host must then see to the nodes that [`Graph::feeds`] names.
    pub fn push(&self, now: Moment, signal: Signal<T>) {
        self.fan.push(now, self.epoch.number(), signal);
    }
    /// Whether every reader has room for a signal: under a host where nothing is lost, it is pushed only then.
    pub fn has_room(&self) -> bool {
        self.fan.room() != Some(0)
    }
    /// Which node this is.
    pub fn id(&self) -> NodeId {
        self.id
    }
}

struct Slot {
    name: &'static str,
    lane: Lane,
    from: Option<NodeId>,
    feeds: Vec<NodeId>,
    /// Longest wait in the link before it, its declared slice and its declared delay.
    wait: Span,
    slice: Span,
    delay: Span,
    node: Option<Mutex<Box<dyn Job>>>,
    /// The node's timer in nanoseconds, where it can be read while the node runs; [`NO_TIMER`] for none.
    timer: AtomicI64,
    /// The age beyond which units come too late for everything that they may lead to, in nanoseconds.
    patience: AtomicI64,
}

const NO_TIMER: i64 = i64::MAX;

impl Slot {
    fn new(name: &'static str, lane: Lane, delay: Span) -> Slot {
        let (wait, slice) = (Span::ZERO, Span::ZERO);
        Slot {
            name,
            lane,
            from: None,
            feeds: vec![],
            wait,
            slice,
            delay,
            node: None,
            timer: AtomicI64::new(NO_TIMER),
            patience: AtomicI64::new(i64::MAX),
        }
    }

    fn patience(&self) -> Span {
        Span::from_nanos(self.patience.load(Ordering::Relaxed))
    }

    fn set_timer(&self, timer: Option<Moment>) {
        self.timer
            .store(timer.map_or(NO_TIMER, Moment::nanos), Ordering::Release);
    }
}

struct Promise {
    budget: Budget,
    sink: NodeId,
    hangover: Span,
}

/// Stages, engines, sinks and the links between them.
pub struct Graph {
    slots: Vec<Slot>,
    promises: Vec<Promise>,
    epoch: Arc<Epoch>,
    meter: Meter,
    upstream: Arc<dyn Fn(Request) + Send + Sync>,
    gauge: Arc<OnceLock<Gauge>>,
    /// For each node, once somebody asks.
    prospects: OnceLock<Vec<Vec<Prospect>>>,
}

/// Drawing: what a wiring function calls.
impl Graph {
    /// An empty graph that counts into `meter` and hands requests to `upstream`.
    pub fn new(meter: Meter, upstream: Arc<dyn Fn(Request) + Send + Sync>) -> Graph {
        Graph {
            slots: Vec::new(),
            promises: Vec::new(),
            epoch: Arc::default(),
            meter,
            upstream,
            gauge: Arc::default(),
            prospects: OnceLock::new(),
        }
    }

    /// A door. Units may already be `delay` late when they come through it.
    pub fn source<T: Flow + Clone>(&mut self, name: &'static str, delay: Span) -> (Source<T>, Outlet<T>) {
        let fan = Arc::new(Fan::default());
        let id = self.add(Slot::new(name, Lane::Quick, delay));
        (
            Source {
                id,
                fan: fan.clone(),
                epoch: self.epoch.clone(),
            },
            Outlet { from: id, fan },
        )
    }

    /// Quick work on the session's own task. `mark` is stamped on what it puts out.
    pub fn stage<S>(
        &mut self,
        name: &'static str,
        from: &Outlet<S::In>,
        keep: Keep,
        mark: Option<Mark>,
        stage: S,
    ) -> Outlet<S::Out>
    where
        S: Stage + 'static,
        S::In: Flow,
        S::Out: Flow + Clone,
    {
        self.engine(name, Lane::Quick, from, keep, mark, Quick(stage))
    }

    /// As [`Graph::stage`], for units of several outlets in the order in which they come. Promises count along the first.
    pub fn join<S>(
        &mut self,
        name: &'static str,
        from: &[&Outlet<S::In>],
        keep: Keep,
        mark: Option<Mark>,
        stage: S,
    ) -> Outlet<S::Out>
    where
        S: Stage + 'static,
        S::In: Flow,
        S::Out: Flow + Clone,
    {
        self.node_of(name, Lane::Quick, from, keep, mark, Quick(stage))
    }

    /// Slow work on an engine thread of `lane`. `mark` is stamped on what it puts out.
    pub fn engine<E>(
        &mut self,
        name: &'static str,
        lane: Lane,
        from: &Outlet<E::In>,
        keep: Keep,
        mark: Option<Mark>,
        engine: E,
    ) -> Outlet<E::Out>
    where
        E: Engine + 'static,
        E::In: Flow,
        E::Out: Flow + Clone,
    {
        self.node_of(name, lane, &[from], keep, mark, engine)
    }

    fn node_of<E>(
        &mut self,
        name: &'static str,
        lane: Lane,
        from: &[&Outlet<E::In>],
        keep: Keep,
        mark: Option<Mark>,
        engine: E,
    ) -> Outlet<E::Out>
    where
        E: Engine + 'static,
        E::In: Flow,
        E::Out: Flow + Clone,
    {
        let (slice, delay) = (engine.slice(), engine.delay());
        let link = Arc::new(Link::new(name, keep, self.meter.clone()));
        let fan = Arc::new(Fan::default());
        let work = Work {
            name,
            mark,
            meter: self.meter.clone(),
            epoch: self.epoch.clone(),
            upstream: self.upstream.clone(),
            gauge: self.gauge.clone(),
        };
        let node: Box<dyn Job> = Box::new(Node::new(work, engine, link.clone(), fan.clone()));
        let mut slot = Slot::new(name, lane, delay);
        slot.from = from.first().map(|outlet| outlet.from);
        slot.wait = keep.longest_wait(slice);
        slot.slice = slice;
        slot.node = Some(Mutex::new(node));
        let id = self.add(slot);
        for (earlier, outlet) in from.iter().enumerate() {
            if earlier > 0 {
                link.add_writer();
            }
            self.slots[outlet.from.0].feeds.push(id);
            outlet.fan.join(link.clone());
        }
        Outlet { from: id, fan }
    }

    /// The end of a line. Ages are measured here, late units are counted and, where the budget says so, shed.
    pub fn sink<T: Flow>(
        &mut self,
        name: &'static str,
        from: &Outlet<T>,
        keep: Keep,
        sink: impl Sink<T> + 'static,
    ) -> NodeId {
        let stage = SinkStage::new(sink, self.meter.clone());
        self.stage(name, from, keep, None, stage).from
    }

    /// States that `sink` answers under `budget`, `hangover` being what this outlet waits for beyond every stage's own delay.
    pub fn promise(&mut self, sink: NodeId, budget: Budget, hangover: Span) {
        self.promises.push(Promise { budget, sink, hangover });
    }

    fn add(&mut self, slot: Slot) -> NodeId {
        self.slots.push(slot);
        NodeId(self.slots.len() - 1)
    }
}

/// Running: what hosts call.
impl Graph {
    /// Every node, in the order in which it was drawn: left to right.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.slots.len()).map(NodeId)
    }
    /// A node's name.
    pub fn name(&self, id: NodeId) -> &'static str {
        self.slots[id.0].name
    }
    /// Where a node runs.
    pub fn lane(&self, id: NodeId) -> Lane {
        self.slots[id.0].lane
    }
    /// The nodes that a node's output wakes.
    pub fn feeds(&self, id: NodeId) -> &[NodeId] {
        &self.slots[id.0].feeds
    }
    /// The longest slice that a node declares.
    pub fn slice(&self, id: NodeId) -> Span {
        self.slots[id.0].slice
    }
    /// Whether a node has something to do now.
    pub fn due(&self, id: NodeId, now: Moment) -> bool {
        self.node(id).is_some_and(|node| node.due(now))
    }
    /// When a node wants to be stepped without a signal. Never waits for a node that is running.
    pub fn timer(&self, id: NodeId) -> Option<Moment> {
        let timer = self.slots[id.0].timer.load(Ordering::Acquire);
        (timer != NO_TIMER).then(|| Moment::from_nanos(timer))
    }
    /// Lets a node take one signal. What it puts out is held until [`Graph::deliver`]. Answers with the cost that the
    /// node models, or `None` when there was nothing to do.
    pub fn run(&self, id: NodeId, now: Moment) -> Option<Span> {
        let mut node = self.node(id)?;
        let cost = node.run(now, self.slots[id.0].patience());
        self.slots[id.0].set_timer(node.timer());
        cost
    }
    /// Stamps and passes on what the last run put out.
    pub fn deliver(&self, id: NodeId, now: Moment) {
        if let Some(mut node) = self.node(id) {
            node.deliver(now);
        }
    }
    /// [`Graph::run`] and [`Graph::deliver`] in one, for a node whose slices cost nothing; `ended` says when it delivers.
    pub fn step(&self, id: NodeId, now: Moment, ended: impl FnOnce() -> Moment) -> Option<Span> {
        let mut node = self.node(id)?;
        let cost = node.run(now, self.slots[id.0].patience())?;
        self.slots[id.0].set_timer(node.timer());
        node.deliver(ended());
        Some(cost)
    }
    /// Whether [`Graph::advance`] would do something.
    pub fn can_advance(&self, id: NodeId, now: Moment) -> bool {
        self.node(id)
            .is_some_and(|node| node.has_room() && (node.holds() || node.due(now)))
    }
    /// [`Graph::step`] where nothing may be lost: passes on what is still held as far as every reader has room, and takes a
    /// signal only when nothing is held any more. Answers whether it took one.
    pub fn advance(&self, id: NodeId, now: Moment) -> bool {
        let Some(mut node) = self.node(id) else { return false };
        node.deliver_within_room(now);
        if node.holds() || !node.has_room() {
            return false;
        }
        let took = node.run(now, self.slots[id.0].patience()).is_some();
        self.slots[id.0].set_timer(node.timer());
        node.deliver_within_room(now);
        took
    }
    /// Tells a node, and the meter, how long its slice took. Answers with what all slices of a unit took, once it is done.
    pub fn took(&self, id: NodeId, cost: Span) -> Option<(Service, Span)> {
        let engine = self.name(id);
        self.meter.slice(engine, cost);
        let (phase, variant, whole) = self.node(id)?.took(cost)?;
        let service = Service { engine, variant, phase };
        Some((service, whole))
    }
    /// What a schedule is to know of a node's next slice, which `member` asks for at `now`.
    pub fn task(&self, id: NodeId, now: Moment, member: Member) -> Task<'_> {
        let next = self.node(id).map(|node| node.next_up());
        let prospects = self.prospects.get_or_init(|| self.look_ahead());
        let (born, kept, phase, variant) = match next {
            Some(next) => (next.born, next.kept, next.phase, next.variant),
            None => (None, Moment::MAX, Phase::First, 0),
        };
        Task {
            lane: self.lane(id),
            member,
            service: Service {
                engine: self.name(id),
                variant,
                phase,
            },
            born: born.unwrap_or(now),
            kept,
            prospects: &prospects[id.0],
        }
    }
    /// Units older than this come too late for everything that they may lead to: the node drops them before it works on them.
    pub fn set_patience(&self, id: NodeId, patience: Span) {
        self.slots[id.0].patience.store(patience.nanos(), Ordering::Relaxed);
    }
    /// From now on the stages of this graph hear what gives way on the machine. The first that is set stays.
    pub fn set_gauge(&self, gauge: &Gauge) {
        let _ = self.gauge.set(gauge.clone());
    }
    /// Stops a node that can't go on: it ends for its readers and takes nothing more.
    pub fn kill(&self, id: NodeId, now: Moment) {
        if let Some(mut node) = self.node(id) {
            node.kill(now);
            self.slots[id.0].set_timer(None);
        }
    }
    /// Forgets what is under way: bumps the epoch, so that queued units and running slices of older epochs are dropped.
    /// The host must then see to every node.
    pub fn flush(&self, why: Why) {
        self.epoch.bump(why);
    }
    /// Whether a node has taken its last signal and passed on all that came of it.
    pub fn is_done(&self, id: NodeId) -> bool {
        self.node(id).is_none_or(|node| node.ended() && !node.holds())
    }
    /// Whether the end has reached every sink.
    pub fn finished(&self) -> bool {
        let mut ends = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.feeds.is_empty() && slot.node.is_some());
        ends.all(|(id, _)| self.node(NodeId(id)).is_none_or(|node| node.ended()))
    }
    /// What is counted.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }
    /// The promises: budget and the worst age that the drawing allows.
    pub fn promises(&self) -> impl Iterator<Item = (Budget, Span)> + '_ {
        self.promises
            .iter()
            .map(|promise| (promise.budget, self.worst(promise)))
    }
    /// The worst age at which a unit reaches `outlet`, from its arrival on: link spans, declared delays and slices, and one
    /// tick. A bound given those slices; `None` when nothing promises that outlet. An outlet that sheds hands over nothing
    /// older than its budget, whatever this says.
    pub fn worst_case(&self, outlet: &str) -> Option<Span> {
        self.promises
            .iter()
            .find(|promise| promise.budget.outlet == outlet)
            .map(|promise| self.worst(promise))
    }

    /// For each node, the promises to which its work may lead.
    fn look_ahead(&self) -> Vec<Vec<Prospect>> {
        let mut prospects = vec![Vec::new(); self.slots.len()];
        for promise in &self.promises {
            let (mut allowance, mut ahead) = (promise.budget.span - promise.hangover, Vec::new());
            let path = std::iter::successors(Some(promise.sink), |id| self.slots[id.0].from);
            for id in path {
                let slot = &self.slots[id.0];
                prospects[id.0].push(Prospect {
                    budget: promise.budget,
                    allowance,
                    ahead: ahead.clone().into(),
                });
                allowance -= slot.delay;
                if slot.lane != Lane::Quick {
                    ahead.insert(0, slot.name);
                }
            }
        }
        prospects
    }

    fn worst(&self, promise: &Promise) -> Span {
        let path = std::iter::successors(Some(promise.sink), |id| self.slots[id.0].from);
        let along: Span = path
            .map(|id| {
                let slot = &self.slots[id.0];
                slot.wait + slot.slice + slot.delay
            })
            .sum();
        along + promise.hangover + TICK
    }

    fn node(&self, id: NodeId) -> Option<MutexGuard<'_, Box<dyn Job>>> {
        // A panic inside a stage poisons only that node, and the host kills it.
        self.slots[id.0]
            .node
            .as_ref()
            .map(|node| node.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
