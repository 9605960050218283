//! The clips: real ones where they are present, rendered ones always; halved, encoded and decoded with their vectors.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use hearsight_core::media::{Decoded, Picture, Plane, Planes};
use hearsight_tests::rig::coded;

use crate::rendered;

/// The clips of the reference figures, by the name that these give them.
const CLIPS: [(&str, &str); 14] = [
    ("london", "natural/androidx_london_320x240_60fps.mp4"),
    ("bikes", "natural/bikes_640x272.mp4"),
    ("chaplin", "natural/chaplin_360p25.mp4"),
    ("gopro", "natural/gopro_walk_480p30.mp4"),
    ("bottles", "natural/intel_bottles_360p30.mp4"),
    ("flower", "natural/mdn_flower_540p30.mp4"),
    ("water", "natural/mdn_water_360p30.mp4"),
    ("nasa", "natural/nasa_13013_180p25.mp4"),
    ("blocks", "natural/sam2_blocks_720p30.mp4"),
    ("coffee", "natural/sam2_coffee_720p30.mp4"),
    ("dog", "natural/sam2_dog_720p30.mp4"),
    ("talkinghead", "talking/androidx_talkinghead_1080x720.mp4"),
    ("carphone", "talking/carphone_qcif.mp4"),
    ("bbb", "animation/bbb_720p25.mp4"),
];

/// Three pictures each, of which the one in the middle is a photograph too.
const TRIPLETS: [&str; 3] = ["Dimetrodon", "RubberWhale", "Walking"];

/// What a clip shows, or how it came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Natural,
    Talking,
    Animation,
    Triplet,
    Rendered,
}

impl Kind {
    /// Whether it is one of the clips of the reference figures.
    pub(crate) fn is_reference(self) -> bool {
        matches!(self, Kind::Natural | Kind::Talking | Kind::Animation)
    }
}

/// One clip, ready to be rebuilt.
pub(crate) struct Clip {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// What tells files made of it from others.
    pub(crate) stem: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Every second picture after coding, with its vectors: pictures 0, 2, 4 … of the original.
    pub(crate) kept: Vec<Decoded>,
    /// The luma of the pictures between them: 1, 3, 5 … of the original.
    pub(crate) dropped: Vec<Vec<u8>>,
}

/// Where a clip comes from.
pub(crate) enum Source {
    File(&'static str, PathBuf),
    /// A folder of three pictures.
    Triplet(&'static str, PathBuf),
    Rendered(rendered::Scene),
}

impl Source {
    pub(crate) fn name(&self) -> &str {
        match self {
            Source::File(name, _) | Source::Triplet(name, _) => name,
            Source::Rendered(scene) => scene.name(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Source::File(_, path) if path.parent().is_some_and(|it| it.ends_with("talking")) => Kind::Talking,
            Source::File(_, path) if path.parent().is_some_and(|it| it.ends_with("animation")) => Kind::Animation,
            Source::File(..) => Kind::Natural,
            Source::Triplet(..) => Kind::Triplet,
            Source::Rendered(_) => Kind::Rendered,
        }
    }
}

/// The clips that are there, and those that always are; only the `named` ones where some are.
pub(crate) fn sources(named: &[String]) -> Vec<Source> {
    let root = std::env::var_os("HEARSIGHT_EVAL").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/eval"));
    let real = CLIPS
        .iter()
        .map(|(name, path)| Source::File(name, root.join("video").join(path)))
        .filter(|source| matches!(source, Source::File(_, path) if path.is_file()));
    let triplets = TRIPLETS
        .iter()
        .map(|name| Source::Triplet(name, root.join("triplets").join(format!("middlebury_{name}"))))
        .filter(|source| matches!(source, Source::Triplet(_, path) if path.is_dir()));
    let rendered = rendered::Scene::ALL.into_iter().map(Source::Rendered);
    let wanted = |source: &Source| named.is_empty() || named.iter().any(|name| name == source.name());
    real.chain(triplets).chain(rendered).filter(wanted).collect()
}

/// Reads, halves, encodes and decodes a clip's first `frames` pictures. What ffmpeg makes lies in `folder`, and is taken
/// from there when it lies there already.
pub(crate) fn load(source: &Source, how: Stream, frames: usize, folder: &Path) -> Result<Clip> {
    let name = source.name().to_owned();
    let raw = folder.join(format!("{name}-{frames}.y4m"));
    if !raw.is_file() {
        match source {
            Source::File(_, path) => decode_file(path, frames, &raw)?,
            Source::Triplet(_, folder) => join_three(folder, &raw)?,
            Source::Rendered(scene) => fs::write(&raw, scene.render(frames))?,
        }
    }
    let bytes = fs::read(&raw)?;
    let ((width, height), pictures) = pictures_of(&bytes).with_context(|| format!("{name}: not a clip"))?;
    ensure!(pictures.len() >= 3, "{name}: fewer than three pictures");
    let stream = folder.join(format!("{name}-{frames}-{how:?}.h264"));
    if !stream.is_file() {
        let kept = pictures.iter().step_by(2).copied().collect::<Vec<_>>().concat();
        how.encode(&kept, (width, height), &stream)?;
    }
    let kept = coded::decode(&fs::read(&stream)?)?;
    ensure!(
        kept.len() == pictures.len().div_ceil(2),
        "{name}: {} of {} kept pictures decoded",
        kept.len(),
        pictures.len().div_ceil(2)
    );
    let luma = (width * height) as usize;
    let between = pictures.iter().skip(1).step_by(2).take(kept.len() - 1);
    Ok(Clip {
        stem: format!("{name}-{frames}-{how:?}"),
        name,
        kind: source.kind(),
        width,
        height,
        kept,
        dropped: between.map(|picture| picture[..luma].to_vec()).collect(),
    })
}

/// Runs a command that may write to its standard error, and says what it wrote there when it fails.
pub(crate) fn run(command: &mut Command, input: Option<&[u8]>) -> Result<(Vec<u8>, String)> {
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("{:?} does not start: `make setup` installs it", command.get_program()))?;
    let feed = child.stdin.take();
    let output = std::thread::scope(|scope| {
        if let (Some(mut feed), Some(input)) = (feed, input) {
            // A command that ends early closes its end; its status says why.
            let feeding = move || drop(std::io::Write::write_all(&mut feed, input));
            let named = std::thread::Builder::new().name("feed".into());
            named.spawn_scoped(scope, feeding)?;
        }
        child.wait_with_output()
    })?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        bail!("{:?}: {said}", command.get_program());
    }
    Ok((output.stdout, said))
}

/// The ffmpeg command, quiet and without a terminal.
pub(crate) fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-y", "-loglevel", "error"]);
    command
}

