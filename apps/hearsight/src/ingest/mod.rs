//! The WebRTC side of the house: browsers' packets come in as whole, stamped units, messages go both ways, and units of a
//! [`Screen`] go out to viewers.
//!
//! Knows `str0m`, one UDP socket and one thread, `ingest`, that owns the socket and every session. Must not know HTTP,
//! codecs or what becomes of the units. Start at [`Ingest::start`], [`Ingest::offer`] and [`Ingest::watch`]; the pure part
//! is [`timeline`].

mod addresses;
mod fragment;
mod ice;
mod mailbox;
mod publisher;
mod reactor;
mod routes;
mod sdp;
mod session;
mod stats;
pub mod timeline;
mod viewer;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use hearsight_core::media::Packet;
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;
use thiserror::Error;

pub use fragment::{Credentials, Fragment, FragmentError, MAX_FRAGMENT};
pub use ice::{Condition, PatchError, Patched};
pub use mailbox::{Full, Reply};
#[doc(hidden)]
pub use routes::stun_request_name;
pub use sdp::MAX_SDP;
pub use stats::{SessionStats, Stats};

use ice::{Generation, Meaning};
use mailbox::{Hub, Mailbox, locked};
use publisher::Publisher;
use reactor::{Command, Reactor, Restarted};
use sdp::Way;
use session::{Part, Session};
use stats::Counters;
use viewer::Viewer;

use crate::watch::{Asked, Screen};

/// The label of the data channel that carries our messages; others are ignored.
pub const CHANNEL: &str = "hearsight";

/// The longest message taken from a client, in bytes.
pub const MAX_MESSAGE: usize = 16 * 1024;

/// How long an HTTP thread waits for the ingest thread to take a session over.
const HANDOVER: Duration = Duration::from_secs(2);

/// What ingest is told once, at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the one UDP socket is bound; port 0 takes any.
    pub bind: SocketAddr,
    /// The address under which the world reaches us, when it is not one of this machine's.
    pub public_address: Option<IpAddr>,
    /// How many sessions there may be.
    pub max_sessions: usize,
    /// How many viewers there may be, besides.
    pub max_viewers: usize,
    /// How many sessions, and how many viewers, may be still unconnected.
    pub max_connecting: usize,
    /// How long a sound packet waits for its missing predecessors: the declared jitter wait.
    pub reorder: Span,
    /// How long a session may take to connect.
    pub connect_timeout: Span,
    /// After how long without a word a client counts as gone.
    pub silence_timeout: Span,
    /// After how long without an authentic connectivity check a client no longer consents to hear from us (RFC 7675).
    pub consent_timeout: Span,
    /// The bitrate that browsers are told to start video with, in kbit/s.
    pub start_kbps: u32,
}

impl Config {
    /// The defaults, for a socket bound to `bind`.
    pub fn new(bind: SocketAddr) -> Config {
        Config {
            bind,
            public_address: None,
            max_sessions: 64,
            max_viewers: 64,
            max_connecting: 32,
            reorder: Span::from_millis(40),
            connect_timeout: Span::from_secs(15),
            silence_timeout: Span::from_secs(15),
            consent_timeout: Span::from_secs(30),
            start_kbps: 2_000,
        }
    }
}

/// Names a session, unguessably: 128 random bits. Whoever knows it may end the session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u128);

