//! `make bench-latency`: a click and a flash in the fake microphone and camera of a real browser, observed in the page,
//! beside the sum of the segments that client and server report for the same events. A table for people and, in the last
//! line, one JSON object. `--events N` measures about N of each, `--raw FILE` keeps what was observed.

mod devices;
mod figures;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use hearsight_tests::rig::{browser, commit, machine, server::Server};
use serde_json::{Map, Value, json};

use figures::{Observed, Outlet, SEGMENTS};

/// One period of the longer of the two fake devices, with room.
const PERIOD_MS: usize = 8_000;

struct Wanted {
    events: usize,
    raw: Option<PathBuf>,
}

fn main() -> ExitCode {
    let mut wanted = Wanted { events: 11, raw: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--events", Some(number)) if number.parse().is_ok_and(|number: usize| number > 0) => {
                wanted.events = number.parse().unwrap_or(wanted.events);
            }
            ("--raw", Some(path)) => wanted.raw = Some(path.into()),
            (other, _) => {
                eprintln!("bench-latency: can't use {other}; there are --events N and --raw FILE");
                return ExitCode::FAILURE;
            }
        }
    }
    match measure(&wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench-latency: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(wanted: &Wanted) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (seen, to_end) = listen_and_look(wanted, folder.path())?;
    if let Some(path) = &wanted.raw {
        std::fs::write(path, serde_json::to_vec_pretty(&seen)?)?;
    }
    let observed = Observed::read(&seen["observed"]).context("what the page observed is not usable")?;
    let mut notes = Map::new();
    if let Some(why) = seen["gave_up"].as_str() {
        notes.insert("visit".into(), format!("ended early: {why}").into());
    }

    let ends: Vec<f64> = observed.clicks.iter().map(|click| click + to_end).collect();
    let words = Outlet::pair("words.final", &ends, &observed.shown_finals, &observed.accounts);
    let picture = Outlet::pair(
        "picture.stats",
        &observed.flashes,
        &observed.shown_flashes,
        &observed.accounts,
    );
    println!("{}", Outlet::heading());
    for (name, outlet) in [("words.final", &words), ("picture.stats", &picture)] {
        println!("{}", outlet.row(name));
        if outlet.count() == 0 {
            notes.insert(name.into(), "nothing was measured in both ways".into());
        }
    }
    println!(
        "felt: from the end of speech (a known time after the click), and from the first bright picture, to the frame that \
         shows it; sum: what client and server report, {}; apart: felt less sum, event by event, p50; all in ms",
        SEGMENTS.join(" + ")
    );
    println!(
        "left out before the clocks were compared: {}; shown or accounted for too late to be paired: {}",
        words.unmeasured + picture.unmeasured,
        words.missed + picture.missed
    );
    let climb = climb(folder.path())?;
    println!("{}", climb.0);
    report(&words, &picture, &climb.1, notes);
    Ok(())
}

/// The visit that is measured. Returns what was seen, and how long after the click speech ends, in milliseconds.
fn listen_and_look(wanted: &Wanted, folder: &std::path::Path) -> Result<(Value, f64)> {
    let (microphone, camera) = (folder.join("microphone.wav"), folder.join("camera.y4m"));
    let to_end = devices::write_microphone(&microphone)?;
    devices::write_camera(&camera)?;
    let server = Server::start(&[])?;
    println!(
        "bench-latency: {} events of each kind, about a minute and a half",
        wanted.events
    );
    let seen = browser::visit(&json!({
        "url": format!("{}?autostart=1", server.page), "microphone": microphone, "camera": camera,
        "observe": true, "finals": 0, "events": wanted.events,
        "timeout_ms": 20_000 + wanted.events * PERIOD_MS,
    }))?;
    Ok((seen, to_end))
}

/// How fast a browser climbs to 2 Mbit/s at 1280×720. Returns a line for people and the keys of the last line.
fn climb(folder: &std::path::Path) -> Result<(String, Value)> {
    let camera = folder.join("scene.y4m");
    hearsight::demo::fake::write_y4m(&camera, 2.0, (1280, 720), 30)?;
    let server = Server::start(&[])?;
    let seen = browser::visit(&json!({
        "url": format!("{}?autostart=1", server.page), "camera": camera,
        "finals": 0, "kbps": 2000, "timeout_ms": 20_000,
    }))?;
    let (fast, resolution) = (seen["fast_ms"].as_f64().map(f64::round), &seen["resolution"]);
    let line = match fast {
        Some(ms) => format!("2 Mbit/s after {ms} ms from the opening of the page, at {resolution}"),
        None => format!("2 Mbit/s was not reached: {} kbit/s at {resolution}", seen["kbps"]),
    };
    Ok((line, json!({ "two_mbps_ms": fast, "resolution": resolution })))
}

fn report(words: &Outlet, picture: &Outlet, climb: &Value, mut notes: Map<String, Value>) {
    let whole = words.json();
    if climb["two_mbps_ms"].is_null() {
        notes.insert("two_mbps_ms".into(), "not reached within 20 s".into());
    }
    let mut last = json!({
        "felt_ms_p50": whole["felt_ms_p50"], "segments_sum_ms_p50": whole["segments_sum_ms_p50"],
        "words.final": whole, "picture.stats": picture.json(),
        "machine": machine(),
        "commit": commit(),
    });
    last["two_mbps_ms"] = climb["two_mbps_ms"].clone();
    last["resolution"] = climb["resolution"].clone();
    last["notes"] = Value::Object(notes);
    println!("{last}");
}
