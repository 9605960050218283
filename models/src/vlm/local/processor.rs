//! Pictures to tiles, exactly as the reference processor of Idefics3 and SmolVLM makes them: scaled so that the longest edge is a
//! number of tiles, drawn to whole tiles, cut, and the whole once more on one tile.

use super::scaling::{Filter, scaled as to_size};
use crate::vlm::picture::Rgb;

/// The reference scales no edge beyond this.
const LONGEST: u32 = 4096;

/// How many tiles the longest edge of a picture is scaled to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Detail(pub u32);

impl Detail {
    /// The whole picture on one tile.
    pub const GLANCE: Detail = Detail(1);
    /// Two tiles along the longest edge, and the whole on one more.
    pub const LOOK: Detail = Detail(2);
}

/// Into which tiles a picture of a certain size is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    scaled: (u32, u32),
    drawn: (u32, u32),
    /// Rows of tiles; 0 where the picture fits on one.
    pub rows: u32,
    /// Columns of tiles; 0 where the picture fits on one.
    pub columns: u32,
}

impl Layout {
    /// All tiles, the whole picture's among them, which is the last.
    pub fn tiles(&self) -> usize {
        self.rows as usize * self.columns as usize + 1
    }
}

/// What a model wants of a picture.
#[derive(Clone, Debug)]
pub struct Processor {
    longest: u32,
    tile: u32,
    splitting: bool,
    filter: Filter,
    /// What an 8-bit level becomes, colour by colour.
    values: Vec<[f32; 256]>,
}

impl Processor {
    /// Pictures scaled to `longest` pixels along their longest edge and cut into squares of `tile`; not cut without `splitting`.
    /// Levels become −1..1.
    pub(super) fn new(longest: u32, tile: u32, splitting: bool, filter: Filter) -> Processor {
        Processor {
            longest,
            tile,
            splitting,
            filter,
            values: Vec::new(),
        }
        .normalised(1.0 / 255.0, [0.5; 3], [0.5; 3])
    }
    /// Like SmolVLM-256M-Instruct's, with these edges.
    pub fn like_smolvlm(longest: u32, tile: u32) -> Processor {
        Processor::new(longest.clamp(1, LONGEST), tile.clamp(1, LONGEST), true, Filter::Lanczos)
    }
    /// As it is with `do_image_splitting` false.
    #[must_use]
    pub fn whole(mut self) -> Processor {
        self.splitting = false;
        self
    }
    pub(super) fn normalised(mut self, scale: f64, mean: [f32; 3], deviation: [f32; 3]) -> Processor {
        self.values = (0..3)
            .map(|colour| {
                std::array::from_fn(|level| ((level as f64 * scale) as f32 - mean[colour]) / deviation[colour])
            })
            .collect();
        self
    }

    /// The side of a tile, in pixels.
    pub fn tile(&self) -> u32 {
        self.tile
    }
    /// The most detail that the model was made for.
    pub fn full(&self) -> Detail {
        if self.splitting {
            Detail((self.longest / self.tile).max(1))
        } else {
            Detail::GLANCE
        }
    }

    /// How a picture of this size is cut. None of the sizes exceeds what the settings allow, whatever the picture's.
    pub fn layout(&self, width: u32, height: u32, detail: Detail) -> Layout {
        let longest = if self.splitting {
            detail.0.saturating_mul(self.tile).min(self.longest.max(self.tile))
        } else {
            self.longest
        };
        let scaled = scaled(width.max(1), height.max(1), longest.min(LONGEST));
        let drawn = if self.splitting {
            whole_tiles(scaled.0, scaled.1, self.tile)
        } else {
            (self.tile, self.tile)
        };
        let one = drawn.0 <= self.tile && drawn.1 <= self.tile;
        Layout {
            scaled,
            drawn,
            rows: if one { 0 } else { drawn.1 / self.tile },
            columns: if one { 0 } else { drawn.0 / self.tile },
        }
    }

