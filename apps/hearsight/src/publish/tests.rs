//! Publishing to our own server, over real sockets on loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use hearsight_codecs::h264;
use hearsight_codecs::hearing::Hearing;
use hearsight_codecs::source::{Origin, Rounds};
use hearsight_core::media::{Codec, Packet};
use hearsight_core::stage::{Engine, Outbox, Signal, Stage};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::Moment;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use crate::film::Coding;
use crate::ingest::{self, Ingest, Left, Refusal, Reply, SessionId};
use crate::send::Trust;
use crate::serve::{self, Certificate, Door, Guest};
use options::{Captions, Telling};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// What arrived, by stream; sessions of one stream in order.
#[derive(Default)]
struct Seen {
    units: BTreeMap<String, Vec<Stamped<Packet>>>,
    left: Vec<(String, Left)>,
    entered: Vec<(String, SessionId)>,
}

/// Takes everyone in but `nobody`, after so many refusals with a time to try again.
struct Hall {
    seen: Arc<Mutex<Seen>>,
    refusals: Mutex<Vec<u32>>,
    /// Told of every session's first picture.
    pictured: mpsc::Sender<SessionId>,
}

impl Door for Hall {
    fn open(&self, guest: &Guest, id: SessionId, _: Reply) -> Result<Box<dyn ingest::Peer>, Refusal> {
        if guest.stream == "nobody" {
            return Err(Refusal::NotFound {
                detail: "there is no such stream".into(),
            });
        }
        if let Some(retry_after) = self.refusals.lock().unwrap().pop() {
            return Err(Refusal::Busy {
                retry_after,
                detail: "the hall is full".into(),
            });
        }
        let stream = guest.stream.clone();
        self.seen.lock().unwrap().entered.push((stream.clone(), id));
        Ok(Box::new(Place {
            stream,
            id,
            seen: Arc::clone(&self.seen),
            pictured: Some(self.pictured.clone()),
        }))
    }
}

struct Place {
    stream: String,
    id: SessionId,
    seen: Arc<Mutex<Seen>>,
    pictured: Option<mpsc::Sender<SessionId>>,
}

impl ingest::Peer for Place {
    fn opened(&mut self, _: Moment) {}
    fn packet(&mut self, unit: Stamped<Packet>) {
        if unit.item.codec == Codec::H264
            && let Some(pictured) = self.pictured.take()
        {
            let _ = pictured.try_send(self.id);
        }
        let mut seen = self.seen.lock().unwrap();
        seen.units.entry(self.stream.clone()).or_default().push(unit);
    }
    fn message(&mut self, _: Moment, _: &str) {}
    fn left(&mut self, why: Left) {
        self.seen.lock().unwrap().left.push((self.stream.clone(), why));
    }
}

/// A server that ends with the test.
struct House {
    ingest: Ingest,
    clock: Clock,
    plain: SocketAddr,
    secure: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    pictured: mpsc::Receiver<SessionId>,
    state: tempfile::TempDir,
    _open: oneshot::Sender<()>,
}

impl House {
    async fn open(refusals: &[u32]) -> House {
        let clock = Clock::new();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let state = tempfile::tempdir().unwrap();
        let ingest = Ingest::start(ingest::Config::new(any), clock).expect("a media socket");
        let (pictured_tx, pictured) = mpsc::channel(64);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let hall = Hall {
            seen: Arc::clone(&seen),
            refusals: Mutex::new(refusals.iter().rev().copied().collect()),
            pictured: pictured_tx,
        };
        let (open, closed) = oneshot::channel::<()>();
        let config = serve::Config {
            http: Some(any),
            https: Some(any),
            certificate: Certificate::Own {
                state: state.path().to_owned(),
            },
            public_address: None,
            max_connections: 64,
        };
        let shutdown = async { drop(closed.await) };
        let access = serve::Access::new(serve::Rules::default(), clock);
        let serving = serve::run(config, ingest.clone(), access, Arc::new(hall), Arc::default(), shutdown).await;
        let listeners = serving.expect("HTTP sockets").listeners;
        let address = |secure| {
            listeners
                .iter()
                .find(|one| one.secure == secure)
                .expect("bound")
                .address
        };
        House {
            ingest,
            clock,
            plain: address(false),
            secure: address(true),
            seen,
            pictured,
            state,
            _open: open,
        }
    }

