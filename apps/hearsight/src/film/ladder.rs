//! How large pictures are sent: as they come while there are bits for it, else smaller. A coder that is given too little spends its
//! coarsest steps on every pixel; with fewer pixels each has more bits, and what is lost is detail that was not to be seen anyway.
//!
//! The coder's own quantiser says which of the two it is, whatever the scene. After libwebrtc's quality scaler, with what was found
//! here: each step costs a key picture, so that one up which does not hold is tried again later and later.

use hearsight_core::time::{MediaTime, Span};

/// The sides of the picture, as shares of what they were.
const RUNGS: [(u32, u32); 4] = [(1, 1), (3, 4), (1, 2), (3, 8)];
/// No side is made smaller than this, in pixels.
const SMALLEST: u32 = 120;
/// A quantiser above this shows its steps; of 0 to 51.
const COARSE: f32 = 40.0;
/// One below leaves room for a picture of 16/9 as many pixels, which raises it by some five.
const FINE: f32 = 31.0;
/// It has to be coarse for so long,
const COARSE_FOR: Span = Span::from_secs(2);
/// or fine for so long; doubled each time that a step up did not hold.
const FINE_FOR: Span = Span::from_secs(5);
/// No longer than this, though.
const FINE_FOR_AT_MOST: Span = Span::from_secs(80);
/// A step up that is taken back sooner did not hold.
const HOLDS: Span = Span::from_secs(15);
/// The share of the newest picture in the mean of quantisers.
const NEWEST: f32 = 0.1;

/// Chooses the size of a film's pictures.
#[derive(Debug)]
pub(super) struct Ladder {
    rung: usize,
    /// The mean quantiser of late, on this rung.
    mean: Option<f32>,
    /// Since when it is too coarse, or fine enough for more.
    coarse: Option<MediaTime>,
    fine: Option<MediaTime>,
    /// When a rung was last climbed.
    climbed: Option<MediaTime>,
    fine_for: Span,
}

impl Default for Ladder {
    fn default() -> Ladder {
        Ladder {
            rung: 0,
            mean: None,
            coarse: None,
            fine: None,
            climbed: None,
            fine_for: FINE_FOR,
        }
    }
}

impl Ladder {
    /// The size of what is sent of a picture of `width` × `height`: even, and never larger.
    pub(super) fn size(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let fits = |rung: &(u32, u32)| width.min(height) * rung.0 / rung.1 >= SMALLEST;
        let lowest = RUNGS.iter().rposition(fits).unwrap_or(0);
        let (part, of) = RUNGS[self.rung.min(lowest)];
        if part == of {
            return (width, height);
        }
        let even = |side: u32| (side * part / of) & !1;
        (even(width), even(height))
    }

    /// All of the next picture's pixels are wanted: somebody reads small print in it. How coarse it is then says nothing of the rest,
    /// and is forgotten, so that a short look beside the print is at a whole picture too.
    pub(super) fn keep_whole(&mut self) {
        self.step(0);
    }

    /// The picture of `at` was coded with this mean quantiser.
    pub(super) fn coded(&mut self, at: MediaTime, quantiser: f32) {
        let mean = self.mean.map_or(quantiser, |mean| mean + NEWEST * (quantiser - mean));
        self.mean = Some(mean);
        let since = |known: &mut Option<MediaTime>, holds: bool| {
            *known = holds.then(|| known.unwrap_or(at));
            known.map_or(Span::ZERO, |since| at - since)
        };
        let coarse = since(&mut self.coarse, mean > COARSE);
        let fine = since(&mut self.fine, mean < FINE);
        if coarse >= COARSE_FOR && self.rung + 1 < RUNGS.len() {
            let held = self.climbed.is_none_or(|climbed| at - climbed >= HOLDS);
            self.fine_for = match held {
                true => FINE_FOR,
                false => (self.fine_for * 2).min(FINE_FOR_AT_MOST),
            };
            self.step(self.rung + 1);
        } else if fine >= self.fine_for && self.rung > 0 {
            self.climbed = Some(at);
            self.step(self.rung - 1);
        }
    }

    fn step(&mut self, rung: usize) {
        self.rung = rung;
        (self.mean, self.coarse, self.fine) = (None, None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A coder that needs `hard` for the whole picture: 6 steps of the quantiser halve its bits.
    fn quantiser(ladder: &Ladder, hard: f32) -> f32 {
        let (width, height) = ladder.size((1280, 720));
        let share = (width * height) as f32 / (1280.0 * 720.0);
        (hard + 6.0 * share.log2()).clamp(10.0, 51.0)
    }

    /// The sizes at the end of each second of `seconds`, at `hard`.
    fn run(ladder: &mut Ladder, from: i64, seconds: i64, hard: f32) -> Vec<(u32, u32)> {
        let mut sizes = Vec::new();
        for number in from * 30..(from + seconds) * 30 {
            let quantiser = quantiser(ladder, hard);
            ladder.coded(MediaTime::from_millis(number * 1_000 / 30), quantiser);
            if number % 30 == 29 {
                sizes.push(ladder.size((1280, 720)));
            }
        }
        sizes
    }

    #[test]
    fn it_goes_down_while_coarse_and_up_again_when_there_is_room() {
        let mut ladder = Ladder::default();
        assert_eq!(run(&mut ladder, 0, 10, 38.0).last(), Some(&(1280, 720)), "good enough");
        assert_eq!(run(&mut ladder, 10, 10, 44.0).last(), Some(&(960, 540)));
        assert_eq!(run(&mut ladder, 20, 30, 51.0).last(), Some(&(640, 360)));
        assert_eq!(run(&mut ladder, 50, 40, 25.0).last(), Some(&(1280, 720)));
    }

    #[test]
    fn it_settles_whatever_the_scene() {
        for hard in 20..=60 {
            let mut ladder = Ladder::default();
            let sizes = run(&mut ladder, 0, 600, hard as f32);
            let changes = sizes[300..].windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!(changes <= 8, "{changes} changes in five minutes at {hard}");
            assert!(sizes.iter().all(|(width, height)| width % 2 == 0 && height % 2 == 0));
        }
    }

    #[test]
    fn small_pictures_and_small_print_are_left_alone() {
        let mut ladder = Ladder::default();
        run(&mut ladder, 0, 30, 60.0);
        assert_eq!(ladder.size((1280, 720)), (480, 270));
        assert_eq!(ladder.size((320, 240)), (160, 120));
        assert_eq!(ladder.size((176, 144)), (176, 144), "nothing smaller than that");
        assert_eq!(ladder.size((16, 16)), (16, 16));
        assert_eq!(ladder.size((1023, 767)), (382, 286), "even");
        // Small print is framed, but for a look beside it of a second and a half.
        for number in 0..3_000 {
            let at = MediaTime::from_millis(30_000 + number * 33);
            if number % 500 < 455 {
                ladder.keep_whole();
            }
            assert_eq!(ladder.size((1280, 720)), (1280, 720), "picture {number}");
            ladder.coded(at, 48.0);
        }
    }
}
