//! Who comes when, what they say, and what reaches the server of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use hearsight_core::graph::{Graph, Source};
use hearsight_core::media::{Packet, Request};
use hearsight_core::meter::Meter;
use hearsight_core::network::carry;
use hearsight_core::schedule::Gauge;
use hearsight_core::sim::{SessionId, Sim};
use hearsight_core::stage::Signal;
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::scripted::Spoken;
use hearsight_models::vlm::turn::Query;

use super::ears::Ears;
use super::rooms::{self, sight_units, sound_units};
use super::scenario::{Crowd, Scenario};
use crate::budget::JITTER_WAIT;
use crate::watch::{Asked, Screen, Seat};
use crate::wiring::{self, Doors};

/// How long after its last packet a session is let end: its last answer may take so long.
const FAREWELL: Span = Span::from_secs(6);

/// One who comes.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// Of which crowd.
    pub crowd: usize,
    pub seed: u64,
    pub arrives: Moment,
    pub talk: Vec<Spoken>,
    /// When, from the arrival on.
    pub questions: Vec<Span>,
}

/// Everybody, in the order of arrival.
pub(super) fn people(scenario: &Scenario) -> Vec<Person> {
    let mut people = Vec::new();
    for (index, crowd) in scenario.crowds.iter().enumerate() {
        let mut random = fastrand::Rng::with_seed(scenario.seed ^ (index as u64) << 40);
        let mut arrives = Moment::ZERO + crowd.from;
        for _ in 0..crowd.count {
            let seed = random.u64(..);
            let own = &mut fastrand::Rng::with_seed(seed);
            people.push(Person {
                crowd: index,
                seed,
                arrives,
                talk: talk(own, crowd.stay, crowd.talk),
                questions: questions(own, crowd),
            });
            // As independent people come: the times between them are exponential.
            let between = -(1.0 - random.f64()).ln() * crowd.every.secs_f64();
            arrives += Span::from_nanos((between * 1e9) as i64);
        }
    }
    people.retain(|person| person.arrives < Moment::ZERO + scenario.length);
    people.sort_by_key(|person| person.arrives);
    people
}

/// Sentences of three to seven words with pauses between, so that somebody speaks in about `share` of the time.
fn talk(random: &mut fastrand::Rng, length: Span, share: f64) -> Vec<Spoken> {
    let (mut words, mut at) = (Vec::new(), random.i64(200..1_500));
    let end = (length.secs_f64() * 1e3) as i64 - 1_000;
    if share <= 0.0 {
        return words;
    }
    loop {
        let began = at;
        let mut sentence = Vec::new();
        for _ in 0..random.i64(3..8) {
            let length = random.i64(180..450);
            sentence.push(Spoken {
                text: format!("word{}", words.len() + sentence.len()).into(),
                start: MediaTime::from_millis(at),
                end: MediaTime::from_millis(at + length),
            });
            at += length + random.i64(0..60);
        }
        if at >= end {
            break;
        }
        words.append(&mut sentence);
        let pause = (at - began) as f64 * (1.0 - share) / share * (0.5 + random.f64());
        // Less is no pause that ends a sentence.
        at += (pause as i64).max(500);
    }
    words
}

fn questions(random: &mut fastrand::Rng, crowd: &Crowd) -> Vec<Span> {
    let count = (crowd.questions * crowd.stay.secs_f64() / 60.0).round() as usize;
    let millis = (crowd.stay.secs_f64() * 1e3) as i64;
    let mut at: Vec<_> = (0..count)
        .map(|_| Span::from_millis(random.i64(800..millis.max(801))))
        .collect();
    at.sort_unstable();
    at
}

/// Who sits before the screen, as long as it is watched.
pub(super) type Watching = Option<Seat>;

/// Lets somebody in at the present moment of `sim`; answers with their place and when they are gone. `gauge` holds the session
/// at one strain, whatever the machine's is.
pub(super) fn enter(
    sim: &mut Sim,
    scenario: &Scenario,
    person: &Person,
    ears: &Arc<Ears>,
    gauge: Option<&Gauge>,
) -> (SessionId, Moment, Watching) {
    let crowd = &scenario.crowds[person.crowd];
    let wanted = Arc::new(AtomicBool::new(false));
    let wish = wanted.clone();
    let upstream = move |request| wish.fetch_or(matches!(request, Request::Keyframe), Relaxed);
    let mut graph = Graph::new(
        Meter::default(),
        Arc::new(move |request| {
            upstream(request);
        }),
    );
    if let Some(gauge) = gauge {
        graph.set_gauge(gauge);
    }
    let screen = Screen::default();
    // Nobody takes what is shown: a viewer who falls behind is the screen's to bear.
    let seat = crowd
        .watched
        .then(|| screen.sit(Asked::Session, Box::new(|| {})))
        .flatten();
    let rooms = rooms::rooms(person.seed, &scenario.costs, crowd, &person.talk, &screen);
    let Doors {
        sound,
        sight,
        questions,
    } = wiring::draw(&mut graph, rooms, ears.clone());
    let session = sim.adopt_for(graph, Some(user(crowd, person)));
    let (sound, sight) = (Arc::new(sound), Arc::new(sight));
    let mut random = fastrand::Rng::with_seed(person.seed ^ 8);
    let mut last = sim.now() + crowd.stay;
    for (door, sent) in [
        (&sound, sound_units(crowd.stay)),
        (&sight, sight_units(crowd.stay, crowd.fps)),
    ] {
        let from = sim.now() - Moment::ZERO;
        let sent = sent.into_iter().map(|(when, unit)| (when + from, unit));
        for (when, unit) in carry(crowd.network, &mut random, JITTER_WAIT, sent) {
            last = last.max(when);
            put(sim, session, when, door.clone(), unit, wanted.clone());
        }
    }
    let gone = last + FAREWELL;
    if let Some(door) = questions {
        ask(sim, session, door, person, gone);
    }
    for door in [sound, sight] {
        sim.at(last, session, door.id(), move |now| door.push(now, Signal::End));
    }
    (session, gone, seat)
}

fn user(crowd: &Crowd, person: &Person) -> u64 {
    if crowd.one_user {
        person.crowd as u64
    } else {
        person.seed
    }
}

/// Plans the arrival of a unit. A sender that was asked for a keyframe sends it next.
fn put(
    sim: &mut Sim,
    session: SessionId,
    when: Moment,
    door: Arc<Source<Packet>>,
    mut unit: Stamped<Packet>,
    wanted: Arc<AtomicBool>,
) {
    // As for a foreign client: age counts from arrival, because the bounds are the server's.
    unit.born = unit.trail.at(Mark::Arrived).unwrap_or(when);
    sim.at(when, session, door.id(), move |now| {
        if unit.item.codec == hearsight_core::media::Codec::H264 && wanted.swap(false, Relaxed) {
            unit.item.key = true;
        }
        door.push(now, Signal::Item(unit));
    });
}

fn ask(sim: &mut Sim, session: SessionId, door: Source<Query>, person: &Person, gone: Moment) {
    let door = Arc::new(door);
    let from = sim.now();
    for (id, at) in (0..).zip(&person.questions) {
        let (door, into) = (door.clone(), door.id());
        sim.at(from + *at, session, into, move |now| {
            let text = "What is there?".into();
            let unit = Stamped::new(MediaTime::ZERO, now, Query::Question { id, text });
            door.push(now, Signal::Item(unit));
        });
    }
    let into = door.id();
    sim.at(gone - Span::from_secs(1), session, into, move |now| {
        door.push(now, Signal::End)
    });
}