    fn options(&self, feed: Feed) -> Options {
        Options {
            feed,
            to: format!("http://{}/whip/film", self.plain).parse().unwrap(),
            size: Some((320, 180)),
            coding: Coding {
                fps: 30,
                bitrate: 1_000_000,
            },
            rounds: Rounds::Once,
            start: Span::ZERO,
            most: None,
            copies: 1,
            retries: Some(4),
            token: None,
            trust: Trust::SelfSignedOnLoopback,
            captions: Captions::Ignored,
            telling: Telling::Json,
        }
    }

    /// Publishes until `stop`; gives the outcome and what was printed.
    async fn publish(
        &self,
        options: Options,
        stop: impl Future<Output = ()>,
    ) -> (Result<Summary, PublishError>, Vec<serde_json::Value>) {
        let mut out = Vec::new();
        let published = publish(options, self.clock, stop, &mut out, Display::Log);
        let published = timeout(LONG, published).await.expect("in time");
        let text = String::from_utf8(out).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        (published, lines.collect())
    }

    fn units(&self, stream: &str, codec: Codec) -> Vec<Stamped<Packet>> {
        let seen = self.seen.lock().unwrap();
        let units = seen.units.get(stream).into_iter().flatten();
        units.filter(|unit| unit.item.codec == codec).cloned().collect()
    }

    /// The server hears of a goodbye on its own thread: it is over when nothing more is held.
    fn left(&self) -> Vec<(String, Left)> {
        self.ingest.shutdown();
        self.seen.lock().unwrap().left.clone()
    }
}

async fn never() {
    std::future::pending().await
}

/// A film with a white picture and a beep at every whole second.
fn clapper(folder: &Path, seconds: u32) -> Feed {
    let path = folder.join("clapper.mkv");
    let picture = format!(
        "color=c=black:s=320x180:r=30:d={seconds},drawbox=c=white:t=fill:enable='lt(mod(t\\,1)\\,0.03)',format=yuv420p"
    );
    let sound = format!("aevalsrc='0.5*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.06)':s=48000:d={seconds}");
    let made = Command::new("ffmpeg")
        .args([
            "-v", "error", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound,
        ])
        .args(["-c:v", "libx264", "-c:a", "libopus"])
        .arg(&path)
        .status()
        .expect("the ffmpeg command; `make setup` installs it");
    assert!(made.success());
    Feed::Source(Origin::Address(format!("file://{}", path.display())))
}

/// Where the mean brightness jumps up by a flash.
fn flashes(units: Vec<Stamped<Packet>>) -> Vec<MediaTime> {
    let mut decoder = h264::Decoder::new(h264::Config::default()).unwrap();
    let mut levels: Vec<(MediaTime, i64)> = Vec::new();
    for unit in units {
        let mut out = Outbox::default();
        decoder.run(unit.born, Signal::Item(unit), &mut out).unwrap();
        for signal in out.drain() {
            if let Signal::Item(decoded) = signal {
                let picture = &decoded.item.picture;
                let rows =
                    (0..picture.height as usize).map(|y| picture.pixels.y.row(y, picture.width as usize).unwrap());
                let sum: i64 = rows.flatten().map(|luma| i64::from(*luma)).sum();
                levels.push((decoded.at, sum / i64::from(picture.width * picture.height)));
            }
        }
    }
    let jumps = levels.windows(2).filter(|pair| pair[1].1 - pair[0].1 > 15);
    jumps.map(|pair| pair[1].0).collect()
}

