//! Clips with pictures left out, encoded in the ways that are met.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use hearsight_core::media::Decoded;
use hearsight_tests::rig::coded;

use crate::material::{self, Size, Source, Stream};

/// Which pictures of a clip are kept, and how they are encoded.
pub(crate) struct Thinning {
    /// Pictures from one that is kept to the next.
    step: usize,
    /// Pictures of the clip for one that is looked at: more of them, more motion.
    pace: usize,
    /// Kept pictures.
    kept: usize,
    coder: Coder,
}

enum Coder {
    Bench(Stream),
    X264 {
        preset: &'static str,
        crf: u8,
        profile: &'static str,
    },
}

impl Coder {
    fn any(random: &mut fastrand::Rng) -> Self {
        match random.u8(..10) {
            0..6 => Self::Bench(Stream::Reference),
            6 => Self::Bench(Stream::Browser),
            _ => Self::X264 {
                preset: ["ultrafast", "superfast", "veryfast", "faster", "medium"][random.usize(..5)],
                crf: random.u8(15..=27),
                profile: ["baseline", "main"][random.usize(..2)],
            },
        }
    }
}

impl Thinning {
    /// As the bench does.
    pub(crate) fn of_bench() -> Self {
        Self {
            step: 2,
            pace: 1,
            kept: 31,
            coder: Coder::Bench(Stream::Reference),
        }
    }

    pub(crate) fn of_video(random: &mut fastrand::Rng) -> Self {
        Self {
            step: if random.u8(..6) == 0 { 3 } else { 2 },
            pace: if random.u8(..4) == 0 { 2 } else { 1 },
            kept: 24,
            coder: Coder::any(random),
        }
    }

    pub(crate) fn of_rendered(random: &mut fastrand::Rng) -> Self {
        Self {
            step: if random.u8(..6) == 0 { 3 } else { 2 },
            pace: 1,
            kept: 9,
            coder: Coder::any(random),
        }
    }

    /// How many pictures are looked at.
    pub(crate) fn pictures(&self) -> usize {
        (self.kept - 1) * self.step + 1
    }

    /// The pictures that were left out after the `pair`th kept one, and when between that and the next each lies.
    pub(crate) fn between(&self, pair: usize) -> impl Iterator<Item = (usize, f32)> {
        let step = self.step;
        (1..step).map(move |at| (pair * step + at, at as f32 / step as f32))
    }

    /// Encodes what is kept and decodes it with its vectors.
    pub(crate) fn encode(&self, pictures: &[Vec<u8>], (width, height): Size, folder: &Path) -> Result<Vec<Decoded>> {
        let kept: Vec<u8> = pictures.iter().step_by(self.step).flatten().copied().collect();
        let stream = folder.join("stream.h264");
        match &self.coder {
            Coder::Bench(how) => how.encode(&kept, (width, height), &stream)?,
            Coder::X264 { preset, crf, profile } => {
                let mut command = material::ffmpeg();
                let size = format!("{width}x{height}");
                command.args([
                    "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", &size, "-r", "15", "-i", "-",
                ]);
                command.args(["-c:v", "libx264", "-profile:v", profile, "-preset", preset, "-crf"]);
                // Vectors into the future are not made use of: no B pictures, as in a call.
                command.args([
                    &crf.to_string(),
                    "-bf",
                    "0",
                    "-threads",
                    "1",
                    "-slices",
                    "1",
                    "-f",
                    "h264",
                ]);
                material::run(command.arg(&stream), Some(&kept))?;
            }
        }
        let decoded = coded::decode(&std::fs::read(&stream)?)?;
        let expected = pictures.len().div_ceil(self.step);
        ensure!(
            decoded.len() == expected,
            "{} of {expected} kept pictures decoded",
            decoded.len()
        );
        Ok(decoded)
    }
}

/// A part of a clip, at its own size or a smaller one.
pub(crate) fn read(
    path: &Path,
    thinning: &Thinning,
    random: &mut fastrand::Rng,
    folder: &Path,
) -> Result<(Size, Vec<Vec<u8>>)> {
    let seconds = seconds(path).with_context(|| format!("{}: how long is it?", path.display()))?;
    // Leaves two seconds to read from where there are as many.
    let start = random.f64() * (seconds - 2.0).max(0.0);
    let shrink = [1.0, 1.0, 0.75, 0.6, 0.5][random.usize(..5)];
    let filter = format!(
        "select=not(mod(n\\,{})),scale=4*ceil(iw*{shrink}/4):4*ceil(ih*{shrink}/4):flags=lanczos",
        thinning.pace
    );
    let raw = folder.join("clip.y4m");
    let mut command = material::ffmpeg();
    command.args(["-ss", &start.to_string(), "-i"]).arg(path);
    command.args(["-map", "0:v:0", "-vsync", "passthrough", "-vf", &filter]);
    command.args(["-frames:v", &thinning.pictures().to_string(), "-pix_fmt", "yuv420p"]);
    material::run(command.args(["-f", "yuv4mpegpipe"]).arg(&raw), None)?;
    let bytes = std::fs::read(&raw)?;
    let (size, pictures) = material::pictures_of(&bytes).with_context(|| format!("{}: not a clip", path.display()))?;
    // Only what ends with a kept picture has all its truths between two.
    let whole = pictures.len().saturating_sub(1) / thinning.step * thinning.step + 1;
    ensure!(whole >= 1 && !pictures.is_empty(), "{}: no pictures", path.display());
    Ok((
        size,
        pictures[..whole.min(pictures.len())]
            .iter()
            .map(|one| one.to_vec())
            .collect(),
    ))
}

/// The clip's first pictures, as they are.
pub(crate) fn raw(source: &Source, thinning: &Thinning, folder: &Path) -> Result<Vec<u8>> {
    match source {
        Source::Rendered(scene) => Ok(scene.render(thinning.pictures())),
        Source::Triplet(name, _) => bail!("{name} is three pictures: there is nothing to thin out"),
        Source::File(_, path) => {
            let raw = folder.join("clip.y4m");
            material::decode_file(path, thinning.pictures(), &raw)?;
            Ok(std::fs::read(&raw)?)
        }
    }
}

fn seconds(path: &Path) -> Result<f64> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"]);
    let (said, _) = material::run(command.arg(path), None)?;
    // Streams without a container do not say.
    Ok(String::from_utf8_lossy(&said).trim().parse().unwrap_or(2.0))
}
