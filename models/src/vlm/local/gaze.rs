//! Where an answer looked: the decoder's attention to the words of each tile, drawn together on the pictures.

use hearsight_core::media::{Point, Readability, Region};

use super::graphs::Sight;
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
    /// Where each of them is in its picture, where the model says so; otherwise they are a grid.
    boxes: Vec<[f32; 4]>,
    /// How clear each of them is, where the model says so.
    clarity: Vec<f32>,
}

impl Gaze {
    /// `places` are the positions of the pictures' words in the conversation, in order.
    pub(super) fn new(pictures: Vec<Layout>, words_per_tile: usize, places: Vec<usize>) -> Gaze {
        Gaze {
            weights: vec![0.0; places.len()],
            side: words_per_tile.isqrt(),
            pictures,
            places,
            boxes: Vec::new(),
            clarity: Vec::new(),
        }
    }

    /// Notes where the words of tile `tile` are, and how clear: tiles come in order.
    pub(super) fn see(&mut self, sight: &Sight, layout: Layout, tile: usize) {
        let parts = layout.tiles() - 1;
        let (columns, rows) = if tile < parts {
            (layout.columns, layout.rows)
        } else {
            (1, 1)
        };
        let (column, row) = if tile < parts {
            (tile as u32 % columns, tile as u32 / columns)
        } else {
            (0, 0)
        };
        let across = |share: f32| (column as f32 + share) / columns as f32;
        let down = |share: f32| (row as f32 + share) / rows as f32;
        let boxes = sight.places.iter();
        self.boxes
            .extend(boxes.map(|[left, top, right, bottom]| [across(*left), down(*top), across(*right), down(*bottom)]));
        self.clarity.extend(&sight.clarity);
    }

    /// How clear what was looked at is; none where nothing was looked at, or the model can't tell.
    pub(super) fn readability(&self) -> Option<Readability> {
        let all: f32 = self.weights.iter().sum();
        let clear: f32 = self
            .weights
            .iter()
            .zip(&self.clarity)
            .map(|(weight, clear)| weight * clear)
            .sum();
        (all > 0.0 && self.clarity.len() == self.weights.len()).then(|| Readability::new(clear / all))
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
        let (mut from, mut evidence) = (0, Vec::new());
        for (picture, layout) in self.pictures.iter().enumerate() {
            let words = from..from + layout.tiles() * cells;
            from = words.end;
            let Some(own) = self.weights.get(words.clone()) else {
                break;
            };
            let share = own.iter().sum::<f32>() / all;
            if share >= LEAST {
                let region = match self.boxes.get(words) {
                    Some(boxes) => around(own, boxes),
                    None => Map::new(*layout, self.side, own).region(),
                };
                evidence.push(Evidence { picture, region, share });
            }
        }
        evidence.sort_by(|a, b| b.share.total_cmp(&a.share));
        evidence
    }
}

/// The box around the words that got most.
fn around(weights: &[f32], boxes: &[[f32; 4]]) -> Region {
    let most = weights.iter().copied().fold(0.0, f32::max);
    let strong = weights
        .iter()
        .zip(boxes)
        .filter(|(weight, _)| **weight >= STRONG * most);
    let [left, top, right, bottom] = strong.fold([1.0, 1.0, 0.0, 0.0], |all: [f32; 4], (_, word)| {
        [
            all[0].min(word[0]),
            all[1].min(word[1]),
            all[2].max(word[2]),
            all[3].max(word[3]),
        ]
    });
    region(left, top, right, bottom)
}

fn region(left: f32, top: f32, right: f32, bottom: f32) -> Region {
    Region {
        corners: [(left, top), (right, top), (right, bottom), (left, bottom)].map(|(x, y)| Point { x, y }),
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
        region(left, top, right, bottom)
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
    fn words_that_say_where_they_are_are_believed_in_whole_pictures_and_in_tiles() {
        let mut random = fastrand::Rng::with_seed(9);
        for round in 0..200 {
            let layout = Processor::like_smolvlm(256, 64).layout(
                random.u32(1..400),
                random.u32(1..400),
                Detail(random.u32(1..=4)),
            );
            let (cells, tiles) = (SIDE * SIDE, layout.tiles());
            let mut gaze = Gaze::new(vec![layout], cells, (0..tiles * cells).collect());
            let chosen = random.usize(..tiles * cells);
            let mut attention = vec![0.0; tiles * cells];
            attention[chosen] = 1.0;
            let inner = [
                random.f32() * 0.5,
                random.f32() * 0.5,
                0.5 + random.f32() * 0.5,
                0.5 + random.f32() * 0.5,
            ];
            for tile in 0..tiles {
                let clarity = (0..cells).map(|word| if tile * cells + word == chosen { 0.75 } else { 0.1 });
                let sight = Sight {
                    features: Vec::new(),
                    places: vec![inner; cells],
                    clarity: clarity.collect(),
                };
                gaze.see(&sight, layout, tile);
            }
            gaze.look(&attention);
            let [from, _, to, _] = gaze.evidence()[0].region.corners;
            let tile = chosen / cells;
            let (columns, rows) = (layout.columns.max(1) as usize, layout.rows.max(1) as usize);
            let (across, down, wide, high) = if tile + 1 < tiles {
                (tile % columns, tile / columns, columns as f32, rows as f32)
            } else {
                (0, 0, 1.0, 1.0)
            };
            let expected = [
                (across as f32 + inner[0]) / wide,
                (down as f32 + inner[1]) / high,
                (across as f32 + inner[2]) / wide,
                (down as f32 + inner[3]) / high,
            ];
            for (is, should) in [from.x, from.y, to.x, to.y].iter().zip(expected) {
                assert!((is - should).abs() < 1e-5, "round {round}: {is}, not {should}");
            }
            let readability = gaze.readability().expect("it was said how clear words are").get();
            assert!((readability - 0.75).abs() < 1e-5, "round {round}: {readability}");
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
