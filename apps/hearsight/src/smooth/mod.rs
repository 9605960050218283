//! `hearsight smooth`: a film with more pictures a second, made between its own along their motion vectors.
//!
//! Knows how the stages of a film are wired for the pull host, under which nothing is dropped, and how files are begun and
//! ended. Must not know how a picture is made or a file is cut. Start at [`run`].

pub mod between;
mod fit;
pub mod maker;
pub mod options;
pub mod pace;
pub mod reference;
pub mod report;
#[cfg(test)]
mod tests;
mod write;

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearsight_codecs::container::{ContainerError, Passage, Reader, Unit, Writer, WriterConfig};
use hearsight_codecs::h264::{self, Decoder, is_predicted};
use hearsight_core::graph::Graph;
use hearsight_core::link::Keep;
use hearsight_core::media::Packet;
use hearsight_core::meter::Meter;
use hearsight_core::pull::Pull;
use hearsight_core::schedule::Lane;
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::Span;
use hearsight_live::clock::Clock;
use hearsight_live::pull::{self, PullError};
use tempfile::NamedTempFile;
use thiserror::Error;

use between::{Between, Met, Notes, Times};
use maker::{MakeError, Maker};
pub use options::Options;
use options::{Existing, Quality, Telling};
use pace::Pace;
use reference::Truth;
use report::{Meter as Progress, Summary};
use write::{Desk, Write};

use crate::terminal::say;

/// Pictures that wait between two stages: enough that none stands still for the other, and few, for they are large.
const WAITING: Keep = Keep::Every(3);
/// Stages that work at the same time: decoding, making, and writing, whose encoder has threads of its own besides.
const THREADS: usize = 3;
/// Pictures at the start that are looked at for predicted ones: more than any key picture is apart from the next.
const LOOKED_AT: usize = 300;

/// Why there is no smooth film.
#[derive(Debug, Error)]
pub enum SmoothError {
    /// A film can't be read.
    #[error("{path}: {why}{}", remedy(.why))]
    Film {
        /// Which.
        path: String,
        /// What is wrong with it.
        why: ContainerError,
    },
    /// There are no vectors in it.
    #[error(
        "{0}: every picture in it is coded by itself (all-intra), so that it tells nothing of motion; \
         `--quality blend` mixes neighbours, or encode it anew: ffmpeg -i IN -c:v libx264 -crf 12 -c:a copy NEW.mp4"
    )]
    AllIntra(String),
    /// Not one picture came out of the decoder.
    #[error("{0}: none of its pictures can be decoded: it is damaged, interlaced, or has more than 8 bits")]
    Undecodable(String),
    /// OUT can't be written.
    #[error("{path}: {why}")]
    Output {
        /// Which.
        path: String,
        /// What is wrong with it.
        why: ContainerError,
    },
    /// OUT is there.
    #[error("{0} is there already: --force replaces it")]
    Exists(String),
    /// OUT is IN.
    #[error("IN and OUT are the same file: name another OUT")]
    Same,
    /// The folder of OUT can't be written to.
    #[error("{path}: no file can be made in it: {}", source.kind())]
    Folder {
        /// Which.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// No picture can be made.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// Something broke down on the way.
    #[error("{0}")]
    Failed(String),
    /// The pull host broke down.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// There is no decoder.
    #[error(transparent)]
    Decoder(#[from] h264::OpenError),
    /// Whoever asked for it does not want it any more.
    #[error("stopped; nothing was written")]
    Stopped,
}

fn remedy(why: &ContainerError) -> &'static str {
    match why {
        ContainerError::OtherCodec(_) => "; encode it as H.264: ffmpeg -i IN -c:v libx264 -crf 16 -c:a copy NEW.mp4",
        ContainerError::OtherKind(_) => {
            "; encode it so: ffmpeg -i IN -vf yadif=deint=interlaced,format=yuv420p -c:v libx264 -crf 16 -c:a copy NEW.mp4"
        }
        _ => "",
    }
}

