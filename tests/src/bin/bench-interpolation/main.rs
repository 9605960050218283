//! `make bench-interpolation`: every second picture of a clip is dropped, the rest is encoded and decoded with its motion
//! vectors, and what was dropped is rebuilt and compared. A table for people and, in the last line, one JSON object.
//! `--clips A,B` takes only these, `--frames N` so many pictures of each (61), `--methods A,B` only these ways; `--browser` encodes as a browser does; `--keep DIR`
//! keeps what ffmpeg made there and uses it again. The worst rebuilt picture of each kind of clip is written to `artefacts/`, and
//! with `--stills` that of each clip.

mod device;
mod material;
mod methods;
mod rendered;
mod stills;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use hearsight_codecs::quality;
use hearsight_shaders::network::Ready;
use hearsight_tests::rig::{commit, machine};
use serde_json::{Map, Value, json};

use material::{Clip, Kind, Stream};
use methods::{Method, Rebuilt};

/// What was asked for.
struct Wanted {
    clips: Vec<String>,
    methods: Vec<Method>,
    frames: usize,
    stream: Stream,
    keep: Option<PathBuf>,
    stills: bool,
}

fn main() -> ExitCode {
    match wanted().and_then(|wanted| measure(&wanted)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench-interpolation: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn wanted() -> Result<Wanted> {
    let mut wanted = Wanted {
        clips: Vec::new(),
        methods: Method::ALL.into_iter().filter(Method::is_usual).collect(),
        frames: 61,
        stream: Stream::Reference,
        keep: None,
        stills: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        let list = |text: String| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        match argument.as_str() {
            "--clips" => wanted.clips = list(value()?),
            "--frames" => wanted.frames = value()?.parse().context("--frames takes a number")?,
            "--keep" => wanted.keep = Some(value()?.into()),
            "--stills" => wanted.stills = true,
            "--browser" => wanted.stream = Stream::Browser,
            "--methods" => {
                let named = list(value()?);
                let is_named = |method: &Method| named.iter().any(|name| name == method.name());
                wanted.methods = Method::ALL.into_iter().filter(is_named).collect();
            }
            other => bail!("can't use {other}; there are --clips, --frames, --methods, --browser, --keep and --stills"),
        }
    }
    ensure!(
        wanted.frames >= 3,
        "--frames must be at least 3: two that are kept and one between them"
    );
    Ok(wanted)
}

/// What one method did on one clip.
struct Score {
    psnr: f64,
    ssim: f64,
    cpu: f64,
    held: (usize, usize),
}

fn measure(wanted: &Wanted) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let folder = wanted.keep.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(folder)?;
    let sources = material::sources(&wanted.clips);
    ensure!(!sources.is_empty(), "no clip of that name is here");
    println!(
        "bench-interpolation: {} clips, luma PSNR in dB and SSIM of the rebuilt pictures",
        sources.len()
    );
    println!(
        "{:<14}{}",
        "clip",
        wanted
            .methods
            .iter()
            .map(|method| format!("{:>21}", method.name()))
            .collect::<String>()
    );
    let mut rows = Vec::new();
    let mut worst = stills::Worst::default();
    for source in &sources {
        let clip = material::load(source, wanted.stream, wanted.frames, folder)?;
        let scores = score_clip(wanted, &clip, folder, &mut worst)?;
        print_row(&clip.name, &scores);
        rows.push((clip, scores));
    }
    // Rendered clips stand in for real ones; beside these they would only blur the mean.
    let real = rows.iter().any(|(clip, _)| clip.kind.is_reference());
    let means = means(wanted, &rows, |kind| {
        kind.is_reference() || (!real && kind == Kind::Rendered)
    });
    print_row("mean", &means);
    report(wanted, &rows, &means, real)
}

/// A clip and what each method did on it.
type Row = (Clip, Vec<Score>);

/// Of each method, over the clips of some kinds.
fn means(wanted: &Wanted, rows: &[Row], counts: impl Fn(Kind) -> bool) -> Vec<Score> {
    let counted: Vec<_> = rows.iter().filter(|(clip, _)| counts(clip.kind)).collect();
    let methods = (0..wanted.methods.len()).map(|at| {
        let mean = |value: &dyn Fn(&Score) -> f64| {
            counted.iter().map(|(_, scores)| value(&scores[at])).sum::<f64>() / counted.len() as f64
        };
        Score {
            psnr: mean(&|score| score.psnr),
            ssim: mean(&|score| score.ssim),
            cpu: mean(&|score| score.cpu),
            held: (0, 0),
        }
    });
    methods.collect()
}

fn score_clip(wanted: &Wanted, clip: &Clip, folder: &Path, worst: &mut stills::Worst) -> Result<Vec<Score>> {
    let mut all = Vec::new();
    let mut scores = Vec::new();
    for method in &wanted.methods {
        let rebuilt = methods::rebuild(*method, clip, folder)?;
        scores.push(score(clip, &rebuilt));
        all.push((*method, rebuilt));
    }
    if wanted.stills {
        stills::write_worst(clip, &all)?;
    }
    worst.look_at(clip, &all)?;
    Ok(scores)
}

fn score(clip: &Clip, rebuilt: &Rebuilt) -> Score {
    let (width, height) = (clip.width as usize, clip.height as usize);
    let pairs: Vec<_> = rebuilt.pictures.iter().zip(&clip.dropped).collect();
    let made: Vec<_> = pairs
        .iter()
        .filter_map(|(made, truth)| made.as_ref().map(|made| (made, truth)))
        .collect();
    let mean = |value: &dyn Fn(&[u8], &[u8]) -> f64| {
        made.iter().map(|(made, truth)| value(made, truth)).sum::<f64>() / made.len() as f64
    };
    Score {
        psnr: mean(&quality::psnr),
        ssim: mean(&|made, truth| quality::ssim(made, truth, width, height)),
        cpu: rebuilt.cpu,
        held: rebuilt.held,
    }
}

fn print_row(name: &str, scores: &[Score]) {
    let cells = scores.iter().map(|score| match score.psnr.is_nan() {
        // Two pictures are too few for some methods.
        true => format!("{:>12} {:>8}", "–", "–"),
        false => format!("{:>12.2} {:>8.4}", score.psnr, score.ssim),
    });
    println!("{name:<14}{}", cells.collect::<String>());
}

fn report(wanted: &Wanted, rows: &[Row], means: &[Score], real: bool) -> Result<()> {
    let mut notes = Map::new();
    if !real {
        notes.insert(
            "clips".into(),
            "no real clips here: the means are those of the rendered ones".into(),
        );
    }
    let key = |scores: &[Score], value: &dyn Fn(&Score) -> f64| -> Map<String, Value> {
        let named = wanted.methods.iter().zip(scores);
        named
            .map(|(method, mean)| (method.name().to_owned(), json!(value(mean))))
            .collect()
    };
    let (mut cpu, mut held) = (BTreeMap::new(), (0, 0));
    for (at, method) in wanted.methods.iter().enumerate() {
        let wide = rows.iter().filter(|(clip, _)| (clip.width, clip.height) == (1280, 720));
        let seconds: Vec<f64> = wide.map(|(_, scores)| scores[at].cpu).collect();
        let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
        cpu.insert(method.name(), (!seconds.is_empty()).then_some(mean));
        if *method == Method::Vectors {
            let add = |sum: (usize, usize), (_, scores): &Row| (sum.0 + scores[at].held.0, sum.1 + scores[at].held.1);
            held = rows.iter().fold((0, 0), add);
        }
    }
    for (method, seconds) in &cpu {
        if let Some(seconds) = seconds {
            println!(
                "{method:<14}{:>9.1} ms of processor time per made picture of 1280×720",
                seconds * 1e3
            );
        }
    }
    println!("vectors held {} repeated pictures and {} scene cuts", held.0, held.1);
    let triplets = means_of_triplets(wanted, rows);
    let on_device = device::measure(&mut notes)?;
    let last = json!({
        "psnr_db": key(means, &|score| round(score.psnr, 100.0)), "ssim": key(means, &|score| round(score.ssim, 10_000.0)),
        "psnr_db_triplets": triplets.map(|means| key(&means, &|score| round(score.psnr, 100.0))),
        "cpu_s_per_frame_720p": cpu, "gpu_ms_1080p": on_device.gpu_ms, "gpu_roof_share": on_device.roof_share,
        "dispatches": on_device.dispatches, "uploaded_bytes_1080p": on_device.bytes, "kept_bytes_1080p": on_device.memory,
        "parameters": Ready::built_in().network().parameters(),
        "held": { "repeated": held.0, "cuts": held.1 },
        "clips": rows.len(), "stream": format!("{:?}", wanted.stream).to_lowercase(), "machine": with_adapter(on_device.adapter), "commit": commit(), "notes": notes,
    });
    println!("{last}");
    Ok(())
}

/// Photographed triplets count by themselves: two pictures are too few for a coder to settle in.
fn means_of_triplets(wanted: &Wanted, rows: &[Row]) -> Option<Vec<Score>> {
    let there = rows.iter().any(|(clip, _)| clip.kind == Kind::Triplet);
    there.then(|| {
        let means = means(wanted, rows, |kind| kind == Kind::Triplet);
        print_row("triplets", &means);
        means
    })
}

fn with_adapter(adapter: Option<String>) -> Value {
    let mut machine = machine();
    machine["adapter"] = json!(adapter);
    machine
}

fn round(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}
