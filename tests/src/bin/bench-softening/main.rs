//! `make bench-softening`: a real Chromium sends a sign before leaves that go by through a thin uplink, with allocation off and on,
//! in turns; how sharp the sign is where it was decoded, against what the camera saw, and how many pictures a second came. A
//! table for people, the sign as it was seen and decoded in `artefacts/softening-*.pgm`, and in the last line one JSON object.
//!
//! `--kbps N`: the uplink; `--seconds N`: how long each turn is looked at; `--turns N`: of each kind; `--letters N`: how high the sign's
//! letters are at least, in pixels.

mod film;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use hearsight_tests::rig::server::Server;
use hearsight_tests::rig::shaped::{Shaped, steady};
use hearsight_tests::rig::sound::Sound;
use hearsight_tests::rig::{artefacts, commit, machine, root};
use serde_json::{Value, json};

use film::Film;

/// The sender finds out what the link carries, the reader what the sign says, and regions take hold: not looked at.
const WAIT: u32 = 30;
/// What is compared.
const MODES: [&str; 2] = ["off", "full"];

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench-softening: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn number(flag: &str, otherwise: u32) -> Result<u32> {
    let mut arguments = std::env::args().skip_while(|argument| argument != flag).skip(1);
    match arguments.next() {
        Some(text) => text.parse().with_context(|| format!("{flag} wants a number")),
        None => Ok(otherwise),
    }
}

/// What came of one turn.
#[derive(Clone, Debug)]
struct Turn {
    mode: &'static str,
    /// Of each decoded picture, inside the sign's place, in decibels.
    psnr: f64,
    /// Decoded pictures a second.
    fps: f64,
    /// What the page said last.
    said: Value,
    /// Pictures that it sent, second by second from its first.
    sent: Vec<Value>,
}

fn measure() -> Result<()> {
    let (kbps, seconds, turns) = (number("--kbps", 250)?, number("--seconds", 20)?, number("--turns", 2)?);
    let folder = tempfile::tempdir()?;
    let letters = number("--letters", 16)?;
    let film = Film::of_a_sign(letters as f32)?;
    film.write(&folder.path().join("camera.y4m"))?;
    Sound::silence(16_000, 1_000).write(&folder.path().join("microphone.wav"))?;
    std::fs::write(folder.path().join("thin.json"), steady(kbps, 0.0))?;
    println!("a sign that says {:?}, behind {kbps} kbit/s:", film.says);
    println!("  {:<14} {:>9} {:>12}  softened", "", "PSNR dB", "pictures/s");
    let mut all = Vec::new();
    for _ in 0..turns.max(1) {
        for mode in MODES {
            let turn = one(mode, folder.path(), &film, seconds)?;
            let softened = turn.said["softened"].as_str().unwrap_or_default();
            println!("  {:<14} {:>9.2} {:>12.1}  {softened}", mode, turn.psnr, turn.fps);
            all.push(turn);
        }
    }
    let mean = |mode: &str, pick: fn(&Turn) -> f64| {
        let of: Vec<f64> = all.iter().filter(|turn| turn.mode == mode).map(pick).collect();
        of.iter().sum::<f64>() / of.len().max(1) as f64
    };
    let psnr = MODES.map(|mode| mean(mode, |turn| turn.psnr));
    let fps = MODES.map(|mode| mean(mode, |turn| turn.fps));
    let turns: Vec<Value> = all
        .iter()
        .map(|turn| json!({"mode": turn.mode, "psnr_db": turn.psnr, "fps": turn.fps, "sent_fps": turn.sent, "page": turn.said}))
        .collect();
    println!(
        "{}",
        json!({
            "bench": "softening", "commit": commit(), "machine": machine(), "kbps": kbps, "letters_px": letters,
            "psnr_db_off": psnr[0], "psnr_db_on": psnr[1], "psnr_gain_db": psnr[1] - psnr[0],
            "fps_off": fps[0], "fps_on": fps[1], "turns": turns, "notes": {},
        })
    );
    Ok(())
}

/// A page that sends; killed when dropped.
struct Sender(Child);

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn one(mode: &'static str, folder: &Path, film: &Film, seconds: u32) -> Result<Turn> {
    let server = Server::start(&[])?;
    let shaped = Shaped::start(&server.page, &folder.join("thin.json"))?;
    let wish = json!({
        "url": format!("{}?autostart=1&allocate={}", shaped.page, mode.replace('+', "%2B")), "seconds": WAIT + seconds + 3,
        "camera": folder.join("camera.y4m"), "microphone": folder.join("microphone.wav"),
    });
    let mut child = Command::new("node")
        .arg(root().join("tests/browser/send.mjs"))
        .arg(wish.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("node is not installed")?;
    let stdout = child.stdout.take().context("no standard output")?;
    let sender = Sender(child);
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let live: Value = serde_json::from_str(&lines.next().context("the page did not go live")?)?;
    let stream = live["stream"].as_str().context("no name")?;
    let watched = folder.join("watched.gray");
    let endpoint = format!("{}whep/{stream}?view=received", server.page);
    let counts = watch(&endpoint, film.place, seconds, &watched)?;
    let page: Value = serde_json::from_str(&lines.last().context("the page said nothing")?)?;
    drop(sender);
    ensure!(
        page["complaints"] == json!([]),
        "the page complained: {}",
        page["complaints"]
    );
    let bytes = std::fs::read(&watched)?;
    std::fs::write(artefacts()?.join(format!("softening-{mode}.pgm")), film.beside(&bytes))?;
    Ok(Turn {
        mode,
        psnr: film.psnr(&bytes).context("nothing was decoded")?,
        fps: counts["pictures"].as_f64().unwrap_or(0.0) / f64::from(seconds),
        sent: page["seconds"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|second| second["fps"].clone())
            .collect(),
        said: page["seconds"]
            .as_array()
            .and_then(|all| all.last())
            .cloned()
            .unwrap_or_default(),
    })
}

/// Watches from the server itself, not through the thin uplink.
fn watch(endpoint: &str, [left, top, width, height]: [usize; 4], seconds: u32, into: &Path) -> Result<Value> {
    let deps = std::env::var_os("HEARSIGHT_DEPS").map_or_else(|| root().join(".deps"), Into::into);
    let output = Command::new("python3")
        .arg(root().join("tests/clients/watch_region.py"))
        .arg(endpoint)
        .args([left, top, width, height].map(|number| number.to_string()))
        .args([WAIT, seconds].map(|number| number.to_string()))
        .arg(into)
        .env("PYTHONPATH", deps.join("aiortc"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("python3 is not installed")?;
    ensure!(output.status.success(), "watching failed: {}", output.status);
    serde_json::from_str(String::from_utf8_lossy(&output.stdout).trim()).context("watching did not end with JSON")
}
