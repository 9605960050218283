//! Brings a picture's motion to where its content is at another time.

use crate::grid::{CELL, Grid, UNITS, Vector};
use crate::split::Split;
use crate::warp::Side;

/// Units on a side of a block and of a cell.
const BLOCK: i32 = 8 * UNITS as i32;
const SIDE: i32 = (CELL as i32) * UNITS as i32;

/// How often it is asked what, from the place that was found last, leads here.
const ROUNDS: usize = 2;

/// One vector per cell of the picture at `split`, so many columns and rows of them: the one of the content that is met
/// there. `found` has one per block of the picture on side `anchor`.
pub fn reference(found: &Grid, (columns, rows): (usize, usize), anchor: Side, split: Split) -> Grid {
    let mut made = Grid::filled(columns, rows, [0, 0]);
    for (at, vector) in made.vectors.iter_mut().enumerate() {
        let middle = [at % columns, at / columns].map(|cell| cell as i32 * SIDE + SIDE / 2);
        *vector = between(found, middle);
        for _ in 0..ROUNDS {
            let way = anchor.way(*vector, split).map(i32::from);
            let next = between(found, [middle[0] + way[0], middle[1] + way[1]]);
            if next == *vector {
                break;
            }
            *vector = next;
        }
    }
    made
}

/// The vector at a place in units: bilinear between the middles of blocks, halves up.
fn between(found: &Grid, place: [i32; 2]) -> Vector {
    let place = place.map(|part| part - BLOCK / 2);
    let [column, row] = place.map(|part| part.div_euclid(BLOCK));
    let [right, below] = place.map(|part| part.rem_euclid(BLOCK));
    let inside = |place: i32, length: usize| [place, place + 1].map(|it| it.clamp(0, length as i32 - 1) as usize);
    let (columns, rows) = (inside(column, found.columns), inside(row, found.rows));
    let corners = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(x, y)| found.vectors[rows[y] * found.columns + columns[x]]);
    if corners.iter().all(|corner| *corner == corners[0]) {
        return corners[0];
    }
    let shares = [
        (BLOCK - right) * (BLOCK - below),
        right * (BLOCK - below),
        (BLOCK - right) * below,
        right * below,
    ];
    [0, 1].map(|part| {
        let products = (0..4).map(|at| shares[at] * i32::from(corners[at][part]));
        ((products.sum::<i32>() + BLOCK * BLOCK / 2) >> (2 * BLOCK.ilog2())) as i16
    })
}
