//! The live host: quick stages on one tokio task for each session, engines on a few named threads for the process.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use hearsight_core::graph::{Graph, NodeId, Source};
use hearsight_core::media::Flow;
use hearsight_core::schedule::{Lane, Schedule};
use hearsight_core::stage::{Signal, Why};
use hearsight_core::time::{Moment, Span};
use tokio::sync::Notify;

use crate::clock::Clock;

/// How long a session that was told to end may take to let its last words out.
const FAREWELL: Span = Span::from_secs(5);

/// How far the thread that thinks steps back (nice value, of that thread alone on Linux): its threads get about a third of
/// what an engine thread gets where both want the processor.
const THINKING_NICE: i32 = 5;

/// Engine threads and a clock, shared by all sessions. The threads end when the last handle is dropped.
#[derive(Clone)]
pub struct Host {
    lanes: Arc<Lanes>,
    clock: Clock,
    _threads: Arc<Threads>,
}

impl Host {
    /// Starts `threads` engine threads, at least one, and one more for [`Lane::Think`].
    pub fn start(clock: Clock, threads: usize) -> std::io::Result<Host> {
        let lanes = Arc::new(Lanes {
            schedule: Mutex::new(Schedule::new(threads)),
            ready: Condvar::new(),
            thought: Condvar::new(),
            closing: AtomicBool::new(false),
        });
        let mut handles = Vec::new();
        for number in 0..threads.max(1) {
            let lanes = lanes.clone();
            let thread = std::thread::Builder::new().name(format!("engine-{number}"));
            handles.push(thread.spawn(move || lanes.work())?);
        }
        let thinker = lanes.clone();
        let thread = std::thread::Builder::new().name("engine-think".into());
        handles.push(thread.spawn(move || thinker.think())?);
        Ok(Host {
            lanes: lanes.clone(),
            clock,
            _threads: Arc::new(Threads { lanes, handles }),
        })
    }

    /// Brings a graph to life on the tokio runtime that this is called from. It ends when its sources have sent
    /// [`Signal::End`] and everything was let out, or some seconds after [`Session::close`].
    pub fn adopt(&self, graph: Graph) -> Session {
        let states = graph.nodes().map(|_| AtomicU8::new(IDLE)).collect();
        let life = Arc::new(Life {
            graph,
            states,
            floor: Notify::new(),
            closing: AtomicBool::new(false),
            lanes: self.lanes.clone(),
            clock: self.clock,
        });
        tokio::spawn(floor(life.clone()));
        Session { life }
    }

    /// The host's clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }
}

/// A graph that is running. Dropping the handle closes it.
pub struct Session {
    life: Arc<Life>,
}

impl Session {
    /// Lets a signal in through a source of this session's graph. Never waits.
    pub fn push<T: Flow + Clone>(&self, source: &Source<T>, signal: Signal<T>) {
        source.push(self.life.clock.now(), signal);
        self.life.wake_readers(source.id());
    }
    /// Forgets what is under way; answers with the moment from which nothing older comes out.
    pub fn flush(&self, why: Why) -> Moment {
        self.life.graph.flush(why);
        self.life.graph.nodes().for_each(|node| self.life.wake(node));
        self.life.clock.now()
    }
    /// Gives the session a few seconds to end by itself; then it is taken down.
    pub fn close(&self) {
        self.life.closing.store(true, Ordering::Release);
        self.life.floor.notify_one();
    }
    /// The graph, to read its meter.
    pub fn graph(&self) -> &Graph {
        &self.life.graph
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
    }
}

/// An engine is queued at most once: nothing to do, waiting for a thread, on a thread, on a thread with more to come.
const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
const AGAIN: u8 = 3;

struct Life {
    graph: Graph,
    states: Vec<AtomicU8>,
    floor: Notify,
    closing: AtomicBool,
    lanes: Arc<Lanes>,
    clock: Clock,
}

impl Life {
    fn wake_readers(self: &Arc<Life>, node: NodeId) {
        for reader in self.graph.feeds(node) {
            self.wake(*reader);
        }
    }

