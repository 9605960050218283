//! The decoder's blocks, laid out as one vector per cell.

use hearsight_core::media::MotionField;

use crate::grid::{Grid, UNKNOWN, cells, covered, most_blocks, vector_from_block};

/// The vector of each cell of a picture of so many pixels; where blocks overlap, that of the later one. Takes any field:
/// what lies outside the picture, in the future or beyond belief is left out, and so are more blocks than have a place.
pub fn reference(motion: &MotionField, size: (u32, u32)) -> Grid {
    let (columns, rows) = cells(size);
    let mut grid = Grid::filled(columns, rows, UNKNOWN);
    for block in motion.blocks.iter().take(most_blocks(columns, rows)) {
        let Some(vector) = vector_from_block(block) else {
            continue;
        };
        let (across, down) = covered(block, columns, rows);
        for row in down {
            grid.vectors[row * columns..][across.clone()].fill(vector);
        }
    }
    grid
}
