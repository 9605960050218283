//! `make bench-hearing`: what hearing costs one session, for each recogniser that has its files: a second of speech at the
//! beginning, a minute and an hour into a session, its longest slices, and its memory while somebody speaks. A table for people and,
//! in the last line, one JSON object.
//!
//! The hour is virtual: the talk is said once a minute, and between there is a room's hush. `--minutes N` shortens it; `--moonshine
//! FOLDER` and `--whisper FILE` name models, else those are taken that were pulled under the names in the settings.

mod engines;
mod session;
#[path = "../../eval/sound.rs"]
mod sound;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use hearsight_core::time::Span;
use hearsight_models::asr::pocketsphinx;
use hearsight_tests::rig::{commit, machine};
use serde_json::{Map, Value, json};

use engines::{Engine, Engines, WORKER};
use session::{Cost, Place, Session};

/// What was asked for.
pub(crate) struct Wanted {
    minutes: usize,
    pub(crate) moonshine: Option<PathBuf>,
    pub(crate) whisper: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, model] = arguments.as_slice()
        && first == WORKER
    {
        return pocketsphinx::worker::main(&PathBuf::from(model));
    }
    match wanted(arguments).and_then(|wanted| measure(&wanted)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench-hearing: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn wanted(arguments: Vec<String>) -> Result<Wanted> {
    let mut wanted = Wanted {
        minutes: 60,
        moonshine: None,
        whisper: None,
    };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{argument} wants a value"))?;
        match argument.as_str() {
            "--minutes" => wanted.minutes = value.parse().context("--minutes wants a number")?,
            "--moonshine" => wanted.moonshine = Some(value.into()),
            "--whisper" => wanted.whisper = Some(value.into()),
            other => {
                anyhow::bail!("unknown argument {other}; there are --minutes N, --moonshine FOLDER and --whisper FILE")
            }
        }
    }
    ensure!(wanted.minutes >= 3, "--minutes wants 3 at least");
    Ok(wanted)
}

fn measure(wanted: &Wanted) -> Result<()> {
    let engines = Engines::open(wanted)?;
    let talk = engines.talk()?;
    let spoken = Span::from_samples(talk.len() as i64, 16_000);
    println!(
        "the talk has {:.1} s; {} minutes of a session",
        spoken.nanos() as f64 / 1e9,
        wanted.minutes
    );
    println!(
        "{:40} {:>9} {:>9} {:>9} {:>9} {:>10} {:>9}",
        "processor time for a second of speech", "at 1 s", "at 60 s", "at end", "detector", "slice p99.9", "memory MB"
    );
    let (mut rows, mut notes) = (Map::new(), engines.notes());
    for engine in engines.list() {
        rows.insert(engine.key().to_owned(), row(&engines, engine, wanted.minutes, &talk)?);
    }
    for key in ["pocketsphinx", "moonshine", "whisper"] {
        rows.entry(key).or_insert(Value::Null);
    }
    notes.push("costs are processor time; a session is taken to speak all the time".into());
    rows.insert("notes".into(), json!(notes));
    rows.insert("minutes".into(), json!(wanted.minutes));
    rows.insert("machine".into(), machine());
    rows.insert("commit".into(), json!(commit()));
    println!("{}", Value::Object(rows));
    Ok(())
}

/// One engine over a whole session: prints its row, answers with its figures.
fn row(engines: &Engines, engine: &Engine, minutes: usize, talk: &[f32]) -> Result<Value> {
    let (recogniser, worker) = engine.recogniser()?;
    let mut session = Session::new(recogniser, engines.silero()?, worker);
    let spoken = Span::from_samples(talk.len() as i64, 16_000);
    let mut costs: Vec<Cost> = Vec::new();
    let (mut early, mut late) = (Vec::new(), Vec::new());
    for minute in 0..minutes {
        let cost = session.say(talk)?;
        // The first two minutes and the last say whether it grows.
        if minute < 2 || minute + 1 == minutes {
            costs.push(cost);
        }
        session.hush(Span::from_secs(60) - spoken)?;
        match minute {
            1 => early = session.heard().to_vec(),
            _ => late = session.heard().to_vec(),
        }
    }
    let [first, minute, last] = costs.as_slice() else {
        anyhow::bail!("a session has a first, a second and a last minute");
    };
    let memory = engine.memory(talk)?;
    let (slice, declared) = session.slices();
    println!(
        "{:40} {:>9.3} {:>9.3} {:>9.3} {:>9.3} {:>8.0} ms {:>9.1}",
        engine.name(),
        first.recogniser,
        minute.recogniser,
        last.recogniser,
        minute.detector,
        slice * 1e3,
        memory.unwrap_or(f64::NAN)
    );
    let whole = |cost: &Cost| cost.recogniser + cost.detector;
    Ok(json!({
        "model": engine.name(),
        "sessions_per_core": 1.0 / whole(minute).max(1e-6),
        "rss_per_session_mb": memory,
        "cost_flat_ratio": whole(last) / whole(minute).max(1e-6),
        "cost_s_per_s": { "1": whole(first), "60": whole(minute), "end": whole(last) },
        "detector_s_per_s": minute.detector,
        "slice_p99_9_ms": slice * 1e3,
        "slice_declared_ms": declared * 1e3,
        "words": session.words(),
        "word_drift_ms": drift(&early, &late).map(|drift| drift * 1e3),
        "lost": session.lost(),
    }))
}

/// How much later or earlier in the talk the same words are in the last minute than in the second: the median over words that are
/// near where they were; none where no word came twice.
fn drift(early: &[Place], late: &[Place]) -> Option<f64> {
    let mut moved: Vec<f64> = early
        .iter()
        .filter_map(|(word, place)| {
            let same = late
                .iter()
                .filter(|(other, _)| other == word)
                .map(|(_, other)| other - place);
            same.min_by(|a, b| a.abs().total_cmp(&b.abs()))
                .filter(|moved| moved.abs() < 1.0)
        })
        .collect();
    moved.sort_by(f64::total_cmp);
    moved.get(moved.len() / 2).copied()
}