pub(crate) fn decode_file(path: &Path, frames: usize, raw: &Path) -> Result<()> {
    let mut command = ffmpeg();
    command
        .arg("-i")
        .arg(path)
        .args(["-map", "0:v:0", "-vsync", "passthrough"]);
    command.args([
        "-frames:v",
        &frames.to_string(),
        "-pix_fmt",
        "yuv420p",
        "-f",
        "yuv4mpegpipe",
    ]);
    run(command.arg(raw), None).map(drop)
}

/// A clip of three pictures; a row or a column that would be odd is left out.
fn join_three(folder: &Path, raw: &Path) -> Result<()> {
    let mut command = ffmpeg();
    for name in ["frame10.png", "frame10i11.png", "frame11.png"] {
        command.arg("-i").arg(folder.join(name));
    }
    let joined = "[0][1][2]concat=n=3:v=1:a=0,crop=trunc(iw/2)*2:trunc(ih/2)*2";
    command.args(["-filter_complex", joined, "-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe"]);
    run(command.arg(raw), None).map(drop)
}

/// Width and height in luma pixels.
pub(crate) type Size = (u32, u32);

/// Size and pictures of a YUV4MPEG2 stream of planar 4:2:0 with 8 bits, whose frames have no parameters.
pub(crate) fn pictures_of(bytes: &[u8]) -> Option<(Size, Vec<&[u8]>)> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let header = std::str::from_utf8(&bytes[..end]).ok()?;
    let side = |tag: char| {
        header
            .split(' ')
            .find_map(|word| word.strip_prefix(tag)?.parse::<u32>().ok())
    };
    let (width, height) = (side('W')?, side('H')?);
    let mark = b"FRAME\n".len();
    let picture = (width * height + 2 * width.div_ceil(2) * height.div_ceil(2)) as usize;
    let frames = bytes[end + 1..].chunks_exact(mark + picture);
    Some(((width, height), frames.map(|frame| &frame[mark..]).collect()))
}

/// How the kept pictures are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// As the reference figures were made: x264, baseline, veryfast, CRF 20.
    Reference,
    /// As a browser sends them: OpenH264 for a camera at a constant rate, 2 Mbit/s at 1280×720 and 15 pictures a second.
    Browser,
}

impl Stream {
    pub(crate) fn encode(self, kept: &[u8], (width, height): Size, stream: &Path) -> Result<()> {
        let mut command = match self {
            Stream::Reference => {
                let mut command = ffmpeg();
                let size = format!("{width}x{height}");
                command.args([
                    "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", &size, "-r", "15", "-i", "-",
                ]);
                command.args([
                    "-c:v",
                    "libx264",
                    "-profile:v",
                    "baseline",
                    "-preset",
                    "veryfast",
                    "-crf",
                    "20",
                ]);
                command.args(["-threads", "1", "-f", "h264"]).arg(stream);
                command
            }
            Stream::Browser => {
                let rate = u64::from(width) * u64::from(height) * 2_000_000 / (1280 * 720);
                let coded = coded::as_browsers_do(kept, (width, height), 15, rate)?;
                return Ok(fs::write(stream, coded)?);
            }
        };
        run(&mut command, Some(kept)).map(drop)
    }
}

/// A picture's luma without the padding of its rows.
pub(crate) fn luma(picture: &Picture<Planes>) -> Vec<u8> {
    rows(&picture.pixels.y, picture.width, picture.height)
}

/// A picture's planes one after the other, without the padding of their rows.
pub(crate) fn planes(picture: &Picture<Planes>) -> Vec<u8> {
    let (columns, lines) = (picture.width.div_ceil(2), picture.height.div_ceil(2));
    let mut all = luma(picture);
    all.extend(rows(&picture.pixels.u, columns, lines));
    all.extend(rows(&picture.pixels.v, columns, lines));
    all
}

fn rows(plane: &Plane, columns: u32, lines: u32) -> Vec<u8> {
    let rows = (0..lines as usize).filter_map(|line| plane.row(line, columns as usize));
    rows.flatten().copied().collect()
}
