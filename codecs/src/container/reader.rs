//! A file, unit by unit.

use std::path::Path;
use std::sync::Arc;

use ffmpeg_next::codec::Id;
use ffmpeg_next::format::stream::Disposition;
use ffmpeg_next::format::{self, Pixel, context};
use ffmpeg_next::{Dictionary, Error, Packet as Coded, Rational, Stream, media};
use hearsight_core::media::{Codec, Packet};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};

use super::annexb::Framing;
use super::times::{self, Rate};
use super::{ContainerError, address, border};
use crate::{h264, libav};

/// What is read: containers that hold their own bytes. Play lists, which name other files, are not among them.
const FORMATS: &str = "mov,matroska,mpegts,h264,avi,flv,mpeg,nut,mxf,asf";
/// Reading fails so often in a row before a file counts as over: each failure skips some of the damage.
const MOST_FAILURES: u32 = 256;
/// Containers that count in ticks as coarse as this round the places of pictures.
const COARSE: Span = Span::from_micros(500);
/// More ticks a second than this, players miscount.
const FINEST: i32 = 10_000_000;
/// Of pictures whose container knows nothing else.
const RATE: Rate = Rate {
    pictures: 25,
    seconds: 1,
};

/// What a file says of its pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pictures {
    /// Width in luma pixels.
    pub width: u32,
    /// Height in luma pixels.
    pub height: u32,
    /// How many a second, on average where that varies.
    pub rate: Rate,
    /// How long they last altogether, where the file says so.
    pub lasts: Option<Span>,
}

/// What comes out of a file.
pub enum Unit {
    /// A coded picture: an access unit of H.264 as a byte stream. Its time is counted from the start of the file.
    Picture(Stamped<Packet>),
    /// Anything else.
    Passenger(Passenger),
}

/// A packet of sound or subtitles, which nobody looks into.
pub struct Passenger(pub(super) Coded);

/// A file that is read.
pub struct Reader {
    pub(super) input: context::Input,
    pub(super) video: usize,
    tick: Rational,
    framing: Framing,
    pictures: Pictures,
    /// Whether times are made up, in the order of decoding.
    timeless: bool,
    start: Span,
    units: i64,
    damaged: u64,
}

impl Reader {
    /// Opens a file and looks for its pictures. Errors: [`ContainerError`], where it is not H.264 of the sort that
    /// [`h264::Decoder`] takes.
    pub fn open(path: &Path) -> Result<Reader, ContainerError> {
        libav::quiet();
        if !std::fs::metadata(path).is_ok_and(|found| found.is_file()) {
            return Err(ContainerError::NoFile);
        }
        let mut options = Dictionary::new();
        options.set("protocol_whitelist", "file");
        options.set("format_whitelist", FORMATS);
        let input = format::input_with_dictionary(&address(path)?, options)
            .map_err(|error| ContainerError::Unreadable(error.to_string()))?;
        let video = picture_stream(&input).ok_or(ContainerError::NoPictures)?.index();
        let stream = input.stream(video).ok_or(ContainerError::NoPictures)?;
        let told = border::told(&stream.parameters());
        judge(&stream, &told)?;
        let tick = stream.time_base();
        let pictures = Pictures {
            width: told.width,
            height: told.height,
            rate: rate(&stream),
            lasts: lasts(&stream, &input),
        };
        let timeless = border::is_timeless(&input);
        Ok(Reader {
            tick,
            framing: Framing::of(&told.header),
            pictures,
            timeless,
            start: Span::from_micros(border::start(&input)),
            input,
            video,
            units: 0,
            damaged: 0,
        })
    }

    /// The grain of times that fits the file's own, each split `parts` times, in seconds as a fraction.
    pub fn tick(&self, parts: u32) -> (i32, i32) {
        let coarse = times::media_from_ticks(1, self.tick) - MediaTime::ZERO >= COARSE;
        let finer = i32::try_from(parts)
            .ok()
            .and_then(|parts| self.tick.1.checked_mul(parts));
        match finer.filter(|finer| !coarse && *finer <= FINEST && self.tick.0 > 0) {
            Some(finer) => (self.tick.0, finer),
            None => self.pictures.rate.times(parts).unwrap_or(self.pictures.rate).tick(),
        }
    }

