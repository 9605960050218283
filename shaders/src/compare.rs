//! How far each way of making a picture is to be trusted, cell by cell.
//!
//! Three ways are weighed: along the chosen vectors, along the smoothed ones, and standing still. Content that a way
//! brings together from both sides should be the same; where it is not, the way is wrong there. What the three have
//! in common is averaged, what speaks for one of them is left to it, and nothing is ever cut in or out.

use crate::grid::{CELL, Grid, UNITS, Vector};
use crate::padded::Padded;
use crate::split::Split;

/// How near one way stays to the others where all differences are equal: chosen, smoothed, still.
pub(crate) const TRUST: [f32; 3] = [1.0, 1.0, 0.5];

/// Shares of the ways in one cell; the first three sum to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weights {
    /// Of content along the chosen, along the smoothed vectors, and at rest.
    pub ways: [f32; 3],
    /// Of the later picture in what comes along the chosen vectors; the rest is of the earlier.
    pub later: f32,
}

/// What is known of motion on the earlier and on the later picture, by cells: where content went on, and where not.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'a> {
    /// Smoothed motion that led to the earlier picture; none when it is not known.
    pub earlier: Option<&'a Grid>,
    /// Smoothed motion that led to the later picture.
    pub later: &'a Grid,
}

/// The sums of absolute differences in each cell, for each way, rows from the top.
pub(crate) fn differences(earlier: &Padded, later: &Padded, fine: &Grid, soft: &Grid, split: Split) -> Vec<[u32; 3]> {
    let mut sums = Vec::with_capacity(fine.vectors.len());
    for row in 0..fine.rows {
        for column in 0..fine.columns {
            let at = row * fine.columns + column;
            let sum = |vector: Vector| {
                let [a, b] = both(earlier, later, vector, (column, row), split);
                a.iter().zip(&b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>()
            };
            let chosen = sum(fine.vectors[at]);
            let smoothed = if soft.vectors[at] == fine.vectors[at] { chosen } else { sum(soft.vectors[at]) };
            sums.push([chosen, smoothed, sum([0, 0])]);
        }
    }
    sums
}

/// The shares in each cell, from the differences in 3 × 3 cells around it.
pub fn reference(differences: &[[u32; 3]], fine: &Grid, sides: Sides<'_>, split: Split) -> Vec<Weights> {
    let (columns, rows) = (fine.columns, fine.rows);
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
            let vector = fine.vectors[row * columns + column];
            weights.push(Weights {
                ways: ways(sum),
                later: share(vector, (column as i32, row as i32), sides, split),
            });
        }
    }
    weights
}

fn ways(sum: [u32; 3]) -> [f32; 3] {
    let samples = (9 * CELL * CELL) as f32;
    let trust = |way: usize| {
        // One code of difference is what coding alone makes.
        let difference = sum[way] as f32 / samples + 1.0;
        TRUST[way] / (difference * difference)
    };
    let trusts = [trust(0), trust(1), trust(2)];
    let total = trusts[0] + trusts[1] + trusts[2];
    trusts.map(|trust| trust / total)
}

/// The later picture's share. Where a vector lands on content that moves otherwise, what it is after is hidden there.
fn share(vector: Vector, (column, row): (i32, i32), sides: Sides<'_>, split: Split) -> f32 {
    let later = split.later() as f32 / Split::WHOLE as f32;
    let Some(before) = sides.earlier else {
        return later;
    };
    let cells = |part: i16| (i32::from(part) + 32) >> 6;
    let ([back_x, back_y], [on_x, on_y]) = (split.back(vector).map(cells), split.onward(vector).map(cells));
    let seen_later = agreement(vector, sides.later.at(column + on_x, row + on_y));
    let seen_earlier = agreement(vector, before.at(column - back_x, row - back_y));
    later * seen_later / (later * seen_later + (1.0 - later) * seen_earlier)
}

/// 1 where two vectors are equal, half at [`APART`] pixels.
fn agreement(one: Vector, other: Vector) -> f32 {
    let apart = |part: usize| f32::from(one[part].abs_diff(other[part])) / (f32::from(UNITS) * APART);
    1.0 / (1.0 + apart(0) * apart(0) + apart(1) * apart(1))
}

const APART: f32 = 4.0;

/// A cell's samples along a vector from both pictures, rows from the top.
pub(crate) fn both(
    earlier: &Padded,
    later: &Padded,
    vector: Vector,
    (column, row): (usize, usize),
    split: Split,
) -> [[u8; CELL * CELL]; 2] {
    let [back_x, back_y] = split.back(vector).map(i32::from);
    let [on_x, on_y] = split.onward(vector).map(i32::from);
    let (x, y) = ((column * CELL) as i32 * i32::from(UNITS), (row * CELL) as i32 * i32::from(UNITS));
    [cell(earlier, x - back_x, y - back_y), cell(later, x + on_x, y + on_y)]
}

/// 4 × 4 samples from a place in 1/16 of a sample, bilinear, rounded.
fn cell(plane: &Padded, x: i32, y: i32) -> [u8; CELL * CELL] {
    let from = plane.rows_from(x >> 4, y >> 4, CELL);
    let (right, below) = ((x & 15) as u16, (y & 15) as u16);
    let stride = plane.stride();
    let mut corners = [[0_u16; 4]; 5];
    let mut next = [[0_u16; 4]; 5];
    for (line, (near, far)) in corners.iter_mut().zip(&mut next).enumerate() {
        if let Some(samples) = from.get(line * stride..).and_then(|rest| rest.first_chunk::<5>()) {
            for at in 0..4 {
                near[at] = u16::from(samples[at]);
                far[at] = u16::from(samples[at + 1]);
            }
        }
    }
    let shares = [(16 - right) * (16 - below), right * (16 - below), (16 - right) * below, right * below];
    let mut made = [0; CELL * CELL];
    for (at, made) in made.iter_mut().enumerate() {
        let (line, column) = (at / 4, at % 4);
        let sum = corners[line][column] * shares[0]
            + next[line][column] * shares[1]
            + corners[line + 1][column] * shares[2]
            + next[line + 1][column] * shares[3];
        *made = ((sum + 128) >> 8) as u8;
    }
    made
}
