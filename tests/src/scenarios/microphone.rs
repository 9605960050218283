//! A microphone of this machine in virtual time: the sound card is a script, everything behind it is the product's own
//! drawing, down to the resampler.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use hearsight::budget;
use hearsight::listen::capture::{Capture, Format, Microphones, News, NoMicrophone};
use hearsight::listen::ring::{Alarm, Ended, Tap};
use hearsight::view::Counts;
use hearsight::wiring::{self, Audience};
use hearsight_codecs::measure::PictureStats;
use hearsight_codecs::resample::To16k;
use hearsight_core::gate::Late;
use hearsight_core::graph::Graph;
use hearsight_core::media::{Pcm, Reading, Voice, Words};
use hearsight_core::meter::{Meter, Tally};
use hearsight_core::sim::Sim;
use hearsight_core::stage::{Gap, Signal};
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::scripted::Spoken;

use super::house::{TALK_SECONDS, hearing, talk};

const RATES: [u32; 5] = [48_000, 44_100, 16_000, 96_000, 8_000];

/// A sound card, seen from the desk.
#[derive(Default)]
struct Socket {
    /// The rate of what is plugged in.
    plugged: Option<u32>,
    open: Option<(Tap, Alarm, u32)>,
}

#[derive(Clone, Default)]
struct Card(Rc<RefCell<Socket>>);

impl Microphones for Card {
    type Stream = ();
    fn open(&mut self, tap: Tap, alarm: Alarm) -> Result<((), Format), NoMicrophone> {
        let mut card = self.0.borrow_mut();
        let rate = card.plugged.ok_or(NoMicrophone { problem: "none".into() })?;
        card.open = Some((tap, alarm, rate));
        let format = Format {
            name: "script".into(),
            rate,
            channels: 1,
        };
        Ok(((), format))
    }
}

/// When the microphone is pulled out and put back.
#[derive(Clone, Copy)]
struct Away {
    from: Moment,
    to: Moment,
}

/// Everything that the microphone says in the course of the talk, and when.
fn captured(random: &mut fastrand::Rng, away: Option<Away>) -> Vec<(Moment, Signal<Pcm>)> {
    let card = Card::default();
    let mut rate = || RATES[random.usize(0..RATES.len())];
    card.0.borrow_mut().plugged = Some(rate());
    let back = rate();
    let (mut capture, _) = Capture::open(card.clone(), Moment::ZERO).unwrap();
    let mut said = Vec::new();
    for count in 1..=TALK_SECONDS * 100 {
        let handed = Moment::from_millis(count * 10);
        if let Some(Away { from, to }) = away {
            let mut card = card.0.borrow_mut();
            if handed >= from && handed < to {
                card.plugged = None;
                if let Some((_, alarm, _)) = card.open.take() {
                    alarm.ended(Ended::Unplugged);
                }
            } else if handed >= to && card.plugged.is_none() {
                card.plugged = Some(back);
            }
        }
        if let Some((tap, _, rate)) = &mut card.0.borrow_mut().open {
            let frames = (*rate / 100) as usize;
            tap.pour((0..frames).map(|_| 0.0), handed - Span::from_millis(10), handed);
        }
        let now = handed + Span::from_micros(random.i64(0..5_000));
        capture.step(now, &mut |news| match news {
            News::Sound(sound) => said.push((now, Signal::Item(sound))),
            News::Gap(gap) => said.push((now, Signal::Gap(gap))),
            News::Opened(_) | News::Gone(_) => {}
        });
    }
    said
}

#[derive(Default)]
struct Ears(Mutex<(Vec<String>, Vec<Gap>)>);

impl Audience for Ears {
    fn voice(&self, _: Moment, _: Signal<Voice>) {}
    fn words(&self, _: Moment, signal: Signal<Words>) {
        let mut heard = self.0.lock().unwrap();
        match signal {
            Signal::Item(item) if item.item.settled => heard.0.push(item.item.text()),
            Signal::Gap(gap) => heard.1.push(gap),
            _ => {}
        }
    }
    fn answer(&self, _: Moment, _: Signal<hearsight_models::vlm::turn::Turn>) {}
    fn viewed(&self, _: Moment, _: Signal<Counts>) {}
    fn picture(&self, _: Moment, _: Signal<PictureStats>) {}
    fn reading(&self, _: Moment, _: Signal<Reading>) {}
}

