//! The engine: sound in, segments of speech out.

use std::collections::VecDeque;
use std::sync::Arc;

use hearsight_core::media::{Pcm, Voice};
use hearsight_core::stage::{Engine, Fault, Lost, Outbox, Signal, Wake};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{MediaTime, Moment, Span};

use super::phases::{Phases, Turn};
use super::{VoiceProbability, WINDOW};
use crate::origin::{Origins, RATE, span_of};

/// When sound counts as speech. Windows are 32 ms.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// A window at least this likely begins speech or goes on with it: what the authors of Silero use.
    pub on: f32,
    /// A window less likely than this is silence; between the two, things stay as they are. `on` − 0.15, as its authors have it.
    pub off: f32,
    /// So many likely windows in a row begin a segment: one alone is often a click.
    pub onset_windows: u32,
    /// Silence of this many windows says that speech has stopped: 160 ms, longer than the closure of a stop consonant.
    pub pause_windows: u32,
    /// Silence of this many windows ends the phrase: 288 ms, so that final words fit into 600 ms after the end of speech.
    pub rest_windows: u32,
    /// Silence of this many windows ends the segment: 1152 ms. Who reads aloud rests longer about once a minute.
    pub end_windows: u32,
    /// Sound from before the onset that belongs to the segment: soft first consonants lie below `on`.
    pub pre_roll: Span,
    /// From this length on a pause of 128 ms is enough to end a phrase: 8 s. Finishing costs time by the length.
    pub breath_windows: u32,
    /// From this length on a phrase ends at the first short pause, or is cut at a dip: 17 s.
    pub soft_windows: u32,
    /// At this length it is cut wherever it is: 20 s bound what a recogniser must hold.
    pub longest_windows: u32,
    /// Speech lies at least this far above the noise floor. Small, because the model
    /// judges noise better than a level does: it only keeps out what is no louder than the room.
    pub above_floor_db: f32,
    /// Fainter than this, below full scale, is silence: no microphone in use is that far down while somebody speaks.
    pub faintest_db: f32,
    /// With no sound at all for this long, an open segment ends: a sender that vanished must not keep it open.
    pub stall: Span,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            on: 0.5,
            off: 0.35,
            onset_windows: 2,
            pause_windows: 5,
            rest_windows: 9,
            end_windows: 36,
            pre_roll: Span::from_millis(300),
            breath_windows: 250,
            soft_windows: 532,
            longest_windows: 625,
            above_floor_db: 3.0,
            faintest_db: -65.0,
            stall: Span::from_millis(500),
        }
    }
}

impl Config {
    /// How much later than its sound `Started` and the first `Sound` come: the windows that make an onset.
    pub fn onset_delay(&self) -> Span {
        span_of(u64::from(self.onset_windows) * WINDOW as u64)
    }
    /// How much later than the end of speech `Paused` comes: the silence, and the window in which speech ended.
    pub fn pause_delay(&self) -> Span {
        span_of(u64::from(self.pause_windows + 1) * WINDOW as u64)
    }
    /// How much later than the end of speech `Rested` comes.
    pub fn rest_delay(&self) -> Span {
        span_of(u64::from(self.rest_windows + 1) * WINDOW as u64)
    }
    /// How much later than the end of speech `Ended` comes.
    pub fn end_delay(&self) -> Span {
        span_of(u64::from(self.end_windows + 1) * WINDOW as u64)
    }
}

/// More sound than this in one unit is refused: an Opus packet holds at most 120 ms, and a slice must stay short.
const LONGEST_UNIT: usize = RATE as usize / 2;
/// A unit that begins this far from where the last one ended does not join up with it.
const SEAM: Span = Span::from_millis(10);
/// A unit this far in the past belongs to a new timeline; one less far is late and lost.
const REWIND: Span = Span::from_secs(1);
/// Chunks to remember: 1.6 s of the shortest Opus packets, more than the silence that ends a segment.
const ORIGINS: usize = 640;

/// Finds segments of speech in 16 kHz mono sound, whatever the size of its chunks.
///
/// Sound carries the birth and the trail of the packet that its last sample came from; `Started` and `Resumed` those of the
/// packet in which speech began, `Paused`, `Rested` and `Ended` those of the packet in which it ended. After a rest nothing is passed on
/// until speech resumes. A hole shorter than a rest leaves a segment open, with the `Gap` in its place; a longer one ends it.
/// `Flush` forgets an open segment without an `Ended`. [`Engine::delay`] is that of `Started` and `Sound`; those of `Paused`, `Rested`
/// and `Ended` are [`Config::pause_delay`], [`Config::rest_delay`] and [`Config::end_delay`].
pub struct Listener<V> {
    voice: V,
    config: Config,
    phases: Phases,
    origins: Origins,
    /// Sound that does not fill a window yet.
    pending: Vec<f32>,
    /// The position of its first sample.
    start: u64,
    /// The position after the last window of speech.
    spoken: u64,
    /// Sound before a possible onset, up to the pre-roll.
    held: VecDeque<f32>,
    /// Whether the hole before the next unit has been announced.
    announced: bool,
    last_input: Moment,
}

