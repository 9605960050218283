//! The simulated host: runs a graph in virtual time, with as many workers and processors as asked for. The same seeds and the same
//! drawing give the same trace, and a day passes in a second.

mod processors;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::graph::{Graph, NodeId};
use crate::schedule::{Crew, Lane, Load, Member, Policy, Schedule};
use crate::stage::Why;
use crate::time::{Moment, Span};

use processors::{Processors, Slice};

/// A session's place in a simulation.
pub type SessionId = usize;

type Act = Box<dyn FnOnce(Moment)>;
type Visit = Box<dyn FnOnce(&mut Sim)>;

/// What a simulation runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Engine workers: under [`Policy::Ours`] those that think and show come on top.
    pub workers: usize,
    /// Processors that all of them share, those of lower priority with less weight; none: one for each.
    pub processors: Option<usize>,
    /// By what the next slice is chosen.
    pub policy: Policy,
}

enum Event {
    /// Something enters session's graph through the source `into`.
    Enter { session: SessionId, into: NodeId, act: Act },
    /// A slice is over, unless others began or ended since this was planned.
    Ends { edition: u64 },
    /// Somebody comes or goes.
    Visit(Visit),
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
    /// How many workers of each crew are.
    busy: [usize; Crew::ALL.len()],
    sessions: Vec<Session>,
    processors: Processors,
    trace: Option<Vec<Step>>,
    slices: u64,
}

struct Session {
    graph: Arc<Graph>,
    member: Member,
    /// Engines that are queued or running.
    busy: Vec<bool>,
    timers: Vec<Option<Moment>>,
}

impl Sim {
    /// A machine with this many engine workers, and a processor for each of them.
    pub fn new(workers: usize) -> Sim {
        Sim::on(Machine {
            workers,
            processors: None,
            policy: Policy::Ours,
        })
    }
    /// A machine.
    pub fn on(machine: Machine) -> Sim {
        let schedule = Schedule::under(machine.policy, machine.workers);
        Sim {
            now: Moment::ZERO,
            next: 0,
            events: BinaryHeap::new(),
            pending: Vec::new(),
            free: Vec::new(),
            schedule,
            busy: [0; Crew::ALL.len()],
            sessions: Vec::new(),
            processors: Processors::new(machine.processors, machine.policy),
            trace: Some(Vec::new()),
            slices: 0,
        }
    }
    /// Keeps no trace from now on: long runs of many sessions have a long one.
    pub fn forget(&mut self) {
        self.trace = None;
    }
    /// Adds a session.
    pub fn adopt(&mut self, graph: Graph) -> SessionId {
        self.adopt_for(graph, None)
    }
    /// Adds a session of a user.
    pub fn adopt_for(&mut self, graph: Graph, user: Option<u64>) -> SessionId {
        let nodes = graph.nodes().count();
        graph.set_gauge(self.schedule.gauge());
        self.sessions.push(Session {
            graph: Arc::new(graph),
            member: self.schedule.enter(user),
            busy: vec![false; nodes],
            timers: vec![None; nodes],
        });
        self.sessions.len() - 1
    }
    /// A session has no more claim to the machine.
    pub fn leave(&mut self, session: SessionId) {
        self.schedule.leave(self.sessions[session].member);
    }
    /// Whether one more session finds room; otherwise when to ask again.
    pub fn admit(&mut self) -> Result<(), Span> {
        self.schedule.admit(self.now)
    }
    /// How the machine stands.
    pub fn load(&self) -> Load {
        self.schedule.load()
    }
    /// How many slices ran, and for how long.
    pub fn worked(&self) -> (u64, Span) {
        (self.slices, self.processors.worked())
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
    /// Plans that somebody comes or goes at `when`.
    pub fn visit_at(&mut self, when: Moment, visit: impl FnOnce(&mut Sim) + 'static) {
        self.plan(when, Event::Visit(Box::new(visit)));
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
        self.trace.as_deref().unwrap_or_default()
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
            Event::Ends { edition } if edition == self.processors.edition() => {
                for slice in self.processors.ended(self.now) {
                    self.end(slice);
                }
            }
            Event::Ends { .. } => {}
            Event::Visit(visit) => visit(self),
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
        if let Some((edition, when)) = self.processors.plan(self.now) {
            self.plan(when, Event::Ends { edition });
        }
    }

    /// A slice is over.
    fn end(&mut self, slice: Slice) {
        let Slice {
            session, node, lane, ..
        } = slice;
        let took = self.now - slice.began;
        let Session { graph, member, .. } = &self.sessions[session];
        let (graph, member) = (graph.clone(), *member);
        if let Some((service, whole)) = graph.took(node, took) {
            self.schedule.learn(self.now, service, whole);
        }
        graph.deliver(node, self.now);
        self.release(lane, member, took);
        self.sessions[session].busy[node.index()] = false;
        self.wake(session, node);
        self.wake_readers(session, node);
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
                self.note(session, graph.name(node), Span::ZERO);
                graph.deliver(node, self.now);
                self.wake_readers(session, node);
            }
        } else if !self.sessions[session].busy[index] && graph.due(node, self.now) {
            self.sessions[session].busy[index] = true;
            let task = graph.task(node, self.now, self.sessions[session].member);
            let patience = self.schedule.push(self.now, task, (session, node));
            graph.set_patience(node, patience);
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
        for crew in Crew::ALL {
            while self.busy[crew as usize] < self.schedule.hands(crew)
                && let Some((lane, (session, node))) = self.schedule.pop(self.now, crew)
            {
                self.busy[crew as usize] += 1;
                self.start(lane, session, node);
            }
        }
    }

    /// One slice of an engine, on a worker that was taken for it.
    fn start(&mut self, lane: Lane, session: SessionId, node: NodeId) {
        let Session { graph, member, .. } = &self.sessions[session];
        let (graph, member) = (graph.clone(), *member);
        let Some(cost) = graph.run(node, self.now) else {
            // What it was queued for was dropped in the meantime; its readers may have to hear of a gap.
            self.sessions[session].busy[node.index()] = false;
            return self.release(lane, member, Span::ZERO);
        };
        self.note(session, graph.name(node), cost);
        self.slices += 1;
        let began = self.now;
        self.processors.start(
            self.now,
            Slice {
                session,
                node,
                lane,
                began,
            },
            cost,
        );
    }

    fn note(&mut self, session: SessionId, node: &'static str, cost: Span) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(Step {
                now,
                session,
                node,
                cost,
            });
        }
    }

    fn release(&mut self, lane: Lane, member: Member, took: Span) {
        self.schedule.done(self.now, lane, Some(member), took);
        self.busy[Crew::of(self.schedule.policy(), lane) as usize] -= 1;
    }
}

#[cfg(test)]
mod tests;
