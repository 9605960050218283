//! What a publishing client does in its session: its tracks become stamped units, its messages and ours pass.

use std::time::{Duration, Instant, UNIX_EPOCH};

use hearsight_codecs::h264::Continuity;
use hearsight_core::media::{Codec, Packet};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::Span;
use str0m::Event;
use str0m::bwe::Bitrate;
use str0m::channel::{ChannelData, ChannelId};
use str0m::media::{KeyframeRequestKind, MediaData, MediaKind, Mid, Rid, SenderFeedback};
use str0m::rtp::StreamPaused;

use super::session::{Part, Stack};
use super::timeline::{Timeline, Track};
use super::{CHANNEL, Left, MAX_MESSAGE, Peer};

/// Between two requests for a keyframe: one round trip and the time to encode and send it, on a poor path.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(500);

/// More missing packets than this are another source's numbers, not a loss: ten seconds of sound.
const MAX_MISSING: u64 = 500;

pub(super) struct Publisher {
    peer: Box<dyn Peer>,
    timeline: Timeline,
    sound: Option<Incoming>,
    picture: Option<Incoming>,
    keyframes: Keyframes,
    channel: Option<ChannelId>,
}

/// One incoming track.
#[derive(Debug)]
struct Incoming {
    mid: Mid,
    /// The first layer seen; others of a simulcast are ignored.
    rid: Option<Option<Rid>>,
    next_sequence: Option<u64>,
    continuity: Continuity,
}

#[derive(Debug, Default)]
struct Keyframes {
    wanted: bool,
    asked: Option<Instant>,
}

impl Publisher {
    pub(super) fn new(peer: Box<dyn Peer>) -> Publisher {
        Publisher {
            peer,
            timeline: Timeline::default(),
            sound: None,
            picture: None,
            keyframes: Keyframes::default(),
            channel: None,
        }
    }

    fn track(&self, mid: Mid) -> Option<Track> {
        let is = |track: &Option<Incoming>| track.as_ref().is_some_and(|t| t.mid == mid);
        match () {
            () if is(&self.sound) => Some(Track::Sound),
            () if is(&self.picture) => Some(Track::Picture),
            () => None,
        }
    }

    fn media(&mut self, data: MediaData, stack: &Stack) {
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
        let arrived = stack.clock.moment_from_instant(data.network_time);
        let rate = data.time.frequency().get();
        // RTP carries the low 32 bits; the timeline unwraps them once, for both tracks.
        let placed = self.timeline.place(track, data.time.numer() as u32, rate, arrived);
        if track == Track::Picture {
            // What nobody refers to is not worth a keyframe.
            let follows = incoming.continuity.follows(&data.data, placed.at);
            if key || missing > 0 && !follows {
                self.keyframes.wanted = !key;
            }
        }
        let counters = &stack.mailbox.counters;
        counters.units.one();
        counters.missing.add(u64::from(missing));

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
        unit.trail.stamp(Mark::Released, stack.clock.now().max(arrived));
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

    fn message(&mut self, now: Instant, data: &ChannelData, stack: &Stack) {
        let text = std::str::from_utf8(&data.data)
            .ok()
            .filter(|_| !data.binary && data.data.len() <= MAX_MESSAGE);
        match text {
            _ if self.channel != Some(data.id) => {}
            Some(text) => self.peer.message(stack.clock.moment_from_instant(now), text),
            None => stack.mailbox.counters.messages_refused.one(),
        }
    }

    /// Hands over what waits in the mailbox: at most one message, as the stack wants to be drained between writes.
    /// True when there was something.
    fn deliver(&mut self, now: Instant, stack: &mut Stack) -> bool {
        let mailbox = stack.mailbox.clone();
        let mut waiting = mailbox.open();
        if let Some((offset, _error)) = waiting.offset.take() {
            self.timeline.clock_offset(offset);
        }
        if std::mem::take(&mut waiting.keyframe) {
            self.keyframes.wanted = true;
        }
        if let Some(bits) = waiting.cap.take() {
            self.cap(bits, stack);
        }
        let Some(mut channel) = self.channel.and_then(|id| stack.rtc.channel(id)) else {
            return false;
        };
        let Some(text) = waiting.texts.front() else {
            return false;
        };
        match channel.write(false, text.as_bytes()) {
            Ok(true) => {}
            // No room: the client's acknowledgements bring us back.
            Ok(false) => return false,
            Err(_) => stack.refused(),
        }
        waiting.pop_text();
        drop(waiting);
        // Lets the timers of the association start now, not at the next input.
        stack.tick(now);
        true
    }

    fn cap(&self, bits: u32, stack: &mut Stack) {
        let Some(Incoming {
            mid, rid: Some(rid), ..
        }) = &self.picture
        else {
            return;
        };
        if let Some(stream) = stack.rtc.direct_api().stream_rx_by_mid(*mid, *rid) {
            stream.request_remb(Bitrate::from(u64::from(bits)));
        }
    }

    /// Sends a PLI when one is wanted and the last is long enough ago. True when it did.
    fn ask_for_keyframe(&mut self, now: Instant, stack: &mut Stack) -> bool {
        let recent = self
            .keyframes
            .asked
            .is_some_and(|asked| now < asked + KEYFRAME_INTERVAL);
        if !self.keyframes.wanted || recent || !stack.is_connected() {
            return false;
        }
        let Some(Incoming { mid, rid, .. }) = &self.picture else {
            return false;
        };
        let (mid, rid) = (*mid, rid.flatten());
        self.keyframes.asked = Some(now);
        let Some(mut writer) = stack.rtc.writer(mid) else {
            return false;
        };
        if writer.request_keyframe(rid, KeyframeRequestKind::Pli).is_err() {
            return false;
        }
        stack.mailbox.counters.keyframe_requests.one();
        stack.tick(now);
        true
    }
}

impl Part for Publisher {
    fn event(&mut self, now: Instant, event: Event, stack: &mut Stack) {
        match event {
            Event::MediaAdded(added) => {
                let track = match added.kind {
                    MediaKind::Audio => &mut self.sound,
                    MediaKind::Video => &mut self.picture,
                };
                track.get_or_insert(Incoming {
                    mid: added.mid,
                    rid: None,
                    next_sequence: None,
                    continuity: Continuity::default(),
                });
            }
            Event::MediaData(data) => self.media(data, stack),
            Event::SenderFeedback(feedback) => self.sender_report(&feedback),
            Event::StreamPaused(paused) => self.stream_paused(&paused),
            Event::ChannelOpen(id, label) if label == CHANNEL && self.channel.is_none() => {
                self.channel = Some(id);
                self.peer.opened(stack.clock.moment_from_instant(now));
            }
            Event::ChannelClose(id) if self.channel == Some(id) => self.channel = None,
            Event::ChannelData(data) => self.message(now, &data, stack),
            _ => {}
        }
    }

    fn work(&mut self, now: Instant, stack: &mut Stack) -> bool {
        self.deliver(now, stack) || self.ask_for_keyframe(now, stack)
    }

    fn due(&self, now: Instant) -> Option<Instant> {
        let asked = self.keyframes.asked.filter(|_| self.keyframes.wanted)?;
        Some((asked + KEYFRAME_INTERVAL).max(now))
    }

    fn left(&mut self, why: Left) {
        self.peer.left(why);
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
