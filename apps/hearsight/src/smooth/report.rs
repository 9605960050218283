//! What is told: how far it is, and in the end what was done.

use std::io::{self, IsTerminal, Write};

use hearsight_codecs::container::Carried;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_shaders::interpolate::Held;
use serde_json::{Value, json};

use super::between::{Came, Met};
use super::options::Progress;
use super::reference::Likeness;

/// How often a line in a terminal is rewritten, and how often one is added to a log.
const EVERY: [Span; 2] = [Span::from_millis(200), Span::from_secs(10)];
const CELLS: usize = 24;

/// Counts of pictures that came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The film's own.
    pub kept: u64,
    /// Made along the vectors.
    pub made: u64,
    /// Means of their neighbours.
    pub blended: u64,
    /// Held, for nothing moved.
    pub repeats: u64,
    /// Held at a scene cut.
    pub cuts: u64,
    /// Held where the size changed.
    pub resized: u64,
}

impl Counts {
    /// Counts one more.
    pub fn count(&mut self, came: Came) {
        let counter = match came {
            Came::Kept => &mut self.kept,
            Came::Made => &mut self.made,
            Came::Blended => &mut self.blended,
            // Only beyond a last picture is there no lead: nothing is made there.
            Came::Held(Held::Repeated | Held::Unled) => &mut self.repeats,
            Came::Held(Held::Cut) => &mut self.cuts,
            Came::Held(Held::Resized) => &mut self.resized,
        };
        *counter += 1;
    }

    /// All that came out.
    pub fn all(&self) -> u64 {
        self.kept + self.added()
    }

    /// All that are not the film's own.
    pub fn added(&self) -> u64 {
        self.made + self.blended + self.held()
    }

    /// Those that repeat a neighbour.
    pub fn held(&self) -> u64 {
        self.repeats + self.cuts + self.resized
    }
}

/// Tells how far it is, on standard error: in a terminal on one line that is rewritten.
pub struct Meter {
    whole: Option<Span>,
    began: Moment,
    told: Moment,
    progress: Progress,
    terminal: bool,
}

impl Meter {
    /// From `began`, for a film that lasts so long where that is known.
    pub fn new(progress: Progress, whole: Option<Span>, began: Moment) -> Meter {
        let terminal = io::stderr().is_terminal();
        Meter {
            whole,
            began,
            told: began,
            progress,
            terminal,
        }
    }

    /// A picture of the film at `at` is written.
    pub fn look(&mut self, now: Moment, at: MediaTime, counts: &Counts) {
        let every = EVERY[usize::from(!self.terminal)];
        if self.progress == Progress::Quiet || now - self.told < every {
            return;
        }
        self.told = now;
        let line = line(at - MediaTime::ZERO, self.whole, now - self.began, counts.all());
        // Whoever closed standard error does not want to know.
        let _ = match self.terminal {
            true => write!(io::stderr(), "\r{line}\x1b[K"),
            false => writeln!(io::stderr(), "{line}"),
        };
    }

