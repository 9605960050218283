//! Many WebRTC senders on one thread: cheap enough to load a server with, and quick enough to come and go.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::channel::ChannelId;
use str0m::format::Codec;
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

/// The label of the channel on which the server speaks.
const CHANNEL: &str = "hearsight";

/// Messages of one server that are kept; a run that listens takes them every turn.
const MOST_MESSAGES: usize = 4_096;

/// Datagrams taken of one caller in a row.
const DATAGRAMS_PER_TURN: usize = 64;

/// Names one caller of [`Callers`].
pub type Number = usize;

/// Senders, and the one wait for whatever comes next for any of them.
pub struct Callers {
    clock: Clock,
    poll: Poll,
    events: Events,
    callers: BTreeMap<Number, Caller>,
    next: Number,
    buffer: Vec<u8>,
}

/// One sender of sound and pictures.
pub struct Caller {
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    pending: Option<SdpPendingOffer>,
    sound: Mid,
    picture: Mid,
    channel: ChannelId,
    due: Instant,
    /// When its connection stood: ICE and DTLS are done.
    pub connected: Option<Moment>,
    /// The channel is open.
    pub open: bool,
    /// It is over, whoever ended it.
    pub closed: bool,
    /// What the server said and nobody has read, with the moment of arrival.
    pub messages: VecDeque<(Moment, String)>,
    /// RTP packets that left.
    pub packets: u64,
}

impl Callers {
    /// Nobody yet. Errors: the system has no poll.
    pub fn new(clock: Clock) -> Result<Callers> {
        Ok(Callers {
            clock,
            poll: Poll::new()?,
            events: Events::with_capacity(256),
            callers: BTreeMap::new(),
            next: 0,
            buffer: vec![0; 2_048],
        })
    }

    /// A new caller and its offer of sound, pictures and a channel.
    pub fn dial(&mut self) -> Result<(Number, String)> {
        let mut socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let local = socket.local_addr()?;
        let number = self.next;
        self.next += 1;
        self.poll
            .registry()
            .register(&mut socket, Token(number), Interest::READABLE)?;
        let now = instant(&self.clock);
        let mut rtc = RtcConfig::new()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_h264(true)
            .build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        let mut api = rtc.sdp_api();
        let sound = api.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None);
        let picture = api.add_media(MediaKind::Video, Direction::SendOnly, None, None, None);
        let channel = api.add_channel(CHANNEL.to_owned());
        let (offer, pending) = api.apply().context("an offer with two tracks and a channel")?;
        let caller = Caller {
            rtc,
            socket,
            local,
            pending: Some(pending),
            sound,
            picture,
            channel,
            due: now,
            connected: None,
            open: false,
            closed: false,
            messages: VecDeque::new(),
            packets: 0,
        };
        self.callers.insert(number, caller);
        Ok((number, offer.to_sdp_string()))
    }

    /// The server's answer to that caller's offer.
    pub fn accept(&mut self, number: Number, answer: &str) -> Result<()> {
        let clock = self.clock;
        let caller = self.caller(number)?;
        let answer = SdpAnswer::from_sdp_string(answer).context("the server's answer can't be read")?;
        let pending = caller.pending.take().context("answered twice")?;
        caller.rtc.sdp_api().accept_answer(pending, answer)?;
        caller.elapse(&clock)
    }

    /// A caller.
    pub fn caller(&mut self, number: Number) -> Result<&mut Caller> {
        self.callers.get_mut(&number).context("that caller has hung up")
    }

    /// Sends one packet of sound with media time `at`.
    pub fn say(&mut self, number: Number, at: Span, payload: Arc<[u8]>) -> Result<()> {
        let time = MediaTime::new(at.samples(48_000).unsigned_abs(), Frequency::FORTY_EIGHT_KHZ);
        let clock = self.clock;
        let caller = self.caller(number)?;
        caller.write(&clock, caller.sound, Codec::Opus, time, payload)
    }

    /// Sends one access unit with media time `at`.
    pub fn show(&mut self, number: Number, at: Span, payload: Arc<[u8]>) -> Result<()> {
        let time = MediaTime::new(at.samples(90_000).unsigned_abs(), Frequency::NINETY_KHZ);
        let clock = self.clock;
        let caller = self.caller(number)?;
        caller.write(&clock, caller.picture, Codec::H264, time, payload)
    }

    /// Says something on the channel.
    pub fn tell(&mut self, number: Number, text: &str) -> Result<()> {
        let clock = self.clock;
        let caller = self.caller(number)?;
        let channel = caller.channel;
        let mut channel = caller.rtc.channel(channel).context("the channel is not open")?;
        channel.write(false, text.as_bytes())?;
        caller.elapse(&clock)
    }

    /// Says goodbye and forgets the caller.
    pub fn hang_up(&mut self, number: Number) -> Result<()> {
        let clock = self.clock;
        let caller = self.caller(number)?;
        // Whoever is closed already needs no goodbye.
        if caller.rtc.close().is_ok() {
            caller.drain(&clock)?;
            caller.elapse(&clock)?;
        }
        caller.rtc.disconnect();
        if let Some(mut caller) = self.callers.remove(&number) {
            self.poll.registry().deregister(&mut caller.socket)?;
        }
        Ok(())
    }

    /// Waits for a datagram, a caller's own deadline or `until`, and sees to whatever came.
    pub fn turn(&mut self, until: Moment) -> Result<()> {
        let now = instant(&self.clock);
        let until = self.clock.instant_from_moment(until);
        let due = self.callers.values().map(|caller| caller.due).min();
        let wait = due.map_or(until, |due| due.min(until)).saturating_duration_since(now);
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &self.events {
            if let Some(caller) = self.callers.get_mut(&event.token().0) {
                caller.receive(&self.clock, &mut self.buffer)?;
            }
        }
        let now = instant(&self.clock);
        for caller in self.callers.values_mut().filter(|caller| caller.due <= now) {
            // More may lie in its socket than one turn takes, and no new event tells of it.
            caller.receive(&self.clock, &mut self.buffer)?;
            caller.elapse(&self.clock)?;
        }
        Ok(())
    }

    /// Takes turns until `done`, at most for `most`. Errors: it is not done by then.
    pub fn until(&mut self, most: Span, mut done: impl FnMut(&mut Callers) -> Result<bool>) -> Result<()> {
        let end = self.clock.now() + most;
        while !done(self)? {
            anyhow::ensure!(self.clock.now() < end, "a caller waits in vain");
            self.turn(end.min(self.clock.now() + Span::from_millis(50)))?;
        }
        Ok(())
    }
}

