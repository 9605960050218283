//! Where an answer looked: the decoder's attention to the words of each tile, drawn together on the pictures.

use hearsight_core::media::{Point, Region};

use super::processor::Layout;
use crate::vlm::Evidence;

/// Cells with at least this share of a picture's strongest one belong to what was looked at.
const STRONG: f32 = 0.5;
/// Pictures that got less than this share of the looking are no evidence.
const LEAST: f32 = 0.1;

/// The looking, tile by tile.
pub(super) struct Gaze {
    pictures: Vec<Layout>,
    /// Words of one tile along its side.
    side: usize,
    /// Where in the conversation each word of each tile stands, in order.
    places: Vec<usize>,
    /// What each of them got.
    weights: Vec<f32>,
}

impl Gaze {
    /// `places` are the positions of the pictures' words in the conversation, in order.
    pub(super) fn new(pictures: Vec<Layout>, words_per_tile: usize, places: Vec<usize>) -> Gaze {
        Gaze {
            weights: vec![0.0; places.len()],
            side: words_per_tile.isqrt(),
            pictures,
            places,
        }
    }

    /// Adds the attention of one token of the answer.
    pub(super) fn look(&mut self, attention: &[f32]) {
        for (weight, place) in self.weights.iter_mut().zip(&self.places) {
            let looked = attention.get(*place).copied().unwrap_or(0.0);
            if looked.is_finite() && looked > 0.0 {
                *weight += looked;
            }
        }
    }

    /// One place for each picture that was looked at, the most important first.
    pub(super) fn evidence(&self) -> Vec<Evidence> {
        let all: f32 = self.weights.iter().sum();
        if all <= 0.0 {
            return Vec::new();
        }
        let cells = self.side * self.side;
        let mut rest = self.weights.as_slice();
        let mut evidence = Vec::new();
        for (picture, layout) in self.pictures.iter().enumerate() {
            let Some((own, others)) = rest.split_at_checked(layout.tiles() * cells) else {
                break;
            };
            rest = others;
            let share = own.iter().sum::<f32>() / all;
            if share >= LEAST {
                let region = Map::new(*layout, self.side, own).region();
                evidence.push(Evidence { picture, region, share });
            }
        }
        evidence.sort_by(|a, b| b.share.total_cmp(&a.share));
        evidence
    }
}

/// The cells of a whole picture, each with what it got.
struct Map {
    columns: usize,
    rows: usize,
    weights: Vec<f32>,
}

impl Map {
    /// The tiles side by side; what the tile of the whole picture got is spread over the cells that it covers.
    fn new(layout: Layout, side: usize, tiles: &[f32]) -> Map {
        let (across, down) = (layout.columns.max(1) as usize, layout.rows.max(1) as usize);
        let (columns, rows) = (across * side, down * side);
        let cells = side * side;
        let (parts, whole) = tiles.split_at((layout.tiles() - 1) * cells);
        let mut weights = vec![0.0; columns * rows];
        for (at, weight) in weights.iter_mut().enumerate() {
            let (x, y) = (at % columns, at / columns);
            let spread = whole[y / down * side + x / across] / (across * down) as f32;
            let part = (y / side * across + x / side) * cells + y % side * side + x % side;
            *weight = spread + parts.get(part).copied().unwrap_or(0.0);
        }
        Map { columns, rows, weights }
    }

    /// The box around the strongest cell and the strong ones that touch it.
    fn region(&self) -> Region {
        let peak = (0..self.weights.len())
            .max_by(|a, b| self.weights[*a].total_cmp(&self.weights[*b]))
            .unwrap_or(0);
        let strong = self.weights.get(peak).copied().unwrap_or(0.0) * STRONG;
        let (mut left, mut top, mut right, mut bottom) = (usize::MAX, usize::MAX, 0, 0);
        let mut seen = vec![false; self.weights.len()];
        let mut open = vec![peak];
        while let Some(at) = open.pop() {
            if at >= self.weights.len() || seen[at] || self.weights[at] < strong {
                continue;
            }
            seen[at] = true;
            let (x, y) = (at % self.columns, at / self.columns);
            (left, top) = (left.min(x), top.min(y));
            (right, bottom) = (right.max(x + 1), bottom.max(y + 1));
            if x > 0 {
                open.push(at - 1);
            }
            if x + 1 < self.columns {
                open.push(at + 1);
            }
            if y > 0 {
                open.push(at - self.columns);
            }
            open.push(at + self.columns);
        }
        let share = |cell: usize, of: usize| (cell as f32 / of.max(1) as f32).clamp(0.0, 1.0);
        let (left, right) = (share(left, self.columns), share(right, self.columns));
        let (top, bottom) = (share(top, self.rows), share(bottom, self.rows));
        Region {
            corners: [(left, top), (right, top), (right, bottom), (left, bottom)].map(|(x, y)| Point { x, y }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vlm::local::processor::{Detail, Processor};

    const SIDE: usize = 4;

    /// Which cell of which tile shows the point at these shares of the picture.
    fn cell(layout: Layout, x: f32, y: f32, tile_of_whole: bool) -> usize {
        let (columns, rows) = (layout.columns.max(1) as f32, layout.rows.max(1) as f32);
        let (across, down) = if tile_of_whole { (1.0, 1.0) } else { (columns, rows) };
        let (tile_x, tile_y) = ((x * across) as usize, (y * down) as usize);
        let tile = if tile_of_whole {
            layout.tiles() - 1
        } else {
            tile_y * columns as usize + tile_x
        };
        let inner = |share: f32, count: f32| ((share * count).fract() * SIDE as f32) as usize;
        tile * SIDE * SIDE + inner(y, down) * SIDE + inner(x, across)
    }

    #[test]
    fn what_was_looked_at_is_found_wherever_it_is() {
        let mut random = fastrand::Rng::with_seed(4);
        let processor = Processor::like_smolvlm(256, 64);
        for round in 0..200 {
            let layouts: Vec<Layout> = (0..2)
                .map(|_| processor.layout(random.u32(1..400), random.u32(1..400), Detail(random.u32(1..=4))))
                .collect();
            let first = layouts[0].tiles() * SIDE * SIDE;
            let all = first + layouts[1].tiles() * SIDE * SIDE;
            let before = random.usize(0..20);
            let mut gaze = Gaze::new(layouts.clone(), SIDE * SIDE, (before..before + all).collect());
            let (x, y) = (random.f32(), random.f32());
            let at = first + cell(layouts[1], x, y, random.bool());
            let mut attention = vec![0.001; before + all];
            attention[before + at] = 100.0;
            gaze.look(&attention);
            let evidence = gaze.evidence();
            assert_eq!(evidence.len(), 1, "round {round}");
            assert_eq!(evidence[0].picture, 1, "round {round}");
            let [from, _, to, _] = evidence[0].region.corners;
            assert!(
                from.x <= x && x <= to.x && from.y <= y && y <= to.y,
                "round {round}: {x} {y} in {evidence:?}"
            );
            assert!(
                to.x - from.x <= 0.26 && to.y - from.y <= 0.26,
                "round {round}: {evidence:?}"
            );
        }
    }

    #[test]
    fn nonsense_is_no_evidence() {
        let layout = Processor::like_smolvlm(256, 64).layout(64, 64, Detail::GLANCE);
        let mut gaze = Gaze::new(vec![layout], SIDE * SIDE, (0..16).collect());
        assert!(gaze.evidence().is_empty());
        gaze.look(&[f32::NAN; 16]);
        gaze.look(&[-1.0; 3]);
        assert!(gaze.evidence().is_empty());
    }
}
