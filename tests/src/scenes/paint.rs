//! Colours by their names, and outlines of shapes.

use std::f32::consts::{FRAC_PI_2, TAU};

use tiny_skia::{Color, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, Transform};

/// A colour that people agree on the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour {
    pub(super) name: &'static str,
    pub(super) rgb: [u8; 3],
}

/// Twelve of them.
pub(super) const COLOURS: [Colour; 12] = [
    named("red", [205, 30, 35]),
    named("orange", [245, 130, 25]),
    named("yellow", [245, 220, 40]),
    named("green", [35, 150, 60]),
    named("cyan", [40, 205, 215]),
    named("blue", [35, 70, 200]),
    named("purple", [125, 45, 165]),
    named("pink", [250, 140, 190]),
    named("brown", [115, 70, 35]),
    named("black", [18, 18, 20]),
    named("grey", [128, 128, 130]),
    named("white", [245, 245, 245]),
];

const fn named(name: &'static str, rgb: [u8; 3]) -> Colour {
    Colour { name, rgb }
}

impl Colour {
    /// Near enough to keep its name.
    pub(super) fn shade(self, random: &mut fastrand::Rng) -> Color {
        let [red, green, blue] = self
            .rgb
            .map(|part| (i32::from(part) + random.i32(-9..=9)).clamp(0, 255) as u8);
        Color::from_rgba8(red, green, blue, 255)
    }

    /// Of what a shade is one.
    pub(super) fn nearest(shade: Color) -> Colour {
        let shade = shade.to_color_u8();
        let parts = [shade.red(), shade.green(), shade.blue()];
        let far = |colour: &Colour| -> u32 {
            let apart = colour
                .rgb
                .iter()
                .zip(parts)
                .map(|(one, other)| u32::from(one.abs_diff(other)));
            apart.map(|part| part * part).sum()
        };
        COLOURS.into_iter().min_by_key(far).unwrap_or(COLOURS[0])
    }

    /// Black or white: what can be read on it.
    pub(super) fn ink(self) -> Color {
        let [red, green, blue] = self.rgb.map(f32::from);
        if 0.3 * red + 0.59 * green + 0.11 * blue > 120.0 {
            Color::from_rgba8(15, 15, 18, 255)
        } else {
            Color::from_rgba8(248, 248, 245, 255)
        }
    }
}

/// A shape that people agree on the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Circle,
    Square,
    Triangle,
    Star,
    Heart,
    Cross,
    Ring,
    Diamond,
    Hexagon,
    Arrow,
    Crescent,
}

