//! `make bench-ingest`: what a session costs from the socket to pictures and 16 kHz sound, beside bare libavcodec decoding
//! of the same stream; how soon it stands; what 200 sessions cost without decoding; how many the whole house sustains. A
//! table for people and, in the last line, one JSON object. `--only NAME,NAME` measures some parts.

mod cost;
mod decode;
mod load;
mod server;
mod whole;

use std::process::ExitCode;

use anyhow::{Context, Result};
use hearsight_tests::rig::{commit, machine};
use serde_json::{Map, Value, json};

use server::Work;

/// The parts, in the order in which they are measured, and the keys that each fills.
const PARTS: [(&str, Part, &[&str]); 5] = [
    ("decode", cost::decode, &["cpu_ratio_to_decode"]),
    ("memory", cost::memory, &["rss_per_session_mb"]),
    ("connect", whole::connect, &["connect_ms", "first_picture_ms"]),
    ("many", cost::many, &["cpu_ms_per_10k_packets", "rss_200_sessions_mb"]),
    ("sustain", whole::sustain, &["sessions_sustained"]),
];

/// Prints lines for people and answers with keys of the last line; those under `notes` are merged.
type Part = fn() -> Result<Value>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["serve", work] => match Work::parse(work) {
            Some(work) => server::serve(work),
            None => Err(anyhow::anyhow!("there is no work called {work}")),
        },
        [] => measure(&PARTS.map(|(name, ..)| name)),
        ["--only", parts] => measure(&parts.split(',').collect::<Vec<_>>()),
        _ => Err(anyhow::anyhow!(
            "there is --only and some of {}",
            PARTS.map(|(name, ..)| name).join(",")
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench-ingest: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(wanted: &[&str]) -> Result<()> {
    let mut last = Map::new();
    let mut notes = Map::new();
    for (name, part, keys) in PARTS {
        let figures = match wanted.contains(&name) {
            true => part().with_context(|| format!("measuring {name}")),
            false => Err(anyhow::anyhow!("not asked for")),
        };
        match figures {
            Ok(Value::Object(mut figures)) => {
                if let Some(Value::Object(more)) = figures.remove("notes") {
                    notes.extend(more);
                }
                last.extend(figures);
            }
            Ok(_) => {}
            Err(why) => {
                // One part that fails must not cost the others.
                println!("{name}: {why:#}");
                for key in keys {
                    last.insert((*key).into(), Value::Null);
                    notes.insert((*key).into(), format!("{why:#}").into());
                }
            }
        }
    }
    last.insert("machine".into(), machine());
    last.insert("commit".into(), json!(commit()));
    last.insert("notes".into(), Value::Object(notes));
    println!("{}", Value::Object(last));
    Ok(())
}

/// The middle of some values.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn round(value: f64, places: i32) -> f64 {
    let grain = 10f64.powi(places);
    (value * grain).round() / grain
}
