//! From a map of how likely each pixel belongs to text to the places of lines: what Differentiable Binarization does after
//! its network (Liao et al., "Real-time Scene Text Detection with Differentiable Binarization", section 3.4).

use hearsight_core::media::Point;

use super::Spot;
use super::shape::{Slant, hull, smallest_around};

/// From here on a pixel may belong to text.
const INK: f32 = 0.3;
/// The network marks the middle of a line: its place is larger by this much of area over outline.
const UNCLIP: f32 = 1.6;
/// Narrower marks, in pixels of the map, are specks.
const NARROWEST: f32 = 3.0;
/// Marks that are looked at, at most; the reference's own bound.
const MOST_MARKS: usize = 1000;

/// A map of `width` × `height` chances.
#[derive(Clone, Copy)]
pub(super) struct Map<'a> {
    pub(super) chances: &'a [f32],
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Map<'_> {
    fn at(&self, x: usize, y: usize) -> f32 {
        self.chances.get(y * self.width + x).copied().unwrap_or(0.0)
    }

    /// Whether a pixel is inked, ink spread by one pixel to the right and downwards: as the reference joins broken marks.
    fn inked(&self, x: usize, y: usize) -> bool {
        let (left, above) = (x.saturating_sub(1), y.saturating_sub(1));
        [(x, y), (left, y), (x, above), (left, above)]
            .iter()
            .any(|(x, y)| self.at(*x, *y) > INK)
    }

    /// The mean chance inside a rectangle.
    fn mean(&self, slant: &Slant) -> f32 {
        let [left, top, right, bottom] = slant.bounds();
        let (mut sum, mut count) = (0.0f64, 0u32);
        for y in clamped(top.floor(), self.height)..=clamped(bottom.ceil(), self.height) {
            for x in clamped(left.floor(), self.width)..=clamped(right.ceil(), self.width) {
                let (dx, dy) = (x as f32 - slant.centre.x, y as f32 - slant.centre.y);
                let along = dx * slant.along.x + dy * slant.along.y;
                let across = dy * slant.along.x - dx * slant.along.y;
                if along.abs() <= slant.width / 2.0 + 0.5 && across.abs() <= slant.height / 2.0 + 0.5 {
                    sum += f64::from(self.at(x, y));
                    count += 1;
                }
            }
        }
        (sum / f64::from(count.max(1))) as f32
    }
}

fn clamped(place: f32, length: usize) -> usize {
    (place.max(0.0) as usize).min(length.saturating_sub(1))
}

/// The places in a map, in its own pixels, in no order.
pub(super) fn spots(map: Map<'_>) -> Vec<Spot> {
    let mut found = Vec::new();
    let mut seen = vec![false; map.width * map.height];
    let (mut marks, mut outline, mut next) = (0, Vec::new(), Vec::new());
    for y in 0..map.height {
        for x in 0..map.width {
            if seen[y * map.width + x] || !map.inked(x, y) {
                continue;
            }
            marks += 1;
            if marks > MOST_MARKS {
                return found;
            }
            trace(map, (x, y), &mut seen, &mut next, &mut outline);
            found.extend(spot(map, &mut outline));
        }
    }
    found
}

/// Visits the mark that holds `start` and leaves the pixels of its border in `outline`.
fn trace(
    map: Map<'_>,
    start: (usize, usize),
    seen: &mut [bool],
    next: &mut Vec<(usize, usize)>,
    outline: &mut Vec<Point>,
) {
    outline.clear();
    next.push(start);
    seen[start.1 * map.width + start.0] = true;
    while let Some((x, y)) = next.pop() {
        let mut inside = true;
        for down in -1..=1isize {
            for right in -1..=1isize {
                let Some((x, y)) = x.checked_add_signed(right).zip(y.checked_add_signed(down)) else {
                    inside = false;
                    continue;
                };
                if x >= map.width || y >= map.height || !map.inked(x, y) {
                    inside = false;
                } else if !std::mem::replace(&mut seen[y * map.width + x], true) {
                    next.push((x, y));
                }
            }
        }
        if !inside {
            outline.push(Point {
                x: x as f32,
                y: y as f32,
            });
        }
    }
}

fn spot(map: Map<'_>, outline: &mut [Point]) -> Option<Spot> {
    let tight = smallest_around(&hull(outline))?;
    if tight.width.min(tight.height) < NARROWEST {
        return None;
    }
    let strength = map.mean(&tight);
    let margin = tight.width * tight.height * UNCLIP / (2.0 * (tight.width + tight.height));
    let slant = tight.grown(margin);
    (slant.width.min(slant.height) >= NARROWEST + 2.0).then_some(Spot { slant, strength })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_found_where_they_are_and_grown_as_the_paper_says() {
        let (width, height) = (160, 96);
        let mut chances = vec![0.0; width * height];
        for (top, left) in [(10, 20), (40, 30)] {
            for y in top..top + 9 {
                chances[y * width + left..y * width + left + 101].fill(0.9);
            }
        }
        let found = spots(Map {
            chances: &chances,
            width,
            height,
        });
        assert_eq!(found.len(), 2);
        // Spread by one pixel: 101 × 9 pixels between outermost centres.
        let margin = 101.0 * 9.0 * UNCLIP / 220.0;
        for (spot, top, left) in [(found[0], 10.0, 20.0), (found[1], 40.0, 30.0)] {
            let [x, y, right, bottom] = spot.slant.bounds();
            assert!(
                (x - (left - margin)).abs() < 0.01 && (y - (top - margin)).abs() < 0.01,
                "{spot:?}"
            );
            assert!((right - (left + 101.0 + margin)).abs() < 0.01 && (bottom - (top + 9.0 + margin)).abs() < 0.01);
            assert!((0.75..0.9).contains(&spot.strength));
        }
    }

    #[test]
    fn any_map_gives_sound_places_and_not_too_many() {
        for seed in 0..40 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (width, height) = (random.usize(1..200), random.usize(1..200));
            let density = random.f32();
            let speck = |_| match random.f32() < density {
                true => [f32::NAN, f32::INFINITY, 1.0, -1.0][random.usize(0..4)],
                false => 0.0,
            };
            let chances: Vec<f32> = (0..width * height).map(speck).collect();
            let found = spots(Map {
                chances: &chances,
                width,
                height,
            });
            assert!(
                found.len() <= MOST_MARKS && found.iter().all(|spot| spot.slant.sound()),
                "seed {seed}"
            );
        }
    }
}
