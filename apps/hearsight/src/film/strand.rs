//! The two threads of a film: pull, wait for the moment, encode, hand out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearsight_codecs::encode::{EncodeError, H264Config, H264Encoder, OpusConfig, OpusEncoder, Preset};
use hearsight_codecs::scale::Scaler;
use hearsight_codecs::source::{Frame, Pulled};
use hearsight_core::allocate::Map;
use hearsight_core::media::{Packet, Pcm, Picture, Planes};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_live::clock::Clock;
use tokio::sync::broadcast::Sender;

use super::ladder::Ladder;
use super::playhead::Playhead;
use super::{Coding, FilmError, Outcome, Reel};

/// A keyframe is several times as large as other pictures: many who ask get one together.
const KEYFRAMES_APART: Span = Span::from_millis(500);
/// Seconds after which there is a keyframe though nobody asked.
const KEYFRAME_EVERY: u32 = 10;
/// Bits a second below which pictures are not worth sending; whoever can take fewer loses some.
const LEAST_BITRATE: u32 = 64_000;
/// How much sound is in one packet.
const PACKET: Span = Span::from_millis(20);

/// What those who watch have wished for.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    key: AtomicBool,
    wish: Mutex<Wish>,
}

/// How pictures are to be coded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wish {
    /// At most so many bits a second.
    pub(super) cap: u32,
    /// What its blocks are worth; none: all the same.
    pub(super) map: Option<Map>,
    /// Pictures a second; none: as many as there are.
    pub(super) fps: Option<f32>,
}

impl Default for Wish {
    fn default() -> Wish {
        Wish {
            cap: u32::MAX,
            map: None,
            fps: None,
        }
    }
}

impl Wishes {
    /// A picture that can be decoded by itself.
    pub(super) fn keyframe(&self) {
        self.key.store(true, Ordering::Relaxed);
    }

    /// From the next picture on.
    pub(super) fn wish(&self, wish: Wish) {
        *self.lock() = wish;
    }

