//! The publisher against our own server, over real sockets on loopback: two independent stacks.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};

use hearsight_core::stamped::Mark;
use hearsight_core::time::MediaTime;
use tokio::sync::oneshot;

use super::*;
use crate::ingest::{self, Ingest, Left, Refusal, Reply, SessionId};
use crate::serve::{self, Certificate, Door};
use crate::wire::{ToClient, ToServer};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the server's side of a session saw.
enum Seen {
    Entered(Reply),
    Opened,
    Packet(Stamped<Packet>),
    Said(ToServer),
    Left(Left),
}

/// Takes everyone in but `nobody`; with `frozen` it stops.
struct Lobby {
    seen: mpsc::Sender<Seen>,
    /// For one guest named `frozen`.
    until: std::sync::Mutex<Option<std::sync::mpsc::Receiver<()>>>,
}

impl Door for Lobby {
    fn open(&self, asking: &serve::Guest, _: SessionId, reply: Reply) -> Result<Box<dyn ingest::Peer>, Refusal> {
        if asking.stream == "nobody" {
            return Err(Refusal::NotFound {
                detail: "there is no such stream".into(),
            });
        }
        if asking.stream == "frozen" {
            let until = self.until.lock().expect("sound").take().expect("one such guest");
            return Ok(Box::new(Frozen { until }));
        }
        let guest = Guest {
            seen: self.seen.clone(),
            reply: reply.clone(),
        };
        guest.tell(Seen::Entered(reply));
        Ok(Box::new(guest))
    }
}

/// Answers questions about the clock, as a session does, and reports the rest.
struct Guest {
    seen: mpsc::Sender<Seen>,
    reply: Reply,
}

impl Guest {
    fn tell(&self, seen: Seen) {
        // The queue holds all that a test does; a test that is over doesn't care.
        let _ = self.seen.try_send(seen);
    }
}

impl ingest::Peer for Guest {
    fn opened(&mut self, _: Moment) {
        self.tell(Seen::Opened);
    }
    fn packet(&mut self, unit: Stamped<Packet>) {
        self.tell(Seen::Packet(unit));
    }
    fn message(&mut self, now: Moment, text: &str) {
        let said: ToServer = serde_json::from_str(text).expect("our own wire");
        match said {
            ToServer::Clock { t0_us } => {
                let answer = ToClient::Clock {
                    t0_us,
                    t1_us: now.micros(),
                };
                let _ = self.reply.send(serde_json::to_string(&answer).expect("JSON"));
            }
            ToServer::ClockOffset { offset_us, error_us } => {
                self.reply
                    .clock_offset(Span::from_micros(offset_us), Span::from_micros(error_us));
            }
            _ => {}
        }
        self.tell(Seen::Said(said));
    }
    fn left(&mut self, why: Left) {
        self.tell(Seen::Left(why));
    }
}

/// Holds the server's media thread at the first packet until the test is over: a server that vanishes without a word.
struct Frozen {
    until: std::sync::mpsc::Receiver<()>,
}

impl ingest::Peer for Frozen {
    fn opened(&mut self, _: Moment) {}
    fn packet(&mut self, _: Stamped<Packet>) {
        let _ = self.until.recv();
    }
    fn message(&mut self, _: Moment, _: &str) {}
    fn left(&mut self, _: Left) {}
}

/// A server on loopback that ends with the test.
struct House {
    /// Dropped before `ingest`, whose thread a frozen guest may hold.
    _thaw: std::sync::mpsc::SyncSender<()>,
    ingest: Ingest,
    clock: Clock,
    address: SocketAddr,
    seen: mpsc::Receiver<Seen>,
    _open: oneshot::Sender<()>,
}

