//! Peers that connect properly and then send what nobody should.

use std::sync::Arc;
use std::time::Duration;

use hearsight::demo::scene::Scene;
use hearsight::send::{self, Heard, Publisher};
use hearsight_codecs::encode::{H264Config, H264Encoder, Preset};
use hearsight_core::media::{Codec, Packet};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_live::clock::Clock;
use tokio::sync::mpsc;

use super::relay::{Path, Relay};
use super::{PATIENCE, Toll, Victim, pace};
use crate::fuzz::{mutate, seeds, targets};

/// Sizes that a hostile stream jumps between: tiny, usual, upright and the largest there is a level for.
const SIZES: [(u32, u32); 6] = [
    (64, 48),
    (1280, 720),
    (320, 240),
    (720, 1280),
    (1920, 1080),
    (3840, 2160),
];

/// Units of a stream that are sent before another is chosen.
const STRETCH: usize = 24;

/// Dials until it may come in, or it is over. A dial is never dropped half-way: its connection would go on by itself.
pub(super) async fn dial(
    victim: &Victim,
    url: &str,
    clock: Clock,
    toll: &Toll,
) -> Option<(Publisher, mpsc::Receiver<Heard>)> {
    let mut again = pace(Duration::from_millis(500));
    while !*victim.over.borrow() {
        again.tick().await;
        let config = send::Config {
            url: url.to_owned(),
            timeout: Span::from_duration(PATIENCE),
            ..send::Config::default()
        };
        match Publisher::dial(config, clock).await {
            Ok(connected) => return Some(connected),
            Err(_) => toll.refused(),
        }
    }
    None
}

/// What a hostile peer sends.
trait Menu {
    /// The next unit: bytes of a codec, or of a packet.
    fn next(&mut self) -> (Kind, Vec<u8>);
    /// Between two units.
    const PERIOD: Duration;
}

/// As what the bytes are sent.
enum Kind {
    Picture,
    Sound,
    /// An RTP or RTCP packet, header and all.
    Packet,
}

/// Connects, sends, and connects again when thrown out.
async fn serve(victim: &Victim, url: &str, mut menu: impl Menu, toll: Toll) {
    let clock = Clock::new();
    while let Some((publisher, mut heard)) = dial(victim, url, clock, &toll).await {
        let mut pace = pace(menu_period(&menu));
        let start = clock.now();
        loop {
            tokio::select! {
                () = victim.over() => {
                    publisher.close().await;
                    return;
                }
                news = heard.recv() => match news {
                    Some(Heard::Gone(_)) | None => break,
                    Some(_) => toll.taken(),
                },
                _ = pace.tick() => {
                    let now = clock.now();
                    let (kind, bytes) = menu.next();
                    toll.sent();
                    if send(&publisher, kind, bytes, MediaTime::ZERO + (now - start), now).await.is_err() {
                        break;
                    }
                }
            }
        }
        publisher.close().await;
    }
}

async fn send(
    publisher: &Publisher,
    kind: Kind,
    bytes: Vec<u8>,
    at: MediaTime,
    born: Moment,
) -> Result<(), send::SendError> {
    let unit = |codec| {
        let payload = Arc::from(bytes.as_slice());
        Stamped::new(
            at,
            born,
            Packet {
                codec,
                payload,
                key: false,
                missing: 0,
            },
        )
    };
    match kind {
        Kind::Picture => publisher.video(unit(Codec::H264)).await,
        Kind::Sound => publisher.audio(unit(Codec::Opus)).await,
        Kind::Packet => {
            // What our own stack can't read it can't send; that is no news about the server.
            let _ = publisher.raw(&bytes).await;
            Ok(())
        }
    }
}

fn menu_period<M: Menu>(_: &M) -> Duration {
    M::PERIOD
}

/// Thirty a second: damaged streams, pictures of ever other sizes, and RTP payloads that are no NAL units.
pub(super) async fn pictures(victim: Victim, random: fastrand::Rng, toll: Toll) {
    // Drawing and coding the largest takes long enough to hold a task up.
    let prepared = tokio::task::spawn_blocking(sizes).await;
    let mut streams = seeds::of("h264");
    streams.extend(seeds::beside("h264"));
    let menu = Pictures {
        random,
        streams,
        sizes: prepared.unwrap_or_default(),
        waiting: Vec::new(),
    };
    let url = format!("http://{}/whip/pictures", victim.http);
    serve(&victim, &url, menu, toll).await;
}

/// One key picture of each of [`SIZES`].
fn sizes() -> Vec<Vec<u8>> {
    let coded = |(width, height)| {
        let config = H264Config {
            width,
            height,
            fps: 30,
            bitrate: 1_000_000,
            gop: 30,
            preset: Preset::default(),
        };
        let scene = Scene::new(width, height, Span::from_secs(4)).ok()?;
        let coded = H264Encoder::new(config)
            .ok()?
            .encode(&scene.picture(MediaTime::ZERO))
            .ok()?;
        Some(AsRef::<[u8]>::as_ref(&*coded.payload).to_vec())
    };
    SIZES.into_iter().filter_map(coded).collect()
}

