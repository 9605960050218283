//! Where each block of one picture lies in the other, looked for from where the decoder's vectors lead.
//!
//! The decoder's vectors were found for the coder's ends. Here the samples around each block slide over the other picture to
//! where they fit: by the step that their gradient says, which is known once for all steps (inverse search: Baker and
//! Matthews, 2004; Kroeger et al., ECCV 2016), first in planes of a quarter of the size, where what fits is handed on from
//! block to block, then in planes of half the size. A difference in brightness counts for nothing. What is found belongs to
//! the picture whose block it was: content that only one of the two pictures has leads nobody astray in the other's field.

use crate::agree;
use crate::grid::{Grid, LONGEST, UNITS, Vector};
use crate::padded::Padded;
use crate::warp::Side;
use crate::wide::wide;

/// Samples on a side of the window that slides: a block's four, and two more around them.
const WINDOW: usize = 8;
const SAMPLES: i32 = (WINDOW * WINDOW) as i32;

/// How far away the blocks are that hand on what they found, pass by pass, where blocks are coarse and where they are fine.
pub(crate) const COARSE: [i32; 3] = [4, 2, 1];
pub(crate) const FINE: i32 = 1;

/// Steps that one pass makes at most.
const STEPS: usize = 3;

/// Steps lead no further than this from the best candidate, in units.
const FARTHEST: u16 = 16 * UNITS.unsigned_abs();

/// What keeps windows without structure where they are: the squares of gradients that one may have and still be flat.
const FLAT: i32 = 13 * SAMPLES;

/// Luma planes of half and of a quarter of a picture's size.
pub type Pyramid = [Padded; 2];

/// One vector per 8 × 8 luma pixels of the picture on side `anchor`, from the earlier to the later one: where what is there
/// went, or came from. `soft` are the smoothed vectors of the decoder by such blocks, and by blocks of twice the side.
pub fn reference(earlier: &Pyramid, later: &Pyramid, soft: &[Grid; 2], anchor: Side) -> Grid {
    let (here, there) = match anchor {
        Side::Earlier => (earlier, later),
        Side::Later => (later, earlier),
    };
    let planes = |level: usize| Planes {
        here: &here[level],
        there: &there[level],
        anchor,
        level: level as u32,
    };
    let coarse = COARSE.iter().fold(soft[1].clone(), |found, &apart| {
        planes(1).pass(&Known { grid: &found, side: 1 }, &soft[1], apart)
    });
    let found = planes(0).pass(&Known { grid: &coarse, side: 2 }, &soft[0], FINE);
    agree::reference(&here[0], &there[0], &found, anchor)
}

/// What is looked at on one level.
struct Planes<'a> {
    /// The plane whose blocks these are, and the other.
    here: &'a Padded,
    there: &'a Padded,
    anchor: Side,
    /// 0 where a sample covers two pixels in each direction, 1 where it covers four.
    level: u32,
}

/// What the pass before found: a vector for so many blocks in each direction.
struct Known<'a> {
    grid: &'a Grid,
    side: i32,
}

impl Known<'_> {
    fn at(&self, column: i32, row: i32) -> Vector {
        self.grid.at(column.div_euclid(self.side), row.div_euclid(self.side))
    }
}

impl Planes<'_> {
    /// Each block begins with the best of what is known there, and around it, and of the smoothed vector.
    fn pass(&self, known: &Known<'_>, soft: &Grid, apart: i32) -> Grid {
        wide(|| self.passed(known, soft, apart))
    }

    #[inline(always)]
    fn passed(&self, known: &Known<'_>, soft: &Grid, apart: i32) -> Grid {
        let mut made = soft.clone();
        for (at, vector) in made.vectors.iter_mut().enumerate() {
            let (column, row) = ((at % soft.columns) as i32, (at / soft.columns) as i32);
            let candidates = [
                known.at(column, row),
                soft.vectors[at],
                [0, 0],
                known.at(column - apart, row),
                known.at(column + apart, row),
                known.at(column, row - apart),
                known.at(column, row + apart),
            ];
            *vector = Window::of(self.here, column, row).slide(self, &candidates);
        }
        made
    }
}

/// A window's samples, row by row. All that is done with single ones fits 16 bits.
type Samples = [[i16; WINDOW]; WINDOW];

/// The samples around a block, and how they change from place to place.
struct Window {
    /// The first sample's place.
    corner: [i32; 2],
    /// Codes, in quarters.
    codes: Samples,
    /// Differences of the neighbours on both sides: along rows, along columns.
    slopes: [Samples; 2],
    /// Their sums.
    sums: [i32; 2],
    /// The sums of their squares and products about their means, times the samples: across, both, down.
    squares: [i32; 3],
}

/// How a window fits somewhere.
struct Fit {
    /// The sum of squared differences about their mean, in sixteenths of a code.
    cost: i32,
    /// The sums of products of differences with both slopes about their means, times the samples.
    pull: [i32; 2],
}

