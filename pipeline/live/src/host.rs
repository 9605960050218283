//! The live host: quick stages on one tokio task for each session, engines on a few named threads for the process.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use hearsight_core::graph::{Graph, NodeId, Source};
use hearsight_core::media::Flow;
use hearsight_core::schedule::{Admission, Crew, Lane, Load, Member, Policy, Schedule};
use hearsight_core::stage::{Signal, Why};
use hearsight_core::time::{Moment, Span};
use tokio::sync::Notify;

use crate::clock::Clock;

/// How long a session that was told to end may take to let its last words out.
const FAREWELL: Span = Span::from_secs(5);

/// How far threads that think and show step back (nice value, of each alone on Linux, and of those that it starts): one gets about
/// a tenth of what an engine thread gets where both want the processor.
const ASIDE_NICE: i32 = 10;

/// What the threads of a crew are called.
fn name(crew: Crew) -> &'static str {
    match crew {
        Crew::Listeners => "listen",
        Crew::Engines => "engine",
        Crew::Thinkers => "think",
        Crew::Showers => "show",
    }
}

/// Engine threads and a clock, shared by all sessions. The threads end when the last handle is dropped.
#[derive(Clone)]
pub struct Host {
    lanes: Arc<Lanes>,
    clock: Clock,
    _threads: Arc<Threads>,
}

impl Host {
    /// Starts `threads` engine threads, at least one, and beside them those for [`Lane::Listen`], [`Lane::Think`] and [`Lane::Show`].
    pub fn start(clock: Clock, threads: usize) -> std::io::Result<Host> {
        let lanes = Arc::new(Lanes {
            clock,
            schedule: Mutex::new(Schedule::new(threads)),
            ready: Default::default(),
            closing: AtomicBool::new(false),
        });
        let mut handles = Vec::new();
        for crew in Crew::ALL {
            let hands = lanes.lock().hands(crew);
            for number in 0..hands {
                let lanes = lanes.clone();
                let thread = std::thread::Builder::new().name(format!("{}-{number}", name(crew)));
                handles.push(thread.spawn(move || lanes.serve(crew))?);
            }
        }
        Ok(Host {
            lanes: lanes.clone(),
            clock,
            _threads: Arc::new(Threads { lanes, handles }),
        })
    }

    /// Brings a graph to life on the tokio runtime that this is called from. It ends when its sources have sent
    /// [`Signal::End`] and everything was let out, or some seconds after [`Session::close`].
    pub fn adopt(&self, graph: Graph) -> Session {
        self.adopt_for(graph, None)
    }

    /// As [`Host::adopt`], for a user: all sessions of one user share a part of the machine.
    pub fn adopt_for(&self, graph: Graph, user: Option<u64>) -> Session {
        let member = {
            let mut schedule = self.lanes.lock();
            graph.set_gauge(schedule.gauge());
            schedule.enter(user)
        };
        let states = graph.nodes().map(|_| AtomicU8::new(IDLE)).collect();
        let life = Arc::new(Life {
            graph,
            member,
            states,
            floor: Notify::new(),
            closing: AtomicBool::new(false),
            lanes: self.lanes.clone(),
            clock: self.clock,
        });
        tokio::spawn(floor(life.clone()));
        Session { life }
    }

    /// Says who may come in from now on.
    pub fn set_admission(&self, admission: Admission) {
        self.lanes.lock().set_admission(admission);
    }

    /// A place for one more session, if it finds room without hurting those that are here; otherwise when to ask again. Hold it until
    /// the session is adopted: many may knock at once, and opening one takes time.
    pub fn admit(&self) -> Result<Place, Span> {
        let mut schedule = self.lanes.lock();
        schedule.admit(self.clock.now())?;
        schedule.expect();
        Ok(Place(self.lanes.clone()))
    }

    /// How the machine stands.
    pub fn load(&self) -> Load {
        self.lanes.lock().load()
    }

    /// The host's clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }
}

/// Room for a session that is on its way.
#[must_use]
pub struct Place(Arc<Lanes>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().arrived();
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
    member: Member,
    states: Vec<AtomicU8>,
    floor: Notify,
    closing: AtomicBool,
    lanes: Arc<Lanes>,
    clock: Clock,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.lanes.lock().leave(self.member);
    }
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
            self.lanes.push(self, node);
        }
    }

    /// One slice of an engine, on an engine thread; answers with what it took of processors.
    fn slice(self: &Arc<Life>, node: NodeId) -> Span {
        let state = &self.states[node.index()];
        state.store(RUNNING, Ordering::Release);
        let began = self.clock.now();
        let ran = catch_unwind(AssertUnwindSafe(|| self.graph.run(node, began)));
        let ended = self.clock.now();
        let mut took = ended - began;
        match ran {
            Ok(Some(aside)) => {
                took = took.max(aside);
                if let Some((service, whole)) = self.graph.took(node, ended - began) {
                    self.lanes.lock().learn(ended, service, whole);
                }
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
        took
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
    clock: Clock,
    schedule: Mutex<Schedule<Key>>,
    /// There is something to do, for each crew.
    ready: [Condvar; Crew::ALL.len()],
    closing: AtomicBool,
}

impl Lanes {
    fn lock(&self) -> MutexGuard<'_, Schedule<Key>> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, life: &Arc<Life>, node: NodeId) {
        let now = self.clock.now();
        // The node is idle, and nobody else queues it: asking it does not wait.
        let task = life.graph.task(node, now, life.member);
        let lane = task.lane;
        let patience = self.lock().push(now, task, (Arc::downgrade(life), node));
        life.graph.set_patience(node, patience);
        self.ready[Crew::of(Policy::Ours, lane) as usize].notify_one();
    }

    /// An engine thread.
    fn work(&self, crew: Crew) {
        while let Some((lane, (life, node))) = self.take(crew) {
            let life = life.upgrade();
            let took = life.as_ref().map_or(Span::ZERO, |life| life.slice(node));
            let member = life.as_ref().map(|life| life.member);
            self.lock().done(self.clock.now(), lane, member, took);
            // Only now: its member's place may be another's next.
            drop(life);
            if lane == Lane::See {
                self.ready[Crew::Engines as usize].notify_one();
            }
        }
    }

    /// One thread of a crew. Those whose budget is being late step back for those whose budget is being heard.
    fn serve(&self, crew: Crew) {
        if matches!(crew, Crew::Thinkers | Crew::Showers) {
            // Refused or not known on this system: it goes on with everybody's priority.
            let _ = rustix::process::nice(ASIDE_NICE);
        }
        self.work(crew);
    }

    fn take(&self, crew: Crew) -> Option<(Lane, Key)> {
        let ready = &self.ready[crew as usize];
        let mut schedule = self.lock();
        while !self.closing.load(Ordering::Acquire) {
            if let Some(next) = schedule.pop(self.clock.now(), crew) {
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
        self.lanes.ready.iter().for_each(Condvar::notify_all);
        let me = std::thread::current().id();
        for handle in self.handles.drain(..) {
            if handle.thread().id() != me {
                let _ = handle.join();
            }
        }
    }
}

#[cfg(test)]
mod tests;
