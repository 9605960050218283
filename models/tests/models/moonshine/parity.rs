//! The same tokens as the reference, with the same chances, from the same sound.

use super::*;
use crate::tones;

struct Case {
    sound: Vec<f32>,
    text: String,
    /// Of each word, by the reference.
    chances: Vec<f32>,
}

fn cases() -> Vec<Case> {
    let bytes = std::fs::read(fixtures().join("expected.json")).expect("the fixture is there");
    let table: serde_json::Value = serde_json::from_slice(&bytes).expect("the fixture is JSON");
    table["cases"].as_array().expect("a list").iter().map(case).collect()
}

fn case(told: &serde_json::Value) -> Case {
    let number = |field: &str| told[field].as_u64().expect("a number") as usize;
    let list = |field: &str| told[field].as_array().expect("a list").clone();
    let words: Vec<&[&str]> = list("words")
        .iter()
        .map(|word| {
            let spelt = word.as_str().expect("a word");
            *tones::WORDS
                .iter()
                .find(|known| tones::spelt(known) == spelt)
                .expect("a word of the language")
        })
        .collect();
    let (length, seed) = (number("length"), number("seed") as u32);
    let mut sound = match told["kind"].as_str() {
        Some("noise") => {
            let loud = i64::from(seed) - 900;
            tones::samples(tones::noise(length, seed).into_iter().map(|sample| sample * loud))
        }
        _ => tones::speak(&words, seed).0,
    };
    sound.truncate(length);
    let tokens: Vec<usize> = list("tokens")
        .iter()
        .map(|token| token.as_u64().expect("a token") as usize)
        .collect();
    let text: String = tokens.iter().map(|&token| tones::written(token)).collect();
    let mut chances: Vec<f32> = Vec::new();
    for (token, chance) in tokens.iter().zip(list("chances")) {
        let chance = chance.as_f64().expect("a chance") as f32;
        match chances.last_mut() {
            Some(word) if !tones::written(*token).starts_with(' ') => *word *= chance,
            _ => chances.push(chance),
        }
    }
    Case {
        sound,
        text: text.trim().to_owned(),
        chances,
    }
}

#[test]
fn tokens_and_chances_are_those_of_the_reference() {
    for layout in LAYOUTS {
        let model = model(layout, plain());
        assert_eq!(model.incremental(), layout == "streaming");
        let mut recogniser = model.recogniser();
        for (number, case) in cases().iter().enumerate() {
            let heard = at_once(&mut recogniser, &case.sound);
            assert_eq!(text(&heard), case.text, "{layout}, case {number}");
            for (word, chance) in heard.words.iter().zip(&case.chances) {
                let ours = word.certainty.expect("known");
                assert!(
                    (ours - chance).abs() < 2e-3,
                    "{layout}, case {number}: {ours} for {chance}"
                );
            }
        }
    }
}

#[test]
fn the_tiny_model_understands_its_language() {
    let understood = cases().iter().filter(|case| case.text.split(' ').count() >= 4).count();
    assert!(understood >= 2, "the fixtures must have words to lose");
}
