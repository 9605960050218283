//! A WebRTC client in the test's own thread, and a peer that tells what it got.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use hearsight_core::media::Packet;
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::channel::ChannelId;
use str0m::format::Codec as Format;
use str0m::media::{Direction, Frequency, KeyframeRequestKind, MediaData, MediaKind, MediaTime as RtpTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use crate::ingest::{CHANNEL, Config, Fragment, Ingest, Left, Peer, Refusal, Reply, SessionId};

/// The longest that anything here may take; reached only when something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a [`Probe`] got.
#[derive(Debug)]
pub(crate) enum Got {
    Opened,
    Packet(Stamped<Packet>),
    Message(String),
    Left(Left),
}

/// A peer that passes everything to a test.
pub(crate) struct Probe(SyncSender<Got>);

impl Probe {
    pub(crate) fn new() -> (Probe, Receiver<Got>) {
        let (to, from) = sync_channel(100_000);
        (Probe(to), from)
    }
    fn got(&self, got: Got) {
        // The test may have ended already.
        let _ = self.0.try_send(got);
    }
}

impl Peer for Probe {
    fn opened(&mut self, _: Moment) {
        self.got(Got::Opened);
    }
    fn packet(&mut self, unit: Stamped<Packet>) {
        self.got(Got::Packet(unit));
    }
    fn message(&mut self, _: Moment, text: &str) {
        assert_ne!(text, "panic", "asked for by a test");
        self.got(Got::Message(text.to_owned()));
    }
    fn left(&mut self, why: Left) {
        self.got(Got::Left(why));
    }
}

pub(crate) fn start(config: impl FnOnce(&mut Config)) -> (Ingest, Clock) {
    let clock = Clock::new();
    let mut wanted = Config::new(SocketAddr::from(([127, 0, 0, 1], 0)));
    config(&mut wanted);
    (Ingest::start(wanted, clock).expect("ingest starts"), clock)
}

/// A client that sends or receives sound and pictures and opens our channel.
pub(crate) struct Client {
    pub(crate) rtc: Rtc,
    pub(crate) socket: UdpSocket,
    clock: Clock,
    pending: Option<SdpPendingOffer>,
    pub(crate) sound: Mid,
    pub(crate) picture: Mid,
    channel: ChannelId,
    pub(crate) connected: bool,
    pub(crate) open: bool,
    pub(crate) closed: bool,
    pub(crate) messages: Vec<String>,
    pub(crate) keyframes_wanted: u32,
    /// The pictures that came.
    pub(crate) shown: Vec<MediaData>,
    /// Loses every incoming RTP datagram for which it says so.
    pub(crate) lose_next: u32,
    /// What went out, for tests that replay and mutate.
    pub(crate) sent: Vec<Vec<u8>>,
    /// Drops every outgoing RTP datagram for which it says so.
    pub(crate) drop_next: u32,
    /// Drops every outgoing STUN datagram.
    pub(crate) no_checks: bool,
    /// Datagrams that came in.
    pub(crate) received: u64,
    /// What it last offered and was answered.
    sdp: (String, String),
}

impl Client {
    /// One that publishes, and its offer.
    pub(crate) fn new(clock: Clock) -> (Client, String) {
        Client::going(Direction::SendOnly, clock)
    }

    /// One that watches, and its offer.
    pub(crate) fn watching(clock: Clock) -> (Client, String) {
        Client::going(Direction::RecvOnly, clock)
    }

    fn going(direction: Direction, clock: Clock) -> (Client, String) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let interval = Duration::from_millis(20);
        let mut rtc = RtcConfig::new()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_h264(true)
            .set_rtcp_report_interval_audio(interval)
            .set_rtcp_report_interval_video(interval)
            .build(now(&clock));
        let address = socket.local_addr().expect("an address");
        rtc.add_local_candidate(Candidate::host(address, "udp").expect("a candidate"));
        let mut api = rtc.sdp_api();
        let sound = api.add_media(MediaKind::Audio, direction, None, None, None);
        let picture = api.add_media(MediaKind::Video, direction, None, None, None);
        let channel = api.add_channel(CHANNEL.to_owned());
        let (offer, pending) = api.apply().expect("an offer");
        let client = Client {
            rtc,
            socket,
            clock,
            pending: Some(pending),
            sound,
            picture,
            channel,
            connected: false,
            open: false,
            closed: false,
            messages: Vec::new(),
            keyframes_wanted: 0,
            shown: Vec::new(),
            lose_next: 0,
            sent: Vec::new(),
            drop_next: 0,
            no_checks: false,
            received: 0,
            sdp: (offer.to_sdp_string(), String::new()),
        };
        let offer = client.sdp.0.clone();
        (client, offer)
    }

    /// A client that is connected, with its channel open.
    pub(crate) fn connect(ingest: &Ingest, clock: Clock) -> (Client, SessionId, Reply, Receiver<Got>) {
        let (mut client, offer) = Client::new(clock);
        let (probe, got) = Probe::new();
        let mut reply = None;
        let door = |_, r: Reply| {
            reply = Some(r);
            Ok::<Box<dyn Peer>, Refusal>(Box::new(probe))
        };
        let answer = ingest.offer(&offer, door).expect("accepted");
        client.accept(&answer.sdp);
        client.until(|c| c.connected && c.open);
        assert!(matches!(got.recv_timeout(PATIENCE), Ok(Got::Opened)));
        (client, answer.id, reply.expect("the door was opened"), got)
    }

    /// Begins an ICE restart: what to send by PATCH.
    pub(crate) fn restart(&mut self) -> String {
        let mut api = self.rtc.sdp_api();
        let ours = api.ice_restart(true);
        let (_, pending) = api.apply().expect("an offer");
        self.pending = Some(pending);
        format!("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", ours.ufrag, ours.pass)
    }

    /// Takes the answer to [`restart`](Self::restart): the old answer with what the fragment says.
    pub(crate) fn restarted(&mut self, fragment: &str) {
        let theirs = Fragment::parse(fragment)
            .expect("a fragment")
            .credentials
            .expect("new ones");
        let candidate = fragment
            .lines()
            .find(|line| line.starts_with("a=candidate:"))
            .expect("one");
        let answer = theirs.in_offer(&self.sdp.1);
        // As a browser does: the candidate belongs to the section that stands for the bundle.
        let (session, media) = answer.split_once("a=mid:").expect("a section");
        self.accept(&format!("{session}{candidate}\r\na=mid:{media}"));
    }

    /// Moves to another socket, as a laptop that changes networks does.
    pub(crate) fn move_away(&mut self) {
        let old = self.socket.local_addr().expect("an address");
        self.socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = self.socket.local_addr().expect("an address");
        let gone = Candidate::host(old, "udp").expect("a candidate");
        self.rtc.direct_api().invalidate_candidate(&gone);
        self.rtc
            .add_local_candidate(Candidate::host(address, "udp").expect("a candidate"));
    }

    pub(crate) fn accept(&mut self, answer: &str) {
        self.sdp.1 = answer.to_owned();
        let answer = SdpAnswer::from_sdp_string(answer).expect("an answer");
        let pending = self.pending.take().expect("offered");
        self.rtc
            .sdp_api()
            .accept_answer(pending, answer)
            .expect("the answer fits");
    }

    /// Runs the client until `done`, at most [`PATIENCE`].
    pub(crate) fn until(&mut self, mut done: impl FnMut(&Client) -> bool) {
        let end = now(&self.clock) + PATIENCE;
        while !done(self) {
            assert!(now(&self.clock) < end, "the client waits in vain");
            let next = self.drain();
            if done(self) {
                break;
            }
            self.receive(next.saturating_duration_since(now(&self.clock)));
        }
        self.drain();
    }

    /// Sends one packet of sound with media time `at`.
    pub(crate) fn say(&mut self, at: Span, payload: &[u8]) {
        let (mid, time) = (
            self.sound,
            RtpTime::new(at.samples(48_000) as u64, Frequency::FORTY_EIGHT_KHZ),
        );
        self.write(mid, Format::Opus, time, payload);
    }

    /// Sends one access unit with media time `at`.
    pub(crate) fn show(&mut self, at: Span, payload: &[u8]) {
        let (mid, time) = (
            self.picture,
            RtpTime::new(at.samples(90_000) as u64, Frequency::NINETY_KHZ),
        );
        self.write(mid, Format::H264, time, payload);
    }

    fn write(&mut self, mid: Mid, codec: Format, time: RtpTime, payload: &[u8]) {
        let now = now(&self.clock);
        let writer = self.rtc.writer(mid).expect("a writer");
        let pt = writer
            .payload_params()
            .find(|p| p.spec().codec == codec)
            .expect("negotiated")
            .pt();
        writer.write(pt, now, time, payload.to_vec()).expect("written");
        self.pump();
    }

    pub(crate) fn tell(&mut self, text: &str) {
        let accepted = self
            .rtc
            .channel(self.channel)
            .expect("open")
            .write(false, text.as_bytes());
        assert!(accepted.expect("written"), "no room");
        self.pump();
    }

    /// Lets time pass for the stack and takes what has arrived, without waiting.
    pub(crate) fn pump(&mut self) {
        self.drain();
        self.rtc
            .handle_input(Input::Timeout(now(&self.clock)))
            .expect("time passes");
        self.drain();
        // Everything: a client that takes less than comes has its socket run over.
        while self.receive(Duration::ZERO) {
            self.drain();
        }
    }

    pub(crate) fn close(&mut self) {
        self.rtc.close().expect("closing");
        self.drain();
    }

    /// Takes one datagram, waiting so long at most. False where none came.
    fn receive(&mut self, wait: Duration) -> bool {
        // Zero would mean for ever.
        let wait = wait.clamp(Duration::from_micros(100), Duration::from_millis(50));
        self.socket.set_read_timeout(Some(wait)).expect("a timeout");
        let mut buffer = [0; 2000];
        let received = self.socket.recv_from(&mut buffer);
        let now = now(&self.clock);
        let Ok((length, source)) = received else {
            self.rtc.handle_input(Input::Timeout(now)).expect("time passes");
            self.drain();
            return false;
        };
        self.received += 1;
        if is_rtp(&buffer) && self.lose_next > 0 {
            self.lose_next -= 1;
            return true;
        }
        let destination = self.socket.local_addr().expect("an address");
        let receive = Receive::new(Protocol::Udp, source, destination, &buffer[..length]).expect("a datagram");
        self.rtc.handle_input(Input::Receive(now, receive)).expect("received");
        true
    }

    fn drain(&mut self) -> Instant {
        loop {
            if !self.rtc.is_alive() {
                self.closed = true;
                return now(&self.clock);
            }
            let Ok(output) = self.rtc.poll_output() else {
                // Both sides said goodbye at once.
                self.closed = true;
                return now(&self.clock);
            };
            match output {
                Output::Timeout(at) => return at,
                Output::Transmit(transmit) => {
                    if is_rtp(&transmit.contents) && self.drop_next > 0 {
                        self.drop_next -= 1;
                        continue;
                    }
                    if self.no_checks && transmit.contents[0] < 4 {
                        continue;
                    }
                    self.sent.push(transmit.contents.to_vec());
                    self.socket
                        .send_to(&transmit.contents, transmit.destination)
                        .expect("sent");
                }
                Output::Event(event) => self.event(event),
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Connected => self.connected = true,
            Event::ChannelOpen(..) => self.open = true,
            Event::ChannelData(data) => self.messages.push(String::from_utf8(data.data).expect("text")),
            Event::Closed => self.closed = true,
            Event::MediaData(data) => self.shown.push(data),
            Event::KeyframeRequest(request) if request.kind == KeyframeRequestKind::Pli => self.keyframes_wanted += 1,
            _ => {}
        }
    }
}

fn is_rtp(datagram: &[u8]) -> bool {
    datagram[0] >= 128 && !(192..224).contains(&datagram[1])
}

pub(crate) fn now(clock: &Clock) -> Instant {
    clock.instant_from_moment(clock.now())
}
