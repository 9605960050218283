//! One session from its start to the last of its words, and the roll of all that are here.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use hearsight_core::media::Packet;
use hearsight_core::meter::{Histogram, Meter, Tally};
use hearsight_core::time::Moment;
use hearsight_live::clock::Clock;
use tokio::sync::watch;

use super::Desk;
use crate::events::{Events, Publisher};
use crate::ingest::{Left, Refusal, Reply, SessionId};
use crate::serve::Guest;
use crate::webhook::Webhooks;
use crate::wire::ToClient;
use crate::wire::notice::Notice;

/// Seconds after which a client may ask again while the server stops: about what its successor needs to start.
const RETRY_AFTER: u32 = 10;

/// Who is told of what sessions say and do, besides their own clients.
#[derive(Clone)]
pub struct Told {
    /// Readers of streams.
    pub events: Events,
    /// Addresses that are called.
    pub webhooks: Webhooks,
}

/// What all sessions together came to.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Sessions that were let in.
    pub started: u64,
    /// Sessions that are over, by why they ended.
    pub ended: BTreeMap<&'static str, u64>,
    /// How long those were.
    pub lengths: Histogram,
    /// What the graphs of all sessions counted.
    pub tally: Tally,
}

/// The roll of the sessions that are here. Copies share it.
#[derive(Clone)]
pub(super) struct Roll {
    inner: Arc<Inner>,
}

struct Inner {
    told: Told,
    clock: Clock,
    leaving: AtomicBool,
    here: watch::Sender<usize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: HashMap<SessionId, (Meter, Reply)>,
    /// Where questions of those are handed in, for whoever knows the session.
    desks: HashMap<SessionId, Weak<Desk>>,
    past: Account,
}

impl Roll {
    pub(super) fn new(told: Told, clock: Clock) -> Roll {
        let inner = Inner {
            told,
            clock,
            leaving: AtomicBool::new(false),
            here: watch::Sender::new(0),
            state: Mutex::default(),
        };
        Roll { inner: Arc::new(inner) }
    }

    /// Whether a newcomer may come in.
    pub(super) fn admit(&self) -> Result<(), Refusal> {
        if self.is_leaving() {
            return Err(Refusal::Busy {
                retry_after: RETRY_AFTER,
                detail: "the server is stopping: try again when it has started anew".into(),
            });
        }
        Ok(())
    }

    /// Lets nobody else in.
    pub(super) fn leave(&self) {
        self.inner.leaving.store(true, Relaxed);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.inner.leaving.load(Relaxed)
    }

    /// Waits until nobody is here.
    pub(super) async fn empty(&self) {
        // The sender lives as long as the roll.
        let _ = self.inner.here.subscribe().wait_for(|here| *here == 0).await;
    }

    /// Tells every client that its session is about to end, and why.
    pub(super) fn warn(&self) {
        let message = ToClient::Error {
            code: "server_stopping".into(),
            message: "The server is stopping. Connect again in a few seconds.".into(),
        };
        let farewell = serde_json::to_string(&message).unwrap_or_default();
        for (_, reply) in self.inner.lock().running.values() {
            // A client that takes no more messages is ended without one.
            let _ = reply.send(farewell.clone());
        }
    }

    /// Ends every session.
    pub(super) fn dismiss(&self) {
        let state = self.inner.lock();
        state.running.values().for_each(|(_, reply)| reply.close());
    }

    /// What all sessions came to, the running ones too.
    pub(super) fn account(&self) -> Account {
        let state = self.inner.lock();
        let mut account = state.past.clone();
        state
            .running
            .values()
            .for_each(|(meter, _)| account.tally.merge(&meter.tally()));
        account
    }

    /// A session's questions are handed in here.
    pub(super) fn seat(&self, id: SessionId, desk: &Arc<Desk>) {
        self.inner.lock().desks.insert(id, Arc::downgrade(desk));
    }

    /// Where a session's questions are handed in, as long as it is here.
    pub(super) fn desk(&self, id: SessionId) -> Option<Arc<Desk>> {
        self.inner.lock().desks.get(&id)?.upgrade()
    }