/// Where a tone begins.
fn beeps(units: Vec<Stamped<Packet>>) -> Vec<MediaTime> {
    let mut hearing = Hearing::new().unwrap();
    let (mut found, mut quiet) = (Vec::new(), 0);
    for unit in units {
        let mut out = Outbox::default();
        hearing.step(unit.born, Signal::Item(unit), &mut out);
        for signal in out.drain() {
            let Signal::Item(pcm) = signal else { continue };
            for (i, sample) in pcm.item.samples.iter().enumerate() {
                if sample.abs() > 0.1 {
                    if quiet > 4_000 {
                        found.push(pcm.at + Span::from_samples(i as i64, pcm.item.rate));
                    }
                    quiet = 0;
                } else {
                    quiet += 1;
                }
            }
        }
    }
    found
}

/// Every beep has a flash within one picture of it.
fn in_step(house: &House, stream: &str, least: usize) {
    let (flashes, beeps) = (
        flashes(house.units(stream, Codec::H264)),
        beeps(house.units(stream, Codec::Opus)),
    );
    let frame = Span::from_samples(1, 30);
    let paired = beeps.iter().filter(|beep| {
        let apart = |flash: &MediaTime| (*flash - **beep).nanos().abs();
        flashes.iter().any(|flash| apart(flash) <= frame.nanos())
    });
    let paired = paired.count();
    assert!(
        paired >= least && paired + 1 >= beeps.len(),
        "{paired} of {beeps:?} with {flashes:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pattern_arrives_with_sound_and_picture_in_step() {
    let house = House::open(&[]).await;
    let mut options = house.options(Feed::Test);
    options.most = Some(Span::from_millis(5_500));
    let (published, lines) = house.publish(options, never()).await;
    let summary = published.unwrap();
    assert!(summary.sent.pictures > 60 && summary.sent.sounds > 100, "{summary:?}");
    assert_eq!((summary.failed, summary.reconnections), (0, 0));
    in_step(&house, "film", 3);
    let figures = lines.iter().filter(|line| line["type"] == "figures");
    assert!(
        figures.filter(|line| line["rtt_ms"].is_number()).count() > 0,
        "{lines:?}"
    );
    assert_eq!(lines.last().map(|line| line["type"].clone()), Some("summary".into()));
    assert_eq!(house.left(), [("film".to_owned(), Left::Dismissed)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_arrives_whole_in_step_and_ends_by_itself() {
    let house = House::open(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let options = house.options(clapper(folder.path(), 4));
    let (published, _) = house.publish(options, never()).await;
    let summary = published.unwrap();
    assert!(
        summary.sent.pictures >= 115 && summary.sent.sounds >= 195,
        "{summary:?}"
    );
    in_step(&house, "film", 2);
    let sound = house.units("film", Codec::Opus);
    assert!(
        sound.len() as u64 + 5 >= summary.sent.sounds,
        "{} of {summary:?}",
        sound.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_is_asked_again_when_it_says_and_a_firm_no_is_final() {
    let house = House::open(&[0, 1]).await;
    let mut options = house.options(Feed::Test);
    options.most = Some(Span::from_secs(6));
    let (published, lines) = house.publish(options.clone(), never()).await;
    assert_eq!(published.unwrap().failed, 0);
    let waits = lines.iter().filter(|line| line["type"] == "waiting");
    let waits: Vec<f64> = waits.filter_map(|line| line["wait_s"].as_f64()).collect();
    assert!(waits.len() == 2 && waits[0] < 1.0 && waits[1] >= 1.0, "{waits:?}");
    assert!(!house.units("film", Codec::H264).is_empty());

    options.to.set_path("/whip/nobody");
    let (published, lines) = house.publish(options, never()).await;
    let told = published.unwrap_err().to_string();
    assert!(told.contains("404") && told.contains("no such stream"), "{told}");
    assert!(lines.iter().all(|line| line["type"] != "waiting"), "{lines:?}");

    let always = House::open(&[0; 16]).await;
    let mut options = always.options(Feed::Test);
    options.retries = Some(2);
    let (published, lines) = always.publish(options, never()).await;
    assert!(published.unwrap_err().to_string().contains("the hall is full"));
    assert_eq!(lines.iter().filter(|line| line["type"] == "waiting").count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_all_arrive_and_all_say_goodbye() {
    let mut house = House::open(&[]).await;
    let mut options = house.options(Feed::Test);
    options.copies = 6;
    let (stop_tx, stop) = oneshot::channel::<()>();
    let mut pictured = std::mem::replace(&mut house.pictured, mpsc::channel(1).1);
    let all_seen = async move {
        for _ in 0..6 {
            pictured.recv().await.expect("the server runs");
        }
        let _ = stop_tx.send(());
    };
    let publishing = house.publish(options, async { drop(stop.await) });
    let ((published, lines), ()) = tokio::join!(publishing, all_seen);
    assert_eq!(published.unwrap().failed, 0);
    let each = lines.last().and_then(|line| line["each"].as_array().cloned()).unwrap();
    assert!(
        each.len() == 6 && each.iter().all(|copy| copy["connections"] == 1),
        "{each:?}"
    );
    let mut left = house.left();
    left.sort_by(|a, b| a.0.cmp(&b.0));
    let names: Vec<String> = (1..=6).map(|n| format!("film-{n}")).collect();
    assert_eq!(left.iter().map(|(stream, _)| stream.clone()).collect::<Vec<_>>(), names);
    assert!(left.iter().all(|(_, why)| *why == Left::Dismissed), "{left:?}");
    for name in names {
        let pictures = house.units(&name, Codec::H264);
        assert!(pictures[0].item.key, "{name} can be entered");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_is_made_again_and_the_film_goes_on() {
    let mut house = House::open(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let options = house.options(clapper(folder.path(), 4));
    let mut pictured = std::mem::replace(&mut house.pictured, mpsc::channel(1).1);
    let ingest = house.ingest.clone();
    let breaking = async move {
        let first = pictured.recv().await.expect("a picture");
        assert!(ingest.close(first));
        pictured.recv().await.expect("a picture over another connection")
    };
    let (published, lines) = {
        let publishing = house.publish(options, never());
        let (published, second) = tokio::join!(publishing, breaking);
        let _ = second;
        published
    };
    let summary = published.unwrap();
    assert_eq!((summary.failed, summary.reconnections), (0, 1));
    assert!(lines.iter().any(|line| line["type"] == "waiting"), "{lines:?}");
    // While nobody watched it was held: little of it is missing.
    assert!(summary.sent.sounds >= 150, "{summary:?}");
    assert_eq!(house.seen.lock().unwrap().entered.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_can_be_trusted_by_name_and_no_other_is() {
    let house = House::open(&[]).await;
    let mut options = house.options(Feed::Test);
    options.to = format!("https://localhost:{}/whip/film", house.secure.port())
        .parse()
        .unwrap();
    options.most = Some(Span::from_secs(2));
    options.retries = Some(1);
    let pem = std::fs::read_dir(house.state.path())
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.unwrap().path()).ok())
        .find(|bytes| bytes.windows(17).any(|text| text == b"BEGIN CERTIFICATE"))
        .expect("the server's certificate");
    options.trust = Trust::Certificates(pem);
    house.publish(options.clone(), never()).await.0.unwrap();
    options.trust = Trust::System;
    let refused = house.publish(options, never()).await.0.unwrap_err();
    assert!(matches!(refused, PublishError::Connection { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_opened_is_said_before_anybody_is_called() {
    let house = House::open(&[]).await;
    let nothing = Feed::Source(Origin::Address("file:///nowhere/film.mp4".into()));
    let (published, _) = house.publish(house.options(nothing), never()).await;
    assert!(matches!(published, Err(PublishError::Source(_))));
    assert!(house.seen.lock().unwrap().entered.is_empty());
}
