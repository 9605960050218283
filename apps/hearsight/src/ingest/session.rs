//! One session on the ingest thread: its `str0m` stack, its tracks, its peer and what waits for its client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use hearsight_core::media::{Codec, Packet};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::Span;
use hearsight_live::clock::Clock;
use str0m::bwe::Bitrate;
use str0m::channel::{ChannelData, ChannelId};
use str0m::media::{KeyframeRequestKind, MediaData, MediaKind, Mid, Rid, SenderFeedback};
use str0m::net::Receive;
use str0m::rtp::StreamPaused;
use str0m::{Event, IceConnectionState, Input, Output, Rtc};

use super::fragment::Credentials;
use super::ice;
use super::mailbox::{Mailbox, locked};
use super::reactor::{Io, Restarted};
use super::stats::Permit;
use super::timeline::{Timeline, Track};
use super::{CHANNEL, Config, Left, MAX_MESSAGE, Peer, SessionId};

/// Between two requests for a keyframe: one round trip and the time to encode and send it, on a poor path.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(500);

/// How long a lost ICE connection may take to come back.
const RECONNECT: Duration = Duration::from_secs(10);

/// Errors in one step after which a session is beyond help.
const MAX_ERRORS_PER_STEP: u32 = 32;

/// More missing packets than this are another source's numbers, not a loss: ten seconds of sound.
const MAX_MISSING: u64 = 500;

/// What a step leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Step again at this instant at the latest.
    At(Instant),
    /// The session is over.
    Over(Left),
}

pub(super) struct Session {
    rtc: Rtc,
    peer: Box<dyn Peer>,
    mailbox: Arc<Mailbox>,
    permit: Permit,
    clock: Clock,
    timeline: Timeline,
    sound: Option<Incoming>,
    picture: Option<Incoming>,
    keyframes: Keyframes,
    channel: Option<ChannelId>,
    state: State,
    silence: Duration,
    heard: Instant,
    consent: Duration,
    /// When the client last showed that it wants to hear from us.
    consented: Instant,
    /// The offer, for restarts of ICE.
    offer: Box<str>,
    /// Where the client was last.
    client: Option<SocketAddr>,
    left: bool,
}

/// How far the session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting {
        by: Instant,
    },
    Connected,
    Disconnected {
        since: Instant,
    },
    /// The client closed; drained once more, it is over.
    Closed,
}

/// One incoming track.
#[derive(Debug)]
struct Incoming {
    mid: Mid,
    /// The first layer seen; others of a simulcast are ignored.
    rid: Option<Option<Rid>>,
    next_sequence: Option<u64>,
}

#[derive(Debug, Default)]
struct Keyframes {
    wanted: bool,
    asked: Option<Instant>,
}

impl Session {
    pub(super) fn new(
        (rtc, offer): (Rtc, Box<str>),
        peer: Box<dyn Peer>,
        mailbox: Arc<Mailbox>,
        permit: Permit,
        config: &Config,
        clock: Clock,
        now: Instant,
    ) -> Session {
        let state = State::Connecting {
            by: now + config.connect_timeout.to_duration(),
        };
        Session {
            rtc,
            peer,
            mailbox,
            permit,
            clock,
            timeline: Timeline::default(),
            sound: None,
            picture: None,
            keyframes: Keyframes::default(),
            channel: None,
            state,
            silence: config.silence_timeout.to_duration(),
            heard: now,
            consent: config.consent_timeout.to_duration(),
            consented: now,
            offer,
            client: None,
            left: false,
        }
    }

    pub(super) fn id(&self) -> SessionId {
        self.mailbox.id
    }

    pub(super) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// The name by which clients' STUN requests address this session.
    pub(super) fn ufrag(&mut self) -> String {
        self.rtc.direct_api().local_ice_credentials().ufrag
    }

    /// Begins another ICE generation; none: it failed, and the old one goes on.
    pub(super) fn restart(&mut self, theirs: Credentials) -> Option<Restarted> {
        let mailbox = self.mailbox.clone();
        let mut generation = locked(&mailbox.generation);
        match ice::restart(&mut self.rtc, &self.offer, generation.theirs(), &theirs) {
            Some(ours) => {
                generation.restarted(ours.ufrag.clone(), theirs);
                Some(Restarted {
                    ours,
                    client: self.client,
                })
            }
            None => {
                generation.failed();
                None
            }
        }
    }

    /// Takes a datagram of `bytes` bytes.
    pub(super) fn receive(&mut self, now: Instant, datagram: Receive<'_>, bytes: usize) {
        self.mailbox.counters.received_bytes.add(bytes as u64);
        self.input(Input::Receive(now, datagram), now);
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.rtc.handle_input(Input::Timeout(now)).is_err() {
            self.refused();
        }
    }

