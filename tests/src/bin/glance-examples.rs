//! Makes what `models/training/glance` learns from, on its standard output, for as long as somebody reads it.
//!
//! `glance-examples crowded|asked|unseen SEED [COUNT]` writes scenes with pictures: a line of JSON, then the planes of each picture
//! (luma, then blue, then red, 4:2:0). `glance-examples questions SEED [COUNT]` writes the lines alone. The line says what is asked,
//! what is the answer, and what is in each picture.

use std::io::{BufWriter, Write, stdout};

use anyhow::{Context, Result, bail};
use hearsight_tests::scenes::{Family, Fonts, SECONDS, Scene, Split, Told};
use serde_json::{Value, json};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, seed, rest @ ..] = &arguments[..] else {
        bail!("say what to make (crowded, asked, unseen or questions), from which seed on and, if you like, how many");
    };
    let seed: u64 = seed.parse().context("the seed is a whole number")?;
    let count: u64 = match rest {
        [] => u64::MAX,
        [count, ..] => count.parse().context("the count is a whole number")?,
    };
    let fonts = Fonts::load()?;
    let mut out = BufWriter::with_capacity(1 << 20, stdout().lock());
    for at in 0..count {
        let seed = seed.wrapping_add(at);
        let family = Family::ALL[(at % Family::ALL.len() as u64) as usize];
        let scene = match what.as_str() {
            "crowded" => Scene::crowded(seed, &fonts),
            "unseen" => Scene::new(family, Split::Unseen, seed, &fonts),
            "asked" | "questions" => Scene::new(family, Split::Train, seed, &fonts),
            other => bail!("{other} is not known: crowded, asked, unseen or questions"),
        };
        let times = times(what, family, seed);
        let Ok(()) = write(&mut out, &scene, &times, what != "questions") else {
            // Whoever read has had enough.
            return Ok(());
        };
    }
    Ok(())
}

/// When the pictures are taken, in seconds: what moves or changes needs two of them.
fn times(what: &str, family: Family, seed: u64) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let early = random.f32() * 0.3 * SECONDS;
    let late = SECONDS * (0.7 + 0.3 * random.f32());
    match (what, family) {
        ("crowded", _) => vec![early],
        ("questions", _) => vec![early, SECONDS * (0.4 + 0.2 * random.f32()), late],
        (_, Family::Motion | Family::Change) => vec![early, late],
        _ => vec![late],
    }
}

fn write(out: &mut impl Write, scene: &Scene, times: &[f32], pictures: bool) -> std::io::Result<()> {
    let told: Vec<Vec<Value>> = times
        .iter()
        .map(|time| scene.tell(*time).iter().map(one).collect())
        .collect();
    let line = json!({
        "family": scene.question.family.name(),
        "question": scene.question.text,
        "answer": scene.question.answer,
        "letters": scene.question.letters,
        "times": times,
        "regions": times.iter().map(|time| scene.region(*time)).collect::<Vec<_>>(),
        "pictures": told,
    });
    writeln!(out, "{line}")?;
    for time in times.iter().filter(|_| pictures) {
        let planes = scene.render(*time).pixels;
        for plane in [planes.y, planes.u, planes.v] {
            out.write_all((*plane.bytes).as_ref())?;
        }
    }
    out.flush()
}

fn one(told: &Told) -> Value {
    json!({
        "kind": told.kind,
        "shape": told.shape,
        "colour": told.colour,
        "shows": told.shows,
        "edges": told.edges,
        "line": told.line,
    })
}