impl<V: VoiceProbability> Listener<V> {
    /// A listener for one stream.
    pub fn new(voice: V, config: Config) -> Listener<V> {
        Listener {
            voice,
            config,
            phases: Phases::new(),
            origins: Origins::new(ORIGINS),
            pending: Vec::with_capacity(WINDOW),
            start: 0,
            spoken: 0,
            held: VecDeque::new(),
            announced: false,
            last_input: Moment::ZERO,
        }
    }

    fn hear(&mut self, now: Moment, unit: Stamped<Pcm>, out: &mut Outbox<Voice>) -> Result<(), Fault> {
        if unit.item.samples.is_empty() {
            return Ok(());
        }
        let samples = &unit.item.samples;
        if unit.item.rate != RATE || samples.len() > LONGEST_UNIT {
            return self.refuse(now, Lost::Refused, out);
        }
        if !samples.iter().all(|sample| sample.is_finite()) {
            return self.refuse(now, Lost::Undecodable, out);
        }
        if !self.join(now, unit.at, out) {
            return Ok(());
        }
        self.last_input = now;
        self.origins.push(&unit, samples.len());
        for sample in samples.iter() {
            self.pending.push(sample.clamp(-1.0, 1.0));
            if self.pending.len() == WINDOW {
                self.window(now, out)?;
            }
        }
        Ok(())
    }

    fn refuse(&mut self, now: Moment, why: Lost, out: &mut Outbox<Voice>) -> Result<(), Fault> {
        self.close_seam(now, out);
        out.lose(why, 1);
        self.announced = true;
        Ok(())
    }

    /// Whether a unit at `at` may follow; handles the hole before it.
    fn join(&mut self, now: Moment, at: MediaTime, out: &mut Outbox<Voice>) -> bool {
        let announced = std::mem::take(&mut self.announced);
        let Some(expected) = self.origins.expected() else {
            return true;
        };
        let jump = at - expected;
        if jump < -SEAM && jump > -REWIND {
            out.lose(Lost::TooOld, 1);
            self.announced = announced;
            return false;
        }
        if jump <= SEAM && jump >= -SEAM {
            return true;
        }
        self.close_seam(now, out);
        if !announced {
            out.lose(Lost::Undecodable, 1);
        }
        if jump < Span::ZERO || jump >= self.config.rest_delay() {
            self.end_segment(now, out);
            self.voice.reset();
        }
        true
    }

    /// Lets go of what must not be joined with what follows: as sound of the phrase, or not at all.
    fn close_seam(&mut self, now: Moment, out: &mut Outbox<Voice>) {
        if self.phases.in_phrase() {
            let samples: Arc<[f32]> = self.pending.drain(..).collect();
            self.sound(now, self.start, samples, out);
        }
        self.pending.clear();
        self.held.clear();
        self.start = self.origins.head();
    }

    fn window(&mut self, now: Moment, out: &mut Outbox<Voice>) -> Result<(), Fault> {
        let mut window = [0.0; WINDOW];
        window.copy_from_slice(&self.pending);
        self.pending.clear();
        let start = self.start;
        self.start += WINDOW as u64;
        match self.voice.window(self.origins.begin(start), &window) {
            Ok(probability) => {
                let in_phrase = self.phases.in_phrase();
                let turn = self.phases.window(&self.config, probability, level_db(&window));
                if in_phrase {
                    self.follow(now, &window, turn, out)
                } else {
                    self.wait(now, &window, turn, out)
                }
                Ok(())
            }
            Err(fault) => {
                self.end_segment(now, out);
                self.voice.reset();
                self.held.clear();
                self.start = self.origins.head();
                Err(fault)
            }
        }
    }

