//! A simulated machine with simulated callers.

use std::sync::{Arc, Mutex};

use hearsight::budget::{self, JITTER_WAIT};
use hearsight::simulate::rooms::{Costly, H264, Opus, answering, sight_units, sound_units};
use hearsight::view::{Counts, Hand, Style, Totals, Viewing};
use hearsight::watch::{Asked, Screen, Seat};
use hearsight::wiring::{self, Audience, Hearing, Reading, Rooms};
use hearsight_codecs::measure::{self, PictureStats};
use hearsight_core::graph::Graph;
use hearsight_core::media::{self, Request, Voice, Words};
use hearsight_core::meter::{Meter, Tally};
use hearsight_core::network::{Network, carry};
use hearsight_core::sim::{Sim, Step};
use hearsight_core::stage::{Gap, Signal};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::ocr::Chooser;
use hearsight_models::scripted::{self, Schedule, Spoken};
use hearsight_models::vad;
use hearsight_models::vlm::turn::Turn;
use hearsight_shaders::interpolate::Rung;

use super::asking::{ALLOWED, Quiz, put};

/// What a caller does and how they are connected.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub network: Network,
    /// What one decoded picture costs.
    pub picture_cost: Span,
    /// Pictures per second.
    pub fps: i64,
    pub talk: Vec<Spoken>,
    /// Who watches, if anybody.
    pub watched: Option<Watching>,
    /// What is asked about the picture, if anybody answers.
    pub asked: Option<Quiz>,
}

/// What a view costs that is watched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watching {
    /// To make one picture.
    pub make: Span,
    /// To code one.
    pub encode: Span,
}

/// What came of it, for one caller.
#[derive(Default)]
pub(super) struct Outcome {
    pub tally: Tally,
    pub finals: Vec<String>,
    /// How many lines each had.
    pub readings: Vec<usize>,
    pub gaps: Vec<Gap>,
    pub requests: Vec<Request>,
    /// What was said to questions, and how old these were then.
    pub turns: Vec<(Span, Stamped<Turn>)>,
    /// What the client was told last of the view.
    pub counts: Option<Counts>,
}

/// Lines of text in every picture.
pub(super) const LINES: usize = 3;
pub(super) const TALK_SECONDS: i64 = 12;

/// Sentences of three to seven words with pauses between, drawn from a seed.
pub(super) fn talk(random: &mut fastrand::Rng) -> Vec<Spoken> {
    let (mut words, mut at) = (Vec::new(), 500);
    while at < TALK_SECONDS * 1_000 - 4_500 {
        for _ in 0..random.i64(3..8) {
            let length = random.i64(180..450);
            let text = format!("word{}", words.len()).into();
            words.push(Spoken {
                text,
                start: MediaTime::from_millis(at),
                end: MediaTime::from_millis(at + length),
            });
            at += length + random.i64(0..60);
        }
        at += random.i64(600..1_500);
    }
    words
}

/// Runs all callers on a machine with `workers` engine threads.
pub(super) fn run(seed: u64, workers: usize, callers: &[Caller]) -> (Vec<Step>, Vec<Outcome>) {
    let mut sim = Sim::new(workers);
    let ears: Vec<_> = callers
        .iter()
        .enumerate()
        .map(|(i, caller)| call(&mut sim, seed ^ (i as u64) << 32, caller))
        .collect();
    let trace = sim.run(Moment::MAX).to_vec();
    let outcomes = ears.into_iter().enumerate().map(|(session, (ears, requests, _seat))| {
        assert!(sim.graph(session).finished(), "session {session} did not end");
        let mut outcome = std::mem::take(&mut *ears.0.lock().unwrap());
        outcome.tally = sim.graph(session).meter().tally();
        outcome.requests = std::mem::take(&mut *requests.lock().unwrap());
        outcome
    });
    (trace, outcomes.collect())
}

/// The worst case of the drawing at an outlet.
pub(super) fn worst_case(outlet: &str) -> Span {
    let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
    let caller = Caller {
        network: Network::PERFECT,
        picture_cost: Span::ZERO,
        fps: 30,
        talk: vec![],
        watched: Some(Watching {
            make: Span::ZERO,
            encode: Span::ZERO,
        }),
        asked: Some(Quiz {
            at: vec![],
            tile: Span::from_millis(100),
            token: Span::from_millis(30),
            allowed: ALLOWED,
        }),
    };
    wiring::draw(
        &mut graph,
        rooms(0, &caller, &Screen::default()),
        Arc::new(Ears::default()),
    );
    graph.worst_case(outlet).expect("promised")
}

type Requests = Arc<Mutex<Vec<Request>>>;