    fn lock(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When units go out: each at its moment, in order, and after a delay at twice the pace, never in a burst.
struct Pace {
    interval: Span,
    rested: Moment,
    newest: Option<MediaTime>,
}

impl Pace {
    fn new(interval: Span) -> Pace {
        Pace {
            interval,
            rested: Moment::from_nanos(i64::MIN),
            newest: None,
        }
    }

    /// Waits until a frame is due. Returns when it was captured; none when the film is over.
    fn wait(&mut self, due: MediaTime, age: Span, playhead: &Playhead, clock: Clock) -> Option<Moment> {
        let captured = playhead.wait(due, self.rested, age)?;
        self.rested = clock.now() + self.interval / 2;
        Some(captured)
    }

    /// Whether `at` goes on in time; broken files go back.
    fn goes_on(&mut self, at: MediaTime) -> bool {
        let goes_on = self.newest.is_none_or(|newest| at > newest);
        if goes_on {
            self.newest = Some(at);
        }
        goes_on
    }
}

/// Makes the pictures.
pub(super) struct PictureStrand {
    reel: Box<dyn Reel<Picture<Planes>>>,
    coding: Coding,
    wishes: Arc<Wishes>,
    clock: Clock,
    units: Sender<Stamped<Packet>>,
    encoder: Option<H264Encoder>,
    ladder: Ladder,
    scaler: Scaler,
    key_made: Option<Moment>,
    shown: Option<MediaTime>,
}

impl PictureStrand {
    pub(super) fn new(
        reel: Box<dyn Reel<Picture<Planes>>>,
        coding: Coding,
        wishes: Arc<Wishes>,
        clock: Clock,
        units: Sender<Stamped<Packet>>,
    ) -> PictureStrand {
        PictureStrand {
            reel,
            coding,
            wishes,
            clock,
            units,
            encoder: None,
            ladder: Ladder::default(),
            scaler: Scaler::default(),
            key_made: None,
            shown: None,
        }
    }

    pub(super) fn run(mut self, playhead: &Playhead) -> Outcome {
        let mut pace = Pace::new(Span::from_samples(1, self.coding.fps));
        loop {
            let late = playhead.position().map_or(MediaTime::ZERO, |now| now - pace.interval);
            let Frame { at, age, item } = match self.reel.pull(late)? {
                Pulled::Frame(frame) => frame,
                Pulled::Waiting if playhead.is_stopped() => return Ok(()),
                Pulled::Waiting => continue,
                Pulled::End => return Ok(()),
            };
            if !pace.goes_on(at) {
                continue;
            }
            let Some(born) = pace.wait(at, age, playhead, self.clock) else {
                return Ok(());
            };
            if !self.is_wanted(at) {
                continue;
            }
            let packet = self.encode(at, &item)?;
            // Without anyone who watches there is nobody to miss it.
            let _ = self.units.send(Stamped::new(at, born, packet));
        }
    }

    /// Whether the wished rate of pictures has room for this one.
    fn is_wanted(&mut self, at: MediaTime) -> bool {
        let fps = self.wishes.lock().fps;
        let early = fps.zip(self.shown).is_some_and(|(fps, shown)| {
            // Half an interval of the film's early is as near as pictures come.
            let apart = Span::from_nanos((1e9 / f64::from(fps)) as i64) - Span::from_samples(1, self.coding.fps) / 2;
            at - shown < apart
        });
        if !early {
            self.shown = Some(at);
        }
        !early
    }

    fn encode(&mut self, at: MediaTime, picture: &Picture<Planes>) -> Result<Packet, FilmError> {
        let Wish { cap, map, fps } = self.wishes.lock().clone();
        if map.is_some() {
            self.ladder.keep_whole();
        }
        let size = self.ladder.size((picture.width, picture.height));
        let mut encoder = self.encoder_of(size)?;
        let now = self.clock.now();
        let rested = self.key_made.is_none_or(|made| now - made >= KEYFRAMES_APART);
        if rested && self.wishes.key.swap(false, Ordering::Relaxed) {
            encoder.request_key();
        }
        let least = LEAST_BITRATE.min(self.coding.bitrate);
        let bitrate = cap.clamp(least, self.coding.bitrate);
        let fps = fps.map_or(self.coding.fps as f32, |fps| fps.min(self.coding.fps as f32));
        if encoder.config().bitrate != bitrate || encoder.pace() != fps {
            encoder.set_rate(bitrate, fps);
        }
        encoder.set_map(map);
        let packet = match size == (picture.width, picture.height) {
            true => encoder.encode(picture)?,
            false => encoder.encode(&self.scaler.scale(picture, size)?)?,
        };
        if packet.key {
            self.key_made = Some(now);
        }
        if let Some(quantiser) = encoder.quantiser() {
            self.ladder.coded(at, quantiser);
        }
        self.encoder = Some(encoder);
        Ok(packet)
    }

    /// The encoder at work, or a new one where the size is another.
    fn encoder_of(&mut self, (width, height): (u32, u32)) -> Result<H264Encoder, EncodeError> {
        let fitting = |encoder: &H264Encoder| (encoder.config().width, encoder.config().height) == (width, height);
        if let Some(encoder) = self.encoder.take().filter(fitting) {
            return Ok(encoder);
        }
        H264Encoder::new(H264Config {
            width,
            height,
            fps: self.coding.fps,
            bitrate: self.coding.bitrate,
            gop: KEYFRAME_EVERY * self.coding.fps,
            preset: Preset::default(),
        })
    }
}

/// Makes the sound.
pub(super) struct SoundStrand {
    reel: Box<dyn Reel<Pcm>>,
    encoder: OpusEncoder,
    clock: Clock,
    units: Sender<Stamped<Packet>>,
}

impl SoundStrand {
    pub(super) fn new(
        reel: Box<dyn Reel<Pcm>>,
        clock: Clock,
        units: Sender<Stamped<Packet>>,
    ) -> Result<SoundStrand, FilmError> {
        let encoder = OpusEncoder::new(OpusConfig::default())?;
        Ok(SoundStrand {
            reel,
            encoder,
            clock,
            units,
        })
    }

    pub(super) fn run(mut self, playhead: &Playhead) -> Outcome {
        // The coder lets everything come out later by this much.
        let behind = self.encoder.lookahead();
        let mut pace = Pace::new(PACKET);
        loop {
            let Frame { at, age, item } = match self.reel.pull(MediaTime::ZERO)? {
                Pulled::Frame(frame) => frame,
                Pulled::Waiting if playhead.is_stopped() => return Ok(()),
                Pulled::Waiting => continue,
                Pulled::End => return Ok(()),
            };
            if !pace.goes_on(at) {
                continue;
            }
            // A microphone has heard it when its last sample sounded.
            let Some(heard) = pace.wait(at + PACKET, age - PACKET, playhead, self.clock) else {
                return Ok(());
            };
            let packet = self.encoder.encode(&item.samples)?;
            let _ = self
                .units
                .send(Stamped::new(at - behind, heard - PACKET - behind, packet));
        }
    }
}
