//! Planes of half the size, for searches from coarse to fine.

use crate::padded::Padded;
use crate::planes::Sheet;

/// The plane with half as many columns and rows, rounded up: each sample the mean of the four that it covers, halves up.
/// Beyond its edges a plane goes on as at them.
pub fn reference(plane: &Padded) -> Padded {
    let (columns, rows) = plane.size();
    let (columns, rows) = (columns.div_ceil(2), rows.div_ceil(2));
    let mut bytes = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        let upper = plane.row(2 * row, 2 * columns);
        let lower = plane.row(2 * row + 1, 2 * columns);
        let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
        let mean = |([a, b], [c, d]): (&[u8; 2], &[u8; 2])| {
            // Four samples and two fit 16 bits.
            let sum = [a, b, c, d]
                .map(|sample| u16::from(*sample))
                .iter()
                .fold(2, |sum, one| one.wrapping_add(sum));
            (sum >> 2) as u8
        };
        bytes.extend(pairs.map(mean));
    }
    Padded::of(&Sheet {
        columns: columns as u32,
        rows: rows as u32,
        stride: columns,
        bytes: &bytes,
    })
}
