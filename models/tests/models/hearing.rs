use std::sync::Arc;

use hearsight_core::media::{Pcm, Voice, Words};
use hearsight_core::stage::{Engine, Fault, Gap, Lost, Outbox, Signal};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::asr::{Heard, Hearing, Hypothesis, Recogniser};
use hearsight_models::scripted::{Listened, Schedule, Spoken, Voices, cost};

use crate::speech::{packets, run};

pub(crate) fn items(signals: &[Signal<Words>]) -> Vec<Stamped<Words>> {
    let item = |signal: &Signal<Words>| {
        if let Signal::Item(unit) = signal {
            Some(unit.clone())
        } else {
            None
        }
    };
    signals.iter().filter_map(item).collect()
}

/// Hears what its seed says, changes its mind, and fails from time to time.
struct Fickle {
    random: fastrand::Rng,
    heard: Span,
    faults: u32,
}

impl Recogniser for Fickle {
    fn name(&self) -> &str {
        "fickle"
    }
    fn begin(&mut self, _at: MediaTime) -> Result<(), Fault> {
        self.heard = Span::ZERO;
        Ok(())
    }
    fn hear(&mut self, samples: &[f32]) -> Result<Option<Hypothesis>, Fault> {
        if self.faults > 0 && self.random.u32(0..self.faults) == 0 {
            return Err(Fault::Reset("died".into()));
        }
        self.heard += Span::from_samples(samples.len() as i64, 16_000);
        self.finish().map(Some)
    }
    fn finish(&mut self) -> Result<Hypothesis, Fault> {
        let count = self.heard.nanos() / Span::from_millis(200).nanos();
        let words = (0..count).map(|place| Heard {
            text: Arc::from(if self.random.u32(0..30) == 0 { "hm" } else { "word" }),
            start: Span::from_millis(200 * place),
            end: Span::from_millis(200 * place + 180),
            certainty: None,
        });
        Ok(Hypothesis {
            words: words.collect(),
            sure: 0,
        })
    }
    fn reset(&mut self) {}
    fn portion(&self) -> Span {
        Span::from_millis(64)
    }
    fn slice(&self) -> Span {
        Span::from_millis(50)
    }
}

fn fickle(seed: u64, faults: u32) -> Hearing<Fickle> {
    Hearing::new(Fickle {
        random: fastrand::Rng::with_seed(seed),
        heard: Span::ZERO,
        faults,
    })
}

fn sound(at_ms: i64, samples: usize) -> Stamped<Voice> {
    let pcm = Pcm {
        rate: 16_000,
        samples: vec![0.1; samples].into(),
    };
    Stamped::new(
        MediaTime::from_millis(at_ms),
        Moment::from_millis(at_ms),
        Voice::Sound(pcm),
    )
}

fn voice(at_ms: i64, voice: Voice) -> Stamped<Voice> {
    Stamped::new(MediaTime::from_millis(at_ms), Moment::from_millis(at_ms), voice)
}

#[test]
fn stable_words_stay_and_every_segment_settles_once() {
    for seed in 0..100 {
        let mut hearing = fickle(seed, if seed % 2 == 0 { 0 } else { 200 });
        let mut out = Outbox::default();
        for turn in 0..4 {
            let begin = turn * 10_000;
            let mut signals = vec![voice(begin, Voice::Started)];
            signals.extend((0..100).map(|i| sound(begin + i * 32, 512)));
            signals.push(voice(begin + 3200, Voice::Ended));
            for signal in signals {
                let now = signal.born + Span::from_millis(5);
                let _ = hearing.run(now, Signal::Item(signal), &mut out);
            }
        }
        let words = items(out.signals());
        let mut stable: Vec<Arc<str>> = Vec::new();
        let mut segment = 0;
        let mut settled = 0;
        for unit in &words {
            assert_eq!(unit.item.segment, segment, "segments follow each other");
            assert!(
                unit.item
                    .words
                    .iter()
                    .all(|word| word.start <= word.end && (0.0..=1.0).contains(&word.stability))
            );
            if unit.item.settled {
                (segment, settled) = (segment + 1, settled + 1);
                stable.clear();
                continue;
            }
            let texts = unit
                .item
                .words
                .iter()
                .filter(|word| word.stability >= 0.9)
                .map(|word| word.text.clone());
            let texts: Vec<_> = texts.collect();
            assert!(texts.starts_with(&stable), "seed {seed}");
            stable = texts;
        }
        assert!(settled >= 4);
        assert!(words.last().is_some_and(|unit| unit.item.settled));
    }
}

