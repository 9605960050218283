//! How far each way of making a picture is to be trusted, cell by cell.
//!
//! Three ways are weighed: along the forward vectors, along the backward ones, and standing still. Content that a way
//! brings together from both sides should be the same; where it is not, the way is wrong there. What the three have
//! in common is averaged, what speaks for one of them is left to it, and nothing is ever cut in or out.

use crate::grid::{CELL, Grid, UNITS, Vector};
use crate::padded::Padded;
use crate::split::Split;

/// How near one way stays to the others where all differences are equal: forward, backward, still.
pub(crate) const TRUST: [f32; 3] = [1.0, 1.0, 0.6];

/// Shares of the ways in one cell; the first three sum to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weights {
    /// Of content along the forward, along the backward vectors, and at rest.
    pub ways: [f32; 3],
    /// Of the later picture in what comes along the forward vectors; the rest is of the earlier.
    pub later: f32,
}

/// What is known of motion on the earlier and on the later picture, by blocks: where content went on, and where not.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'a> {
    /// Smoothed motion that led to the earlier picture; none when it is not known.
    pub earlier: Option<&'a Grid>,
    /// Smoothed motion that led to the later picture.
    pub later: &'a Grid,
}

/// A plane's samples along each way, from the earlier and from the later picture.
#[derive(Debug)]
pub struct Ways<'a> {
    /// Along the forward vectors: whole cells, as [`crate::warp`] makes them.
    pub forward: [Vec<u8>; 2],
    /// Along the backward vectors, likewise.
    pub backward: [Vec<u8>; 2],
    /// At rest: the planes themselves.
    pub still: [&'a Padded; 2],
}

impl Ways<'_> {
    /// One row of samples of whole cells: along the forward vectors, along the backward ones, at rest.
    pub(crate) fn row(&self, row: usize, length: usize) -> [[&[u8]; 2]; 3] {
        let cut = row * length..(row + 1) * length;
        [
            [0, 1].map(|side| &self.forward[side][cut.clone()]),
            [0, 1].map(|side| &self.backward[side][cut.clone()]),
            [0, 1].map(|side| self.still[side].row(row, length)),
        ]
    }
}

/// The sums of absolute differences in each cell, for each way, rows from the top.
pub(crate) fn differences(ways: &Ways<'_>, (columns, rows): (usize, usize)) -> Vec<[u32; 3]> {
    let mut sums = vec![[0_u32; 3]; columns * rows];
    for row in 0..rows * CELL {
        let sums = &mut sums[row / CELL * columns..][..columns];
        for (way, [a, b]) in ways.row(row, columns * CELL).into_iter().enumerate() {
            let cells = a.as_chunks::<CELL>().0.iter().zip(b.as_chunks::<CELL>().0);
            for (sum, (a, b)) in sums.iter_mut().zip(cells) {
                let four = a
                    .iter()
                    .zip(b)
                    .map(|(a, b)| u32::from(a.abs_diff(*b)))
                    .fold(0, u32::wrapping_add);
                sum[way] = sum[way].wrapping_add(four);
            }
        }
    }
    sums
}

/// The shares in each cell, from the differences in 3 × 3 cells around it. `forward` has one vector per cell.
pub fn reference(differences: &[[u32; 3]], forward: &Grid, sides: Sides<'_>, split: Split) -> Vec<Weights> {
    let (columns, rows) = (forward.columns, forward.rows);
    let mut weights = Vec::with_capacity(differences.len());
    for row in 0..rows {
        for column in 0..columns {
            let mut sum = [0; 3];
            for y in [row.saturating_sub(1), row, (row + 1).min(rows - 1)] {
                for x in [column.saturating_sub(1), column, (column + 1).min(columns - 1)] {
                    let one = differences[y * columns + x];
                    sum = [sum[0] + one[0], sum[1] + one[1], sum[2] + one[2]];
                }
            }
            let vector = forward.vectors[row * columns + column];
            weights.push(Weights {
                ways: trusts(sum),
                later: share(vector, (column as i32, row as i32), sides, split),
            });
        }
    }
    weights
}

fn trusts(sum: [u32; 3]) -> [f32; 3] {
    let samples = (9 * CELL * CELL) as f32;
    let trust = |way: usize| {
        // One code of difference is what coding alone makes.
        let difference = sum[way] as f32 / samples + 1.0;
        TRUST[way] / (difference * difference)
    };
    let all = [trust(0), trust(1), trust(2)];
    let total = all[0] + all[1] + all[2];
    all.map(|trust| trust / total)
}

/// The later picture's share. Where a vector lands on content that moves otherwise, what it is after is hidden there.
fn share(vector: Vector, (column, row): (i32, i32), sides: Sides<'_>, split: Split) -> f32 {
    let later = split.share();
    let Some(before) = sides.earlier else {
        return later;
    };
    let cells = |part: i16| (i32::from(part) + 32) >> 6;
    let ([back_x, back_y], [on_x, on_y]) = (split.back(vector).map(cells), split.onward(vector).map(cells));
    // A block is two cells wide.
    let met = |grid: &Grid, column: i32, row: i32| grid.at(column >> 1, row >> 1);
    let seen_later = agreement(vector, met(sides.later, column + on_x, row + on_y));
    let seen_earlier = agreement(vector, met(before, column - back_x, row - back_y));
    later * seen_later / (later * seen_later + (1.0 - later) * seen_earlier)
}

/// 1 where two vectors are equal, half at [`APART`] pixels.
fn agreement(one: Vector, other: Vector) -> f32 {
    let apart = |part: usize| f32::from(one[part].abs_diff(other[part])) / (f32::from(UNITS) * APART);
    1.0 / (1.0 + apart(0) * apart(0) + apart(1) * apart(1))
}

const APART: f32 = 4.0;

/// The same shares for cells of twice the side: of each four, the mean.
pub(crate) fn halved(weights: &[Weights], columns: usize) -> Vec<Weights> {
    let rows = weights.len() / columns.max(1);
    let places =
        (0..rows.div_ceil(2)).flat_map(|row| (0..columns.div_ceil(2)).map(move |column| (2 * row, 2 * column)));
    let mean = |(row, column): (usize, usize)| {
        let mut sum = Weights::default();
        for (y, x) in [
            (row, column),
            (row, column + 1),
            (row + 1, column),
            (row + 1, column + 1),
        ] {
            let one = weights[y.min(rows - 1) * columns + x.min(columns - 1)];
            sum.ways = [0, 1, 2].map(|way| sum.ways[way] + 0.25 * one.ways[way]);
            sum.later += 0.25 * one.later;
        }
        sum
    };
    places.map(mean).collect()
}
