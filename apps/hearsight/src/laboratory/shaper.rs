//! A shaper of UDP in user space: what senders send goes on to the server as a recorded uplink would have carried it; what
//! the server answers comes back after the delay alone. For machines whose kernel has no netem, and for tests that must not
//! touch it.
//!
//! One task owns everything. Each sender has a socket of its own towards the server, so that the server tells them apart.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use hearsight_core::network::uplink::{Path, Trace, Uplink};
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;
use thiserror::Error;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::front::Front;
use super::options::{Options, Target};
use super::trace::{self, ReadError};
use crate::terminal::say;

/// Senders at a time; one that is silent for [`IDLE`] makes room.
const SENDERS: usize = 64;
/// See [`SENDERS`].
const IDLE: Span = Span::from_secs(60);
/// Datagrams that wait for their moment, either way; beyond it they are dropped, as by any network.
const WAITING: usize = 65_536;
/// Answers that wait for the one task.
const ANSWERS: usize = 1_024;
/// The largest datagram.
const DATAGRAM: usize = 65_536;

/// Why nothing is shaped.
#[derive(Debug, Error)]
pub enum ShaperError {
    /// The recording can't be used.
    #[error(transparent)]
    Trace(#[from] ReadError),
    /// A socket can't be had.
    #[error("can't open a UDP socket at {0}: {1}; choose another address with --listen")]
    Socket(SocketAddr, io::Error),
    /// Nobody can ask over HTTP.
    #[error("can't serve HTTP at {0}: {1}; choose another address with --http")]
    Http(SocketAddr, String),
    /// The socket broke.
    #[error("the socket that senders send to broke: {0}")]
    Broken(io::Error),
}

/// What went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Datagrams that senders sent.
    pub sent: u64,
    /// Of these, lost by the trace, its queue or chance.
    pub lost: u64,
    /// Datagrams that the server answered.
    pub answered: u64,
}

/// A shaper that listens.
pub struct Shaper {
    socket: Arc<UdpSocket>,
    /// Not known before the server's first answer, where a front reads it.
    to: Arc<OnceLock<SocketAddr>>,
    uplink: Uplink,
    delay: Span,
    clock: Clock,
    senders: HashMap<SocketAddr, Sender>,
    answers: mpsc::Sender<(SocketAddr, Arc<[u8]>)>,
    answered: mpsc::Receiver<(SocketAddr, Arc<[u8]>)>,
    readers: JoinSet<()>,
    waiting: BinaryHeap<Reverse<Parcel>>,
    numbers: u64,
    tally: Tally,
}

struct Sender {
    socket: Arc<UdpSocket>,
    heard: Moment,
    reader: tokio::task::AbortHandle,
}

/// A datagram that waits, ordered by when it goes on, and among equals as it came.
struct Parcel {
    due: Moment,
    number: u64,
    way: Way,
    bytes: Arc<[u8]>,
}

enum Way {
    Up(Arc<UdpSocket>),
    Down(SocketAddr),
}

