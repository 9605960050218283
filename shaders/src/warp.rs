//! A plane moved along a grid of vectors, by some part of the way.

use crate::grid::{CELL, Grid, UNITS, Vector};
use crate::padded::Padded;
use crate::split::Split;

/// Which of the two pictures is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The earlier one, onwards.
    Earlier,
    /// The later one, back.
    Later,
}

impl Side {
    /// Where content that is here at `split` lies on this side, from here.
    pub(crate) fn way(self, vector: Vector, split: Split) -> Vector {
        match self {
            Side::Earlier => split.back(vector).map(|part| -part),
            Side::Later => split.onward(vector),
        }
    }
}

/// The samples that `plane` has along `grid` at `split`: whole cells, `4 × columns` to a row. The grid has a vector for
/// each 4 × 4 samples, in 1/16 of one. Of four samples each way, rounded once.
pub fn reference(plane: &Padded, grid: &Grid, side: Side, split: Split) -> Vec<u8> {
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

/// What four samples in a row count at a place between the second and the third of them, in 1/128, by sixteenths of the way:
/// a cubic convolution (Keys 1981) with a = −0.6. Two samples alone make soft what four keep sharp.
const TAPS: [[i32; 4]; UNITS as usize] = [
    [0, 128, 0, 0],
    [-4, 126, 6, 0],
    [-7, 123, 13, -1],
    [-10, 119, 21, -2],
    [-11, 112, 31, -4],
    [-11, 103, 41, -5],
    [-11, 94, 52, -7],
    [-11, 84, 63, -8],
    [-10, 74, 74, -10],
    [-8, 63, 84, -11],
    [-7, 52, 94, -11],
    [-5, 41, 103, -11],
    [-4, 31, 112, -11],
    [-2, 21, 119, -10],
    [-1, 13, 123, -7],
    [0, 6, 126, -4],
];

/// 4 × 4 samples from a place in 1/16 of a sample.
fn cell(plane: &Padded, x: i32, y: i32) -> [u8; CELL * CELL] {
    let stride = plane.stride();
    let from = plane.rows_from((x >> 4) - 1, (y >> 4) - 1, CELL + 2);
    let (right, below) = (TAPS[(x & 15) as usize], TAPS[(y & 15) as usize]);
    // Seven rows of four, between columns. The sums fit 16 bits twice over: unchecked, they are made side by side.
    let mut lines = [[0_i32; CELL]; CELL + 3];
    for (line, sums) in lines.iter_mut().enumerate() {
        if let Some(samples) = from
            .get(line * stride..)
            .and_then(|rest| rest.first_chunk::<{ CELL + 3 }>())
        {
            *sums = std::array::from_fn(|at| between(|tap| i32::from(samples[at + tap]), right));
        }
    }
    let mut made = [0; CELL * CELL];
    for (row, made) in made.as_chunks_mut::<CELL>().0.iter_mut().enumerate() {
        *made = std::array::from_fn(|at| {
            let sum = between(|tap| lines[row + tap][at], below);
            (sum.wrapping_add(1 << 13) >> 14).clamp(0, 255) as u8
        });
    }
    made
}

fn between(value: impl Fn(usize) -> i32, taps: [i32; 4]) -> i32 {
    (0..4).fold(0_i32, |sum, tap| sum.wrapping_add(value(tap).wrapping_mul(taps[tap])))
}
