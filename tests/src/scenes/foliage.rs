//! Leaves that go by: what costs a coder most and nobody asks about.

use super::SIZE;

/// Sides of what is repeated, in pixels.
pub const TILE: usize = 512;

/// A ground as full of detail as leaves are: noise of three sizes, which repeats itself without a seam.
pub struct Foliage {
    green: Vec<u8>,
}

impl Foliage {
    /// The same each time.
    pub fn grown() -> Foliage {
        let mut random = fastrand::Rng::with_seed(11);
        let octaves: Vec<(usize, f32, Vec<f32>)> = [(4, 0.5), (8, 0.3), (32, 0.2)]
            .into_iter()
            .map(|(size, share)| {
                let count = (TILE / size) * (TILE / size);
                (size, share, (0..count).map(|_| random.f32()).collect())
            })
            .collect();
        let between = |size: usize, values: &[f32], x: usize, y: usize| {
            let across = TILE / size;
            let at = |column: usize, row: usize| values[(row % across) * across + column % across];
            let (column, row) = (x / size, y / size);
            let (u, v) = ((x % size) as f32 / size as f32, (y % size) as f32 / size as f32);
            let above = at(column, row) * (1.0 - u) + at(column + 1, row) * u;
            let below = at(column, row + 1) * (1.0 - u) + at(column + 1, row + 1) * u;
            above * (1.0 - v) + below * v
        };
        let green = (0..TILE * TILE).map(|index| {
            let (x, y) = (index % TILE, index / TILE);
            let height: f32 = octaves
                .iter()
                .map(|(size, share, values)| share * between(*size, values, x, y))
                .sum();
            (30.0 + 190.0 * height) as u8
        });
        Foliage { green: green.collect() }
    }

    /// What is seen of it so many pixels from its corner, in the size of scenes: 8-bit RGB, row by row. Leaves go by before other
    /// leaves that go the other way, so that no motion vector tells what comes next.
    pub fn at(&self, across: f32, down: f32) -> Vec<u8> {
        let place = |value: f32| value.rem_euclid(TILE as f32) as usize;
        let near = (place(across), place(down));
        let far = (place(-across), place(2.0 * down));
        let mut seen = Vec::with_capacity((SIZE.0 * SIZE.1 * 3) as usize);
        for y in 0..SIZE.1 as usize {
            for x in 0..SIZE.0 as usize {
                let leaf = |(left, top): (usize, usize)| self.green[((y + top) % TILE) * TILE + (x + left) % TILE];
                let green = leaf(near).max(leaf(far));
                seen.extend([green / 2, green, green / 3]);
            }
        }
        seen
    }
}
