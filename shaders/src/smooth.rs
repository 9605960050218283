//! Evens out motion: neighbouring blocks of the coder move alike far more often than their vectors do.

use pulp::NullaryFnOnce;

use crate::grid::{Grid, UNKNOWN, Vector};
use crate::wide::wide;

/// A Gaussian with a deviation of one place, up to three deviations away, in 1/4096. From the middle outwards.
pub(crate) const WEIGHTS: [i32; 4] = [1636, 991, 221, 18];

/// The Gaussian mean of the known vectors around each, first along rows and then along columns; unknown where none is known
/// that near. Rounded to units after each pass. Beyond its edges the grid goes on as at them.
pub fn reference(grid: &Grid) -> Grid {
    if grid.columns == 0 || grid.rows == 0 {
        return grid.clone();
    }
    let reach = WEIGHTS.len() - 1;
    let mut line = Vec::new();
    let along = pass(grid, |row, sums| {
        // A row with its ends carried on, read from every offset.
        let cells = &grid.vectors[row * grid.columns..][..grid.columns];
        line.clear();
        line.resize(reach, cells[0]);
        line.extend_from_slice(cells);
        line.resize(line.len() + reach, cells[cells.len() - 1]);
        for at in 0..=2 * reach {
            sums.add(&line[at..at + grid.columns], WEIGHTS[at.abs_diff(reach)]);
        }
    });
    pass(&along, |row, sums| {
        for at in 0..=2 * reach {
            let row = (row + at).saturating_sub(reach).min(along.rows - 1);
            sums.add(
                &along.vectors[row * along.columns..][..along.columns],
                WEIGHTS[at.abs_diff(reach)],
            );
        }
    })
}

fn pass(grid: &Grid, mut add: impl FnMut(usize, &mut Sums)) -> Grid {
    let mut made = grid.clone();
    let mut sums = Sums(Vec::new());
    for (row, targets) in made.vectors.chunks_exact_mut(grid.columns).enumerate() {
        sums.0.clear();
        sums.0.resize(grid.columns, [0; 3]);
        add(row, &mut sums);
        for (target, [x, y, total]) in targets.iter_mut().zip(&sums.0) {
            *target = mean([*x, *y], *total);
        }
    }
    made
}

/// Of a row of cells: the weighed sums of both parts of what is known, and of the weights.
struct Sums(Vec<[i32; 3]>);

impl Sums {
    fn add(&mut self, vectors: &[Vector], weight: i32) {
        wide(Added(&mut self.0, vectors, weight));
    }
}

struct Added<'a>(&'a mut [[i32; 3]], &'a [Vector], i32);

impl NullaryFnOnce for Added<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self(sums, vectors, weight) = self;
        for (sum, vector) in sums.iter_mut().zip(vectors) {
            let weight = if *vector == UNKNOWN { 0 } else { weight };
            // 4096 vectors of 14 bits fit 32: unchecked, they are summed side by side.
            let more = [
                weight.wrapping_mul(i32::from(vector[0])),
                weight.wrapping_mul(i32::from(vector[1])),
                weight,
            ];
            *sum = [0, 1, 2].map(|part| sum[part].wrapping_add(more[part]));
        }
    }
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
