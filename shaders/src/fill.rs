//! The coder's blocks, laid out on a grid.

use hearsight_core::media::MotionField;

use crate::grid::{Grid, UNKNOWN, covered, most_blocks, vector_from_block};

/// The vector of each square of `side` pixels in a picture of so many: of what covers its first one. Where blocks overlap, that of the later one. Takes any field:
/// what lies outside the picture, in the future or beyond belief is left out, and so are more blocks than have a place.
pub fn reference(motion: &MotionField, size: (u32, u32), side: usize) -> Grid {
    let [columns, rows] = [size.0, size.1].map(|pixels| (pixels as usize).div_ceil(side));
    let mut grid = Grid::filled(columns, rows, UNKNOWN);
    for block in motion.blocks.iter().take(most_blocks(size)) {
        let Some(vector) = vector_from_block(block) else {
            continue;
        };
        let (across, down) = covered(block, side, (columns, rows));
        for row in down {
            grid.vectors[row * columns..][across.clone()].fill(vector);
        }
    }
    grid
}
