//! `make bench-seeing`: what one reading of five lines at 640×480 takes on two threads, from the decoded picture to the lines,
//! beside the Python package of the same models in the same minute. A table for people and, in the last line, one JSON
//! object.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use hearsight::budget;
use hearsight_core::media::{Picture, Plane, Planes, Reading};
use hearsight_core::stage::{Engine, Outbox, Signal, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_live::clock::Clock;
use hearsight_models::files::Files;
use hearsight_models::ocr::{Choice, Chosen, Config, Model, PaddleOcr, Reader};
use hearsight_models::runtime::Runtime;
use hearsight_tests::rig::{commit, machine, root};
use serde_json::{Value, json};

const PICTURE: &str = "models/tests/fixtures/reading/clean-20.png";
const WIDTH: usize = 640;
const HEIGHT: usize = 480;
const RUNS: usize = 15;
const THREADS: usize = 2;

/// The folder that set-up filled.
fn deps() -> PathBuf {
    std::env::var_os("HEARSIGHT_DEPS").map_or_else(|| root().join(".deps"), PathBuf::from)
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

fn measure() -> Result<()> {
    let picture = picture()?;
    let files = Files::under(&deps());
    let runtime = Runtime::open(&files.onnxruntime)?;
    let model = Arc::new(Model::open(&runtime, &files.ocr, THREADS)?);
    let mut ours = Vec::new();
    let mut lines = 0;
    for run in 0..=RUNS {
        // A reader of its own for each: one that knows the picture would not read it again.
        let (took, reading) = read(Reader::new(PaddleOcr::new(model.clone()), unhurried()), &picture)?;
        lines = reading.lines.len();
        if run > 0 {
            ours.push(took.secs_f64() * 1e3);
        }
    }
    let theirs = theirs();
    let (reader_ms, rapidocr_ms) = (median(&ours), theirs.as_ref().ok().and_then(|times| median(times)));
    println!("reading {lines} lines at {WIDTH}×{HEIGHT} on {THREADS} threads, median of {RUNS}:");
    println!("  ours        {}", text(reader_ms));
    println!("  rapidocr    {}", text(rapidocr_ms));
    if let Err(why) = theirs {
        println!("  ({why:#})");
    }
    let figures = json!({
        "bench": "seeing", "commit": commit(), "machine": machine(),
        "reader_ms": reader_ms, "rapidocr_ms": rapidocr_ms, "lines": lines, "threads": THREADS, "runs": RUNS,
    });
    println!("{figures}");
    Ok(())
}

fn text(ms: Option<f64>) -> String {
    ms.map_or("not measured".into(), |ms| format!("{ms:.0} ms"))
}

fn median(times: &[f64]) -> Option<f64> {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

/// The budget is not what is measured: a slow machine must not make the reading shorter.
fn unhurried() -> Config {
    let mut budget = budget::READING;
    budget.span = Span::from_secs(60);
    Config { budget }
}

/// One reading, whole, and how long it took.
fn read(mut reader: Reader<PaddleOcr>, picture: &Picture<Planes>) -> Result<(Span, Reading)> {
    let clock = Clock::new();
    let chosen = Chosen {
        picture: picture.clone(),
        choice: Choice::Changed,
    };
    let began = clock.now();
    let mut signal = Signal::Item(Stamped::new(MediaTime::ZERO, began, chosen));
    let mut out = Outbox::default();
    // It stands still for the reader, which would tell a long reading in parts.
    while reader.run(Moment::ZERO, signal, &mut out)? != Wake::OnSignal {
        signal = Signal::Timer;
    }
    let took = clock.now() - began;
    let readings = out.drain().filter_map(|signal| match signal {
        Signal::Item(reading) => Some(reading.item),
        _ => None,
    });
    Ok((took, readings.last().context("nothing was read")?))
}

/// The picture as a decoder hands it over.
fn picture() -> Result<Picture<Planes>> {
    let decoded = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(root().join(PICTURE))
        .args(["-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
        .stdin(Stdio::null())
        .output()
        .context("ffmpeg is not installed")?;
    let bytes = decoded.stdout;
    ensure!(
        bytes.len() == WIDTH * HEIGHT * 3 / 2,
        "ffmpeg made {} bytes of the picture",
        bytes.len()
    );
    let plane = |from: usize, stride: usize, rows: usize| Plane {
        bytes: Arc::new(bytes[from..from + stride * rows].to_vec()),
        stride,
    };
    let luma = WIDTH * HEIGHT;
    Ok(Picture {
        width: WIDTH as u32,
        height: HEIGHT as u32,
        pixels: Planes {
            y: plane(0, WIDTH, HEIGHT),
            u: plane(luma, WIDTH / 2, HEIGHT / 2),
            v: plane(luma * 5 / 4, WIDTH / 2, HEIGHT / 2),
        },
    })
}

/// The Python package's times in milliseconds.
fn theirs() -> Result<Vec<f64>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/bench-seeing/rapidocr.py");
    let ran = Command::new("python3")
        .arg(script)
        .args([RUNS.to_string(), THREADS.to_string()])
        .arg(root().join(PICTURE))
        .env("PYTHONPATH", deps().join("rapidocr"))
        .stdin(Stdio::null())
        .output()
        .context("Python is not installed")?;
    ensure!(
        ran.status.success(),
        "the package did not run: `make setup-bench` installs it for Python 3.11"
    );
    let told: Value = serde_json::from_slice(&ran.stdout).context("the package's times can't be read")?;
    let times = told["ms"].as_array().context("the package told no times")?;
    Ok(times.iter().filter_map(Value::as_f64).collect())
}
