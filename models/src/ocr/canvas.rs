//! From decoded planes to what the networks take: scaled, converted and normalised once, without a picture in between.
//!
//! Networks of this family see blue, green and red planes of −1..1. Samples are of limited range; the matrix is that of
//! Rec. ITU-R BT.709 from 720 lines on and of BT.601 below, which is what senders that don't say use.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use hearsight_core::media::{Picture, Plane, Planes, Point};

use super::shape::Slant;

/// The most pixels a side of a picture may have, and the fewest: less holds no letter, more is no camera's.
const SIDES: std::ops::RangeInclusive<u32> = 16..=8192;
/// The most pixels of a picture.
const MOST_PIXELS: u64 = 1 << 25;

/// Why a picture can't be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadPicture {
    /// Its sides are out of bounds.
    #[error("a side or the whole is too small or too large")]
    Size,
    /// Its planes end too early.
    #[error("a plane is shorter than the picture")]
    Plane,
}

/// Checks a picture before anything is made of it.
pub(super) fn check(picture: &Picture<Planes>) -> Result<(), BadPicture> {
    let Picture { width, height, pixels } = picture;
    if !SIDES.contains(width) || !SIDES.contains(height) || u64::from(*width) * u64::from(*height) > MOST_PIXELS {
        return Err(BadPicture::Size);
    }
    let whole = |plane: &Plane, width: u32, height: u32| plane.row(height as usize - 1, width as usize).is_some();
    let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
    let sound = whole(&pixels.y, *width, *height) && whole(&pixels.u, columns, rows) && whole(&pixels.v, columns, rows);
    let strides = [(&pixels.y, *width), (&pixels.u, columns), (&pixels.v, columns)];
    match sound && strides.iter().all(|(plane, columns)| plane.stride >= *columns as usize) {
        true => Ok(()),
        false => Err(BadPicture::Plane),
    }
}

/// Y'CbCr of limited range to B'G'R' of −1..1.
#[derive(Clone, Copy)]
struct Matrix {
    red: f32,
    green: [f32; 2],
    blue: f32,
}

impl Matrix {
    fn of(picture: &Picture<Planes>) -> Matrix {
        // 2 (1 − Kr) and so on, times 255 / 224.
        match picture.height {
            720.. => Matrix {
                red: 1.792_741,
                green: [0.213_249, 0.532_909],
                blue: 2.112_402,
            },
            _ => Matrix {
                red: 1.596_027,
                green: [0.391_762, 0.812_968],
                blue: 2.017_232,
            },
        }
    }

    #[inline]
    fn bgr(self, y: f32, u: f32, v: f32) -> [f32; 3] {
        let (y, u, v) = ((y - 16.0) * (255.0 / 219.0), u - 128.0, v - 128.0);
        let bgr = [
            y + self.blue * u,
            y - self.green[0] * u - self.green[1] * v,
            y + self.red * v,
        ];
        bgr.map(|code| code.clamp(0.0, 255.0) / 127.5 - 1.0)
    }
}

/// Memory for scaled planes and what is made of them, used again from picture to picture.
#[derive(Default)]
pub(super) struct Canvas {
    resizer: Resizer,
    scaled: [Vec<u8>; 3],
    rows: Vec<u8>,
    tensor: Vec<f32>,
}

impl Canvas {
    /// The whole of a checked picture at `width` × `height`, as three planes of −1..1.
    pub(super) fn whole(&mut self, picture: &Picture<Planes>, width: u32, height: u32) -> Result<&[f32], BadPicture> {
        let planes = &picture.pixels;
        let (columns, rows) = (picture.width.div_ceil(2), picture.height.div_ceil(2));
        self.scale(0, &planes.y, (picture.width, picture.height), (width, height))?;
        self.scale(1, &planes.u, (columns, rows), (width, height))?;
        self.scale(2, &planes.v, (columns, rows), (width, height))?;
        let matrix = Matrix::of(picture);
        let area = width as usize * height as usize;
        self.tensor.resize(3 * area, 0.0);
        let (blue, rest) = self.tensor.split_at_mut(area);
        let (green, red) = rest.split_at_mut(area);
        let [y, u, v] = &self.scaled;
        for (i, ((y, u), v)) in y.iter().zip(u).zip(v).enumerate() {
            [blue[i], green[i], red[i]] = matrix.bgr(f32::from(*y), f32::from(*u), f32::from(*v));
        }
        Ok(&self.tensor[..3 * area])
    }

