//! What decoder and encoder share of libavcodec.

use std::sync::{Arc, Once};

use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame;
use ffmpeg_next::util::color::Range;
use ffmpeg_next::util::log;
use hearsight_core::media::{Bytes, Picture, Plane, Planes};

/// Keeps libav from writing to stderr: it would log every damaged unit of every peer there, unbounded.
pub(crate) fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| log::set_level(log::Level::Quiet));
}

/// The picture in a decoder's frame, its planes borrowed from the frame's own buffers, or brought to limited range where they are of the
/// full one, as browsers code what was drawn; `None` unless it is planar 4:2:0 with 8 bits and its memory is as large as its dimensions
/// need.
pub(crate) fn picture_from_frame(frame: frame::Video) -> Option<Picture<Planes>> {
    if !matches!(frame.format(), Pixel::YUV420P | Pixel::YUVJ420P) {
        return None;
    }
    let full = frame.format() == Pixel::YUVJ420P || frame.color_range() == Range::JPEG;
    let (width, height) = (frame.width(), frame.height());
    let frame = Arc::new(frame);
    let plane = |index: usize, columns: u32, rows: u32, steps: u16| {
        let (columns, rows) = (columns as usize, rows as usize);
        let plane = borrowed::plane(&frame, index, columns, rows)?;
        if full {
            limited(&plane, columns, rows, steps)
        } else {
            Some(plane)
        }
    };
    let y = plane(0, width, height, 219)?;
    let u = plane(1, width.div_ceil(2), height.div_ceil(2), 224)?;
    let v = plane(2, width.div_ceil(2), height.div_ceil(2), 224)?;
    Some(Picture {
        width,
        height,
        pixels: Planes { y, u, v },
    })
}

/// A plane whose 0 to 255 become `steps` steps from 16 on (ITU-R BT.601: 219 of luma, 224 of chroma).
fn limited(plane: &Plane, columns: usize, rows: usize, steps: u16) -> Option<Plane> {
    let table: [u8; 256] = std::array::from_fn(|value| (16 + (value * usize::from(steps) + 127) / 255) as u8);
    let mut bytes = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        bytes.extend(plane.row(row, columns)?.iter().map(|value| table[usize::from(*value)]));
    }
    let bytes: Bytes = Arc::new(bytes);
    Some(Plane { bytes, stride: columns })
}

/// The border to the frame's memory.
#[allow(unsafe_code)]
mod borrowed {
    use super::*;

    /// One plane of a frame, kept alive by it.
    struct Borrowed {
        frame: Arc<frame::Video>,
        plane: usize,
        len: usize,
    }

    impl AsRef<[u8]> for Borrowed {
        fn as_ref(&self) -> &[u8] {
            // SAFETY: `plane` made sure that `len` bytes from `data[plane]` lie inside one reference-counted buffer of
            // this frame. The frame lives as long as `self`, nobody else holds it, and libavcodec does not write to a
            // buffer that it has handed out.
            unsafe { std::slice::from_raw_parts((*self.frame.as_ptr()).data[self.plane], self.len) }
        }
    }

    /// Plane `index` of `columns` × `rows` samples, or `None` when the frame's memory does not hold that much.
    pub(super) fn plane(frame: &Arc<frame::Video>, index: usize, columns: usize, rows: usize) -> Option<Plane> {
        // SAFETY: the frame is valid for reads while the `Arc` is held; index is 0..3 of an array of 8.
        let (start, stride) = unsafe {
            let raw = frame.as_ptr();
            ((*raw).data[index] as usize, (*raw).linesize[index])
        };
        let stride = usize::try_from(stride).ok().filter(|&stride| stride >= columns)?;
        let len = stride.checked_mul(rows.checked_sub(1)?)?.checked_add(columns)?;
        let end = start.checked_add(len)?;
        // Cropping moves `data` into the buffer: only the buffer itself says where the memory ends.
        let inside = (0..3).any(|i| {
            // SAFETY: a non-null entry of `buf` is a valid AVBufferRef while the frame lives.
            unsafe {
                let buffer = (*frame.as_ptr()).buf[i];
                !buffer.is_null() && start >= (*buffer).data as usize && end <= (*buffer).data as usize + (*buffer).size
            }
        });
        let bytes: Bytes = Arc::new(Borrowed {
            frame: Arc::clone(frame),
            plane: index,
            len,
        });
        (start != 0 && inside).then_some(Plane { bytes, stride })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_the_frames_own_memory_and_outlive_its_handle() {
        let frame = frame::Video::new(Pixel::YUV420P, 50, 34);
        let places: Vec<*const u8> = (0..3).map(|i| frame.data(i).as_ptr()).collect();
        let picture = picture_from_frame(frame).expect("4:2:0");
        let planes = [&picture.pixels.y, &picture.pixels.u, &picture.pixels.v];
        for (plane, place) in planes.into_iter().zip(places) {
            assert_eq!((*plane.bytes).as_ref().as_ptr(), place);
        }
        assert!(picture.pixels.y.row(33, 50).is_some());
        assert!(picture.pixels.u.row(16, 25).is_some());
    }

    #[test]
    fn the_full_range_becomes_the_limited_one() {
        for (format, range) in [(Pixel::YUVJ420P, Range::Unspecified), (Pixel::YUV420P, Range::JPEG)] {
            let mut frame = frame::Video::new(format, 64, 32);
            frame.set_color_range(range);
            for (index, values) in [(0, [0, 255, 98]), (1, [0, 255, 128]), (2, [0, 255, 128])] {
                frame.data_mut(index)[..3].copy_from_slice(&values);
            }
            let picture = picture_from_frame(frame).expect("4:2:0");
            let Planes { y, u, v } = &picture.pixels;
            assert_eq!(&y.row(0, 64).expect("a row")[..3], [16, 235, 100]);
            for plane in [u, v] {
                assert_eq!(&plane.row(0, 32).expect("a row")[..3], [16, 240, 128]);
            }
        }
        let mut frame = frame::Video::new(Pixel::YUV420P, 64, 32);
        frame.data_mut(0)[..2].copy_from_slice(&[0, 255]);
        let picture = picture_from_frame(frame).expect("4:2:0");
        assert_eq!(&picture.pixels.y.row(0, 64).expect("a row")[..2], [0, 255]);
    }

    #[test]
    fn other_formats_are_refused() {
        assert!(picture_from_frame(frame::Video::new(Pixel::YUV444P, 32, 32)).is_none());
        assert!(picture_from_frame(frame::Video::new(Pixel::YUV420P10LE, 32, 32)).is_none());
        assert!(picture_from_frame(frame::Video::empty()).is_none());
    }
}
