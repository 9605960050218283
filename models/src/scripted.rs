//! Engines that follow a script instead of hearing and reading, with a cost instead of work: what the simulator runs in place of models.
//! They are the real [`Listener`], [`Hearing`] and [`Reader`](crate::ocr::Reader) over scripted models, so what they put out keeps all the rules.

use std::sync::Arc;

use hearsight_core::gate::Budget;
use hearsight_core::media::{Certainty, Pcm, Picture, Planes, Point, Reading, Voice, Words};
use hearsight_core::stage::{Engine, Fault, Outbox, Signal, Wake};
use hearsight_core::time::{MediaTime, Moment, Span};

use crate::asr::{Heard, Hearing, Hypothesis, Recogniser};
use crate::ocr::{self, Chosen, Eyes, Slant, Spot, Text};
use crate::vad::{Config, Listener, VoiceProbability, WINDOW};

/// What a slice costs: from how much sound it worked on to how long it took.
pub type Cost = Box<dyn FnMut(Span) -> Span + Send>;

/// A cost of `fixed` plus `share` of the sound's span, up to twice that at random, drawn from `seed`.
pub fn cost(seed: u64, fixed: Span, share: f64) -> Cost {
    let mut random = fastrand::Rng::with_seed(seed);
    Box::new(move |sound| {
        let mean = fixed.nanos() as f64 + sound.nanos() as f64 * share;
        Span::from_nanos((mean * (1.0 + random.f64())) as i64)
    })
}

/// Stretches of speech, `(begin, end)` in media time, in order.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    spans: Arc<[(MediaTime, MediaTime)]>,
}

impl Schedule {
    /// From stretches of speech in order.
    pub fn new(spans: impl IntoIterator<Item = (MediaTime, MediaTime)>) -> Schedule {
        Schedule {
            spans: spans.into_iter().collect(),
        }
    }
    /// Whether somebody speaks at `at`.
    pub fn speech(&self, at: MediaTime) -> bool {
        let after = self.spans.partition_point(|span| span.0 <= at);
        after.checked_sub(1).is_some_and(|last| at < self.spans[last].1)
    }
}

impl VoiceProbability for Schedule {
    fn window(&mut self, at: MediaTime, samples: &[f32; WINDOW]) -> Result<f32, Fault> {
        let middle = at + Span::from_samples(samples.len() as i64 / 2, 16_000);
        Ok(if self.speech(middle) { 0.9 } else { 0.05 })
    }
    fn reset(&mut self) {}
}

/// A [`Listener`] that finds speech where its schedule says, whatever the sound is.
pub struct Voices {
    listener: Listener<Schedule>,
    cost: Cost,
}

impl Voices {
    /// Speech as scheduled; each slice spends `cost` of the sound it was given.
    pub fn new(schedule: Schedule, cost: Cost) -> Voices {
        // The script decides, not the level: simulated sound may be digital silence.
        let config = Config {
            above_floor_db: f32::NEG_INFINITY,
            faintest_db: f32::NEG_INFINITY,
            ..Config::default()
        };
        Voices {
            listener: Listener::new(schedule, config),
            cost,
        }
    }
}

impl Engine for Voices {
    type In = Pcm;
    type Out = Voice;

    fn run(&mut self, now: Moment, signal: Signal<Pcm>, out: &mut Outbox<Voice>) -> Result<Wake, Fault> {
        if let Signal::Item(unit) = &signal {
            out.spend((self.cost)(unit.item.span()));
        }
        self.listener.run(now, signal, out)
    }
    fn slice(&self) -> Span {
        self.listener.slice()
    }
    fn delay(&self) -> Span {
        self.listener.delay()
    }
}

/// A word of a transcript with its place in media time.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoken {
    /// The word.
    pub text: Arc<str>,
    /// When it begins.
    pub start: MediaTime,
    /// When it ends.
    pub end: MediaTime,
}

/// A recogniser that reads a transcript: a word is heard as soon as its end was.
struct Reader {
    transcript: Arc<[Spoken]>,
    begin: MediaTime,
    head: Span,
    cost: Cost,
    spent: Span,
}

impl Reader {
    fn words(&self) -> Hypothesis {
        let head = self.begin + self.head;
        let words = self
            .transcript
            .iter()
            .filter(|word| word.start >= self.begin && word.end <= head)
            .map(|word| Heard {
                text: word.text.clone(),
                start: word.start - self.begin,
                end: word.end - self.begin,
                certainty: Some(0.9),
            });
        Hypothesis {
            words: words.collect(),
            sure: 0,
        }
    }
}