    fn scale(&mut self, which: usize, plane: &Plane, from: (u32, u32), to: (u32, u32)) -> Result<(), BadPicture> {
        let bytes: &[u8] = (*plane.bytes).as_ref();
        let stride = u32::try_from(plane.stride).map_err(|_| BadPicture::Plane)?;
        // A last row without its padding is the one thing that the library can't step over.
        let (bytes, stride) = if bytes.len() >= plane.stride * from.1 as usize {
            (bytes, stride)
        } else {
            self.rows.clear();
            for y in 0..from.1 as usize {
                self.rows
                    .extend_from_slice(plane.row(y, from.0 as usize).ok_or(BadPicture::Plane)?);
            }
            (self.rows.as_slice(), from.0)
        };
        let source = ImageRef::new(stride, from.1, bytes, PixelType::U8).map_err(|_| BadPicture::Plane)?;
        let target = &mut self.scaled[which];
        target.resize(to.0 as usize * to.1 as usize, 0);
        let mut target = Image::from_slice_u8(to.0, to.1, target, PixelType::U8).map_err(|_| BadPicture::Plane)?;
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .crop(0.0, 0.0, f64::from(from.0), f64::from(from.1));
        self.resizer
            .resize(&source, &mut target, &options)
            .map_err(|_| BadPicture::Plane)
    }

    /// One line of a checked picture, laid level, `height` high and as wide as its shape asks, up to `widest`; then filled
    /// with grey up to `padded` of its width. Answers with its planes and their width.
    pub(super) fn line(
        &mut self,
        picture: &Picture<Planes>,
        slant: &Slant,
        size: Size,
        padded: impl Fn(usize) -> usize,
    ) -> (&[f32], usize) {
        let matrix = Matrix::of(picture);
        let width = size.width(slant);
        let whole = padded(width).max(width);
        let area = whole * size.height;
        self.tensor.clear();
        self.tensor.resize(3 * area, 0.0);
        let sampler = Sampler::new(picture, slant, width, size.height);
        for row in 0..size.height {
            for column in 0..width {
                let bgr = sampler.at(column, row, |y, u, v| matrix.bgr(y, u, v));
                for (plane, value) in bgr.into_iter().enumerate() {
                    self.tensor[plane * area + row * whole + column] = value;
                }
            }
        }
        (&self.tensor, whole)
    }
}

/// How large a line is drawn.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) height: usize,
    pub(super) widest: usize,
}

impl Size {
    /// The width that keeps the line's shape.
    fn width(self, slant: &Slant) -> usize {
        let width = (self.height as f32 * slant.width / slant.height.max(1.0)).ceil();
        (width as usize).clamp(1, self.widest)
    }
}

/// The luma of one line, laid level: small enough to be kept, and to be compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Strip {
    pub(super) width: usize,
    pub(super) luma: Vec<u8>,
}

impl Strip {
    pub(super) const HEIGHT: usize = 32;
    const SIZE: Size = Size {
        height: Strip::HEIGHT,
        widest: 640,
    };

    /// Of a checked picture.
    pub(super) fn of(picture: &Picture<Planes>, slant: &Slant) -> Strip {
        let width = Strip::SIZE.width(slant);
        let sampler = Sampler::new(picture, slant, width, Strip::HEIGHT);
        let places = (0..Strip::HEIGHT).flat_map(|row| (0..width).map(move |column| (column, row)));
        let luma = places.map(|(column, row)| sampler.luma(column, row) as u8).collect();
        Strip { width, luma }
    }
}

