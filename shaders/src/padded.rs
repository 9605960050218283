//! A plane with its edges carried on, so that what looks for a window in it need not ask where it ends.

use crate::planes::Sheet;

/// Samples that are added on every side: more than any window is wide, so that a window further out is all edge.
pub(crate) const MARGIN: i32 = 24;

/// Bytes after the last sample, so that what begins at any sample can be read in a register's width.
const SLACK: usize = 16;

/// A copy of a plane with some samples more on every side, each equal to the nearest one inside.
#[derive(Debug, Default)]
pub struct Padded {
    columns: i32,
    rows: i32,
    stride: usize,
    bytes: Vec<u8>,
}

impl Padded {
    /// Copies the plane.
    pub(crate) fn of(sheet: &Sheet<'_>) -> Self {
        let mut padded = Self::default();
        padded.fill(sheet);
        padded
    }

    /// Copies the plane, into the memory of an earlier copy.
    pub(crate) fn fill(&mut self, sheet: &Sheet<'_>) {
        let margin = MARGIN as usize;
        (self.columns, self.rows) = (sheet.columns as i32, sheet.rows as i32);
        self.stride = sheet.columns as usize + 2 * margin;
        self.bytes.clear();
        self.bytes
            .reserve(self.stride * (sheet.rows as usize + 2 * margin) + SLACK);
        for row in -MARGIN..self.rows + MARGIN {
            let start = row.clamp(0, self.rows - 1) as usize * sheet.stride;
            let line = &sheet.bytes[start..start + sheet.columns as usize];
            let (first, last) = (line[0], line[line.len() - 1]);
            self.bytes.resize(self.bytes.len() + margin, first);
            self.bytes.extend_from_slice(line);
            self.bytes.resize(self.bytes.len() + margin, last);
        }
        self.bytes.resize(self.bytes.len() + SLACK, 0);
    }

    /// Columns and rows of the plane itself.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.columns as usize, self.rows as usize)
    }

    /// Bytes from row to row.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// The first samples of a row; up to [`MARGIN`] of them may lie beyond the plane.
    pub(crate) fn row(&self, row: usize, length: usize) -> &[u8] {
        &self.rows_from(0, row as i32, 0)[..length]
    }

    /// The memory from the sample at (x, y) on. A window of `side` + 1 samples from there lies inside: one that would not
    /// is moved to where all its samples are the same ones.
    #[inline(always)]
    pub(crate) fn rows_from(&self, x: i32, y: i32, side: usize) -> &[u8] {
        let side = side as i32 + 1;
        let x = x.clamp(-MARGIN, self.columns + MARGIN - side) + MARGIN;
        let y = y.clamp(-MARGIN, self.rows + MARGIN - side) + MARGIN;
        &self.bytes[y as usize * self.stride + x as usize..]
    }
}
