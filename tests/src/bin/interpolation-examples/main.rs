//! Examples for the residual network's training: clips are thinned out, what is kept is encoded and decoded with its
//! motion vectors, and of what is made along these, crops are written with what was to be made.
//!
//! `interpolation-examples OUT --videos FOLDER --photos FOLDER` writes crops of all clips in a folder and of clips that are
//! rendered from the photographs in another; `--passes N` takes each clip N times, `--rendered N` renders so many,
//! `--seed N` starts chance elsewhere. `interpolation-examples FOLDER --whole FILE,FILE` writes whole pictures of these clips
//! instead, thinned out and encoded as `bench-interpolation` does; without names, those of its clips: these are for reports,
//! never for training.

#[path = "../bench-interpolation/material.rs"]
#[allow(dead_code, reason = "shared with the bench, which uses all of it")]
mod material;
#[path = "../bench-interpolation/rendered.rs"]
mod rendered;

mod moving;
mod records;
mod thinned;

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use moving::Photo;
use thinned::Thinning;

/// What was asked for.
struct Wanted {
    out: PathBuf,
    videos: Option<PathBuf>,
    photos: Option<PathBuf>,
    whole: Option<Vec<PathBuf>>,
    passes: usize,
    rendered: usize,
    seed: u64,
}

fn main() -> ExitCode {
    match wanted().and_then(|wanted| write(&wanted)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("interpolation-examples: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn wanted() -> Result<Wanted> {
    let mut arguments = std::env::args().skip(1).peekable();
    let out = arguments.next().context("say where to write to")?;
    let mut wanted = Wanted {
        out: out.into(),
        videos: None,
        photos: None,
        whole: None,
        passes: 1,
        rendered: 0,
        seed: 1,
    };
    while let Some(argument) = arguments.next() {
        if argument == "--whole" {
            let named = arguments.next_if(|next| !next.starts_with("--"));
            let named = named.iter().flat_map(|names| names.split(','));
            wanted.whole = Some(named.map(PathBuf::from).collect());
            continue;
        }
        let value = arguments.next().with_context(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--videos" => wanted.videos = Some(value.into()),
            "--photos" => wanted.photos = Some(value.into()),
            "--passes" => wanted.passes = value.parse().context("--passes takes a number")?,
            "--rendered" => wanted.rendered = value.parse().context("--rendered takes a number")?,
            "--seed" => wanted.seed = value.parse().context("--seed takes a number")?,
            other => bail!("can't use {other}; there are --videos, --photos, --passes, --rendered, --seed and --whole"),
        }
    }
    Ok(wanted)
}

fn write(wanted: &Wanted) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut random = fastrand::Rng::with_seed(wanted.seed);
    if let Some(named) = &wanted.whole {
        return whole(named, &wanted.out, folder.path());
    }
    let mut out = BufWriter::new(File::create(&wanted.out)?);
    let mut count = 0;
    let videos = wanted.videos.as_deref().map(files).transpose()?.unwrap_or_default();
    let photos = wanted.photos.as_deref().map(files).transpose()?.unwrap_or_default();
    let photos: Vec<Photo> = photos.iter().map(|path| Photo::load(path)).collect::<Result<_>>()?;
    ensure!(
        !photos.is_empty() || wanted.rendered == 0,
        "clips are rendered from photographs: name a folder of them with --photos"
    );
    // In turn, so that any part of what is written has some of both.
    let turns = (videos.len() * wanted.passes).max(wanted.rendered);
    for turn in 0..turns {
        if turn < wanted.rendered {
            let clip = moving::Clip::new(&mut random, photos.len());
            let thinning = Thinning::of_rendered(&mut random);
            let pictures = clip.render(&photos, thinning.pictures());
            let size = clip.size;
            count += crops(&pictures, size, &thinning, &mut random, folder.path(), &mut out)?;
        }
        let from = turn * videos.len() * wanted.passes / turns;
        let to = (turn + 1) * videos.len() * wanted.passes / turns;
        for video in from..to {
            let path = &videos[video % videos.len()];
            let thinning = Thinning::of_video(&mut random);
            let (size, pictures) = thinned::read(path, &thinning, &mut random, folder.path())?;
            let before = count;
            count += crops(&pictures, size, &thinning, &mut random, folder.path(), &mut out)?;
            println!("{}: {} crops, {count} in all", path.display(), count - before);
        }
    }
    println!("{count} crops");
    Ok(())
}

fn crops(
    pictures: &[Vec<u8>],
    size: material::Size,
    thinning: &Thinning,
    random: &mut fastrand::Rng,
    folder: &Path,
    out: &mut impl std::io::Write,
) -> Result<usize> {
    let kept = thinning.encode(pictures, size, folder)?;
    let mut count = 0;
    records::each(&kept, pictures, thinning, |record| {
        count += record.write_crops(random, out)?;
        Ok(())
    })?;
    Ok(count)
}

/// Every third pair of each clip, as the bench sees it.
fn whole(named: &[PathBuf], out: &Path, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(out)?;
    let thinning = Thinning::of_bench();
    let mut sources = Vec::new();
    for path in named {
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .context("no file name")?;
        sources.push(material::Source::File(name.to_owned().leak(), path.clone()));
    }
    if sources.is_empty() {
        sources = material::sources(&[]);
        // Three pictures are no clip.
        sources.retain(|source| !matches!(source, material::Source::Triplet(..)));
    }
    for source in &sources {
        let raw = thinned::raw(source, &thinning, folder)?;
        let (size, pictures) = material::pictures_of(&raw).context("not a clip")?;
        let pictures: Vec<Vec<u8>> = pictures.into_iter().map(<[u8]>::to_vec).collect();
        let kept = thinning.encode(&pictures, size, folder)?;
        let mut file = BufWriter::new(File::create(out.join(source.name()).with_extension("whole"))?);
        let mut pair = 0;
        records::each(&kept, &pictures, &thinning, |record| {
            pair += 1;
            if pair % 3 == 1 {
                record.write_whole(&mut file)?;
            }
            Ok(())
        })?;
        println!("{}: {pair} pairs", source.name());
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}
