//! Clips rendered from photographs: a ground under a camera that moves, cut-outs of others that move across it, signs
//! that stand still; with the shutter open for some of the time, and noise.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::material;

/// Width of a photograph in memory, in samples; a pixel of a clip is about two of them wide.
const WIDE: usize = 1600;

/// A photograph: luma, u and v, each of its full size.
pub(crate) struct Photo {
    width: usize,
    height: usize,
    planes: [Vec<u8>; 3],
}

impl Photo {
    /// Reads and shrinks it.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let mut command = material::ffmpeg();
        let filter = format!("scale={WIDE}:-2:flags=area,format=yuv444p");
        command
            .arg("-i")
            .arg(path)
            .args(["-frames:v", "1", "-vf", &filter, "-f", "rawvideo", "-"]);
        let (bytes, _) = material::run(&mut command, None).with_context(|| format!("{}", path.display()))?;
        let height = bytes.len() / (3 * WIDE);
        ensure!(height > 0, "{}: not a photograph", path.display());
        let plane = |at: usize| bytes[at * WIDE * height..(at + 1) * WIDE * height].to_vec();
        Ok(Self {
            width: WIDE,
            height,
            planes: [0, 1, 2].map(plane),
        })
    }

    /// Bilinear; beyond its edges it is mirrored.
    fn sample(&self, plane: usize, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let (right, below) = (x - left, y - top);
        let (left, top) = (left as i32, top as i32);
        let [a, b] = [0, 1].map(|more| mirrored(left + more, self.width));
        let [c, d] = [0, 1].map(|more| mirrored(top + more, self.height) * self.width);
        let plane = &self.planes[plane];
        let line = |row: usize| {
            let (a, b) = (f32::from(plane[row + a]), f32::from(plane[row + b]));
            a + (b - a) * right
        };
        let (upper, lower) = (line(c), line(d));
        upper + (lower - upper) * below
    }
}

fn mirrored(at: i32, length: usize) -> usize {
    let length = length as i32;
    let at = at.rem_euclid(2 * length);
    at.min(2 * length - 1 - at) as usize
}

/// Where something is, and how it is turned and grown, over time in pictures.
struct Course {
    place: [f32; 2],
    speed: [f32; 2],
    gain: [f32; 2],
    /// Amplitude and turns per picture of a shake.
    shake: (f32, f32),
    angle: f32,
    turn: f32,
    size: f32,
    growth: f32,
}

/// Turned, grown and moved: a place in the clip becomes one on what moves.
#[derive(Clone, Copy)]
struct Pose {
    centre: [f32; 2],
    cos: f32,
    sin: f32,
}

impl Course {
    fn new(random: &mut fastrand::Rng, place: [f32; 2], fastest: f32) -> Self {
        let mut spread = |most: f32| (random.f32() * 2.0 - 1.0) * most;
        // Slow motion is more frequent than fast.
        let mut speed = || spread(1.0).powi(3).abs().sqrt() * spread(fastest);
        let speed = [speed(), speed() * 0.6];
        let gain = [spread(0.15), spread(0.1)];
        let (angle, turn, growth) = (spread(3.0), spread(1.0).powi(3) * 0.03, spread(1.0).powi(3) * 0.015);
        let shake = if random.u8(..3) == 0 {
            (random.f32() * 2.5, 0.05 + random.f32() * 0.3)
        } else {
            (0.0, 0.0)
        };
        Self {
            place,
            speed,
            gain,
            shake,
            angle,
            turn: if random.bool() { turn } else { 0.0 },
            size: 0.8 + random.f32() * 0.9,
            growth: if random.bool() { growth } else { 0.0 },
        }
    }

    fn at(&self, time: f32) -> Pose {
        let phase = self.shake.1 * time * std::f32::consts::TAU;
        let shake = [self.shake.0 * phase.sin(), self.shake.0 * (phase * 1.37).cos()];
        let part = |at: usize| self.place[at] + self.speed[at] * time + self.gain[at] * time * time + shake[at];
        let (sin, cos) = (self.angle + self.turn * time).sin_cos();
        let size = self.size * (1.0 + self.growth).powf(time);
        Pose {
            centre: [part(0), part(1)],
            cos: cos / size,
            sin: sin / size,
        }
    }
}

impl Pose {
    fn local(self, x: f32, y: f32) -> (f32, f32) {
        let (x, y) = (x - self.centre[0], y - self.centre[1]);
        (self.cos * x + self.sin * y, self.cos * y - self.sin * x)
    }
}

