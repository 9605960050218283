//! Scenes that ask a question of whoever looks at them: signs, shapes, dials and lamps before a moving camera.
//!
//! In the spirit of Artic's benchmark of degraded video understanding (arXiv 2602.12641): what is asked has one answer, which
//! is in the picture and nowhere else, and can be guessed one time in ten at most. A scene follows from its family, its split
//! and a seed. [`Split::Unseen`] has fonts, words, signs, grounds and phrasings that [`Split::Train`] never shows.
//! Start at [`Scene::new`].

mod composer;
mod foliage;
mod fonts;
mod ground;
mod paint;
mod phrasings;
mod questions;
mod telling;
mod things;

use hearsight_core::media::{Picture, Plane, Planes};
use tiny_skia::{Pixmap, Transform};

pub use foliage::{Foliage, TILE};
pub use fonts::{FontError, Fonts};
use ground::Ground;
pub use questions::{Family, Question};
pub use telling::Told;
use things::Thing;

/// Width and height of every scene, in pixels.
pub const SIZE: (u32, u32) = (640, 480);

/// How long a scene lasts, in seconds. What happens in it happens within.
pub const SECONDS: f32 = 3.0;

/// What a scene may be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// What a model may learn from.
    Train,
    /// What it is judged by.
    Unseen,
}

/// A question, and what is before the camera.
#[derive(Debug)]
pub struct Scene {
    /// What is asked.
    pub question: Question,
    ground: Ground,
    things: Vec<Thing>,
    camera: Camera,
}

/// How the camera is held: it sways, and the light changes a little.
#[derive(Clone, Copy, Debug)]
struct Camera {
    sway: (f32, f32),
    pace: (f32, f32),
    phase: f32,
    light: f32,
    noise: u64,
    /// How strong the noise of the sensor is: how far it goes up or down, in codes.
    grain: f32,
}

impl Camera {
    fn new(random: &mut fastrand::Rng) -> Camera {
        Camera {
            sway: (random.f32() * 5.0, random.f32() * 4.0),
            pace: (0.5 + random.f32(), 0.5 + random.f32()),
            phase: random.f32() * std::f32::consts::TAU,
            light: random.f32() * 0.05,
            noise: random.u64(..),
            grain: 0.9,
        }
    }

    /// How far the picture is moved at a time, in pixels.
    fn shift(&self, seconds: f32) -> (f32, f32) {
        let turn = |pace: f32| (self.phase + seconds * pace * 2.0).sin();
        (self.sway.0 * turn(self.pace.0), self.sway.1 * turn(self.pace.1))
    }

    /// What brightness is multiplied by.
    fn gain(&self, seconds: f32) -> f32 {
        1.0 + self.light * (self.phase + 1.3 * seconds).sin()
    }
}

impl Scene {
    /// The scene of a family and a split that follows from a seed.
    pub fn new(family: Family, split: Split, seed: u64, fonts: &Fonts) -> Scene {
        // Neighbouring seeds, families and splits have nothing in common.
        let mixed = seed
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .wrapping_add(((family as u64) << 32) | (split as u64 + 1));
        let mut random = fastrand::Rng::with_seed(mixed);
        let ground = Ground::new(split, &mut random);
        let (things, question) = questions::compose(family, split, fonts, &mut random);
        Scene {
            question,
            ground,
            things,
            camera: Camera::new(&mut random),
        }
    }

    /// The same, seen by a small camera in somebody's hand, indoors: it sways further and faster, and its sensor is noisy.
    pub fn in_hand(mut self) -> Scene {
        let camera = &mut self.camera;
        camera.sway = (4.0 * camera.sway.0, 4.0 * camera.sway.1);
        camera.pace = (1.5 * camera.pace.0, 1.5 * camera.pace.1);
        camera.grain = 3.0;
        self
    }

    /// What the camera sees at a time, in seconds from the beginning.
    pub fn render(&self, seconds: f32) -> Picture<Planes> {
        let mut map = Pixmap::new(SIZE.0, SIZE.1).expect("the size is not zero");
        self.ground.paint(&mut map, self.camera.shift(seconds));
        self.finish(map, seconds)
    }

