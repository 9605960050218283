//! What is behind everything else.

use std::sync::OnceLock;

use tiny_skia::Pixmap;

use super::{SIZE, Split};

/// Further than the camera sways.
const BORDER: usize = 8;

/// A picture a little larger than the view, in pale colours.
#[derive(Debug)]
pub(super) struct Ground {
    kind: Kind,
    colours: [[f32; 3]; 2],
    field: Field,
    /// Painted when it is first looked at.
    pixels: OnceLock<Vec<[u8; 3]>>,
}

const COLUMNS: usize = SIZE.0 as usize + 2 * BORDER;
const ROWS: usize = SIZE.1 as usize + 2 * BORDER;

/// What it looks like.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain,
    Fading,
    Clouds,
    Stripes,
    Bricks,
    Planks,
    Tiles,
    Leaves,
    Cloth,
}

const TRAIN: [Kind; 6] = [
    Kind::Plain,
    Kind::Fading,
    Kind::Clouds,
    Kind::Stripes,
    Kind::Bricks,
    Kind::Planks,
];
const UNSEEN: [Kind; 3] = [Kind::Tiles, Kind::Leaves, Kind::Cloth];

impl Ground {
    pub(super) fn new(split: Split, random: &mut fastrand::Rng) -> Ground {
        let kinds: &[Kind] = match split {
            Split::Train => &TRAIN,
            Split::Unseen => &UNSEEN,
        };
        Ground {
            kind: kinds[random.usize(..kinds.len())],
            colours: [pale(random), pale(random)],
            field: Field {
                salt: random.u64(..),
                turn: random.f32() * std::f32::consts::PI,
                scale: 0.7 + random.f32(),
            },
            pixels: OnceLock::new(),
        }
    }

    fn pixels(&self) -> Vec<[u8; 3]> {
        let [one, other] = self.colours;
        let places = (0..ROWS).flat_map(|y| (0..COLUMNS).map(move |x| (x as f32, y as f32)));
        let pixel = |(x, y)| {
            let mix = self.kind.at(&self.field, x, y).clamp(0.0, 1.0);
            [0, 1, 2].map(|part| (one[part] + (other[part] - one[part]) * mix) as u8)
        };
        places.map(pixel).collect()
    }

    /// Moved by whole pixels: the ground has no edges that would tell. Beyond its border it is seen in a mirror.
    pub(super) fn paint(&self, map: &mut Pixmap, (x, y): (f32, f32)) {
        let start = |shift: f32| BORDER as i64 - shift.round() as i64;
        let (left, top) = (start(x), start(y));
        let width = map.width() as usize;
        let pixels = self.pixels.get_or_init(|| self.pixels());
        for (row, line) in map.data_mut().chunks_exact_mut(4 * width).enumerate() {
            let from = mirrored(top + row as i64, ROWS) * COLUMNS;
            for (column, pixel) in line.chunks_exact_mut(4).enumerate() {
                let [red, green, blue] = pixels[from + mirrored(left + column as i64, COLUMNS)];
                pixel.copy_from_slice(&[red, green, blue, 255]);
            }
        }
    }
}

/// A place in a row of so many that goes on, turned round, beyond both ends.
fn mirrored(place: i64, count: usize) -> usize {
    let count = count as i64;
    let within = place.rem_euclid(2 * count);
    within.min(2 * count - 1 - within) as usize
}

/// No colour of ours: all shapes stand out from it, if only by their borders.
fn pale(random: &mut fastrand::Rng) -> [f32; 3] {
    let grey = 95.0 + random.f32() * 115.0;
    [0; 3].map(|_| grey + random.f32() * 36.0 - 18.0)
}

/// Numbers that lie about in a plane.
#[derive(Debug)]
struct Field {
    salt: u64,
    turn: f32,
    scale: f32,
}

impl Field {
    /// The same for the same place, 0..1.
    fn roll(&self, x: i64, y: i64) -> f32 {
        let mut mixed =
            self.salt ^ (x as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (y as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
        mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// Smooth between places that are 1 apart.
    fn soft(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let ease = |part: f32| part * part * (3.0 - 2.0 * part);
        let (dx, dy) = (ease(x - left), ease(y - top));
        let at = |across: i64, down: i64| self.roll(left as i64 + across, top as i64 + down);
        let upper = at(0, 0) + (at(1, 0) - at(0, 0)) * dx;
        let lower = at(0, 1) + (at(1, 1) - at(0, 1)) * dx;
        upper + (lower - upper) * dy
    }

    /// Coarse and fine together.
    fn rough(&self, x: f32, y: f32) -> f32 {
        0.5 * self.soft(x, y) + 0.3 * self.soft(2.1 * x + 7.0, 2.1 * y) + 0.2 * self.soft(4.3 * x, 4.3 * y + 3.0)
    }
}

impl Kind {
    fn at(self, field: &Field, x: f32, y: f32) -> f32 {
        let (sin, cos) = field.turn.sin_cos();
        let (along, across) = (x * cos + y * sin, y * cos - x * sin);
        let scale = field.scale;
        match self {
            Kind::Plain => 0.1 * field.soft(x / 90.0, y / 90.0),
            Kind::Fading => 0.5 + along / 900.0,
            Kind::Clouds => field.rough(x / (80.0 * scale), y / (80.0 * scale)),
            Kind::Stripes => 0.5 + 0.5 * (along / (9.0 * scale)).sin() * 0.7,
            Kind::Bricks => {
                let row = (y / (26.0 * scale)).floor();
                let x = x + if row as i64 % 2 == 0 { 0.0 } else { 30.0 * scale };
                let joint = y % (26.0 * scale) < 3.0 || x % (60.0 * scale) < 3.0;
                let brick = field.roll((x / (60.0 * scale)) as i64, row as i64);
                if joint {
                    1.0
                } else {
                    0.5 * brick + 0.15 * field.soft(x / 3.0, y / 3.0)
                }
            }
            Kind::Planks => {
                let plank = (y / (48.0 * scale)).floor();
                let grain = field.rough(x / 70.0 + 31.0 * plank, y / 4.0);
                if y % (48.0 * scale) < 2.0 {
                    1.0
                } else {
                    0.3 * field.roll(plank as i64, 0) + 0.5 * grain
                }
            }
            Kind::Tiles => {
                let side = 52.0 * scale;
                let (column, row) = ((along / side).floor(), (across / side).floor());
                let joint = along.rem_euclid(side) < 2.5 || across.rem_euclid(side) < 2.5;
                if joint {
                    1.0
                } else {
                    0.55 * field.roll(column as i64, row as i64)
                }
            }
            Kind::Leaves => {
                let near = field.rough(x / (16.0 * scale), y / (11.0 * scale));
                let far = field.soft(x / 60.0, y / 60.0);
                if near > 0.52 {
                    0.75 + 0.25 * far
                } else {
                    0.4 * far + 0.3 * near
                }
            }
            Kind::Cloth => {
                0.4 + 0.2 * (along / 2.2).sin() * (across / 2.2).sin() + 0.4 * field.soft(x / 70.0, y / 70.0)
            }
        }
    }
}
