//! A plane moved along a grid of vectors, by some part of the way.

use crate::grid::{CELL, Grid, UNITS, Vector};
use crate::padded::Padded;
use crate::split::Split;
use crate::wide::wide;

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
    wide(|| moved(plane, grid, side, split))
}

#[inline(always)]
fn moved(plane: &Padded, grid: &Grid, side: Side, split: Split) -> Vec<u8> {
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
            let cell = cell(plane, x, y);
            for (line, samples) in cell.as_chunks::<CELL>().0.iter().enumerate() {
                let at = line * across + column * CELL;
                lines[at..at + CELL].copy_from_slice(samples);
            }
        }
    }
    made
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

/// Rows of samples that a cell is made of.
const LINES: usize = CELL + 3;

/// 4 × 4 samples from a place in 1/16 of a sample.
#[inline(always)]
fn cell(plane: &Padded, x: i32, y: i32) -> [u8; CELL * CELL] {
    let stride = plane.stride();
    let (across, down) = (TAPS[(x & 15) as usize], TAPS[(y & 15) as usize]);
    let mut made = [0; CELL * CELL];
    if (x | y) & 15 == 0 {
        let from = plane.rows_from(x >> 4, y >> 4, CELL);
        for (row, made) in made.as_chunks_mut::<CELL>().0.iter_mut().enumerate() {
            let samples = from.get(row * stride..).and_then(|rest| rest.first_chunk::<CELL>());
            *made = samples.copied().unwrap_or_default();
        }
        return made;
    }
    let from = plane.rows_from((x >> 4) - 1, (y >> 4) - 1, LINES);
    // What each tap meets, row after row: so laid out, sums are made side by side.
    let mut met = [[0_i16; CELL * LINES]; 4];
    for row in 0..LINES {
        let samples = from
            .get(row * stride..)
            .and_then(|rest| rest.first_chunk::<{ LINES + 1 }>());
        let samples = samples.map_or([0; LINES + 1], |samples| samples.map(i16::from));
        for (tap, met) in met.iter_mut().enumerate() {
            met[row * CELL..(row + 1) * CELL].copy_from_slice(&samples[tap..tap + CELL]);
        }
    }
    // All sums fit 16 bits: unchecked.
    let mut lines = [0_i16; CELL * LINES];
    for (at, line) in lines.iter_mut().enumerate() {
        let sum = (0..4).fold(16_i16, |sum, tap| {
            sum.wrapping_add(met[tap][at].wrapping_mul(across[tap]))
        });
        *line = sum >> 5;
    }
    for (at, made) in made.iter_mut().enumerate() {
        let sum = (0..4).fold(LIFT + 64, |sum: u16, tap| {
            sum.wrapping_add(lines[at + CELL * tap].wrapping_mul(down[tap]).cast_unsigned())
        });
        *made = (sum >> 7).saturating_sub(LIFT >> 7).min(255) as u8;
    }
    made
}
