//! Offline work on several threads: the pull host of [`hearsight_core::pull`], under which nothing is lost and nothing is
//! late.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use hearsight_core::pull::{Pull, Turn};

use crate::clock::Clock;

/// Why it ended before its sources did.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// A thread did not start.
    #[error("a thread for offline work does not start: {0}")]
    Thread(#[from] std::io::Error),
    /// A node or a source broke down; what it had was lost.
    #[error("the stage {0} broke down")]
    Broken(&'static str),
}

/// Workers wait here until one of them has changed something.
struct Desk {
    pull: Mutex<Pull>,
    changed: Condvar,
    broken: Mutex<Option<&'static str>>,
    clock: Clock,
}

/// Runs `pull` on so many threads (at least one) until the end has come everywhere, or until `stop` says so and the turns
/// under way are over. How long each engine's slices took is in the graph's meter.
pub fn run(pull: Pull, threads: usize, clock: Clock, stop: &AtomicBool) -> Result<(), PullError> {
    let desk = Desk {
        pull: Mutex::new(pull),
        changed: Condvar::new(),
        broken: Mutex::default(),
        clock,
    };
    std::thread::scope(|scope| {
        for number in 0..threads.max(1) {
            let thread = std::thread::Builder::new().name(format!("pull-{number}"));
            let spawned = thread.spawn_scoped(scope, || desk.work(stop));
            if let (Err(error), 0) = (spawned, number) {
                return Err(error);
            }
        }
        Ok(())
    })?;
    match lock(&desk.broken).take() {
        Some(name) => Err(PullError::Broken(name)),
        None => Ok(()),
    }
}

impl Desk {
    fn work(&self, stop: &AtomicBool) {
        while let Some(turn) = self.claim(stop) {
            let began = self.clock.now();
            let took = catch_unwind(AssertUnwindSafe(|| turn.take()));
            let cost = self.clock.now() - began;
            if let (Some(node), Ok(_)) = (turn.node(), &took) {
                turn.graph().took(node, cost);
            }
            let mut pull = lock(&self.pull);
            match took {
                Ok(took) => pull.done(&turn, took),
                Err(_) => {
                    pull.broke(&turn);
                    let name = turn.node().map_or("source", |node| turn.graph().name(node));
                    lock(&self.broken).get_or_insert(name);
                }
            }
            drop(pull);
            self.changed.notify_all();
        }
        self.changed.notify_all();
    }

    /// Waits for a turn; none when there will be none any more.
    fn claim(&self, stop: &AtomicBool) -> Option<Turn> {
        let mut pull = lock(&self.pull);
        loop {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(turn) = pull.claim() {
                return Some(turn);
            }
            if pull.is_idle() {
                return None;
            }
            // Whoever has a turn gives it back, and says so.
            pull = self.changed.wait(pull).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Whoever panicked did so in a turn, outside of this lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hearsight_core::graph::Graph;
    use hearsight_core::link::Keep;
    use hearsight_core::media::Words;
    use hearsight_core::meter::Meter;
    use hearsight_core::schedule::Lane;
    use hearsight_core::stage::{Engine, Fault, Outbox, Signal, Wake};
    use hearsight_core::stamped::Stamped;
    use hearsight_core::time::{MediaTime, Moment, Span};

    use super::*;

    /// Passes on, or panics at one unit.
    struct Pass(Option<u32>);

    impl Engine for Pass {
        type In = Words;
        type Out = Words;
        fn run(&mut self, _: Moment, signal: Signal<Words>, out: &mut Outbox<Words>) -> Result<Wake, Fault> {
            if let Signal::Item(item) = signal {
                assert_ne!(Some(item.item.segment), self.0, "as the test wants");
                out.put(item);
            }
            Ok(Wake::OnSignal)
        }
        fn slice(&self) -> Span {
            Span::from_millis(1)
        }
    }

    type Heard = Arc<Mutex<Vec<u32>>>;

    fn drawn(units: u32, breaks: Option<u32>) -> (Pull, Heard) {
        let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
        let (source, mut line) = graph.source::<Words>("source", Span::ZERO);
        for (name, breaks) in [("first", None), ("second", breaks), ("third", None)] {
            line = graph.engine(name, Lane::See, &line, Keep::Every(2), None, Pass(breaks));
        }
        let heard = Heard::default();
        let ears = Arc::clone(&heard);
        graph.sink("sink", &line, Keep::Latest, move |_, signal: Signal<Words>| {
            if let Signal::Item(item) = signal {
                lock(&ears).push(item.item.segment);
            }
        });
        let mut pull = Pull::new(graph);
        let mut numbers = 0..units;
        pull.feed(source, move || {
            let segment = numbers.next()?;
            let words = Words {
                segment,
                words: Arc::new([]),
                settled: true,
            };
            Some(Stamped::new(MediaTime::ZERO, Moment::ZERO, words))
        });
        (pull, heard)
    }

    #[test]
    fn everything_comes_through_in_order_on_any_number_of_threads() {
        for threads in 0..6 {
            let (pull, heard) = drawn(2_000, None);
            run(pull, threads, Clock::new(), &AtomicBool::new(false)).unwrap();
            assert!(lock(&heard).iter().copied().eq(0..2_000), "{threads} threads");
        }
    }

    #[test]
    fn a_panic_is_an_error_and_what_went_before_is_out() {
        let (pull, heard) = drawn(100, Some(40));
        let ended = run(pull, 3, Clock::new(), &AtomicBool::new(false));
        assert!(matches!(ended, Err(PullError::Broken("second"))), "{ended:?}");
        assert!(lock(&heard).iter().copied().eq(0..40));
    }

    #[test]
    fn it_stops_when_it_is_told_to() {
        let (pull, heard) = drawn(u32::MAX, None);
        run(pull, 2, Clock::new(), &AtomicBool::new(true)).unwrap();
        assert!(lock(&heard).is_empty());
    }
}
