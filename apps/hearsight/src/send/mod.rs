//! Dialling out: publishes sound and pictures to a WHIP endpoint (RFC 9725) and hears what it says about them.
//!
//! Knows WHIP, RTP and the `webrtc` crate, none of whose types leave this room. It is a second WebRTC stack,
//! independent of the one in `ingest`, so that everything sent between the two proves them both. The crate numbers packets for
//! congestion control, the controller is ours ([`hearsight_core::congestion`]): [`Publisher::allowed`] says what the path takes,
//! and the encoder's rate is the caller's choice within it. Start at [`Publisher::dial`].

use std::sync::Arc;
use std::time::Duration;

use hearsight_core::media::{Codec, Packet, Request};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;
use thiserror::Error;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

mod clock;
#[doc(hidden)]
pub mod estimate;
mod feedback;
mod outgoing;
mod peer;
mod pump;
mod raw;
mod tally;
mod whip;

pub use clock::{Offset, OffsetFilter, UnixClock};
use estimate::Estimate;
use feedback::Ears;
use outgoing::Outgoing;
use peer::Peer;
pub use tally::Stats;
use tally::Tally;
use whip::Endpoint;

/// What is heard waits here; a reader that lags further behind holds the data channel back, which SCTP bounds.
const HEARD: usize = 256;
/// A unit that the stack hasn't taken by then is worthless, and a stack that takes none is gone.
const STALLED: Duration = Duration::from_secs(2);
/// Good manners at the end are brief.
const FAREWELL: Duration = Duration::from_secs(2);

/// Whom to trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Whom the system trusts.
    #[default]
    System,
    /// On loopback addresses also certificates that nobody signed: our own server makes such.
    SelfSignedOnLoopback,
    /// Also whoever has one of these certificates, or one signed by them: the text of a PEM file.
    Certificates(Vec<u8>),
}

/// Where and how to dial.
#[derive(Clone)]
pub struct Config {
    /// The WHIP endpoint, `http://` or `https://`.
    pub url: String,
    /// A bearer token, where the server wants one.
    pub bearer: Option<String>,
    /// Whom to trust.
    pub trust: Trust,
    /// For each of: the HTTP exchange, and connecting.
    pub timeout: Span,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            url: String::new(),
            bearer: None,
            trust: Trust::default(),
            timeout: Span::from_secs(10),
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Config {
            url, trust, timeout, ..
        } = self;
        f.debug_struct("Config")
            .field("url", url)
            .field("trust", trust)
            .field("timeout", timeout)
            .finish_non_exhaustive()
    }
}

/// Why no connection came about.
#[derive(Debug, Error)]
pub enum DialError {
    /// The address can't be used.
    #[error("the WHIP address can't be used: {0}")]
    Address(String),
    /// Nobody answers there.
    #[error("the WHIP server can't be reached: {0}")]
    Unreachable(String),
    /// The server said no.
    #[error("the WHIP server refused with status {status}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its reason.
        detail: String,
        /// After how long it says to try again.
        retry_after: Option<Span>,
    },
    /// The server's answer makes no sense.
    #[error("the WHIP server's answer can't be used: {0}")]
    Answer(String),
    /// The stack on our side failed.
    #[error("the connection can't be set up: {0}")]
    Stack(String),
    /// It took too long.
    #[error("timed out waiting for {0}")]
    TimedOut(&'static str),
}

/// Why a unit or a message can't be sent.
#[derive(Debug, Error)]
pub enum SendError {
    /// The wrong stream for it.
    #[error("this stream carries {expected:?}, not {got:?}")]
    Codec {
        /// What the stream was negotiated for.
        expected: Codec,
        /// What was given.
        got: Codec,
    },
    /// Nothing is taken any more.
    #[error("the connection no longer takes anything: stalled for 2 s")]
    Stalled,
    /// The connection is over.
    #[error("the connection is gone: {0}")]
    Gone(String),
}

impl SendError {
    fn gone(error: impl std::fmt::Display) -> SendError {
        SendError::Gone(error.to_string())
    }
}

/// What comes back over the connection, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A text message of the data channel, other than those that keep the clocks in step.
    Message {
        /// The message, at most 16 KiB.
        text: String,
        /// When it arrived, on our clock.
        received: Moment,
    },
    /// The receiver wants something of the encoder.
    Request(Request),
    /// Nothing follows: why the connection ended.
    Gone(&'static str),
}

/// A connection that publishes one stream of sound and one of pictures.
pub struct Publisher {
    clock: UnixClock,
    endpoint: Endpoint,
    resource: Option<reqwest::Url>,
    peer: Arc<Peer>,
    video: Mutex<Outgoing>,
    audio: Mutex<Outgoing>,
    offset: watch::Receiver<Option<Offset>>,
    tally: Tally,
    estimate: Estimate,
    pump: JoinHandle<()>,
}

