//! Pictures made smaller, by `fast_image_resize`.

use std::sync::Arc;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use hearsight_core::media::{Picture, Plane, Planes};

use crate::encode::EncodeError;

/// Makes pictures of another size, each sample the mean of what it stands for. Keeps the memory that it works in.
#[derive(Default)]
pub struct Scaler {
    resizer: Resizer,
}

impl Scaler {
    /// The picture at `size`. Errors: planes that are shorter than the picture.
    pub fn scale(&mut self, picture: &Picture<Planes>, size: (u32, u32)) -> Result<Picture<Planes>, EncodeError> {
        let (from, to) = ((picture.width, picture.height), size);
        let half = |(width, height): (u32, u32)| (width.div_ceil(2), height.div_ceil(2));
        let Planes { y, u, v } = &picture.pixels;
        Ok(Picture {
            width: size.0,
            height: size.1,
            pixels: Planes {
                y: self.plane(y, from, to)?,
                u: self.plane(u, half(from), half(to))?,
                v: self.plane(v, half(from), half(to))?,
            },
        })
    }

    fn plane(&mut self, plane: &Plane, from: (u32, u32), to: (u32, u32)) -> Result<Plane, EncodeError> {
        let refused = |why: String| EncodeError::Refused(why);
        let (columns, rows) = (from.0 as usize, from.1 as usize);
        let mut packed = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            let row = plane.row(row, columns).ok_or_else(|| EncodeError::Size {
                expected: format!("{rows} rows of {columns}"),
                got: format!("{row} rows"),
            })?;
            packed.extend_from_slice(row);
        }
        let source = ImageRef::new(from.0, from.1, &packed, PixelType::U8).map_err(|why| refused(why.to_string()))?;
        let mut made = Image::new(to.0, to.1, PixelType::U8);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Hamming));
        self.resizer
            .resize(&source, &mut made, &options)
            .map_err(|why| refused(why.to_string()))?;
        Ok(Plane {
            bytes: Arc::new(made.into_vec()),
            stride: to.0 as usize,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenes::picture;

    #[test]
    fn a_ramp_stays_a_ramp_and_short_planes_are_refused() {
        let source = picture(640, 360, |x, y| ((x * 200 / 640) + (y * 50 / 360)) as u8);
        let mut scaler = Scaler::default();
        for size in [(480, 270), (320, 180), (240, 134)] {
            let made = scaler.scale(&source, size).expect("scaled");
            assert_eq!((made.width, made.height), size);
            for (x, y) in [(20, 20), (size.0 / 2, size.1 / 2), (size.0 - 20, size.1 - 20)] {
                let got = i32::from(made.pixels.y.row(y as usize, size.0 as usize).expect("a row")[x as usize]);
                let wanted = (x as i32 * 200 / size.0 as i32) + (y as i32 * 50 / size.1 as i32);
                assert!((got - wanted).abs() <= 3, "{got} for {wanted} at {x}, {y} of {size:?}");
            }
            assert_eq!(
                made.pixels
                    .u
                    .row(size.1 as usize / 2 - 1, size.0 as usize / 2)
                    .map(<[u8]>::len),
                Some(size.0 as usize / 2)
            );
        }
        let mut torn = source.clone();
        torn.height = 400;
        assert!(scaler.scale(&torn, (320, 200)).is_err());
    }
}
