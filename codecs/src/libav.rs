//! What decoder and encoder share of libavcodec.

use std::sync::{Arc, Once};

use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame;
use ffmpeg_next::util::log;
use hearsight_core::media::{Bytes, Picture, Plane, Planes};

/// Keeps libav from writing to stderr: it would log every damaged unit of every peer there, unbounded.
pub(crate) fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| log::set_level(log::Level::Quiet));
}

/// The picture in a decoder's frame, its planes borrowed from the frame's own buffers; `None` unless it is planar
/// 4:2:0 with 8 bits and its memory is as large as its dimensions need.
pub(crate) fn picture_from_frame(frame: frame::Video) -> Option<Picture<Planes>> {
    if !matches!(frame.format(), Pixel::YUV420P | Pixel::YUVJ420P) {
        return None;
    }
    let (width, height) = (frame.width(), frame.height());
    let frame = Arc::new(frame);
    let (w, h) = (width as usize, height as usize);
    let y = borrowed::plane(&frame, 0, w, h)?;
    let u = borrowed::plane(&frame, 1, w.div_ceil(2), h.div_ceil(2))?;
    let v = borrowed::plane(&frame, 2, w.div_ceil(2), h.div_ceil(2))?;
    Some(Picture {
        width,
        height,
        pixels: Planes { y, u, v },
    })
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
    fn other_formats_are_refused() {
        assert!(picture_from_frame(frame::Video::new(Pixel::YUV444P, 32, 32)).is_none());
        assert!(picture_from_frame(frame::Video::new(Pixel::YUV420P10LE, 32, 32)).is_none());
        assert!(picture_from_frame(frame::Video::empty()).is_none());
    }
}
