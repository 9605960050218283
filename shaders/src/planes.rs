//! Looks planes over once, before anything reads them.

use hearsight_core::media::{Picture, Plane, Planes};

use crate::LARGEST;

/// Why planes are not the picture that they are said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanesError {
    /// There is nothing to see.
    #[error("the picture is {width} × {height}: both sides must be at least 1")]
    Empty {
        /// Width in luma pixels.
        width: u32,
        /// Height in luma pixels.
        height: u32,
    },
    /// Larger than [`LARGEST`] on a side.
    #[error("the picture is {width} × {height}: at most {LARGEST} on a side is taken")]
    TooLarge {
        /// Width in luma pixels.
        width: u32,
        /// Height in luma pixels.
        height: u32,
    },
    /// Rows would overlap, or lie further apart than can be addressed.
    #[error("the rows of plane {plane} lie {stride} bytes apart, for {columns} samples each")]
    Stride {
        /// "y", "u" or "v".
        plane: &'static str,
        /// Bytes from row to row.
        stride: usize,
        /// Samples in a row.
        columns: u32,
    },
    /// The memory ends before the last row does.
    #[error("plane {plane} has {bytes} bytes: its rows need {needed}")]
    Short {
        /// "y", "u" or "v".
        plane: &'static str,
        /// What it has.
        bytes: usize,
        /// What it must have at least.
        needed: usize,
    },
}

/// One plane whose rows are known to lie within `bytes`, which end with the last sample of the last row.
#[derive(Clone, Copy)]
pub(crate) struct Sheet<'a> {
    pub(crate) bytes: &'a [u8],
    /// Bytes from row to row; at least `columns`, and fits 32 bits, where there is more than one row.
    pub(crate) stride: usize,
    pub(crate) columns: u32,
    pub(crate) rows: u32,
}

impl Sheet<'_> {
    /// The sample at a column and a row, both moved into the plane.
    pub(crate) fn at(&self, column: i64, row: i64) -> u8 {
        let column = column.clamp(0, i64::from(self.columns) - 1) as usize;
        let row = row.clamp(0, i64::from(self.rows) - 1) as usize;
        self.bytes[row * self.stride + column]
    }

    pub(crate) fn samples(&self) -> u64 {
        u64::from(self.columns) * u64::from(self.rows)
    }
}

/// Luma, blue-difference and red-difference planes of a picture.
pub(crate) fn sheets(picture: &Picture<Planes>) -> Result<[Sheet<'_>; 3], PlanesError> {
    let Picture { width, height, pixels } = picture;
    let (width, height) = (*width, *height);
    if width == 0 || height == 0 {
        return Err(PlanesError::Empty { width, height });
    }
    if width > LARGEST || height > LARGEST {
        return Err(PlanesError::TooLarge { width, height });
    }
    let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
    Ok([
        sheet("y", &pixels.y, width, height)?,
        sheet("u", &pixels.u, columns, rows)?,
        sheet("v", &pixels.v, columns, rows)?,
    ])
}

fn sheet<'a>(name: &'static str, plane: &'a Plane, columns: u32, rows: u32) -> Result<Sheet<'a>, PlanesError> {
    let stride = plane.stride;
    let broken = PlanesError::Stride {
        plane: name,
        stride,
        columns,
    };
    if rows > 1 && (stride < columns as usize || u32::try_from(stride).is_err()) {
        return Err(broken);
    }
    let needed = stride
        .checked_mul(rows as usize - 1)
        .and_then(|before| before.checked_add(columns as usize))
        .ok_or(broken)?;
    // Asked for once: an owner is free to answer differently the next time.
    let bytes: &[u8] = (*plane.bytes).as_ref();
    let bytes = bytes.get(..needed).ok_or(PlanesError::Short {
        plane: name,
        bytes: bytes.len(),
        needed,
    })?;
    Ok(Sheet {
        bytes,
        stride,
        columns,
        rows,
    })
}
