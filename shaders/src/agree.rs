//! Makes neighbours agree on motion, as far as what they say is true where it is taken to.

use pulp::NullaryFnOnce;

use crate::grid::Grid;
use crate::padded::Padded;
use crate::warp::Side;
use crate::wide::wide;

/// Samples on a side of a block, in planes of half the size.
const BLOCK: usize = 4;

/// Below so much difference in all, half a code for each sample, any vector fits.
const LEAST: u32 = 8;

/// For each block the mean of its vector and of those around it, by how well each fits there, to the nearest sample. The
/// planes have half of a picture's size; `here` is the one whose blocks these are.
pub fn reference(here: &Padded, there: &Padded, found: &Grid, anchor: Side) -> Grid {
    wide(Agreed(here, there, found, anchor))
}

struct Agreed<'a>(&'a Padded, &'a Padded, &'a Grid, Side);

impl NullaryFnOnce for Agreed<'_> {
    type Output = Grid;

    #[inline(always)]
    fn call(self) -> Grid {
        let Self(here, there, found, anchor) = self;
        let mut made = found.clone();
        for (at, vector) in made.vectors.iter_mut().enumerate() {
            let (column, row) = ((at % found.columns) as i32, (at / found.columns) as i32);
            let (mut sum, mut total) = ([0_i32; 2], 0_i32);
            for (y, x) in (-1..=1).flat_map(|y: i32| (-1..=1).map(move |x: i32| (y, x))) {
                let one = found.at(column + x, row + y);
                let way = match anchor {
                    Side::Earlier => one.map(|part| (i32::from(part) + 16) >> 5),
                    Side::Later => one.map(|part| (16 - i32::from(part)) >> 5),
                };
                let place = [column * BLOCK as i32, row * BLOCK as i32];
                let difference = difference(here, there, place, [place[0] + way[0], place[1] + way[1]]);
                // 4 in the middle, 2 beside it, 1 at the corners.
                let weight = ((16384 >> (x.abs() + y.abs())) / difference.max(LEAST)) as i32;
                sum = [0, 1].map(|part| sum[part] + weight * i32::from(one[part]));
                total += weight;
            }
            // Halves go up.
            *vector = sum.map(|sum| (2 * sum + total).div_euclid(2 * total) as i16);
        }
        made
    }
}

/// The sum of absolute differences of a block here and there.
#[inline(always)]
fn difference(here: &Padded, there: &Padded, place: [i32; 2], other: [i32; 2]) -> u32 {
    let (a, b) = (
        here.rows_from(place[0], place[1], BLOCK),
        there.rows_from(other[0], other[1], BLOCK),
    );
    let mut sum = 0_u32;
    for row in 0..BLOCK {
        let lines = (
            a.get(row * here.stride()..)
                .and_then(|rest| rest.first_chunk::<BLOCK>()),
            b.get(row * there.stride()..)
                .and_then(|rest| rest.first_chunk::<BLOCK>()),
        );
        if let (Some(a), Some(b)) = lines {
            let four = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b)));
            sum = four.fold(sum, u32::wrapping_add);
        }
    }
    sum
}