/// Reads a picture along a slanted grid, between pixels by bilinear interpolation, over several places for each cell where
/// the grid is coarser than the picture. Outside the picture its edge goes on. The detector's places are true rectangles, so
/// that no perspective is lost.
struct Sampler<'a> {
    picture: &'a Picture<Planes>,
    begin: Point,
    right: Point,
    down: Point,
    /// Places per cell, each way.
    places: usize,
}

impl<'a> Sampler<'a> {
    fn new(picture: &'a Picture<Planes>, slant: &Slant, width: usize, height: usize) -> Sampler<'a> {
        let begin = slant.at(0.0, 0.0);
        let step = |to: Point, count: usize| Point {
            x: (to.x - begin.x) / count as f32,
            y: (to.y - begin.y) / count as f32,
        };
        let coarse = (slant.height / height as f32).max(slant.width / width as f32);
        Sampler {
            picture,
            begin,
            right: step(slant.at(1.0, 0.0), width),
            down: step(slant.at(0.0, 1.0), height),
            places: (coarse.round() as usize).clamp(1, 4),
        }
    }

    /// The mean over a cell of what `of` makes of luma and chroma.
    #[inline]
    fn at(&self, column: usize, row: usize, of: impl Fn(f32, f32, f32) -> [f32; 3]) -> [f32; 3] {
        let mut sum = [0.0; 3];
        for place in self.cell(column, row) {
            let half = Point {
                x: (place.x - 0.5) / 2.0,
                y: (place.y - 0.5) / 2.0,
            };
            let Planes { y, u, v } = &self.picture.pixels;
            let (width, height) = (self.picture.width, self.picture.height);
            let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
            let value = of(
                between(y, place, width, height),
                between(u, half, columns, rows),
                between(v, half, columns, rows),
            );
            (0..3).for_each(|plane| sum[plane] += value[plane]);
        }
        sum.map(|sum| sum / (self.places * self.places) as f32)
    }

    #[inline]
    fn luma(&self, column: usize, row: usize) -> f32 {
        let (width, height) = (self.picture.width, self.picture.height);
        let sum: f32 = self
            .cell(column, row)
            .map(|place| between(&self.picture.pixels.y, place, width, height))
            .sum();
        sum / (self.places * self.places) as f32
    }

    /// The places of one cell, pixel centres lying at whole numbers.
    fn cell(&self, column: usize, row: usize) -> impl Iterator<Item = Point> + '_ {
        let places = self.places;
        (0..places * places).map(move |place| {
            let across = column as f32 + ((place % places) as f32 + 0.5) / places as f32;
            let down = row as f32 + ((place / places) as f32 + 0.5) / places as f32;
            Point {
                x: self.begin.x + self.right.x * across + self.down.x * down,
                y: self.begin.y + self.right.y * across + self.down.y * down,
            }
        })
    }
}

#[inline]
fn between(plane: &Plane, place: Point, width: u32, height: u32) -> f32 {
    let bytes: &[u8] = (*plane.bytes).as_ref();
    let (last_x, last_y) = (width as usize - 1, height as usize - 1);
    let (x, y) = (place.x.clamp(0.0, last_x as f32), place.y.clamp(0.0, last_y as f32));
    let (left, top) = (x as usize, y as usize);
    let (right, below) = ((left + 1).min(last_x), (top + 1).min(last_y));
    let sample = |x: usize, y: usize| f32::from(bytes.get(y * plane.stride + x).copied().unwrap_or(0));
    let (across, down) = (x - left as f32, y - top as f32);
    let upper = sample(left, top) * (1.0 - across) + sample(right, top) * across;
    let lower = sample(left, below) * (1.0 - across) + sample(right, below) * across;
    upper * (1.0 - down) + lower * down
}
