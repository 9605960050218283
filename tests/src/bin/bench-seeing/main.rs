//! `make bench-seeing`: what is seen of scenes at the rates of a browser's camera, by the reader and by glance: how often they
//! are right, how well they say that what is asked can be read, how sure they are, and what it takes. In the spirit of DeViBench (Artic,
//! arXiv 2602.12641). Tables for people and, in the last line, one JSON object.
//!
//! `--scenes N` takes so many scenes of each family at every rate (4), `--clean N` so many as they were drawn (24), `--films N` so many before
//! real clips (8, where these are present); `--quick` takes a few of everything.

mod exam;
mod figures;
mod overload;
mod reading;
mod tables;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hearsight_core::time::Span;
use hearsight_models::files::Files;
use hearsight_models::ocr;
use hearsight_models::runtime::Runtime;
use hearsight_models::vlm::local::{Config, Model};
use hearsight_tests::rig::{commit, machine, root};
use hearsight_tests::scenes::{Family, Fonts, Scene, Split};
use serde_json::json;

use exam::{Asked, Marked};

/// Kilobits per second.
const RATES: [u32; 7] = [100, 200, 400, 610, 910, 1710, 3150];
const THREADS: usize = 2;
/// What a question may take under overload: less than three askers need.
const ALLOWED: Span = Span::from_millis(700);

/// Films of the shared material that scenes stand before.
const FILMS: [&str; 4] = [
    "natural/androidx_london_320x240_60fps.mp4",
    "natural/sam2_coffee_720p30.mp4",
    "natural/mdn_flower_540p30.mp4",
    "talking/androidx_talkinghead_1080x720.mp4",
];

/// How much is asked.
struct Wanted {
    scenes: u64,
    clean: u64,
    films: u64,
    rates: Vec<u32>,
    runs: usize,
    overload: Span,
}

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench-seeing: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn wanted() -> Result<Wanted> {
    let mut wanted = Wanted {
        scenes: 4,
        clean: 24,
        films: 8,
        rates: RATES.to_vec(),
        runs: 15,
        overload: Span::from_secs(15),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<u64> {
            let number = arguments.next().with_context(|| format!("{argument} wants a number"))?;
            number.parse().with_context(|| format!("{argument} wants a number"))
        };
        match argument.as_str() {
            "--scenes" => wanted.scenes = number()?,
            "--clean" => wanted.clean = number()?,
            "--films" => wanted.films = number()?,
            "--quick" => {
                wanted = Wanted {
                    scenes: 1,
                    clean: 1,
                    films: 0,
                    rates: vec![RATES[0], RATES[6]],
                    runs: 1,
                    overload: Span::from_secs(2),
                };
            }
            other => bail!("{other} is not known: --scenes N, --clean N, --films N or --quick"),
        }
    }
    Ok(wanted)
}

/// The folder that set-up filled.
pub(crate) fn deps() -> PathBuf {
    std::env::var_os("HEARSIGHT_DEPS").map_or_else(|| root().join(".deps"), PathBuf::from)
}

fn measure() -> Result<()> {
    let wanted = wanted()?;
    let files = Files::under(&deps());
    let runtime = Runtime::open(&files.onnxruntime)?;
    let reader = Arc::new(ocr::Model::open(&runtime, &files.ocr, THREADS, 1)?);
    let config = Config {
        threads: THREADS,
        ..Config::default()
    };
    let glance = Arc::new(Model::open(&runtime, &root().join("models/weights/glance"), config)?);
    let fonts = Fonts::load()?;
    let asked = Asked {
        glance: &glance,
        reader: &reader,
        fonts: &fonts,
    };
    let beside = reading::beside_the_package(&reader, wanted.runs, THREADS)?;
    let mut marked = Vec::new();
    for family in Family::ALL {
        eprint!("{} ", family.name());
        marked.extend(asked.clean(family, 0..wanted.clean)?);
        for number in 0..wanted.scenes {
            marked.extend(asked.coded(family, number, &wanted.rates, None)?);
        }
    }
    let (filmed, note) = before_films(&asked, &wanted)?;
    eprintln!();
    let scene = Scene::new(Family::SignByColour, Split::Unseen, 1, &fonts);
    let overload = overload::run(&glance, &reader, &scene, ALLOWED, wanted.overload)?;
    tables::print(&marked, &filmed, &wanted.rates);
    let mut figures = tables::figures(&marked, &wanted.rates);
    figures["bench"] = json!("seeing");
    figures["commit"] = json!(commit());
    figures["machine"] = machine();
    figures["real"] = tables::real(&filmed, &wanted.rates);
    figures["late"] = json!(overload.late);
    figures["overload"] = json!({
        "answers": overload.answers, "refused": overload.refused, "readings": overload.readings,
        "latest_over_budget_ms": overload.latest_ms,
    });
    tables::say_overload(&overload);
    tables::add_reading(&mut figures, &beside, THREADS);
    figures["threads"] = json!(THREADS);
    figures["notes"] = note.map_or(json!({}), |note| json!({ "real": note }));
    println!("{figures}");
    Ok(())
}

/// Scenes before real films, where these are present; otherwise why there are none.
fn before_films(asked: &Asked<'_>, wanted: &Wanted) -> Result<(Vec<Marked>, Option<String>)> {
    let folder = root().join("../shared/eval/video");
    let present: Vec<PathBuf> = FILMS
        .iter()
        .map(|name| folder.join(name))
        .filter(|path| path.exists())
        .collect();
    if present.is_empty() || wanted.films == 0 {
        return Ok((
            Vec::new(),
            Some("no real clips were asked for, or none are present".into()),
        ));
    }
    let mut marked = Vec::new();
    for number in 0..wanted.films {
        let family = Family::ALL[(5 * number as usize) % Family::ALL.len()];
        let film = exam::film(&present[number as usize % present.len()])?;
        // Other scenes than before their own grounds.
        marked.extend(asked.coded(family, 1000 + number, &wanted.rates, Some(&film))?);
    }
    Ok((marked, None))
}
