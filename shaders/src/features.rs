//! What the residual network looks at: of each cell, its samples as they were made and as each way has them, how much each
//! way was trusted, and how it moved.
//!
//! All samples enter as whole codes over a power of two, so that every device computes the same. A cell is 4 × 4 samples of
//! luma and 2 × 2 of each chroma, 24 in all: luma by rows, then u, then v.

use crate::compare::{Ways, Weights};
use crate::grid::{CELL, Grid, UNITS, Vector, cells};
use crate::split::Split;
use crate::warp::Side;

/// Samples of luma in one cell.
const LUMA: usize = CELL * CELL;

/// Samples on a side of a cell's chroma, and samples of one chroma in it.
const SIDE: usize = CELL / 2;
const CHROMA: usize = SIDE * SIDE;

/// Samples in one cell: what the network makes a residual for.
pub const SAMPLES: usize = LUMA + 2 * CHROMA;

/// First channels of what follows one another: the made samples, (code − 128)/128; the differences of each way from them,
/// code/64 within ±1, chosen, smoothed, still, each earlier then later; the shares of the three ways and of the later
/// picture; how far a sample lies between two others, by [`softness`], on each side of both grids; the chosen motion; its
/// distance from the smoothed one; the time.
const MADE: usize = 0;
const WAYS: usize = MADE + SAMPLES;
const SHARES: usize = WAYS + 6 * SAMPLES;
const SOFTNESS: usize = SHARES + 4;
const MOTION: usize = SOFTNESS + 8;
const APART: usize = MOTION + 2;
const TIME: usize = APART + 1;

/// Numbers per cell.
pub const CHANNELS: usize = TIME + 1;

/// Codes of difference that become 1; what is further apart counts as that.
const FAR: i32 = 64;

/// Pixels of motion that become 1, and those of distance between two motions.
const LONG: f32 = 32.0;
const WIDE: f32 = 8.0;

/// What a picture along the vectors was made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// Width and height in luma pixels.
    pub size: (u32, u32),
    /// Luma, u and v as they were made, rows without padding.
    pub made: &'a [Vec<u8>; 3],
    /// The same along each way. Two cells of luma each way are one of chroma.
    pub ways: &'a [Ways<'a>; 3],
    /// By cells of luma.
    pub weights: &'a [Weights],
    /// Chosen and smoothed motion, by cells of luma.
    pub motion: [&'a Grid; 2],
    /// Where between both pictures it lies.
    pub split: Split,
}

/// [`CHANNELS`] planes of `columns × rows` cells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    /// Cells in a row.
    pub columns: usize,
    /// Rows of cells.
    pub rows: usize,
    /// Channel by channel, each by rows; all within ±1.
    pub values: Vec<f32>,
}

/// The features of all cells of a picture.
pub fn reference(parts: &Parts<'_>) -> Features {
    let (columns, rows) = cells(parts.size);
    let mut values = vec![0.0; CHANNELS * columns * rows];
    for row in 0..rows {
        let mut line = Line {
            values: &mut values,
            plane: columns * rows,
            start: row * columns,
            columns,
        };
        for y in 0..CELL {
            line.samples(parts, 0, row * CELL + y, (y * CELL, CELL));
        }
        for y in 0..SIDE {
            line.samples(parts, 1, row * SIDE + y, (LUMA + y * SIDE, SIDE));
            line.samples(parts, 2, row * SIDE + y, (LUMA + CHROMA + y * SIDE, SIDE));
        }
        line.motion(parts);
    }
    Features { columns, rows, values }
}

/// One row of cells in all channels.
struct Line<'a> {
    values: &'a mut [f32],
    /// Cells of one channel, and where in it this row begins.
    plane: usize,
    start: usize,
    columns: usize,
}

