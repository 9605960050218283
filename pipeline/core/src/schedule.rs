//! Which engine runs next. One policy for both hosts: hearing before seeing, first come first served within a lane,
//! and never all workers for seeing, so that sound always finds one free. Thinking has one worker to itself.

use std::collections::VecDeque;

/// Where a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// On the session's own task: quick stages and sinks.
    Quick,
    /// On an engine thread, ahead of everything else.
    Hear,
    /// On an engine thread, behind hearing.
    See,
    /// On a thread of its own beside the engine threads: slices so long that they would hold the others up.
    Think,
}

/// The engines that have something to do, in the order in which they get a worker.
#[derive(Debug)]
pub struct Schedule<K> {
    workers: usize,
    seeing: usize,
    hear: VecDeque<K>,
    see: VecDeque<K>,
    think: VecDeque<K>,
}

impl<K> Schedule<K> {
    /// A schedule for this many workers, at least one.
    pub fn new(workers: usize) -> Schedule<K> {
        Schedule {
            workers: workers.max(1),
            seeing: 0,
            hear: VecDeque::new(),
            see: VecDeque::new(),
            think: VecDeque::new(),
        }
    }
    /// How many workers it is for, the one that thinks not counted.
    pub fn workers(&self) -> usize {
        self.workers
    }
    /// Queues an engine. The caller queues each at most once, so the queue is bounded by the number of engines.
    pub fn push(&mut self, lane: Lane, key: K) {
        match lane {
            Lane::Quick | Lane::Hear => self.hear.push_back(key),
            Lane::See => self.see.push_back(key),
            Lane::Think => self.think.push_back(key),
        }
    }
    /// The engine for a worker that just became free. Every `Lane::See` handed out is given back with [`Schedule::seen`].
    pub fn pop(&mut self) -> Option<(Lane, K)> {
        if let Some(key) = self.hear.pop_front() {
            return Some((Lane::Hear, key));
        }
        let most = (self.workers - 1).max(1);
        if self.seeing >= most {
            return None;
        }
        let key = self.see.pop_front()?;
        self.seeing += 1;
        Some((Lane::See, key))
    }
    /// The engine for the worker that thinks, which just became free.
    pub fn think(&mut self) -> Option<K> {
        self.think.pop_front()
    }
    /// A slice of the seeing lane is over.
    pub fn seen(&mut self) {
        self.seeing = self.seeing.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hearing_goes_first_and_seeing_never_takes_the_last_of_several_workers() {
        let mut schedule = Schedule::new(2);
        for key in ["a", "b"] {
            schedule.push(Lane::See, key);
        }
        schedule.push(Lane::Hear, "c");
        assert_eq!(schedule.pop(), Some((Lane::Hear, "c")));
        assert_eq!(schedule.pop(), Some((Lane::See, "a")));
        assert_eq!(schedule.pop(), None);
        schedule.seen();
        assert_eq!(schedule.pop(), Some((Lane::See, "b")));
    }

    #[test]
    fn thinking_takes_no_worker_of_the_others_and_none_of_them_thinks() {
        let mut schedule = Schedule::new(1);
        schedule.push(Lane::Think, "slow");
        assert_eq!(schedule.pop(), None);
        assert_eq!(schedule.think(), Some("slow"));
        schedule.push(Lane::See, "quick");
        assert_eq!(schedule.think(), None);
        assert_eq!(schedule.pop(), Some((Lane::See, "quick")));
    }
}