impl House {
    async fn open() -> House {
        let clock = Clock::new();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let ingest = Ingest::start(ingest::Config::new(any), clock).expect("a media socket");
        let (seen_tx, seen) = mpsc::channel(4_096);
        let (thaw, until) = std::sync::mpsc::sync_channel(0);
        let lobby = Lobby {
            seen: seen_tx,
            until: std::sync::Mutex::new(Some(until)),
        };
        let (open, closed) = oneshot::channel::<()>();
        let config = serve::Config {
            http: Some(any),
            https: None,
            certificate: Certificate::Own {
                state: std::env::temp_dir(),
            },
            public_address: None,
            max_connections: 16,
        };
        let shutdown = async { drop(closed.await) };
        let access = serve::Access::new(serve::Rules::default(), clock);
        let serving = serve::run(
            config,
            ingest.clone(),
            access,
            Arc::new(lobby),
            Arc::default(),
            shutdown,
        )
        .await;
        let address = serving.expect("an HTTP socket").listeners[0].address;
        House {
            ingest,
            clock,
            address,
            seen,
            _thaw: thaw,
            _open: open,
        }
    }

    async fn dial(&self) -> (Publisher, mpsc::Receiver<Heard>) {
        Publisher::dial(config(self.address, "talk"), self.clock)
            .await
            .expect("connected")
    }

    async fn see(&mut self) -> Seen {
        timeout(PATIENCE, self.seen.recv())
            .await
            .expect("in time")
            .expect("the server runs")
    }

    async fn entered(&mut self) -> Reply {
        loop {
            if let Seen::Entered(reply) = self.see().await {
                return reply;
            }
        }
    }

    /// Waits until the server can place capture times: it knows the distance between the clocks.
    async fn synchronised(&mut self) -> Offset {
        loop {
            if let Seen::Said(ToServer::ClockOffset { offset_us, error_us }) = self.see().await {
                return Offset { offset_us, error_us };
            }
        }
    }

    async fn packet(&mut self, codec: Codec) -> Stamped<Packet> {
        loop {
            match self.see().await {
                Seen::Packet(unit) if unit.item.codec == codec => return unit,
                Seen::Left(why) => panic!("the session ended: {why:?}"),
                _ => {}
            }
        }
    }
}

fn config(address: SocketAddr, stream: &str) -> Config {
    Config {
        url: format!("http://{address}/whip/{stream}"),
        trust: Trust::SelfSignedOnLoopback,
        ..Config::default()
    }
}

async fn hear(heard: &mut mpsc::Receiver<Heard>) -> Heard {
    timeout(PATIENCE, heard.recv())
        .await
        .expect("in time")
        .expect("the pump runs")
}

/// An access unit in Annex B format without emulated start codes.
fn picture(key: bool, bytes: usize, seed: u8) -> Arc<[u8]> {
    let mut unit = Vec::new();
    if key {
        unit.extend([0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0x95, 0, 0, 0, 1, 0x68, 0xce, 0x3c]);
    }
    unit.extend([0, 0, 0, 1, if key { 0x65 } else { 0x41 }]);
    unit.extend((0..bytes).map(|i| (i as u8).wrapping_mul(7).wrapping_add(seed) | 1));
    unit.into()
}

fn sound(seed: u8) -> Arc<[u8]> {
    Arc::new([0xfc, seed, 3, 4, 5])
}

fn unit(codec: Codec, at: MediaTime, born: Moment, key: bool, payload: Arc<[u8]>) -> Stamped<Packet> {
    Stamped::new(
        at,
        born,
        Packet {
            codec,
            payload,
            key,
            missing: 0,
        },
    )
}