impl Line<'_> {
    fn channel(&mut self, channel: usize) -> &mut [f32] {
        &mut self.values[channel * self.plane + self.start..][..self.columns]
    }

    /// Lays out one row of samples of a plane, `across` of them in each cell, into channels from `first` on.
    fn samples(&mut self, parts: &Parts<'_>, plane: usize, row: usize, (first, across): (usize, usize)) {
        let width = match plane {
            0 => parts.size.0 as usize,
            _ => parts.size.0.div_ceil(2) as usize,
        };
        let lines = parts.made[plane].chunks_exact(width);
        // Cells at the edge go on beyond the picture, which goes on there as at its edge.
        let last = lines.len() - 1;
        let made = &parts.made[plane][row.min(last) * width..][..width];
        let whole = match plane {
            0 => self.columns * CELL,
            _ => self.columns.div_ceil(2) * CELL,
        };
        let made_at = |at: usize| i32::from(made[at.min(width - 1)]);
        for x in 0..across {
            let target = self.channel(MADE + first + x);
            for (column, target) in target.iter_mut().enumerate() {
                *target = (made_at(column * across + x) - 128) as f32 / 128.0;
            }
        }
        for (way, pair) in parts.ways[plane].row(row, whole).into_iter().enumerate() {
            for (side, samples) in pair.into_iter().enumerate() {
                for x in 0..across {
                    let target = self.channel(WAYS + (2 * way + side) * SAMPLES + first + x);
                    for (column, target) in target.iter_mut().enumerate() {
                        let at = column * across + x;
                        let difference = i32::from(samples[at]) - made_at(at);
                        *target = difference.clamp(-FAR, FAR) as f32 / FAR as f32;
                    }
                }
            }
        }
    }

    fn motion(&mut self, parts: &Parts<'_>) {
        let cut = self.start..self.start + self.columns;
        let [chosen, smoothed] = parts.motion.map(|grid| &grid.vectors[cut.clone()]);
        for (column, weights) in parts.weights[cut].iter().enumerate() {
            let (chosen, smoothed) = (chosen[column], smoothed[column]);
            let [a, b, c] = weights.ways;
            let mut numbers = [0.0; CHANNELS - SHARES];
            numbers[..4].copy_from_slice(&[a, b, c, weights.later]);
            let sides = [Side::Earlier, Side::Later];
            let ways = [chosen, smoothed].map(|vector| sides.map(|side| side.way(vector, parts.split)));
            for (softness, vector) in numbers[SOFTNESS - SHARES..]
                .chunks_exact_mut(2)
                .zip(ways.as_flattened())
            {
                softness.copy_from_slice(&vector.map(self::softness));
            }
            let pixels = |part: i16| f32::from(part) / f32::from(UNITS);
            let motion = chosen.map(|part| (pixels(part) / LONG).clamp(-1.0, 1.0));
            numbers[MOTION - SHARES..APART - SHARES].copy_from_slice(&motion);
            numbers[APART - SHARES] = distance(chosen, smoothed);
            numbers[TIME - SHARES] = parts.split.later() as f32 / Split::WHOLE as f32;
            for (at, number) in numbers.into_iter().enumerate() {
                self.channel(SHARES + at)[column] = number;
            }
        }
    }
}

/// How far a place in units lies between two samples: 0 on a sample, 1 half-way between two.
fn softness(part: i16) -> f32 {
    let far = part & (UNITS - 1);
    f32::from(far * (UNITS - far)) / f32::from(UNITS * UNITS / 4)
}

