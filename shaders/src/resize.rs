//! Motion on grids of half as many vectors, and for planes of half the size.

use crate::grid::Grid;

/// What is done with a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Half as many vectors in each direction, rounded up: each the mean of the four that it covers.
    Halve,
    /// As many, each half as long: for a plane of half the size.
    Shrink,
}

/// The changed grid. Takes a grid on which every vector is known; halves go up.
pub fn reference(grid: &Grid, change: Change) -> Grid {
    let (columns, rows) = match change {
        Change::Halve => (grid.columns.div_ceil(2), grid.rows.div_ceil(2)),
        Change::Shrink => (grid.columns, grid.rows),
    };
    let mut made = Grid::filled(columns, rows, [0, 0]);
    for (at, vector) in made.vectors.iter_mut().enumerate() {
        let place = ((at % columns) as i32, (at / columns) as i32);
        *vector = match change {
            Change::Halve => {
                let (column, row) = (place.0 * 2, place.1 * 2);
                mean(
                    grid,
                    [
                        (column, row, 1),
                        (column + 1, row, 1),
                        (column, row + 1, 1),
                        (column + 1, row + 1, 1),
                    ],
                    2,
                )
            }
            Change::Shrink => grid.vectors[at].map(|part| (part + 1) >> 1),
        };
    }
    made
}

/// The weighed mean of four places, whose shares sum to two to the power of `bits`.
fn mean(grid: &Grid, places: [(i32, i32, i32); 4], bits: u32) -> [i16; 2] {
    let mut sum = [1 << (bits - 1); 2];
    for (column, row, share) in places {
        let one = grid.at(column, row);
        sum = [sum[0] + share * i32::from(one[0]), sum[1] + share * i32::from(one[1])];
    }
    sum.map(|part| (part >> bits) as i16)
}
