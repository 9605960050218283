//! The decoder and what it does about loss.

use std::collections::VecDeque;
use std::sync::Arc;

use ffmpeg_next::util::frame::side_data;
use ffmpeg_next::{Dictionary, Error, Packet as Coded, codec, decoder, frame};
use hearsight_core::media::{Codec, Decoded, MotionField, Packet, Request};
use hearsight_core::stage::{Engine, Fault, Lost, Outbox, Signal, Wake};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{MediaTime, Moment, Span};
use thiserror::Error;

use super::continuity::Continuity;
use super::references::{Distances, References};
use super::{motion, nal};
use crate::libav;

/// Pictures that may be under way in the decoder: the most that H.264 lets a stream hold back for reordering, and one.
pub(super) const MOST_PENDING: usize = 17;

/// What is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The most luma pixels along a picture's longer side, be that its width or its height.
    pub long_side: u32,
    /// The most along its shorter side.
    pub short_side: u32,
    /// The largest access unit, in bytes.
    pub max_unit: usize,
    /// The shortest time between two requests for a key picture.
    pub request_every: Span,
}

impl Default for Config {
    /// Up to 1920×1200, lying or standing: a stream may keep sixteen pictures for reference, which are 80 MB at 1920×1080
    /// and would be 300 MB at 3840×2160. 2 MiB, twice what such a key picture takes at a high rate. Two requests a second.
    fn default() -> Config {
        Config {
            long_side: 1920,
            short_side: 1200,
            max_unit: 2 << 20,
            request_every: Span::from_millis(500),
        }
    }
}

/// Why there is no decoder.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The installed libavcodec has no H.264 decoder.
    #[error("the installed libavcodec has no H.264 decoder; install Debian's with `make setup`")]
    Missing,
    /// The library refused to open it.
    #[error("libavcodec does not open its H.264 decoder: {0}")]
    Refused(String),
}

/// Decodes H.264 with libavcodec on the calling thread: progressive 4:2:0 with 8 bits, planes borrowed from the
/// decoder, motion vectors exported.
///
/// What cannot be decoded faithfully is not shown: after a gap, a missing or a damaged unit it asks for a key picture
/// and skips to it, unless only pictures are missing that no other refers to ([`Continuity`]). Every unit with a picture in
/// it comes out as one picture or is counted as lost. Pictures come out at once unless the stream reorders them, which
/// senders of live video do not.
pub struct Decoder {
    codec: decoder::Video,
    config: Config,
    /// Until a key picture comes, nothing can be decoded.
    waiting: bool,
    requested: Option<Moment>,
    pub(super) pending: VecDeque<(i64, Stamped<()>)>,
    references: References,
    continuity: Continuity,
    units: i64,
    last: Option<(MediaTime, Arc<[u8]>)>,
}

/// What became of a unit inside libavcodec.
enum Outcome {
    Fine,
    Damaged,
}

impl Decoder {
    /// Opens a decoder. Errors: [`OpenError`].
    pub fn new(config: Config) -> Result<Decoder, OpenError> {
        libav::quiet();
        let codec = decoder::find_by_name("h264").ok_or(OpenError::Missing)?;
        let mut options = Dictionary::new();
        options.set("threads", "1");
        options.set("flags2", "+export_mvs");
        // A damaged picture is thrown away: spread over it the cheapest concealment there is. It must be on, for it is
        // what marks the picture as damaged.
        options.set("ec", "favor_inter");
        // What lies beyond is refused before memory is taken for it. Coded sizes are whole macroblocks.
        let [long, short] = [config.long_side, config.short_side].map(|side| u64::from(side).div_ceil(16) * 16);
        options.set("max_pixels", &(long * short).to_string());
        let codec = codec::Context::new_with_codec(codec)
            .decoder()
            .open_with(options)
            .and_then(|opened| opened.video())
            .map_err(|error| OpenError::Refused(error.to_string()))?;
        let pending = VecDeque::with_capacity(MOST_PENDING);
        Ok(Decoder {
            codec,
            config,
            waiting: true,
            requested: None,
            pending,
            references: References::default(),
            continuity: Continuity::default(),
            units: 0,
            last: None,
        })
    }

    fn take(&mut self, now: Moment, unit: Stamped<Packet>, out: &mut Outbox<Decoded>) {
        let packet = &unit.item;
        if self
            .last
            .as_ref()
            .is_some_and(|(at, payload)| *at == unit.at && *payload == packet.payload)
        {
            // A second decoding of the same unit would move its references twice.
            out.lose(Lost::TooOld, 1);
            return;
        }
        self.last = Some((unit.at, Arc::clone(&packet.payload)));
        let follows = self.continuity.follows(&packet.payload, unit.at);
        if packet.missing > 0 {
            out.lose(Lost::Undecodable, packet.missing);
            if !follows || nal::is_key(&packet.payload) {
                self.forget(out);
            }
        }
        if packet.codec != Codec::H264 || packet.payload.is_empty() || packet.payload.len() > self.config.max_unit {
            out.lose(Lost::Undecodable, 1);
            self.break_off(now, out);
            return;
        }
        let shows = nal::has_picture(&packet.payload);
        if self.waiting && shows {
            if !nal::is_key(&packet.payload) {
                out.lose(Lost::Undecodable, 1);
                self.request(now, out);
                return;
            }
            self.waiting = false;
        }
        if let Outcome::Damaged = self.decode(now, &unit, shows, out) {
            tracing::debug!(bytes = unit.item.payload.len(), "undecodable H.264 unit");
            self.break_off(now, out);
        }
    }

