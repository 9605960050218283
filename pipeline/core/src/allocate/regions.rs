//! Where bits go: places that hold evidence become a map of blocks, which moves with what it frames.

use crate::media::{MotionField, Region};
use crate::time::{MediaTime, Span};

/// Places that are framed at a time. A page has more lines; the largest are enough to say where it is.
pub const MOST: usize = 64;
/// Columns and rows of a map: a block of a 720p picture is 32 × 40 pixels, and a whole map fits into a message.
pub const COLUMNS: usize = 40;
/// See [`COLUMNS`].
pub const ROWS: usize = 18;
/// The finest level of a map: inside.
pub const INSIDE: u8 = 15;
/// Beyond this share of the picture's diagonal from a place, nothing is spent on it.
const REACH: f32 = 0.35;
/// A frame is wider than its place by this share of the picture, for what a detector cuts off.
const MARGIN: f32 = 0.01;
/// And by so much more for every second since it was seen: hands shake, people walk.
const DRIFT: f32 = 0.04;
/// The most that age makes a frame wider.
const MOST_DRIFT: f32 = 0.2;
/// How far ahead a motion is believed (Artic predicts 1.5 s).
const AHEAD: Span = Span::from_millis(1_500);
/// A place that was not seen again for so long is let go.
const FORGOTTEN: Span = Span::from_secs(6);
/// Faster than this, in pictures a second, is a vector that matched something else.
const FASTEST: f32 = 3.0;

/// How much each block of a picture is worth, row by row, 0 (nothing) to [`INSIDE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    levels: Box<[u8]>,
}

impl Map {
    /// A map of [`COLUMNS`] × [`ROWS`] levels. None where they are another number, or one is above [`INSIDE`].
    pub fn new(levels: &[u8]) -> Option<Map> {
        let whole = levels.len() == COLUMNS * ROWS && levels.iter().all(|level| *level <= INSIDE);
        whole.then(|| Map { levels: levels.into() })
    }

    /// The levels, row by row.
    pub fn levels(&self) -> &[u8] {
        &self.levels
    }

    /// What a point of the picture, in shares of its sides, is worth: 1 inside, 0 far away.
    pub fn worth(&self, x: f32, y: f32) -> f32 {
        let place = |share: f32, count: usize| ((share * count as f32) as usize).min(count - 1);
        f32::from(self.levels[place(y, ROWS) * COLUMNS + place(x, COLUMNS)]) / f32::from(INSIDE)
    }

    /// How much coarser a block of this worth is quantised than one that matters, in steps of H.264's QP (Artic, section
    /// 4.2): `clamp(round(51 · (1 − ρ^γ)) − 26, 0, 25)` with γ = 2.5.
    pub fn coarser(worth: f32) -> u8 {
        let absolute = (51.0 * (1.0 - worth.clamp(0.0, 1.0).powf(2.5))).round();
        (absolute - 26.0).clamp(0.0, 25.0) as u8
    }
}

/// A place that is followed, in shares of the picture's sides.
#[derive(Clone, Copy, Debug)]
struct Place {
    left: f32,
    top: f32,
    right: f32,
    bottom: f32,
    /// Shares of the sides per second.
    across: f32,
    down: f32,
    seen: MediaTime,
}

/// The places of one session.
#[derive(Clone, Debug, Default)]
pub struct Regions {
    places: Vec<Place>,
    /// The latest picture that was followed, or looked at.
    newest: Option<MediaTime>,
    refused: u64,
}

impl Regions {
    /// Replaces the places by those that were found in the picture of `seen`. What lies outside the picture is cut off;
    /// what is no place at all, or is too much, is refused and counted.
    pub fn replace(&mut self, seen: MediaTime, found: impl IntoIterator<Item = Region>) {
        let before = std::mem::take(&mut self.places);
        let mut refused = 0;
        let mut places: Vec<Place> = found
            .into_iter()
            .filter_map(|region| {
                let place = framed(&region, seen);
                refused += u64::from(place.is_none());
                place
            })
            .take(4 * MOST)
            .collect();
        let area = |place: &Place| (place.right - place.left) * (place.bottom - place.top);
        places.sort_by(|one, other| area(other).total_cmp(&area(one)));
        refused += places.len().saturating_sub(MOST) as u64;
        places.truncate(MOST);
        for place in &mut places {
            // What was seen to move there goes on to: a reading tells of a moment that is gone by.
            let known = before.iter().find(|known| known.overlaps(place));
            if let Some(known) = known {
                (place.across, place.down) = (known.across, known.down);
                let late = self.newest.map_or(Span::ZERO, |newest| newest - seen);
                place.shift(late.secs_f64().clamp(0.0, AHEAD.secs_f64()) as f32);
            }
        }
        self.refused += refused;
        self.places = places;
        self.newest = Some(self.newest.map_or(seen, |newest| newest.max(seen)));
    }

    /// Moves the places along the vectors that the picture of `at`, of `width` × `height` luma pixels, was decoded with.
    pub fn follow(&mut self, at: MediaTime, motion: &MotionField, (width, height): (u32, u32)) {
        let since = self.newest.map_or(Span::ZERO, |newest| at - newest);
        if since <= Span::ZERO || width == 0 || height == 0 {
            return;
        }
        self.newest = Some(at);
        let seconds = since.secs_f64() as f32;
        self.places.retain(|place| at - place.seen < FORGOTTEN);
        for place in &mut self.places {
            let (across, down) = place.moved(motion, (width as f32, height as f32));
            (place.across, place.down) = (
                sane(place.across * 0.6 + across / seconds * 0.4),
                sane(place.down * 0.6 + down / seconds * 0.4),
            );
            if across.abs() < FASTEST * seconds && down.abs() < FASTEST * seconds {
                place.slide(across, down);
            }
        }
        self.places.retain(Place::is_seen);
    }