impl Window {
    #[inline(always)]
    fn of(plane: &Padded, column: i32, row: i32) -> Self {
        let corner = [column * 4 - 2, row * 4 - 2];
        let around = plane.rows_from(corner[0] - 1, corner[1] - 1, WINDOW + 1);
        let lines: [[i16; WINDOW + 2]; WINDOW + 2] = std::array::from_fn(|y| {
            let line = around.get(y * plane.stride()..).and_then(|rest| rest.first_chunk());
            line.map_or([0; WINDOW + 2], |samples| samples.map(i16::from))
        });
        let at = |y: usize, x: usize| lines[y][x];
        let each = |value: &dyn Fn(usize, usize) -> i16| -> Samples {
            std::array::from_fn(|y| std::array::from_fn(|x| value(y + 1, x + 1)))
        };
        let slopes = [
            each(&|y, x| at(y, x + 1) - at(y, x - 1)),
            each(&|y, x| at(y + 1, x) - at(y - 1, x)),
        ];
        let sums = [total(&slopes[0]), total(&slopes[1])];
        let product =
            |one: usize, other: usize| SAMPLES * products(&slopes[one], &slopes[other]) - sums[one] * sums[other];
        Self {
            corner,
            codes: each(&|y, x| 4 * at(y, x)),
            slopes,
            sums,
            squares: [product(0, 0) + FLAT, product(0, 1), product(1, 1) + FLAT],
        }
    }

    /// The best of some vectors, and from there step by step as long as it fits better.
    #[inline(always)]
    fn slide(&self, planes: &Planes<'_>, candidates: &[Vector]) -> Vector {
        let mut best = (candidates[0], self.fit(planes, candidates[0]));
        for (at, &vector) in candidates.iter().enumerate().skip(1) {
            if candidates[..at].contains(&vector) {
                continue;
            }
            let fit = self.fit(planes, vector);
            if fit.cost < best.1.cost {
                best = (vector, fit);
            }
        }
        let start = best.0;
        for _ in 0..STEPS {
            let vector = self.step(planes, &best);
            let far = [0, 1].map(|part| vector[part].abs_diff(start[part]));
            if vector == best.0 || far[0].max(far[1]) > FARTHEST {
                break;
            }
            let fit = self.fit(planes, vector);
            if fit.cost >= best.1.cost {
                break;
            }
            best = (vector, fit);
        }
        best.0
    }

    /// Where the window would fit if the planes were as even as their slopes are here.
    fn step(&self, planes: &Planes<'_>, (vector, fit): &(Vector, Fit)) -> Vector {
        let [across, both, down] = self.squares.map(|sum| sum as f32);
        let pull = fit.pull.map(|sum| sum as f32);
        // Differences are in quarters of a code, slopes over two samples, and a sample is 32 units wide, or 64.
        let ahead = match planes.anchor {
            Side::Earlier => -16.0,
            Side::Later => 16.0,
        };
        let scale = ahead * (1 << planes.level) as f32 / (across * down - both * both);
        let steps = [
            (down * pull[0] - both * pull[1]) * scale,
            (across * pull[1] - both * pull[0]) * scale,
        ];
        [0, 1].map(|part| {
            let step = (steps[part].clamp(-512.0, 512.0) + 0.5).floor() as i16;
            (vector[part] + step).clamp(-LONGEST, LONGEST)
        })
    }

    #[inline(always)]
    fn fit(&self, planes: &Planes<'_>, vector: Vector) -> Fit {
        let there = planes.there;
        let [x, y] = [0, 1].map(|part| {
            let way = match planes.anchor {
                Side::Earlier => i32::from(vector[part]),
                Side::Later => -i32::from(vector[part]),
            };
            32 * self.corner[part] + ((way + planes.level as i32) >> planes.level)
        });
        let from = there.rows_from(x >> 5, y >> 5, WINDOW);
        let (right, below) = ((x & 31) as u16, (y & 31) as u16);
        // Nine rows of eight, between columns, in quarters of a code.
        let mut lines = [[0_u16; WINDOW]; WINDOW + 1];
        for (row, line) in lines.iter_mut().enumerate() {
            let samples = from
                .get(row * there.stride()..)
                .and_then(|rest| rest.first_chunk::<{ WINDOW + 1 }>());
            if let Some(samples) = samples {
                let samples = samples.map(u16::from);
                *line = std::array::from_fn(|at| mixed(samples[at], samples[at + 1], right).wrapping_add(4) >> 3);
            }
        }
        let mut apart: Samples = [[0; WINDOW]; WINDOW];
        for (row, apart) in apart.iter_mut().enumerate() {
            *apart = std::array::from_fn(|at| {
                let sample = mixed(lines[row][at], lines[row + 1][at], below).wrapping_add(16) >> 5;
                sample.cast_signed().wrapping_sub(self.codes[row][at])
            });
        }
        let sum = total(&apart);
        let pulls = [products(&self.slopes[0], &apart), products(&self.slopes[1], &apart)];
        let squares = products(&apart, &apart);
        let size = sum.unsigned_abs();
        Fit {
            cost: squares - (size * size / SAMPLES.unsigned_abs()) as i32,
            pull: [0, 1].map(|part| {
                SAMPLES
                    .wrapping_mul(pulls[part])
                    .wrapping_sub(self.sums[part].wrapping_mul(sum))
            }),
        }
    }
}

/// Between two neighbours, by 32nds: 32 times as much.
#[inline(always)]
fn mixed(one: u16, other: u16, share: u16) -> u16 {
    one.wrapping_mul(32 - share).wrapping_add(other.wrapping_mul(share))
}

/// The sum of products. Those of 64 differences in quarters of a code fit 31 bits: unchecked, they are made side by side.
#[inline(always)]
fn products(one: &Samples, other: &Samples) -> i32 {
    let mut sum = 0_i32;
    for (one, other) in one.as_flattened().iter().zip(other.as_flattened()) {
        sum = sum.wrapping_add(i32::from(*one).wrapping_mul(i32::from(*other)));
    }
    sum
}

#[inline(always)]
fn total(samples: &Samples) -> i32 {
    let mut sum = 0_i32;
    for sample in samples.as_flattened() {
        sum = sum.wrapping_add(i32::from(*sample));
    }
    sum
}
