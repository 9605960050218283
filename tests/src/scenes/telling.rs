//! What is in a scene, told as it was made: what a model learns to see.

use super::composer::{COLUMNS, Composer, ROWS};
use super::fonts::Figures;
use super::paint::Colour;
use super::things::{Kind, Place, Thing};
use super::{Family, Fonts, Scene, Split};

/// One thing in a scene at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// `figure`, `sign`, `clock`, `gauge` or `lamps`.
    pub kind: &'static str,
    /// Of a figure.
    pub shape: Option<&'static str>,
    /// Of a figure or a sign.
    pub colour: Option<&'static str>,
    /// What a sign, a clock, a gauge or lamps show, as the answer to a question has it, but for its case.
    pub shows: Option<String>,
    /// Left, top, right and bottom in pixels.
    pub edges: [f32; 4],
    /// Of a sign's text, in pixels: the middle, half the width, half the height of a capital, and its angle in degrees.
    pub line: Option<[f32; 5]>,
}

impl Scene {
    /// A scene as full of everything as it may be, with random letters on its signs, of what [`Split::Train`] has. What it asks has more than one answer: it
    /// is to be told, not asked.
    pub fn crowded(seed: u64, fonts: &Fonts) -> Scene {
        let mut scene = Scene::new(Family::Motion, Split::Train, seed, fonts);
        let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0xA076_1D64_78BD_642F));
        let mut composer = Composer {
            family: Family::Motion,
            split: Split::Train,
            fonts,
            random: &mut random,
            things: Vec::new(),
            free: [[true; COLUMNS]; ROWS],
        };
        composer.crowd();
        scene.things = composer.things;
        scene
    }

    /// What is in it at a time, in the order in which it is painted.
    pub fn tell(&self, seconds: f32) -> Vec<Told> {
        let shift = self.camera.shift(seconds);
        self.things.iter().map(|thing| thing.tell(shift, seconds)).collect()
    }
}

impl Thing {
    fn tell(&self, (x, y): (f32, f32), seconds: f32) -> Told {
        let place = self.place.at(seconds);
        let told = Told {
            kind: "",
            shape: None,
            colour: None,
            shows: None,
            edges: [place.left() + x, place.top() + y, place.right() + x, place.bottom() + y],
            line: None,
        };
        match &self.kind {
            Kind::Figure {
                shape, colour, change, ..
            } => {
                let colour = change
                    .filter(|(_, from)| seconds >= *from)
                    .map_or(*colour, |(to, _)| to);
                Told {
                    kind: "figure",
                    shape: Some(shape.name()),
                    colour: Some(Colour::nearest(colour).name),
                    ..told
                }
            }
            Kind::Sign {
                style, text, colour, ..
            } => Told {
                kind: "sign",
                colour: Some(Colour::nearest(*colour).name),
                shows: Some(text.text.clone()),
                line: Some(line(
                    &self.place,
                    style.shift(text.height),
                    (text.width, text.height),
                    (x, y),
                    seconds,
                )),
                ..told
            },
            Kind::Clock { .. } => Told {
                kind: "clock",
                shows: self.kind.reading(),
                ..told
            },
            Kind::Gauge { .. } => Told {
                kind: "gauge",
                shows: self.kind.reading(),
                ..told
            },
            Kind::Lamps { .. } => Told {
                kind: "lamps",
                shows: self.kind.reading(),
                ..told
            },
        }
    }
}

impl Kind {
    /// What an instrument shows, in the words of an answer.
    pub(super) fn reading(&self) -> Option<String> {
        match self {
            Kind::Clock { hour, minute, .. } => {
                let hour = if *hour == 0 { 12 } else { *hour };
                Some(format!("{hour}:{minute:02}"))
            }
            Kind::Gauge { tenths, .. } => Some((tenths * 10).to_string()),
            Kind::Lamps { lit, .. } => {
                let lit = lit.iter().zip(1..).filter(|(lit, _)| **lit);
                let numbers: Vec<String> = lit.map(|(_, at)| at.to_string()).collect();
                Some(numbers.join(" "))
            }
            Kind::Figure { .. } | Kind::Sign { .. } => None,
        }
    }
}

fn line(place: &Place, off: f32, (width, height): (f32, f32), (x, y): (f32, f32), seconds: f32) -> [f32; 5] {
    let (sin, cos) = place.turn.to_radians().sin_cos();
    let middle = (
        place.x + place.speed.0 * seconds + x,
        place.y + place.speed.1 * seconds + y,
    );
    [
        middle.0 + off * cos,
        middle.1 + off * sin,
        width / 2.0,
        height / 2.0,
        place.turn,
    ]
}

impl Composer<'_> {
    /// Things of all kinds, until there is no more room or luck.
    fn crowd(&mut self) {
        let most = self.random.usize(3..=14);
        for _ in 0..most {
            match self.random.u32(..10) {
                0..=2 => self.crowd_with_a_sign(),
                3 => self.crowd_with_an_instrument(Family::Clock),
                4 => self.crowd_with_an_instrument(Family::Gauge),
                5 => self.crowd_with_an_instrument(Family::Lamps),
                _ => {
                    let (shape, colour) = (self.shape(&[]), self.colour(&[]));
                    // As large and as small as any family has them.
                    let radius = 17.0 * 3.8_f32.powf(self.random.f32());
                    let thing = self.figure(shape, colour, radius);
                    self.stand(thing);
                }
            }
        }
    }

    fn crowd_with_a_sign(&mut self) {
        let text = self.letters();
        let (colour, size) = (self.colour(&[]), self.letter_size());
        let figures = if self.random.u32(..4) == 0 {
            Figures::OldStyle
        } else {
            Figures::Lining
        };
        self.try_sign(&text, colour, size, figures);
    }

    fn crowd_with_an_instrument(&mut self, family: Family) {
        let (thing, _) = self.instrument(family);
        self.stand(thing);
    }

    /// Letters and digits that mean nothing, so that reading is learnt and not a list of words.
    fn letters(&mut self) -> String {
        let random = &mut *self.random;
        match random.u32(..8) {
            0 => self.word(),
            1 => format!("${}.{}", random.u32(..1000), self.digits(2)),
            2 => format!("{:02}:{:02}", random.u32(..24), random.u32(..60)),
            3 => {
                let letters: String = (0..3).map(|_| random.uppercase()).collect();
                format!("{letters}-{}", self.digits(3))
            }
            4 => {
                let count = random.usize(2..=8);
                (0..count).map(|_| random.alphanumeric()).collect()
            }
            _ => {
                // Now and then two of a kind, as words have them.
                let count = random.usize(3..=9);
                let letter = |random: &mut fastrand::Rng, at: usize| match (at + usize::from(random.u32(..5) == 0)) % 2
                {
                    0 => b"bcdfghjklmnpqrstvwxyz"[random.usize(..21)],
                    _ => b"aeiou"[random.usize(..5)],
                };
                let word: String = (0..count).map(|at| char::from(letter(random, at))).collect();
                if random.bool() { word.to_uppercase() } else { word }
            }
        }
    }
}
