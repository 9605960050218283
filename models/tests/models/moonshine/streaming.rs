//! However the sound comes, the words of a segment are the same; and what is called sure on the way stays.

use super::*;
use crate::tones::{self, WORDS};
use hearsight_core::media::{Pcm, Voice, Words};
use hearsight_core::stage::{Engine, Outbox, Signal};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::Moment;
use hearsight_models::asr::{Heard, Hearing};

/// So many random ways to cut the sound.
const SEEDS: u64 = 12;

fn utterance(random: &mut fastrand::Rng, most: usize) -> Vec<&'static [&'static str]> {
    (0..random.usize(1..=most))
        .map(|_| WORDS[random.usize(..WORDS.len())])
        .collect()
}

fn close(one: &[Heard], other: &[Heard]) -> bool {
    let near = |(one, other): (&Heard, &Heard)| {
        let chances = one.certainty.zip(other.certainty).expect("known");
        one.text == other.text
            && one.start == other.start
            && one.end == other.end
            && (chances.0 - chances.1).abs() < 2e-3
    };
    one.len() == other.len() && one.iter().zip(other).all(near)
}

/// Sizes of pieces: sometimes tiny, sometimes large.
fn pieces(random: &mut fastrand::Rng) -> impl FnMut() -> usize + '_ {
    || match random.u32(0..4) {
        0 => random.usize(1..100),
        1 => random.usize(1..2000),
        2 => random.usize(1000..6000),
        _ => 2560,
    }
}

#[test]
fn any_pieces_give_the_words_of_the_whole() {
    for layout in LAYOUTS {
        let model = model(layout, plain());
        for seed in 0..SEEDS {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut sound, _) = tones::speak(&utterance(&mut random, 4), seed as u32);
            sound.truncate(random.usize(1..=sound.len()));
            let whole = at_once(&mut model.recogniser(), &sound);
            let heard = hear(&mut model.recogniser(), &sound, pieces(&mut random));
            let last = heard.last().expect("the last one");
            assert!(
                close(&last.words, &whole.words),
                "{layout}, seed {seed}: {last:?} for {whole:?}"
            );
        }
    }
}

#[test]
fn long_speech_is_heard_in_stretches_and_nothing_is_lost_between_them() {
    for layout in LAYOUTS {
        let stretch = Span::from_millis(2560);
        let model = model(layout, Config { stretch, ..patient() });
        let mut random = fastrand::Rng::with_seed(5);
        let words: Vec<&[&str]> = (0..60).map(|_| WORDS[random.usize(..WORDS.len())]).collect();
        let (sound, _) = tones::speak(&words, 5);
        let whole = at_once(&mut model.recogniser(), &sound);
        // The tiny model understands four words at a time; some of the six or so in a stretch it does not say. A stretch that
        // were lost would be more.
        let mut longest = vec![0; words.len() + 1];
        for word in &whole.words {
            let mut corner = 0;
            for (at, spoken) in words.iter().enumerate() {
                let above = longest[at + 1];
                longest[at + 1] = if tones::spelt(spoken) == *word.text {
                    corner + 1
                } else {
                    above.max(longest[at])
                };
                corner = above;
            }
        }
        let common = longest[words.len()];
        assert!(
            common * 4 >= words.len() * 3 - 12,
            "{layout}: {common} of {}",
            text(&whole)
        );
        for part in 0..6 {
            let within = |word: &&Heard| (word.start.samples(16_000) * 6 / sound.len() as i64) == part;
            assert!(
                whole.words.iter().filter(within).count() >= 4,
                "{layout}: part {part} of {}",
                text(&whole)
            );
        }
        let heard = hear(&mut model.recogniser(), &sound, pieces(&mut random));
        let last = heard.last().expect("the last one");
        assert!(close(&last.words, &whole.words), "{layout}");
        let times: Vec<Span> = whole.words.iter().flat_map(|word| [word.start, word.end]).collect();
        assert!(times.is_sorted(), "{layout}: {times:?}");
    }
}

#[test]
fn what_is_sure_stays_and_comes_early() {
    for layout in LAYOUTS {
        let model = model(layout, patient());
        for seed in 0..SEEDS {
            let mut random = fastrand::Rng::with_seed(100 + seed);
            let words = utterance(&mut random, 8);
            let (sound, _) = tones::speak(&words, seed as u32);
            let heard = hear(&mut model.recogniser(), &sound, pieces(&mut random));
            let mut sure: Vec<Heard> = Vec::new();
            for hypothesis in &heard[..heard.len() - 1] {
                let now = &hypothesis.words[..hypothesis.sure];
                let texts = |words: &[Heard]| words.iter().map(|word| word.text.clone()).collect::<Vec<_>>();
                assert!(
                    texts(now).starts_with(&texts(&sure)),
                    "{layout}, seed {seed}: {sure:?} became {now:?}"
                );
                sure = now.to_vec();
            }
            assert!(
                words.len() < 4 || !sure.is_empty(),
                "{layout}, seed {seed}: nothing was ever sure"
            );
            let last = heard.last().expect("the last one");
            assert_eq!(last.sure, last.words.len());
        }
    }
}

