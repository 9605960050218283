//! A file that is written: pictures encoded on their way in, everything else as it came.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ffmpeg_next::codec::{Id, context::Context};
use ffmpeg_next::format::{self, Pixel, context, flag::Flags};
use ffmpeg_next::{Dictionary, Error, Packet as Coded, Rational, Stream, codec, encoder, media};
use hearsight_core::media::{Picture, Planes};
use hearsight_core::time::{MediaTime, Span};

use super::reader::{Passenger, Reader};
use super::times::{Rate, ticks_from_span};
use super::{ContainerError, address, border};
use crate::encode::frame_from_picture;
use crate::libav;

/// How names of files end that are written.
pub const ENDINGS: &str = ".mp4, .m4v, .mov, .mkv, .ts";

/// How pictures are encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterConfig {
    /// Width in luma pixels, even.
    pub width: u32,
    /// Height in luma pixels, even.
    pub height: u32,
    /// Pictures per second, on average.
    pub rate: Rate,
    /// The grain of their times, in seconds as a fraction.
    pub tick: (i32, i32),
    /// x264's constant rate factor, 0 (lossless) to 51; 18 is hard to tell from the original.
    pub crf: u8,
    /// One of x264's presets, from `ultrafast` to `placebo`.
    pub preset: String,
}

/// What became of a stream that is not the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Sound or else.
    pub sound: bool,
    /// Its codec, such as `aac`.
    pub codec: String,
    /// Whether the new container can hold it, so that it was carried over.
    pub carried: bool,
}

/// Encodes pictures into a file. Dropping it without [`Writer::finish`] leaves a file that nobody can play.
pub struct Writer {
    encoder: encoder::video::Encoder,
    size: (u32, u32),
    tick: Rational,
    muxer: Arc<Muxer>,
    carried: Vec<Carried>,
    /// How long each picture lasts that is under way in the encoder, by its place.
    lasts: BTreeMap<i64, i64>,
    last: Option<i64>,
}

/// The door by which passengers go straight into the file.
#[derive(Clone)]
pub struct Passage(Arc<Muxer>);

struct Muxer {
    output: Mutex<context::Output>,
    picture_tick: Rational,
    /// By the stream that they come from: which they go to, and the ticks of both.
    passengers: BTreeMap<usize, (usize, Rational, Rational)>,
    start: Span,
}

impl Writer {
    /// Begins a file at `path`, whose name says of which kind, for pictures as in `config` and all else of `reader`.
    pub fn create(path: &Path, reader: &Reader, config: &WriterConfig) -> Result<Writer, ContainerError> {
        libav::quiet();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if !ENDINGS.split(", ").any(|known| known[1..].eq_ignore_ascii_case(ending)) {
            return Err(ContainerError::Ending);
        }
        let address = address(path)?;
        let others = reader.input.streams().filter(|stream| stream.index() != reader.video);
        // Before the file itself is begun: trying writes to it.
        let others: Vec<_> = others.map(|stream| (takes(&address, &stream), stream)).collect();
        let mut output = format::output(&address).map_err(refused)?;
        let tick = Rational::from(config.tick);
        let pictures = reader.input.stream(reader.video).ok_or(ContainerError::NoPictures)?;
        let headers = output.format().flags().contains(Flags::GLOBAL_HEADER);
        let encoder = open_encoder(config, &pictures, tick, headers)?;
        let mut stream = output.add_stream_with(&encoder.0.0.0).map_err(refused)?;
        stream.set_time_base(tick);
        stream.set_avg_frame_rate(Rational(config.rate.pictures as i32, config.rate.seconds as i32));
        stream.set_metadata(pictures.metadata().to_owned());
        border::copy_rotation(&pictures, &mut output, 0);
        let mut passengers = BTreeMap::new();
        let mut carried = Vec::new();
        for (taken, stream) in &others {
            carried.extend(board(stream, *taken, &mut output, &mut passengers)?);
        }
        output.set_metadata(reader.input.metadata().to_owned());
        for chapter in reader.input.chapters() {
            let title = chapter.metadata().get("title").unwrap_or_default().to_owned();
            // A chapter that makes no sense is no reason to write nothing.
            let _ = output.add_chapter(chapter.id(), chapter.time_base(), chapter.start(), chapter.end(), title);
        }
        let mut options = Dictionary::new();
        // Players on the web want the index first.
        options.set("movflags", "+faststart");
        output.write_header_with(options).map_err(refused)?;
        let tick_of = |index| {
            output
                .stream(index)
                .map_or(tick, |stream: Stream<'_>| stream.time_base())
        };
        let picture_tick = tick_of(0);
        for place in passengers.values_mut() {
            place.2 = tick_of(place.0);
        }
        Ok(Writer {
            encoder,
            size: (config.width, config.height),
            tick,
            muxer: Arc::new(Muxer {
                output: Mutex::new(output),
                picture_tick,
                passengers,
                start: Span::from_micros(border::start(&reader.input)),
            }),
            carried,
            lasts: BTreeMap::new(),
            last: None,
        })
    }

    /// What becomes of the streams that are not the picture.
    pub fn carried(&self) -> &[Carried] {
        &self.carried
    }

    /// The door for them.
    pub fn passage(&self) -> Passage {
        Passage(Arc::clone(&self.muxer))
    }

    /// Encodes a picture of the configured size that is shown from `at` for so long. One that is not later than the one
    /// before is moved behind it by the shortest time that the file can tell.
    pub fn picture(&mut self, picture: &Picture<Planes>, at: MediaTime, lasts: Span) -> Result<(), ContainerError> {
        let place = ticks_from_span(at - MediaTime::ZERO, self.tick);
        let place = self.last.map_or(place, |last| place.max(last.saturating_add(1)));
        self.last = Some(place);
        self.lasts.insert(place, ticks_from_span(lasts, self.tick).max(1));
        let mut input = frame_from_picture(picture, self.size).map_err(refused)?;
        input.set_pts(Some(place));
        self.encoder.send_frame(&input).map_err(refused)?;
        self.drain()
    }

    /// Lets everything out and closes the file.
    pub fn finish(mut self) -> Result<(), ContainerError> {
        self.encoder.send_eof().map_err(refused)?;
        self.drain()?;
        self.muxer.lock().write_trailer().map_err(refused)
    }

    fn drain(&mut self) -> Result<(), ContainerError> {
        loop {
            let mut packet = Coded::empty();
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => {}
                Err(Error::Eof) => return Ok(()),
                Err(Error::Other { errno }) if errno == ffmpeg_next::error::EAGAIN => return Ok(()),
                Err(error) => return Err(refused(error)),
            }
            let lasts = packet.pts().and_then(|place| self.lasts.remove(&place));
            packet.set_duration(lasts.unwrap_or(1));
            packet.set_stream(0);
            packet.rescale_ts(self.tick, self.muxer.picture_tick);
            packet.write_interleaved(&mut self.muxer.lock()).map_err(refused)?;
        }
    }
}

