//! What of a session can be watched, and by whom: each view of a session has a [`Screen`], and each viewer a [`Seat`]
//! before it.
//!
//! Knows coded units and bounded queues. Must not know how units come about nor how they travel: makers put them on a
//! screen, and whoever sends takes them from a seat. Nothing here waits. Start at [`Screens::enter`] and [`Screens::find`].

mod screen;
mod screens;

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use hearsight_core::stage::Lost;

pub use screen::{Asked, Bell, Next, Screen, Seat};
pub use screens::{NotShown, OnAir, Screens};

/// What can be watched of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// The pictures as they arrived, not coded anew.
    Received,
    /// The pictures at a higher rate: those between are made here.
    Smooth,
}

impl View {
    /// Every view.
    pub const ALL: [View; 2] = [View::Received, View::Smooth];

    /// The name in addresses and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            View::Received => "received",
            View::Smooth => "smooth",
        }
    }

    /// Reads what [`View::name`] writes.
    pub fn parse(name: &str) -> Option<View> {
        View::ALL.into_iter().find(|view| view.name() == name)
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What all viewers of one view, over all sessions, came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Who watches now.
    pub viewers: usize,
    /// Units that viewers took.
    pub units: u64,
    /// Their bytes, before packets are made of them.
    pub bytes: u64,
    /// Keyframes that viewers wished for, as they were passed on.
    pub key_wishes: u64,
    /// Units that a viewer did not get, in the order of [`Lost::ALL`].
    pub lost: [u64; Lost::ALL.len()],
}

/// The same, counted on.
#[derive(Debug, Default)]
struct Counters {
    viewers: AtomicUsize,
    units: AtomicU64,
    bytes: AtomicU64,
    key_wishes: AtomicU64,
    lost: [AtomicU64; Lost::ALL.len()],
}

impl Counters {
    fn lose(&self, why: Lost, count: u64) {
        self.lost[why as usize].fetch_add(count, Relaxed);
    }

    fn snapshot(&self) -> Stats {
        Stats {
            viewers: self.viewers.load(Relaxed),
            units: self.units.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            key_wishes: self.key_wishes.load(Relaxed),
            lost: std::array::from_fn(|why| self.lost[why].load(Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests;
