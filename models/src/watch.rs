//! Ends a run of a model when its time is up. The model's own thread can't look at a clock while it computes, and engines have
//! none: a thread of its own waits, with a timeout, for the run to be over.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use hearsight_core::time::Span;

/// The watching thread; it ends when this is dropped.
pub(crate) struct Watch {
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

struct Order {
    end: Box<dyn FnOnce() + Send>,
    limit: Span,
    /// Closes when the run is over.
    over: Receiver<()>,
}

/// Held while a run goes on.
pub(crate) struct Watched {
    _running: SyncSender<()>,
}

impl Watch {
    /// Starts its thread, under this name.
    pub(crate) fn start(name: &str) -> std::io::Result<Watch> {
        // Runs of one model follow each other: one order waits at most.
        let (orders, taken) = sync_channel::<Order>(1);
        let thread = Builder::new().name(name.into()).spawn(move || {
            for Order { end, limit, over } in taken {
                if over.recv_timeout(limit.to_duration()) == Err(RecvTimeoutError::Timeout) {
                    end();
                }
            }
        })?;
        Ok(Watch {
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// Calls `end` after `limit`, unless what this answers is dropped before.
    pub(crate) fn limit(&self, end: impl FnOnce() + Send + 'static, limit: Span) -> Watched {
        let (running, over) = sync_channel(1);
        if let Some(orders) = &self.orders {
            let order = Order {
                end: Box::new(end),
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
