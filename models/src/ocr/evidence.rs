//! How well can it be read: what [`Readability`] is made of, before and after a character is.

use hearsight_core::media::Readability;

use super::canvas::Strip;

/// Details across the height of a line, below which no letter can be told from another, and from which on more of them help
/// no more. Edges of clean text of 12 pixels are about 1.5 pixels wide, which makes nine.
const DETAILS: [f32; 2] = [3.0, 9.0];
/// Certainties of a line that was read, between which what was read grows into what can be relied on.
const CERTAINTIES: [f32; 2] = [0.5, 0.95];
/// What a place that looks like text counts for when nothing could be made out in it: more than nothing at all, however
/// blurred, and the sharper the more.
const UNREAD: [f32; 2] = [0.05, 0.25];
/// A line is at least this many times as wide as it is high, where its height is not to be trusted.
const LINE: f32 = 4.0;
/// The detector is as sure as it gets from here on: its marks are thin, and their margin counts against them.
const STRONG: f32 = 0.65;
/// Luma steps between ink and paper below which there is no ink.
const FAINTEST: f32 = 12.0;

/// How well one place can be read, 0..1: the details that its sharpness leaves in the height of a line, the detector's own
/// `strength`, and what reading it gave, where it was read.
pub(super) fn place(strip: &Strip, strength: f32, certainty: Option<f32>) -> f32 {
    let [blurred, sharp] = UNREAD;
    let unread = |details: f32| blurred + (sharp - blurred) * ramp(DETAILS, details);
    let clear = match certainty {
        // It may be several lines that have run together.
        None => unread(details(strip) * (strip.width as f32 / Strip::HEIGHT as f32 / LINE).min(1.0)),
        Some(certainty) => {
            let details = details(strip);
            let read = ramp(DETAILS, details) - unread(details);
            unread(details) + ramp(CERTAINTIES, certainty) * read.max(0.0)
        }
    };
    clear * ramp([0.0, STRONG], strength)
}

/// How well all of them can be read: the mean, in which a line counts by the length of its text. None without a place.
pub(super) fn all(places: impl IntoIterator<Item = (f32, f32)>) -> Option<Readability> {
    let (mut sum, mut weight) = (0.0, 0.0);
    for (readability, length) in places {
        sum += readability * length;
        weight += length;
    }
    (weight > 0.0).then(|| Readability::new(sum / weight))
}

/// The height of the line over the width of its sharpest edges. Independent of size: a large blurred letter and a small one
/// with the same blur to its height are as hard to read.
fn details(strip: &Strip) -> f32 {
    let mut steps: Vec<u8> = Vec::with_capacity(strip.luma.len());
    for row in strip.luma.chunks_exact(strip.width) {
        steps.extend(row.iter().zip(&row[1..]).map(|(a, b)| a.abs_diff(*b)));
    }
    let mut luma = strip.luma.clone();
    let contrast = f32::from(rank(&mut luma, 0.97)) - f32::from(rank(&mut luma, 0.03));
    if contrast < FAINTEST {
        return 0.0;
    }
    // Ink is edged all over: two in a hundred places are on an edge of even the thinnest text.
    let steepest = f32::from(rank(&mut steps, 0.98));
    Strip::HEIGHT as f32 * steepest / contrast
}

/// The value at a share of the order; 0 for none.
fn rank(values: &mut [u8], share: f32) -> u8 {
    let place = (values.len().saturating_sub(1) as f32 * share) as usize;
    match values.is_empty() {
        true => 0,
        false => *values.select_nth_unstable(place).1,
    }
}

fn ramp([from, to]: [f32; 2], value: f32) -> f32 {
    ((value - from) / (to - from)).clamp(0.0, 1.0)
}

/// Whether two strips show the same: no block of them differs by more than compression makes it.
pub(super) fn same(a: &Strip, b: &Strip) -> bool {
    const BLOCK: usize = 8;
    /// Mean luma steps in a block. A stroke of a letter, black on white, makes 25 and more; coarse quantisation up to 10.
    const CHANGE: u32 = 14;
    if a.width != b.width {
        return false;
    }
    for top in (0..Strip::HEIGHT).step_by(BLOCK) {
        for left in (0..a.width).step_by(BLOCK) {
            let right = (left + BLOCK).min(a.width);
            let block = (top..top + BLOCK).map(|row| row * a.width + left..row * a.width + right);
            let difference: u32 = block
                .flat_map(|row| a.luma[row.clone()].iter().zip(&b.luma[row]))
                .map(|(a, b)| u32::from(a.abs_diff(*b)))
                .sum();
            if difference > CHANGE * ((right - left) * BLOCK) as u32 {
                return false;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of upright strokes of 3 pixels, blurred so often by a box of three.
    fn strokes(blurs: usize, contrast: f32) -> Strip {
        let width = 200;
        let ink = |x: usize| (x / 50).is_multiple_of(2) && x / 3 % 3 != 1;
        let mut row: Vec<f32> = (0..width).map(|x| if ink(x) { 0.0 } else { 1.0 }).collect();
        for _ in 0..blurs {
            let before = row.clone();
            for x in 1..width - 1 {
                row[x] = (before[x - 1] + before[x] + before[x + 1]) / 3.0;
            }
        }
        let luma: Vec<u8> = row.iter().map(|share| (60.0 + share * contrast) as u8).collect();
        Strip {
            width,
            luma: luma.repeat(Strip::HEIGHT),
        }
    }

    #[test]
    fn blur_makes_it_less_and_a_blurred_sign_is_still_not_an_empty_wall() {
        let all: Vec<f32> = (0..16).map(|blurs| place(&strokes(blurs, 150.0), 0.9, None)).collect();
        // Whole luma steps make the steepest edge jump a little.
        assert!(all.windows(2).all(|pair| pair[0] >= 0.97 * pair[1]), "{all:?}");
        assert!(all[0] > 2.0 * all[15], "{all:?}");
        assert!(all[15] > 0.0, "{all:?}");
        assert_eq!(place(&strokes(0, 150.0), 0.9, Some(0.99)), 1.0, "a clean view");
        assert_eq!(super::all([]), None);
    }

    #[test]
    fn what_was_read_counts_for_more_than_what_was_not_and_faint_places_for_less() {
        let sharp = strokes(0, 150.0);
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (strength, certainty) = (random.f32(), random.f32());
            let read = place(&sharp, strength, Some(certainty));
            assert!(read >= place(&sharp, strength, None) && read <= 1.0);
            assert!(read <= place(&sharp, strength, Some(certainty + 0.1)));
            assert!(read <= place(&sharp, strength + 0.1, Some(certainty)));
        }
    }

    #[test]
    fn one_changed_letter_makes_another_strip_and_noise_does_not() {
        let before = strokes(1, 150.0);
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut noisy = before.clone();
            noisy
                .luma
                .iter_mut()
                .for_each(|luma| *luma = luma.saturating_add_signed(random.i8(-9..10)));
            assert!(same(&before, &noisy), "seed {seed}");
            let letter = random.usize(0..before.width - 12);
            for row in 8..24 {
                noisy.luma[row * before.width + letter..][..12].fill(60);
            }
            assert!(!same(&before, &noisy), "seed {seed}");
        }
    }
}