    /// Outside a phrase: holds sound back for the pre-roll until an onset is believed.
    fn wait(&mut self, now: Moment, window: &[f32; WINDOW], turn: Turn, out: &mut Outbox<Voice>) {
        let onset = self.config.onset_windows as usize * WINDOW;
        let room = self.config.pre_roll.samples(RATE).max(0) as usize + onset;
        self.held.extend(window);
        let excess = self.held.len().saturating_sub(room);
        self.held.drain(..excess);
        let began = match turn {
            Turn::Started => Voice::Started,
            Turn::Resumed => Voice::Resumed,
            Turn::Ended => return self.put(now, self.origins.end(self.spoken), self.spoken, Voice::Ended, out),
            Turn::None | Turn::Paused | Turn::Rested | Turn::Cut => return,
        };
        let onset = self.start - (onset.min(self.held.len())) as u64;
        self.put(now, self.origins.begin(onset), onset + 1, began, out);
        let first = self.start - self.held.len() as u64;
        // One unit: its birth is that of its last sample, so that a link that keeps what is recent keeps the pre-roll.
        let samples: Arc<[f32]> = self.held.drain(..).collect();
        self.sound(now, first, samples, out);
        self.spoken = self.start;
    }

    /// Inside a phrase: passes the window on, with what it changes.
    fn follow(&mut self, now: Moment, window: &[f32; WINDOW], turn: Turn, out: &mut Outbox<Voice>) {
        let first = self.start - WINDOW as u64;
        if turn == Turn::Resumed {
            self.put(now, self.origins.begin(first), first + 1, Voice::Resumed, out);
        }
        self.sound(now, first, Arc::from(window.as_slice()), out);
        if self.phases.in_phrase() && self.phases.silent() == 0 {
            self.spoken = self.start;
        }
        match turn {
            Turn::Paused => self.put(now, self.origins.end(self.spoken), self.spoken, Voice::Paused, out),
            Turn::Rested => self.put(now, self.origins.end(self.spoken), self.spoken, Voice::Rested, out),
            Turn::Cut => {
                let cut = self.origins.end(self.start);
                self.put(now, cut, self.start, Voice::Rested, out);
                self.put(now, cut, self.start, Voice::Resumed, out);
            }
            Turn::None | Turn::Started | Turn::Resumed | Turn::Ended => {}
        }
    }

    /// Closes an open segment because of something other than silence.
    fn end_segment(&mut self, now: Moment, out: &mut Outbox<Voice>) {
        if self.phases.open() {
            self.phases.close();
            self.put(now, self.origins.end(self.spoken), self.spoken, Voice::Ended, out);
        }
    }

    fn sound(&self, now: Moment, first: u64, samples: Arc<[f32]>, out: &mut Outbox<Voice>) {
        if !samples.is_empty() {
            let end = first + samples.len() as u64;
            self.put(
                now,
                self.origins.begin(first),
                end,
                Voice::Sound(Pcm { rate: RATE, samples }),
                out,
            );
        }
    }

    fn put(&self, now: Moment, at: MediaTime, end: u64, voice: Voice, out: &mut Outbox<Voice>) {
        let mut unit = self.origins.stamp(at, end, voice);
        unit.trail.stamp(Mark::Voiced, now);
        out.put(unit);
    }

    fn forget(&mut self) {
        self.phases.close();
        self.voice.reset();
        self.pending.clear();
        self.held.clear();
        self.origins.clear();
        self.start = self.origins.head();
        self.announced = false;
    }
}

impl<V: VoiceProbability> Engine for Listener<V> {
    type In = Pcm;
    type Out = Voice;

    fn run(&mut self, now: Moment, signal: Signal<Pcm>, out: &mut Outbox<Voice>) -> Result<Wake, Fault> {
        match signal {
            Signal::Item(unit) => self.hear(now, unit, out)?,
            Signal::Gap(gap) => {
                self.close_seam(now, out);
                out.pass(gap);
                self.announced = true;
            }
            Signal::Timer => {
                if now >= self.last_input + self.config.stall {
                    self.close_seam(now, out);
                    self.end_segment(now, out);
                }
            }
            Signal::Flush(_) => self.forget(),
            Signal::End => {
                self.close_seam(now, out);
                self.end_segment(now, out);
                out.end();
            }
        }
        Ok(if self.phases.open() {
            Wake::At(self.last_input + self.config.stall)
        } else {
            Wake::OnSignal
        })
    }

    /// Fifteen windows of the longest unit, at 0.1 ms each, with room for a busy machine.
    fn slice(&self) -> Span {
        Span::from_millis(5)
    }

    fn delay(&self) -> Span {
        self.config.onset_delay()
    }
}

/// Level in dB below full scale; −100 for digital silence.
fn level_db(samples: &[f32]) -> f32 {
    let power = samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len().max(1) as f32;
    10.0 * (power + 1e-10).log10()
}