fn call(sim: &mut Sim, seed: u64, caller: &Caller) -> (Arc<Ears>, Requests, Option<Seat>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (ears, requests) = (Arc::new(Ears::default()), Requests::default());
    let upstream = requests.clone();
    let mut graph = Graph::new(
        Meter::default(),
        Arc::new(move |request| upstream.lock().unwrap().push(request)),
    );
    let screen = Screen::default();
    // Nobody takes what is shown: a viewer who falls behind is the screen's to bear.
    let seat = caller.watched.and_then(|_| screen.sit(Asked::Session, Box::new(|| {})));
    let doors = wiring::draw(&mut graph, rooms(seed, caller, &screen), ears.clone());
    let session = sim.adopt(graph);
    let (sound, sight) = (Arc::new(doors.sound), Arc::new(doors.sight));
    let length = Span::from_secs(TALK_SECONDS);
    let mut last = Moment::ZERO;
    if let (Some(questions), Some(asked)) = (doors.questions, &caller.asked) {
        last = put(sim, session, questions, asked);
    }
    for (source, sent) in [(&sound, sound_units(length)), (&sight, sight_units(length, caller.fps))] {
        for (when, mut unit) in carry(caller.network, &mut random, JITTER_WAIT, sent) {
            // As for a foreign client: age counts from arrival, because the bound is the server's.
            unit.born = unit.trail.at(Mark::Arrived).expect("carried");
            last = last.max(when);
            let door = source.clone();
            sim.at(when, session, source.id(), move |now| {
                door.push(now, Signal::Item(unit))
            });
        }
    }
    for source in [sound, sight] {
        let door = source.clone();
        sim.at(last + Span::from_secs(2), session, source.id(), move |now| {
            door.push(now, Signal::End)
        });
    }
    (ears, requests, seat)
}

fn rooms(seed: u64, caller: &Caller, screen: &Screen) -> Rooms {
    Rooms {
        opus: Box::new(Opus),
        hearing: hearing(seed, &caller.talk),
        decode: Box::new(H264::new(scripted::cost(seed ^ 3, caller.picture_cost / 2, 0.0))),
        measure: Box::new(measure::Meter::default()),
        reading: Some(Reading {
            choose: Box::new(Chooser::new(2)),
            read: Box::new(scripted::Readings::new(
                LINES,
                budget::READING,
                scripted::cost(seed ^ 4, Span::from_millis(60), 0.0),
                scripted::cost(seed ^ 5, Span::from_millis(20), 0.0),
            )),
        }),
        answering: caller
            .asked
            .as_ref()
            .map(|asked| answering(asked.tile, asked.token, asked.allowed)),
        view: caller.watched.map(|costs| viewing(seed, costs, screen)),
    }
}

/// The real view, on small pictures, at a modelled cost.
fn viewing(seed: u64, costs: Watching, screen: &Screen) -> Viewing {
    let style = Style {
        times: 2,
        max_fps: 60,
        bitrate: 500_000,
        best: Rung::Vectors,
    };
    let real = Viewing::new(style, Hand::Cpu, screen, &Totals::default());
    let (mut make, mut encode) = (
        scripted::cost(seed ^ 4, costs.make, 0.0),
        scripted::cost(seed ^ 5, costs.encode, 0.0),
    );
    Viewing {
        smooth: Box::new(Costly::new(
            real.smooth,
            Box::new(move |signal| match signal {
                Signal::Item(unit) if unit.item.rung.is_some() => make(Span::ZERO),
                _ => Span::ZERO,
            }),
        )),
        encode: Box::new(Costly::new(
            real.encode,
            Box::new(move |signal| {
                if matches!(signal, Signal::Item(_)) {
                    encode(Span::ZERO)
                } else {
                    Span::ZERO
                }
            }),
        )),
        ..real
    }
}

/// Hears the words of a talk when they are spoken.
pub(super) fn hearing(seed: u64, talk: &[Spoken]) -> Hearing {
    let spans = talk.iter().map(|word| (word.start, word.end));
    let vad = scripted::Voices::new(
        Schedule::new(spans),
        scripted::cost(seed ^ 1, Span::from_micros(100), 0.0),
    );
    let words = scripted::Listened::new(talk.to_vec(), scripted::cost(seed ^ 2, Span::from_millis(1), 0.1));
    let silences = vad::Config::default();
    Hearing {
        vad: Box::new(vad),
        recognise: Box::new(words),
        pause: silences.pause_delay(),
        ending: silences.rest_delay(),
        settling: Span::ZERO,
    }
}

/// Writes down what it hears.
#[derive(Default)]
struct Ears(Mutex<Outcome>);
impl Audience for Ears {
    fn voice(&self, _: Moment, _: Signal<Voice>) {}
    fn words(&self, _: Moment, signal: Signal<Words>) {
        let mut outcome = self.0.lock().unwrap();
        match signal {
            Signal::Item(item) if item.item.settled => outcome.finals.push(item.item.text()),
            Signal::Gap(gap) => outcome.gaps.push(gap),
            _ => {}
        }
    }
    fn reading(&self, _: Moment, signal: Signal<media::Reading>) {
        if let Signal::Item(item) = signal {
            self.0.lock().unwrap().readings.push(item.item.lines.len());
        }
    }
    fn picture(&self, _: Moment, signal: Signal<PictureStats>) {
        if let Signal::Gap(gap) = signal {
            self.0.lock().unwrap().gaps.push(gap);
        }
    }
    fn answer(&self, now: Moment, signal: Signal<Turn>) {
        if let Signal::Item(unit) = signal {
            self.0.lock().unwrap().turns.push((unit.age(now), unit));
        }
    }
    fn viewed(&self, _: Moment, signal: Signal<Counts>) {
        if let Signal::Item(item) = signal {
            self.0.lock().unwrap().counts = Some(item.item);
        }
    }
}
