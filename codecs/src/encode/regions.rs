//! Where x264 spends: a map of blocks becomes rectangles of quantiser offsets on a frame (AVRegionOfInterest), which libavcodec
//! turns into one offset for each macroblock. x264 heeds them only where adaptive quantisation is on.
#![allow(unsafe_code)]

use ffmpeg_next::{encoder, ffi, frame};
use hearsight_core::allocate::Map;
use hearsight_core::allocate::regions::{COLUMNS, ROWS};

/// QP steps of 8-bit H.264: what an offset of 1 means.
const QP_RANGE: i32 = 51;

/// The rectangles of a map on a picture of so many pixels: runs of blocks of a row that are coarser by the same.
fn rectangles(map: &Map, (width, height): (u32, u32)) -> Vec<ffi::AVRegionOfInterest> {
    let edge = |index: usize, count: usize, side: u32| (index as u64 * u64::from(side) / count as u64) as i32;
    let mut rectangles = Vec::new();
    for row in 0..ROWS {
        let coarser = |column: usize| {
            let level = map.levels()[row * COLUMNS + column];
            Map::coarser(f32::from(level) / f32::from(hearsight_core::allocate::regions::INSIDE))
        };
        let mut from = 0;
        for column in 1..=COLUMNS {
            if column < COLUMNS && coarser(column) == coarser(from) {
                continue;
            }
            rectangles.push(ffi::AVRegionOfInterest {
                self_size: size_of::<ffi::AVRegionOfInterest>() as u32,
                top: edge(row, ROWS, height),
                bottom: edge(row + 1, ROWS, height),
                left: edge(from, COLUMNS, width),
                right: edge(column, COLUMNS, width),
                qoffset: ffi::AVRational {
                    num: i32::from(coarser(from)),
                    den: QP_RANGE,
                },
            });
            from = column;
        }
    }
    // Of two that share a macroblock the first counts: those that matter come first.
    rectangles.sort_by_key(|rectangle| rectangle.qoffset.num);
    rectangles
}

/// Puts the map on a frame of `size`; false when there is no memory for it, and then all blocks are coded alike.
pub(super) fn attach(frame: &mut frame::Video, map: &Map, size: (u32, u32)) -> bool {
    let rectangles = rectangles(map, size);
    let bytes = size_of_val(rectangles.as_slice());
    // SAFETY: the frame is valid and ours alone; libavutil allocates `bytes` bytes, aligned for any type of C's, which are
    // written whole before anybody reads them; the rectangles are plain data.
    unsafe {
        let kind = ffi::AVFrameSideDataType::AV_FRAME_DATA_REGIONS_OF_INTEREST;
        let side = ffi::av_frame_new_side_data(frame.as_mut_ptr(), kind, bytes);
        if side.is_null() || (*side).data.is_null() {
            return false;
        }
        std::ptr::copy_nonoverlapping(rectangles.as_ptr().cast::<u8>(), (*side).data, bytes);
    }
    true
}

/// Sets how many bits the decoder's buffer holds; the encoder takes it over with the next picture.
pub(super) fn set_buffer(encoder: &mut encoder::video::Encoder, bits: u32) {
    // SAFETY: the context is open and ours alone; libx264's wrapper compares this field with x264's before each picture.
    unsafe { (*encoder.as_mut_ptr()).rc_buffer_size = i32::try_from(bits).unwrap_or(i32::MAX) }
}

#[cfg(test)]
mod tests {
    use hearsight_core::media::{Point, Region};
    use hearsight_core::time::MediaTime;

    use super::*;

    #[test]
    fn every_macroblock_of_a_picture_of_any_size_is_covered_by_its_block() {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (width, height) = (random.u32(8..2_000) * 2, random.u32(8..1_100) * 2);
            let mut regions = hearsight_core::allocate::Regions::default();
            let corner = Point {
                x: random.f32() * 0.8,
                y: random.f32() * 0.8,
            };
            let far = Point {
                x: corner.x + 0.2,
                y: corner.y + 0.1,
            };
            let corners = [corner, Point { y: corner.y, ..far }, far, Point { x: corner.x, ..far }];
            regions.replace(MediaTime::ZERO, [Region { corners }]);
            let map = regions.map(MediaTime::ZERO).expect("a place");
            let rectangles = rectangles(&map, (width, height));
            assert!(rectangles.len() <= COLUMNS * ROWS);
            for _ in 0..50 {
                let (x, y) = (random.u32(0..width) as i32, random.u32(0..height) as i32);
                let covers = |one: &&ffi::AVRegionOfInterest| {
                    (one.left..one.right).contains(&x) && (one.top..one.bottom).contains(&y)
                };
                let found: Vec<_> = rectangles.iter().filter(covers).collect();
                assert_eq!(found.len(), 1, "seed {seed}: ({x}, {y}) of {width}×{height}");
            }
        }
    }
}
