//! The ways of rebuilding the pictures that were dropped, ours and others'.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hearsight_core::media::{Decoded, Picture, Planes};
use hearsight_shaders::interpolate::{Held, Motion, Pair, Rung, extrapolate, make};
use hearsight_shaders::maker::{self, Maker, Precision};
use hearsight_shaders::network::Ready;
use hearsight_shaders::{Device, Texture, recipe};

use crate::material::{self, Clip, luma};

/// A way of rebuilding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Hold,
    Blend,
    Minterpolate,
    Recipe,
    Vectors,
    Full,
    /// Not between, but after: the picture is made without the later one.
    Onward,
    /// The same as `Full`, on the device and in these numbers.
    Device(Precision),
}

impl Method {
    pub(crate) const ALL: [Method; 10] = [
        Method::Hold,
        Method::Blend,
        Method::Minterpolate,
        Method::Recipe,
        Method::Vectors,
        Method::Full,
        Method::Onward,
        Method::Device(Precision::F32),
        Method::Device(Precision::F16),
        Method::Device(Precision::Int8),
    ];

    /// Whether it is measured unless others are named: a driver that computes on the CPU takes seconds for a picture.
    pub(crate) fn is_usual(&self) -> bool {
        !matches!(self, Method::Device(_))
    }

    /// Its key in the last line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Method::Hold => "hold",
            Method::Blend => "blend",
            Method::Minterpolate => "minterpolate",
            Method::Recipe => "recipe",
            Method::Vectors => "vectors",
            Method::Full => "full",
            Method::Onward => "onward",
            Method::Device(Precision::F32) => "device-f32",
            Method::Device(Precision::F16) => "device-f16",
            Method::Device(Precision::Int8) => "device-int8",
        }
    }
}

/// What a method made of a clip.
pub(crate) struct Rebuilt {
    /// The luma of each dropped picture; none where the method made none.
    pub(crate) pictures: Vec<Option<Vec<u8>>>,
    /// Processor time per made picture, in seconds.
    pub(crate) cpu: f64,
    /// Pictures held although they were to be made: repeats, then cuts.
    pub(crate) held: (usize, usize),
}

/// Rebuilds every dropped picture. What ffmpeg makes lies in `folder`, and is taken from there when it lies there already.
pub(crate) fn rebuild(method: Method, clip: &Clip, folder: &Path) -> Result<Rebuilt> {
    if method == Method::Minterpolate {
        return minterpolate(clip, folder);
    }
    if method == Method::Full {
        // What is done once is not a picture's.
        Ready::built_in();
    }
    if let Method::Device(precision) = method {
        return on_device(clip, precision);
    }
    let began = processor_seconds()?;
    let mut pictures = Vec::new();
    let mut held = (0, 0);
    let mut before = None;
    for (number, pair) in clip.kept.windows(2).enumerate() {
        let [earlier, later] = [&pair[0], &pair[1]];
        let made = match method {
            Method::Onward => luma(&onward(
                number.checked_sub(1).map(|last| &clip.kept[last]),
                earlier,
                &mut before,
            )?),
            Method::Recipe => recipe::half_way(&earlier.picture, &later.picture, &later.motion)?,
            _ => {
                let made = ours(method, earlier, later, &mut before)?;
                held.0 += usize::from(made.1 == Some(Held::Repeated));
                held.1 += usize::from(made.1 == Some(Held::Cut));
                luma(&made.0)
            }
        };
        pictures.push(Some(made));
    }
    let cpu = (processor_seconds()? - began) / pictures.len() as f64;
    Ok(Rebuilt { pictures, cpu, held })
}

fn ours(
    method: Method,
    earlier: &Decoded,
    later: &Decoded,
    before: &mut Option<Motion>,
) -> Result<(Picture<Planes>, Option<Held>)> {
    let rung = match method {
        Method::Hold => Rung::Hold,
        Method::Blend => Rung::Blend,
        Method::Full => Rung::Full,
        _ => Rung::Vectors,
    };
    let motion = Motion::new(&later.motion, (later.picture.width, later.picture.height));
    let pair = Pair {
        earlier: &earlier.picture,
        later: &later.picture,
        before: before.as_ref(),
        motion: &motion,
    };
    let made = make(pair, 0.5, rung)?;
    *before = Some(motion);
    Ok((made.picture, made.held))
}

