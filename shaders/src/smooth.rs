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
    let mut places = (0..grid.rows as i32).flat_map(|row| (0..grid.columns as i32).map(move |column| (column, row)));
    for target in &mut made.vectors {
        let Some((column, row)) = places.next() else { break };
        let (mut sum, mut total) = ([0; 2], 0);
        for offset in -reach..=reach {
            let (column, row) = place(column, row, offset);
            let vector = grid.at(column, row);
            if vector != UNKNOWN {
                let weight = WEIGHTS[offset.unsigned_abs() as usize];
                sum = [sum[0] + weight * i32::from(vector[0]), sum[1] + weight * i32::from(vector[1])];
                total += weight;
            }
        }
        *target = mean(sum, total);
    }
    made
}

fn mean(sum: [i32; 2], total: i32) -> Vector {
    if total == 0 {
        return UNKNOWN;
    }
    // Halves go up, whatever the sign.
    sum.map(|sum| (2 * sum + total).div_euclid(2 * total) as i16)
}