impl Caller {
    fn write(&mut self, clock: &Clock, mid: Mid, codec: Codec, time: MediaTime, payload: Arc<[u8]>) -> Result<()> {
        anyhow::ensure!(!self.closed, "the session of a caller was ended");
        let writer = self.rtc.writer(mid).context("the track is not negotiated")?;
        let pt = writer.payload_params().find(|params| params.spec().codec == codec);
        let pt = pt.context("the codec is not negotiated")?.pt();
        writer.write(pt, instant(clock), time, payload)?;
        self.elapse(clock)
    }

    /// Time passes; what is due is sent.
    fn elapse(&mut self, clock: &Clock) -> Result<()> {
        if self.rtc.is_alive() {
            self.drain(clock)?;
            self.rtc.handle_input(Input::Timeout(instant(clock)))?;
        }
        self.drain(clock)
    }

    fn receive(&mut self, clock: &Clock, buffer: &mut [u8]) -> Result<()> {
        for _ in 0..DATAGRAMS_PER_TURN {
            let (length, source) = match self.socket.recv_from(buffer) {
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Such as the server's port being closed: it says so in other ways as well.
                Err(_) => continue,
            };
            if let Ok(receive) = Receive::new(Protocol::Udp, source, self.local, &buffer[..length])
                && self.rtc.is_alive()
            {
                self.rtc.handle_input(Input::Receive(instant(clock), receive))?;
                self.drain(clock)?;
            }
        }
        Ok(())
    }

    fn drain(&mut self, clock: &Clock) -> Result<()> {
        loop {
            if !self.rtc.is_alive() {
                self.closed = true;
                self.due = instant(clock) + Duration::from_secs(3_600);
                return Ok(());
            }
            match self.rtc.poll_output()? {
                Output::Timeout(at) => {
                    self.due = at;
                    return Ok(());
                }
                Output::Transmit(transmit) => {
                    let [first, second, ..] = transmit.contents[..] else {
                        continue;
                    };
                    // RFC 7983: 128 to 191 is RTP or RTCP; RFC 5761: RTCP types are 192 to 223.
                    let rtp = (128..192).contains(&first) && !(192..224).contains(&second);
                    // A full buffer is a lost packet like any other.
                    let sent = self.socket.send_to(&transmit.contents, transmit.destination);
                    self.packets += u64::from(rtp && sent.is_ok());
                }
                Output::Event(event) => self.event(clock, event),
            }
        }
    }

    fn event(&mut self, clock: &Clock, event: Event) {
        match event {
            Event::Connected => self.connected = Some(clock.now()),
            Event::ChannelOpen(..) => self.open = true,
            Event::ChannelData(data) if self.messages.len() < MOST_MESSAGES => {
                let text = String::from_utf8_lossy(&data.data).into_owned();
                self.messages.push_back((clock.now(), text));
            }
            Event::Closed => self.closed = true,
            _ => {}
        }
    }
}

fn instant(clock: &Clock) -> Instant {
    clock.instant_from_moment(clock.now())
}
