//! Takes away vectors that their surroundings do not bear out.

use pulp::NullaryFnOnce;

use crate::grid::Grid;
use crate::wide::wide;

/// Squares that vote on one: 3 × 3.
const VOTES: usize = 9;

/// Lanes that are sorted together.
const LANES: usize = 16;

/// The median of the known vectors among 3 × 3, part by part; unknown where none is known. Beyond its edges the grid goes
/// on as at them.
pub fn reference(grid: &Grid) -> Grid {
    let Grid { columns, rows, .. } = *grid;
    let mut made = grid.clone();
    if columns == 0 || rows == 0 {
        return made;
    }
    // One square more on either side, and lanes to run over at the end.
    let padded = (columns + 2) * 2 + LANES;
    let mut lines = vec![0_i16; padded * rows];
    for (row, line) in lines.chunks_exact_mut(padded).enumerate() {
        for (column, pair) in line.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            *pair = grid.at(column as i32 - 1, row as i32);
        }
    }
    for (row, target) in made.vectors.chunks_exact_mut(columns).enumerate() {
        let line = |offset: usize| &lines[(row + offset).saturating_sub(1).min(rows - 1) * padded..][..padded];
        let window: [&[i16]; 3] = std::array::from_fn(line);
        wide(Middles(window, target.as_flattened_mut()));
    }
    made
}

/// Of one row, from the three around it.
struct Middles<'a>([&'a [i16]; 3], &'a mut [i16]);

impl NullaryFnOnce for Middles<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self(window, row) = self;
        for (index, target) in row.chunks_mut(LANES).enumerate() {
            let votes = std::array::from_fn(|vote| ballot(window[vote / 3], index * LANES + vote % 3 * 2, vote));
            target.copy_from_slice(&middle(votes)[..target.len()]);
        }
    }
}

/// One vote for each lane. The unknown ones go to either extreme in turn, so that they cancel each other.
#[inline(always)]
fn ballot(line: &[i16], from: usize, vote: usize) -> [i16; LANES] {
    let extreme = if vote.is_multiple_of(2) { i16::MIN } else { i16::MAX };
    let mut votes = [0; LANES];
    for (vote, part) in votes.iter_mut().zip(&line[from..from + LANES]) {
        *vote = if *part == i16::MIN { extreme } else { *part };
    }
    votes
}

/// The fifth of nine in each lane: the extremes of what may still be it are taken away until one is left, with one
/// more vote let in each time (the "forgetful" selection of Paeth, Graphics Gems, 1990).
#[inline(always)]
fn middle(votes: [[i16; LANES]; VOTES]) -> [i16; LANES] {
    let mut held = votes;
    let mut count = VOTES.div_ceil(2) + 1;
    let mut next = count;
    let mut low = 0;
    // Positions low..low+count hold what may still be the median.
    loop {
        for at in low + 1..low + count {
            exchange(&mut held, low, at);
        }
        for at in low + 1..low + count - 1 {
            exchange(&mut held, at, low + count - 1);
        }
        if next == VOTES {
            break;
        }
        // The least leaves at the front; the greatest is replaced by the next vote.
        held[low + count - 1] = held[next];
        next += 1;
        low += 1;
        count -= 1;
    }
    held[low + count / 2]
}

/// Puts the lesser of two in the first place, lane by lane.
#[inline(always)]
fn exchange(held: &mut [[i16; LANES]; VOTES], low: usize, high: usize) {
    let (a, b) = (held[low], held[high]);
    let (mut lesser, mut greater) = (a, b);
    for lane in 0..LANES {
        lesser[lane] = a[lane].min(b[lane]);
        greater[lane] = a[lane].max(b[lane]);
    }
    (held[low], held[high]) = (lesser, greater);
}
