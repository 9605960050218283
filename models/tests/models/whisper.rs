//! Whisper: our runtime against the reference's own tokens, however the sound comes, and files that would end the process.

mod files;

use std::path::PathBuf;
use std::sync::Arc;

use hearsight_core::stage::Fault;
use hearsight_core::time::{MediaTime, Span};
use hearsight_models::asr::whisper::{Config, Model, own};
use hearsight_models::asr::{Heard, Hypothesis, Recogniser};

use crate::tones;

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/whisper")
}

/// As the reference decodes, with all the time there is.
fn plain() -> Config {
    Config {
        limit: Span::from_secs(600),
        least: 0.0,
        threads: 1,
        ..Config::default()
    }
}

fn model(config: Config) -> Arc<Model> {
    Arc::new(Model::open(&fixture().join("tiny.bin"), config).expect("the fixture opens"))
}

/// The sounds of the fixture and what the reference makes of them.
fn cases() -> Vec<(Vec<f32>, String)> {
    let bytes = std::fs::read(fixture().join("expected.json")).expect("the fixture is there");
    let table: serde_json::Value = serde_json::from_slice(&bytes).expect("the fixture is JSON");
    let list = |value: &serde_json::Value| value.as_array().expect("a list").clone();
    // Bytes, written as the letters of Latin-1.
    let bytes_of = |piece: &serde_json::Value| -> Vec<u8> {
        piece
            .as_str()
            .expect("a piece")
            .chars()
            .map(|letter| letter as u8)
            .collect()
    };
    let pieces: Vec<Vec<u8>> = list(&table["pieces"]).iter().map(bytes_of).collect();
    let case = |case: &serde_json::Value| {
        let words: Vec<&[&str]> = list(&case["words"])
            .iter()
            .map(|word| {
                let spelt = word.as_str().expect("a word");
                *tones::WORDS
                    .iter()
                    .find(|known| tones::spelt(known) == spelt)
                    .expect("a word of the language")
            })
            .collect();
        let (sound, _) = tones::speak(&words, case["seed"].as_u64().expect("a seed") as u32);
        let token = |token: &serde_json::Value| pieces[token.as_u64().expect("a token") as usize].clone();
        let said: Vec<Vec<u8>> = list(&case["tokens"]).iter().map(token).collect();
        (sound, spelt(&said))
    };
    list(&table["cases"]).iter().map(case).collect()
}

/// Words begin with the pieces that begin with a space.
fn spelt(pieces: &[Vec<u8>]) -> String {
    let mut words: Vec<Vec<u8>> = Vec::new();
    for piece in pieces {
        match words.last_mut() {
            Some(word) if !piece.starts_with(b" ") => word.extend(piece),
            _ => words.push(piece.clone()),
        }
    }
    let words = words.iter().map(|word| String::from_utf8_lossy(word).trim().to_owned());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn text(words: &[Heard]) -> String {
    words.iter().map(|word| &*word.text).collect::<Vec<_>>().join(" ")
}

fn hear(recogniser: &mut dyn Recogniser, sound: &[f32], mut size: impl FnMut() -> usize) -> Vec<Hypothesis> {
    recogniser.begin(MediaTime::ZERO).expect("begins");
    let (mut rest, mut heard) = (sound, Vec::new());
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(size().clamp(1, rest.len()));
        heard.extend(recogniser.hear(piece).expect("hears"));
        rest = others;
    }
    heard.push(recogniser.finish().expect("finishes"));
    heard
}

#[test]
fn tokens_are_those_of_the_reference_in_any_pieces() {
    let model = model(plain());
    let mut recogniser = model.recogniser();
    for (number, (sound, expected)) in cases().iter().enumerate() {
        let mut random = fastrand::Rng::with_seed(number as u64);
        let whole = hear(&mut recogniser, sound, || usize::MAX).pop().expect("the last one");
        assert_eq!(text(&whole.words), *expected, "case {number}");
        let pieces = hear(&mut recogniser, sound, || random.usize(1..9000))
            .pop()
            .expect("the last one");
        assert_eq!(text(&pieces.words), *expected, "case {number}, in pieces");
        assert!(
            whole
                .words
                .iter()
                .all(|word| word.certainty.is_some_and(|it| (0.0..=1.0).contains(&it)))
        );
    }
}

