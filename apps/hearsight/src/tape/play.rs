//! Playing: stages that put out what was recorded, at the cost that was recorded.

use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;

use hearsight_core::media::{Codec, Packet};
use hearsight_core::stage::{Engine, Fault, Outbox, Signal, Stage, Wake};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{Moment, Span};
use thiserror::Error;

use super::{Kind, Line, Put, Shaped, media, moment};
use crate::wiring::{Hearing, Rooms};

/// Why a tape can't be played.
#[derive(Debug, Error)]
pub enum TapeError {
    /// A line is not what a tape holds.
    #[error("line {line} of the tape: {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// The first line must say what machine it was.
    #[error("the tape does not begin with a machine line; record it again with --log-tape")]
    Headless,
}

type Runs = BTreeMap<Kind, VecDeque<(i64, Vec<Put>)>>;

/// A tape, read.
#[derive(Debug)]
pub struct Tape {
    /// Engine threads of the machine it was recorded on.
    pub threads: usize,
    /// The units that came in, and when.
    pub packets: Vec<(Moment, Stamped<Packet>)>,
    /// The ages at the outlets, in the order in which they left.
    pub ages: Vec<(String, Span)>,
    delays: [Span; 2],
    runs: BTreeMap<String, Runs>,
}

impl Tape {
    /// Reads a tape. Errors: [`TapeError`].
    pub fn parse(text: &str) -> Result<Tape, TapeError> {
        let mut tape = None;
        for (index, line) in text.lines().enumerate() {
            let read = serde_json::from_str(line);
            let line = read.map_err(|error| TapeError::Line {
                line: index + 1,
                problem: error.to_string(),
            })?;
            match (line, &mut tape) {
                (Line::Machine { threads, pause, ending }, None) => {
                    let delays = [pause, ending].map(Span::from_micros);
                    tape = Some(Tape {
                        threads,
                        packets: vec![],
                        ages: vec![],
                        delays,
                        runs: BTreeMap::new(),
                    });
                }
                (_, None) => return Err(TapeError::Headless),
                (line, Some(tape)) => tape.add(line),
            }
        }
        tape.ok_or(TapeError::Headless)
    }

    fn add(&mut self, line: Line) {
        match line {
            Line::Machine { .. } => {}
            Line::Packet {
                now,
                at,
                born,
                sound,
                bytes,
                key,
                missing,
            } => {
                let codec = if sound { Codec::Opus } else { Codec::H264 };
                let payload = vec![0; bytes.min(1 << 20)].into();
                let mut unit = Stamped::new(
                    media(at),
                    moment(born),
                    Packet {
                        codec,
                        payload,
                        key,
                        missing,
                    },
                );
                unit.trail.stamp(Mark::Released, moment(now));
                self.packets.push((moment(now), unit));
            }
            Line::Run {
                stage,
                signal,
                cost,
                out,
            } => {
                self.runs
                    .entry(stage)
                    .or_default()
                    .entry(signal)
                    .or_default()
                    .push_back((cost, out));
            }
            Line::Out { outlet, age } => self.ages.push((outlet, Span::from_micros(age))),
        }
    }

    /// Rooms that do again what they did on the tape. Empties the tape's runs.
    pub fn rooms(&mut self) -> Rooms {
        let [pause, ending] = self.delays;
        let mut runs = |stage: &str| self.runs.remove(stage).unwrap_or_default();
        Rooms {
            opus: Box::new(Played::new(runs("opus"))),
            hearing: Hearing {
                vad: Box::new(Played::new(runs("vad"))),
                recognise: Box::new(Played::new(runs("recognise"))),
                pause,
                ending,
                // It is in the timing of the tape.
                settling: Span::ZERO,
            },
            decode: Box::new(Played::new(runs("decode"))),
            measure: Box::new(Played::new(runs("measure"))),
            reading: None,
            answering: None,
            view: None,
        }
    }
}

/// A stage or engine that plays its part of a tape.
pub struct Played<I, O> {
    runs: Runs,
    longest: Span,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O: Shaped> Played<I, O> {
    fn new(runs: Runs) -> Played<I, O> {
        let longest = runs.values().flatten().map(|(cost, _)| *cost).max().unwrap_or(0);
        Played {
            runs,
            longest: Span::from_micros(longest),
            types: PhantomData,
        }
    }

    fn play(&mut self, signal: &Signal<I>, out: &mut Outbox<O>) {
        let Some((cost, puts)) = self.runs.get_mut(&Kind::of(signal)).and_then(VecDeque::pop_front) else {
            return;
        };
        out.spend(Span::from_micros(cost));
        for put in puts {
            if let Some(item) = O::stand_in(&put.shape) {
                out.put(Stamped::new(media(put.at), moment(put.born), item));
            }
        }
    }
}

impl<I, O: Shaped> Stage for Played<I, O> {
    type In = I;
    type Out = O;
    fn step(&mut self, _: Moment, signal: Signal<I>, out: &mut Outbox<O>) -> Wake {
        self.play(&signal, out);
        Wake::OnSignal
    }
}

impl<I, O: Shaped> Engine for Played<I, O> {
    type In = I;
    type Out = O;
    fn run(&mut self, _: Moment, signal: Signal<I>, out: &mut Outbox<O>) -> Result<Wake, Fault> {
        self.play(&signal, out);
        Ok(Wake::OnSignal)
    }
    fn slice(&self) -> Span {
        self.longest
    }
}