impl Publisher {
    /// Connects: returns when media can flow and the data channel is open. Keeps the server informed of the distance
    /// between the clocks from then on. The receiver ends with [`Heard::Gone`] when the connection does.
    pub async fn dial(config: Config, clock: Clock) -> Result<(Publisher, mpsc::Receiver<Heard>), DialError> {
        let clock = UnixClock::new(clock);
        let (heard_tx, heard_rx) = mpsc::channel(HEARD);
        let endpoint = Endpoint::new(&config)?;
        let (host, port) = endpoint.authority();
        let local = within(config.timeout, "the server's name", peer::local_address(&host, port)).await?;
        let mut rng = fastrand::Rng::with_seed(clock.unix_us_from_moment(clock.now()) as u64);
        let tally = Tally::default();
        let estimate = Estimate::new(clock.clock());
        let ears = Ears {
            heard: heard_tx.clone(),
            tally: tally.clone(),
            clock,
        };
        let (peer, offer) = within(
            config.timeout,
            "the network",
            Peer::offer(local, ears, estimate.clone(), &mut rng),
        )
        .await?;
        let created = endpoint.create(offer).await?;
        let connected = within(config.timeout, "the connection", peer.connect(created.answer, &mut rng)).await;
        let (video, audio) = match connected {
            Ok(streams) => streams,
            Err(error) => {
                if let Some(resource) = &created.resource {
                    endpoint.delete(resource, FAREWELL).await;
                }
                let _ = timeout(FAREWELL, peer.close()).await;
                return Err(error);
            }
        };
        let peer = Arc::new(peer);
        let (offset_tx, offset) = watch::channel(None);
        let pump = tokio::spawn(pump::pump(Arc::clone(&peer), clock, heard_tx, offset_tx));
        let (video, audio) = (Mutex::new(video), Mutex::new(audio));
        let publisher = Publisher {
            clock,
            endpoint,
            resource: created.resource,
            peer,
            video,
            audio,
            offset,
            tally,
            estimate,
            pump,
        };
        Ok((publisher, heard_rx))
    }

    /// Sends an access unit, Annex B. Its `at` becomes the RTP timestamp; `born`, on this clock, the capture time that
    /// sender reports state.
    pub async fn video(&self, unit: Stamped<Packet>) -> Result<(), SendError> {
        self.send(&self.video, unit).await
    }

    /// Sends an Opus packet; `at` and `born` are those of its first sample.
    pub async fn audio(&self, unit: Stamped<Packet>) -> Result<(), SendError> {
        self.send(&self.audio, unit).await
    }

    /// Sends a text message over the data channel.
    pub async fn say(&self, text: &str) -> Result<(), SendError> {
        timeout(STALLED, self.peer.say(text))
            .await
            .map_err(|_| SendError::Stalled)?
    }

    /// A moment of ours on the server's clock, in microseconds, once the clocks have been compared.
    pub fn server_us_from_moment(&self, moment: Moment) -> Option<i64> {
        let offset = (*self.offset.borrow())?;
        Some(self.clock.unix_us_from_moment(moment).saturating_add(offset.offset_us))
    }

    /// The distance between the clocks as far as it is known.
    pub fn offset(&self) -> Option<Offset> {
        *self.offset.borrow()
    }

    /// What was sent so far, and what the server said of it.
    pub fn stats(&self) -> Stats {
        let allowed = self.allowed();
        self.tally.note(|stats| stats.allowed = allowed);
        self.tally.stats()
    }

    /// Bits per second that the path takes now; none where the server says nothing of packets (no transport-wide feedback), and
    /// so nobody knows.
    pub fn allowed(&self) -> Option<u32> {
        self.estimate.allowed(self.clock.now())
    }

    /// The share of packets lost lately, 0..1.
    pub fn lost(&self) -> f64 {
        self.estimate.trouble().0
    }

    /// Ends the session on both sides, within a few seconds even if nobody is there any more.
    pub async fn close(self) {
        self.pump.abort();
        if let Some(resource) = &self.resource {
            self.endpoint.delete(resource, FAREWELL).await;
        }
        let _ = timeout(FAREWELL, self.peer.close()).await;
    }

    async fn send(&self, stream: &Mutex<Outgoing>, unit: Stamped<Packet>) -> Result<(), SendError> {
        let sending = async { stream.lock().await.send(&unit, &self.clock).await };
        timeout(STALLED, sending).await.map_err(|_| SendError::Stalled)?
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

async fn within<T>(
    limit: Span,
    what: &'static str,
    work: impl Future<Output = Result<T, DialError>>,
) -> Result<T, DialError> {
    timeout(limit.to_duration(), work)
        .await
        .map_err(|_| DialError::TimedOut(what))?
}

#[cfg(test)]
mod tests;