impl SessionId {
    pub(crate) fn random() -> io::Result<SessionId> {
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(SessionId(u128::from_be_bytes(bytes)))
    }
    /// The first eight digits: enough to tell sessions apart in logs and events, too few to end one.
    pub fn short(self) -> String {
        format!("{:08x}", (self.0 >> 96) as u32)
    }
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<SessionId> {
        let hex = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !hex {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(SessionId)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    // Shortened: logs must not let a reader end a session.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({:08x}…)", (self.0 >> 96) as u32)
    }
}

/// Who receives what a session brings. Called on the ingest thread: it must not block.
pub trait Peer: Send {
    /// The data channel is open: messages now reach the client.
    fn opened(&mut self, now: Moment);
    /// A unit came out of the jitter buffer, whole and in order.
    fn packet(&mut self, unit: Stamped<Packet>);
    /// The client sent a text message on our data channel.
    fn message(&mut self, now: Moment, text: &str);
    /// The session is over. Nothing follows.
    fn left(&mut self, why: Left);
}

/// What a client watches, and the place that it takes for it.
pub struct Watching {
    /// What is shown to it.
    pub screen: Screen,
    /// What it asked for.
    pub asked: Asked,
    /// Dropped when the client is gone.
    pub place: Box<dyn Send>,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Left {
    /// The client said goodbye.
    Closed,
    /// We ended it: a DELETE, or [`Reply::close`].
    Dismissed,
    /// The client vanished without a word, or no longer consents to hear from us.
    Silent,
    /// It never connected in time.
    NeverConnected,
    /// It could not go on.
    Failed,
    /// The server stops.
    Shutdown,
}

/// Why the application does not take a session in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// There is no room now; try again after so many seconds.
    #[error("{detail}")]
    Busy {
        /// When to try again, in seconds.
        retry_after: u32,
        /// What to tell the client.
        detail: String,
    },
    /// This user or this address has as much as it may have; try again after so many seconds.
    #[error("{detail}")]
    TooMany {
        /// When to try again, in seconds.
        retry_after: u32,
        /// What to tell the client.
        detail: String,
    },
    /// No stream of this name may be published.
    #[error("{detail}")]
    NotFound {
        /// What to tell the client.
        detail: String,
    },
}

/// Why an offer was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OfferError {
    /// The text is not an SDP offer.
    #[error("the offer could not be read: {0}")]
    Malformed(String),
    /// It offers what we can't take.
    #[error("{0}")]
    Unsupported(String),
    /// All places are taken.
    #[error("all {0} places are taken")]
    Crowded(usize),
    /// The application refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Ingest is stopping or does not keep up.
    #[error("the server can't take sessions now: {0}")]
    Unavailable(&'static str),
}

/// An accepted offer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The session.
    pub id: SessionId,
    /// The SDP answer, complete with all our candidates.
    pub sdp: String,
    /// Changes with every ICE restart: the entity tag of the session resource, unquoted.
    pub ice_generation: String,
}

