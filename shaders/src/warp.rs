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
/// each 4 × 4 samples, in 1/16 of one. Bilinear, rounded.
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

/// 4 × 4 samples from a place in 1/16 of a sample.
fn cell(plane: &Padded, x: i32, y: i32) -> [u8; CELL * CELL] {
    let stride = plane.stride();
    let from = plane.rows_from(x >> 4, y >> 4, CELL);
    let (right, below) = ((x & 15) as u16, (y & 15) as u16);
    // Five rows of four, between columns. The sums fit 16 bits (255 × 256): unchecked, they are made side by side.
    let (mut near, mut far) = ([0_u16; 20], [0_u16; 20]);
    for line in 0..5 {
        if let Some(samples) = from.get(line * stride..).and_then(|rest| rest.first_chunk::<5>()) {
            for at in 0..4 {
                near[line * 4 + at] = u16::from(samples[at]);
                far[line * 4 + at] = u16::from(samples[at + 1]);
            }
        }
    }
    for (near, far) in near.iter_mut().zip(far) {
        *near = near.wrapping_mul(16 - right).wrapping_add(far.wrapping_mul(right));
    }
    let mut made = [0; CELL * CELL];
    for (at, made) in made.iter_mut().enumerate() {
        let sum = near[at]
            .wrapping_mul(16 - below)
            .wrapping_add(near[at + 4].wrapping_mul(below));
        *made = (sum.wrapping_add(128) >> 8) as u8;
    }
    made
}
