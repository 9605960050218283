//! HTTP: a small client that may come from any address, and requests that are slow or make no sense.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{PATIENCE, Toll, Victim, pace};
use crate::fuzz::mutate;

/// Connections that a slow attacker holds at a time.
const SLOW: usize = 96;

/// An answer is never longer than the page.
const LONGEST_ANSWER: u64 = 4 << 20;

/// An answer: its status, its header and its body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

pub(super) async fn connect(from: IpAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0))?;
    timeout(PATIENCE, socket.connect(to)).await?
}

/// One request on a connection of its own.
pub(super) async fn request(
    from: IpAddr,
    to: SocketAddr,
    method: &str,
    path: &str,
    body: &[u8],
) -> anyhow::Result<Answer> {
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    raw(from, to, &bytes).await
}

/// Sends bytes and reads what comes back.
pub(super) async fn raw(from: IpAddr, to: SocketAddr, bytes: &[u8]) -> anyhow::Result<Answer> {
    let exchange = async {
        let mut stream = connect(from, to).await?;
        // Who is refused early may find the connection closed while writing; the answer can be there all the same.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await;
        let split = answer
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .context("no answer")?;
        let head = String::from_utf8_lossy(&answer[..split]).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .context("no status")?;
        Ok(Answer {
            status,
            head,
            body: answer[split + 4..].to_vec(),
        })
    };
    timeout(PATIENCE, exchange).await.context("no answer in time")?
}

/// Whether the server says that it is well.
pub(super) async fn healthy(victim: &Victim) -> bool {
    let answer = request(Ipv4Addr::LOCALHOST.into(), victim.http, "GET", "/healthz", &[]).await;
    answer.is_ok_and(|answer| answer.status == 200)
}

/// Holds connections open with a byte of header every 200 ms each, and opens the next when one is closed.
pub(super) async fn slow_headers(victim: Victim, toll: Toll) {
    slow(victim, toll, b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ").await;
}

/// The same with the body of an offer.
pub(super) async fn slow_bodies(victim: Victim, toll: Toll) {
    slow(
        victim,
        toll,
        b"POST /whip/slow HTTP/1.1\r\nHost: a\r\nContent-Type: application/sdp\r\nContent-Length: 60000\r\n\r\nv=0\r\n",
    )
    .await;
}

async fn slow(victim: Victim, toll: Toll, begin: &'static [u8]) {
    let mut held = JoinSet::new();
    let mut opening = pace(Duration::from_millis(20));
    loop {
        opening.tick().await;
        while held.try_join_next().is_some() {}
        if held.len() >= SLOW {
            continue;
        }
        let (victim, toll) = (victim.clone(), toll.clone());
        held.spawn(async move {
            let Ok(mut stream) = connect(victim.from, victim.http).await else {
                return toll.refused();
            };
            toll.sent();
            if stream.write_all(begin).await.is_err() {
                return toll.refused();
            }
            let mut byte = [0; 256];
            let mut drip = pace(Duration::from_millis(200));
            loop {
                tokio::select! {
                    _ = drip.tick() => if stream.write_all(b"a").await.is_err() {
                        return toll.refused();
                    },
                    read = stream.read(&mut byte) => match read {
                        Ok(0) | Err(_) => return toll.refused(),
                        Ok(_) => toll.taken(),
                    },
                }
            }
        });
    }
}

/// Fifty a second.
pub(super) async fn odd_requests(victim: Victim, mut random: fastrand::Rng, toll: Toll) {
    let seeds: Vec<Vec<u8>> = vec![
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec(),
        b"POST /whip/a HTTP/1.1\r\nHost: a\r\nContent-Type: application/sdp\r\nContent-Length: 4\r\nConnection: close\r\n\r\nv=0\n".to_vec(),
        b"PATCH /whip/a/0123456789abcdef0123456789abcdef HTTP/1.1\r\nHost: a\r\nIf-Match: *\r\nContent-Type: application/trickle-ice-sdpfrag\r\nContent-Length: 14\r\nConnection: close\r\n\r\na=ice-ufrag:a\n".to_vec(),
        b"DELETE /whip/a/ffffffffffffffffffffffffffffffff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec(),
        b"OPTIONS /whip/../../etc/passwd HTTP/1.0\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0d\0\x04\0\xa0\0\0".to_vec(),
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(),
        [b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ".as_slice(), &[b'a'; 40_000], b"\r\n\r\n"].concat(),
    ];
    let mut pace = pace(Duration::from_millis(20));
    let mut under_way = JoinSet::new();
    loop {
        pace.tick().await;
        while under_way.try_join_next().is_some() {}
        let bytes = mutate::any(&mut random, &seeds);
        let (victim, toll) = (victim.clone(), toll.clone());
        if under_way.len() < SLOW {
            under_way.spawn(async move {
                toll.sent();
                match raw(victim.from, victim.http, &bytes).await {
                    Ok(answer) if answer.status < 400 => toll.taken(),
                    _ => toll.refused(),
                }
            });
        }
    }
}
