//! Where each block of one picture lies in the other, looked for from where the decoder's vectors lead.
//!
//! The decoder's vectors were found for the coder's ends. Here the samples around each block slide over the other picture to
//! where they fit: by the step that their gradient says, which is known once for all steps (inverse search: Baker and
//! Matthews, 2004; Kroeger et al., ECCV 2016), first in planes of a quarter of the size, where what fits is handed on from
//! block to block, then in planes of half the size. A difference in brightness counts for nothing. What is found belongs to
//! the picture whose block it was: content that only one of the two pictures has leads nobody astray in the other's field.

use pulp::NullaryFnOnce;
#[cfg(target_arch = "x86_64")]
use pulp::x86::V3;

use crate::agree;
use crate::grid::{Grid, LONGEST, UNITS, Vector};
use crate::padded::Padded;
use crate::warp::Side;

#[cfg(target_arch = "x86_64")]
mod avx2;

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

/// The cost of what fits so well that no other candidate is tried: a mean square of two codes.
const EASY: i32 = 2 * 16 * SAMPLES;

/// Luma planes of half and of a quarter of a picture's size.
pub type Pyramid = [Padded; 2];

/// One vector per 8 × 8 luma pixels of the picture on side `anchor`, from the earlier to the later one: where what is there
/// went, or came from. `soft` are the smoothed vectors of the decoder by such blocks, and by blocks of twice the side.
pub fn reference(earlier: &Pyramid, later: &Pyramid, soft: [&Grid; 2], anchor: Side) -> Grid {
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
        planes(1).pass(&Known { grid: &found, side: 1 }, soft[1], apart)
    });
    let found = planes(0).pass(&Known { grid: &coarse, side: 2 }, soft[0], FINE);
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
    #[inline(always)]
    fn at(&self, column: i32, row: i32) -> Vector {
        self.grid.at(column.div_euclid(self.side), row.div_euclid(self.side))
    }
}

impl Planes<'_> {
    /// Each block begins with the best of what is known there, and around it, and of the smoothed vector.
    fn pass(&self, known: &Known<'_>, soft: &Grid, apart: i32) -> Grid {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = V3::try_new() {
            return simd.vectorize(Pass(self, known, soft, apart, avx2::Registers(simd)));
        }
        Pass(self, known, soft, apart, Anywhere).call()
    }
}

struct Pass<'a, S>(&'a Planes<'a>, &'a Known<'a>, &'a Grid, i32, S);

impl<S: Summing> NullaryFnOnce for Pass<'_, S> {
    type Output = Grid;

    #[inline(always)]
    fn call(self) -> Grid {
        let Self(planes, known, soft, apart, summing) = self;
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
            *vector = Window::of(planes.here, column, row, &summing).slide(planes, &candidates, &summing);
        }
        made
    }
}

/// A window's samples, row by row. All that is done with single ones fits 16 bits.
type Samples = [[i16; WINDOW]; WINDOW];

/// Rows of samples from one side of a window on, each a register's width; as many as it and its neighbours have.
type Lines = [[u8; 16]; WINDOW + 2];

/// The lines of a plane from a place on, where so many lie inside it.
#[inline(always)]
fn lines(plane: &Padded, x: i32, y: i32, count: usize) -> Lines {
    let from = plane.rows_from(x, y, count - 1);
    let mut lines = Lines::default();
    for (row, line) in lines.iter_mut().take(count).enumerate() {
        let samples = from.get(row * plane.stride()..).and_then(|rest| rest.first_chunk());
        *line = samples.copied().unwrap_or_default();
    }
    lines
}

/// How samples are looked at together. Sums of products of 64 differences in quarters of a code fit 31 bits.
trait Summing {
    /// From the line above and the sample left of a window on: its codes in quarters, and its slopes.
    fn look(&self, lines: &Lines) -> Looks;

    /// A window's differences from what is there by so many 32nds of a sample to the right of some lines, and below.
    fn compare(&self, window: &Window, lines: &Lines, right: u8, below: u8) -> Apart;
}

/// What is seen in the samples of a window.
#[derive(Debug, PartialEq, Eq)]
struct Looks {
    /// Codes, in quarters.
    codes: Samples,
    /// Differences of the neighbours on both sides: along rows, along columns.
    slopes: [Samples; 2],
    /// Their sums.
    sums: [i32; 2],
    /// The sums of their squares and products: across, both, down.
    squares: [i32; 3],
}

/// Sums over a window's differences from what is elsewhere, in quarters of a code.
#[derive(Debug, PartialEq, Eq)]
struct Apart {
    sum: i32,
    squares: i32,
    /// Of products with both slopes.
    pulls: [i32; 2],
}

/// The samples around a block, and how they change from place to place.
struct Window {
    /// The first sample's place.
    corner: [i32; 2],
    looks: Looks,
    /// The sums of squares and products of slopes about their means, times the samples: across, both, down.
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
    fn of(plane: &Padded, column: i32, row: i32, summing: &impl Summing) -> Self {
        let corner = [column * 4 - 2, row * 4 - 2];
        let looks = summing.look(&lines(plane, corner[0] - 1, corner[1] - 1, WINDOW + 2));
        let ([across, both, down], [x, y]) = (looks.squares, looks.sums);
        let squares = [
            SAMPLES * across - x * x + FLAT,
            SAMPLES * both - x * y,
            SAMPLES * down - y * y + FLAT,
        ];
        Self { corner, looks, squares }
    }

