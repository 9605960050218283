//! The simulated host: runs a graph in virtual time, with as many engine workers as asked for, and one that thinks. The same seeds and the
//! same drawing give the same trace, and a day passes in a second.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::graph::{Graph, NodeId};
use crate::schedule::{Lane, Schedule};
use crate::stage::Why;
use crate::time::{Moment, Span};

/// A session's place in a simulation.
pub type SessionId = usize;

type Act = Box<dyn FnOnce(Moment)>;

enum Event {
    /// Something enters session's graph through the source `into`.
    Enter { session: SessionId, into: NodeId, act: Act },
    /// An engine's slice is over.
    Done {
        session: SessionId,
        node: NodeId,
        lane: Lane,
    },
    /// A session forgets what is under way.
    Flush { session: SessionId, why: Why },
    /// A node asked to be stepped now.
    Timer { session: SessionId, node: NodeId },
}

/// What happened, in order: the trace that two runs of one seed share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub now: Moment,
    /// To which session.
    pub session: SessionId,
    /// In which node.
    pub node: &'static str,
    /// The slice's modelled cost; zero for quick stages.
    pub cost: Span,
}

/// Graphs, workers and a virtual clock.
pub struct Sim {
    now: Moment,
    next: u64,
    events: BinaryHeap<Reverse<(Moment, u64, usize)>>,
    pending: Vec<Option<Event>>,
    free: Vec<usize>,
    schedule: Schedule<(SessionId, NodeId)>,
    idle: usize,
    /// Whether the worker that thinks is busy.
    thinking: bool,
    sessions: Vec<Session>,
    trace: Vec<Step>,
}

struct Session {
    graph: Arc<Graph>,
    /// Engines that are queued or running.
    busy: Vec<bool>,
    timers: Vec<Option<Moment>>,
}

impl Sim {
    /// A machine with this many engine workers.
    pub fn new(workers: usize) -> Sim {
        let schedule = Schedule::new(workers);
        let idle = schedule.workers();
        Sim {
            now: Moment::ZERO,
            next: 0,
            events: BinaryHeap::new(),
            pending: Vec::new(),
            free: Vec::new(),
            schedule,
            idle,
            thinking: false,
            sessions: Vec::new(),
            trace: Vec::new(),
        }
    }
    /// Adds a session.
    pub fn adopt(&mut self, graph: Graph) -> SessionId {
        let nodes = graph.nodes().count();
        self.sessions.push(Session {
            graph: Arc::new(graph),
            busy: vec![false; nodes],
            timers: vec![None; nodes],
        });
        self.sessions.len() - 1
    }
    /// A session's graph.
    pub fn graph(&self, session: SessionId) -> &Arc<Graph> {
        &self.sessions[session].graph
    }
    /// Plans that `act` pushes something through the source `into` at `when`.
    pub fn at(&mut self, when: Moment, session: SessionId, into: NodeId, act: impl FnOnce(Moment) + 'static) {
        self.plan(
            when,
            Event::Enter {
                session,
                into,
                act: Box::new(act),
            },
        );
    }
    /// Plans a flush of a session at `when`.
    pub fn flush_at(&mut self, when: Moment, session: SessionId, why: Why) {
        self.plan(when, Event::Flush { session, why });
    }
    /// Runs until nothing is planned any more, or `until` has come. Answers with the trace.
    pub fn run(&mut self, until: Moment) -> &[Step] {
        while let Some(Reverse((when, _, slot))) = self.events.peek().copied() {
            if when > until {
                break;
            }
            self.events.pop();
            self.now = when;
            if let Some(event) = self.pending[slot].take() {
                self.free.push(slot);
                self.happen(event);
            }
        }
        &self.trace
    }
    /// The virtual time.
    pub fn now(&self) -> Moment {
        self.now
    }

    fn plan(&mut self, when: Moment, event: Event) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.pending.push(None);
            self.pending.len() - 1
        });
        self.pending[slot] = Some(event);
        self.events.push(Reverse((when.max(self.now), self.next, slot)));
        self.next += 1;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Enter { session, into, act } => {
                act(self.now);
                self.wake_readers(session, into);
            }
            Event::Done { session, node, lane } => {
                let graph = self.sessions[session].graph.clone();
                graph.deliver(node, self.now);
                self.release(lane);
                self.sessions[session].busy[node.index()] = false;
                self.wake(session, node);
                self.wake_readers(session, node);
            }
            Event::Flush { session, why } => {
                let graph = self.sessions[session].graph.clone();
                graph.flush(why);
                graph.nodes().for_each(|node| self.wake(session, node));
            }
            Event::Timer { session, node } => {
                self.sessions[session].timers[node.index()] = None;
                self.wake(session, node);
            }
        }
        self.assign();
    }

    fn wake_readers(&mut self, session: SessionId, node: NodeId) {
        let graph = self.sessions[session].graph.clone();
        for reader in graph.feeds(node) {
            self.wake(session, *reader);
        }
    }

    /// Sees to a node: steps a quick one until it has nothing to do, queues an engine.
    fn wake(&mut self, session: SessionId, node: NodeId) {
        let graph = self.sessions[session].graph.clone();
        let index = node.index();
        if graph.lane(node) == Lane::Quick {
            while graph.due(node, self.now) && graph.run(node, self.now).is_some() {
                self.trace.push(Step {
                    now: self.now,
                    session,
                    node: graph.name(node),
                    cost: Span::ZERO,
                });
                graph.deliver(node, self.now);
                self.wake_readers(session, node);
            }
        } else if !self.sessions[session].busy[index] && graph.due(node, self.now) {
            self.sessions[session].busy[index] = true;
            self.schedule.push(graph.lane(node), (session, node));
        }
        // A busy engine's timer is looked at when its slice is over: planned now, it would come due again and again.
        if let Some(timer) = graph.timer(node)
            && !self.sessions[session].busy[index]
            && self.sessions[session].timers[index] != Some(timer)
        {
            self.sessions[session].timers[index] = Some(timer);
            self.plan(timer, Event::Timer { session, node });
        }
    }

    /// Gives queued engines to free workers.
    fn assign(&mut self) {
        while self.idle > 0
            && let Some((lane, (session, node))) = self.schedule.pop()
        {
            self.idle -= 1;
            self.start(lane, session, node);
        }
        while !self.thinking
            && let Some((session, node)) = self.schedule.think()
        {
            self.thinking = true;
            self.start(Lane::Think, session, node);
        }
    }

    /// One slice of an engine, on a worker that was taken for it.
    fn start(&mut self, lane: Lane, session: SessionId, node: NodeId) {
        let graph = self.sessions[session].graph.clone();
        let Some(cost) = graph.run(node, self.now) else {
            // What it was queued for was dropped in the meantime.
            self.sessions[session].busy[node.index()] = false;
            return self.release(lane);
        };
        graph.took(node, cost);
        self.trace.push(Step {
            now: self.now,
            session,
            node: graph.name(node),
            cost,
        });
        self.plan(self.now + cost, Event::Done { session, node, lane });
    }

    fn release(&mut self, lane: Lane) {
        match lane {
            Lane::Think => self.thinking = false,
            Lane::See => {
                self.idle += 1;
                self.schedule.seen();
            }
            Lane::Quick | Lane::Hear => self.idle += 1,
        }
    }
}

#[cfg(test)]
mod tests;