    /// Scales `picture` for its tiles, as `layout` of its size says.
    pub fn draw(&self, picture: Rgb, layout: Layout) -> Drawn {
        let mut moved = 0;
        let scaled = self.scale(picture, layout.scaled, &mut moved);
        let drawn = self.scale(scaled, layout.drawn, &mut moved);
        let whole = (layout.rows > 0).then(|| self.scaled(&drawn, (self.tile, self.tile), &mut moved));
        Drawn {
            layout,
            drawn,
            whole,
            moved,
        }
    }

    /// A picture of that size already is passed on.
    fn scale(&self, picture: Rgb, size: (u32, u32), moved: &mut u64) -> Rgb {
        if (picture.width(), picture.height()) == size {
            return picture;
        }
        self.scaled(&picture, size, moved)
    }

    fn scaled(&self, picture: &Rgb, (width, height): (u32, u32), moved: &mut u64) -> Rgb {
        let made = to_size(picture, width, height, self.filter);
        *moved += (picture.bytes().len() + made.bytes().len()) as u64;
        made
    }

    /// Writes tile `index` of `drawn` as the model takes it: three planes of `tile²` values into `into`. Answers how many bytes
    /// that moved. An index beyond the last is the whole picture's.
    pub fn cut(&self, drawn: &Drawn, index: usize, into: &mut Vec<f32>) -> u64 {
        let side = self.tile as usize;
        let columns = drawn.layout.columns as usize;
        let (picture, left, top) = match &drawn.whole {
            Some(_) if index + 1 < drawn.layout.tiles() => {
                (&drawn.drawn, index % columns * side, index / columns * side)
            }
            Some(whole) => (whole, 0, 0),
            None => (&drawn.drawn, 0, 0),
        };
        into.resize(3 * side * side, 0.0);
        let stride = picture.width() as usize * 3;
        let [red, green, blue] = &self.values[..] else { return 0 };
        let (reds, rest) = into.split_at_mut(side * side);
        let (greens, blues) = rest.split_at_mut(side * side);
        for y in 0..side {
            let start = (top + y) * stride + left * 3;
            let row = picture.bytes()[start..start + side * 3].chunks_exact(3);
            for (x, pixel) in row.enumerate() {
                reds[y * side + x] = red[pixel[0] as usize];
                greens[y * side + x] = green[pixel[1] as usize];
                blues[y * side + x] = blue[pixel[2] as usize];
            }
        }
        (side * side * 3 * (1 + size_of::<f32>())) as u64
    }
}

/// A picture scaled for its tiles.
#[derive(Clone, Debug)]
pub struct Drawn {
    layout: Layout,
    drawn: Rgb,
    whole: Option<Rgb>,
    moved: u64,
}

impl Drawn {
    /// Bytes read and written to scale it.
    pub fn moved(&self) -> u64 {
        self.moved
    }
    /// How it is cut.
    pub fn layout(&self) -> Layout {
        self.layout
    }
}

/// `_resize_output_size_rescale_to_max_len`: the longest edge becomes `longest`, the other keeps the aspect and is even.
fn scaled(width: u32, height: u32, longest: u32) -> (u32, u32) {
    let aspect = f64::from(width) / f64::from(height);
    // Rounded up to even, the shorter edge may come out a pixel longer than the longest.
    let even = |edge: f64| (edge as u32).next_multiple_of(2).max(1);
    if width >= height {
        (longest, even(f64::from(longest) / aspect))
    } else {
        (even(f64::from(longest) * aspect), longest)
    }
}

/// `resize_for_vision_encoder`: both edges to whole tiles, the shorter one's count taken from the longer one's.
fn whole_tiles(width: u32, height: u32, tile: u32) -> (u32, u32) {
    let aspect = f64::from(width) / f64::from(height);
    // An edge of no pixels would be no tile in the reference, which then fails: one tile here.
    let whole = |edge: f64| (edge as u32).max(1).next_multiple_of(tile);
    if width >= height {
        let width = width.next_multiple_of(tile);
        (width, whole(f64::from(width) / aspect))
    } else {
        let height = height.next_multiple_of(tile);
        (whole(f64::from(height) * aspect), height)
    }
}
