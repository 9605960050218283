//! A plane moved along a grid of vectors, by some part of the way.

use pulp::NullaryFnOnce;
#[cfg(target_arch = "x86_64")]
use pulp::x86::V3;

use crate::grid::{CELL, Grid, UNITS, Vector};
use crate::padded::Padded;
use crate::split::Split;

#[cfg(target_arch = "x86_64")]
mod avx2;

/// Which of the two pictures is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The earlier one, onwards.
    Earlier,
    /// The later one, back.
    Later,
}

impl Side {
    /// The other of the two.
    pub(crate) fn other(self) -> Self {
        match self {
            Side::Earlier => Side::Later,
            Side::Later => Side::Earlier,
        }
    }

    /// Where content that is here at `split` lies on this side, from here.
    #[inline(always)]
    pub(crate) fn way(self, vector: Vector, split: Split) -> Vector {
        match self {
            Side::Earlier => split.back(vector).map(|part| -part),
            Side::Later => split.onward(vector),
        }
    }
}

/// The samples that `plane` has along `grid` at `split`: whole cells, `4 × columns` to a row. The grid has a vector for
/// each 4 × 4 samples, in 1/16 of one. Of four samples each way, rounded to halves of a code in between.
pub fn reference(plane: &Padded, grid: &Grid, side: Side, split: Split) -> Vec<u8> {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = V3::try_new() {
        return simd.vectorize(Moved(plane, grid, side, split, avx2::Registers(simd)));
    }
    Moved(plane, grid, side, split, Anywhere).call()
}

/// Rows of samples that a cell is made of, and one that fills a register.
const LINES: usize = 2 * CELL;

/// How the samples of a cell are made from lines of eight, of which the last line and the last sample count for nothing.
trait Sampling {
    fn cell(&self, lines: &[[u8; LINES]; LINES], across: [i16; 4], down: [i16; 4]) -> [u8; CELL * CELL];
}

struct Moved<'a, S>(&'a Padded, &'a Grid, Side, Split, S);

impl<S: Sampling> NullaryFnOnce for Moved<'_, S> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn call(self) -> Vec<u8> {
        let Self(plane, grid, side, split, sampling) = self;
        let across = grid.columns * CELL;
        let mut made = vec![0; across * grid.rows * CELL];
        let lines = made
            .chunks_exact_mut(across * CELL)
            .zip(grid.vectors.chunks_exact(grid.columns));
        for (row, (lines, vectors)) in (0..).zip(lines) {
            for (column, &vector) in vectors.iter().enumerate() {
                let [dx, dy] = side.way(vector, split).map(i32::from);
                let (x, y) = (
                    (column * CELL) as i32 * i32::from(UNITS) + dx,
                    row * (CELL as i32 * i32::from(UNITS)) + dy,
                );
                let cell = cell(plane, x, y, &sampling);
                for (line, samples) in cell.as_chunks::<CELL>().0.iter().enumerate() {
                    let at = line * across + column * CELL;
                    lines[at..at + CELL].copy_from_slice(samples);
                }
            }
        }
        made
    }
}

/// What four samples in a row count at a place between the second and the third of them, in 1/64, by sixteenths of the way:
/// a cubic convolution (Keys 1981) with a = −0.6. Two samples alone make soft what four keep sharp.
const TAPS: [[i16; 4]; UNITS as usize] = [
    [0, 64, 0, 0],
    [-2, 63, 3, 0],
    [-4, 63, 6, -1],
    [-5, 59, 11, -1],
    [-5, 56, 15, -2],
    [-6, 52, 21, -3],
    [-6, 47, 26, -3],
    [-5, 42, 31, -4],
    [-5, 37, 37, -5],
    [-4, 31, 42, -5],
    [-3, 26, 47, -6],
    [-3, 21, 52, -6],
    [-2, 15, 56, -5],
    [-1, 11, 59, -5],
    [-1, 6, 63, -4],
    [0, 3, 63, -2],
];

/// What keeps sums above zero, in 1/128 of a code: they lie between −13,200 and 45,900.
const LIFT: u16 = 104 * 128;

/// 4 × 4 samples from a place in 1/16 of a sample.
#[inline(always)]
fn cell(plane: &Padded, x: i32, y: i32, sampling: &impl Sampling) -> [u8; CELL * CELL] {
    let stride = plane.stride();
    if (x | y) & 15 == 0 {
        let mut made = [0; CELL * CELL];
        let from = plane.rows_from(x >> 4, y >> 4, CELL);
        for (row, made) in made.as_chunks_mut::<CELL>().0.iter_mut().enumerate() {
            let samples = from.get(row * stride..).and_then(|rest| rest.first_chunk::<CELL>());
            *made = samples.copied().unwrap_or_default();
        }
        return made;
    }
    let from = plane.rows_from((x >> 4) - 1, (y >> 4) - 1, LINES - 1);
    let mut lines = [[0; LINES]; LINES];
    for (row, line) in lines.iter_mut().take(LINES - 1).enumerate() {
        let samples = from.get(row * stride..).and_then(|rest| rest.first_chunk());
        *line = samples.copied().unwrap_or_default();
    }
    sampling.cell(&lines, TAPS[(x & 15) as usize], TAPS[(y & 15) as usize])
}

/// For processors of any kind.
struct Anywhere;

impl Sampling for Anywhere {
    #[inline(always)]
    fn cell(&self, samples: &[[u8; LINES]; LINES], across: [i16; 4], down: [i16; 4]) -> [u8; CELL * CELL] {
        // All sums fit 16 bits: unchecked.
        let mut lines = [[0_i16; CELL]; LINES];
        for (line, samples) in lines.iter_mut().zip(samples) {
            *line = std::array::from_fn(|at| {
                let sum = (0..4).fold(16_i16, |sum, tap| {
                    sum.wrapping_add(i16::from(samples[at + tap]).wrapping_mul(across[tap]))
                });
                sum >> 5
            });
        }
        let lines = lines.as_flattened();
        std::array::from_fn(|at| {
            let sum = (0..4).fold(LIFT + 64, |sum: u16, tap| {
                sum.wrapping_add(lines[at + CELL * tap].wrapping_mul(down[tap]).cast_unsigned())
            });
            (sum >> 7).saturating_sub(LIFT >> 7).min(255) as u8
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn registers_sample_as_anything_does() {
        let Some(simd) = V3::try_new() else { return };
        let mut random = fastrand::Rng::with_seed(5);
        for round in 0..4096 {
            // Every other one at the ends of what samples can be.
            let sample = |random: &mut fastrand::Rng| match round % 2 {
                0 => random.u8(..),
                _ => 255 * random.u8(..2),
            };
            let lines = [(); LINES].map(|()| [(); LINES].map(|()| sample(&mut random)));
            let [across, down] = [(); 2].map(|()| TAPS[random.usize(..TAPS.len())]);
            let made = simd.vectorize(One(&lines, across, down, avx2::Registers(simd)));
            assert_eq!(
                made,
                Anywhere.cell(&lines, across, down),
                "{lines:?} {across:?} {down:?}"
            );
        }
    }

    struct One<'a, S>(&'a [[u8; LINES]; LINES], [i16; 4], [i16; 4], S);

    impl<S: Sampling> NullaryFnOnce for One<'_, S> {
        type Output = [u8; CELL * CELL];

        fn call(self) -> Self::Output {
            let Self(lines, across, down, sampling) = self;
            sampling.cell(lines, across, down)
        }
    }
}