impl Passage {
    /// Writes a passenger where the new file has a place for it. Errors: the disk is full, and the like.
    pub fn board(&self, Passenger(mut packet): Passenger) -> Result<(), ContainerError> {
        let Some(&(to, from_tick, to_tick)) = self.0.passengers.get(&packet.stream()) else {
            return Ok(());
        };
        // One without bytes says nothing, and muxers refuse it.
        if packet.size() == 0 {
            return Ok(());
        }
        let late = ticks_from_span(self.0.start, from_tick);
        packet.set_pts(packet.pts().map(|ticks| ticks.saturating_sub(late)));
        packet.set_dts(packet.dts().map(|ticks| ticks.saturating_sub(late)));
        packet.set_stream(to);
        packet.rescale_ts(from_tick, to_tick);
        packet.set_position(-1);
        match packet.write_interleaved(&mut self.0.lock()) {
            Ok(()) => Ok(()),
            // A damaged file has packets whose times go backwards: they are left out.
            Err(Error::InvalidData) => Ok(()),
            Err(Error::Other { errno }) if errno == ffmpeg_next::error::EINVAL => Ok(()),
            Err(error) => Err(refused(error)),
        }
    }
}

impl Muxer {
    fn lock(&self) -> MutexGuard<'_, context::Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether such a file can hold a stream: what a muxer says of itself is less than what it refuses.
fn takes(address: &str, stream: &Stream<'_>) -> bool {
    let tried = || -> Result<bool, Error> {
        let mut trial = format::output(address)?;
        if !border::holds(&trial, &stream.parameters()) {
            return Ok(false);
        }
        let mut place = trial.add_stream(encoder::find(Id::None))?;
        place.set_parameters(border::untagged(&stream.parameters()));
        place.set_time_base(stream.time_base());
        trial.write_header()?;
        Ok(true)
    };
    tried().unwrap_or(false)
}

/// Finds a place for a stream that is taken; none for what is neither sound nor subtitles.
fn board(
    stream: &Stream<'_>,
    carried: bool,
    output: &mut context::Output,
    passengers: &mut BTreeMap<usize, (usize, Rational, Rational)>,
) -> Result<Option<Carried>, ContainerError> {
    let parameters = stream.parameters();
    let sound = match parameters.medium() {
        media::Type::Audio => true,
        media::Type::Subtitle => false,
        _ => return Ok(None),
    };
    if carried {
        let mut place = output.add_stream(encoder::find(Id::None)).map_err(refused)?;
        place.set_parameters(border::untagged(&parameters));
        place.set_time_base(stream.time_base());
        place.set_metadata(stream.metadata().to_owned());
        let (from, to) = (stream.time_base(), output.nb_streams() as usize - 1);
        passengers.insert(stream.index(), (to, from, from));
    }
    Ok(Some(Carried {
        sound,
        codec: parameters.id().name().to_owned(),
        carried,
    }))
}

fn open_encoder(
    config: &WriterConfig,
    pictures: &Stream<'_>,
    tick: Rational,
    headers: bool,
) -> Result<encoder::video::Encoder, ContainerError> {
    let codec = encoder::find_by_name("libx264").ok_or(ContainerError::NoEncoder)?;
    let mut video = Context::new_with_codec(codec).encoder().video().map_err(refused)?;
    video.set_width(config.width);
    video.set_height(config.height);
    video.set_format(Pixel::YUV420P);
    border::copy_look(&pictures.parameters(), &mut video);
    video.set_time_base(tick);
    video.set_frame_rate(Some(Rational(config.rate.pictures as i32, config.rate.seconds as i32)));
    if headers {
        video.set_flags(codec::Flags::GLOBAL_HEADER);
    }
    let mut options = Dictionary::new();
    options.set("crf", &config.crf.to_string());
    options.set("preset", &config.preset);
    video.open_with(options).map_err(refused)
}

fn refused(error: impl std::fmt::Display) -> ContainerError {
    ContainerError::Unwritable(error.to_string())
}
