//! Makes one plane of a picture from its neighbours, by the weighed ways.

use pulp::NullaryFnOnce;

use crate::compare::{Ways, Weights};
use crate::grid::CELL;
use crate::split::Split;
use crate::wide::wide;

/// Shares of one row of samples, each as long as the row.
#[derive(Default)]
struct Shares([Vec<f32>; 4]);

/// The samples of a plane of `columns × rows`, rows from the top, without padding. `weights` has one entry for each of the
/// ways' cells, `across` of them in a row.
pub fn reference(
    ways: &Ways<'_>,
    weights: &[Weights],
    across: usize,
    (columns, rows): (usize, usize),
    split: Split,
) -> Vec<u8> {
    let mut made = vec![0; columns * rows];
    let down = weights.len() / across;
    let mut shares = Shares(std::array::from_fn(|_| vec![0.0; across * CELL]));
    for (row, target) in made.chunks_exact_mut(columns).enumerate() {
        shares.lay(weights, (across, down), row / CELL, row % CELL);
        wide(Mixed(&shares, ways.row(row, across * CELL), split, target));
    }
    made
}

/// One row of samples.
struct Mixed<'a>(&'a Shares, [[&'a [u8]; 2]; 3], Split, &'a mut [u8]);

impl NullaryFnOnce for Mixed<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self(shares, ways, split, target) = self;
        shares.mix(ways, split, target);
    }
}

/// Added to the difference in one sample, in codes, before it counts against a way: what coding alone makes.
const DOUBT: f32 = 4.0;

/// Where in its cell a sample lies, from the cell's middle, in cells.
const PLACES: [f32; CELL] = [-0.375, -0.125, 0.125, 0.375];

impl Shares {
    /// Bilinear between the middles of cells, for one line of samples of a row of cells.
    fn lay(&mut self, weights: &[Weights], (columns, rows): (usize, usize), row: usize, line: usize) {
        let place = PLACES[line];
        let other = if place < 0.0 {
            row.saturating_sub(1)
        } else {
            (row + 1).min(rows - 1)
        };
        let far = place.abs();
        let (own, other) = (
            &weights[row * columns..][..columns],
            &weights[other * columns..][..columns],
        );
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

    #[inline(always)]
    fn mix(&self, ways: [[&[u8]; 2]; 3], split: Split, target: &mut [u8]) {
        let length = target.len();
        let [[a, b], backward, still] = ways.map(|pair| pair.map(|line| &line[..length]));
        let [forward_share, backward_share, still_share, later] = self.0.each_ref().map(|shares| &shares[..length]);
        let onward = split.share();
        for at in 0..length {
            // How far apart the two pictures are in this very sample, along each way.
            let pair = |[a, b]: [&[u8]; 2]| (f32::from(a[at]), f32::from(b[at]));
            let mean = |(a, b): (f32, f32), later: f32| a + (b - a) * later;
            let doubt = |(a, b): (f32, f32)| DOUBT + (b - a).abs();
            let (forward, backward, still) = (pair([a, b]), pair(backward), pair(still));
            let doubts = [doubt(forward), doubt(backward), doubt(still)];
            // Shares over doubts, all times the product of the doubts.
            let shares = [
                forward_share[at] * doubts[1] * doubts[2],
                backward_share[at] * doubts[0] * doubts[2],
                still_share[at] * doubts[0] * doubts[1],
            ];
            let sum = mean(forward, later[at]) * shares[0]
                + mean(backward, onward) * shares[1]
                + mean(still, onward) * shares[2];
            let sum = sum / (shares[0] + shares[1] + shares[2]);
            target[at] = (sum + 0.5) as u8;
        }
    }
}
