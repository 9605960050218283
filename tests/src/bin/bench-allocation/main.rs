//! `make bench-allocation`: questions about small print on signs before leaves that go by, asked over recorded uplinks in virtual
//! time, with the real coder, the real reader, glance and the real allocation of bits: congestion control alone (the `webrtc` crate's,
//! and ours), every fixed cap, a cap that is learnt, with regions, with the rate of pictures, and that below a ceiling. The same
//! scenes, preset and key pictures for all. Before it, the controllers by themselves. A table for people, a plot in
//! `artefacts/allocation.svg`, and in the last line one JSON object.
//!
//! `--scenes N`, `--traces N`: fewer, for a look.

mod controllers;
mod figures;
mod flown;
mod material;
mod plot;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use hearsight_core::allocate::TIERS;
use hearsight_models::files::Files;
use hearsight_models::ocr::Model;
use hearsight_models::runtime::Runtime;
use hearsight_models::vlm::local::{Config, Model as Glance};
use hearsight_tests::rig::{artefacts, commit, machine, root};
use serde_json::json;

use figures::{Figures, Pooled};
use flown::{Engines, Flown, Scheme};
use material::Material;

/// What is not a fixed cap.
const LEARNT: [Scheme; 9] = [
    Scheme::Crates,
    Scheme::Uniform,
    Scheme::Cap,
    Scheme::CapRegions,
    Scheme::Full,
    Scheme::FullBelow(175_000),
    Scheme::FullBelow(150_000),
    Scheme::FullBelow(125_000),
    Scheme::FullBelow(100_000),
];
/// Flights at a time: the machine that this is built on has two cores.
const AT_A_TIME: usize = 2;

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench-allocation: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn number(flag: &str, otherwise: usize) -> Result<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != flag).skip(1);
    match arguments.next() {
        Some(text) => text.parse().with_context(|| format!("{flag} wants a number")),
        None => Ok(otherwise),
    }
}

fn measure() -> Result<()> {
    let controllers = controllers::compare()?;
    let material = Material::make(number("--scenes", 16)?, number("--traces", 6)?)?;
    let files = Files::under(&material::deps());
    let runtime = Runtime::open(&files.onnxruntime)?;
    let one = Config {
        threads: 1,
        ..Config::default()
    };
    let engines = Engines {
        reader: Arc::new(Model::open(&runtime, &files.ocr, 1, AT_A_TIME)?),
        glance: Arc::new(Glance::open(&runtime, &root().join("models/weights/glance"), one)?),
    };
    let flights = fly_all(&material, &engines)?;
    let schemes: BTreeSet<Scheme> = flights.iter().map(|(job, _)| job.0).collect();
    let pooled: BTreeMap<Scheme, Pooled> = schemes
        .iter()
        .map(|scheme| {
            let flown = flights
                .iter()
                .filter(|(job, _)| job.0 == *scheme)
                .map(|(_, flown)| flown);
            (*scheme, Pooled::new(flown.collect()))
        })
        .collect();
    let figures = Figures::new(&pooled);
    figures.print(&flights, &material);
    let plot = artefacts()?.join("allocation.svg");
    std::fs::write(&plot, plot::svg(&pooled)).with_context(|| format!("can't write {}", plot.display()))?;
    println!("plot: {}", plot.display());
    let mut told = figures.json(&flights, &material);
    told["bench"] = json!("allocation");
    told["commit"] = json!(commit());
    told["machine"] = machine();
    told["controllers"] = controllers;
    println!("{told}");
    Ok(())
}

type Flights = Vec<((Scheme, usize), Flown)>;

/// Every scheme over every recording, scheme by scheme.
fn fly_all(material: &Material, engines: &Engines) -> Result<Flights> {
    let over_all = |schemes: &[Scheme]| -> Vec<(Scheme, usize)> {
        let over = |scheme: &Scheme| {
            let scheme = *scheme;
            (0..material.traces.len()).map(move |trace| (scheme, trace))
        };
        schemes.iter().flat_map(over).collect()
    };
    let mut flights = fly(&over_all(&LEARNT), material, engines)?;
    let alone: Vec<Flown> = flights
        .iter()
        .filter(|(job, _)| job.0 == Scheme::Uniform)
        .map(|(_, flown)| flown.clone())
        .collect();
    // A cap that congestion control alone never reached makes the very same flight.
    let reached = |(scheme, trace): &(Scheme, usize)| scheme.most() < alone[*trace].allowed;
    let (other, same): (Vec<_>, Vec<_>) = over_all(&TIERS.map(Scheme::Fixed)).into_iter().partition(reached);
    flights.extend(fly(&other, material, engines)?);
    flights.extend(same.into_iter().map(|job| (job, alone[job.1].clone())));
    flights.sort_by_key(|(job, _)| *job);
    Ok(flights)
}

/// Flies all, a few at a time, and gives them back in their order.
fn fly(jobs: &[(Scheme, usize)], material: &Material, engines: &Engines) -> Result<Flights> {
    let next = Mutex::new(0..jobs.len());
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| -> Result<()> {
        let mut threads = Vec::new();
        for number in 0..AT_A_TIME {
            let work = || -> Result<()> {
                loop {
                    let Some(job) = next.lock().unwrap_or_else(PoisonError::into_inner).next() else {
                        return Ok(());
                    };
                    let (scheme, trace) = jobs[job];
                    let flown = flown::fly(scheme, material, trace, engines)?;
                    eprintln!("  {:<12} {}", scheme.name(), material.traces[trace].name);
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(job, flown);
                }
            };
            let builder = std::thread::Builder::new().name(format!("flight-{number}"));
            threads.push(builder.spawn_scoped(scope, work)?);
        }
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a flight broke down"))??;
        }
        Ok(())
    })?;
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(done.into_iter().map(|(job, flown)| (jobs[job], flown)).collect())
}