/// Part of a photograph that moves.
struct Layer {
    photo: usize,
    /// Where on the photograph its middle lies.
    middle: [f32; 2],
    path: Course,
    /// Mean radius in pixels, and waves of its outline; none: it is everywhere.
    outline: Option<(f32, [(f32, f32); 4])>,
    /// Waves that run through it, as of cloth or leaves: amplitude, length, turns per picture.
    waves: (f32, f32, f32),
    contrast: f32,
}

impl Layer {
    fn new(random: &mut fastrand::Rng, photos: usize, size: (f32, f32), ground: bool) -> Self {
        let place = [random.f32() * size.0, random.f32() * size.1];
        let outline = (!ground).then(|| {
            let radius = (0.06 + random.f32() * 0.2) * size.0;
            (radius, [0; 4].map(|_| (random.f32() * 0.22, random.f32() * 6.3)))
        });
        let waves = if random.u8(..4) == 0 {
            (random.f32() * 3.0, 20.0 + random.f32() * 120.0, random.f32() * 0.08)
        } else {
            (0.0, 1.0, 0.0)
        };
        Self {
            photo: random.usize(..photos),
            middle: [random.f32() * WIDE as f32, random.f32() * WIDE as f32],
            path: Course::new(random, place, if ground { 14.0 } else { 18.0 }),
            outline,
            waves,
            contrast: 0.7 + random.f32() * 0.4,
        }
    }

    /// Where on its photograph a place of the clip lies; none beyond its outline.
    fn place(&self, pose: Pose, time: f32, x: f32, y: f32) -> Option<(f32, f32)> {
        let (x, y) = pose.local(x, y);
        if let Some((radius, waves)) = &self.outline {
            let far = x.hypot(y);
            if far > 2.0 * radius {
                return None;
            }
            let angle = y.atan2(x);
            let wave = |(order, (part, phase)): (usize, &(f32, f32))| part * ((order + 2) as f32 * angle + phase).cos();
            if far > radius * (1.0 + waves.iter().enumerate().map(wave).sum::<f32>()) {
                return None;
            }
        }
        let (amplitude, length, turns) = self.waves;
        let phase = turns * time * std::f32::consts::TAU;
        let (across, down) = if amplitude > 0.0 {
            (
                amplitude * (y / length + phase).sin(),
                amplitude * (x / length - phase).sin(),
            )
        } else {
            (0.0, 0.0)
        };
        Some((self.middle[0] + 2.0 * (x + across), self.middle[1] + 2.0 * (y + down)))
    }
}

/// Letters that stand still, of strokes in a cell each, on a field or on the picture itself.
struct Sign {
    left: usize,
    top: usize,
    cell: usize,
    thick: usize,
    letters: [usize; 2],
    shapes: Vec<u8>,
    ink: u8,
    field: Option<u8>,
}

impl Sign {
    fn new(random: &mut fastrand::Rng, size: material::Size) -> Self {
        let cell = random.usize(9..28);
        let letters = [random.usize(3..24), random.usize(1..5)];
        let (width, height) = (letters[0] * cell, letters[1] * (cell * 3 / 2));
        let dark = random.bool();
        Self {
            left: random.usize(0..(size.0 as usize).saturating_sub(width).max(1)),
            top: random.usize(0..(size.1 as usize).saturating_sub(height).max(1)),
            cell,
            thick: random.usize(1..=(cell / 6).max(1)),
            letters,
            shapes: (0..letters[0] * letters[1]).map(|_| random.u8(1..)).collect(),
            ink: if dark { 20 } else { 235 },
            field: (random.u8(..3) == 0).then_some(if dark { 225 } else { 30 }),
        }
    }

    /// The luma at a place, where there is any of it.
    fn at(&self, x: usize, y: usize) -> Option<u8> {
        let (x, y) = (x.checked_sub(self.left)?, y.checked_sub(self.top)?);
        let tall = self.cell * 3 / 2;
        let (column, row) = (x / self.cell, y / tall);
        if column >= self.letters[0] || row >= self.letters[1] {
            return None;
        }
        let shape = self.shapes[row * self.letters[0] + column];
        let (x, y) = (x % self.cell, y % tall);
        let (right, bottom) = (self.cell * 3 / 4, tall * 3 / 4);
        if x >= right || y >= bottom {
            return self.field;
        }
        let near = |one: usize, line: usize| one >= line && one < line + self.thick;
        let middle = bottom / 2;
        let strokes = [
            near(x, 0),
            near(x, right - self.thick),
            near(y, 0),
            near(y, bottom - self.thick),
            near(y, middle),
            near(x, right / 2),
            x * bottom / right.max(1) >= y && x * bottom / right.max(1) < y + 2 * self.thick,
            y < middle && near(x, 0),
        ];
        let inked = strokes
            .iter()
            .enumerate()
            .any(|(bit, stroke)| *stroke && shape >> bit & 1 == 1);
        if inked { Some(self.ink) } else { self.field }
    }
}