    /// Another scene: nothing is where it was.
    pub fn forget(&mut self) {
        self.places.clear();
    }

    /// The map of a picture shown at `at`; none where no place is known, and then all blocks are worth the same.
    pub fn map(&self, at: MediaTime) -> Option<Map> {
        let frames: Vec<[f32; 4]> = self
            .places
            .iter()
            .filter(|place| at - place.seen < FORGOTTEN)
            .map(|place| place.frame(at, self.newest))
            .collect();
        if frames.is_empty() {
            return None;
        }
        let levels = (0..COLUMNS * ROWS)
            .map(|index| {
                let x = ((index % COLUMNS) as f32 + 0.5) / COLUMNS as f32;
                let y = ((index / COLUMNS) as f32 + 0.5) / ROWS as f32;
                let nearest = frames
                    .iter()
                    .map(|frame| distance(frame, x, y))
                    .fold(f32::MAX, f32::min);
                let worth = (1.0 - nearest / REACH).clamp(0.0, 1.0);
                (worth * f32::from(INSIDE)).round() as u8
            })
            .collect();
        Some(Map { levels })
    }

    /// Left, top, right and bottom of every place, in shares of the picture's sides.
    pub fn places(&self) -> impl Iterator<Item = [f32; 4]> + '_ {
        self.places
            .iter()
            .map(|place| [place.left, place.top, place.right, place.bottom])
    }

    /// How much was refused so far.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

impl Place {
    fn overlaps(&self, other: &Place) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    /// Goes on for `seconds` as it moved.
    fn shift(&mut self, seconds: f32) {
        self.slide(self.across * seconds, self.down * seconds);
    }

    fn slide(&mut self, across: f32, down: f32) {
        self.left += across;
        self.right += across;
        self.top += down;
        self.bottom += down;
    }

    fn is_seen(&self) -> bool {
        self.left < 1.0 && self.right > 0.0 && self.top < 1.0 && self.bottom > 0.0
    }

    /// How far what lies in it has moved since the picture before: the median of the vectors of its blocks, which a few
    /// wrong ones do not move. Shares of the sides.
    fn moved(&self, motion: &MotionField, (width, height): (f32, f32)) -> (f32, f32) {
        let (mut across, mut down) = (Vec::new(), Vec::new());
        for block in motion.blocks.iter() {
            let (x, y) = (
                (f32::from(block.x) + f32::from(block.width) / 2.0) / width,
                (f32::from(block.y) + f32::from(block.height) / 2.0) / height,
            );
            let inside = x >= self.left && x <= self.right && y >= self.top && y <= self.bottom;
            if inside && block.reference < 0 && block.dx.is_finite() && block.dy.is_finite() {
                // The vector leads from here to there; what lies here came the other way.
                let intervals = -f32::from(block.reference);
                across.push(-block.dx / intervals / width);
                down.push(-block.dy / intervals / height);
            }
        }
        (median(&mut across), median(&mut down))
    }

    /// Where it is at `at`, as far as its motion tells, and wider by what is not known.
    fn frame(&self, at: MediaTime, newest: Option<MediaTime>) -> [f32; 4] {
        let ahead = newest
            .map_or(Span::ZERO, |newest| at - newest)
            .max(Span::ZERO)
            .min(AHEAD);
        let seconds = ahead.secs_f64() as f32;
        let age = (at - self.seen).max(Span::ZERO).secs_f64() as f32;
        let wider = MARGIN + (DRIFT * age).min(MOST_DRIFT);
        let (across, down) = (self.across * seconds, self.down * seconds);
        [
            self.left + across.min(0.0) - wider,
            self.top + down.min(0.0) - wider,
            self.right + across.max(0.0) + wider,
            self.bottom + down.max(0.0) + wider,
        ]
    }
}

/// The upright frame of a region, cut at the picture's edges; none where it has no area inside.
fn framed(region: &Region, seen: MediaTime) -> Option<Place> {
    let whole = region
        .corners
        .iter()
        .all(|corner| corner.x.is_finite() && corner.y.is_finite());
    let side = |pick: fn(&crate::media::Point) -> f32| {
        let shares = region.corners.iter().map(pick);
        let (low, high) = shares.fold((f32::MAX, f32::MIN), |(low, high), share| {
            (low.min(share), high.max(share))
        });
        (low.clamp(0.0, 1.0), high.clamp(0.0, 1.0))
    };
    let ((left, right), (top, bottom)) = (side(|corner| corner.x), side(|corner| corner.y));
    let place = Place {
        left,
        top,
        right,
        bottom,
        across: 0.0,
        down: 0.0,
        seen,
    };
    (whole && left < right && top < bottom).then_some(place)
}

/// From a point to a frame, 0 inside, in shares of the diagonal's length of a square picture.
fn distance([left, top, right, bottom]: &[f32; 4], x: f32, y: f32) -> f32 {
    let across = (left - x).max(x - right).max(0.0);
    let down = (top - y).max(y - bottom).max(0.0);
    across.hypot(down) / std::f32::consts::SQRT_2
}

fn median(values: &mut [f32]) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

fn sane(speed: f32) -> f32 {
    if speed.is_finite() {
        speed.clamp(-FASTEST, FASTEST)
    } else {
        0.0
    }
}

#[cfg(test)]
#[path = "regions_tests.rs"]
mod tests;
