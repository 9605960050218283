//! A moving picture made by rule: hills under an evening sky, orbs in front, a title and a running clock. Two scenes of
//! the same size and period agree to the byte.

use std::f32::consts::TAU;
use std::sync::Arc;

use hearsight_core::media::{Picture, Plane, Planes};
use hearsight_core::time::{MediaTime, Span};
use thiserror::Error;

use super::font;

/// The largest side, in pixels: beyond it no decoder of ours goes.
pub const MAX_SIDE: u32 = 4096;

const TITLE: &str = "HEARSIGHT";
const SUBTITLE: &str = "HEARD AND SEEN, EVERY STEP TIMED";
/// Side of the square of noise that all textures are cut from.
const TILE: usize = 256;
/// Pixels a second, at 1280 across, that the nearest hills pass by at most.
const PAN: f32 = 90.0;

/// Film grain is the noise shifted down by so much: ±7, enough to keep an encoder busy at 2 Mbit/s.
const FILM: u32 = 2;

/// Why there is no scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SceneError {
    /// The size won't do.
    #[error("a picture of {0}×{1}: both sides must be even, from 2 to {MAX_SIDE}")]
    Size(u32, u32),
    /// No time in which to repeat.
    #[error("the scene must repeat after more than no time")]
    Period,
}

/// The scene, ready to be drawn at any time.
pub struct Scene {
    width: usize,
    height: usize,
    period: Span,
    sky: Canvas,
    noise: Vec<i8>,
    hills: Vec<Hills>,
}

/// One range of hills.
struct Hills {
    /// Row of the crest per column; wider than the picture by the way that the camera pans.
    crest: Vec<i16>,
    /// Columns of the pan to either side of the middle.
    pan: f32,
    colour: [u8; 3],
    /// Strength of the texture, in eighths.
    rough: i16,
}

/// Where an orb is, how large, and of which colour.
struct Orb {
    x: f32,
    y: f32,
    radius: f32,
    spin: f32,
    colour: [u8; 3],
}

