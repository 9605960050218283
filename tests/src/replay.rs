//! A recorded live run, played again in the simulator: the two hosts must agree on how old things are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use hearsight::budget;
use hearsight::tape::Tape;
use hearsight::view::Counts;
use hearsight::wiring::{self, Audience};
use hearsight_codecs::measure::PictureStats;
use hearsight_core::graph::Graph;
use hearsight_core::media::{Codec, Reading, Voice, Words};
use hearsight_core::meter::Meter;
use hearsight_core::sim::Sim;
use hearsight_core::stage::Signal;
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{Moment, Span};

use crate::rig::root;

/// Recorded by `hearsight demo --log-tape tests/tapes/talk.jsonl`.
const TAPE: &str = "tests/tapes/talk.jsonl";

type Ages = BTreeMap<String, Vec<Span>>;

#[derive(Default)]
struct Ears(Mutex<Ages>);

impl Ears {
    fn note<T>(&self, outlet: &str, now: Moment, item: &Stamped<T>) {
        let mut ages = self.0.lock().unwrap();
        ages.entry(outlet.to_owned()).or_default().push(item.age(now));
    }
}

impl Audience for Ears {
    fn voice(&self, now: Moment, signal: Signal<Voice>) {
        if let Signal::Item(item) = signal
            && !matches!(item.item, Voice::Sound(_) | Voice::Rested | Voice::Ended)
        {
            self.note(budget::TURN.outlet, now, &item);
        }
    }
    fn words(&self, now: Moment, signal: Signal<Words>) {
        if let Signal::Item(item) = signal {
            let budget = if item.item.settled {
                budget::WORDS_FINAL
            } else {
                budget::WORDS_PARTIAL
            };
            self.note(budget.outlet, now, &item);
        }
    }
    fn reading(&self, _: Moment, _: Signal<Reading>) {}
    fn answer(&self, _: Moment, _: Signal<hearsight_models::vlm::turn::Turn>) {}
    fn viewed(&self, _: Moment, _: Signal<Counts>) {}
    fn picture(&self, now: Moment, signal: Signal<PictureStats>) {
        if let Signal::Item(item) = signal {
            self.note(budget::PICTURE.outlet, now, &item);
        }
    }
}

fn simulated(tape: &mut Tape) -> Ages {
    let ears = Arc::new(Ears::default());
    let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
    let doors = wiring::draw(&mut graph, tape.rooms(), ears.clone());
    let mut sim = Sim::new(tape.threads);
    let session = sim.adopt(graph);
    let (sound, sight) = (Arc::new(doors.sound), Arc::new(doors.sight));
    for (when, unit) in std::mem::take(&mut tape.packets) {
        let door = if unit.item.codec == Codec::Opus {
            sound.clone()
        } else {
            sight.clone()
        };
        let id = door.id();
        sim.at(when, session, id, move |now| door.push(now, Signal::Item(unit)));
    }
    sim.run(Moment::MAX);
    std::mem::take(&mut *ears.0.lock().unwrap())
}

fn quantile(sorted: &[Span], q: f64) -> Span {
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}

#[test]
fn the_simulator_tells_the_same_ages_as_the_live_run_did() {
    let text = std::fs::read_to_string(root().join(TAPE)).unwrap();
    let mut tape = Tape::parse(&text).unwrap();
    let mut live = Ages::new();
    for (outlet, age) in std::mem::take(&mut tape.ages) {
        live.entry(outlet).or_default().push(age);
    }
    let mut again = simulated(&mut tape);
    assert!(
        live.len() == 4 && live.keys().eq(again.keys()),
        "outlets: {:?}, {:?}",
        live.keys(),
        again.keys()
    );
    for (outlet, live) in &mut live {
        let again = again.get_mut(outlet).unwrap();
        live.sort_unstable();
        again.sort_unstable();
        let few = live.len().abs_diff(again.len());
        assert!(
            few * 50 <= live.len(),
            "{outlet}: {} units live, {} simulated",
            live.len(),
            again.len()
        );
        for q in [0.5, 0.99] {
            let (live, again) = (quantile(live, q), quantile(again, q));
            println!("{outlet:14} p{:<2.0} live {live}, simulated {again}", q * 100.0);
            let ratio = again.secs_f64() / live.secs_f64();
            assert!(
                (0.8..=1.2).contains(&ratio),
                "{outlet} p{}: live {live}, simulated {again}",
                q * 100.0
            );
        }
    }
}

#[test]
fn what_is_no_tape_is_refused_by_line() {
    assert!(Tape::parse("").is_err());
    assert!(
        Tape::parse("{\"packet\":{}}")
            .unwrap_err()
            .to_string()
            .contains("line 1")
    );
    let machine = "{\"machine\":{\"threads\":2,\"pause\":1,\"ending\":2}}";
    let problem = Tape::parse(&format!("{machine}\nnonsense")).err().unwrap();
    assert!(problem.to_string().contains("line 2"), "{problem}");
}