impl Recogniser for Reader {
    fn name(&self) -> &str {
        "script"
    }
    fn begin(&mut self, at: MediaTime) -> Result<(), Fault> {
        self.begin = at;
        self.head = Span::ZERO;
        Ok(())
    }
    fn hear(&mut self, samples: &[f32]) -> Result<Option<Hypothesis>, Fault> {
        let sound = Span::from_samples(samples.len() as i64, 16_000);
        self.head += sound;
        self.spent += (self.cost)(sound);
        Ok(Some(self.words()))
    }
    fn finish(&mut self) -> Result<Hypothesis, Fault> {
        self.spent += (self.cost)(Span::ZERO);
        Ok(self.words())
    }
    fn reset(&mut self) {}
    fn portion(&self) -> Span {
        Span::from_millis(64)
    }
    fn slice(&self) -> Span {
        Span::from_millis(50)
    }
}

/// A [`Hearing`] that hears the words of its transcript.
pub struct Listened {
    hearing: Hearing<Reader>,
}

impl Listened {
    /// Words as transcribed; each slice spends `cost` of the sound that was decoded in it, and of nothing at a segment's end.
    pub fn new(transcript: impl IntoIterator<Item = Spoken>, cost: Cost) -> Listened {
        let transcript = transcript.into_iter().collect();
        let reader = Reader {
            transcript,
            begin: MediaTime::ZERO,
            head: Span::ZERO,
            cost,
            spent: Span::ZERO,
        };
        Listened {
            hearing: Hearing::new(reader),
        }
    }
}

impl Engine for Listened {
    type In = Voice;
    type Out = Words;

    fn run(&mut self, now: Moment, signal: Signal<Voice>, out: &mut Outbox<Words>) -> Result<Wake, Fault> {
        let wake = self.hearing.run(now, signal, out);
        out.spend(std::mem::take(&mut self.hearing.recogniser_mut().spent));
        wake
    }
    fn slice(&self) -> Span {
        self.hearing.slice()
    }
    fn delay(&self) -> Span {
        self.hearing.delay()
    }
}

/// Eyes that see the same rows of text in every picture.
struct Rows {
    rows: usize,
    look: Cost,
    read: Cost,
    spent: Span,
}

impl Eyes for Rows {
    fn look(&mut self, _: MediaTime, picture: &Picture<Planes>, _: u32) -> Result<Vec<Spot>, Fault> {
        self.spent += (self.look)(Span::ZERO);
        let (width, height) = (picture.width as f32, picture.height as f32 / self.rows.max(1) as f32);
        let row = |number: usize| Slant {
            centre: Point {
                x: width / 2.0,
                y: height * (number as f32 + 0.5),
            },
            along: Point { x: 1.0, y: 0.0 },
            width,
            height,
        };
        let spots = (0..self.rows).map(|number| Spot {
            slant: row(number),
            strength: 0.9,
        });
        Ok(spots.collect())
    }

    fn read(&mut self, _: MediaTime, _: &Picture<Planes>, _: &Slant) -> Result<Text, Fault> {
        self.spent += (self.read)(Span::ZERO);
        Ok(Text {
            text: "text".into(),
            certainty: Certainty::new(0.9),
            turned: false,
        })
    }
}

/// A [`Reader`](crate::ocr::Reader) that reads so many rows in every picture.
pub struct Readings {
    reader: ocr::Reader<Rows>,
}

impl Readings {
    /// `rows` lines, told under `budget`; finding them spends `look`, and reading each of them `read`, of no sound.
    pub fn new(rows: usize, budget: Budget, look: Cost, read: Cost) -> Readings {
        let spent = Span::ZERO;
        let eyes = Rows {
            rows,
            look,
            read,
            spent,
        };
        Readings {
            reader: ocr::Reader::new(eyes, ocr::Config { budget }),
        }
    }
}

impl Engine for Readings {
    type In = Chosen;
    type Out = Reading;

    fn run(&mut self, now: Moment, signal: Signal<Chosen>, out: &mut Outbox<Reading>) -> Result<Wake, Fault> {
        let wake = self.reader.run(now, signal, out);
        out.spend(std::mem::take(&mut self.reader.eyes_mut().spent));
        wake
    }
    fn slice(&self) -> Span {
        self.reader.slice()
    }
    fn delay(&self) -> Span {
        self.reader.delay()
    }
    fn took(&mut self, cost: Span) {
        self.reader.took(cost);
    }
    fn variant(&self) -> u8 {
        self.reader.variant()
    }
}