fn distance(one: Vector, other: Vector) -> f32 {
    let units = f32::from(one[0].abs_diff(other[0])) + f32::from(one[1].abs_diff(other[1]));
    (units / f32::from(UNITS) / WIDE).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpolate::{Motion, Pair, examine};
    use crate::rig::{plane, random_picture};
    use hearsight_core::media::{Block, MotionField, Picture, Planes};

    fn field(random: &mut fastrand::Rng, (width, height): (u32, u32)) -> MotionField {
        let places = (0..height as i16).step_by(8);
        let places = places.flat_map(|y| (0..width as i16).step_by(8).map(move |x| (x, y)));
        let block = |(x, y)| Block {
            x,
            y,
            width: 8,
            height: 8,
            reference: -1,
            dx: f32::from(random.i16(-30..30)) / 4.0,
            dy: f32::from(random.i16(-30..30)) / 4.0,
        };
        MotionField {
            blocks: places.map(block).collect(),
        }
    }

    #[test]
    fn every_size_gives_all_channels_within_one() {
        let mut random = fastrand::Rng::with_seed(11);
        for size in [(1, 1), (3, 5), (17, 9), (64, 48), (33, 2)] {
            let pictures = [0, 1].map(|_| random_picture(&mut random, size.0, size.1));
            let motions = [0, 1].map(|_| Motion::new(&field(&mut random, size), size));
            let pair = Pair {
                earlier: &pictures[0],
                later: &pictures[1],
                before: Some(&motions[0]),
                motion: &motions[1],
            };
            for at in [0.25, 0.5, 0.9] {
                // Noise may pass for a cut; where it does not, there is something to look at.
                let Some((made, features)) = examine(pair, at).expect("planes are whole") else {
                    continue;
                };
                assert_eq!((made.width, made.height), size);
                assert_eq!((features.columns, features.rows), cells(size));
                assert_eq!(features.values.len(), CHANNELS * features.columns * features.rows);
                assert!(features.values.iter().all(|value| value.abs() <= 1.0));
            }
        }
    }

    #[test]
    fn samples_lie_where_they_are_said_to() {
        let (width, height) = (20, 12);
        let picture = |bright: u8| {
            let sheet = |columns: u32, rows: u32, first: u8| {
                let bytes = (0..columns * rows).map(|at| first + (at % 50) as u8).collect();
                plane(bytes, columns as usize)
            };
            let pixels = Planes {
                y: sheet(width, height, 40 + bright),
                u: sheet(width / 2, height / 2, 100),
                v: sheet(width / 2, height / 2, 150),
            };
            Picture { width, height, pixels }
        };
        let (earlier, later) = (picture(0), picture(8));
        let block = Block {
            x: 0,
            y: 0,
            width: 32,
            height: 16,
            reference: -1,
            dx: 0.0,
            dy: 0.0,
        };
        let blocks = vec![block].into();
        let motion = Motion::new(&MotionField { blocks }, (width, height));
        let pair = Pair {
            earlier: &earlier,
            later: &later,
            before: None,
            motion: &motion,
        };
        let (made, features) = examine(pair, 0.5).expect("planes are whole").expect("it moved");
        let value = |channel: usize, column: usize, row: usize| {
            features.values[channel * features.columns * features.rows + row * features.columns + column]
        };
        for (column, row) in [(0, 0), (4, 2), (1, 1)] {
            for at in 0..LUMA {
                let (x, y) = (column * CELL + at % CELL, row * CELL + at / CELL);
                let code = made.pixels.y.row(y, width as usize).expect("a row")[x];
                assert_eq!(value(MADE + at, column, row), (f32::from(code) - 128.0) / 128.0);
                // Half of the 8 codes that both pictures are apart.
                for way in 0..3 {
                    assert_eq!(value(WAYS + 2 * way * SAMPLES + at, column, row), -4.0 / 64.0);
                    assert_eq!(value(WAYS + (2 * way + 1) * SAMPLES + at, column, row), 4.0 / 64.0);
                }
            }
            for at in 0..CHROMA {
                let (x, y) = (column * SIDE + at % SIDE, row * SIDE + at / SIDE);
                let code = made.pixels.v.row(y, width as usize / 2).expect("a row")[x];
                assert_eq!(
                    value(MADE + LUMA + CHROMA + at, column, row),
                    (f32::from(code) - 128.0) / 128.0
                );
            }
            assert_eq!(value(SHARES + 3, column, row), 0.5);
            assert_eq!(value(TIME, column, row), 0.5);
            assert_eq!(value(SOFTNESS, column, row), 0.0);
        }
    }

    #[test]
    fn what_lies_between_two_samples_is_soft() {
        assert_eq!([0, 8, 16, -8, -16, 4].map(softness), [0.0, 1.0, 0.0, 1.0, 0.0, 0.75]);
        assert_eq!(CHANNELS, 184);
    }
}
