//! One stream of a source, pulled frame by frame on a thread of the puller's choice.

use std::ops::Range;
use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use hearsight_core::media::{Pcm, Picture, Plane, Planes};
use hearsight_core::time::{MediaTime, Span};

use super::recut::Recut;
use super::shared::{Kind, Shared, Then};
use super::{SourceError, clock_time, media_from_running};

/// Samples per second of all sound: what Opus takes.
pub(super) const RATE: u32 = 48_000;
/// Samples of one frame of sound: 20 ms.
const FRAME: usize = 960;

/// What a pull brought.
#[derive(Clone, Debug)]
pub enum Pulled<T> {
    /// A frame.
    Frame(Frame<T>),
    /// Nothing within the wait.
    Waiting,
    /// There is no more.
    End,
}

/// One picture or piece of sound.
#[derive(Clone, Debug)]
pub struct Frame<T> {
    /// What it shows, on the timeline that the lanes of a source share, from about 0.
    pub at: MediaTime,
    /// How long ago it was captured; zero where the source is not live.
    pub age: Span,
    /// The thing itself.
    pub item: T,
}

struct Lane {
    sink: AppSink,
    shared: Arc<Shared>,
    kind: Kind,
    /// Of the last frame.
    end: MediaTime,
}

/// A raw buffer and its place.
struct Raw {
    at: MediaTime,
    age: Span,
    sample: gst::Sample,
}

impl Lane {
    fn pull(&mut self, wait: Span) -> Result<Pulled<Raw>, SourceError> {
        let Some(sample) = self.sink.try_pull_sample(clock_time(wait)) else {
            self.shared.check()?;
            if self.shared.is_stopped() {
                return Ok(Pulled::End);
            }
            if !self.sink.is_eos() {
                return Ok(Pulled::Waiting);
            }
            return Ok(match self.shared.ended(self.kind, self.end, wait)? {
                Then::Stop => Pulled::End,
                Then::Wait | Then::Go => Pulled::Waiting,
            });
        };
        let Some((running, lasts)) = place(&sample) else {
            return Ok(Pulled::Waiting);
        };
        let at = media_from_running(running) + self.shared.base();
        self.end = self.end.max(at + lasts);
        let now = self
            .shared
            .pipeline
            .current_running_time()
            .filter(|_| self.shared.is_live());
        let age = now.map_or(Span::ZERO, |now| {
            media_from_running(now.saturating_sub(running)) - MediaTime::ZERO
        });
        let item = Raw { at, age, sample };
        Ok(Pulled::Frame(Frame { at, age, item }))
    }
}

/// Running time and length of a sample; none where it lies outside of what is to be played.
fn place(sample: &gst::Sample) -> Option<(gst::ClockTime, Span)> {
    let buffer = sample.buffer()?;
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let running = segment.to_running_time(buffer.pts()?)?;
    let lasts = buffer
        .duration()
        .map_or(Span::ZERO, |lasts| media_from_running(lasts) - MediaTime::ZERO);
    Some((running, lasts))
}

/// The pictures of a source: I420, one after the other.
pub struct Pictures(Lane);

impl Pictures {
    pub(super) fn new(sink: AppSink, shared: Arc<Shared>) -> Pictures {
        Pictures(Lane {
            sink,
            shared,
            kind: Kind::Pictures,
            end: MediaTime::ZERO,
        })
    }

    /// The next picture; waits at most `wait`. Its pixels stay in GStreamer's memory. Errors: whatever ended the source.
    pub fn pull(&mut self, wait: Span) -> Result<Pulled<Picture<Planes>>, SourceError> {
        Ok(match self.0.pull(wait)? {
            Pulled::Frame(Frame { at, age, item }) => match picture(&item.sample) {
                Some(item) => Pulled::Frame(Frame { at, age, item }),
                None => Pulled::Waiting,
            },
            Pulled::Waiting => Pulled::Waiting,
            Pulled::End => Pulled::End,
        })
    }
}

/// The sound of a source: mono, 48 kHz, in frames of 20 ms.
pub struct Sound {
    lane: Lane,
    recut: Recut,
    /// When the newest sound was pulled, on the timeline, where the source is live.
    pulled: Option<MediaTime>,
}

impl Sound {
    pub(super) fn new(sink: AppSink, shared: Arc<Shared>) -> Sound {
        Sound {
            lane: Lane {
                sink,
                shared,
                kind: Kind::Sound,
                end: MediaTime::ZERO,
            },
            recut: Recut::new(FRAME, RATE),
            pulled: None,
        }
    }

    /// The next 20 ms; waits at most `wait`. Errors: whatever ended the source.
    pub fn pull(&mut self, wait: Span) -> Result<Pulled<Pcm>, SourceError> {
        if let Some(frame) = self.cut() {
            return Ok(Pulled::Frame(frame));
        }
        match self.lane.pull(wait)? {
            Pulled::Frame(Frame { item, .. }) => self.take(&item),
            Pulled::Waiting => return Ok(Pulled::Waiting),
            Pulled::End => {
                self.recut.fill();
                return Ok(self.cut().map_or(Pulled::End, Pulled::Frame));
            }
        }
        Ok(self.cut().map_or(Pulled::Waiting, Pulled::Frame))
    }

    fn take(&mut self, raw: &Raw) {
        let Some(map) = raw.sample.buffer().and_then(|buffer| buffer.map_readable().ok()) else {
            return;
        };
        let samples = map.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        // What is no number would make the coder deaf for good.
        let samples = samples.map(|sample| if sample.is_finite() { sample } else { 0.0 });
        self.pulled = self.lane.shared.is_live().then(|| raw.at + raw.age);
        self.recut.push(raw.at, samples);
    }

    fn cut(&mut self) -> Option<Frame<Pcm>> {
        let (at, samples) = self.recut.pop()?;
        let item = Pcm {
            rate: RATE,
            samples: samples.into(),
        };
        let age = self.pulled.map_or(Span::ZERO, |pulled| pulled - at);
        Some(Frame { at, age, item })
    }
}

/// Bytes of a mapped buffer.
struct Part {
    whole: Arc<gst::MappedBuffer<gst::buffer::Readable>>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        self.whole.get(self.range.clone()).unwrap_or_default()
    }
}

/// The planes of a picture, where GStreamer puts them when nobody asks for another place (`gst_video_info_set_format`):
/// rows of a multiple of four bytes, planes one behind the other.
fn picture(sample: &gst::Sample) -> Option<Picture<Planes>> {
    let shape = sample.caps()?.structure(0)?;
    let side = |name: &str| usize::try_from(shape.get::<i32>(name).ok()?).ok();
    let (width, height) = (side("width")?, side("height")?);
    let whole = Arc::new(sample.buffer_owned()?.into_mapped_buffer_readable().ok()?);
    let mut start = 0;
    let mut plane = |columns: usize, rows: usize| {
        let stride = columns.next_multiple_of(4);
        let range = start..start + stride * rows;
        start = range.end;
        let bytes = Arc::new(Part {
            whole: Arc::clone(&whole),
            range,
        });
        Plane { bytes, stride }
    };
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let y = plane(width, height.next_multiple_of(2));
    let u = plane(half_width, half_height);
    let v = plane(half_width, half_height);
    Some(Picture {
        width: u32::try_from(width).ok()?,
        height: u32::try_from(height).ok()?,
        pixels: Planes { y, u, v },
    })
}
