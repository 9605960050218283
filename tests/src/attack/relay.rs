//! A path between a peer and the server: it forwards the offer and the datagrams, overhears them, and damages some.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::PATIENCE;
use super::http::raw;
use crate::fuzz::mutate;

/// Datagrams that are kept: ten seconds of a session.
const KEPT: usize = 4_096;
/// A request is an offer at most.
const LONGEST_REQUEST: usize = 128 * 1024;

/// What the path does to datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// Nothing.
    Faithful,
    /// Every twentieth, either way, is damaged, as this seed says.
    Damaging(u64),
}

/// What an eavesdropper has heard.
#[derive(Debug, Default)]
pub(super) struct Tap(Mutex<Overheard>);

#[derive(Debug, Default)]
struct Overheard {
    server: Option<SocketAddr>,
    ufrag: Option<String>,
    datagrams: VecDeque<Vec<u8>>,
}

impl Tap {
    /// The server's media address, once an answer has named it.
    pub(super) fn server(&self) -> Option<SocketAddr> {
        self.lock().server
    }
    /// By which name the peer addresses its session.
    pub(super) fn ufrag(&self) -> Option<String> {
        self.lock().ufrag.clone()
    }
    /// Any of what the peer sent lately.
    pub(super) fn any(&self, random: &mut fastrand::Rng) -> Option<Vec<u8>> {
        random.choice(&self.lock().datagrams).cloned()
    }
    fn hear(&self, datagram: &[u8]) {
        let mut heard = self.lock();
        if let Some(name) = hearsight::ingest::stun_request_name(datagram) {
            heard.ufrag = Some(name.to_owned());
        }
        if heard.datagrams.len() == KEPT {
            heard.datagrams.pop_front();
        }
        heard.datagrams.push_back(datagram.to_vec());
    }
    fn lock(&self) -> MutexGuard<'_, Overheard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running relay; ends when dropped.
pub(super) struct Relay {
    /// Where a peer dials instead of the server.
    pub(super) url: String,
    pub(super) tap: Arc<Tap>,
    _tasks: JoinSet<()>,
}

impl Relay {
    /// Stands in for the server at `http`, for one peer that publishes `stream`.
    pub(super) async fn start(http: SocketAddr, stream: &str, path: Path) -> anyhow::Result<Relay> {
        let here = (Ipv4Addr::LOCALHOST, 0);
        let listener = TcpListener::bind(here).await?;
        let (front, back) = (UdpSocket::bind(here).await?, UdpSocket::bind(here).await?);
        let url = format!("http://{}/whip/{stream}", listener.local_addr()?);
        let media = front.local_addr()?;
        let tap = Arc::new(Tap::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(datagrams(front, back, tap.clone(), path));
        let heard = tap.clone();
        tasks.spawn(async move {
            while let Ok((peer, _)) = listener.accept().await {
                // A peer that is not served sees its connection closed, and says so.
                let _ = exchange(peer, http, media, &heard).await;
            }
        });
        Ok(Relay {
            url,
            tap,
            _tasks: tasks,
        })
    }
}

/// Forwards one request, and its answer with our media port in place of the server's.
async fn exchange(mut peer: TcpStream, http: SocketAddr, media: SocketAddr, tap: &Tap) -> anyhow::Result<()> {
    let request = timeout(PATIENCE, whole_request(&mut peer)).await??;
    let answer = raw(Ipv4Addr::LOCALHOST.into(), http, &request).await?;
    let body = String::from_utf8(answer.body)?;
    let mut told = String::with_capacity(body.len());
    for line in body.split_inclusive('\n') {
        let words: Vec<&str> = line.split(' ').collect();
        match &words[..] {
            [first, _, _, _, address, port, rest @ ..] if first.starts_with("a=candidate:") => {
                let server = SocketAddr::new(address.parse()?, port.parse()?);
                tap.lock().server = Some(server);
                let rest = rest.join(" ");
                told.push_str(&format!(
                    "{} {} {rest}",
                    words[..4].join(" "),
                    media.to_string().replace(':', " ")
                ));
            }
            _ => told.push_str(line),
        }
    }
    let head: Vec<&str> = answer
        .head
        .lines()
        .filter(|line| {
            !line.to_ascii_lowercase().starts_with("content-length")
                && !line.to_ascii_lowercase().starts_with("connection")
        })
        .collect();
    let head = head.join("\r\n");
    let length = told.len();
    let whole = format!("{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{told}");
    timeout(PATIENCE, peer.write_all(whole.as_bytes())).await??;
    Ok(())
}

async fn whole_request(peer: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        ensure!(peer.read_buf(&mut bytes).await? > 0, "the request broke off");
        ensure!(bytes.len() <= LONGEST_REQUEST, "the request is too long");
        let Some(split) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&bytes[..split])?.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length
            .map_or(Ok(0), |length| length.trim().parse())
            .context("its length")?;
        if bytes.len() < split + 4 + length {
            continue;
        }
        // One request a connection: what follows would not be rewritten.
        let end = bytes.splice(split..split, *b"\r\nConnection: close").count();
        debug_assert_eq!(end, 0);
        return Ok(bytes);
    }
}

async fn datagrams(front: UdpSocket, back: UdpSocket, tap: Arc<Tap>, path: Path) {
    let mut random = match path {
        Path::Faithful => None,
        Path::Damaging(seed) => Some(fastrand::Rng::with_seed(seed)),
    };
    let mut damage = |datagram: &[u8]| {
        let mut datagram = datagram.to_vec();
        if let Some(random) = &mut random
            && random.u8(0..20) == 0
        {
            mutate::once(random, &mut datagram, &[]);
        }
        datagram
    };
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    let mut peer = None;
    loop {
        // A datagram that can't be forwarded is lost, as on any path.
        tokio::select! {
            received = front.recv_from(&mut up) => if let (Ok((length, from)), Some(server)) = (received, tap.server()) {
                peer = Some(from);
                tap.hear(&up[..length]);
                let _ = back.send_to(&damage(&up[..length]), server).await;
            },
            received = back.recv_from(&mut down) => if let (Ok((length, _)), Some(peer)) = (received, peer) {
                let _ = front.send_to(&damage(&down[..length]), peer).await;
            },
        }
    }
}
