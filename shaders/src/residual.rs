//! Adds what the network found to a picture that was made without it.

use crate::conv::Tensor;
use crate::grid::CELL;

/// Adds the answer, in codes over 255, to luma, blue-difference and red-difference samples, rows without padding.
pub fn reference(planes: &mut [Vec<u8>; 3], (width, height): (u32, u32), answer: &Tensor) {
    let half = CELL / 2;
    // Samples on a side of a cell, and the first channel.
    for (plane, (side, first)) in
        planes
            .iter_mut()
            .zip([(CELL, 0), (half, CELL * CELL), (half, CELL * CELL + half * half)])
    {
        let shrink = (CELL / side) as u32;
        let (columns, rows) = (width.div_ceil(shrink) as usize, height.div_ceil(shrink) as usize);
        for (y, line) in plane.chunks_exact_mut(columns).take(rows).enumerate() {
            for (column, samples) in line.chunks_mut(side).enumerate() {
                let residual = &answer.at(column, y / side)[first + y % side * side..];
                for (sample, residual) in samples.iter_mut().zip(residual) {
                    *sample = (f32::from(*sample) + residual * 255.0 + 0.5).floor() as u8;
                }
            }
        }
    }
}
