//! What is written: per cell, in whole numbers of eight bits, what the network sees and what it should have added.

use std::io::Write;

use anyhow::Result;
use hearsight_core::media::{Decoded, Picture, Planes};
use hearsight_shaders::features::{CHANNELS, Features, SAMPLES};
use hearsight_shaders::interpolate::{Motion, Pair, examine};

use crate::material;
use crate::thinned::Thinning;

/// Cells on a side of a crop.
const CROP: usize = 32;

/// One made picture.
pub(crate) struct Record {
    features: Features,
    /// Truth less what was made, in codes: [`SAMPLES`] planes of cells.
    residual: Vec<i8>,
    /// Cells that lie within the picture as a whole.
    whole: (usize, usize),
}

/// Makes every picture that was left out, where it can be made along vectors.
pub(crate) fn each(
    kept: &[Decoded],
    pictures: &[Vec<u8>],
    thinning: &Thinning,
    mut then: impl FnMut(Record) -> Result<()>,
) -> Result<()> {
    let mut before: Option<Motion> = None;
    for (index, pair) in kept.windows(2).enumerate() {
        let [earlier, later] = [&pair[0], &pair[1]];
        let motion = Motion::new(&later.motion, (later.picture.width, later.picture.height));
        for (place, at) in thinning.between(index) {
            let pair = Pair {
                earlier: &earlier.picture,
                later: &later.picture,
                before: before.as_ref(),
                motion: &motion,
            };
            if let Some((made, features)) = examine(pair, at)? {
                then(Record::new(&made, features, &pictures[place]))?;
            }
        }
        before = Some(motion);
    }
    Ok(())
}

impl Record {
    fn new(made: &Picture<Planes>, features: Features, truth: &[u8]) -> Self {
        let (width, height) = (made.width as usize, made.height as usize);
        let half = (width.div_ceil(2), height.div_ceil(2));
        let made = material::planes(made);
        let (columns, rows) = (features.columns, features.rows);
        let mut residual = Vec::with_capacity(SAMPLES * columns * rows);
        for sample in 0..SAMPLES {
            let (first, (across, down), side, at) = match sample {
                0..16 => (0, (width, height), 4, sample),
                16..20 => (width * height, half, 2, sample - 16),
                _ => (width * height + half.0 * half.1, half, 2, sample - 20),
            };
            for row in 0..rows {
                for column in 0..columns {
                    let (x, y) = (column * side + at % side, row * side + at / side);
                    let place = first + y.min(down - 1) * across + x.min(across - 1);
                    let codes = i32::from(truth[place]) - i32::from(made[place]);
                    residual.push(codes.clamp(-127, 127) as i8);
                }
            }
        }
        Self {
            features,
            residual,
            whole: (width / 4, height / 4),
        }
    }

    /// Some crops of the picture, rather of where something is to be added. Returns how many.
    pub(crate) fn write_crops(&self, random: &mut fastrand::Rng, out: &mut impl Write) -> Result<usize> {
        let (columns, rows) = self.whole;
        if columns < CROP || rows < CROP {
            return Ok(0);
        }
        let wanted = (columns * rows / (3 * CROP * CROP)).clamp(1, 3);
        for _ in 0..wanted {
            let mut place = || (random.usize(0..=columns - CROP), random.usize(0..=rows - CROP));
            let mut best = place();
            // The better of two: what differs is met more often, and nothing is never met.
            let other = place();
            if self.energy(other) > self.energy(best) {
                best = other;
            }
            self.write(best, (CROP, CROP), out)?;
        }
        Ok(wanted)
    }

    /// The whole picture, after its columns and rows.
    pub(crate) fn write_whole(&self, out: &mut impl Write) -> Result<()> {
        for side in [self.whole.0, self.whole.1] {
            out.write_all(&(side as u32).to_le_bytes())?;
        }
        self.write((0, 0), self.whole, out)
    }

    fn energy(&self, (left, top): (usize, usize)) -> u64 {
        let columns = self.features.columns;
        let plane = columns * self.features.rows;
        let lines = (0..16).flat_map(|sample| (top..top + CROP).map(move |row| sample * plane + row * columns + left));
        let codes = lines.flat_map(|start| &self.residual[start..start + CROP]);
        codes.map(|codes| u64::from(codes.unsigned_abs())).sum()
    }

    fn write(&self, (left, top): (usize, usize), (across, down): (usize, usize), out: &mut impl Write) -> Result<()> {
        let columns = self.features.columns;
        let plane = columns * self.features.rows;
        let mut bytes = Vec::with_capacity((CHANNELS + SAMPLES) * across * down);
        for channel in 0..CHANNELS {
            let scale = scale(channel);
            for row in top..top + down {
                let line = &self.features.values[channel * plane + row * columns + left..][..across];
                bytes.extend(line.iter().map(|value| (value * scale).round() as i8 as u8));
            }
        }
        for sample in 0..SAMPLES {
            for row in top..top + down {
                let line = &self.residual[sample * plane + row * columns + left..][..across];
                bytes.extend(line.iter().map(|codes| *codes as u8));
            }
        }
        out.write_all(&bytes)?;
        Ok(())
    }
}

/// By what a channel is multiplied for eight bits: samples become whole codes again.
fn scale(channel: usize) -> f32 {
    match channel {
        0..SAMPLES => 128.0,
        _ if channel < 7 * SAMPLES => 64.0,
        _ => 127.0,
    }
}
