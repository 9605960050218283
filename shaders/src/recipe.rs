//! The published recipe for vectors alone (ANVIL, arXiv 2603.26835, without its network), as a yardstick: one field for
//! both directions, zero where the coder used no vector, half-way only. Luma only; written to be read, not to be fast.

use hearsight_core::media::{MotionField, Picture, Planes};

use crate::fill;
use crate::grid::{CELL, Grid, UNITS, Vector};
use crate::planes::{PlanesError, Sheet, sheets};

/// The luma half-way between two pictures of equal size, rows from the top, without padding; `motion` led to the later
/// one. Errors: planes that do not hold their picture.
pub fn half_way(
    earlier: &Picture<Planes>,
    later: &Picture<Planes>,
    motion: &MotionField,
) -> Result<Vec<u8>, PlanesError> {
    let [before, ..] = sheets(earlier)?;
    let [after, ..] = sheets(later)?;
    let raw = fill::reference(motion, (earlier.width, earlier.height), CELL).or_zero();
    let field = smooth(&median(&raw));
    let places = (0..earlier.height).flat_map(|y| (0..earlier.width).map(move |x| (x as f32, y as f32)));
    let sample = |(x, y): (f32, f32)| {
        let [dx, dy] = motion_at(&field, x, y).map(|part| part / 2.0);
        let mean = (sample(&before, x - dx, y - dy) + sample(&after, x + dx, y + dy)) / 2.0;
        mean.round() as u8
    };
    Ok(places.map(sample).collect())
}

/// The median of 5 × 5 cells, part by part.
fn median(grid: &Grid) -> Grid {
    each(grid, |column, row| {
        let near = |vote: i32| grid.at(column + vote % 5 - 2, row + vote / 5 - 2);
        [0, 1].map(|part| {
            let mut votes: [i16; 25] = std::array::from_fn(|vote| near(vote as i32)[part]);
            *votes.select_nth_unstable(12).1
        })
    })
}

/// A Gaussian with a deviation of two cells, up to three deviations away, first along rows and then along columns.
fn smooth(grid: &Grid) -> Grid {
    let share = |offset: i32| (-0.125 * (offset * offset) as f32).exp();
    let total: f32 = (-6..=6).map(share).sum();
    let pass = |grid: &Grid, (across, down): (i32, i32)| {
        each(grid, |column, row| {
            [0, 1].map(|part| {
                let at = |offset: i32| grid.at(column + across * offset, row + down * offset)[part];
                let sum: f32 = (-6..=6).map(|offset| share(offset) * f32::from(at(offset))).sum();
                (sum / total).round() as i16
            })
        })
    };
    pass(&pass(grid, (1, 0)), (0, 1))
}

fn each(grid: &Grid, vector: impl Fn(i32, i32) -> Vector) -> Grid {
    let mut made = grid.clone();
    for (at, made) in made.vectors.iter_mut().enumerate() {
        *made = vector((at % grid.columns) as i32, (at / grid.columns) as i32);
    }
    made
}

/// Motion at a pixel, in pixels, bilinear between the middles of cells.
fn motion_at(field: &Grid, x: f32, y: f32) -> [f32; 2] {
    let cell = |at: f32| (at + 0.5) / CELL as f32 - 0.5;
    let part = |part: usize| {
        let value = |column, row| f32::from(field.at(column, row)[part]);
        bilinear(cell(x), cell(y), value) / f32::from(UNITS)
    };
    [part(0), part(1)]
}

fn sample(sheet: &Sheet<'_>, x: f32, y: f32) -> f32 {
    bilinear(x, y, |column, row| f32::from(sheet.at(column.into(), row.into())))
}

fn bilinear(x: f32, y: f32, value: impl Fn(i32, i32) -> f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (right_share, bottom_share) = (x - left, y - top);
    let (left, top) = (left as i32, top as i32);
    let line = |row| value(left, row) * (1.0 - right_share) + value(left + 1, row) * right_share;
    line(top) * (1.0 - bottom_share) + line(top + 1) * bottom_share
}
