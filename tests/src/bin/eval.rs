//! `make eval`: the recogniser over labelled recordings, where they are present. Errors and delays by set, as a table for people
//! and, in the last line, as one JSON object. `--quick` takes about twenty recordings, `--most N` about N; `--set NAME` one set;
//! `--wall` measures work by the clock instead of by processor time, for machines that do nothing else; `--carry` lets a speaker's recordings follow each other in one session, with what was learnt of the voice.

#[path = "../eval/chain.rs"]
mod chain;
#[path = "../eval/material.rs"]
mod material;
#[path = "../eval/score.rs"]
mod score;
#[path = "../eval/sound.rs"]
mod sound;
#[path = "../eval/tally.rs"]
mod tally;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use hearsight_core::time::Span;
use hearsight_models::asr::Hearing;
use hearsight_models::asr::pocketsphinx::{self, Pool};
use hearsight_models::files::Files;
use hearsight_models::runtime::Runtime;
use hearsight_models::vad::Silero;
use hearsight_tests::rig::{commit, machine};
use serde_json::{Value, json};

use chain::Stopwatch;
use material::{Material, Recording};
use tally::Tally;

/// What this program calls itself with to be a recogniser's worker.
const WORKER: &str = "recognise-worker";

/// What was asked for.
struct Wanted {
    quick: Option<usize>,
    set: Option<String>,
    carry: bool,
    wall: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, model] = arguments.as_slice()
        && first == WORKER
    {
        return pocketsphinx::worker::main(&PathBuf::from(model));
    }
    let mut wanted = Wanted {
        quick: None,
        set: None,
        carry: false,
        wall: false,
    };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => wanted.quick = Some(20),
            "--most" => wanted.quick = arguments.next().and_then(|most| most.parse().ok()),
            "--carry" => wanted.carry = true,
            "--wall" => wanted.wall = true,
            "--set" => wanted.set = arguments.next(),
            other => {
                eprintln!(
                    "eval: unknown argument {other}; there are --quick, --most N, --carry, --wall and --set NAME"
                );
                return ExitCode::FAILURE;
            }
        }
    }
    match evaluate(&wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("eval: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn evaluate(wanted: &Wanted) -> Result<()> {
    let Some(material) = Material::find() else {
        println!("eval: no recordings beside the checkout (HEARSIGHT_EVAL, ../shared/eval): nothing to measure");
        println!(
            "{}",
            json!({ "notes": "no recordings", "machine": machine(), "commit": commit() })
        );
        return Ok(());
    };
    let deps = std::env::var_os("HEARSIGHT_DEPS").map_or_else(|| PathBuf::from(".deps"), PathBuf::from);
    let files = Files::under(&deps);
    let runtime = Runtime::open(&files.onnxruntime)?;
    let (program, model) = (std::env::current_exe()?, files.pocketsphinx.clone());
    let command = move || {
        let mut command = Command::new(&program);
        command.arg(WORKER).arg(&model);
        command
    };
    let pool = Pool::new(
        command,
        pocketsphinx::Config {
            most: 1,
            // Words are timed by the work they take: each portion's are waited for.
            patience: Span::from_secs(3),
            ..pocketsphinx::Config::default()
        },
    );
    let silero = || Silero::open(&runtime, &files.silero);
    let mut sets = serde_json::Map::new();
    println!("{}", Tally::heading());
    for (name, recordings) in material.sets(wanted.quick) {
        if wanted.set.as_ref().is_some_and(|set| *set != name) {
            continue;
        }
        let tally = measure(&recordings, wanted, &pool, &silero).with_context(|| name.clone())?;
        println!("{}", tally.row(&name));
        sets.insert(name, tally.json());
    }
    let memory: Vec<f64> = pool
        .memory()
        .iter()
        .map(|memory| memory.resident as f64 / 1e6)
        .collect();
    println!(
        "a worker holds {memory:.0?} MB; wer counts cold starts: {}",
        !wanted.carry
    );
    println!("partial, stable: from the word's end, median; final: from the endpoint; speech: from the end of speech");
    println!(
        "{}",
        json!({ "pocketsphinx": Value::Object(sets), "machine": machine(), "commit": commit(), "quick": wanted.quick.is_some(), "cold": !wanted.carry, "work_by": if wanted.wall { "wall" } else { "processor" } })
    );
    Ok(())
}

fn measure<F>(recordings: &[Recording], wanted: &Wanted, pool: &Pool, silero: &F) -> Result<Tally>
where
    F: Fn() -> Result<Silero, hearsight_models::files::BadFile>,
{
    let mut tally = Tally::default();
    let mut hearing = Hearing::new(pool.take()?);
    let mut speaker = None;
    for recording in recordings {
        if !wanted.carry || speaker != Some(&recording.speaker) {
            // The worker goes back to the pool before it is taken again for the next session.
            drop(hearing);
            hearing = Hearing::new(pool.take()?);
            speaker = Some(&recording.speaker);
        }
        let watch = match wanted.wall {
            true => Stopwatch::Wall,
            false => Stopwatch::Processor(hearing.recogniser().worker_pid()),
        };
        let samples = sound::load(&recording.path)?;
        let run = chain::run(silero()?, &mut hearing, &sound::hushed(&samples), &watch)?;
        tally.add(recording, &samples, run);
    }
    Ok(tally)
}
