//! One microphone over the whole of a visit, however often it goes and comes back: what the callback left becomes units on
//! one timeline, what is missing becomes a gap. Time is an argument; what opens microphones is behind [`Microphones`].

use hearsight_core::media::Pcm;
use hearsight_core::stage::{Gap, Lost};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{MediaTime, Moment, Span};
use thiserror::Error;

use super::card_clock::{CardClock, Place};
use super::ring::{self, Alarm, Drain, Ended, Portion, Tap};

/// A microphone that is gone is looked for this often.
pub const RETRY: Span = Span::from_secs(1);
/// A stream that brings nothing for this long is taken for dead: the longest portion that cards hand over is a tenth of it.
pub const SILENT: Span = Span::from_secs(2);
/// What a card says of sound that it held back for longer is not believed.
pub const HELD: Span = Span::from_millis(500);
/// What a gap counts in: portions of this length.
const UNIT: Span = Span::from_millis(10);

/// What a gap calls the place of the loss.
pub const STAGE: &str = "microphone";

/// An open microphone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// What people call it.
    pub name: String,
    /// Samples per second.
    pub rate: u32,
    /// Channels, which are folded to one.
    pub channels: u16,
}

/// Why there is no microphone. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no microphone: {problem}")]
pub struct NoMicrophone {
    /// What is wrong, and the remedy.
    pub problem: String,
}

/// What opens microphones: the sound system, or a script of one.
pub trait Microphones {
    /// Runs until it is dropped.
    type Stream;
    /// Opens the microphone that was asked for. Sound goes to `tap`, trouble to `alarm`.
    fn open(&mut self, tap: Tap, alarm: Alarm) -> Result<(Self::Stream, Format), NoMicrophone>;
}

/// What there is to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A microphone is open.
    Opened(Format),
    /// It is gone; it is looked for from now on.
    Gone(&'static str),
    /// Sound at the card's rate.
    Sound(Stamped<Pcm>),
    /// Sound is missing here.
    Gap(Gap),
}

/// A microphone that is kept open.
pub struct Capture<M: Microphones> {
    microphones: M,
    clock: CardClock,
    /// The timeline's zero: the first sound.
    origin: Option<Moment>,
    /// Whether a hole lies before the next portion that has been told already.
    told: bool,
    open: Option<Open<M::Stream>>,
    retry: Moment,
}

struct Open<S> {
    /// Dropped first: after that nothing is poured.
    stream: S,
    drain: Drain,
    format: Format,
    heard: Moment,
}

impl<M: Microphones> Capture<M> {
    /// Opens a microphone at `now`.
    pub fn open(microphones: M, now: Moment) -> Result<(Capture<M>, Format), NoMicrophone> {
        let mut capture = Capture {
            microphones,
            clock: CardClock::default(),
            origin: None,
            told: false,
            open: None,
            retry: now,
        };
        let format = capture.try_open(now)?;
        Ok((capture, format))
    }

    /// Takes what came and sees to the microphone. Returns when it must be stepped again at the latest; new sound wakes the
    /// thread that opened.
    pub fn step(&mut self, now: Moment, tell: &mut impl FnMut(News)) -> Moment {
        if self.open.is_none() && now >= self.retry {
            self.retry = now + RETRY;
            if let Ok(format) = self.try_open(now) {
                tell(News::Opened(format));
            }
        }
        let Some(mut open) = self.open.take() else {
            return self.retry;
        };
        let ended = open.drain.ended();
        while let Some(portion) = open.drain.take() {
            open.heard = now;
            self.take(portion, open.format.rate, tell);
        }
        let why = match ended {
            None if now - open.heard < SILENT => {
                let next = open.heard + SILENT;
                self.open = Some(open);
                return next;
            }
            None => "it has fallen silent",
            Some(Ended::Unplugged) => "it was unplugged",
            Some(Ended::Changed) => "its format changed",
            Some(Ended::Failed) => "the sound system reports an error",
        };
        self.close(open, tell);
        tell(News::Gone(why));
        // What only changed its format is there at once.
        self.retry = if ended == Some(Ended::Changed) {
            now
        } else {
            now + RETRY
        };
        self.retry
    }

    fn try_open(&mut self, now: Moment) -> Result<Format, NoMicrophone> {
        let (tap, alarm, drain) = ring::ring(std::thread::current());
        let (stream, format) = self.microphones.open(tap, alarm)?;
        self.open = Some(Open {
            stream,
            drain,
            format: format.clone(),
            heard: now,
        });
        Ok(format)
    }

    fn close(&mut self, open: Open<M::Stream>, tell: &mut impl FnMut(News)) {
        let Open {
            stream,
            mut drain,
            format,
            ..
        } = open;
        drop(stream);
        while let Some(portion) = drain.take() {
            self.take(portion, format.rate, tell);
        }
        // The hole lasts until it is back; how long that is, nobody knows yet.
        let count = units(Span::from_samples(drain.untold() as i64, format.rate)) + 1;
        self.lose(Lost::Undecodable, count, tell);
        self.told = true;
    }

    fn take(&mut self, portion: Portion, rate: u32, tell: &mut impl FnMut(News)) {
        let span = Span::from_samples(portion.samples.len() as i64, rate);
        // It was captured, to its end, before it was handed over, and no card holds it back for long.
        let whole = portion.handed - span;
        let seen = portion.born.min(whole).max(whole - HELD);
        let overrun = Span::from_samples(portion.lost as i64, rate);
        let place = if self.told || portion.torn || portion.lost > 0 {
            self.clock.after_hole(seen, span)
        } else {
            self.clock.follow(seen, span)
        };
        let born = match place {
            Place::Nowhere => return self.lose(Lost::Refused, units(span + overrun), tell),
            Place::Follows(born) => born,
            Place::After(born, missing) => {
                if portion.lost > 0 {
                    self.lose(Lost::TooOld, units(overrun), tell);
                } else if !self.told && missing > Span::ZERO {
                    self.lose(Lost::Undecodable, units(missing), tell);
                }
                born
            }
        };
        self.told = false;
        let at = MediaTime::ZERO + (born - *self.origin.get_or_insert(born));
        let pcm = Pcm {
            rate,
            samples: portion.samples,
        };
        let mut sound = Stamped::new(at, born, pcm);
        sound.trail.stamp(Mark::Captured, portion.handed);
        tell(News::Sound(sound));
    }

    fn lose(&mut self, why: Lost, count: u32, tell: &mut impl FnMut(News)) {
        tell(News::Gap(Gap {
            stage: STAGE,
            why,
            count,
        }));
    }
}

/// So many portions of the usual length, begun ones counted.
fn units(span: Span) -> u32 {
    let count = (span.nanos().max(0) + UNIT.nanos() - 1) / UNIT.nanos();
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "capture_tests.rs"]
mod tests;
