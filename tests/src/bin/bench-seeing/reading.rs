//! What one reading of five lines at 640×480 takes, from the decoded picture to the lines, beside the Python package of the same
//! models in the same minute.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use hearsight::budget;
use hearsight_core::media::{Picture, Planes, Reading};
use hearsight_core::stage::{Engine, Outbox, Signal, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_live::clock::Clock;
use hearsight_models::ocr::{Choice, Chosen, Config, Model, PaddleOcr, Reader};
use hearsight_tests::rig::{coded, root};
use serde_json::Value;

use crate::deps;

const PICTURE: &str = "models/tests/fixtures/reading/clean-20.png";
const SIZE: (u32, u32) = (640, 480);

/// Times in milliseconds.
pub(crate) struct Times {
    pub(crate) ours: Vec<f64>,
    pub(crate) theirs: Result<Vec<f64>>,
    pub(crate) lines: usize,
}

/// Reads the picture so many times, with both.
pub(crate) fn beside_the_package(model: &Arc<Model>, runs: usize, threads: usize) -> Result<Times> {
    let picture = picture()?;
    let (mut ours, mut lines) = (Vec::new(), 0);
    for run in 0..=runs {
        let (took, reading) = read(model, &picture)?;
        lines = reading.lines.len();
        if run > 0 {
            ours.push(took.secs_f64() * 1e3);
        }
    }
    Ok(Times {
        ours,
        theirs: theirs(runs, threads),
        lines,
    })
}

/// One reading, whole, and how long it took. By a reader of its own: one that knows the picture would not read it again.
pub(crate) fn read(model: &Arc<Model>, picture: &Picture<Planes>) -> Result<(Span, Reading)> {
    // The budget is not what is measured: a slow machine must not make the reading shorter.
    let mut budget = budget::READING;
    budget.span = Span::from_secs(60);
    let mut reader = Reader::new(PaddleOcr::new(model.clone()), Config { budget });
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
    // Where nothing looks like text it says nothing.
    let nothing = Reading {
        lines: Arc::from([]),
        unread: 0,
        readability: None,
        read: MediaTime::ZERO,
    };
    Ok((took, readings.last().unwrap_or(nothing)))
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
    coded::picture(&decoded.stdout, SIZE).context("ffmpeg made less of the picture than it is")
}

/// The Python package's times in milliseconds.
fn theirs(runs: usize, threads: usize) -> Result<Vec<f64>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/bench-seeing/rapidocr.py");
    let ran = Command::new("python3")
        .arg(script)
        .args([runs.to_string(), threads.to_string()])
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