struct Heard {
    words: Vec<String>,
    gaps: Vec<Gap>,
    tally: Tally,
}

fn drawn(seed: u64, talk: &[Spoken]) -> (Graph, hearsight_core::graph::Source<Pcm>, Arc<Ears>) {
    let ears = Arc::new(Ears::default());
    let audience: Arc<dyn Audience> = ears.clone();
    let mut graph = Graph::new(Meter::default(), Arc::new(|_| {}));
    let resample = Box::new(To16k::from_any().expect("constants"));
    let door = wiring::draw_microphone(&mut graph, resample, hearing(seed, talk), &audience);
    (graph, door, ears)
}

fn listen(seed: u64, talk: &[Spoken], said: Vec<(Moment, Signal<Pcm>)>) -> Heard {
    let (graph, door, ears) = drawn(seed, talk);
    // One thread alone would make the detector wait for the recogniser longer than its link keeps.
    let mut sim = Sim::new(2);
    let session = sim.adopt(graph);
    let door = Arc::new(door);
    let end = (Moment::from_millis(TALK_SECONDS * 1_000 + 1_000), Signal::End);
    for (when, signal) in said.into_iter().chain([end]) {
        let door = door.clone();
        sim.at(when, session, door.id(), move |now| door.push(now, signal));
    }
    sim.run(Moment::MAX);
    assert!(sim.graph(session).finished(), "seed {seed}: it did not end");
    let tally = sim.graph(session).meter().tally();
    let (finals, gaps) = std::mem::take(&mut *ears.0.lock().unwrap());
    let words = finals.join(" ").split_whitespace().map(str::to_owned).collect();
    Heard { words, gaps, tally }
}

#[test]
fn the_microphone_keeps_the_promises_of_the_house() {
    let (graph, ..) = drawn(0, &[]);
    for budget in [budget::WORDS_PARTIAL, budget::WORDS_FINAL, budget::TURN] {
        let worst = graph.worst_case(budget.outlet).expect("promised");
        println!("{:14} worst case {worst}, budget {}", budget.outlet, budget.span);
        assert!(worst <= budget.span, "{}: the drawing allows {worst}", budget.outlet);
    }
}

#[test]
fn every_word_is_heard_in_time_at_every_rate() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let talk = talk(&mut random);
        let heard = listen(seed, &talk, captured(&mut random, None));
        let said: Vec<String> = talk.iter().map(|word| word.text.to_string()).collect();
        assert_eq!(
            heard.words, said,
            "seed {seed}: {:?}, {:?}",
            heard.gaps, heard.tally.lost
        );
        assert!(heard.gaps.is_empty() && heard.tally.lost.is_empty(), "seed {seed}");
        let (graph, ..) = drawn(0, &[]);
        for budget in [budget::WORDS_PARTIAL, budget::WORDS_FINAL, budget::TURN] {
            // From capture on: to the bound from arrival the card's own portion is added.
            let most = Span::from_millis(10) + graph.worst_case(budget.outlet).expect("promised");
            let most = if budget.late == Late::Shed { budget.span } else { most };
            let worst = heard.tally.ages[budget.outlet].worst();
            assert!(worst <= most, "seed {seed}, {}: {worst} over {most}", budget.outlet);
        }
    }
}

#[test]
fn captions_go_on_after_the_microphone_was_pulled_out_and_put_back() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let talk = talk(&mut random);
        let from = Moment::from_millis(random.i64(1_000..5_000));
        let to = from + Span::from_millis(random.i64(10..3_000));
        let heard = listen(seed, &talk, captured(&mut random, Some(Away { from, to })));
        // It is looked for every second, and the seams cost a little of what was under way.
        let seam = Span::from_millis(150);
        let gone = MediaTime::ZERO + (from - Moment::ZERO) - seam;
        let back = MediaTime::ZERO + (to - Moment::ZERO) + Span::from_millis(1_020) + seam;
        for word in talk.iter().filter(|word| word.end <= gone || word.start >= back) {
            assert!(
                heard.words.iter().any(|heard| **heard == *word.text),
                "seed {seed}: {} is missing",
                word.text
            );
        }
        let told = heard.gaps.iter().filter(|gap| gap.stage == "microphone").count();
        assert_eq!(told, 1, "seed {seed}: {:?}", heard.gaps);
        let mut once = heard.words.clone();
        once.dedup();
        assert_eq!(once, heard.words, "seed {seed}: a word came twice");
    }
}
