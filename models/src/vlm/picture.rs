//! Pictures as models take them: 8-bit RGB, from a decoder's planes.

use hearsight_core::media::{Picture, Plane, Planes};

use super::Refused;

/// Pixels of a picture, at most: 4K UHD with room to spare. 27 MB as RGB.
pub const MOST_PIXELS: u64 = 9_000_000;

/// An 8-bit RGB picture, rows from the top, three bytes a pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    width: u32,
    height: u32,
    bytes: Vec<u8>,
}

impl Rgb {
    /// `bytes` are `width · height · 3`.
    pub fn new(width: u32, height: u32, bytes: Vec<u8>) -> Result<Rgb, Refused> {
        check_size(width, height)?;
        if bytes.len() as u64 != u64::from(width) * u64::from(height) * 3 {
            return Err(Refused::Short);
        }
        Ok(Rgb { width, height, bytes })
    }

    /// BT.601, limited range (ITU-R BT.601-7 section 2.5): what browsers send. Chroma of a 2 × 2 block counts for its four pixels.
    pub fn from_planes(picture: &Picture<Planes>) -> Result<Rgb, Refused> {
        check_planes(picture)?;
        let Picture { width, height, pixels } = picture;
        let columns = *width as usize;
        let mut bytes = vec![0u8; columns * *height as usize * 3];
        for (y, row) in bytes.chunks_exact_mut(columns * 3).enumerate() {
            let luma = pixels.y.row(y, columns).ok_or(Refused::Short)?;
            let blue = pixels.u.row(y / 2, columns.div_ceil(2)).ok_or(Refused::Short)?;
            let red = pixels.v.row(y / 2, columns.div_ceil(2)).ok_or(Refused::Short)?;
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                pixel.copy_from_slice(&rgb(luma[x], blue[x / 2], red[x / 2]));
            }
        }
        Ok(Rgb {
            width: *width,
            height: *height,
            bytes,
        })
    }

    /// In pixels.
    pub fn width(&self) -> u32 {
        self.width
    }
    /// In pixels.
    pub fn height(&self) -> u32 {
        self.height
    }
    /// Row by row.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
    /// Black, to be drawn into.
    pub(super) fn black(width: u32, height: u32) -> Rgb {
        Rgb {
            width,
            height,
            bytes: vec![0; width as usize * height as usize * 3],
        }
    }
}

/// In 16-bit fixed point: within one level of the exact figures.
fn rgb(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    let light = (i32::from(luma) - 16) * 76_309 + (1 << 15);
    let (blue, red) = (i32::from(blue) - 128, i32::from(red) - 128);
    let level = |value: i32| (value >> 16).clamp(0, 255) as u8;
    [
        level(light + red * 104_597),
        level(light - blue * 25_675 - red * 53_279),
        level(light + blue * 132_201),
    ]
}

/// Whether it can be looked at: its size, and its planes by their last rows.
pub(super) fn check_planes(picture: &Picture<Planes>) -> Result<(), Refused> {
    let Picture { width, height, pixels } = picture;
    check_size(*width, *height)?;
    let (columns, last) = (*width as usize, *height as usize - 1);
    let chroma = |plane: &Plane| plane.row(last / 2, columns.div_ceil(2)).is_some();
    if pixels.y.row(last, columns).is_none() || !chroma(&pixels.u) || !chroma(&pixels.v) {
        return Err(Refused::Short);
    }
    Ok(())
}

/// Before anything is allocated for it.
fn check_size(width: u32, height: u32) -> Result<(), Refused> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MOST_PIXELS {
        return Err(Refused::Size {
            width,
            height,
            most: MOST_PIXELS,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn exact(y: f64, u: f64, v: f64) -> [f64; 3] {
        let (light, blue, red) = ((y - 16.0) / 219.0, (u - 128.0) / 224.0, (v - 128.0) / 224.0);
        let [kr, kb] = [0.299, 0.114];
        let (r, b) = (light + 2.0 * (1.0 - kr) * red, light + 2.0 * (1.0 - kb) * blue);
        let g = (light - kr * r - kb * b) / (1.0 - kr - kb);
        [r, g, b].map(|value| (value * 255.0).clamp(0.0, 255.0))
    }

    #[test]
    fn colours_are_within_a_level_of_the_exact_figures() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..20_000 {
            let [y, u, v] = [random.u8(..), random.u8(..), random.u8(..)];
            let made = rgb(y, u, v).map(f64::from);
            for (made, exact) in made.iter().zip(exact(y.into(), u.into(), v.into())) {
                assert!((made - exact).abs() <= 1.0, "{y} {u} {v}: {made} is not {exact}");
            }
        }
    }

    #[test]
    fn sizes_that_cannot_be_are_refused_before_anything_is_allocated() {
        let plane = |len| Plane {
            bytes: Arc::new(vec![128u8; len]),
            stride: 4,
        };
        let picture = |width, height, len| Picture {
            width,
            height,
            pixels: Planes {
                y: plane(len),
                u: plane(len),
                v: plane(len),
            },
        };
        for (width, height) in [(0, 4), (4, 0), (u32::MAX, u32::MAX), (65_536, 65_536)] {
            let refused = Rgb::from_planes(&picture(width, height, 16)).expect_err("no such picture");
            assert!(matches!(refused, Refused::Size { .. }), "{refused}");
        }
        assert_eq!(Rgb::from_planes(&picture(4, 4, 15)), Err(Refused::Short));
        assert_eq!(Rgb::new(2, 2, vec![0; 11]), Err(Refused::Short));
        assert!(Rgb::from_planes(&picture(4, 4, 16)).is_ok());
    }
}