impl Shape {
    pub(super) const ALL: [Shape; 11] = [
        Shape::Circle,
        Shape::Square,
        Shape::Triangle,
        Shape::Star,
        Shape::Heart,
        Shape::Cross,
        Shape::Ring,
        Shape::Diamond,
        Shape::Hexagon,
        Shape::Arrow,
        Shape::Crescent,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Shape::Circle => "circle",
            Shape::Square => "square",
            Shape::Triangle => "triangle",
            Shape::Star => "star",
            Shape::Heart => "heart",
            Shape::Cross => "cross",
            Shape::Ring => "ring",
            Shape::Diamond => "diamond",
            Shape::Hexagon => "hexagon",
            Shape::Arrow => "arrow",
            Shape::Crescent => "crescent",
        }
    }

    pub(super) fn plural(self) -> String {
        match self {
            Shape::Cross => "crosses".into(),
            _ => format!("{}s", self.name()),
        }
    }

    /// Its outline around the origin, within a circle of radius 1.
    pub(super) fn outline(self) -> Path {
        match self {
            Shape::Circle => round(&[1.0]),
            Shape::Ring => round(&[1.0, 0.55]),
            Shape::Square => polygon(&corners(4, 1.0, FRAC_PI_2 / 2.0)),
            Shape::Triangle => polygon(&corners(3, 1.0, -FRAC_PI_2)),
            Shape::Hexagon => polygon(&corners(6, 1.0, 0.0)),
            Shape::Diamond => polygon(&[(0.0, -1.0), (0.6, 0.0), (0.0, 1.0), (-0.6, 0.0)]),
            Shape::Star => {
                let (outer, inner) = (corners(5, 1.0, -FRAC_PI_2), corners(5, 0.42, -FRAC_PI_2 + TAU / 10.0));
                let points: Vec<_> = outer.into_iter().zip(inner).flat_map(|(a, b)| [a, b]).collect();
                polygon(&points)
            }
            Shape::Cross => {
                let (long, thin) = (0.95, 0.3);
                let arm = [(thin, -long), (thin, -thin), (long, -thin)];
                let turned = |turn: usize| {
                    arm.map(|(x, y)| match turn {
                        0 => (x, y),
                        1 => (-y, x),
                        2 => (-x, -y),
                        _ => (y, -x),
                    })
                };
                polygon(&(0..4).flat_map(turned).collect::<Vec<_>>())
            }
            Shape::Arrow => polygon(&[
                (-0.9, -0.28),
                (0.15, -0.28),
                (0.15, -0.7),
                (0.95, 0.0),
                (0.15, 0.7),
                (0.15, 0.28),
                (-0.9, 0.28),
            ]),
            Shape::Heart => {
                let mut path = PathBuilder::new();
                path.move_to(0.0, 0.92);
                path.cubic_to(-1.4, -0.1, -0.75, -1.15, 0.0, -0.45);
                path.cubic_to(0.75, -1.15, 1.4, -0.1, 0.0, 0.92);
                finished(path)
            }
            Shape::Crescent => {
                let mut path = PathBuilder::new();
                path.move_to(0.3, -0.95);
                path.cubic_to(-1.25, -0.95, -1.25, 0.95, 0.3, 0.95);
                path.cubic_to(-0.45, 0.5, -0.45, -0.5, 0.3, -0.95);
                finished(path)
            }
        }
    }
}

fn finished(mut path: PathBuilder) -> Path {
    path.close();
    path.finish().expect("a shape has an outline")
}

fn corners(count: usize, radius: f32, from: f32) -> Vec<(f32, f32)> {
    let turn = |at: usize| from + TAU * at as f32 / count as f32;
    (0..count)
        .map(|at| (radius * turn(at).cos(), radius * turn(at).sin()))
        .collect()
}

/// The outline through these points.
pub(super) fn polygon(points: &[(f32, f32)]) -> Path {
    let mut path = PathBuilder::new();
    for (at, (x, y)) in points.iter().enumerate() {
        match at {
            0 => path.move_to(*x, *y),
            _ => path.line_to(*x, *y),
        }
    }
    finished(path)
}

/// Circles around the origin; with two, what lies between them.
pub(super) fn round(radii: &[f32]) -> Path {
    let mut path = PathBuilder::new();
    radii.iter().for_each(|radius| path.push_circle(0.0, 0.0, *radius));
    path.finish().expect("a circle has an outline")
}

/// A rectangle with round corners.
pub(super) fn panel(place: Rect, radius: f32) -> Path {
    let (left, top, right, bottom) = (place.left(), place.top(), place.right(), place.bottom());
    let radius = radius.min(place.width() / 2.0).min(place.height() / 2.0);
    let mut path = PathBuilder::new();
    path.move_to(left + radius, top);
    path.line_to(right - radius, top);
    path.quad_to(right, top, right, top + radius);
    path.line_to(right, bottom - radius);
    path.quad_to(right, bottom, right - radius, bottom);
    path.line_to(left + radius, bottom);
    path.quad_to(left, bottom, left, bottom - radius);
    path.line_to(left, top + radius);
    path.quad_to(left, top, left + radius, top);
    finished(path)
}

/// Fills an outline; what lies within an even number of circles stays empty.
pub(super) fn fill(map: &mut Pixmap, path: &Path, colour: Color, place: Transform) {
    map.fill_path(path, &paint(colour), tiny_skia::FillRule::EvenOdd, place, None);
}

/// Draws along an outline, `width` pixels wide before `place` changes the scale.
pub(super) fn stroke(map: &mut Pixmap, path: &Path, colour: Color, width: f32, place: Transform) {
    let stroke = Stroke {
        width,
        ..Stroke::default()
    };
    map.stroke_path(path, &paint(colour), &stroke, place, None);
}

fn paint(colour: Color) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color(colour);
    paint.anti_alias = true;
    paint
}
