//! Geometry of lines of text: hulls, and the smallest slanted rectangle around a set of points.

use hearsight_core::media::{Point, Region};

/// A rectangle at any angle, in pixels: what a line of text fills. Text runs along `along`, and down from it is `along`
/// turned clockwise by a right angle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slant {
    /// Its middle.
    pub centre: Point,
    /// The way the text runs, of length 1.
    pub along: Point,
    /// Its length along the text.
    pub width: f32,
    /// Its extent across the text.
    pub height: f32,
}

impl Slant {
    /// The place at shares of its width and height, from where its text begins, at the top.
    pub fn at(&self, across: f32, down: f32) -> Point {
        let (right, below) = ((across - 0.5) * self.width, (down - 0.5) * self.height);
        Point {
            x: self.centre.x + self.along.x * right - self.along.y * below,
            y: self.centre.y + self.along.y * right + self.along.x * below,
        }
    }

    /// Its corners clockwise, from where its text begins, at the top.
    pub fn corners(&self) -> [Point; 4] {
        [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)].map(|(across, down)| self.at(across, down))
    }

    /// The same place as shares of a picture, held inside it.
    pub fn region(&self, width: u32, height: u32) -> Region {
        let share = |value: f32, whole: u32| (value / whole.max(1) as f32).clamp(0.0, 1.0);
        Region {
            corners: self.corners().map(|corner| Point {
                x: share(corner.x, width),
                y: share(corner.y, height),
            }),
        }
    }

    /// The upright rectangle around it: left, top, right, bottom.
    pub(super) fn bounds(&self) -> [f32; 4] {
        let corners = self.corners();
        let of = |pick: fn(Point) -> f32, choose: fn(f32, f32) -> f32| {
            corners.map(pick).into_iter().reduce(choose).unwrap_or_default()
        };
        [
            of(|p| p.x, f32::min),
            of(|p| p.y, f32::min),
            of(|p| p.x, f32::max),
            of(|p| p.y, f32::max),
        ]
    }

    /// Grown by `margin` on every side.
    pub(super) fn grown(self, margin: f32) -> Slant {
        Slant {
            width: self.width + 2.0 * margin,
            height: self.height + 2.0 * margin,
            ..self
        }
    }

    /// In another scale of the picture.
    pub(super) fn scaled(self, across: f32, down: f32) -> Slant {
        let [begin, right, _, below] = self.corners().map(|corner| Point {
            x: corner.x * across,
            y: corner.y * down,
        });
        let (width, height) = (distance(begin, right), distance(begin, below));
        let along = Point {
            x: (right.x - begin.x) / width.max(f32::EPSILON),
            y: (right.y - begin.y) / width.max(f32::EPSILON),
        };
        let centre = Point {
            x: self.centre.x * across,
            y: self.centre.y * down,
        };
        Slant {
            centre,
            along,
            width,
            height,
        }
    }

    /// Seen the other way up.
    pub(super) fn turned(self) -> Slant {
        let along = Point {
            x: -self.along.x,
            y: -self.along.y,
        };
        Slant { along, ..self }
    }

    /// Every number is finite and there is something inside.
    pub(super) fn sound(&self) -> bool {
        let numbers = [self.centre.x, self.centre.y, self.along.x, self.along.y];
        numbers.iter().all(|number| number.is_finite()) && self.width > 0.0 && self.height > 0.0
    }
}

fn distance(a: Point, b: Point) -> f32 {
    (a.x - b.x).hypot(a.y - b.y)
}

/// The smallest rectangle around the points of a convex hull, lying as most text does: it runs to the right, or downwards
/// where it is half as high again as wide (the reference's rule). `None` for fewer than three points.
pub(super) fn smallest_around(hull: &[Point]) -> Option<Slant> {
    let edges = hull.iter().zip(hull.iter().cycle().skip(1));
    let around = edges.filter_map(|(from, to)| {
        let length = distance(*from, *to);
        let along = Point {
            x: (to.x - from.x) / length,
            y: (to.y - from.y) / length,
        };
        (length > 0.0 && hull.len() > 2).then(|| around(hull, along))
    });
    let smallest = around.min_by(|a, b| (a.width * a.height).total_cmp(&(b.width * b.height)))?;
    Some(laid(smallest))
}

