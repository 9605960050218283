//! The pull host's policy: which node may go on when nothing may be lost. For offline work, which is never late.
//!
//! A source is asked for its next unit only while its readers have room, and a node takes a signal only while its own
//! have; what one step puts out beyond that waits in the node. So no link ever holds more than it keeps, and nothing is
//! dropped, whatever the drawing says. The node furthest to the right goes first: what is nearly done leaves memory soonest.
//!
//! Time stands still, except that it jumps to the next timer when nothing else is left to do. Any number of workers may
//! take turns; the units on each link, and their order, are the same for all. One worker is [`Pull::run`], several are
//! `hearsight_live::pull`.

use std::sync::{Arc, Mutex, PoisonError};

use crate::graph::{Graph, NodeId, Source};
use crate::media::Flow;
use crate::stage::Signal;
use crate::stamped::Stamped;
use crate::time::Moment;

/// A source and where its units come from; types forgotten.
trait Feed: Send {
    fn has_room(&self) -> bool;
    /// Answers whether there is more.
    fn pull(&mut self, now: Moment) -> bool;
}

struct Reel<T, F> {
    source: Source<T>,
    next: F,
}

impl<T: Flow + Clone, F: FnMut() -> Option<Stamped<T>> + Send> Feed for Reel<T, F> {
    fn has_room(&self) -> bool {
        self.source.has_room()
    }

    fn pull(&mut self, now: Moment) -> bool {
        let next = (self.next)();
        let more = next.is_some();
        self.source.push(now, next.map_or(Signal::End, Signal::Item));
        more
    }
}

struct Door {
    id: NodeId,
    feed: Arc<Mutex<dyn Feed>>,
    state: State,
}

/// Of a door or a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    Busy,
    Over,
}

/// A graph, and the doors through which it pulls.
pub struct Pull {
    graph: Arc<Graph>,
    doors: Vec<Door>,
    nodes: Vec<State>,
    now: Moment,
}

/// A piece of work that one worker was given. It must come back: [`Pull::done`].
pub struct Turn {
    graph: Arc<Graph>,
    now: Moment,
    work: Work,
}

enum Work {
    Node(NodeId),
    Door(usize, Arc<Mutex<dyn Feed>>),
}

/// What became of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Took {
    /// Something was taken in; there may be more.
    Unit,
    /// Nothing was; for a door: its last unit has gone in.
    Nothing,
}

impl Turn {
    /// Does the work: one slice of a node, or one unit out of a source.
    pub fn take(&self) -> Took {
        let more = match &self.work {
            Work::Node(id) => self.graph.advance(*id, self.now),
            Work::Door(_, feed) => feed.lock().unwrap_or_else(PoisonError::into_inner).pull(self.now),
        };
        if more { Took::Unit } else { Took::Nothing }
    }

    /// The node that it steps; none for a source.
    pub fn node(&self) -> Option<NodeId> {
        match self.work {
            Work::Node(id) => Some(id),
            Work::Door(..) => None,
        }
    }

    /// The graph that it belongs to.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

impl Pull {
    /// A graph without doors; each of its sources wants one.
    pub fn new(graph: Graph) -> Pull {
        let nodes = vec![State::Free; graph.nodes().count()];
        Pull {
            graph: Arc::new(graph),
            doors: Vec::new(),
            nodes,
            now: Moment::ZERO,
        }
    }

    /// Units come in through `source` as `next` gives them, until it gives none.
    pub fn feed<T: Flow + Clone>(
        &mut self,
        source: Source<T>,
        next: impl FnMut() -> Option<Stamped<T>> + Send + 'static,
    ) {
        self.doors.push(Door {
            id: source.id(),
            feed: Arc::new(Mutex::new(Reel { source, next })),
            state: State::Free,
        });
    }

    /// The graph.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// The next piece of work; none when all that could be done is being done.
    pub fn claim(&mut self) -> Option<Turn> {
        let work = self.claim_node().or_else(|| self.claim_door()).or_else(|| {
            // Nothing is under way and nothing can be: time goes on.
            let next = self.is_idle().then(|| self.next_timer()).flatten()?;
            self.now = self.now.max(next);
            self.claim_node()
        })?;
        Some(Turn {
            graph: Arc::clone(&self.graph),
            now: self.now,
            work,
        })
    }

    fn claim_node(&mut self) -> Option<Work> {
        let id = self
            .graph
            .nodes()
            .rev()
            .find(|id| self.nodes[id.index()] == State::Free && self.graph.can_advance(*id, self.now))?;
        self.nodes[id.index()] = State::Busy;
        Some(Work::Node(id))
    }

    fn claim_door(&mut self) -> Option<Work> {
        let free = |door: &Door| {
            let feed = door.feed.lock().unwrap_or_else(PoisonError::into_inner);
            feed.has_room()
        };
        let at = self
            .doors
            .iter()
            .rposition(|door| door.state == State::Free && free(door))?;
        self.doors[at].state = State::Busy;
        Some(Work::Door(at, Arc::clone(&self.doors[at].feed)))
    }

    fn next_timer(&self) -> Option<Moment> {
        self.graph.nodes().filter_map(|id| self.graph.timer(id)).min()
    }

    /// Whether no turn is under way.
    pub fn is_idle(&self) -> bool {
        let busy = |state: &State| *state == State::Busy;
        !self.nodes.iter().any(busy) && !self.doors.iter().any(|door| busy(&door.state))
    }

    /// Takes a turn back.
    pub fn done(&mut self, turn: &Turn, took: Took) {
        match turn.work {
            Work::Node(id) if self.graph.is_done(id) => self.nodes[id.index()] = State::Over,
            Work::Node(id) => self.nodes[id.index()] = State::Free,
            Work::Door(at, _) if took == Took::Nothing => self.doors[at].state = State::Over,
            Work::Door(at, _) => self.doors[at].state = State::Free,
        }
    }

    /// Stops a node whose turn broke down, or a source: it ends for its readers.
    pub fn broke(&mut self, turn: &Turn) {
        match turn.work {
            Work::Node(id) => {
                self.graph.kill(id, self.now);
                self.nodes[id.index()] = State::Over;
            }
            Work::Door(at, _) => {
                self.doors[at].state = State::Over;
                let readers = self.graph.feeds(self.doors[at].id).to_vec();
                readers.into_iter().for_each(|reader| {
                    self.graph.kill(reader, self.now);
                    self.nodes[reader.index()] = State::Over;
                });
            }
        }
    }

    /// Whether the end has come everywhere.
    pub fn is_over(&self) -> bool {
        self.is_idle() && self.graph.nodes().all(|id| self.graph.is_done(id))
    }

    /// Does all there is to do on the calling thread: the same drawing and the same units give the same steps.
    pub fn run(&mut self) {
        while let Some(turn) = self.claim() {
            let took = turn.take();
            self.done(&turn, took);
        }
    }
}

#[cfg(test)]
mod tests;