#[derive(Clone)]
struct Canvas {
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl Scene {
    /// A scene of this size in pixels that repeats itself after `period`, without a seam.
    pub fn new(width: u32, height: u32, period: Span) -> Result<Scene, SceneError> {
        let fits = |side: u32| (2..=MAX_SIDE).contains(&side) && side.is_multiple_of(2);
        if !fits(width) || !fits(height) {
            return Err(SceneError::Size(width, height));
        }
        if period <= Span::ZERO {
            return Err(SceneError::Period);
        }
        let (width, height) = (width as usize, height as usize);
        // Cosine pans of `turns` a period peak at π · way · turns / period.
        let nearest = PAN * width as f32 / 1280.0 * (period.secs_f64() as f32) / (TAU / 2.0 * turns(period, 16.0));
        let nearest = nearest.min(width as f32 / 3.0);
        Ok(Scene {
            width,
            height,
            period,
            sky: sky(width, height),
            noise: noise(width),
            hills: RANGES.iter().map(|range| range.hills(width, height, nearest)).collect(),
        })
    }

    /// The picture at `at`; with the same time modulo the period comes the same picture.
    pub fn picture(&self, at: MediaTime) -> Picture<Planes> {
        let into = Span::from_nanos((at - MediaTime::ZERO).nanos().rem_euclid(self.period.nanos()));
        let mut canvas = self.sky.clone();
        let sway = 1.0 - self.angle(into, 16.0).cos();
        for depth in 0..self.hills.len() {
            self.draw_hills(&mut canvas, depth, sway);
        }
        for orb in self.orbs(into) {
            self.draw_orb(&mut canvas, &orb);
        }
        self.draw_film(&mut canvas, into);
        self.draw_lines(&mut canvas, into);
        let plane = |bytes: Vec<u8>, stride| Plane {
            bytes: Arc::new(bytes),
            stride,
        };
        let Canvas { y, u, v } = canvas;
        let half = self.width / 2;
        let pixels = Planes {
            y: plane(y, self.width),
            u: plane(u, half),
            v: plane(v, half),
        };
        Picture {
            width: self.width as u32,
            height: self.height as u32,
            pixels,
        }
    }

    /// The angle of something that turns about every `cycle` seconds, a whole number of times in a period.
    fn angle(&self, into: Span, cycle: f32) -> f32 {
        let share = into.nanos() as f64 / self.period.nanos() as f64;
        TAU * (f64::from(turns(self.period, cycle)) * share).fract() as f32
    }

    /// The crest in view, from left to right, and by how many columns the camera has panned.
    fn crest(&self, depth: usize, sway: f32) -> Option<(&[i16], usize)> {
        let hills = self.hills.get(depth)?;
        let shift = (sway * hills.pan) as usize;
        Some((&hills.crest[shift..shift + self.width], shift))
    }

    fn draw_hills(&self, canvas: &mut Canvas, depth: usize, sway: f32) {
        let (width, height) = (self.width, self.height);
        let Some((crest, shift)) = self.crest(depth, sway) else {
            return;
        };
        let row_from = |row: Option<&i16>| row.map_or(height, |row| (*row).max(0) as usize);
        let first = row_from(crest.iter().min());
        // Below, the next range hides all of this one.
        let end = row_from(self.crest(depth + 1, sway).and_then(|(next, _)| next.iter().max())).min(height);
        let Hills {
            colour: [luma, u, v],
            rough,
            ..
        } = self.hills[depth];
        let line = width + TILE;
        for y in first..end {
            let texture = &self.noise[((y + depth * 97) % TILE) * line + shift % TILE..][..width];
            let row = &mut canvas.y[y * width..][..width];
            for ((pixel, grain), crest) in row.iter_mut().zip(texture).zip(crest) {
                // Sides of at most 4096 and noise of at most 31 don't overflow; the checks would cost a millisecond.
                let below = (y as i16).wrapping_sub(*crest);
                let texture = i16::from(*grain).wrapping_mul(rough) >> 3;
                let light = i16::from(luma)
                    .wrapping_add(30i16.wrapping_sub(below).max(0))
                    .wrapping_add(texture);
                *pixel = if below >= 0 { light.clamp(16, 235) as u8 } else { *pixel };
            }
        }
        let half = width / 2;
        for y in first / 2..end.div_ceil(2).min(height / 2) {
            let rows = canvas.u[y * half..][..half]
                .iter_mut()
                .zip(&mut canvas.v[y * half..][..half]);
            for ((pu, pv), crest) in rows.zip(crest.iter().step_by(2)) {
                if 2 * y as i16 >= *crest {
                    (*pu, *pv) = (u, v);
                }
            }
        }
    }

    fn orbs(&self, into: Span) -> Vec<Orb> {
        let (width, height) = (self.width as f32, self.height as f32);
        let place = |i: usize, cycle: f32, radius: f32, colour| {
            let lag = i as f32 * 1.7;
            let (round, bob) = (self.angle(into, cycle) + lag, self.angle(into, cycle * 0.6) + 2.0 * lag);
            Orb {
                x: width * (0.5 + 0.42 * round.cos()),
                y: height * (0.42 + 0.05 * i as f32 + 0.14 * bob.sin()),
                radius: height * radius,
                spin: self.angle(into, cycle * 0.5) / TAU,
                colour,
            }
        };
        vec![
            place(0, 22.0, 0.045, [150, 108, 150]),
            place(1, 17.0, 0.060, [170, 150, 110]),
            place(2, 13.0, 0.080, [185, 96, 160]),
            place(3, 10.0, 0.105, [175, 120, 92]),
            place(4, 8.0, 0.130, [190, 116, 176]),
        ]
    }

    fn draw_orb(&self, canvas: &mut Canvas, orb: &Orb) {
        let (width, height) = (self.width, self.height);
        let bounds = |centre: f32, side: usize| {
            let (from, to) = (
                (centre - orb.radius).floor().max(0.0),
                (centre + orb.radius).ceil().max(0.0),
            );
            (from as usize).min(side)..(to as usize).min(side)
        };
        let [luma, u, v] = orb.colour;
        for y in bounds(orb.y, height) {
            let ny = (y as f32 - orb.y) / orb.radius;
            let row = &mut canvas.y[y * width..][..width];
            for x in bounds(orb.x, width) {
                let nx = (x as f32 - orb.x) / orb.radius;
                let off = nx * nx + ny * ny;
                if off < 1.0 {
                    let nz = (1.0 - off).sqrt();
                    // Light comes from the upper left, in front; a little of it from everywhere.
                    let lit = 0.28 + 0.72 * (-0.48 * nx - 0.60 * ny + 0.64 * nz).max(0.0);
                    // Two bands a turn; 8 keeps what is truncated above zero.
                    let band = ((ny * 2.6 + nx * 0.9 * nz + orb.spin * 4.0 + 8.0) * 2.0) as u32;
                    let tone = if band.is_multiple_of(2) { 1.0 } else { 0.80 };
                    let glow = f32::from(luma) * lit * tone + 60.0 * (lit - 0.9).max(0.0);
                    // The last pixels at the rim mix with what is behind.
                    let cover = ((1.0 - off) * orb.radius * 0.5).min(1.0);
                    row[x] = (f32::from(row[x]) * (1.0 - cover) + glow.max(16.0) * cover).min(235.0) as u8;
                }
            }
            if y % 2 == 0 {
                let reach = (1.0 - ny * ny).max(0.0).sqrt() * orb.radius;
                let (from, to) = (
                    (orb.x - reach).max(0.0) as usize / 2,
                    (orb.x + reach).max(0.0) as usize / 2,
                );
                for x in from..to.min(width / 2) {
                    canvas.u[y / 2 * (width / 2) + x] = u;
                    canvas.v[y / 2 * (width / 2) + x] = v;
                }
            }
        }
    }

    /// Film grain, new in every picture: what no motion vector predicts.
    fn draw_film(&self, canvas: &mut Canvas, into: Span) {
        let line = self.width + TILE;
        // Any bijection of the time that scatters neighbours will do (Knuth, multiplicative hashing).
        let seed = ((into.nanos() / 1_000_000) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let (dx, dy) = (seed as usize % TILE, (seed >> 8) as usize % TILE);
        for (y, row) in canvas.y.chunks_exact_mut(self.width).enumerate() {
            let grain = &self.noise[(y + dy) % TILE * line + dx..][..row.len()];
            for (pixel, grain) in row.iter_mut().zip(grain) {
                *pixel = pixel.saturating_add_signed(*grain >> FILM);
            }
        }
    }

    fn draw_lines(&self, canvas: &mut Canvas, into: Span) {
        let dot = (self.width / 200).max(1);
        let margin = self.height / 16;
        self.draw_text(canvas, TITLE, (margin, margin), dot);
        let below = margin + dot * (font::HEIGHT + 3);
        self.draw_text(canvas, SUBTITLE, (margin, below), (dot / 2).max(1));
        let hundredths = into.nanos() / 10_000_000;
        let (minutes, seconds) = (hundredths / 6_000, hundredths / 100 % 60);
        let clock = format!("{minutes:02}:{seconds:02}.{:02}", hundredths % 100);
        let long = clock.len() * font::STEP * dot;
        self.draw_text(canvas, &clock, (self.width.saturating_sub(margin + long), margin), dot);
    }

    /// Letters of `dot` pixels a dot, bright over their own shadow.
    fn draw_text(&self, canvas: &mut Canvas, text: &str, (left, top): (usize, usize), dot: usize) {
        let shadow = (dot / 2).max(1);
        for (offset, light) in [(shadow, 24), (0, 228)] {
            for (i, letter) in text.chars().enumerate() {
                for (down, bits) in font::rows(letter).into_iter().enumerate() {
                    for across in (0..font::WIDTH).filter(|across| bits >> (font::WIDTH - 1 - across) & 1 == 1) {
                        let x = left + offset + (i * font::STEP + across) * dot;
                        self.fill(canvas, (x, top + offset + down * dot), dot, light);
                    }
                }
            }
        }
    }

    fn fill(&self, canvas: &mut Canvas, (left, top): (usize, usize), side: usize, light: u8) {
        let (from, to) = (left.min(self.width), (left + side).min(self.width));
        for y in top..(top + side).min(self.height) {
            canvas.y[y * self.width..][from..to].fill(light);
        }
    }
}

/// How often something turns in a period if it should take about `cycle` seconds; at least once.
fn turns(period: Span, cycle: f32) -> f32 {
    (period.secs_f64() as f32 / cycle).round().max(1.0)
}

/// What a range of hills is made from: everything relative to the picture's height, or to the nearest range's pan.
struct Range {
    base: f32,
    relief: f32,
    near: f32,
    waves: [f32; 3],
    colour: [u8; 3],
    rough: i16,
}

/// From far and pale to near and dark.
const RANGES: [Range; 3] = [
    Range {
        base: 0.62,
        relief: 0.09,
        near: 0.25,
        waves: [1.3, 3.1, 7.7],
        colour: [92, 134, 132],
        rough: 4,
    },
    Range {
        base: 0.74,
        relief: 0.08,
        near: 0.55,
        waves: [0.9, 2.3, 6.1],
        colour: [66, 130, 122],
        rough: 7,
    },
    Range {
        base: 0.88,
        relief: 0.07,
        near: 1.0,
        waves: [0.7, 1.9, 5.3],
        colour: [40, 122, 118],
        rough: 10,
    },
];

impl Range {
    fn hills(&self, width: usize, height: usize, nearest: f32) -> Hills {
        let pan = (nearest * self.near / 2.0).floor();
        let columns = width + 2 * pan as usize + 1;
        let crest = (0..columns).map(|x| {
            let along = TAU * x as f32 / width as f32;
            let [long, middle, short] = self.waves;
            let wave = (along * long + self.base * 9.0).sin() * 0.6
                + (along * middle + self.near * 5.0).sin() * 0.3
                + (along * short).sin() * 0.1;
            ((self.base - self.relief * wave) * height as f32) as i16
        });
        Hills {
            crest: crest.collect(),
            pan,
            colour: self.colour,
            rough: self.rough,
        }
    }
}

/// Dusk above, warm light near the horizon, and the sun's glow.
fn sky(width: usize, height: usize) -> Canvas {
    let (sun_x, sun_y) = (0.68, 0.56);
    let glow = |x: usize, y: usize, width: usize, height: usize| {
        let aspect = width as f32 / height as f32;
        let (dx, dy) = (
            (x as f32 / width as f32 - sun_x) * aspect,
            y as f32 / height as f32 - sun_y,
        );
        let off = dx * dx + dy * dy;
        (-off * 9.0).exp() * 0.7 + (-off * 160.0).exp() * 0.5
    };
    let mut canvas = Canvas {
        y: Vec::new(),
        u: Vec::new(),
        v: Vec::new(),
    };
    for y in 0..height {
        let down = y as f32 / height as f32;
        canvas
            .y
            .extend((0..width).map(|x| (46.0 + 84.0 * down + 90.0 * glow(x, y, width, height)).min(235.0) as u8));
    }
    let (half, rows) = (width / 2, height / 2);
    for y in 0..rows {
        let down = y as f32 / rows as f32;
        let warm = |x| (down * down + glow(x, y, half, rows)).min(1.0);
        canvas.u.extend((0..half).map(|x| (152.0 - 50.0 * warm(x)) as u8));
        canvas.v.extend((0..half).map(|x| (118.0 + 40.0 * warm(x)) as u8));
    }
    canvas
}

/// [`TILE`] rows of noise, −31..31, each repeating after [`TILE`] columns and long enough for any shift.
fn noise(width: usize) -> Vec<i8> {
    let mut random = fastrand::Rng::with_seed(0x5ce7e);
    let mut all = Vec::with_capacity((width + TILE) * TILE);
    for _ in 0..TILE {
        // The mean of two draws: small values are commoner, as in film.
        let tile: Vec<i8> = (0..TILE)
            .map(|_| (random.i16(-31..=31) + random.i16(-31..=31)).div_euclid(2) as i8)
            .collect();
        all.extend(tile.iter().cycle().take(width + TILE));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luma(picture: &Picture<Planes>) -> &[u8] {
        (*picture.pixels.y.bytes).as_ref()
    }

    #[test]
    fn the_same_time_gives_the_same_picture_and_another_time_another() {
        let period = Span::from_secs(4);
        let (one, two) = (
            Scene::new(160, 90, period).unwrap(),
            Scene::new(160, 90, period).unwrap(),
        );
        let mut before: Option<Picture<Planes>> = None;
        for i in 0..12 {
            let at = MediaTime::ZERO + Span::from_millis(i * 333);
            let (a, b, round) = (one.picture(at), two.picture(at), one.picture(at + period));
            assert_eq!(luma(&a), luma(&b));
            assert_eq!(luma(&a), luma(&round));
            if let Some(before) = before {
                let moved = luma(&before)
                    .iter()
                    .zip(luma(&a))
                    .filter(|(a, b)| a.abs_diff(**b) > 12)
                    .count();
                assert!(moved > 160 * 90 / 100, "only {moved} pixels changed");
            }
            before = Some(a);
        }
    }

    #[test]
    fn every_even_size_is_drawn_whole() {
        for (width, height) in [(2, 2), (2, 64), (64, 2), (320, 180), (90, 160), (642, 362)] {
            for period in [Span::from_millis(40), Span::from_secs(3), Span::from_secs(7_200)] {
                let scene = Scene::new(width, height, period).unwrap();
                for nanos in [i64::MIN, -1, 0, 1, 777_777_777, i64::MAX] {
                    let Picture { pixels, .. } = scene.picture(MediaTime::from_nanos(nanos));
                    let (half, rows) = (width as usize / 2, height as usize / 2);
                    assert!(pixels.y.row(height as usize - 1, width as usize).is_some());
                    assert!(pixels.u.row(rows - 1, half).is_some() && pixels.v.row(rows - 1, half).is_some());
                }
            }
        }
    }

    #[test]
    fn odd_and_outlandish_sizes_are_refused() {
        for (width, height) in [(0, 2), (3, 2), (2, 5), (MAX_SIDE + 2, 2), (2, u32::MAX)] {
            let refused = Scene::new(width, height, Span::from_secs(1)).err();
            assert_eq!(refused, Some(SceneError::Size(width, height)));
        }
        assert_eq!(Scene::new(2, 2, Span::ZERO).err(), Some(SceneError::Period));
    }
}
