//! `make eval`: the recognisers that have their files, over labelled recordings where they are present, else over synthetic speech,
//! over noise and music, and PocketSphinx and Whisper in their own drivers beside them. Errors and delays by set, as a table for people and, in the last
//! line, as one JSON object.
//!
//! `--quick` takes about twenty recordings, `--most N` about N; `--set NAME` one set; `--moonshine FOLDER` and `--whisper FILE` name
//! models, else those are taken that were pulled under the names in the settings; `--wall` measures work by the clock instead of by
//! processor time, for machines that do nothing else; `--carry` lets a speaker's recordings follow each other in one session, with what
//! was learnt of the voice. `--noisy DB` lays recorded noise under all speech, so many decibels fainter than it, and `--denoise` takes
//! noise out before anybody listens, as the setting `hearing.denoise` does; its 10 ms are not in the delays.

#[path = "../eval/chain.rs"]
mod chain;
#[path = "../eval/material.rs"]
mod material;
#[path = "../eval/music.rs"]
mod music;
#[path = "../eval/noise.rs"]
mod noise;
#[path = "../eval/score.rs"]
mod score;
#[path = "../eval/sound.rs"]
mod sound;
#[path = "../eval/tally.rs"]
mod tally;

#[path = "bench-hearing/engines.rs"]
#[allow(dead_code, reason = "what the other bench measures with it")]
mod engines;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, anyhow};
use hearsight_models::asr::Hearing;
use hearsight_models::asr::pocketsphinx::{self, own};
use hearsight_tests::rig::{commit, machine};
use serde_json::{Map, Value, json};

use chain::{Alone, Stopwatch};
use engines::{Engine, Engines, WORKER};
use material::{Material, Recording};
use tally::Tally;

/// What this program calls itself with to be PocketSphinx as it comes.
const OWN: &str = "pocketsphinx-alone";

/// What was asked for.
#[derive(Default)]
pub(crate) struct Wanted {
    quick: Option<usize>,
    set: Option<String>,
    carry: bool,
    wall: bool,
    denoise: bool,
    noisy: Option<f32>,
    pub(crate) moonshine: Option<PathBuf>,
    pub(crate) whisper: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, model] = arguments.as_slice() {
        match first.as_str() {
            WORKER => return pocketsphinx::worker::main(&PathBuf::from(model)),
            OWN => return own::main(&PathBuf::from(model)),
            _ => {}
        }
    }
    match wanted(arguments).and_then(|wanted| evaluate(&wanted)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("eval: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn wanted(arguments: Vec<String>) -> Result<Wanted> {
    let mut wanted = Wanted::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} wants a value"));
        match argument.as_str() {
            "--quick" => wanted.quick = Some(20),
            "--most" => wanted.quick = Some(value()?.parse().context("--most wants a number")?),
            "--carry" => wanted.carry = true,
            "--wall" => wanted.wall = true,
            "--denoise" => wanted.denoise = true,
            "--noisy" => wanted.noisy = Some(value()?.parse().context("--noisy wants decibels")?),
            "--set" => wanted.set = Some(value()?),
            "--moonshine" => wanted.moonshine = Some(value()?.into()),
            "--whisper" => wanted.whisper = Some(value()?.into()),
            other => {
                return Err(anyhow!(
                    "unknown argument {other}; there are --quick, --most N, --carry, --wall, --denoise, --noisy DB, --set NAME, --moonshine FOLDER and --whisper FILE"
                ));
            }
        }
    }
    Ok(wanted)
}