/// The handle of the ingest thread. Clones share it; the thread ends with [`Ingest::shutdown`] or with the last clone.
#[derive(Clone)]
pub struct Ingest {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    max_sessions: AtomicUsize,
    max_viewers: AtomicUsize,
    clock: Clock,
    hub: Arc<Hub>,
    counters: Arc<Counters>,
    candidates: Vec<SocketAddr>,
    local: SocketAddr,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Ingest {
    /// Binds the socket and starts the thread.
    pub fn start(config: Config, clock: Clock) -> io::Result<Ingest> {
        let socket = addresses::bind(config.bind)?;
        let local = socket.local_addr()?;
        let candidates = addresses::candidates(local, config.public_address)?;
        let counters = Arc::new(Counters::default());
        let (reactor, hub) = Reactor::new(socket, &config, &candidates, clock, counters.clone())?;
        let thread = std::thread::Builder::new()
            .name("ingest".into())
            .spawn(move || reactor.run())?;
        let thread = std::sync::Mutex::new(Some(thread));
        let shared = Arc::new(Shared {
            max_sessions: AtomicUsize::new(config.max_sessions),
            max_viewers: AtomicUsize::new(config.max_viewers),
            config,
            clock,
            hub,
            counters,
            candidates,
            local,
            thread,
        });
        Ok(Ingest { shared })
    }

    /// Answers the offer of a client that publishes, and takes the session in. `door` makes the peer, once the offer is
    /// known to be acceptable. Waits, at most 2 s, until the ingest thread is ready for the client's first packet.
    pub fn offer(
        &self,
        offer: &str,
        door: impl FnOnce(SessionId, Reply) -> Result<Box<dyn Peer>, Refusal>,
    ) -> Result<Answer, OfferError> {
        self.take_in(offer, Way::In, |id, mailbox| {
            Ok(Box::new(Publisher::new(door(id, Reply::new(mailbox.clone()))?)))
        })
    }

    /// Answers the offer of a client that watches, and takes it in. `door` says what it watches, once the offer is known to
    /// be acceptable. Waits as [`offer`](Self::offer) does.
    pub fn watch(
        &self,
        offer: &str,
        door: impl FnOnce(SessionId) -> Result<Watching, Refusal>,
    ) -> Result<Answer, OfferError> {
        self.take_in(offer, Way::Out, |id, _| Ok(Box::new(Viewer::new(door(id)?))))
    }

    fn take_in(
        &self,
        offer: &str,
        way: Way,
        part: impl FnOnce(SessionId, &Arc<Mailbox>) -> Result<Box<dyn Part>, Refusal>,
    ) -> Result<Answer, OfferError> {
        let Shared {
            config,
            clock,
            hub,
            counters,
            candidates,
            ..
        } = &*self.shared;
        if hub.stopped() {
            return Err(OfferError::Unavailable("it is stopping"));
        }
        let parsed = sdp::read_offer(offer, way)?;
        let places = match way {
            Way::In => self.shared.max_sessions.load(Relaxed),
            Way::Out => self.shared.max_viewers.load(Relaxed),
        };
        let permit = counters.admit(way, places, config.max_connecting);
        let permit = permit.ok_or(OfferError::Crowded(places))?;
        let id = SessionId::random().map_err(|_| OfferError::Unavailable("no randomness"))?;
        let now = clock.instant_from_moment(clock.now());
        let accepted = sdp::accept((parsed, way), config, candidates, now)?;
        let generation = Generation::first(accepted.ufrag.clone(), offer);
        let mailbox = Mailbox::new(id, generation, hub.clone());
        let part = part(id, &mailbox)?;
        let stack = (accepted.rtc, offer.into(), way);
        let session = Session::new(stack, part, mailbox.clone(), permit, config, *clock, now);
        let (ready, wait) = sync_channel(1);
        hub.command(Command::Add {
            session: Box::new(session),
            ready,
        });
        if wait.recv_timeout(HANDOVER).is_err() {
            mailbox.dismiss();
            if hub.stopped() {
                // The thread is gone and can't drop what waits for it.
                drop(hub.take_commands());
            }
            return Err(OfferError::Unavailable("it does not keep up"));
        }
        Ok(Answer {
            id,
            sdp: accepted.answer,
            ice_generation: accepted.ufrag,
        })
    }

    /// Takes what a client says of ICE after its offer: more candidates, or credentials for a restart (RFC 9725 section 4.3).
    /// A restart waits, at most 2 s, until the ingest thread knows the new generation.
    pub fn patch(&self, id: SessionId, condition: &Condition, fragment: &Fragment) -> Result<Patched, PatchError> {
        let Shared { clock, hub, .. } = &*self.shared;
        let mailbox = hub.get(id).ok_or(PatchError::Gone)?;
        let meaning = locked(&mailbox.generation).judge(condition, fragment)?;
        let Meaning::Restart(theirs) = meaning else {
            return Ok(Patched::Noted);
        };
        let (done, wait) = sync_channel(1);
        hub.command(Command::Restart {
            id,
            theirs,
            too_late: clock.instant_from_moment(clock.now()) + HANDOVER,
            done,
        });
        match wait.recv_timeout(HANDOVER) {
            Ok(Some(restarted)) => Ok(self.restarted(&mailbox, &restarted)),
            Ok(None) => {
                locked(&mailbox.generation).failed();
                Err(PatchError::Failed)
            }
            Err(_) => {
                locked(&mailbox.generation).failed();
                Err(PatchError::Busy)
            }
        }
    }

    fn restarted(&self, mailbox: &Mailbox, restarted: &Restarted) -> Patched {
        let Shared { config, candidates, .. } = &*self.shared;
        // The public address, which is named first, is reached from everywhere; else the one that was reached before is.
        let before = restarted.client.filter(|_| config.public_address.is_none());
        let candidate = before
            .and_then(|client| addresses::reached(candidates, client))
            .or_else(|| candidates.first().copied());
        Patched::Restarted {
            fragment: locked(&mailbox.generation).fragment(&restarted.ours, candidate),
            ice_generation: restarted.ours.ufrag.clone(),
        }
    }

    /// Takes at most so many sessions from now on; those that are there stay.
    pub fn set_max_sessions(&self, max_sessions: usize) {
        self.shared.max_sessions.store(max_sessions, Relaxed);
    }

    /// Takes at most so many viewers from now on; those that are there stay.
    pub fn set_max_viewers(&self, max_viewers: usize) {
        self.shared.max_viewers.store(max_viewers, Relaxed);
    }

    /// Ends a session. False when there is none of that name.
    pub fn close(&self, id: SessionId) -> bool {
        self.shared.hub.dismiss(id)
    }

    /// Whether a session of that name is running.
    pub fn has(&self, id: SessionId) -> bool {
        self.shared.hub.has(id)
    }

    /// The counters so far.
    pub fn stats(&self) -> Stats {
        let mut stats = self.shared.counters.snapshot();
        stats.sessions = self.shared.hub.session_stats();
        stats
    }

    /// Where the UDP socket is bound.
    pub fn local_address(&self) -> SocketAddr {
        self.shared.local
    }

    /// The addresses that answers name.
    pub fn candidates(&self) -> &[SocketAddr] {
        &self.shared.candidates
    }

    /// Ends every session and the thread, and waits for it.
    pub fn shutdown(&self) {
        self.shared.stop();
    }
}

impl Shared {
    fn stop(&self) {
        self.hub.stop();
        let thread = locked(&self.thread).take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!(stage = "ingest", "the ingest thread ended by a panic");
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
pub(crate) mod tests;
