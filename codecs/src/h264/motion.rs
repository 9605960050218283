//! The motion vectors that libavcodec exports (libavutil/motion_vector.h), as a motion field.

use std::mem::{offset_of, size_of};

use ffmpeg_next::ffi::AVMotionVector;
use hearsight_core::media::{Block, MotionField};

use super::references::Distances;

/// The most blocks kept of one picture: the 8×8 blocks of 3840×2160 predicted from one reference each. A picture with
/// more keeps its first; the rest lie at its bottom.
pub(super) const MOST_BLOCKS: usize = 480 * 270;

/// Reads the side data of a frame, an array of `AVMotionVector`, whose references lie so far away.
pub(super) fn field_from_side_data(data: &[u8], distances: Distances) -> MotionField {
    let vectors = data.chunks_exact(size_of::<AVMotionVector>());
    MotionField {
        blocks: vectors
            .take(MOST_BLOCKS)
            .map(|vector| block_from_vector(vector, distances))
            .collect(),
    }
}

/// One vector. libav names a block by its centre, and by the displacement towards the reference in `1 / motion_scale`
/// pixels.
fn block_from_vector(vector: &[u8], distances: Distances) -> Block {
    let (width, height) = (
        vector[offset_of!(AVMotionVector, w)],
        vector[offset_of!(AVMotionVector, h)],
    );
    let centre_x = i16::from_ne_bytes(bytes(vector, offset_of!(AVMotionVector, dst_x)));
    let centre_y = i16::from_ne_bytes(bytes(vector, offset_of!(AVMotionVector, dst_y)));
    let source = i32::from_ne_bytes(bytes(vector, offset_of!(AVMotionVector, source)));
    let scale = u16::from_ne_bytes(bytes(vector, offset_of!(AVMotionVector, motion_scale)));
    let (dx, dy) = if scale == 0 {
        // Without a scale only the rounded places are left.
        let source_x = i16::from_ne_bytes(bytes(vector, offset_of!(AVMotionVector, src_x)));
        let source_y = i16::from_ne_bytes(bytes(vector, offset_of!(AVMotionVector, src_y)));
        (
            f32::from(source_x) - f32::from(centre_x),
            f32::from(source_y) - f32::from(centre_y),
        )
    } else {
        let x = i32::from_ne_bytes(bytes(vector, offset_of!(AVMotionVector, motion_x)));
        let y = i32::from_ne_bytes(bytes(vector, offset_of!(AVMotionVector, motion_y)));
        (x as f32 / f32::from(scale), y as f32 / f32::from(scale))
    };
    Block {
        x: centre_x.saturating_sub(i16::from(width / 2)),
        y: centre_y.saturating_sub(i16::from(height / 2)),
        width,
        height,
        reference: match source {
            ..0 => -distances.past,
            0 => 0,
            1.. => distances.future,
        },
        dx,
        dy,
    }
}

fn bytes<const N: usize>(vector: &[u8], offset: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&vector[offset..offset + N]);
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_side_data_gives_a_bounded_field_of_finite_blocks() {
        for seed in 0..500 {
            let mut random = fastrand::Rng::with_seed(seed);
            let data: Vec<u8> = (0..random.usize(0..4000))
                .map(|_| if random.bool() { 0 } else { random.u8(..) })
                .collect();
            let field = field_from_side_data(&data, Distances::default());
            assert_eq!(field.blocks.len(), data.len() / size_of::<AVMotionVector>());
            assert!(
                field
                    .blocks
                    .iter()
                    .all(|block| block.dx.is_finite() && block.dy.is_finite())
            );
        }
        let huge = vec![0; size_of::<AVMotionVector>() * (MOST_BLOCKS + 1)];
        assert_eq!(
            field_from_side_data(&huge, Distances::default()).blocks.len(),
            MOST_BLOCKS
        );
    }

    #[test]
    fn a_scale_of_zero_falls_back_to_whole_pixels() {
        let mut data = [0; size_of::<AVMotionVector>()];
        data[offset_of!(AVMotionVector, w)] = 16;
        data[offset_of!(AVMotionVector, h)] = 8;
        data[offset_of!(AVMotionVector, dst_x)..][..2].copy_from_slice(&24i16.to_ne_bytes());
        data[offset_of!(AVMotionVector, dst_y)..][..2].copy_from_slice(&4i16.to_ne_bytes());
        data[offset_of!(AVMotionVector, src_x)..][..2].copy_from_slice(&20i16.to_ne_bytes());
        data[offset_of!(AVMotionVector, src_y)..][..2].copy_from_slice(&9i16.to_ne_bytes());
        data[offset_of!(AVMotionVector, motion_x)..][..4].copy_from_slice(&400i32.to_ne_bytes());
        let block = field_from_side_data(&data, Distances::default()).blocks[0];
        assert_eq!((block.x, block.y, block.dx, block.dy), (16, 0, -4.0, 5.0));
    }
}
