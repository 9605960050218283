//! The published recipe for vectors alone (ANVIL, arXiv 2603.26835, without its network), as a yardstick: one field for
//! both directions, zero where the coder used no vector, half-way only. Luma only; written to be read, not to be fast.

use hearsight_core::media::{MotionField, Picture, Planes};

use crate::grid::{CELL, Grid, UNITS};
use crate::planes::{PlanesError, Sheet, sheets};
use crate::{fill, median, smooth};

/// The luma half-way between two pictures of equal size, rows from the top, without padding; `motion` led to the later
/// one. Errors: planes that do not hold their picture.
pub fn half_way(
    earlier: &Picture<Planes>,
    later: &Picture<Planes>,
    motion: &MotionField,
) -> Result<Vec<u8>, PlanesError> {
    let [before, ..] = sheets(earlier)?;
    let [after, ..] = sheets(later)?;
    let raw = fill::reference(motion, (earlier.width, earlier.height)).or_zero();
    let field = smooth::reference(&median::reference(&raw));
    let places = (0..earlier.height).flat_map(|y| (0..earlier.width).map(move |x| (x as f32, y as f32)));
    let sample = |(x, y): (f32, f32)| {
        let [dx, dy] = motion_at(&field, x, y).map(|part| part / 2.0);
        let mean = (sample(&before, x - dx, y - dy) + sample(&after, x + dx, y + dy)) / 2.0;
        mean.round() as u8
    };
    Ok(places.map(sample).collect())
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