impl Parcel {
    fn order(&self) -> (Moment, u64) {
        (self.due, self.number)
    }
}
impl PartialEq for Parcel {
    fn eq(&self, other: &Parcel) -> bool {
        self.order() == other.order()
    }
}
impl Eq for Parcel {}
impl PartialOrd for Parcel {
    fn partial_cmp(&self, other: &Parcel) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Parcel {
    fn cmp(&self, other: &Parcel) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

/// Shapes until `stop` completes; prints where it listens, and at the end what went through.
pub async fn run(options: Options, clock: Clock, stop: impl Future<Output = ()>) -> Result<Tally, ShaperError> {
    let trace = trace::read(&options.trace)?;
    let (mean, span) = (trace.mean_rate() / 1e3, trace.span());
    let to = Arc::new(OnceLock::new());
    if let Target::Media(server) = options.to {
        let _ = to.set(server);
    }
    let shaper = Shaper::bind(options.listen, to.clone(), trace, options.path, options.seed, clock).await?;
    let media = shaper.address();
    say(format_args!(
        "{media} is an uplink of {mean:.0} kbit/s in the mean, anew every {:.0} s; Ctrl-C stops it.",
        span.secs_f64()
    ));
    let tally = match options.to {
        Target::Media(_) => shaper.shape(stop).await?,
        Target::Page(server) => {
            let http = |error: String| ShaperError::Http(options.http, error);
            let listener = TcpListener::bind(options.http)
                .await
                .map_err(|error| http(error.to_string()))?;
            let address = listener.local_addr().map_err(|error| http(error.to_string()))?;
            let front = Front::new(server, media, to).map_err(|error| http(error.to_string()))?;
            say(format_args!(
                "Open http://{address}/ instead of the server's page, or publish there."
            ));
            tokio::select! {
                shaped = shaper.shape(stop) => shaped?,
                served = axum::serve(listener, front.router()) => {
                    return Err(http(served.err().map_or_else(|| "it ended".into(), |error| error.to_string())));
                }
            }
        }
    };
    let Tally { sent, lost, answered } = tally;
    say(format_args!(
        "{sent} datagrams sent, {lost} of them lost; {answered} came back."
    ));
    Ok(tally)
}

impl Shaper {
    /// Listens at `listen`; the trace begins now.
    pub async fn bind(
        listen: SocketAddr,
        to: Arc<OnceLock<SocketAddr>>,
        trace: Trace,
        path: Path,
        seed: u64,
        clock: Clock,
    ) -> Result<Shaper, ShaperError> {
        let socket = UdpSocket::bind(listen)
            .await
            .map_err(|error| ShaperError::Socket(listen, error))?;
        let (answers, answered) = mpsc::channel(ANSWERS);
        Ok(Shaper {
            socket: Arc::new(socket),
            to,
            uplink: Uplink::new(trace, path, clock.now(), seed),
            delay: path.delay,
            clock,
            senders: HashMap::new(),
            answers,
            answered,
            readers: JoinSet::new(),
            waiting: BinaryHeap::new(),
            numbers: 0,
            tally: Tally::default(),
        })
    }

    /// Where senders send to.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap_or(SocketAddr::from(([0; 4], 0)))
    }

    /// Shapes until `stop` completes.
    pub async fn shape(mut self, stop: impl Future<Output = ()>) -> Result<Tally, ShaperError> {
        let mut stop = std::pin::pin!(stop);
        let socket = Arc::clone(&self.socket);
        let mut datagram = vec![0; DATAGRAM];
        loop {
            let due = self.waiting.peek().map(|Reverse(parcel)| parcel.due);
            tokio::select! {
                came = socket.recv_from(&mut datagram) => match came {
                    Ok((bytes, from)) => self.up(from, &datagram[..bytes]).await,
                    // An ICMP error of a sender that has gone.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                    Err(error) => return Err(ShaperError::Broken(error)),
                },
                Some((to, bytes)) = self.answered.recv() => {
                    self.tally.answered += 1;
                    self.wait(self.clock.now() + self.delay, Way::Down(to), bytes);
                }
                () = at(due, self.clock) => self.deliver(),
                () = &mut stop => return Ok(self.tally),
            }
        }
    }

    async fn up(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.tally.sent += 1;
        let now = self.clock.now();
        let (Some(socket), Some(due)) = (self.sender(from, now).await, self.uplink.send(now, bytes.len())) else {
            self.tally.lost += 1;
            return;
        };
        self.wait(due, Way::Up(socket), bytes.into());
    }

    fn wait(&mut self, due: Moment, way: Way, bytes: Arc<[u8]>) {
        if self.waiting.len() == WAITING {
            self.tally.lost += 1;
            return;
        }
        self.numbers += 1;
        let number = self.numbers;
        self.waiting.push(Reverse(Parcel {
            due,
            number,
            way,
            bytes,
        }));
    }

    /// Sends on what is due. What a full socket does not take is lost, as on any network.
    fn deliver(&mut self) {
        let now = self.clock.now();
        while self.waiting.peek().is_some_and(|Reverse(parcel)| parcel.due <= now) {
            let Some(Reverse(parcel)) = self.waiting.pop() else {
                return;
            };
            let sent = match parcel.way {
                Way::Up(socket) => socket.try_send(&parcel.bytes),
                Way::Down(to) => self.socket.try_send_to(&parcel.bytes, to),
            };
            self.tally.lost += u64::from(sent.is_err());
        }
    }

    /// The socket of a sender towards the server; none where there is no room for another.
    async fn sender(&mut self, from: SocketAddr, now: Moment) -> Option<Arc<UdpSocket>> {
        if let Some(sender) = self.senders.get_mut(&from) {
            sender.heard = now;
            return Some(Arc::clone(&sender.socket));
        }
        self.senders.retain(|_, sender| {
            let stays = now - sender.heard < IDLE;
            if !stays {
                sender.reader.abort();
            }
            stays
        });
        if self.senders.len() >= SENDERS {
            return None;
        }
        let to = *self.to.get()?;
        let any: SocketAddr = if to.is_ipv4() {
            ([0; 4], 0).into()
        } else {
            ([0u16; 8], 0).into()
        };
        let socket = Arc::new(UdpSocket::bind(any).await.ok()?);
        socket.connect(to).await.ok()?;
        let reader = self
            .readers
            .spawn(read(Arc::clone(&socket), from, self.answers.clone()));
        let sender = Sender {
            socket: Arc::clone(&socket),
            heard: now,
            reader,
        };
        self.senders.insert(from, sender);
        Some(socket)
    }
}

/// Hands on what the server answers to one sender, until nobody wants it.
async fn read(socket: Arc<UdpSocket>, to: SocketAddr, answers: mpsc::Sender<(SocketAddr, Arc<[u8]>)>) {
    let mut datagram = vec![0; DATAGRAM];
    loop {
        match socket.recv(&mut datagram).await {
            Ok(bytes) if answers.send((to, datagram[..bytes].into())).await.is_err() => return,
            Ok(_) => {}
            // Nobody listens there yet.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(_) => return,
        }
    }
}

async fn at(due: Option<Moment>, clock: Clock) {
    match due {
        Some(due) => sleep_until(clock.instant_from_moment(due).into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hearsight_core::network::uplink::Stretch;
    use tokio::time::timeout;

    use super::*;

    fn trace(rate: f64) -> Trace {
        let stretch = Stretch {
            span: Span::from_secs(1),
            rate,
            loss: 0.0,
            delay: Span::ZERO,
            jitter: Span::ZERO,
        };
        Trace::from_stretches(vec![stretch]).expect("a trace")
    }

    async fn house(rate: f64, queue: usize) -> (UdpSocket, SocketAddr, impl Future<Output = Tally>) {
        let server = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let to = server.local_addr().expect("bound");
        let path = Path {
            delay: Span::from_millis(1),
            loss: 0.0,
            queue,
        };
        let any = "127.0.0.1:0".parse().expect("an address");
        let to = Arc::new(OnceLock::from(to));
        let shaper = Shaper::bind(any, to, trace(rate), path, 1, Clock::new())
            .await
            .expect("a port");
        let address = shaper.address();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let shaping = tokio::spawn(shaper.shape(async {
            let _ = stopped.await;
        }));
        let end = async {
            drop(stop);
            shaping.await.expect("no panic").expect("no error")
        };
        (server, address, end)
    }

    async fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
        let mut datagram = [0; 2_000];
        let patience = Duration::from_secs(20);
        let (bytes, from) = timeout(patience, socket.recv_from(&mut datagram))
            .await
            .expect("it comes")
            .expect("it is read");
        (datagram[..bytes].to_vec(), from)
    }

    #[tokio::test]
    async fn senders_are_told_apart_answered_each_and_kept_in_order() {
        let (server, address, end) = house(50e6, 90_000).await;
        let mut senders = Vec::new();
        for number in 0..3u8 {
            let sender = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
            sender.connect(address).await.expect("connected");
            for count in 0..20u8 {
                sender.send(&[number, count]).await.expect("sent");
            }
            senders.push(sender);
        }
        let mut next = HashMap::new();
        for _ in 0..60 {
            let (datagram, from) = receive(&server).await;
            let expected = next.entry(from).or_insert((datagram[0], 0));
            assert_eq!((datagram[0], datagram[1]), *expected, "in order, from one socket each");
            expected.1 += 1;
            if expected.1 == 20 {
                server.send_to(&[100 + datagram[0]], from).await.expect("sent");
            }
        }
        for (number, sender) in senders.iter().enumerate() {
            assert_eq!(receive(sender).await.0, [100 + number as u8]);
        }
        assert_eq!(next.len(), 3);
        assert_eq!(
            end.await,
            Tally {
                sent: 60,
                lost: 0,
                answered: 3
            }
        );
    }

    #[tokio::test]
    async fn what_the_queue_does_not_hold_is_lost_and_counted() {
        // A hundred bits a second: nothing leaves while the test runs but what finds the queue empty.
        let (server, address, end) = house(8_000.0, 2_000).await;
        let sender = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        for _ in 0..50 {
            sender.send_to(&[7; 900], address).await.expect("sent");
        }
        assert_eq!(receive(&server).await.0.len(), 900);
        let tally = end.await;
        assert!(tally.sent >= 2 && tally.lost + 4 >= tally.sent, "{tally:?}");
    }
}