fn evaluate(wanted: &Wanted) -> Result<()> {
    let material = Material::find();
    if !material.is_recorded() {
        println!("eval: no recordings beside the checkout (HEARSIGHT_EVAL, ../shared/eval): flite speaks instead");
    }
    let engines = Engines::open(wanted)?;
    let given = Given::new(wanted, &material)?;
    let mut sets = material.sets(wanted.quick)?;
    sets.retain(|(name, _)| wanted.set.as_ref().is_none_or(|set| set == name));
    let mut results = Map::new();
    for engine in engines.list() {
        let table = table(&engine.name(), &sets, |recordings| {
            heard(recordings, wanted, &given, engine, &engines)
        })?;
        results.insert(engine.key().to_owned(), Value::Object(table));
    }
    let own = table("PocketSphinx, its own endpointer and decoder", &sets, |recordings| {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(OWN).arg(&engines.files.pocketsphinx);
        let mut own = own::Own::start(command).map_err(|why| anyhow!(why))?;
        let watch = stopwatch(wanted, Some(own.pid()));
        alone(recordings, &given, &mut own, &watch)
    })?;
    results.insert("pocketsphinx_own".to_owned(), Value::Object(own));
    for engine in engines.list() {
        let Engine::Whisper(model) = engine else { continue };
        let own = table("Whisper, in whisper.cpp's own live driver", &sets, |recordings| {
            let mut own = model.own().map_err(|why| anyhow!(why))?;
            alone(recordings, &given, &mut own, &stopwatch(wanted, None))
        })?;
        results.insert("whisper_own".to_owned(), Value::Object(own));
    }
    println!("wer counts cold starts: {}", !wanted.carry);
    println!(
        "partial, stable: from the word's end, median; final: from the end of the phrase, as the detector tells it"
    );
    println!("speech: from the end of speech to its final words; over: to the end of the segment");
    println!("early/min: final words told while speech went on later; ends/min: segments that ended while it did");
    results.insert("recorded".to_owned(), material.is_recorded().into());
    results.insert("machine".to_owned(), machine());
    results.insert("commit".to_owned(), json!(commit()));
    results.insert("quick".to_owned(), wanted.quick.is_some().into());
    results.insert("noisy_db".to_owned(), wanted.noisy.into());
    results.insert("denoised".to_owned(), wanted.denoise.into());
    results.insert("cold".to_owned(), (!wanted.carry).into());
    results.insert(
        "work_by".to_owned(),
        if wanted.wall { "wall" } else { "processor" }.into(),
    );
    results.insert("notes".to_owned(), json!(engines.notes()));
    println!("{}", Value::Object(results));
    Ok(())
}

/// What of the recordings is given to recognisers.
struct Given {
    denoise: bool,
    /// Decibels by which noise is fainter than speech, and the noise.
    noise: Option<(f32, Vec<f32>)>,
}

impl Given {
    fn new(wanted: &Wanted, material: &Material) -> Result<Given> {
        let noise = |decibels| Ok::<_, anyhow::Error>((decibels, noise::loads(&material.noise())?));
        Ok(Given {
            denoise: wanted.denoise,
            noise: wanted.noisy.map(noise).transpose()?,
        })
    }

    /// A recording with hush around it, noisy or denoised where that was asked for.
    fn sound(&self, recording: &Recording, samples: &[f32]) -> Result<Vec<f32>> {
        let mut given = sound::hushed(samples);
        if let Some((decibels, noise)) = &self.noise
            && !recording.reference.is_empty()
        {
            noise::lay_under(&mut given, samples, noise, *decibels);
        }
        if self.denoise {
            given = noise::denoised(&given)?;
        }
        Ok(given)
    }
}

type Sets = [(String, Vec<Recording>)];

/// One engine's figures by set.
fn table(name: &str, sets: &Sets, measure: impl Fn(&[Recording]) -> Result<Tally>) -> Result<Map<String, Value>> {
    println!("{name}");
    println!("{}", Tally::heading());
    let mut table = Map::new();
    for (name, recordings) in sets {
        let tally = measure(recordings).with_context(|| name.clone())?;
        println!("{}", tally.row(name));
        table.insert(name.clone(), tally.json());
    }
    Ok(table)
}

/// The product's chain.
fn heard(
    recordings: &[Recording],
    wanted: &Wanted,
    given: &Given,
    engine: &Engine,
    engines: &Engines,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut session: Option<(&String, Hearing<_>, Option<u32>)> = None;
    for recording in recordings {
        let known = session
            .take()
            .filter(|(speaker, ..)| wanted.carry && *speaker == &recording.speaker);
        // A worker goes back to the pool, above, before it is taken again for the next session.
        let (speaker, mut hearing, worker) = match known {
            Some(known) => known,
            None => {
                let (recogniser, worker) = engine.recogniser()?;
                (&recording.speaker, Hearing::new(recogniser), worker)
            }
        };
        let samples = recording.load()?;
        let watch = stopwatch(wanted, worker);
        let run = chain::run(
            engines.silero()?,
            &mut hearing,
            &given.sound(recording, &samples)?,
            &watch,
        )?;
        tally.add(recording, &samples, run);
        session = Some((speaker, hearing, worker));
    }
    Ok(tally)
}

/// A recogniser without ours.
fn alone(recordings: &[Recording], given: &Given, own: &mut impl Alone, watch: &Stopwatch) -> Result<Tally> {
    let mut tally = Tally::default();
    for recording in recordings {
        let samples = recording.load()?;
        let run = chain::alone(own, &given.sound(recording, &samples)?, watch)?;
        tally.add(recording, &samples, run);
    }
    Ok(tally)
}

fn stopwatch(wanted: &Wanted, worker: Option<u32>) -> Stopwatch {
    match wanted.wall {
        true => Stopwatch::Wall,
        false => Stopwatch::Processor(worker),
    }
}