    /// The best of some vectors, and from there step by step as long as it fits better.
    #[inline(always)]
    fn slide(&self, planes: &Planes<'_>, candidates: &[Vector], summing: &impl Summing) -> Vector {
        let mut best = (candidates[0], self.fit(planes, candidates[0], summing));
        for (at, &vector) in candidates.iter().enumerate().skip(1) {
            if best.1.cost <= EASY {
                break;
            }
            if candidates[..at].contains(&vector) {
                continue;
            }
            let fit = self.fit(planes, vector, summing);
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
            let fit = self.fit(planes, vector, summing);
            if fit.cost >= best.1.cost {
                break;
            }
            best = (vector, fit);
        }
        best.0
    }

    /// Where the window would fit if the planes were as even as their slopes are here.
    #[inline(always)]
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
    fn fit(&self, planes: &Planes<'_>, vector: Vector, summing: &impl Summing) -> Fit {
        let [x, y] = [0, 1].map(|part| {
            let way = match planes.anchor {
                Side::Earlier => i32::from(vector[part]),
                Side::Later => -i32::from(vector[part]),
            };
            32 * self.corner[part] + ((way + planes.level as i32) >> planes.level)
        });
        let there = lines(planes.there, x >> 5, y >> 5, WINDOW + 1);
        let Apart { sum, squares, pulls } = summing.compare(self, &there, (x & 31) as u8, (y & 31) as u8);
        let size = sum.unsigned_abs();
        Fit {
            cost: squares - (size * size / SAMPLES.unsigned_abs()) as i32,
            pull: [0, 1].map(|part| {
                SAMPLES
                    .wrapping_mul(pulls[part])
                    .wrapping_sub(self.looks.sums[part].wrapping_mul(sum))
            }),
        }
    }
}

/// For processors of any kind.
struct Anywhere;

impl Summing for Anywhere {
    #[inline(always)]
    fn look(&self, lines: &Lines) -> Looks {
        let at = |y: usize, x: usize| i16::from(lines[y][x]);
        let mut codes = Samples::default();
        let mut slopes = [Samples::default(); 2];
        for y in 0..WINDOW {
            codes[y] = std::array::from_fn(|x| 4 * at(y + 1, x + 1));
            slopes[0][y] = std::array::from_fn(|x| at(y + 1, x + 2) - at(y + 1, x));
            slopes[1][y] = std::array::from_fn(|x| at(y + 2, x + 1) - at(y, x + 1));
        }
        let [across, down] = &slopes;
        Looks {
            codes,
            sums: [total(across), total(down)],
            squares: [products(across, across), products(across, down), products(down, down)],
            slopes,
        }
    }

    #[inline(always)]
    fn compare(&self, window: &Window, lines: &Lines, right: u8, below: u8) -> Apart {
        // Between columns, in quarters of a code.
        let mut between = [[0_u16; WINDOW]; WINDOW + 1];
        for (between, line) in between.iter_mut().zip(lines) {
            *between = std::array::from_fn(|at| {
                mixed(line[at].into(), line[at + 1].into(), right.into()).wrapping_add(4) >> 3
            });
        }
        let mut apart = Samples::default();
        for (row, apart) in apart.iter_mut().enumerate() {
            *apart = std::array::from_fn(|at| {
                let sample = mixed(between[row][at], between[row + 1][at], below.into()).wrapping_add(16) >> 5;
                sample.cast_signed().wrapping_sub(window.looks.codes[row][at])
            });
        }
        Apart {
            sum: total(&apart),
            squares: products(&apart, &apart),
            pulls: window.looks.slopes.each_ref().map(|slopes| products(slopes, &apart)),
        }
    }
}

/// Between two neighbours, by 32nds: 32 times as much.
#[inline(always)]
fn mixed(one: u16, other: u16, share: u16) -> u16 {
    one.wrapping_mul(32 - share).wrapping_add(other.wrapping_mul(share))
}

#[inline(always)]
fn products(one: &Samples, other: &Samples) -> i32 {
    let pairs = one.as_flattened().iter().zip(other.as_flattened());
    pairs.fold(0, |sum: i32, (one, other)| {
        sum.wrapping_add(i32::from(*one).wrapping_mul(i32::from(*other)))
    })
}

#[inline(always)]
fn total(samples: &Samples) -> i32 {
    let samples = samples.as_flattened().iter();
    samples.fold(0, |sum: i32, sample| sum.wrapping_add(i32::from(*sample)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn registers_sum_as_anything_does() {
        let Some(simd) = V3::try_new() else { return };
        let mut random = fastrand::Rng::with_seed(6);
        for round in 0..4096 {
            // Every other one at the ends of what samples can be.
            let sample = |random: &mut fastrand::Rng| match round % 2 {
                0 => random.u8(..),
                _ => 255 * random.u8(..2),
            };
            let [here, there]: [Lines; 2] =
                [(); 2].map(|()| [(); WINDOW + 2].map(|()| [(); 16].map(|()| sample(&mut random))));
            let [right, below] = [(); 2].map(|()| random.u8(..32));
            let made = simd.vectorize(One([&here, &there], [right, below], avx2::Registers(simd)));
            assert_eq!(made, One([&here, &there], [right, below], Anywhere).call());
        }
    }

    struct One<'a, S>([&'a Lines; 2], [u8; 2], S);

    impl<S: Summing> NullaryFnOnce for One<'_, S> {
        type Output = (Looks, Apart);

        fn call(self) -> Self::Output {
            let Self([here, there], [right, below], summing) = self;
            let window = Window {
                corner: [0; 2],
                looks: summing.look(here),
                squares: [0; 3],
            };
            let apart = summing.compare(&window, there, right, below);
            (window.looks, apart)
        }
    }
}