/// Makes the smooth film. Returns when it is whole, or when `stop` is set, after which there is none. Blocks for as long
/// as it takes.
pub fn run(options: &Options, clock: Clock, stop: &Arc<AtomicBool>) -> Result<Summary, SmoothError> {
    let began = clock.now();
    look_at_names(options)?;
    let reader = open(options)?;
    let pictures = reader.pictures();
    let maker = Maker::open(options.place)?;
    let name = maker.name();
    let truth = options.reference.as_deref().map(Truth::open).transpose()?;
    let draft = draft(&options.output)?;
    let refused = |why| SmoothError::Output {
        path: options.output.display().to_string(),
        why,
    };
    let writer = Writer::create(draft.path(), &reader, &coding(options, &reader)).map_err(refused)?;
    let carried = writer.carried().to_vec();
    let passage = writer.passage();
    let progress = Progress::new(options.progress, pictures.lasts, began);
    let size = (pictures.width, pictures.height);
    let desk = Arc::new(Mutex::new(Desk::new(writer, size, truth, progress)));
    let reader = Arc::new(Mutex::new(reader));
    let meter = Meter::default();
    let film = Film {
        reader: Arc::clone(&reader),
        passage,
        maker,
        desk: Arc::clone(&desk),
        stop: Arc::clone(stop),
    };
    let (pull, notes) = film.wire(options, &meter, clock)?;
    let ended = pull::run(pull, THREADS, clock, stop);
    let mut desk = lock(&desk);
    desk.progress.close();
    let met = notes.read();
    judge(&mut desk, &met, ended, stop)?;
    if desk.counts.all() == 0 {
        return Err(SmoothError::Undecodable(options.input.display().to_string()));
    }
    desk.finish().map_err(refused)?;
    keep(draft, options)?;
    let tally = meter.tally();
    Ok(Summary {
        output: options.output.display().to_string(),
        size,
        maker: name,
        met,
        counts: desk.counts,
        lost: tally.lost.values().sum::<u64>() + lock(&reader).damaged(),
        carried,
        lasts: desk.lasts,
        took: clock.now() - began,
        making: tally.slices.get("between").map_or(Span::ZERO, |slices| slices.sum()),
        likeness: desk.truth.as_ref().map(Truth::likeness),
    })
}

/// Opens the film, if anything can be made of it.
fn open(options: &Options) -> Result<Reader, SmoothError> {
    let named = || options.input.display().to_string();
    let film = |why| SmoothError::Film { path: named(), why };
    if options.quality != Quality::Blend && is_all_intra(&options.input).map_err(film)? {
        return Err(SmoothError::AllIntra(named()));
    }
    Reader::open(&options.input).map_err(film)
}

/// Whether it came to its end: the cause of trouble goes before what followed from it.
fn judge(desk: &mut Desk, met: &Met, ended: Result<(), PullError>, stop: &AtomicBool) -> Result<(), SmoothError> {
    if let Some(failure) = desk.failure.take().or_else(|| met.failure.clone()) {
        return Err(SmoothError::Failed(failure));
    }
    ended?;
    match stop.load(Ordering::Relaxed) {
        true => Err(SmoothError::Stopped),
        false => Ok(()),
    }
}

/// Prints a summary to standard output.
pub fn tell(summary: &Summary, telling: Telling) {
    match telling {
        Telling::Lines => say(summary.lines().join("\n")),
        Telling::Json => say(summary.json()),
    }
}

/// What the graph of a film is made of.
struct Film {
    reader: Arc<Mutex<Reader>>,
    passage: Passage,
    maker: Maker,
    desk: Arc<Mutex<Desk>>,
    stop: Arc<AtomicBool>,
}

impl Film {
    /// The drawing: file ─▸ decode ─▸ between ─▸ write.
    fn wire(self, options: &Options, meter: &Meter, clock: Clock) -> Result<(Pull, Notes), SmoothError> {
        let (usual, times) = {
            let reader = lock(&self.reader);
            let times = if reader.is_timeless() {
                Times::MadeUp
            } else {
                Times::Told
            };
            (reader.pictures().rate.place(1), times)
        };
        // Nobody can be asked for a key picture.
        let mut graph = Graph::new(meter.clone(), Arc::new(|_| {}));
        let (file, units) = graph.source::<Packet>("file", Span::ZERO);
        let decoder = film_decoder()?;
        let pictures = graph.engine("decode", Lane::See, &units, WAITING, Some(Mark::Decoded), decoder);
        let between = Between::new(self.maker, options.quality, options.pace, usual, times);
        let notes = between.notes();
        let shown = graph.engine("between", Lane::See, &pictures, WAITING, None, between);
        let write = Write {
            desk: Arc::clone(&self.desk),
            clock,
            stop: Arc::clone(&self.stop),
        };
        graph.engine("write", Lane::See, &shown, WAITING, None, write);
        let mut pull = Pull::new(graph);
        let (reader, passage, desk, stop) = (self.reader, self.passage, self.desk, self.stop);
        pull.feed(file, move || next_picture(&reader, &passage, &desk, &stop));
        Ok((pull, notes))
    }
}