    /// Sees to it that a node is stepped soon.
    fn wake(self: &Arc<Life>, node: NodeId) {
        if self.graph.lane(node) == Lane::Quick {
            self.floor.notify_one();
            return;
        }
        let state = &self.states[node.index()];
        let next = |state| match state {
            IDLE => Some(QUEUED),
            RUNNING => Some(AGAIN),
            _ => None,
        };
        if state.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) == Ok(IDLE) {
            self.lanes.push(self.graph.lane(node), Arc::downgrade(self), node);
        }
    }

    /// One slice of an engine, on an engine thread.
    fn slice(self: &Arc<Life>, node: NodeId) {
        let state = &self.states[node.index()];
        state.store(RUNNING, Ordering::Release);
        let began = self.clock.now();
        let ran = catch_unwind(AssertUnwindSafe(|| self.graph.run(node, began)));
        let ended = self.clock.now();
        match ran {
            Ok(Some(_)) => {
                self.graph.took(node, ended - began);
                self.graph.deliver(node, ended);
            }
            Ok(None) => {}
            Err(_) => self.stop(node),
        }
        self.wake_readers(node);
        // The floor task keeps the timers of all nodes.
        if self.graph.timer(node).is_some() {
            self.floor.notify_one();
        }
        let again = state.swap(IDLE, Ordering::AcqRel) == AGAIN;
        if again || self.graph.due(node, ended) {
            self.wake(node);
        }
    }

    /// One step of a quick node; false when it had nothing to do.
    fn step(&self, node: NodeId, now: Moment) -> bool {
        let step = || self.graph.step(node, now, || self.clock.now());
        match catch_unwind(AssertUnwindSafe(step)) {
            Ok(ran) => ran.is_some(),
            Err(_) => {
                self.stop(node);
                true
            }
        }
    }

    fn stop(&self, node: NodeId) {
        tracing::error!(
            stage = self.graph.name(node),
            "a stage panicked and was stopped; its session goes on without it"
        );
        self.graph.kill(node, self.clock.now());
    }

    /// Steps every quick node until none has anything to do. Answers with the earliest timer of all nodes.
    fn settle(self: &Arc<Life>) -> Option<Moment> {
        let mut busy = true;
        while busy {
            busy = false;
            for node in self.graph.nodes().filter(|node| self.graph.lane(*node) == Lane::Quick) {
                let now = self.clock.now();
                while self.step(node, now) {
                    busy = true;
                    for reader in self.graph.feeds(node) {
                        if self.graph.lane(*reader) != Lane::Quick {
                            self.wake(*reader);
                        }
                    }
                }
            }
        }
        let now = self.clock.now();
        let timers: BTreeMap<NodeId, Moment> = self
            .graph
            .nodes()
            .filter_map(|node| Some((node, self.graph.timer(node)?)))
            .collect();
        for (node, _) in timers.iter().filter(|(_, timer)| **timer <= now) {
            self.wake(*node);
        }
        timers.into_values().filter(|timer| *timer > now).min()
    }
}

/// A session's own task.
async fn floor(life: Arc<Life>) {
    let mut deadline = None;
    loop {
        let timer = life.settle();
        if life.graph.finished() {
            return;
        }
        if life.closing.load(Ordering::Acquire) {
            let end = *deadline.get_or_insert(life.clock.now() + FAREWELL);
            if life.clock.now() >= end {
                return;
            }
        }
        let until = [timer, deadline].into_iter().flatten().min();
        match until {
            Some(moment) => {
                let wake = tokio::time::Instant::from_std(life.clock.instant_from_moment(moment));
                tokio::select! { () = life.floor.notified() => {}, () = tokio::time::sleep_until(wake) => {} }
            }
            None => life.floor.notified().await,
        }
    }
}

type Key = (Weak<Life>, NodeId);

/// The engines that wait for a thread.
struct Lanes {
    schedule: Mutex<Schedule<Key>>,
    ready: Condvar,
    /// There is something to think about.
    thought: Condvar,
    closing: AtomicBool,
}

impl Lanes {
    fn lock(&self) -> MutexGuard<'_, Schedule<Key>> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, lane: Lane, life: Weak<Life>, node: NodeId) {
        self.lock().push(lane, (life, node));
        match lane {
            Lane::Think => self.thought.notify_one(),
            Lane::Quick | Lane::Hear | Lane::See => self.ready.notify_one(),
        }
    }

    /// An engine thread.
    fn work(&self) {
        while let Some((lane, (life, node))) = self.take(&self.ready, Schedule::pop) {
            if let Some(life) = life.upgrade() {
                life.slice(node);
            }
            if lane == Lane::See {
                self.lock().seen();
                self.ready.notify_one();
            }
        }
    }

    /// The thread that thinks. It steps back for the others: being late is its budget, being heard is theirs.
    fn think(&self) {
        // Refused or not known on this system: it thinks on with everybody's priority.
        let _ = rustix::process::nice(THINKING_NICE);
        while let Some((life, node)) = self.take(&self.thought, Schedule::think) {
            if let Some(life) = life.upgrade() {
                life.slice(node);
            }
        }
    }

    fn take<T>(&self, ready: &Condvar, next: impl Fn(&mut Schedule<Key>) -> Option<T>) -> Option<T> {
        let mut schedule = self.lock();
        while !self.closing.load(Ordering::Acquire) {
            if let Some(next) = next(&mut schedule) {
                return Some(next);
            }
            // A second at most, so that a lost wake-up could never become a hang.
            let waited = ready.wait_timeout(schedule, Duration::from_secs(1));
            schedule = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }
}

struct Threads {
    lanes: Arc<Lanes>,
    handles: Vec<JoinHandle<()>>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.lanes.closing.store(true, Ordering::Release);
        self.lanes.ready.notify_all();
        self.lanes.thought.notify_all();
        let me = std::thread::current().id();
        for handle in self.handles.drain(..) {
            if handle.thread().id() != me {
                let _ = handle.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
}
