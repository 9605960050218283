//! What stands before the ground: signs, shapes, dials, gauges and lamps.

use std::f32::consts::TAU;

use tiny_skia::{Color, Pixmap, Rect, Transform};

use super::Split;
use super::fonts::Written;
use super::paint::{self, Colour, Shape};

/// One thing, where it is.
#[derive(Debug)]
pub(super) struct Thing {
    pub(super) kind: Kind,
    pub(super) place: Place,
}

/// A middle, a half size, and how it moves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) half: (f32, f32),
    /// Pixels a second.
    pub(super) speed: (f32, f32),
    /// Turned by so many degrees.
    pub(super) turn: f32,
}

impl Place {
    /// Where it is at a time, as an upright rectangle around it.
    pub(super) fn at(&self, seconds: f32) -> Rect {
        let (sin, cos) = self.turn.to_radians().sin_cos();
        let (wide, high) = (
            self.half.0 * cos.abs() + self.half.1 * sin.abs(),
            self.half.0 * sin.abs() + self.half.1 * cos.abs(),
        );
        let (x, y) = (self.x + self.speed.0 * seconds, self.y + self.speed.1 * seconds);
        Rect::from_ltrb(x - wide, y - high, x + wide, y + high).expect("a thing has a size")
    }

    fn transform(&self, held: Transform, seconds: f32) -> Transform {
        let (x, y) = (self.x + self.speed.0 * seconds, self.y + self.speed.1 * seconds);
        held.pre_translate(x, y).pre_rotate(self.turn)
    }
}

#[derive(Debug)]
pub(super) enum Kind {
    Figure {
        shape: Shape,
        colour: Color,
        border: Color,
        /// What it turns into, and when.
        change: Option<(Color, f32)>,
    },
    Sign {
        style: Style,
        text: Written,
        colour: Color,
        ink: Color,
    },
    /// With hands.
    Clock {
        hour: u32,
        minute: u32,
        ink: Color,
        face: Color,
    },
    /// Filled from below, in tenths.
    Gauge { tenths: u32, colour: Color },
    /// In a row; those that are lit.
    Lamps { lit: Vec<bool>, colour: Color },
}

/// What a sign is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Panel,
    Paper,
    Screen,
    /// A label with a hole.
    Tag,
    /// With a frame of two lines.
    Plate,
}

impl Style {
    pub(super) fn any(split: Split, random: &mut fastrand::Rng) -> Style {
        let styles: &[Style] = match split {
            Split::Train => &[Style::Panel, Style::Paper, Style::Screen],
            Split::Unseen => &[Style::Tag, Style::Plate],
        };
        styles[random.usize(..styles.len())]
    }

    /// How far right of the middle its text stands, where a capital letter is so high: there is a hole on the left.
    pub(super) fn shift(self, unit: f32) -> f32 {
        if self == Style::Tag { 0.4 * unit } else { 0.0 }
    }

    /// From the text to the edge, as a share of a capital letter's height: to the sides, above and below.
    fn margin(self) -> (f32, f32) {
        match self {
            Style::Panel => (0.8, 0.65),
            Style::Paper => (1.1, 1.0),
            Style::Screen => (0.9, 0.8),
            Style::Tag => (1.6, 0.7),
            Style::Plate => (1.0, 0.9),
        }
    }
}

/// A sign with a text, as large as the text wants it; its place is still to be found.
pub(super) fn sign(text: Written, style: Style, colour: Colour, random: &mut fastrand::Rng) -> Thing {
    let (side, above) = style.margin();
    let half = (
        text.width / 2.0 + side * text.height + 3.0,
        text.height / 2.0 + above * text.height + 3.0,
    );
    Thing {
        kind: Kind::Sign {
            style,
            ink: colour.ink(),
            colour: colour.shade(random),
            text,
        },
        place: Place {
            x: 0.0,
            y: 0.0,
            half,
            speed: (0.0, 0.0),
            turn: random.f32() * 10.0 - 5.0,
        },
    }
}

impl Thing {
    pub(super) fn paint(&self, map: &mut Pixmap, held: Transform, seconds: f32) {
        let place = self.place.transform(held, seconds);
        let half = self.place.half;
        match &self.kind {
            Kind::Figure {
                shape,
                colour,
                border,
                change,
            } => {
                let colour = change
                    .filter(|(_, from)| seconds >= *from)
                    .map_or(*colour, |(to, _)| to);
                let outline = shape.outline();
                let place = place.pre_scale(half.0, half.1);
                paint::fill(map, &outline, colour, place);
                paint::stroke(map, &outline, *border, 2.0 / half.0, place);
            }
            Kind::Sign {
                style,
                text,
                colour,
                ink,
            } => paint_sign(map, place, half, *style, text, (*colour, *ink)),
            Kind::Clock {
                hour,
                minute,
                ink,
                face,
            } => paint_clock(map, place.pre_scale(half.0, half.1), (*hour, *minute), *ink, *face),
            Kind::Gauge { tenths, colour } => paint_gauge(map, place, half, *tenths, *colour),
            Kind::Lamps { lit, colour } => paint_lamps(map, place, half, lit, *colour),
        }
    }
}

const DARK: fn() -> Color = || Color::from_rgba8(30, 30, 34, 255);
const LIGHT: fn() -> Color = || Color::from_rgba8(240, 240, 236, 255);

fn rect(half: (f32, f32), inset: f32) -> Rect {
    let (wide, high) = ((half.0 - inset).max(0.5), (half.1 - inset).max(0.5));
    Rect::from_ltrb(-wide, -high, wide, high).expect("half sizes are positive")
}