/// Everything that is sent arrives whole, at its time on one timeline, and with the moment of its capture.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_arrive_whole_with_the_moment_of_their_capture() {
    let mut house = House::open().await;
    let (publisher, _heard) = house.dial().await;
    house.synchronised().await;
    // Captured a while ago: what the reports say of capture is then far from when anything was sent.
    let start = house.clock.now() - Span::from_secs(2);
    let tolerance = Span::from_millis(5);
    let (mut measured, mut apart) = (0, None);
    for i in 0..60u8 {
        let at = MediaTime::ZERO + Span::from_millis(20) * i64::from(i);
        let born = start + (at - MediaTime::ZERO);
        publisher
            .audio(unit(Codec::Opus, at, born, true, sound(i)))
            .await
            .expect("sent");
        let heard = house.packet(Codec::Opus).await;
        assert_eq!((&heard.item.payload, heard.item.missing), (&sound(i), 0));
        let sent = picture(i % 30 == 0, 6_000, i);
        publisher
            .video(unit(Codec::H264, at, born, i % 30 == 0, sent.clone()))
            .await
            .expect("sent");
        let shown = house.packet(Codec::H264).await;
        assert_eq!(
            (&shown.item.payload, shown.item.key),
            (&sent, i % 30 == 0),
            "Annex B, as it was"
        );
        for got in [&heard, &shown] {
            if got.trail.at(Mark::Arrived).is_some() {
                measured += 1;
                let off = got.born - born;
                assert!(
                    off <= tolerance && -off <= tolerance,
                    "unit {i}: capture is {off:?} off"
                );
            }
        }
        if shown.trail.at(Mark::Arrived).is_some() {
            apart = Some(shown.at - heard.at);
        }
    }
    assert!(
        measured >= 100,
        "only {measured} of 120 units had a measured capture time"
    );
    let apart = apart.expect("pictures were placed");
    assert!(
        apart <= tolerance && -apart <= tolerance,
        "sound and picture of one moment lie {apart:?} apart"
    );
    publisher.close().await;
}

