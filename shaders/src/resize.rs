//! Motion on grids of twice and of half as many vectors.

use crate::grid::Grid;

/// Half as many vectors in each direction, rounded up: each the mean of the four that it covers, halves up.
pub fn halved(grid: &Grid) -> Grid {
    let (columns, rows) = (grid.columns.div_ceil(2), grid.rows.div_ceil(2));
    let mut made = Grid::filled(columns, rows, [0, 0]);
    for (at, vector) in made.vectors.iter_mut().enumerate() {
        let (column, row) = ((at % columns * 2) as i32, (at / columns * 2) as i32);
        let four = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(x, y)| grid.at(column + x, row + y));
        *vector = [0, 1].map(|part| ((four.iter().map(|one| i32::from(one[part])).sum::<i32>() + 2) >> 2) as i16);
    }
    made
}

/// Twice as many vectors, `columns × rows` of them: bilinear between the middles of what each covers, halves up.
pub fn doubled(grid: &Grid, (columns, rows): (usize, usize)) -> Grid {
    let mut made = Grid::filled(columns, rows, [0, 0]);
    for (at, vector) in made.vectors.iter_mut().enumerate() {
        let (column, row) = ((at % columns) as i32, (at / columns) as i32);
        let (near, far) = ((column / 2, row / 2), (column / 2 - 1 + column % 2 * 2, row / 2 - 1 + row % 2 * 2));
        let shares = [(near.0, near.1, 9), (far.0, near.1, 3), (near.0, far.1, 3), (far.0, far.1, 1)];
        let mut sum = [8; 2];
        for (x, y, share) in shares {
            let one = grid.at(x, y);
            sum = [sum[0] + share * i32::from(one[0]), sum[1] + share * i32::from(one[1])];
        }
        *vector = sum.map(|part| (part >> 4) as i16);
    }
    made
}
