//! What the decoder tells of two neighbouring pictures, as the motion of the one interval between them.
//!
//! A picture is not always predicted from its neighbour. One between two references (a B-picture) has vectors to both, and
//! the next reference behind it has vectors that span all the pictures in between. Motion is taken to be even over what a
//! vector spans, and of several vectors for one place the one that spans least is believed, for it says most of this
//! interval: a vector of the earlier picture to the later one says all of it.

use hearsight_core::media::{Block, MotionField};

/// Joins the vectors of two pictures that are shown one after the other: a field on the later picture, whose blocks all
/// refer to the earlier one, the most telling last. `stretch` is how long this interval is, measured by the one before the
/// earlier picture, of which that picture's distances count lengths. Takes any fields, and gives no more blocks than both
/// have.
pub fn field(earlier: &MotionField, later: &MotionField, stretch: f32) -> MotionField {
    let neighbours = |block: &Block| block.reference == -1;
    if !earlier.blocks.iter().any(|block| block.reference > 0) && later.blocks.iter().all(neighbours) {
        // Every stream without reordering: there is nothing to join.
        return later.clone();
    }
    let stretch = if stretch.is_finite() {
        stretch.clamp(0.0, 64.0)
    } else {
        1.0
    };
    let onward = earlier.blocks.iter().filter(|block| block.reference > 0);
    let onward = onward.filter_map(|block| from_earlier(block, stretch));
    let told = later.blocks.iter().filter_map(from_later);
    let mut blocks: Vec<(u8, Block)> = told.chain(onward).collect();
    // Stable: within a distance, the later block of the decoder's order stays the later one.
    blocks.sort_by_key(|(distance, _)| u8::MAX - distance);
    MotionField {
        blocks: blocks.into_iter().map(|(_, block)| block).collect(),
    }
}

/// A block of the later picture, whichever way its reference lies; its part in one interval.
fn from_later(block: &Block) -> Option<(u8, Block)> {
    let distance = block.reference.unsigned_abs();
    if distance == 0 {
        return None;
    }
    // A displacement towards the past is one backwards in time, and so is the opposite of one towards the future.
    let share = -1.0 / f32::from(block.reference);
    let told = Block {
        reference: -1,
        dx: block.dx * share,
        dy: block.dy * share,
        ..*block
    };
    // What was will go on less surely than what is.
    let doubt = u8::from(block.reference > 0);
    Some((distance.saturating_mul(2).saturating_add(doubt), told))
}

/// A block of the earlier picture whose reference lies in the future, moved to where it is in the later one.
fn from_earlier(block: &Block, stretch: f32) -> Option<(u8, Block)> {
    let distance = block.reference.unsigned_abs();
    let share = stretch / f32::from(block.reference);
    let (dx, dy) = (block.dx * share, block.dy * share);
    let moved = |place: i16, by: f32| {
        let place = f32::from(place) + by.round();
        (place.abs() < f32::from(i16::MAX)).then_some(place as i16)
    };
    let told = Block {
        x: moved(block.x, dx)?,
        y: moved(block.y, dy)?,
        reference: -1,
        dx: -dx,
        dy: -dy,
        ..*block
    };
    Some((distance.saturating_mul(2), told))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(x: i16, reference: i8, dx: f32) -> Block {
        Block {
            x,
            y: 16,
            width: 16,
            height: 16,
            reference,
            dx,
            dy: -dx / 2.0,
        }
    }

    fn of(blocks: &[Block]) -> MotionField {
        MotionField { blocks: blocks.into() }
    }

    #[test]
    fn neighbours_are_left_as_they_are() {
        let later = of(&[block(0, -1, 3.0), block(16, -1, -2.5)]);
        assert_eq!(field(&of(&[block(0, -2, 9.0)]), &later, 1.0).blocks, later.blocks);
    }

    #[test]
    fn all_of_it_is_told_for_one_interval_with_the_nearest_last() {
        // Everything moves by 4 to the right in one interval.
        let earlier = of(&[block(8, 1, 4.0), block(80, -1, -4.0)]);
        let later = of(&[block(12, -3, -12.0), block(48, 2, 8.0)]);
        let joined = field(&earlier, &later, 1.0);
        assert_eq!(joined.blocks.len(), 3);
        for told in joined.blocks.iter() {
            assert_eq!((told.reference, told.dx, told.dy), (-1, -4.0, 2.0));
        }
        let places: Vec<i16> = joined.blocks.iter().map(|block| block.x).collect();
        assert_eq!(places, [12, 48, 12], "a block of the earlier picture is moved along");
        let longer = field(&earlier, &later, 2.0);
        let moved = Block {
            y: 12,
            ..block(16, -1, -8.0)
        };
        assert_eq!(longer.blocks[2], moved, "an interval twice as long");
    }

    #[test]
    fn any_field_gives_a_bounded_one_that_refers_to_the_earlier_picture() {
        for seed in 0..500 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut any = |most: usize| {
                let blocks: Vec<Block> = (0..random.usize(0..most))
                    .map(|_| Block {
                        x: random.i16(..),
                        y: random.i16(..),
                        width: random.u8(..),
                        height: random.u8(..),
                        reference: random.i8(..),
                        dx: [0.0, 7.5, f32::NAN, f32::INFINITY, -3e38][random.usize(0..5)],
                        dy: f32::from(random.i16(..)),
                    })
                    .collect();
                of(&blocks)
            };
            let (earlier, later) = (any(40), any(40));
            for stretch in [0.0, 1.0, -5.0, f32::NAN, f32::INFINITY] {
                let joined = field(&earlier, &later, stretch);
                assert!(
                    joined.blocks.len() <= earlier.blocks.len() + later.blocks.len(),
                    "seed {seed}"
                );
                assert!(joined.blocks.iter().all(|block| block.reference == -1), "seed {seed}");
            }
        }
    }
}