fn paint_sign(
    map: &mut Pixmap,
    place: Transform,
    half: (f32, f32),
    style: Style,
    text: &Written,
    (colour, ink): (Color, Color),
) {
    let unit = text.height;
    match style {
        Style::Panel => {
            let panel = paint::panel(rect(half, 0.0), 0.35 * unit);
            paint::fill(map, &panel, colour, place);
            paint::stroke(map, &panel, ink, (0.08 * unit).max(1.0), place);
        }
        Style::Paper => {
            let shadow = Color::from_rgba8(0, 0, 0, 90);
            let sheet = paint::panel(rect(half, 0.0), 0.0);
            paint::fill(map, &sheet, shadow, place.pre_translate(3.0, 4.0));
            paint::fill(map, &sheet, colour, place);
        }
        Style::Screen => {
            let case = paint::panel(rect(half, -0.3 * unit), 0.3 * unit);
            paint::fill(map, &case, DARK(), place);
            paint::fill(map, &paint::panel(rect(half, 0.0), 0.1 * unit), colour, place);
        }
        Style::Tag => {
            let (wide, high) = half;
            let cut = high * 0.6;
            let tag = paint::polygon(&[
                (-wide + cut, -high),
                (wide, -high),
                (wide, high),
                (-wide + cut, high),
                (-wide, high - cut),
                (-wide, cut - high),
            ]);
            paint::fill(map, &tag, colour, place);
            paint::stroke(map, &tag, ink, 1.2, place);
            let hole = paint::round(&[0.18 * unit + 1.0]);
            paint::fill(map, &hole, ink, place.pre_translate(-wide + 0.55 * unit + 2.0, 0.0));
        }
        Style::Plate => {
            let plate = paint::panel(rect(half, 0.0), 0.2 * unit);
            paint::fill(map, &plate, colour, place);
            for inset in [0.12, 0.32] {
                let frame = paint::panel(rect(half, inset * unit), 0.15 * unit);
                paint::stroke(map, &frame, ink, (0.05 * unit).max(0.8), place);
            }
        }
    }
    let middle = place.pre_translate(style.shift(unit) - text.width / 2.0, text.height / 2.0);
    map.fill_path(&text.path, &ink_of(ink), tiny_skia::FillRule::Winding, middle, None);
}

fn ink_of(colour: Color) -> tiny_skia::Paint<'static> {
    let mut paint = tiny_skia::Paint::default();
    paint.set_color(colour);
    paint
}

fn paint_clock(map: &mut Pixmap, place: Transform, (hour, minute): (u32, u32), ink: Color, face: Color) {
    let rim = paint::round(&[1.0]);
    paint::fill(map, &rim, face, place);
    paint::stroke(map, &rim, ink, 0.07, place);
    for mark in 0..12 {
        let long = if mark % 3 == 0 { 0.2 } else { 0.1 };
        hand(map, place, mark as f32 / 12.0, (0.9 - long, 0.9), 0.06, ink);
    }
    let minutes = minute as f32 / 60.0;
    hand(map, place, minutes, (-0.1, 0.82), 0.07, ink);
    hand(map, place, (hour as f32 + minutes) / 12.0, (-0.1, 0.5), 0.13, ink);
}

fn hand(map: &mut Pixmap, place: Transform, turn: f32, (from, to): (f32, f32), width: f32, ink: Color) {
    let half = width / 2.0;
    let bar = paint::polygon(&[(-half, -from), (-half, -to), (half, -to), (half, -from)]);
    paint::fill(map, &bar, ink, place.pre_rotate((turn * TAU).to_degrees()));
}

fn paint_gauge(map: &mut Pixmap, place: Transform, half: (f32, f32), tenths: u32, colour: Color) {
    paint::fill(map, &paint::panel(rect(half, 0.0), 4.0), LIGHT(), place);
    let (wide, high) = (half.0 - 4.0, half.1 - 4.0);
    let top = high - 2.0 * high * tenths as f32 / 10.0;
    if let Some(filled) = Rect::from_ltrb(-wide, top, wide, high).filter(|_| tenths > 0) {
        paint::fill(map, &paint::panel(filled, 0.0), colour, place);
    }
    for mark in 1..10 {
        let y = high - 2.0 * high * mark as f32 / 10.0;
        let long = if mark == 5 { wide } else { wide * 0.45 };
        let line = paint::polygon(&[
            (-wide, y - 0.8),
            (-wide + long, y - 0.8),
            (-wide + long, y + 0.8),
            (-wide, y + 0.8),
        ]);
        paint::fill(map, &line, DARK(), place);
    }
    paint::stroke(map, &paint::panel(rect(half, 1.0), 4.0), DARK(), 2.5, place);
}

fn paint_lamps(map: &mut Pixmap, place: Transform, half: (f32, f32), lit: &[bool], colour: Color) {
    paint::fill(map, &paint::panel(rect(half, 0.0), 6.0), DARK(), place);
    let step = 2.0 * half.0 / lit.len() as f32;
    let off = Color::from_rgba8(70, 70, 74, 255);
    for (at, lit) in lit.iter().enumerate() {
        let lamp = place.pre_translate(-half.0 + step * (at as f32 + 0.5), 0.0);
        let bulb = paint::round(&[(step * 0.36).min(half.1 * 0.75)]);
        paint::fill(map, &bulb, if *lit { colour } else { off }, lamp);
        paint::stroke(map, &bulb, LIGHT(), 1.5, lamp);
    }
}