fn around(hull: &[Point], along: Point) -> Slant {
    let mut extent = [f32::MAX, f32::MIN, f32::MAX, f32::MIN];
    for point in hull {
        let (right, below) = (
            point.x * along.x + point.y * along.y,
            point.y * along.x - point.x * along.y,
        );
        extent = [
            extent[0].min(right),
            extent[1].max(right),
            extent[2].min(below),
            extent[3].max(below),
        ];
    }
    let (right, below) = ((extent[0] + extent[1]) / 2.0, (extent[2] + extent[3]) / 2.0);
    Slant {
        centre: Point {
            x: along.x * right - along.y * below,
            y: along.y * right + along.x * below,
        },
        along,
        width: extent[1] - extent[0],
        height: extent[3] - extent[2],
    }
}

/// Of the four ways in which a rectangle can be read, the likeliest.
fn laid(slant: Slant) -> Slant {
    let quarter = |slant: Slant| Slant {
        along: Point {
            x: -slant.along.y,
            y: slant.along.x,
        },
        width: slant.height,
        height: slant.width,
        ..slant
    };
    let mut level = slant;
    // Text that runs less than 45 degrees off the horizontal.
    if level.along.x.abs() < level.along.y.abs() {
        level = quarter(level);
    }
    if level.along.x < 0.0 {
        level = level.turned();
    }
    // Upright beyond doubt: it runs downwards.
    if level.height >= 1.5 * level.width {
        level = quarter(level);
        if level.along.y < 0.0 {
            level = level.turned();
        }
    }
    level
}

/// The convex hull of points, counter-clockwise in a picture (Andrew's monotone chain). The points are left sorted.
pub(super) fn hull(points: &mut [Point]) -> Vec<Point> {
    points.sort_unstable_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    let mut hull: Vec<Point> = Vec::new();
    let add = |hull: &mut Vec<Point>, least: usize, point: Point| {
        while hull.len() >= least + 2 && cross(hull[hull.len() - 2], hull[hull.len() - 1], point) <= 0.0 {
            hull.pop();
        }
        hull.push(point);
    };
    points.iter().for_each(|point| add(&mut hull, 0, *point));
    let lower = hull.len().saturating_sub(1);
    points
        .iter()
        .rev()
        .skip(1)
        .for_each(|point| add(&mut hull, lower, *point));
    hull.pop();
    hull
}

fn cross(a: Point, b: Point, c: Point) -> f32 {
    (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f32, b: f32) -> bool {
        (a - b).abs() < 0.02 * b.abs().max(1.0)
    }

    #[test]
    fn a_slanted_rectangle_is_found_again_whatever_its_angle() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let angle = (random.f32() - 0.5) * 1.4;
            let made = Slant {
                centre: Point {
                    x: 300.0 * random.f32(),
                    y: 200.0,
                },
                along: Point {
                    x: angle.cos(),
                    y: angle.sin(),
                },
                width: 60.0 + 100.0 * random.f32(),
                height: 20.0,
            };
            let mut points: Vec<Point> = (0..300).map(|_| made.at(random.f32(), random.f32())).collect();
            points.extend(made.corners());
            let found = smallest_around(&hull(&mut points)).expect("points");
            assert!(
                near(found.width, made.width) && near(found.height, made.height),
                "seed {seed}: {found:?}"
            );
            for (found, made) in found.corners().iter().zip(made.corners()) {
                assert!(
                    near(found.x, made.x) && near(found.y, made.y),
                    "seed {seed}: {found:?} for {made:?}"
                );
            }
        }
    }

    #[test]
    fn what_stands_upright_runs_downwards_and_degenerate_points_make_nothing() {
        let corner = |x: f32, y: f32| Point { x, y };
        let mut tall = [
            corner(10.0, 5.0),
            corner(20.0, 5.0),
            corner(20.0, 95.0),
            corner(10.0, 95.0),
        ];
        let found = smallest_around(&hull(&mut tall)).expect("four points");
        assert_eq!((found.width, found.height), (90.0, 10.0));
        assert!(near(found.along.y, 1.0));
        for count in 0..3 {
            let mut few = vec![corner(3.0, 4.0); count];
            assert_eq!(smallest_around(&hull(&mut few)), None);
        }
        let mut line: Vec<Point> = (0..9).map(|x| corner(x as f32, x as f32)).collect();
        assert!(smallest_around(&hull(&mut line)).is_none_or(|slant| slant.height < 1e-3));
    }

    #[test]
    fn regions_stay_inside_the_picture() {
        let slant = Slant {
            centre: Point { x: 0.0, y: 100.0 },
            along: Point { x: 1.0, y: 0.0 },
            width: 900.0,
            height: 30.0,
        };
        for corner in slant.region(640, 100).corners {
            assert!((0.0..=1.0).contains(&corner.x) && (0.0..=1.0).contains(&corner.y));
        }
    }
}