#[test]
fn a_gap_settles_what_is_there_and_the_next_sound_begins_anew() {
    let mut hearing = fickle(1, 0);
    let mut out = Outbox::default();
    let gap = Gap {
        stage: "vad",
        why: Lost::TooOld,
        count: 3,
    };
    let mut signals = vec![Signal::Item(voice(0, Voice::Started))];
    signals.extend((0..40).map(|i| Signal::Item(sound(i * 32, 512))));
    signals.push(Signal::Gap(gap));
    signals.extend((0..40).map(|i| Signal::Item(sound(5000 + i * 32, 512))));
    signals.push(Signal::Item(voice(6280, Voice::Ended)));
    for signal in signals {
        hearing.run(Moment::ZERO, signal, &mut out).expect("no fault");
    }
    let place = out
        .signals()
        .iter()
        .position(|signal| *signal == Signal::Gap(gap))
        .expect("passed on");
    let (before, after) = out.signals().split_at(place);
    assert!(
        items(before)
            .last()
            .is_some_and(|unit| unit.item.settled && unit.item.segment == 0)
    );
    let after = items(after);
    assert!(
        after
            .iter()
            .all(|unit| unit.item.segment == 1 && unit.at >= MediaTime::from_millis(5000))
    );
    assert!(after.last().is_some_and(|unit| unit.item.settled));
}

#[test]
fn hostile_voices_are_counted_and_hold_no_memory() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut hearing = fickle(seed, 50);
        let mut out = Outbox::default();
        for _ in 0..100 {
            let samples = *random.choice(&[0, 1, 512, 16_000, 16_001, 200_000]).expect("one");
            let value = *random.choice(&[0.0, f32::NAN, 1e30]).expect("one");
            let pcm = Pcm {
                rate: *random.choice(&[16_000, 0]).expect("one"),
                samples: vec![value; samples].into(),
            };
            let item = match random.u32(0..8) {
                0 => Voice::Started,
                1 => Voice::Paused,
                2 => Voice::Resumed,
                3 if random.bool() => Voice::Rested,
                3 => Voice::Ended,
                _ => Voice::Sound(pcm),
            };
            let unit = Stamped::new(
                MediaTime::from_nanos(random.i64(..)),
                Moment::from_nanos(random.i64(..)),
                item,
            );
            let _ = hearing.run(Moment::from_nanos(random.i64(..)), Signal::Item(unit), &mut out);
        }
        let settled = items(out.signals()).iter().filter(|unit| unit.item.settled).count();
        assert!(settled <= 101);
    }
}

#[test]
fn scripted_engines_say_their_script_at_its_cost() {
    let ms = MediaTime::from_millis;
    let spoken = |text: &str, start, end| Spoken {
        text: text.into(),
        start: ms(start),
        end: ms(end),
    };
    let transcript = [
        spoken("one", 1000, 1300),
        spoken("two", 1350, 1600),
        spoken("three", 3000, 3400),
    ];
    let schedule = Schedule::new([(ms(1000), ms(1600)), (ms(3000), ms(3400))]);
    let go = || {
        let sound = packets(&vec![0.0; 16_000 * 5], 320);
        let mut voices = Voices::new(schedule.clone(), cost(1, Span::from_micros(50), 0.003));
        let voices = run(&mut voices, sound).into_iter();
        let voices = voices.filter_map(|signal| {
            if let Signal::Item(unit) = signal {
                Some(unit)
            } else {
                None
            }
        });
        let mut listened = Listened::new(transcript.clone(), cost(2, Span::from_millis(2), 0.2));
        items(&run(&mut listened, voices))
    };
    let words = go();
    let finals: Vec<_> = words
        .iter()
        .filter(|unit| unit.item.settled)
        .map(|unit| unit.item.text())
        .collect();
    assert_eq!(finals, ["one two", "three"]);
    assert_eq!(words.last().map(|unit| unit.at), Some(ms(3400)));
    assert!(words.iter().any(|unit| !unit.item.settled && unit.item.text() == "one"));
    assert_eq!(go(), words, "the same seed, the same trace");
}

#[test]
fn the_end_of_a_segment_that_was_lost_is_not_the_end_of_the_next() {
    let mut hearing = fickle(1, 0);
    let mut out = Outbox::default();
    let mut run = |signal: Signal<Voice>, millis: i64| {
        hearing.run(Moment::from_millis(millis), signal, &mut out).unwrap();
    };
    let gap = Gap {
        stage: "microphone",
        why: Lost::Undecodable,
        count: 1,
    };
    let mut lost = voice(1_000, Voice::Ended);
    lost.trail.stamp(Mark::Voiced, Moment::from_millis(1_300));
    run(Signal::Item(lost), 1_300);
    for at in (10_000..11_600).step_by(32) {
        run(Signal::Item(sound(at, 512)), at);
    }
    // Nothing but the hole ends this one.
    run(Signal::Gap(gap), 11_700);
    let settled = items(out.signals()).pop().unwrap();
    assert!(settled.item.settled && !settled.item.words.is_empty());
    assert_eq!(
        settled.trail.at(Mark::Voiced),
        None,
        "words can't have waited for an older segment"
    );
}
