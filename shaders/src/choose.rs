//! For each block of the made picture, the vector near it that joins the two pictures best.
//!
//! The decoder's vectors were found on the later picture and for the coder's ends. Here each block of the picture in
//! between asks which of those around it leads to the same content on both sides (bilateral matching, as in frame rate
//! conversion since de Haan et al., 3DRS, 1993, with the coder's search in place of a search of one's own). Where
//! none of them does, a few steps are taken from the best.

use crate::grid::{CELL, Grid, LONGEST, UNITS, UNKNOWN, Vector};
use crate::padded::Padded;
use crate::split::Split;

/// Luma pixels on a side of a block that chooses one vector.
pub const BLOCK: usize = 2 * CELL;

/// Pixels on a side of the window that is compared: the block and half of its neighbours.
pub(crate) const WINDOW: usize = 2 * BLOCK;

/// Where candidates are taken from, in cells from the block's first.
pub(crate) const OFFSETS: [(i32, i32); 9] = [
    (0, 0),
    (-2, 0),
    (3, 0),
    (0, -2),
    (0, 3),
    (-4, -4),
    (5, -4),
    (-4, 5),
    (5, 5),
];

/// What a unit of distance from the smoothed vector costs, in the sum of differences; and the most that counts.
pub(crate) const PENALTY: i32 = 4;
pub(crate) const FARTHEST: i32 = 512;

/// Where no candidate's sum is this small, 8 codes for each sample, better ones are looked for around the best.
pub(crate) const POOR: i32 = 8 * (WINDOW * WINDOW) as i32;

/// By how much a vector that was looked for must be better: 2 codes for each sample.
pub(crate) const BETTER: i32 = 2 * (WINDOW * WINDOW) as i32;

/// How far away they are looked for, in pixels: each step from the best of the one before (the "three-step" search of Koga et
/// al., 1981, with one step more).
const STEPS: [i16; 4] = [8, 4, 2, 1];

/// The neighbours that each step asks.
const AROUND: [(i16, i16); 8] = [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1)];

/// One vector per block of [`BLOCK`] pixels, for the picture at `split` between two luma planes of equal size. `raw` is
/// the decoder's field by cells, `soft` the smoothed one by blocks, known everywhere.
pub fn reference(earlier: &Padded, later: &Padded, raw: &Grid, soft: &Grid, split: Split) -> Grid {
    let (columns, rows) = (raw.columns.div_ceil(2), raw.rows.div_ceil(2));
    let mut chosen = Grid::filled(columns, rows, [0, 0]);
    for row in 0..rows {
        for column in 0..columns {
            let candidates = candidates(raw, soft, (column as i32, row as i32), split);
            let at = ((column * BLOCK) as i32 - 4, (row * BLOCK) as i32 - 4);
            chosen.vectors[row * columns + column] = best(earlier, later, &candidates, at, split);
        }
    }
    chosen
}

/// The smoothed vector first: it is what the others are measured against.
fn candidates(raw: &Grid, soft: &Grid, (column, row): (i32, i32), split: Split) -> [Vector; OFFSETS.len() + 3] {
    let smoothed = soft.at(column, row);
    let (column, row) = (column * 2, row * 2);
    // The field lies on the later picture: what is here now is met further along.
    let onward = split.onward(smoothed).map(|part| (i32::from(part) + 32) >> 6);
    let met = raw.at(column + onward[0], row + onward[1]);
    let mut all = [smoothed; OFFSETS.len() + 3];
    all[1] = [0, 0];
    all[2] = met;
    for (candidate, offset) in all[3..].iter_mut().zip(OFFSETS) {
        *candidate = raw.at(column + offset.0, row + offset.1);
    }
    all
}

fn best(earlier: &Padded, later: &Padded, candidates: &[Vector], at: (i32, i32), split: Split) -> Vector {
    let smoothed = candidates[0];
    let cost = |vector: Vector| {
        let far = i32::from(vector[0].abs_diff(smoothed[0])) + i32::from(vector[1].abs_diff(smoothed[1]));
        difference(earlier, later, whole(vector), at, split) + PENALTY * far.min(FARTHEST)
    };
    let (mut best, mut least) = (smoothed, i32::MAX);
    for (index, &vector) in candidates.iter().enumerate() {
        let same = |other: &Vector| whole(*other) == whole(vector);
        if vector == UNKNOWN || candidates[..index].iter().any(same) {
            continue;
        }
        let cost = cost(vector);
        if cost < least {
            (best, least) = (vector, cost);
        }
    }
    if least <= POOR {
        return best;
    }
    // Only what is better by much is worth leaving the coder's vectors for.
    least -= BETTER;
    for step in STEPS {
        let centre = best;
        for (dx, dy) in AROUND {
            let part = |part: i16, steps: i16| (part + steps * step * UNITS).clamp(-LONGEST, LONGEST);
            let vector = [part(centre[0], dx), part(centre[1], dy)];
            let cost = cost(vector);
            if cost < least {
                (best, least) = (vector, cost);
            }
        }
    }
    best
}

/// A vector in whole pixels, halves up.
fn whole(vector: Vector) -> Vector {
    vector.map(|part| (part + 8) >> 4)
}

/// The sum of absolute differences over every second row of the window, doubled.
fn difference(earlier: &Padded, later: &Padded, whole: Vector, at: (i32, i32), split: Split) -> i32 {
    let back = split.back(whole);
    let [dx, dy] = back.map(i32::from);
    let (from_x, from_y) = (at.0 - dx, at.1 - dy);
    let to = (from_x + i32::from(whole[0]), from_y + i32::from(whole[1]));
    let (mut a, mut b) = (
        earlier.rows_from(from_x, from_y, WINDOW),
        later.rows_from(to.0, to.1, WINDOW),
    );
    let mut sum = 0_u32;
    for _ in 0..WINDOW / 2 {
        let (Some(p), Some(q)) = (a.first_chunk::<WINDOW>(), b.first_chunk::<WINDOW>()) else {
            break;
        };
        // 16 differences of 8 bits fit 32: unchecked, they are summed side by side.
        let row = p
            .iter()
            .zip(q)
            .map(|(p, q)| u32::from(p.abs_diff(*q)))
            .fold(0, u32::wrapping_add);
        sum = sum.wrapping_add(row);
        (a, b) = (
            a.get(2 * earlier.stride()..).unwrap_or_default(),
            b.get(2 * later.stride()..).unwrap_or_default(),
        );
    }
    2 * sum as i32
}