/// The next coded picture; what lies before it in the file goes straight into the new one.
fn next_picture(
    reader: &Mutex<Reader>,
    passage: &Passage,
    desk: &Mutex<Desk>,
    stop: &AtomicBool,
) -> Option<Stamped<Packet>> {
    let mut reader = lock(reader);
    while !stop.load(Ordering::Relaxed) {
        match reader.next()? {
            Unit::Picture(unit) => return Some(unit),
            Unit::Passenger(passenger) => {
                if let Err(error) = passage.board(passenger) {
                    lock(desk).fail(&error.to_string());
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    }
    None
}

/// The decoder of films: pictures as large as can be made between, and units as large as theirs are.
fn film_decoder() -> Result<Decoder, h264::OpenError> {
    Decoder::new(h264::Config {
        long_side: hearsight_shaders::LARGEST,
        short_side: hearsight_shaders::LARGEST,
        max_unit: 32 << 20,
        ..h264::Config::default()
    })
}

fn coding(options: &Options, reader: &Reader) -> WriterConfig {
    let pictures = reader.pictures();
    let (rate, tick) = match options.pace {
        Pace::Times(parts) => (pictures.rate.times(parts).unwrap_or(pictures.rate), reader.tick(parts)),
        Pace::Rate(rate) => (rate, rate.tick()),
    };
    WriterConfig {
        width: pictures.width,
        height: pictures.height,
        rate,
        tick,
        crf: options.crf,
        preset: options.preset.clone(),
    }
}

/// Whether the first pictures are all coded by themselves. Errors: it is no such film.
fn is_all_intra(path: &Path) -> Result<bool, ContainerError> {
    let mut reader = Reader::open(path)?;
    let mut looked_at = 0;
    while let Some(unit) = reader.next() {
        if let Unit::Picture(unit) = unit {
            if is_predicted(&unit.item.payload) {
                return Ok(false);
            }
            looked_at += 1;
            if looked_at == LOOKED_AT {
                break;
            }
        }
    }
    // A single picture is no film that anything could be said of.
    Ok(looked_at > 1)
}

fn look_at_names(options: &Options) -> Result<(), SmoothError> {
    let Ok(there) = std::fs::metadata(&options.output) else {
        return Ok(());
    };
    let one = |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    if one(&options.input) == Some((there.dev(), there.ino())) {
        return Err(SmoothError::Same);
    }
    if options.existing == Existing::Kept {
        return Err(SmoothError::Exists(options.output.display().to_string()));
    }
    Ok(())
}

/// A file beside OUT, of its kind; gone unless it is kept.
fn draft(output: &Path) -> Result<NamedTempFile, SmoothError> {
    use std::os::unix::fs::PermissionsExt;
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let ending = output.extension().unwrap_or_default().to_string_lossy();
    tempfile::Builder::new()
        .prefix(".smooth-")
        .suffix(&format!(".{ending}"))
        // As any file that is made: less what the system's mask takes away.
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(&folder)
        .map_err(|source| SmoothError::Folder {
            path: folder.display().to_string(),
            source,
        })
}

/// Gives the whole file its name.
fn keep(draft: NamedTempFile, options: &Options) -> Result<(), SmoothError> {
    let path = &options.output;
    let kept = match options.existing {
        Existing::Replaced => draft.persist(path),
        Existing::Kept => draft.persist_noclobber(path),
    };
    match kept {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(SmoothError::Exists(path.display().to_string()))
        }
        Err(error) => Err(SmoothError::Folder {
            path: path.display().to_string(),
            source: error.error,
        }),
    }
}

/// Whoever panicked left whole values behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