struct Pictures {
    random: fastrand::Rng,
    streams: Vec<Vec<u8>>,
    sizes: Vec<Vec<u8>>,
    /// Units of the stream under way, the next last.
    waiting: Vec<Vec<u8>>,
}

impl Menu for Pictures {
    const PERIOD: Duration = Duration::from_millis(33);

    fn next(&mut self) -> (Kind, Vec<u8>) {
        if let Some(unit) = self.waiting.pop() {
            return (Kind::Picture, unit);
        }
        let random = &mut self.random;
        match random.u8(0..4) {
            0 => {
                // A type that RFC 6184 gives a structure (24 to 29), and noise in place of the structure.
                let mut unit = vec![0, 0, 0, 1, 0x60 | random.u8(24..32)];
                unit.extend((0..random.usize(0..900)).map(|_| random.u8(1..)));
                self.waiting.push(unit);
            }
            1 => self
                .waiting
                .extend((0..STRETCH).filter_map(|_| random.choice(&self.sizes).cloned())),
            _ => {
                let stream = mutate::any(random, &self.streams);
                let units = targets::units_from_annex_b(&stream);
                self.waiting.extend(units.into_iter().take(STRETCH).map(<[u8]>::to_vec));
                self.waiting.reverse();
            }
        }
        (Kind::Picture, self.waiting.pop().unwrap_or_default())
    }
}

/// Fifty damaged packets a second.
pub(super) async fn sound(victim: Victim, random: fastrand::Rng, toll: Toll) {
    let url = format!("http://{}/whip/sound", victim.http);
    let packets = opus_packets();
    serve(&victim, &url, Sound { random, packets }, toll).await;
}

struct Sound {
    random: fastrand::Rng,
    packets: Vec<Vec<u8>>,
}

impl Menu for Sound {
    const PERIOD: Duration = Duration::from_millis(20);

    fn next(&mut self) -> (Kind, Vec<u8>) {
        (Kind::Sound, mutate::any(&mut self.random, &self.packets))
    }
}

/// The packets of the seeds, which stand behind a byte of length and one of time.
fn opus_packets() -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for seed in seeds::of("opus") {
        let mut rest = &seed[..];
        while let [length, _, tail @ ..] = rest {
            let (packet, next) = tail.split_at((*length as usize).min(tail.len()));
            packets.push(packet.to_vec());
            rest = next;
        }
    }
    packets
}

/// A hundred damaged RTP and RTCP packets a second, as pictures.
pub(super) async fn packets(victim: Victim, random: fastrand::Rng, toll: Toll) {
    let url = format!("http://{}/whip/packets", victim.http);
    let mut all = seeds::of("rtp");
    for folder in [
        "rtp-corpus",
        "rtcp-corpus",
        "rtpdump-corpus",
        "dependency_descriptor-corpus",
    ] {
        all.extend(seeds::beside(&format!("fuzz-seeds/{folder}")));
    }
    serve(&victim, &url, Packets { random, seeds: all }, toll).await;
}

struct Packets {
    random: fastrand::Rng,
    seeds: Vec<Vec<u8>>,
}

impl Menu for Packets {
    const PERIOD: Duration = Duration::from_millis(10);

    fn next(&mut self) -> (Kind, Vec<u8>) {
        let mut bytes = mutate::any(&mut self.random, &self.seeds);
        bytes.truncate(1_200);
        (Kind::Packet, bytes)
    }
}

/// Good pictures and good sound over a path that damages datagrams: handshakes, media and reports alike.
pub(super) async fn damaged_path(victim: Victim, seed: u64, toll: Toll) {
    let Ok(relay) = Relay::start(victim.http, "damaged", Path::Damaging(seed)).await else {
        return toll.refused();
    };
    let streams = seeds::of("h264");
    let pictures: Vec<Vec<u8>> = streams
        .first()
        .map(|stream| {
            targets::units_from_annex_b(stream)
                .into_iter()
                .map(<[u8]>::to_vec)
                .collect()
        })
        .unwrap_or_default();
    let menu = Good {
        units: [pictures, opus_packets()],
        turn: 0,
    };
    serve(&victim, &relay.url, menu, toll).await;
}

struct Good {
    units: [Vec<Vec<u8>>; 2],
    turn: usize,
}

impl Menu for Good {
    const PERIOD: Duration = Duration::from_millis(10);

    fn next(&mut self) -> (Kind, Vec<u8>) {
        self.turn += 1;
        let kind = if self.turn.is_multiple_of(2) {
            Kind::Picture
        } else {
            Kind::Sound
        };
        let of_kind = &self.units[self.turn % 2];
        let unit = of_kind.get(self.turn / 2 % of_kind.len().max(1)).cloned();
        (kind, unit.unwrap_or_default())
    }
}
