//! Counters, readable from any thread while the ingest thread counts on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::SessionId;
use super::sdp::Way;

/// What all sessions together have seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sessions that publish, whether connected or not.
    pub open: usize,
    /// Those of them that are not connected yet.
    pub connecting: usize,
    /// Viewers, whether connected or not.
    pub viewers: usize,
    /// Datagrams received.
    pub datagrams: u64,
    /// Datagrams that belong to no session.
    pub unroutable: u64,
    /// Datagrams that are none of STUN, DTLS, RTP or RTCP.
    pub unreadable: u64,
    /// Datagrams that we could not send.
    pub unsent: u64,
    /// Inputs that a session refused.
    pub errors: u64,
    /// Addresses that a session answered to while they were another live session's.
    pub contested: u64,
    /// Sessions that ended by a panic.
    pub panics: u64,
    /// The running sessions.
    pub sessions: Vec<SessionStats>,
}

/// What one session has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStats {
    /// Which session.
    pub id: SessionId,
    /// Bytes received in datagrams.
    pub received_bytes: u64,
    /// Bytes sent in datagrams.
    pub sent_bytes: u64,
    /// Units passed on.
    pub units: u64,
    /// Units missing, as far as sequence numbers tell.
    pub missing: u64,
    /// Pictures asked for.
    pub keyframe_requests: u64,
    /// Inputs refused.
    pub errors: u64,
    /// Messages refused: too long, binary or not UTF-8.
    pub messages_refused: u64,
}

/// A counter that any thread may read.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }
    pub(super) fn one(&self) {
        self.add(1);
    }
    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How many places are taken.
#[derive(Debug, Default)]
struct Places {
    open: AtomicUsize,
    connecting: AtomicUsize,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    publishing: Places,
    watching: Places,
    pub(super) datagrams: Counter,
    pub(super) unroutable: Counter,
    pub(super) unreadable: Counter,
    pub(super) unsent: Counter,
    pub(super) errors: Counter,
    pub(super) contested: Counter,
    pub(super) panics: Counter,
}

impl Counters {
    /// A place among the open and the connecting sessions that go this way, if both have one: viewers never take the place
    /// of one who publishes.
    pub(super) fn admit(self: &Arc<Self>, way: Way, max_open: usize, max_connecting: usize) -> Option<Permit> {
        let places = self.places(way);
        take(&places.open, max_open)?;
        let mut permit = Permit {
            counters: self.clone(),
            way,
            connecting: false,
        };
        take(&places.connecting, max_connecting)?;
        permit.connecting = true;
        Some(permit)
    }
    fn places(&self, way: Way) -> &Places {
        match way {
            Way::In => &self.publishing,
            Way::Out => &self.watching,
        }
    }
    pub(super) fn snapshot(&self) -> Stats {
        Stats {
            open: self.publishing.open.load(Relaxed),
            connecting: self.publishing.connecting.load(Relaxed),
            viewers: self.watching.open.load(Relaxed),
            datagrams: self.datagrams.get(),
            unroutable: self.unroutable.get(),
            unreadable: self.unreadable.get(),
            unsent: self.unsent.get(),
            errors: self.errors.get(),
            contested: self.contested.get(),
            panics: self.panics.get(),
            sessions: Vec::new(),
        }
    }
}

fn take(places: &AtomicUsize, max: usize) -> Option<()> {
    places
        .fetch_update(Relaxed, Relaxed, |taken| (taken < max).then_some(taken + 1))
        .ok()
        .map(drop)
}

/// A place that is given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    counters: Arc<Counters>,
    way: Way,
    connecting: bool,
}

impl Permit {
    /// The counters of all sessions.
    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }
    /// The session connected: its place among the connecting is free again.
    pub(super) fn connected(&mut self) {
        if std::mem::take(&mut self.connecting) {
            self.counters.places(self.way).connecting.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.connected();
        self.counters.places(self.way).open.fetch_sub(1, Relaxed);
    }
}

#[derive(Debug, Default)]
pub(super) struct SessionCounters {
    pub(super) received_bytes: Counter,
    pub(super) sent_bytes: Counter,
    pub(super) units: Counter,
    pub(super) missing: Counter,
    pub(super) keyframe_requests: Counter,
    pub(super) errors: Counter,
    pub(super) messages_refused: Counter,
}

impl SessionCounters {
    pub(super) fn snapshot(&self, id: SessionId) -> SessionStats {
        SessionStats {
            id,
            received_bytes: self.received_bytes.get(),
            sent_bytes: self.sent_bytes.get(),
            units: self.units.get(),
            missing: self.missing.get(),
            keyframe_requests: self.keyframe_requests.get(),
            errors: self.errors.get(),
            messages_refused: self.messages_refused.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let counters = Arc::new(Counters::default());
        let mut first = counters.admit(Way::In, 2, 1).expect("a place");
        assert!(counters.admit(Way::In, 2, 1).is_none(), "one connects already");
        assert_eq!(counters.snapshot().open, 1, "the refused one holds no place");
        first.connected();
        let second = counters.admit(Way::In, 2, 1).expect("a place");
        assert!(counters.admit(Way::In, 2, 2).is_none(), "both places are taken");
        let viewer = counters
            .admit(Way::Out, 1, 1)
            .expect("viewers have places of their own");
        assert!(counters.admit(Way::Out, 1, 2).is_none());
        assert_eq!((counters.snapshot().open, counters.snapshot().viewers), (2, 1));
        drop((first, second, viewer));
        assert_eq!((counters.snapshot().open, counters.snapshot().connecting), (0, 0));
    }
}