/// Both ends of this test read one clock, so the truth is known: the server's clock minus unix time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clocks_are_compared_and_both_sides_told() {
    let mut house = House::open().await;
    let (publisher, _heard) = house.dial().await;
    let told = house.synchronised().await;
    let now = house.clock.now();
    let truth = now.micros() - publisher.clock.unix_us_from_moment(now);
    assert!(
        (told.offset_us - truth).abs() <= told.error_us + 2,
        "{told:?} against {truth}"
    );
    let ours = publisher
        .server_us_from_moment(now)
        .expect("known here before it is told there");
    let best = publisher.offset().expect("known");
    assert!(
        (ours - now.micros()).abs() <= best.error_us + 2,
        "{ours} against {}",
        now.micros()
    );
    publisher.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_and_keyframe_requests_come_back() {
    let mut house = House::open().await;
    let (publisher, mut heard) = house.dial().await;
    let reply = house.entered().await;
    while !matches!(house.see().await, Seen::Opened) {}
    reply
        .send(r#"{"type":"words.of.tomorrow","x":1}"#.into())
        .expect("room");
    loop {
        if let Heard::Message { text, received } = hear(&mut heard).await {
            assert_eq!(
                text, r#"{"type":"words.of.tomorrow","x":1}"#,
                "the clock's messages stay inside"
            );
            assert!(received <= house.clock.now());
            break;
        }
    }
    let shown = ToServer::Shown {
        id: 7,
        received_us: 1,
        shown_us: 2,
    };
    publisher
        .say(&serde_json::to_string(&shown).expect("JSON"))
        .await
        .expect("said");
    while !matches!(house.see().await, Seen::Said(said) if said == shown) {}
    // A first picture that can't be decoded by itself: whoever joins wants a keyframe.
    let sent = picture(false, 100, 0);
    publisher
        .video(unit(Codec::H264, MediaTime::ZERO, house.clock.now(), false, sent))
        .await
        .expect("sent");
    reply.request(Request::Keyframe);
    while hear(&mut heard).await != Heard::Request(Request::Keyframe) {}
    publisher.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receiver_tells_of_every_packet_and_so_what_the_path_takes_is_learnt() {
    let mut house = House::open().await;
    let (publisher, _heard) = house.dial().await;
    let before = publisher.allowed().expect("a path begins with care");
    let learning = async {
        for n in 0.. {
            let at = MediaTime::from_millis(i64::from(n) * 33);
            let sent = picture(n == 0, 12_000, n as u8);
            let unit = unit(Codec::H264, at, house.clock.now(), n == 0, sent);
            publisher.video(unit).await.expect("sent");
            if publisher.allowed().is_some_and(|allowed| allowed > before + before / 2) {
                return;
            }
            // One after the other: what arrives paces what is sent.
            while !matches!(house.see().await, Seen::Packet(_)) {}
        }
    };
    timeout(PATIENCE, learning).await.expect("a loopback takes more");
    assert!(publisher.lost() < 0.5, "{}", publisher.lost());
    publisher.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goodbye_is_said_and_a_server_that_goes_is_noticed() {
    let mut house = House::open().await;
    let (publisher, _heard) = house.dial().await;
    publisher.close().await;
    loop {
        if let Seen::Left(why) = house.see().await {
            assert_eq!(why, Left::Dismissed, "by DELETE, before the connection is closed");
            break;
        }
    }
    let (publisher, mut heard) = house.dial().await;
    house.ingest.shutdown();
    while !matches!(hear(&mut heard).await, Heard::Gone(_)) {}
    publisher.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_refuses_is_quoted_and_who_is_silent_is_left() {
    let house = House::open().await;
    let refused = Publisher::dial(config(house.address, "nobody"), house.clock)
        .await
        .err();
    match refused {
        Some(DialError::Refused {
            status: 404, detail, ..
        }) => assert!(detail.contains("no such stream"), "{detail}"),
        other => panic!("{other:?}"),
    }
    // Bound and closed again: nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    let unreachable = Publisher::dial(config(closed, "talk"), house.clock).await.err();
    assert!(
        matches!(unreachable, Some(DialError::Unreachable(_))),
        "{unreachable:?}"
    );
    // The kernel accepts for a listener that never does.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut impatient = config(silent.local_addr().expect("bound"), "talk");
    impatient.timeout = Span::from_millis(500);
    let left = Publisher::dial(impatient, house.clock).await.err();
    assert!(matches!(left, Some(DialError::TimedOut(_))), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_vanishes_without_a_word_is_noticed() {
    let house = House::open().await;
    let frozen = config(house.address, "frozen");
    let (publisher, mut heard) = Publisher::dial(frozen, house.clock).await.expect("connected");
    let first = unit(Codec::Opus, MediaTime::ZERO, house.clock.now(), true, sound(0));
    publisher.audio(first).await.expect("sent");
    while !matches!(hear(&mut heard).await, Heard::Gone(_)) {}
    timeout(PATIENCE, publisher.close())
        .await
        .expect("nobody answers, and that is no reason to wait");
}

/// Answers one request on a thread of its own, with whatever it is given.
fn answer_once(answer: Vec<u8>) -> SocketAddr {
    use std::io::Write;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let serve = move || {
        let (mut stream, _) = listener.accept().expect("a caller");
        let mut request = [0; 16 * 1024];
        let _ = stream.read(&mut request);
        // The caller may hang up in the middle: that is the point.
        let _ = stream.write_all(&answer);
    };
    std::thread::Builder::new()
        .name("answer".into())
        .spawn(serve)
        .expect("a thread");
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_make_no_sense_are_errors() {
    let created = |body: &str| {
        let length = body.len();
        format!("HTTP/1.1 201 Created\r\nContent-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let media = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
    let nonsense = [
        created(""),
        created("hello"),
        created(media),
        created(&"v=0\r\n".repeat(20_000)),
    ];
    for answer in nonsense {
        let mut config = config(answer_once(answer.clone().into_bytes()), "talk");
        config.timeout = Span::from_secs(2);
        let error = Publisher::dial(config, Clock::new()).await.err();
        assert!(error.is_some(), "{answer:.80}");
    }
    let garbage = config(answer_once(b"\x16\x03\x01 what?\r\n\r\n".to_vec()), "talk");
    let error = Publisher::dial(garbage, Clock::new()).await.err();
    assert!(matches!(error, Some(DialError::Unreachable(_))), "{error:?}");
}
