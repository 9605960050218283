//! Makes one plane of a picture from its neighbours, by the weighed ways.

use crate::compare::{Weights, both};
use crate::grid::{CELL, Grid};
use crate::padded::Padded;
use crate::split::Split;

/// Shares of one row of samples, each as long as the row.
#[derive(Default)]
struct Shares([Vec<f32>; 4]);

/// The samples of a plane of `columns × rows`, rows from the top, without padding. The grids and the weights have one entry
/// for each 4 × 4 samples; vectors are in 1/16 of a sample.
pub fn reference(
    earlier: &Padded,
    later: &Padded,
    [fine, soft]: [&Grid; 2],
    weights: &[Weights],
    (columns, rows): (usize, usize),
    split: Split,
) -> Vec<u8> {
    let across = fine.columns * CELL;
    let mut made = vec![0; columns * rows];
    let mut ways: [Vec<u8>; 4] = std::array::from_fn(|_| vec![0; across * CELL]);
    let mut shares = Shares(std::array::from_fn(|_| vec![0.0; across]));
    for (row, target) in made.chunks_mut(columns * CELL).enumerate() {
        for column in 0..fine.columns {
            let at = row * fine.columns + column;
            let still = both(earlier, later, [0, 0], (column, row), split);
            let chosen = both(earlier, later, fine.vectors[at], (column, row), split);
            let smoothed = both(earlier, later, soft.vectors[at], (column, row), split);
            let samples = [chosen[0], chosen[1], mean(smoothed, split), mean(still, split)];
            for (way, samples) in ways.iter_mut().zip(&samples) {
                for (line, samples) in samples.chunks_exact(CELL).enumerate() {
                    way[line * across + column * CELL..][..CELL].copy_from_slice(samples);
                }
            }
        }
        for (line, target) in target.chunks_mut(columns).enumerate() {
            shares.lay(weights, (fine.columns, fine.rows), row, line);
            shares.mix(ways.each_ref().map(|way| &way[line * across..][..across]), target);
        }
    }
    made
}

fn mean([a, b]: [[u8; CELL * CELL]; 2], split: Split) -> [u8; CELL * CELL] {
    let later = split.later() as u32;
    let mut made = [0; CELL * CELL];
    for ((made, a), b) in made.iter_mut().zip(a).zip(b) {
        *made = ((u32::from(a) * (256 - later) + u32::from(b) * later + 128) >> 8) as u8;
    }
    made
}

/// Where in its cell a sample lies, from the cell's middle, in cells.
const PLACES: [f32; CELL] = [-0.375, -0.125, 0.125, 0.375];

impl Shares {
    /// Bilinear between the middles of cells, for one line of samples of a row of cells.
    fn lay(&mut self, weights: &[Weights], (columns, rows): (usize, usize), row: usize, line: usize) {
        let place = PLACES[line];
        let other = if place < 0.0 { row.saturating_sub(1) } else { (row + 1).min(rows - 1) };
        let far = place.abs();
        let (own, other) = (&weights[row * columns..][..columns], &weights[other * columns..][..columns]);
        let down = |column: usize| {
            let (a, b) = (own[column], other[column]);
            let [a, b] = [a, b].map(|it| [it.ways[0], it.ways[1], it.ways[2], it.later]);
            let mut made = [0.0; 4];
            for at in 0..4 {
                made[at] = a[at] + (b[at] - a[at]) * far;
            }
            made
        };
        let mut before = down(0);
        let mut here = before;
        for column in 0..columns {
            let after = down((column + 1).min(columns - 1));
            for (part, shares) in self.0.iter_mut().enumerate() {
                let cell = &mut shares[column * CELL..][..CELL];
                for (share, place) in cell.iter_mut().zip(PLACES) {
                    let other = if place < 0.0 { before[part] } else { after[part] };
                    *share = here[part] + (other - here[part]) * place.abs();
                }
            }
            (before, here) = (here, after);
        }
    }

    fn mix(&self, [a, b, smoothed, still]: [&[u8]; 4], target: &mut [u8]) {
        let length = target.len();
        let [chosen_share, smoothed_share, still_share, later] = self.0.each_ref().map(|shares| &shares[..length]);
        let (a, b, smoothed, still) = (&a[..length], &b[..length], &smoothed[..length], &still[..length]);
        for at in 0..length {
            let (from, to) = (f32::from(a[at]), f32::from(b[at]));
            let chosen = from + (to - from) * later[at];
            let sum = chosen * chosen_share[at]
                + f32::from(smoothed[at]) * smoothed_share[at]
                + f32::from(still[at]) * still_share[at];
            target[at] = (sum + 0.5) as u8;
        }
    }
}
