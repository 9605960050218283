//! A session's epochs: what was queued under an older one is dropped.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::stage::Why;

/// Counts a session's flushes. Whatever was queued before the last one is dropped.
#[derive(Debug, Default)]
pub(crate) struct Epoch(AtomicU64);

impl Epoch {
    pub(crate) fn number(&self) -> u32 {
        (self.0.load(Ordering::Acquire) >> 1) as u32
    }
    pub(crate) fn why(&self) -> Why {
        if self.0.load(Ordering::Acquire) & 1 == 0 {
            Why::BargeIn
        } else {
            Why::Seek
        }
    }
    pub(crate) fn bump(&self, why: Why) {
        let bit = u64::from(why == Why::Seek);
        // One writer at a time is all that a session has; a lost race would merge two flushes into one.
        let next = (self.0.load(Ordering::Acquire) >> 1) + 1;
        self.0.store(next << 1 | bit, Ordering::Release);
    }
}