fn on_device(clip: &Clip, precision: Precision) -> Result<Rebuilt> {
    let device = Device::open()?;
    let maker = Maker::with(&device, precision)?;
    let began = processor_seconds()?;
    let (mut pictures, mut before) = (Vec::new(), None);
    for pair in clip.kept.windows(2) {
        let [earlier, later] = [&pair[0], &pair[1]].map(|kept| Texture::upload(&device, &kept.picture));
        let (motion, _) = maker.motion(&device, &pair[1].motion, (clip.width, clip.height))?;
        let pair = maker::Pair {
            earlier: &earlier?,
            later: &later?,
            before: before.as_ref(),
            motion: &motion,
        };
        let made = maker.make(&device, pair, 0.5, Rung::Full)?;
        let [luma, ..] = made.picture.pixels.read(&device)?;
        pictures.push(Some(luma));
        before = Some(motion);
    }
    let cpu = (processor_seconds()? - began) / pictures.len() as f64;
    Ok(Rebuilt {
        pictures,
        cpu,
        held: (0, 0),
    })
}

/// What is likely to follow the later picture after half an interval; the later picture itself where it is the first.
fn onward(earlier: Option<&Decoded>, later: &Decoded, before: &mut Option<Motion>) -> Result<Picture<Planes>> {
    let motion = Motion::new(&later.motion, (later.picture.width, later.picture.height));
    let pair = Pair {
        earlier: earlier.map_or(&later.picture, |earlier| &earlier.picture),
        later: &later.picture,
        before: before.as_ref(),
        motion: &motion,
    };
    let made = extrapolate(pair, 0.5, Rung::Vectors)?;
    *before = Some(motion);
    Ok(made.picture)
}

/// Of this thread, in seconds (proc(5), schedstat: the first number is nanoseconds on a processor).
fn processor_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").context("the kernel keeps no schedstat")?;
    let nanos = text.split(' ').next().and_then(|word| word.parse::<u64>().ok());
    Ok(nanos.context("schedstat is not a number")? as f64 / 1e9)
}

/// ffmpeg's interpolation of the same decoded pictures, at its best settings.
const FILTER: &str = "minterpolate=fps=30:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1,showinfo";

fn minterpolate(clip: &Clip, folder: &Path) -> Result<Rebuilt> {
    let stem = folder.join(&clip.stem);
    let (raw, log) = (stem.with_extension("minterpolate"), stem.with_extension("log"));
    if !log.is_file() {
        fs::write(&log, run_filter(clip, &raw)?)?;
    }
    let (bytes, said) = (fs::read(&raw)?, fs::read_to_string(&log)?);
    let numbers = |key: &'static str| {
        let words = said.split_ascii_whitespace();
        words.filter_map(move |word| word.strip_prefix(key)?.trim_end_matches('s').parse::<f64>().ok())
    };
    let cpu = numbers("utime=").sum::<f64>() + numbers("stime=").sum::<f64>();
    let times: Vec<f64> = numbers("pts_time:").collect();
    let luma = (clip.width * clip.height) as usize;
    let picture = luma + 2 * (clip.width.div_ceil(2) * clip.height.div_ceil(2)) as usize;
    let same = times.len() == bytes.len() / picture;
    ensure!(same, "{}: ffmpeg names other times than it makes pictures", clip.name);
    let mut pictures = vec![None; clip.dropped.len()];
    for (time, made) in times.iter().zip(bytes.chunks_exact(picture)) {
        // 15 kept pictures in a second: what lies half-way between two was dropped.
        let place = time * 15.0 - 0.5;
        let slot = pictures.get_mut(place.round() as usize);
        if let Some(slot) = slot.filter(|_| (place - place.round()).abs() < 0.1) {
            *slot = Some(made[..luma].to_vec());
        }
    }
    let made = pictures.iter().flatten().count();
    Ok(Rebuilt {
        pictures,
        cpu: cpu / made.max(1) as f64,
        held: (0, 0),
    })
}

/// Writes the pictures to `raw`. Returns what the command said: their times, and what it cost.
fn run_filter(clip: &Clip, raw: &Path) -> Result<String> {
    let size = format!("{}x{}", clip.width, clip.height);
    let mut command = material::ffmpeg();
    command.args([
        "-loglevel",
        "info",
        "-benchmark",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "yuv420p",
    ]);
    command.args([
        "-s",
        &size,
        "-r",
        "15",
        "-i",
        "-",
        "-vf",
        FILTER,
        "-vsync",
        "passthrough",
    ]);
    command.args(["-f", "rawvideo"]).arg(raw);
    let kept = clip.kept.iter();
    let input: Vec<u8> = kept.flat_map(|kept| material::planes(&kept.picture)).collect();
    Ok(material::run(&mut command, Some(&input))?.1)
}
