//! Evens out motion: neighbouring blocks of the coder move alike far more often than their vectors do.

use crate::grid::{Grid, UNKNOWN, Vector};

/// A Gaussian with a deviation of two cells, up to three deviations away, in 1/4096. From the middle outwards.
pub(crate) const WEIGHTS: [i32; 7] = [818, 722, 496, 266, 111, 36, 8];

/// The Gaussian mean of the known cells around each, first along rows and then along columns; unknown where none is known
/// that near. Rounded to units after each pass. Beyond its edges the grid goes on as at them.
pub fn reference(grid: &Grid) -> Grid {
    let along = pass(grid, |column, row, offset| (column + offset, row));
    pass(&along, |column, row, offset| (column, row + offset))
}

fn pass(grid: &Grid, place: impl Fn(i32, i32, i32) -> (i32, i32)) -> Grid {
    let mut made = grid.clone();
    let reach = WEIGHTS.len() as i32 - 1;
    for (row, targets) in (0..).zip(made.vectors.chunks_exact_mut(grid.columns.max(1))) {
        for (column, target) in (0..).zip(targets) {
            let (mut sum, mut total) = ([0_i32; 2], 0_i32);
            for offset in -reach..=reach {
                let (column, row) = place(column, row, offset);
                let vector = grid.at(column, row);
                // 4096 vectors of 14 bits fit 32: unchecked, both parts are summed side by side.
                let weight = if vector == UNKNOWN {
                    0
                } else {
                    WEIGHTS[offset.unsigned_abs() as usize]
                };
                sum = [0, 1].map(|part| sum[part].wrapping_add(weight.wrapping_mul(i32::from(vector[part]))));
                total = total.wrapping_add(weight);
            }
            *target = mean(sum, total);
        }
    }
    made
}

fn mean(sum: [i32; 2], total: i32) -> Vector {
    if total == 0 {
        return UNKNOWN;
    }
    // Halves go up, whatever the sign. Most often all are known: the weights sum to 4096.
    sum.map(|sum| match total {
        4096 => (sum + 2048) >> 12,
        _ => (2 * sum + total).div_euclid(2 * total),
    } as i16)
}
