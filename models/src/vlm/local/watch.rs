//! Ends a run of the model when its time is up. The model's own thread can't look at a clock while it computes, and engines have
//! none: a thread of its own waits, with a timeout, for the run to be over.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use hearsight_core::time::Span;
use ort::session::{NoSelectedOutputs, RunOptions};

/// The watching thread; it ends when this is dropped.
pub(super) struct Watch {
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

struct Order {
    run: Arc<RunOptions<NoSelectedOutputs>>,
    limit: Span,
    /// Closes when the run is over.
    over: Receiver<()>,
}

/// Held while a run goes on.
pub(super) struct Watched {
    _running: SyncSender<()>,
}

impl Watch {
    pub(super) fn start() -> std::io::Result<Watch> {
        // Runs of one model follow each other: one order waits at most.
        let (orders, taken) = sync_channel::<Order>(1);
        let thread = Builder::new().name("vlm-watch".into()).spawn(move || {
            for Order { run, limit, over } in taken {
                if over.recv_timeout(limit.to_duration()) == Err(RecvTimeoutError::Timeout) {
                    // The flag can only fail to be set for options that don't exist.
                    let _ = run.terminate();
                }
            }
        })?;
        Ok(Watch {
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// Ends the run under `run` after `limit`, unless what this answers is dropped before.
    pub(super) fn limit(&self, run: &Arc<RunOptions<NoSelectedOutputs>>, limit: Span) -> Watched {
        let (running, over) = sync_channel(1);
        if let Some(orders) = &self.orders {
            let order = Order {
                run: run.clone(),
                limit,
                over,
            };
            // The thread lives as long as `self`.
            let _ = orders.send(order);
        }
        Watched { _running: running }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // It panics nowhere; if it did, there is nothing left to end.
            let _ = thread.join();
        }
    }
}