    /// What the file says of its pictures.
    pub fn pictures(&self) -> Pictures {
        self.pictures
    }

    /// Whether the times of pictures are made up: they follow each other in the order of decoding, at the stated rate.
    pub fn is_timeless(&self) -> bool {
        self.timeless
    }

    /// How often reading failed so far: some of the file is damaged or missing.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// The next unit, in the file's order; none at its end.
    #[expect(clippy::should_implement_trait, reason = "a reader is no collection")]
    pub fn next(&mut self) -> Option<Unit> {
        let mut failures = 0;
        while failures < MOST_FAILURES {
            let mut packet = Coded::empty();
            match packet.read(&mut self.input) {
                Ok(()) => {}
                Err(Error::Eof) => return None,
                Err(_) => {
                    failures += 1;
                    self.damaged += 1;
                    continue;
                }
            }
            if packet.stream() != self.video {
                return Some(Unit::Passenger(Passenger(packet)));
            }
            if let Some(unit) = self.picture(&packet) {
                return Some(Unit::Picture(unit));
            }
        }
        None
    }

    fn picture(&mut self, packet: &Coded) -> Option<Stamped<Packet>> {
        let payload: Arc<[u8]> = self.framing.byte_stream(packet.data()?).into();
        let number = self.units;
        self.units += 1;
        let at = match packet.pts().or(packet.dts()).filter(|_| !self.timeless) {
            Some(ticks) => self.settled(times::media_from_ticks(ticks, self.tick) - self.start),
            None => MediaTime::ZERO + self.pictures.rate.place(number),
        };
        let packet = Packet {
            codec: Codec::H264,
            key: h264::is_key(&payload),
            payload,
            missing: 0,
        };
        Some(Stamped::new(at, Moment::ZERO, packet))
    }

    /// A time that the container rounded, where the rate says what it was: Matroska counts milliseconds.
    fn settled(&self, at: MediaTime) -> MediaTime {
        let tick = times::media_from_ticks(1, self.tick) - MediaTime::ZERO;
        if tick < COARSE {
            return at;
        }
        let rate = self.pictures.rate;
        let place = MediaTime::ZERO + rate.place(rate.nearest(at - MediaTime::ZERO));
        if (place - at).nanos().abs() <= tick.nanos() {
            place
        } else {
            at
        }
    }
}

/// The first stream of pictures that is no still on the cover.
fn picture_stream(input: &context::Input) -> Option<Stream<'_>> {
    input.streams().find(|stream| {
        let still = stream.disposition().contains(Disposition::ATTACHED_PIC);
        stream.parameters().medium() == media::Type::Video && !still
    })
}

fn judge(stream: &Stream<'_>, told: &border::Told) -> Result<(), ContainerError> {
    let codec = stream.parameters().id();
    if codec != Id::H264 {
        return Err(ContainerError::OtherCodec(codec.name().to_uppercase()));
    }
    let taken = [None, Some(Pixel::YUV420P), Some(Pixel::YUVJ420P)];
    if !taken.contains(&told.format) {
        return Err(ContainerError::OtherKind("of more bits or more colour".into()));
    }
    if told.interlaced {
        return Err(ContainerError::OtherKind("interlaced".into()));
    }
    Ok(())
}

/// The average rate: where pictures come at an even pace it is the pace.
fn rate(stream: &Stream<'_>) -> Rate {
    let (average, base) = (
        Rate::from_ratio(stream.avg_frame_rate()),
        Rate::from_ratio(stream.rate()),
    );
    match (average, base) {
        // A few pictures more or less at the ends make the average a strange fraction.
        (Some(average), Some(base)) if (average.per_second() / base.per_second() - 1.0).abs() < 0.02 => base,
        (Some(rate), _) | (None, Some(rate)) => rate,
        (None, None) => RATE,
    }
}

fn lasts(stream: &Stream<'_>, input: &context::Input) -> Option<Span> {
    let own = (stream.duration() > 0)
        .then(|| times::media_from_ticks(stream.duration(), stream.time_base()) - MediaTime::ZERO);
    own.or((input.duration() > 0).then(|| Span::from_micros(input.duration())))
}