    /// A session begins.
    pub(super) fn enter(&self, guest: &Guest, id: SessionId, meter: Meter, reply: Reply) -> Arc<Visit> {
        let inner = &self.inner;
        {
            let mut state = inner.lock();
            state.past.started += 1;
            state.running.insert(id, (meter.clone(), reply));
            inner.here.send_replace(state.running.len());
        }
        let visit = Visit {
            roll: self.clone(),
            id,
            stream: guest.stream.clone(),
            user: guest.user.clone(),
            began: inner.clock.now(),
            meter,
            publisher: inner.told.events.enter(&guest.stream, id),
            units: AtomicU64::new(0),
            missing: AtomicU64::new(0),
            why: OnceLock::new(),
        };
        tracing::info!(session = id.short(), "session started");
        visit.notice(&Notice::SessionStarted {
            stream: visit.stream.clone(),
            session: id.short(),
            user: visit.user.as_deref().map(str::to_owned),
        });
        Arc::new(visit)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One session. It is over when the last who holds it lets go: its client left, and its last words are out.
pub(super) struct Visit {
    roll: Roll,
    id: SessionId,
    stream: String,
    user: Option<Arc<str>>,
    began: Moment,
    meter: Meter,
    publisher: Publisher,
    units: AtomicU64,
    missing: AtomicU64,
    why: OnceLock<Left>,
}

impl Visit {
    /// A unit came in.
    pub(super) fn came(&self, unit: &Packet) {
        self.units.fetch_add(1, Relaxed);
        self.missing.fetch_add(u64::from(unit.missing), Relaxed);
    }

    /// The client left; its last words may follow.
    pub(super) fn left(&self, why: Left) {
        let _ = self.why.set(why);
    }

    /// Passes on to others what is said to the client. What answers the client alone is not for others.
    pub(super) fn said(&self, event: &ToClient, json: &str) {
        let private = matches!(
            event,
            ToClient::Session { .. } | ToClient::Clock { .. } | ToClient::Error { .. } | ToClient::Unknown
        );
        if private {
            return;
        }
        self.publisher.publish(event.name(), json);
        let webhooks = &self.roll.inner.told.webhooks;
        if webhooks.wants(event.name()) {
            let data = serde_json::json!({
                "stream": self.stream, "session": self.id.short(), "user": self.user.as_deref(), "event": event,
            });
            webhooks.post(event.name(), data);
        }
    }

    fn notice(&self, notice: &Notice) {
        self.publisher
            .publish(notice.name(), &serde_json::to_string(notice).unwrap_or_default());
        let data = serde_json::to_value(notice).unwrap_or_default();
        self.roll.inner.told.webhooks.post(notice.name(), data);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let inner = self.roll.inner.clone();
        let why = name(self.why.get().copied().unwrap_or(Left::Failed));
        let length = inner.clock.now() - self.began;
        let tally = self.meter.tally();
        let (units, missing) = (self.units.load(Relaxed), self.missing.load(Relaxed));
        let (seconds, lost) = (length.secs_f64(), tally.lost.values().sum());
        {
            let mut state = inner.lock();
            state.running.remove(&self.id);
            state.desks.remove(&self.id);
            state.past.tally.merge(&tally);
            *state.past.ended.entry(why).or_default() += 1;
            state.past.lengths.record(length);
        }
        tracing::info!(
            session = self.id.short(),
            why,
            seconds,
            units,
            missing,
            lost,
            "session ended"
        );
        self.notice(&Notice::SessionEnded {
            stream: self.stream.clone(),
            session: self.id.short(),
            user: self.user.as_deref().map(str::to_owned),
            why: why.to_owned(),
            seconds,
            units,
            missing,
            lost,
        });
        // Last: whoever waits for an empty house may then take it down.
        let here = inner.lock().running.len();
        inner.here.send_replace(here);
    }
}

fn name(why: Left) -> &'static str {
    match why {
        Left::Closed => "closed",
        Left::Dismissed => "dismissed",
        Left::Silent => "silent",
        Left::NeverConnected => "never_connected",
        Left::Failed => "failed",
        Left::Shutdown => "shutdown",
    }
}