    /// Nothing more is told.
    pub fn close(&self) {
        if self.terminal && self.progress == Progress::Shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// One line: how far of how much, in which time.
fn line(done: Span, whole: Option<Span>, took: Span, pictures: u64) -> String {
    let speed = done.secs_f64() / took.secs_f64().max(0.001);
    let Some(whole) = whole.filter(|whole| *whole > Span::ZERO) else {
        return format!("{} of film · {pictures} pictures · {speed:.1}× real time", clock(done));
    };
    let share = (done.secs_f64() / whole.secs_f64()).clamp(0.0, 1.0);
    let full = (share * CELLS as f64).round() as usize;
    let bar = "█".repeat(full) + &"░".repeat(CELLS - full);
    let left = Span::from_micros(((whole.secs_f64() - done.secs_f64()).max(0.0) / speed.max(1e-6) * 1e6) as i64);
    format!(
        "{bar} {:3.0} % · {pictures} pictures · {speed:.1}× real time · {} left",
        share * 100.0,
        clock(left)
    )
}

fn clock(span: Span) -> String {
    let seconds = span.secs_f64().round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Where it went.
    pub output: String,
    /// Width and height in luma pixels.
    pub size: (u32, u32),
    /// What made the pictures.
    pub maker: String,
    /// What was met on the way.
    pub met: Met,
    /// What came out.
    pub counts: Counts,
    /// Units that were damaged or could not be decoded.
    pub lost: u64,
    /// What became of sound and subtitles.
    pub carried: Vec<Carried>,
    /// How long the film lasts.
    pub lasts: Span,
    /// How long it took.
    pub took: Span,
    /// How long the stage that makes pictures worked.
    pub making: Span,
    /// How near they come to the true ones, where these were given.
    pub likeness: Option<Likeness>,
}

impl Summary {
    /// Milliseconds for each picture that is not the film's own.
    fn each_ms(&self) -> f64 {
        self.making.secs_f64() * 1e3 / self.counts.added().max(1) as f64
    }

    fn speed(&self) -> f64 {
        self.lasts.secs_f64() / self.took.secs_f64().max(1e-3)
    }

    /// Bytes that are copied into the encoder for each picture that comes out.
    fn encoder_bytes(&self) -> u64 {
        u64::from(self.size.0) * u64::from(self.size.1) * 3 / 2
    }

    /// As one JSON object.
    pub fn json(&self) -> Value {
        let Counts {
            kept,
            made,
            blended,
            repeats,
            cuts,
            resized,
        } = self.counts;
        let carried = self.carried.iter().map(|one| {
            let kind = if one.sound { "sound" } else { "subtitles" };
            json!({ "kind": kind, "codec": one.codec, "carried": one.carried })
        });
        let likeness = self.likeness.map(
            |likeness| json!({ "pictures": likeness.pictures, "psnr_db": likeness.psnr(), "ssim": likeness.ssim() }),
        );
        json!({
            "output": self.output,
            "width": self.size.0,
            "height": self.size.1,
            "maker": self.maker,
            "pictures": {
                "in": self.met.pictures, "out": self.counts.all(), "kept": kept, "made": made, "blended": blended,
                "held": { "repeated": repeats, "cut": cuts, "resized": resized },
            },
            "lost": self.lost,
            "holes": self.met.holes,
            "streams": carried.collect::<Vec<_>>(),
            "lasts_s": self.lasts.secs_f64(),
            "took_s": self.took.secs_f64(),
            "speed": self.speed(),
            "make_ms": self.each_ms(),
            "bytes": {
                "to_device": self.met.crossed.up, "from_device": self.met.crossed.back,
                "to_encoder_per_picture": self.encoder_bytes(),
            },
            "reference": likeness,
        })
    }

    /// For people.
    pub fn lines(&self) -> Vec<String> {
        let counts = &self.counts;
        let mut lines = vec![
            format!(
                "{}: {} pictures of {} × {} from {}, in {} ({:.1}× real time)",
                self.output,
                counts.all(),
                self.size.0,
                self.size.1,
                self.met.pictures,
                clock(self.took),
                self.speed()
            ),
            format!(
                "  {} kept · {} made along the vectors · {} blended · {} held ({} repeats, {} scene cuts, {} resized)",
                counts.kept,
                counts.made,
                counts.blended,
                counts.held(),
                counts.repeats,
                counts.cuts,
                counts.resized
            ),
            format!("  made by {}, {:.1} ms for each", self.maker, self.each_ms()),
            self.copies(),
        ];
        if self.lost > 0 {
            let holes = self.met.holes;
            lines.push(format!(
                "  {} units were damaged or could not be decoded: {holes} holes, in which nothing was made",
                self.lost
            ));
        }
        lines.extend(self.carried.iter().map(stream));
        if let Some(likeness) = &self.likeness {
            lines.push(format!(
                "  against the true pictures: {:.2} dB PSNR, {:.4} SSIM, mean of {}",
                likeness.psnr(),
                likeness.ssim(),
                likeness.pictures
            ));
        }
        lines
    }

    fn copies(&self) -> String {
        let mega = |bytes: u64| bytes as f64 / 1e6;
        let encoder = mega(self.encoder_bytes());
        let crossed = self.met.crossed;
        if crossed.up == 0 {
            return format!("  copies: one into the encoder for each picture, {encoder:.1} MB");
        }
        format!(
            "  copies: one to the device for each picture of the film ({:.1} MB with its vectors), one back for each that was \
             made ({:.1} MB), one into the encoder ({encoder:.1} MB)",
            mega(crossed.up / self.met.pictures.max(1)),
            mega(crossed.back / self.counts.added().max(1)),
        )
    }
}

fn stream(one: &Carried) -> String {
    let kind = if one.sound { "sound" } else { "subtitles" };
    match one.carried {
        true => format!("  {kind} ({}): carried over as it is", one.codec),
        false => format!(
            "  {kind} ({}): left out, for such a file can't hold it; an OUT that ends in .mkv can",
            one.codec
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_and_how_long() {
        let half = line(
            Span::from_secs(30),
            Some(Span::from_secs(60)),
            Span::from_secs(15),
            3_600,
        );
        assert_eq!(
            half,
            "████████████░░░░░░░░░░░░  50 % · 3600 pictures · 2.0× real time · 0:15 left"
        );
        let unknown = line(Span::from_secs(3_700), None, Span::from_secs(3_700), 1);
        assert_eq!(unknown, "1:01:40 of film · 1 pictures · 1.0× real time");
        assert!(line(Span::ZERO, Some(Span::from_secs(1)), Span::ZERO, 0).contains("0 %"));
    }

    #[test]
    fn each_picture_is_counted_once() {
        let mut counts = Counts::default();
        let all = [
            Came::Kept,
            Came::Made,
            Came::Blended,
            Came::Held(Held::Repeated),
            Came::Held(Held::Cut),
            Came::Held(Held::Resized),
        ];
        for (number, came) in all.into_iter().enumerate() {
            counts.count(came);
            assert_eq!(counts.all(), number as u64 + 1);
        }
        assert_eq!((counts.added(), counts.held()), (5, 3));
    }
}
