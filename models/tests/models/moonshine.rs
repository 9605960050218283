//! Moonshine: our runtime against the reference's own figures, however the sound comes, and against whatever may come.

mod files;
mod long;
mod parity;
mod streaming;

use std::path::PathBuf;
use std::sync::Arc;

use hearsight_core::time::{MediaTime, Span};
use hearsight_models::asr::moonshine::{Config, Model};
use hearsight_models::asr::{Hypothesis, Recogniser};
use hearsight_models::runtime::Runtime;

use crate::speech::files as installed;

/// The encoder with a memory, and the layout that is published.
const LAYOUTS: [&str; 2] = ["streaming", "whole"];

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/moonshine")
}

fn runtime() -> Runtime {
    Runtime::open(&installed().onnxruntime).expect("installed")
}

/// All the time there is, however busy the machine.
fn patient() -> Config {
    Config {
        limit: Span::from_secs(600),
        ..Config::default()
    }
}

/// As the reference decodes: whatever comes, and over everything at once.
fn plain() -> Config {
    Config {
        stretch: Span::from_secs(30),
        least: 0.0,
        rounds: 0,
        ..patient()
    }
}

fn model(layout: &str, config: Config) -> Arc<Model> {
    Arc::new(Model::open(&runtime(), &fixtures().join(layout), config).expect("the fixture opens"))
}

/// Hears `sound` in pieces of the sizes that `size` says, and finishes. Answers with all hypotheses, the last one last.
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

/// The last words of `sound`, heard at once.
fn at_once(recogniser: &mut dyn Recogniser, sound: &[f32]) -> Hypothesis {
    hear(recogniser, sound, || usize::MAX).pop().expect("the last one")
}

fn text(hypothesis: &Hypothesis) -> String {
    let words: Vec<&str> = hypothesis.words.iter().map(|word| &*word.text).collect();
    words.join(" ")
}
