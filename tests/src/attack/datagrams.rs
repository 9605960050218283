//! Datagrams of strangers.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::stun::spoofed_request;
use super::{Toll, Victim, pace};
use crate::fuzz::{mutate, seeds};

/// Datagrams a burst, and between bursts: 5,000 a second.
const BURST: (usize, Duration) = (25, Duration::from_millis(5));

/// Every eighth is noise; the rest are damaged STUN, RTP and RTCP.
pub(super) async fn noise(victim: Victim, mut random: fastrand::Rng, toll: Toll) {
    let mut all = seeds::of("stun");
    all.extend(seeds::of("rtp"));
    all.extend(seeds::beside("fuzz-seeds"));
    flood(&victim, &toll, || match random.u8(0..8) {
        0 => (0..random.usize(0..1_400)).map(|_| random.u8(..)).collect(),
        _ => mutate::any(&mut random, &all),
    })
    .await;
}

/// Requests that name the witness's session.
pub(super) async fn spoofed(victim: Victim, mut random: fastrand::Rng, toll: Toll) {
    flood(&victim, &toll, || match victim.tap.ufrag() {
        Some(name) => spoofed_request(&mut random, &name),
        None => Vec::new(),
    })
    .await;
}

/// What the witness sent, as it is or damaged.
pub(super) async fn replays(victim: Victim, mut random: fastrand::Rng, toll: Toll) {
    flood(&victim, &toll, || {
        let mut datagram = victim.tap.any(&mut random).unwrap_or_default();
        if random.u8(0..4) == 0 {
            mutate::once(&mut random, &mut datagram, &[]);
        }
        datagram
    })
    .await;
}

/// From a few sockets in turn, as a stranger's ports change.
async fn flood(victim: &Victim, toll: &Toll, mut next: impl FnMut() -> Vec<u8>) {
    let mut pace = pace(BURST.1);
    loop {
        let Ok(socket) = UdpSocket::bind(SocketAddr::new(victim.from, 0)).await else {
            return toll.refused();
        };
        for _ in 0..100 {
            pace.tick().await;
            let Some(media) = victim.tap.server() else { continue };
            for _ in 0..BURST.0 {
                let datagram = next();
                // A datagram has at most 65,507 bytes.
                let datagram = &datagram[..datagram.len().min(1_400)];
                match socket.send_to(datagram, media).await {
                    Ok(_) => toll.sent(),
                    Err(_) => toll.refused(),
                }
            }
        }
    }
}