    fn decode(&mut self, now: Moment, unit: &Stamped<Packet>, shows: bool, out: &mut Outbox<Decoded>) -> Outcome {
        let number = self.units;
        self.units += 1;
        if shows {
            self.pending.push_back((number, unit.with(())));
            if nal::is_reference(&unit.item.payload) {
                self.references.decode(number, unit.at);
            }
        }
        let mut coded = Coded::copy(&unit.item.payload);
        coded.set_pts(Some(number));
        if self.codec.send_packet(&coded).is_err() {
            return Outcome::Damaged;
        }
        if let Outcome::Damaged = self.receive(now, out) {
            return Outcome::Damaged;
        }
        // A stream that may reorder holds pictures back; any other owes one for each unit.
        let held = if self.codec.has_b_frames() { MOST_PENDING - 1 } else { 0 };
        if self.pending.len() > held {
            Outcome::Damaged
        } else {
            Outcome::Fine
        }
    }

    fn receive(&mut self, now: Moment, out: &mut Outbox<Decoded>) -> Outcome {
        loop {
            let mut frame = frame::Video::empty();
            match self.codec.receive_frame(&mut frame) {
                Ok(()) => {}
                Err(Error::Eof) => return Outcome::Fine,
                Err(Error::Other { errno }) if errno == ffmpeg_next::error::EAGAIN => return Outcome::Fine,
                Err(_) => return Outcome::Damaged,
            }
            if frame.is_corrupt() || frame.has_decode_errors() || frame.is_interlaced() {
                return Outcome::Damaged;
            }
            let Some(place) = self.pending.iter().position(|(number, _)| Some(*number) == frame.pts()) else {
                continue;
            };
            let distances = match self.pending.get(place) {
                Some((number, envelope)) => self.references.show(*number, envelope.at),
                None => Distances::default(),
            };
            let Some(decoded) = self.decoded_from_frame(frame, distances) else {
                return Outcome::Damaged;
            };
            if let Some((_, envelope)) = self.pending.remove(place) {
                let mut picture = envelope.with(decoded);
                picture.trail.stamp(Mark::Decoded, now);
                out.put(picture);
            }
        }
    }

    fn decoded_from_frame(&self, frame: frame::Video, distances: Distances) -> Option<Decoded> {
        let key = frame.is_key();
        let motion = frame
            .side_data(side_data::Type::MotionVectors)
            .map_or_else(MotionField::default, |data| {
                motion::field_from_side_data(data.data(), distances)
            });
        let picture = libav::picture_from_frame(frame)?;
        let (long, short) = (picture.width.max(picture.height), picture.width.min(picture.height));
        let fits = long <= self.config.long_side && short <= self.config.short_side;
        fits.then_some(Decoded { picture, motion, key })
    }

    /// Gives up what is under way, asks for a key picture, and waits for it.
    fn break_off(&mut self, now: Moment, out: &mut Outbox<Decoded>) {
        self.forget(out);
        self.request(now, out);
    }

    fn forget(&mut self, out: &mut Outbox<Decoded>) {
        self.codec.flush();
        self.references.forget();
        self.waiting = true;
        if !self.pending.is_empty() {
            out.lose(Lost::Undecodable, self.pending.len() as u32);
            self.pending.clear();
        }
    }

    fn request(&mut self, now: Moment, out: &mut Outbox<Decoded>) {
        if self
            .requested
            .is_none_or(|last| now - last >= self.config.request_every)
        {
            self.requested = Some(now);
            out.request(Request::Keyframe);
        }
    }

    fn finish(&mut self, now: Moment, out: &mut Outbox<Decoded>) {
        if self.codec.send_eof().is_ok() {
            // Whatever is damaged now is counted as lost like the rest.
            let _ = self.receive(now, out);
        }
        self.forget(out);
        out.end();
    }
}

impl Engine for Decoder {
    type In = Packet;
    type Out = Decoded;

    fn run(&mut self, now: Moment, signal: Signal<Packet>, out: &mut Outbox<Decoded>) -> Result<Wake, Fault> {
        match signal {
            Signal::Item(unit) => self.take(now, unit, out),
            Signal::Gap(gap) => {
                out.pass(gap);
                self.break_off(now, out);
            }
            Signal::Flush(_) => self.break_off(now, out),
            Signal::End => self.finish(now, out),
            Signal::Timer => {}
        }
        Ok(Wake::OnSignal)
    }

    /// A picture of 1280×720 takes 1.4 to 2.3 ms of one core, one of 1920×1080 about 5 ms; the rest is for the largest key
    /// pictures and for sharing the core.
    fn slice(&self) -> Span {
        Span::from_millis(25)
    }
}