    /// The same before another ground: a picture of [`SIZE`] in 8-bit RGB, row by row.
    pub fn render_before(&self, ground: &[u8], seconds: f32) -> Picture<Planes> {
        let mut map = Pixmap::new(SIZE.0, SIZE.1).expect("the size is not zero");
        for (pixel, from) in map.data_mut().chunks_exact_mut(4).zip(ground.chunks_exact(3)) {
            pixel.copy_from_slice(&[from[0], from[1], from[2], 255]);
        }
        self.finish(map, seconds)
    }

    /// Where the answer is seen at a time: left, top, right and bottom, as shares of the picture.
    pub fn region(&self, seconds: f32) -> [f32; 4] {
        let (x, y) = self.camera.shift(seconds);
        let place = self.question.place.at(seconds);
        let across = |value: f32| ((value + x) / SIZE.0 as f32).clamp(0.0, 1.0);
        let down = |value: f32| ((value + y) / SIZE.1 as f32).clamp(0.0, 1.0);
        [
            across(place.left()),
            down(place.top()),
            across(place.right()),
            down(place.bottom()),
        ]
    }

    /// What stands before the ground, then what the camera makes of it.
    fn finish(&self, mut map: Pixmap, seconds: f32) -> Picture<Planes> {
        let (x, y) = self.camera.shift(seconds);
        let held = Transform::from_translate(x, y);
        self.things
            .iter()
            .for_each(|thing| thing.paint(&mut map, held, seconds));
        planes_from_pixels(&map, self.camera.gain(seconds), self.camera.grain, self.noise(seconds))
    }

    fn noise(&self, seconds: f32) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.camera.noise ^ u64::from(seconds.to_bits()))
    }
}

/// BT.601, limited range, with the noise of a sensor: at most `grain` codes up or down.
fn planes_from_pixels(map: &Pixmap, gain: f32, grain: f32, mut noise: fastrand::Rng) -> Picture<Planes> {
    let (width, height) = (map.width() as usize, map.height() as usize);
    let colour = |x: usize, y: usize| {
        let pixel = map.pixels()[y * width + x];
        [pixel.red(), pixel.green(), pixel.blue()].map(|part| (f32::from(part) * gain).min(255.0))
    };
    let mut luma = Vec::with_capacity(width * height);
    for y in 0..height {
        let mut dice = 0_u64;
        for x in 0..width {
            if x % 32 == 0 {
                dice = noise.u64(..);
            }
            let [red, green, blue] = colour(x, y);
            let off = ((dice & 3) as f32 - 1.5) / 1.5;
            dice >>= 2;
            luma.push((16.5 + 0.2568 * red + 0.5041 * green + 0.0979 * blue + grain * off).clamp(1.0, 254.0) as u8);
        }
    }
    let (mut us, mut vs) = (Vec::new(), Vec::new());
    for y in (0..height).step_by(2) {
        for x in (0..width).step_by(2) {
            let mut sum = [0.0; 3];
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let one = colour((x + dx).min(width - 1), (y + dy).min(height - 1));
                sum = [0, 1, 2].map(|part| sum[part] + one[part] / 4.0);
            }
            let [red, green, blue] = sum;
            us.push((128.5 - 0.1482 * red - 0.2910 * green + 0.4392 * blue) as u8);
            vs.push((128.5 + 0.4392 * red - 0.3678 * green - 0.0714 * blue) as u8);
        }
    }
    let plane = |bytes: Vec<u8>, stride: usize| Plane {
        bytes: std::sync::Arc::new(bytes),
        stride,
    };
    Picture {
        width: width as u32,
        height: height as u32,
        pixels: Planes {
            y: plane(luma, width),
            u: plane(us, width.div_ceil(2)),
            v: plane(vs, width.div_ceil(2)),
        },
    }
}

#[cfg(test)]
mod tests;