#[test]
fn what_is_sure_stays_and_times_do_not_go_back() {
    let model = model(Config {
        every: Span::from_millis(300),
        ..plain()
    });
    let (sound, _) = tones::speak(&tones::WORDS.repeat(4), 3);
    for seed in 0..3 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut sure: Vec<Heard> = Vec::new();
        let heard = hear(&mut model.recogniser(), &sound, || random.usize(1..9000));
        for hypothesis in &heard[..heard.len() - 1] {
            assert_eq!(hypothesis.words[..sure.len()], sure, "seed {seed}");
            sure = hypothesis.words[..hypothesis.sure].to_vec();
            let times: Vec<Span> = sure.iter().flat_map(|word| [word.start, word.end]).collect();
            assert!(times.is_sorted(), "seed {seed}: {times:?}");
        }
        let last = heard.last().expect("the last one");
        let length = Span::from_samples(sound.len() as i64, 16_000);
        assert!(
            last.words
                .iter()
                .all(|word| word.start <= word.end && word.end <= length)
        );
    }
}

#[test]
fn noise_has_no_more_words_than_speech() {
    let model = model(plain());
    let sound = tones::samples(tones::noise(16_000 * 12, 1).into_iter().map(|sample| sample * 20));
    for hypothesis in hear(&mut model.recogniser(), &sound, || 12_800) {
        assert!(hypothesis.words.len() <= 12 * 8 + 12);
    }
}

#[test]
fn sound_that_is_none_ends_its_segment_alone() {
    let model = model(plain());
    let mut recogniser = model.recogniser();
    let (sound, expected) = cases().swap_remove(1);
    recogniser.hear(&sound).expect("hears");
    assert!(matches!(recogniser.hear(&[f32::NAN; 100]), Err(Fault::Reset(_))));
    let heard = hear(&mut recogniser, &sound, || 5000).pop().expect("the last one");
    assert_eq!(text(&heard.words), expected);
    assert!(recogniser.bytes() < 1000);
    assert_eq!(recogniser.finish().expect("nothing begun").words, []);
    for short in [1, 100, 1599] {
        hear(&mut recogniser, &sound[..short], || short);
    }
}

#[test]
fn in_its_own_driver_lines_end_every_second_step_and_nothing_is_left_of_a_stream() {
    let model = model(plain());
    let mut own = model.own().expect("a working memory");
    let (sound, _) = tones::speak(&tones::WORDS.repeat(12), 3);
    let mut stream = |sound: &[f32]| {
        own.begin();
        let lines: Vec<Option<Hypothesis>> = sound
            .chunks(own::FRAME)
            .map(|frame| own.hear(frame).expect("heard"))
            .collect();
        (lines, own.finish())
    };
    let (lines, last) = stream(&sound);
    assert!(lines.len() >= 4, "{} steps", lines.len());
    for (step, line) in lines.iter().enumerate() {
        assert_eq!(line.is_some(), step % 2 == 1, "step {step}");
    }
    let length = Span::from_samples(sound.len() as i64, 16_000);
    let words: Vec<&Heard> = lines
        .iter()
        .flatten()
        .chain(&last)
        .flat_map(|line| &line.words)
        .collect();
    assert!(!words.is_empty());
    let times: Vec<Span> = words.iter().flat_map(|word| [word.start, word.end]).collect();
    assert!(
        times.is_sorted() && times.last().is_some_and(|last| *last <= length),
        "{times:?}"
    );
    // What is doubtful it tries again by chance: lines are as many, not the same.
    let (again, _) = stream(&sound);
    assert_eq!(again.iter().flatten().count(), lines.iter().flatten().count());
    assert_eq!(stream(&[]), (Vec::new(), None));
}
