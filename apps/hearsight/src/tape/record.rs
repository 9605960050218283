//! Recording: every stage of a session is wrapped by one that writes down what it took and what it put out.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hearsight_codecs::measure::PictureStats;
use hearsight_core::media::{Decoded, Packet, Reading, Voice, Words};
use hearsight_core::stage::{Engine, Fault, Outbox, Signal, Stage, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;
use hearsight_models::vlm::turn::Turn;

use super::{Kind, Line, Shaped, line_from_packet, put_from};
use crate::budget;
use crate::view::Counts;
use crate::wiring::{Audience, Hearing, Rooms};

/// A tape ends here, whatever happens: an hour of one session is about half of it.
const MOST_BYTES: u64 = 256 << 20;

/// Writes one tape. Clones write to the same; an error or a full tape ends the recording, never the session.
#[derive(Clone)]
pub struct Recorder {
    clock: Clock,
    file: Arc<Mutex<Option<Writing>>>,
}

struct Writing {
    file: BufWriter<File>,
    written: u64,
}

impl Recorder {
    /// Begins a tape at `path`.
    pub fn create(path: &Path, clock: Clock) -> std::io::Result<Recorder> {
        let file = BufWriter::new(File::create(path)?);
        let writing = Writing { file, written: 0 };
        Ok(Recorder {
            clock,
            file: Arc::new(Mutex::new(Some(writing))),
        })
    }

    /// Writes a packet that was let in just now.
    pub fn packet(&self, unit: &Stamped<Packet>) {
        self.write(&line_from_packet(self.clock.now(), unit));
    }

    fn write(&self, line: &Line) {
        let mut tape = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writing) = tape.as_mut() else { return };
        let Ok(mut json) = serde_json::to_vec(line) else { return };
        json.push(b'\n');
        writing.written += json.len() as u64;
        if writing.written > MOST_BYTES || writing.file.write_all(&json).is_err() {
            *tape = None;
            tracing::warn!("the tape is full or can't be written: recording ends here");
        }
    }
}

/// Wraps the rooms of a session so that they are recorded.
pub fn record(rooms: Rooms, threads: usize, tape: &Recorder) -> Rooms {
    tape.write(&Line::Machine {
        threads,
        pause: rooms.hearing.pause.micros(),
        ending: rooms.hearing.ending.micros(),
    });
    let wrap = |stage| Wrap {
        stage,
        tape: tape.clone(),
    };
    Rooms {
        opus: Box::new(Recorded {
            inner: rooms.opus,
            wrap: wrap("opus"),
        }),
        hearing: Hearing {
            vad: Box::new(Recorded {
                inner: rooms.hearing.vad,
                wrap: wrap("vad"),
            }),
            recognise: Box::new(Recorded {
                inner: rooms.hearing.recognise,
                wrap: wrap("recognise"),
            }),
            ..rooms.hearing
        },
        decode: Box::new(Recorded {
            inner: rooms.decode,
            wrap: wrap("decode"),
        }),
        measure: Box::new(Recorded {
            inner: rooms.measure,
            wrap: wrap("measure"),
        }),
        // Not on the tape: it is played in virtual time, where another thread's reading holds nobody up.
        reading: rooms.reading,
        // Nor are questions and answers, which think on the same thread.
        answering: rooms.answering,
        // Who watches is no part of the session: a tape is played to nobody.
        view: rooms.view,
    }
}

struct Wrap {
    stage: &'static str,
    tape: Recorder,
}

impl Wrap {
    fn note<T: Shaped>(&self, signal: Kind, began: Moment, out: &Outbox<T>) {
        let cost = (self.tape.clock.now() - began).micros();
        let items = out.signals().iter().filter_map(|signal| {
            if let Signal::Item(item) = signal {
                Some(item)
            } else {
                None
            }
        });
        let out = items.map(put_from).collect();
        self.tape.write(&Line::Run {
            stage: self.stage.to_owned(),
            signal,
            cost,
            out,
        });
    }
}

struct Recorded<S> {
    inner: S,
    wrap: Wrap,
}

impl<S: Stage> Stage for Recorded<S>
where
    S::Out: Shaped,
{
    type In = S::In;
    type Out = S::Out;
    fn step(&mut self, now: Moment, signal: Signal<S::In>, out: &mut Outbox<S::Out>) -> Wake {
        let (kind, began) = (Kind::of(&signal), self.wrap.tape.clock.now());
        let wake = self.inner.step(now, signal, out);
        self.wrap.note(kind, began, out);
        wake
    }
    fn delay(&self) -> Span {
        self.inner.delay()
    }
}

impl<E: Engine> Engine for Recorded<E>
where
    E::Out: Shaped,
{
    type In = E::In;
    type Out = E::Out;
    fn run(&mut self, now: Moment, signal: Signal<E::In>, out: &mut Outbox<E::Out>) -> Result<Wake, Fault> {
        let (kind, began) = (Kind::of(&signal), self.wrap.tape.clock.now());
        let wake = self.inner.run(now, signal, out);
        self.wrap.note(kind, began, out);
        wake
    }
    fn slice(&self) -> Span {
        self.inner.slice()
    }
    fn delay(&self) -> Span {
        self.inner.delay()
    }
    fn took(&mut self, cost: Span) {
        self.inner.took(cost);
    }
    fn variant(&self) -> u8 {
        self.inner.variant()
    }
}

/// An audience whose ages are written down as they are.
pub struct Overheard {
    inner: Arc<dyn Audience>,
    tape: Recorder,
}

impl Overheard {
    /// Passes everything on to `inner`.
    pub fn new(inner: Arc<dyn Audience>, tape: Recorder) -> Overheard {
        Overheard { inner, tape }
    }
    fn note<T>(&self, now: Moment, outlet: &str, item: &Stamped<T>) {
        self.tape.write(&Line::Out {
            outlet: outlet.to_owned(),
            age: item.age(now).micros(),
        });
    }
}

impl Audience for Overheard {
    fn voice(&self, now: Moment, signal: Signal<Voice>) {
        if let Signal::Item(item) = &signal
            && !matches!(item.item, Voice::Sound(_) | Voice::Rested | Voice::Ended)
        {
            self.note(now, budget::TURN.outlet, item);
        }
        self.inner.voice(now, signal);
    }
    fn words(&self, now: Moment, signal: Signal<Words>) {
        if let Signal::Item(item) = &signal {
            let budget = if item.item.settled {
                budget::WORDS_FINAL
            } else {
                budget::WORDS_PARTIAL
            };
            self.note(now, budget.outlet, item);
        }
        self.inner.words(now, signal);
    }
    fn picture(&self, now: Moment, signal: Signal<PictureStats>) {
        if let Signal::Item(item) = &signal {
            self.note(now, budget::PICTURE.outlet, item);
        }
        self.inner.picture(now, signal);
    }
    fn reading(&self, now: Moment, signal: Signal<Reading>) {
        self.inner.reading(now, signal);
    }
    fn answer(&self, now: Moment, signal: Signal<Turn>) {
        self.inner.answer(now, signal);
    }
    fn viewed(&self, now: Moment, signal: Signal<Counts>) {
        self.inner.viewed(now, signal);
    }
    fn seen(&self, now: Moment, signal: Signal<Decoded>) {
        self.inner.seen(now, signal);
    }
}
