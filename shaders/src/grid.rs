//! Motion on a grid, in whole numbers, so that every device computes the same.

use hearsight_core::media::MotionField;

/// Luma pixels on a side of one cell, the finest unit of motion: the smallest block of H.264.
pub const CELL: usize = 4;

/// Luma pixels on a side of one block: coders seldom split motion further.
pub const BLOCK: usize = 2 * CELL;

/// Units of motion in one pixel. Vectors of H.264 are multiples of a quarter.
pub const UNITS: i16 = 16;

/// The longest vector that is believed, in units: 512 pixels, what level 5.1 of H.264 allows vertically (table A-1).
pub const LONGEST: i16 = 512 * UNITS;

/// Horizontal and vertical motion from the earlier picture to the later one, in units.
pub type Vector = [i16; 2];

/// Where nothing is known: the coder used no vector (intra), or one that is not believed.
pub const UNKNOWN: Vector = [i16::MIN; 2];

/// Vectors on a grid, rows from the top. Each is [`UNKNOWN`] or at most [`LONGEST`] in both directions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    /// Vectors in a row.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
    /// `columns × rows` vectors.
    pub vectors: Vec<Vector>,
}

impl Grid {
    /// A grid of one vector everywhere.
    pub fn filled(columns: usize, rows: usize, vector: Vector) -> Self {
        Self {
            columns,
            rows,
            vectors: vec![vector; columns * rows],
        }
    }

    /// The vector at a place, which is moved onto the grid.
    #[inline(always)]
    pub fn at(&self, column: i32, row: i32) -> Vector {
        let column = column.clamp(0, self.columns as i32 - 1) as usize;
        let row = row.clamp(0, self.rows as i32 - 1) as usize;
        self.vectors[row * self.columns + column]
    }

    /// The same grid with zero where nothing is known.
    pub fn or_zero(mut self) -> Self {
        for vector in &mut self.vectors {
            if *vector == UNKNOWN {
                *vector = [0, 0];
            }
        }
        self
    }
}

/// Cells of a picture of so many pixels, per row and per column.
pub fn cells((width, height): (u32, u32)) -> (usize, usize) {
    ((width as usize).div_ceil(CELL), (height as usize).div_ceil(CELL))
}

/// Blocks of a picture of so many pixels, per row and per column.
pub fn blocks((width, height): (u32, u32)) -> (usize, usize) {
    ((width as usize).div_ceil(BLOCK), (height as usize).div_ceil(BLOCK))
}

/// The largest block that is believed, in pixels on a side: four times that of a macroblock. It bounds the work that a
/// hostile field can make.
const LARGEST_BLOCK: u8 = 64;

/// The most blocks of a field that are looked at: as many as a picture's cells can hold, from two references each.
pub(crate) fn most_blocks(size: (u32, u32)) -> usize {
    let (columns, rows) = cells(size);
    2 * columns * rows
}

/// A block's vector as motion from the earlier picture to the later one; none where it lies in the future, or is not
/// believed.
pub(crate) fn vector_from_block(block: &hearsight_core::media::Block) -> Option<Vector> {
    if block.reference >= 0 || block.width.max(block.height) > LARGEST_BLOCK {
        return None;
    }
    let scale = f32::from(UNITS) / f32::from(block.reference);
    let vector = [block.dx * scale, block.dy * scale];
    let believed = vector.iter().all(|part| part.abs() <= f32::from(LONGEST));
    believed.then(|| vector.map(|part| part.round() as i16))
}

/// Of a coder's block, the first and the ones after the last that it covers of so many columns and rows of a picture's
/// squares of `side` pixels: columns, then rows.
pub(crate) fn covered(
    block: &hearsight_core::media::Block,
    side: usize,
    (columns, rows): (usize, usize),
) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
    let span = |start: i16, length: u8, most: usize| {
        let start = i32::from(start);
        // A square is the block's where its first pixel is.
        let square = |pixel: i32| (pixel.max(0) as usize).div_ceil(side).min(most);
        square(start)..square(start + i32::from(length))
    };
    (span(block.x, block.width, columns), span(block.y, block.height, rows))
}

/// Whether a field says anything about motion.
pub(crate) fn tells(motion: &MotionField) -> bool {
    motion.blocks.iter().any(|block| vector_from_block(block).is_some())
}