/// A clip that can be rendered.
pub(crate) struct Clip {
    pub(crate) size: material::Size,
    layers: Vec<Layer>,
    signs: Vec<Sign>,
    /// Part of the time between two pictures for which the shutter is open.
    shutter: f32,
    noise: f32,
    /// Change of brightness per picture, in codes.
    fade: f32,
    seed: u64,
}

/// Samples in each pixel: where, and when while the shutter is open.
const WITHIN: [(f32, f32, f32); 4] = [
    (-0.25, -0.25, -0.375),
    (0.25, 0.25, -0.125),
    (-0.25, 0.25, 0.125),
    (0.25, -0.25, 0.375),
];

impl Clip {
    pub(crate) fn new(random: &mut fastrand::Rng, photos: usize) -> Self {
        let size = [(384, 288), (448, 256), (480, 320), (512, 288)][random.usize(..4)];
        let wide = (size.0 as f32, size.1 as f32);
        let others = [0, 1, 1, 2, 3, 4][random.usize(..6)];
        let layers = (0..=others)
            .map(|at| Layer::new(random, photos, wide, at == 0))
            .collect();
        let signs = if random.u8(..4) == 0 { random.usize(1..3) } else { 0 };
        let signs = (0..signs).map(|_| Sign::new(random, size)).collect();
        Self {
            size,
            layers,
            signs,
            shutter: if random.bool() { random.f32() * 0.8 } else { 0.0 },
            noise: if random.u8(..3) == 0 { random.f32() * 3.0 } else { 0.0 },
            fade: if random.u8(..8) == 0 {
                random.f32() * 4.0 - 2.0
            } else {
                0.0
            },
            seed: random.u64(..),
        }
    }

    /// So many pictures, each luma, u and v.
    pub(crate) fn render(&self, photos: &[Photo], count: usize) -> Vec<Vec<u8>> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        (0..count)
            .map(|at| self.picture(photos, at as f32, &mut random))
            .collect()
    }

    fn picture(&self, photos: &[Photo], time: f32, random: &mut fastrand::Rng) -> Vec<u8> {
        let moments = WITHIN.map(|(_, _, when)| time + when * self.shutter);
        let poses: Vec<[Pose; 4]> = self
            .layers
            .iter()
            .map(|layer| moments.map(|when| layer.path.at(when)))
            .collect();
        let look = |plane: usize, side: f32, column: usize, row: usize, count: usize| {
            let mut sum = 0.0;
            for (at, (x, y, _)) in WITHIN.iter().enumerate().take(count) {
                let (x, y) = ((column as f32 + 0.5 + x) * side, (row as f32 + 0.5 + y) * side);
                // The front layer is the last.
                for (layer, poses) in self.layers.iter().zip(&poses).rev() {
                    if let Some((x, y)) = layer.place(poses[at], moments[at], x, y) {
                        let code = photos[layer.photo].sample(plane, x, y);
                        sum += if plane == 0 {
                            126.0 + (code - 126.0) * layer.contrast
                        } else {
                            code
                        };
                        break;
                    }
                }
            }
            sum / count as f32
        };
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let mut bytes = Vec::with_capacity(width * height * 3 / 2);
        for row in 0..height {
            for column in 0..width {
                let sign = self.signs.iter().find_map(|sign| sign.at(column, row));
                let level = sign.map_or_else(|| look(0, 1.0, column, row, 4), f32::from);
                // The sum of three even ones is near enough to a Gaussian; its deviation is a half.
                let noise = (random.f32() + random.f32() + random.f32() - 1.5) * 2.0 * self.noise;
                bytes.push((level + noise + self.fade * time + 0.5).clamp(0.0, 255.0) as u8);
            }
        }
        for plane in [1, 2] {
            for row in 0..height / 2 {
                for column in 0..width / 2 {
                    let signed = self.signs.iter().any(|sign| sign.at(2 * column, 2 * row).is_some());
                    let level = if signed {
                        128.0
                    } else {
                        look(plane, 2.0, column, row, 2)
                    };
                    bytes.push((level + 0.5).clamp(0.0, 255.0) as u8);
                }
            }
        }
        bytes
    }
}
