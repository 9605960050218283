//! The whole server, as people run it.

use anyhow::{Context, Result};
use hearsight_codecs::encode::{H264Config, H264Encoder, Preset};
use hearsight_core::media::{Picture, Plane, Planes};
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;
use hearsight_tests::rig::callers::{Callers, Number};
use hearsight_tests::rig::server::Server;
use hearsight_tests::rig::{material, whip};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::load::{Load, PATIENCE};
use crate::{median, round};

/// Connections of which the median is told.
const CALLS: usize = 24;

/// The most sessions that are tried, and how long each number of them is watched: two sentences and more.
const MOST: usize = 16;
const WATCHED: Span = Span::from_secs(12);

/// From the offer to the connection, and to the first picture.
pub(crate) fn connect() -> Result<Value> {
    let server = Server::for_a_crowd(&["--log-level", "error", "--recognise-warm", "2"])?;
    let pictures = flash()?;
    let clock = Clock::new();
    let (mut connected, mut seen) = (Vec::new(), Vec::new());
    for call in 0..=CALLS {
        let mut callers = Callers::new(clock)?;
        let (number, offer) = callers.dial()?;
        let asked = clock.now();
        let created = whip::post(&server.page, "bench", &offer)?;
        callers.accept(number, &created.sdp)?;
        callers.until(PATIENCE, |callers| Ok(callers.caller(number)?.connected.is_some()))?;
        let stands = callers.caller(number)?.connected.context("connected")?;
        for (n, unit) in pictures.iter().enumerate() {
            callers.show(number, Span::from_samples(n as i64, 30), unit.clone())?;
        }
        let mut told = None;
        callers.until(PATIENCE, |callers| {
            told = told.or(first_cut(callers, number)?);
            Ok(told.is_some())
        })?;
        callers.hang_up(number)?;
        // The first warms the server up, as its users' first does.
        if call > 0 {
            connected.push((stands - asked).millis_f64());
            seen.push((told.context("told")? - asked).millis_f64());
        }
    }
    let (connect, first) = (round(median(&mut connected), 1), round(median(&mut seen), 1));
    println!(
        "{CALLS} calls: connected {connect} ms after the POST, the first picture's reading is back {first} ms after it (p50)"
    );
    Ok(json!({
        "connect_ms": connect,
        "first_picture_ms": first,
        "notes": {
            "connect_ms": "str0m as the caller, loopback, plain HTTP: from before the POST to ICE and DTLS done at the caller",
            "first_picture_ms": "a dark and a bright picture are sent as soon as connected, and the server tells of the cut: \
                includes decoding both, and the way back over the data channel",
        },
    }))
}

fn first_cut(callers: &mut Callers, number: Number) -> Result<Option<Moment>> {
    let messages = &mut callers.caller(number)?.messages;
    Ok(messages
        .drain(..)
        .find(|(_, text)| text.contains("\"picture.stats\""))
        .map(|(at, _)| at))
}

/// A dark and a bright picture of 1280×720.
fn flash() -> Result<Vec<Arc<[u8]>>> {
    let mut encoder = H264Encoder::new(H264Config {
        width: 1280,
        height: 720,
        fps: 30,
        bitrate: 2_000_000,
        gop: 300,
        preset: Preset::default(),
    })?;
    let plane = |width: usize, height: usize, value: u8| Plane {
        bytes: Arc::new(vec![value; width * height]),
        stride: width,
    };
    [16, 235]
        .map(|luma| {
            let pixels = Planes {
                y: plane(1280, 720, luma),
                u: plane(640, 360, 128),
                v: plane(640, 360, 128),
            };
            let picture = Picture {
                width: 1280,
                height: 720,
                pixels,
            };
            Ok(encoder.encode(&picture)?.payload)
        })
        .into_iter()
        .collect()
}

/// How many sessions that speak and show 720p30 are served before captions are lost or late.
pub(crate) fn sustain() -> Result<Value> {
    let most = MOST.to_string();
    let server = Server::for_a_crowd(&[
        "--log-level",
        "error",
        "--limits-sessions",
        &most,
        "--recognise-workers",
        &most,
        "--recognise-warm",
        "2",
    ])?;
    let (talk, scene) = (material::talk()?, material::scene(5)?);
    let clock = Clock::new();
    let mut load = Load::new(clock)?;
    let mut numbers = Vec::new();
    let mut sustained = 0;
    let mut why = "no more were tried".to_owned();
    for wanted in 1..=MOST {
        let (number, offer) = load.callers.dial()?;
        let created = whip::post(&server.page, "bench", &offer)?;
        load.callers.accept(number, &created.sdp)?;
        load.callers
            .until(PATIENCE, |callers| Ok(callers.caller(number)?.open))?;
        load.begin(number, Span::from_millis(50), (&talk, &scene));
        numbers.push(number);
        // What those before said while this one came in counts for nobody.
        load.run(Span::from_secs(3))?;
        heard(&mut load, &numbers)?;
        load.run(WATCHED)?;
        let told = heard(&mut load, &numbers)?;
        println!(
            "{wanted} sessions: {} captions, {} of them late, the least of a session {}; {} units of sound lost, {} of pictures",
            told.captions, told.late, told.least, told.lost_sound, told.lost_pictures
        );
        if told.late > 0 || told.lost_sound > 0 || told.least == 0 {
            why = format!(
                "with {wanted}, {} late, {} units of sound lost",
                told.late, told.lost_sound
            );
            break;
        }
        sustained = wanted;
    }
    println!("{sustained} sessions sustained; {why}");
    Ok(json!({
        "sessions_sustained": sustained,
        "notes": { "sessions_sustained": format!("talk and 1280×720 at 30 pictures a second each, all of it decoded, heard and \
            recognised, with the callers on the same machine; the next one: {why}") },
    }))
}

/// What the sessions were told since the last time.
#[derive(Default)]
struct Told {
    captions: usize,
    late: usize,
    least: usize,
    lost_sound: u64,
    lost_pictures: u64,
}

fn heard(load: &mut Load, numbers: &[Number]) -> Result<Told> {
    let mut told = Told {
        least: usize::MAX,
        ..Told::default()
    };
    for number in numbers {
        let mut captions = 0;
        for (_, text) in load.callers.caller(*number)?.messages.drain(..) {
            let event: Value = serde_json::from_str(&text)?;
            match event["type"].as_str() {
                Some("latency") if event["outlet"] == "words.final" => {
                    captions += 1;
                    let age = event["sent_us"].as_i64().unwrap_or(0) - event["born_us"].as_i64().unwrap_or(0);
                    let budget = hearsight::budget::WORDS_FINAL.span;
                    told.late += usize::from(Span::from_micros(age) > budget);
                }
                Some("lost") => {
                    let count = event["count"].as_u64().unwrap_or(0);
                    match event["stage"].as_str() {
                        Some("decode" | "measure" | "picture" | "sight") => told.lost_pictures += count,
                        _ => told.lost_sound += count,
                    }
                }
                _ => {}
            }
        }
        told.captions += captions;
        told.least = told.least.min(captions);
    }
    Ok(told)
}