#[test]
fn a_word_shows_while_the_next_is_spoken() {
    for layout in LAYOUTS {
        let model = model(layout, patient());
        let (sound, places) = tones::speak(&[WORDS[4], WORDS[5], WORDS[3]], 3);
        let mut recogniser = model.recogniser();
        recogniser.begin(MediaTime::ZERO).expect("begins");
        let portion = recogniser.portion().samples(16_000) as usize;
        // A portion until it is heard, a portion until it is looked for again, and what the encoder looks ahead at most.
        let until = places[0].end + 2 * portion + 3200;
        let mut shown = String::new();
        for piece in sound[..until].chunks(portion) {
            if let Some(hypothesis) = recogniser.hear(piece).expect("hears") {
                shown = text(&hypothesis);
            }
        }
        assert!(shown.starts_with("kilo"), "{layout}: {shown}");
    }
}

#[test]
fn noise_never_makes_it_babble() {
    for layout in LAYOUTS {
        let model = model(
            layout,
            Config {
                least: 0.0,
                ..patient()
            },
        );
        for (seed, loud) in [(1, 1), (2, 8), (3, 63)] {
            let sound = tones::samples(tones::noise(16_000 * 12, seed).into_iter().map(|sample| sample * loud));
            let mut random = fastrand::Rng::with_seed(u64::from(seed));
            for hypothesis in hear(&mut model.recogniser(), &sound, pieces(&mut random)) {
                // Thirteen tokens in two seconds are the most. Circles are left, once in each of two stretches.
                assert!(hypothesis.words.len() <= 12 * 13 / 2, "{layout}: {hypothesis:?}");
                let circle = hypothesis
                    .words
                    .windows(8)
                    .any(|words| words.iter().all(|word| word.text == words[0].text));
                assert!(!circle, "{layout}: {hypothesis:?}");
            }
        }
    }
}

#[test]
fn streams_of_one_model_do_not_hear_each_other() {
    let model = model("streaming", patient());
    let (one, _) = tones::speak(&[WORDS[4], WORDS[1], WORDS[7]], 1);
    let (other, _) = tones::speak(&[WORDS[3], WORDS[6], WORDS[2]], 2);
    let alone = [&one, &other].map(|sound| at_once(&mut model.recogniser(), sound));
    let mut both = [model.recogniser(), model.recogniser()];
    for (one, other) in one.chunks(1700).zip(other.chunks(1700)) {
        both[0].hear(one).expect("hears");
        both[1].hear(other).expect("hears");
    }
    for (recogniser, sound) in both.iter_mut().zip([&one, &other]) {
        let heard = one.len().min(other.len()).div_ceil(1700) * 1700;
        recogniser.hear(&sound[heard.min(sound.len())..]).expect("hears");
    }
    let together = both.each_mut().map(|recogniser| recogniser.finish().expect("finishes"));
    for (together, alone) in together.iter().zip(&alone) {
        assert_eq!(text(together), text(alone));
    }
}

#[test]
fn a_stream_gives_its_memory_back() {
    let model = model("streaming", patient());
    let (sound, _) = tones::speak(&WORDS, 4);
    let mut recogniser = model.recogniser();
    assert_eq!(recogniser.bytes(), 0);
    let mut most = 0;
    for _ in 0..20 {
        for piece in sound.chunks(2560) {
            recogniser.hear(piece).expect("hears");
            most = most.max(recogniser.bytes());
        }
    }
    // Ten seconds at the most, whatever the segment: keys and values of two layers, what the encoder gave, what it carries.
    assert!(
        (1..500 * (2 * 2 * 40 + 32) * 4 + 100_000).contains(&most),
        "{most} bytes"
    );
    recogniser.finish().expect("finishes");
    assert_eq!(recogniser.bytes(), 0);
    recogniser.hear(&sound).expect("hears");
    recogniser.reset();
    assert_eq!(recogniser.bytes(), 0);
}

#[test]
fn the_engine_says_stable_words_before_the_end_and_all_of_them_after() {
    for layout in LAYOUTS {
        let model = model(layout, patient());
        let mut hearing = Hearing::new(model.recogniser());
        let (sound, _) = tones::speak(&[WORDS[4], WORDS[5], WORDS[3], WORDS[1]], 3);
        let mut units = vec![(0, Voice::Started)];
        for (at, samples) in sound.chunks(512).enumerate() {
            let pcm = Pcm {
                rate: 16_000,
                samples: samples.into(),
            };
            units.push((32 * at as i64, Voice::Sound(pcm)));
        }
        let end = Span::from_samples(sound.len() as i64, 16_000).nanos() / 1_000_000;
        units.push((end, Voice::Ended));
        let mut out = Outbox::default();
        for (at, voice) in units {
            let unit = Stamped::new(MediaTime::from_millis(at), Moment::from_millis(at), voice);
            let now = unit.born;
            hearing.run(now, Signal::Item(unit), &mut out).expect("no faults");
        }
        let said: Vec<_> = crate::hearing::items(out.signals())
            .into_iter()
            .map(|unit| unit.item)
            .collect();
        let (last, before) = said.split_last().expect("words");
        let stable = |words: &Words| words.words.iter().filter(|word| word.stability >= 0.9).count();
        assert!(before.iter().map(stable).max() >= Some(2), "{layout}: {before:?}");
        let text: Vec<&str> = last.words.iter().map(|word| &*word.text).collect();
        assert!(
            last.settled && text == ["kilo", "nede", "guma", "de"],
            "{layout}: {text:?}"
        );
    }
}
