//! What the steps of one picture take on a device, and how near that is to what the device does at best.

use std::fmt;
use std::sync::Arc;

use hearsight_core::media::{Block, MotionField, Picture, Plane, Planes};

use crate::device::{Device, Kind};
use crate::interpolate::Rung;
use crate::maker::{Maker, Pair, Step};
use crate::roof::{self, Roof};
use crate::texture::{Texture, UploadError};

/// What is measured: the size of a picture, in luma pixels.
pub const SIZE: (u32, u32) = (1920, 1080);

/// How often, on a graphics processor; the one in the middle counts. A processor's own driver takes seconds for one.
const RUNS: usize = 9;

/// What one picture took.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its kernels, in the order in which they ran.
    pub steps: Vec<Step>,
    /// From the beginning of the first to the end of the last.
    pub seconds: f64,
    /// What the device does at best.
    pub roof: Roof,
}

impl Report {
    /// Of a step: the seconds that it would take at best, and whether moving bytes takes longest of it, rather than
    /// multiplying.
    pub fn at_best(&self, step: &Step) -> (f64, Bound) {
        let memory = step.bytes as f64 / self.roof.bytes;
        let arithmetic = step.multiplications as f64 / self.roof.multiplications;
        if memory >= arithmetic {
            (memory, Bound::Memory)
        } else {
            (arithmetic, Bound::Arithmetic)
        }
    }

    /// What all steps would take at best, over what they took.
    pub fn share(&self) -> f64 {
        let best: f64 = self.steps.iter().map(|step| self.at_best(step).0).sum();
        best / self.seconds.max(1e-9)
    }
}

impl fmt::Display for Report {
    /// A line for the whole, and a table of the steps.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Roof { bytes, multiplications } = self.roof;
        writeln!(
            f,
            "{:.3} ms in {} dispatches, {:.0} % of what the roofs allow ({:.1} GB/s copied, {:.3} T multiplications/s)",
            self.seconds * 1e3,
            self.steps.len(),
            self.share() * 100.0,
            bytes / 1e9,
            multiplications / 1e12,
        )?;
        write!(
            f,
            "{:<24}{:>10}{:>10}{:>10}{:>8}  bound by",
            "step", "ms", "MB", "M mult.", "roof"
        )?;
        for step in &self.steps {
            let seconds = step.span[1] - step.span[0];
            let (best, bound) = self.at_best(step);
            let (moved, multiplied) = (step.bytes as f64 / 1e6, step.multiplications as f64 / 1e6);
            let share = best / seconds.max(1e-9) * 100.0;
            let (name, ms) = (step.name, seconds * 1e3);
            write!(
                f,
                "\n{name:<24}{ms:>10.4}{moved:>10.2}{multiplied:>10.1}{share:>7.0}%  {bound}"
            )?;
        }
        Ok(())
    }
}

/// What binds a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// Bytes that are read and written.
    Memory,
    /// Multiplications.
    Arithmetic,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bound::Memory => "memory",
            Bound::Arithmetic => "arithmetic",
        })
    }
}

/// Makes pictures of [`SIZE`] with their motion laid out anew, and measures the device in the same run. Errors: a device
/// without time stamps.
pub fn picture(device: &Device, maker: &Maker, rung: Rung) -> Result<Report, UploadError> {
    let roof = roof::measure(device, maker.precision())?;
    let [earlier, later] = [0, 6].map(|moved| Texture::upload(device, &moved_by(moved)));
    let (earlier, later, field) = (earlier?, later?, field());
    let (motion, _) = maker.motion(device, &field, SIZE)?;
    let pair = Pair {
        earlier: &earlier,
        later: &later,
        before: Some(&motion),
        motion: &motion,
    };
    let count = match device.kind() {
        Kind::Hardware => RUNS,
        Kind::Software => 1,
    };
    let mut runs = Vec::new();
    for _ in 0..count {
        runs.push(maker.measure(device, pair, &field, 0.5, rung)?);
    }
    let seconds = |steps: &Vec<Step>| steps.last().map_or(0.0, |step| step.span[1]);
    runs.sort_by(|a, b| seconds(a).total_cmp(&seconds(b)));
    let steps = runs.swap_remove(count / 2);
    Ok(Report {
        seconds: seconds(&steps),
        steps,
        roof,
    })
}

/// A pattern moved to the right by so many pixels.
pub fn moved_by(pixels: u32) -> Picture<Planes> {
    let (width, height) = SIZE;
    let plane = |columns: u32, rows: u32| {
        let places = (0..rows).flat_map(|y| (0..columns).map(move |x| (x + 4096 - pixels, y)));
        let bytes: Vec<u8> = places.map(|(x, y)| (((x * 7) ^ (y * 3)) % 160 + 40) as u8).collect();
        Plane {
            bytes: Arc::new(bytes),
            stride: columns as usize,
        }
    };
    let pixels = Planes {
        y: plane(width, height),
        u: plane(width / 2, height / 2),
        v: plane(width / 2, height / 2),
    };
    Picture { width, height, pixels }
}

/// Blocks of 16 × 16, each moved by six pixels or a little more or less.
pub fn field() -> MotionField {
    let rows = (0..SIZE.1 as i16).step_by(16);
    let places = rows.flat_map(|y| (0..SIZE.0 as i16).step_by(16).map(move |x| (x, y)));
    let block = |(x, y): (i16, i16)| Block {
        x,
        y,
        width: 16,
        height: 16,
        reference: -1,
        dx: -6.0 + f32::from((x + y) / 16 % 3) * 0.25,
        dy: 0.0,
    };
    MotionField {
        blocks: places.map(block).collect(),
    }
}