    /// Polls until nothing is left to do, and says when to come back.
    pub(super) fn drain(&mut self, now: Instant, io: &mut Io) -> Next {
        let mut errors = 0;
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    self.mailbox.counters.sent_bytes.add(transmit.contents.len() as u64);
                    if is_check_answer(&transmit.contents) {
                        self.consented = now;
                        self.client = Some(transmit.destination);
                    }
                    io.send(now, self.mailbox.id, transmit.destination, &transmit.contents);
                }
                Ok(Output::Event(event)) => self.event(now, event),
                Ok(Output::Timeout(at)) => {
                    if self.deliver(now) || self.ask_for_keyframe(now) {
                        continue;
                    }
                    return self.next(now, at);
                }
                Err(_) if errors < MAX_ERRORS_PER_STEP => {
                    errors += 1;
                    self.refused();
                }
                Err(_) => return Next::Over(Left::Failed),
            }
        }
    }

    /// Whether the client may be sent anything: it showed lately that it wants to hear from us (RFC 7675 section 5.1).
    pub(super) fn consents(&self, now: Instant) -> bool {
        now < self.consented + self.consent
    }

    /// Says goodbye to the client.
    pub(super) fn say_goodbye(&mut self, now: Instant, io: &mut Io) {
        if self.rtc.close().is_ok() {
            self.drain(now, io);
            self.tick(now);
            self.drain(now, io);
        }
    }

    /// Tells the peer that it is over, once.
    pub(super) fn end(&mut self, why: Left) {
        self.rtc.disconnect();
        self.mailbox.end();
        if !std::mem::replace(&mut self.left, true) {
            self.peer.left(why);
        }
    }

    fn input(&mut self, input: Input<'_>, now: Instant) {
        match self.rtc.handle_input(input) {
            Ok(()) => self.heard = now,
            // A bad packet is the packet's fault: it is counted, and the session goes on.
            Err(_) => self.refused(),
        }
    }

    fn refused(&self) {
        self.mailbox.counters.errors.one();
        self.permit.counters().errors.one();
    }

    fn next(&mut self, now: Instant, rtc: Instant) -> Next {
        let silent = (self.heard + self.silence).min(self.consented + self.consent);
        let own = match self.state {
            State::Closed => return Next::Over(Left::Closed),
            _ if self.mailbox.open().dismissed => return Next::Over(Left::Dismissed),
            _ if !self.rtc.is_alive() => return Next::Over(Left::Closed),
            State::Connecting { by } if now >= by => return Next::Over(Left::NeverConnected),
            State::Connecting { by } => by,
            State::Connected => silent,
            State::Disconnected { since } => silent.min(since + RECONNECT),
        };
        if now >= own {
            return Next::Over(Left::Silent);
        }
        let mut at = rtc.min(own);
        if let (true, Some(asked)) = (self.keyframes.wanted, self.keyframes.asked) {
            at = at.min((asked + KEYFRAME_INTERVAL).max(now));
        }
        Next::At(at)
    }

    fn event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected => {
                self.permit.connected();
                self.state = State::Connected;
            }
            Event::IceConnectionStateChange(state) => self.ice(now, state),
            Event::MediaAdded(added) => {
                let track = match added.kind {
                    MediaKind::Audio => &mut self.sound,
                    MediaKind::Video => &mut self.picture,
                };
                track.get_or_insert(Incoming {
                    mid: added.mid,
                    rid: None,
                    next_sequence: None,
                });
            }
            Event::MediaData(data) => self.media(data),
            Event::SenderFeedback(feedback) => self.sender_report(&feedback),
            Event::StreamPaused(paused) => self.stream_paused(&paused),
            Event::ChannelOpen(id, label) if label == CHANNEL && self.channel.is_none() => {
                self.channel = Some(id);
                self.peer.opened(self.clock.moment_from_instant(now));
            }
            Event::ChannelClose(id) if self.channel == Some(id) => self.channel = None,
            Event::ChannelData(data) => self.message(now, &data),
            Event::Closed => self.state = State::Closed,
            _ => {}
        }
    }

    fn ice(&mut self, now: Instant, ice: IceConnectionState) {
        self.state = match self.state {
            State::Connected if ice == IceConnectionState::Disconnected => State::Disconnected { since: now },
            State::Disconnected { .. } if ice.is_connected() => State::Connected,
            state => state,
        };
    }

    fn track(&self, mid: Mid) -> Option<Track> {
        let is = |track: &Option<Incoming>| track.as_ref().is_some_and(|t| t.mid == mid);
        match () {
            () if is(&self.sound) => Some(Track::Sound),
            () if is(&self.picture) => Some(Track::Picture),
            () => None,
        }
    }

    fn media(&mut self, data: MediaData) {
        let Some(track) = self.track(data.mid) else { return };
        let (incoming, codec) = match track {
            Track::Sound => (&mut self.sound, Codec::Opus),
            Track::Picture => (&mut self.picture, Codec::H264),
        };
        let Some(incoming) = incoming else { return };
        if *incoming.rid.get_or_insert(data.rid) != data.rid {
            return;
        }
        let missing = incoming.missing(track, &data);
        let key = track == Track::Sound || data.is_keyframe();
        if track == Track::Picture && (key || missing > 0) {
            self.keyframes.wanted = !key;
        }
        let counters = &self.mailbox.counters;
        counters.units.one();
        counters.missing.add(u64::from(missing));

        let arrived = self.clock.moment_from_instant(data.network_time);
        let rate = data.time.frequency().get();
        // RTP carries the low 32 bits; the timeline unwraps them once, for both tracks.
        let placed = self.timeline.place(track, data.time.numer() as u32, rate, arrived);
        let mut unit = Stamped::new(
            placed.at,
            placed.born,
            Packet {
                codec,
                payload: data.data,
                key,
                missing,
            },
        );
        if placed.measured {
            unit.trail.stamp(Mark::Arrived, arrived);
        }
        unit.trail.stamp(Mark::Released, self.clock.now().max(arrived));
        self.peer.packet(unit);
    }

    fn sender_report(&mut self, feedback: &SenderFeedback) {
        let Some(track) = self.track(feedback.mid) else { return };
        let info = &feedback.sender_info;
        let Ok(unix) = info.ntp_time.duration_since(UNIX_EPOCH) else {
            return;
        };
        self.timeline
            .report(track, Span::from_duration(unix), info.rtp_time.numer() as u32);
    }

    fn stream_paused(&mut self, stream: &StreamPaused) {
        if self.track(stream.mid) == Some(Track::Picture) {
            // The first packet of a source: a late joiner's decoder needs a whole picture. A silent source can't give one.
            self.keyframes.wanted = !stream.paused;
        }
    }

    fn message(&mut self, now: Instant, data: &ChannelData) {
        let text = std::str::from_utf8(&data.data)
            .ok()
            .filter(|_| !data.binary && data.data.len() <= MAX_MESSAGE);
        match text {
            _ if self.channel != Some(data.id) => {}
            Some(text) => self.peer.message(self.clock.moment_from_instant(now), text),
            None => self.mailbox.counters.messages_refused.one(),
        }
    }

    /// Hands over what waits in the mailbox: at most one message, as the stack wants to be drained between writes.
    /// True when there was something.
    fn deliver(&mut self, now: Instant) -> bool {
        let mailbox = self.mailbox.clone();
        let mut waiting = mailbox.open();
        if let Some((offset, _error)) = waiting.offset.take() {
            self.timeline.clock_offset(offset);
        }
        if std::mem::take(&mut waiting.keyframe) {
            self.keyframes.wanted = true;
        }
        if let Some(bits) = waiting.cap.take() {
            self.cap(bits);
        }
        let Some(mut channel) = self.channel.and_then(|id| self.rtc.channel(id)) else {
            return false;
        };
        let Some(text) = waiting.texts.front() else {
            return false;
        };
        match channel.write(false, text.as_bytes()) {
            Ok(true) => {}
            // No room: the client's acknowledgements bring us back.
            Ok(false) => return false,
            Err(_) => self.refused(),
        }
        waiting.pop_text();
        drop(waiting);
        // Lets the timers of the association start now, not at the next input.
        self.tick(now);
        true
    }

    fn cap(&mut self, bits: u32) {
        let Some(Incoming {
            mid, rid: Some(rid), ..
        }) = &self.picture
        else {
            return;
        };
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(*mid, *rid) {
            stream.request_remb(Bitrate::from(u64::from(bits)));
        }
    }

    /// Sends a PLI when one is wanted and the last is long enough ago. True when it did.
    fn ask_for_keyframe(&mut self, now: Instant) -> bool {
        let recent = self
            .keyframes
            .asked
            .is_some_and(|asked| now < asked + KEYFRAME_INTERVAL);
        if !self.keyframes.wanted || recent || self.state != State::Connected {
            return false;
        }
        let Some(Incoming { mid, rid, .. }) = &self.picture else {
            return false;
        };
        let (mid, rid) = (*mid, rid.flatten());
        self.keyframes.asked = Some(now);
        let Some(mut writer) = self.rtc.writer(mid) else {
            return false;
        };
        if writer.request_keyframe(rid, KeyframeRequestKind::Pli).is_err() {
            return false;
        }
        self.mailbox.counters.keyframe_requests.one();
        self.tick(now);
        true
    }
}

/// Whether a datagram of ours answers a connectivity check: only an authentic one is answered with success, so that each
/// renews the client's consent (RFC 7675 section 5.1; an ICE-lite agent asks for none itself).
fn is_check_answer(datagram: &[u8]) -> bool {
    const BINDING_SUCCESS: [u8; 2] = [1, 1];
    datagram.starts_with(&BINDING_SUCCESS)
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end(Left::Shutdown);
    }
}

impl Incoming {
    /// How many units lie between the unit before and this one.
    fn missing(&mut self, track: Track, data: &MediaData) -> u32 {
        let (start, end) = (**data.seq_range.start(), **data.seq_range.end());
        let expected = self.next_sequence.replace(end.saturating_add(1));
        let Some(expected) = expected.filter(|_| !data.contiguous) else {
            return 0;
        };
        match track {
            Track::Sound => match start.saturating_sub(expected) {
                gap if gap <= MAX_MISSING => gap as u32,
                _ => 1,
            },
            // Packets are missing; how many pictures they were the numbers do not tell.
            Track::Picture => 1,
        }
    }
}
