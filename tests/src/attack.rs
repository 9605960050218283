//! Attacks on a real server over its real sockets, and a witness: a session that must not notice.
//!
//! Each kind of attack is a task that goes on until it is dropped, at a stated pace: what is measured is what the server
//! does about it, not how much of the machine an attacker on the same machine can take. Attackers come from
//! another loopback address, so that limits for one address leave the witness alone. Start at [`campaign`].

pub mod campaign;
mod channel;
mod datagrams;
mod http;
mod media;
mod offers;
mod relay;
mod stun;
pub mod vitals;
mod witness;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use relay::Tap;

/// Nothing that an attacker waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What there is to attack.
#[derive(Clone)]
pub struct Victim {
    /// The server's HTTP listener.
    pub http: SocketAddr,
    /// Where an attacker that can choose comes from.
    from: IpAddr,
    /// What an eavesdropper on the witness's path has seen: the media socket's address and the witness's datagrams.
    tap: Arc<Tap>,
    /// Whether it is over.
    over: watch::Receiver<bool>,
}

impl Victim {
    /// Completes when the attack is to end.
    async fn over(&self) {
        // An error means that nobody can say so any more: it is over as well.
        let _ = self.over.clone().wait_for(|over| *over).await;
    }
}

/// What became of an attack so far.
#[derive(Clone, Debug, Default)]
pub struct Toll(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    taken: AtomicU64,
    refused: AtomicU64,
}

impl Toll {
    fn sent(&self) {
        self.0.sent.fetch_add(1, Relaxed);
    }
    fn taken(&self) {
        self.0.taken.fetch_add(1, Relaxed);
    }
    fn refused(&self) {
        self.0.refused.fetch_add(1, Relaxed);
    }
    /// Datagrams, requests, messages or units sent.
    pub fn total(&self) -> u64 {
        self.0.sent.load(Relaxed)
    }
}

impl std::fmt::Display for Toll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [sent, taken, refused] = [&self.0.sent, &self.0.taken, &self.0.refused].map(|count| count.load(Relaxed));
        write!(f, "{sent} sent, {taken} taken, {refused} refused")
    }
}

/// The kinds of attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// Connections whose request headers never end.
    SlowHeaders,
    /// Offers whose bodies never end.
    SlowBodies,
    /// Bytes that are no HTTP, methods and paths that are not there, headers beyond bounds.
    OddRequests,
    /// Damaged offers.
    BrokenOffers,
    /// Good offers that nobody connects to.
    HalfOpen,
    /// Datagrams of noise and damaged STUN, RTP and RTCP, from strangers.
    Noise,
    /// Requests with the witness's own name, but not its password.
    SpoofedStun,
    /// The witness's own datagrams again, from elsewhere.
    Replays,
    /// A peer that floods its data channel with nonsense and with questions.
    Channel,
    /// A peer whose pictures are damaged, huge, or change size all the time.
    Pictures,
    /// A peer whose Opus packets are damaged.
    Sound,
    /// A peer whose RTP and RTCP packets are damaged before they are encrypted: numbers, extensions, reports.
    Packets,
    /// A peer on whose path every twentieth datagram is damaged.
    DamagedPath,
}

impl Attack {
    /// All of them.
    pub const ALL: [Attack; 13] = [
        Attack::SlowHeaders,
        Attack::SlowBodies,
        Attack::OddRequests,
        Attack::BrokenOffers,
        Attack::HalfOpen,
        Attack::Noise,
        Attack::SpoofedStun,
        Attack::Replays,
        Attack::Channel,
        Attack::Pictures,
        Attack::Sound,
        Attack::Packets,
        Attack::DamagedPath,
    ];

    /// The loopback address that is this attacker's own.
    fn address(self) -> IpAddr {
        Ipv4Addr::new(127, 0, 1, 1 + self as u8).into()
    }

    /// Goes on until the victim says that it is over. Peers then say goodbye; strangers just stop.
    pub async fn run(self, mut victim: Victim, seed: u64, toll: Toll) {
        victim.from = self.address();
        let random = fastrand::Rng::with_seed(seed);
        match self {
            Attack::Channel => channel::flood(victim, random, toll).await,
            Attack::Pictures => media::pictures(victim, random, toll).await,
            Attack::Sound => media::sound(victim, random, toll).await,
            Attack::Packets => media::packets(victim, random, toll).await,
            Attack::DamagedPath => media::damaged_path(victim, seed, toll).await,
            stranger => tokio::select! {
                () = stranger.bother(victim.clone(), random, toll) => {}
                () = victim.over() => {}
            },
        }
    }

    /// What strangers do, for ever.
    async fn bother(self, victim: Victim, random: fastrand::Rng, toll: Toll) {
        match self {
            Attack::SlowHeaders => http::slow_headers(victim, toll).await,
            Attack::SlowBodies => http::slow_bodies(victim, toll).await,
            Attack::OddRequests => http::odd_requests(victim, random, toll).await,
            Attack::BrokenOffers => offers::broken(victim, random, toll).await,
            Attack::HalfOpen => offers::half_open(victim, toll).await,
            Attack::Noise => datagrams::noise(victim, random, toll).await,
            Attack::SpoofedStun => datagrams::spoofed(victim, random, toll).await,
            Attack::Replays => datagrams::replays(victim, random, toll).await,
            Attack::Channel | Attack::Pictures | Attack::Sound | Attack::Packets | Attack::DamagedPath => {}
        }
    }
}

/// A steady pace. Who is late does not catch up in a burst.
fn pace(period: Duration) -> Interval {
    let mut pace = interval(period);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}
