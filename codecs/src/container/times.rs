//! Times in containers are whole numbers of ticks; ours are nanoseconds. Rates are exact fractions.

use ffmpeg_next::Rational;
use hearsight_core::time::{MediaTime, Span};

const NANOS: i128 = 1_000_000_000;

/// Pictures per second, as an exact fraction: 30000/1001 is not 29.97.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Pictures …
    pub pictures: u32,
    /// … in so many seconds.
    pub seconds: u32,
}

impl Rate {
    /// The highest rate of pictures that is taken for one.
    pub const HIGHEST: u32 = 1_000;

    /// A rate above zero and up to [`Rate::HIGHEST`]; none otherwise. Kept in lowest terms.
    pub fn new(pictures: u32, seconds: u32) -> Option<Rate> {
        if pictures == 0 || seconds == 0 || pictures.div_ceil(seconds) > Rate::HIGHEST {
            return None;
        }
        let (mut a, mut b) = (pictures, seconds);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        Some(Rate {
            pictures: pictures / a,
            seconds: seconds / a,
        })
    }

    pub(super) fn from_ratio(ratio: Rational) -> Option<Rate> {
        Rate::new(u32::try_from(ratio.0).ok()?, u32::try_from(ratio.1).ok()?)
    }

    /// So many times as often. None where that is too often.
    pub fn times(self, factor: u32) -> Option<Rate> {
        Rate::new(self.pictures.checked_mul(factor)?, self.seconds)
    }

    /// How long after the first picture the one with this number is.
    pub fn place(self, number: i64) -> Span {
        let nanos = i128::from(number) * i128::from(self.seconds) * NANOS;
        Span::from_nanos(clamped(rounded(nanos, self.pictures.into())))
    }

    /// The picture whose place is nearest.
    pub fn nearest(self, place: Span) -> i64 {
        let pictures = i128::from(place.nanos()) * i128::from(self.pictures);
        clamped(rounded(pictures, i128::from(self.seconds) * NANOS))
    }

    /// As a decimal number, for people.
    pub fn per_second(self) -> f64 {
        f64::from(self.pictures) / f64::from(self.seconds)
    }

    /// Ticks fine enough that the places of pictures, and of those made between them, are whole numbers of them.
    pub fn tick(self) -> (i32, i32) {
        // Players expect thousands of ticks a second, and count them in 32 bits.
        let finer = 10_000_u32.div_ceil(self.pictures).max(1);
        let per_second = self
            .pictures
            .checked_mul(finer)
            .and_then(|ticks| i32::try_from(ticks).ok());
        match (per_second, i32::try_from(self.seconds)) {
            (Some(ticks), Ok(seconds)) => (seconds, ticks),
            _ => (1, 90_000),
        }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.seconds {
            1 => write!(f, "{}", self.pictures),
            _ => write!(f, "{:.3}", self.per_second()),
        }
    }
}

/// A number of ticks as a time.
pub(super) fn media_from_ticks(ticks: i64, tick: Rational) -> MediaTime {
    let nanos = i128::from(ticks) * i128::from(tick.0) * NANOS;
    MediaTime::from_nanos(clamped(rounded(nanos, i128::from(tick.1).max(1))))
}

/// The nearest number of ticks.
pub(super) fn ticks_from_span(span: Span, tick: Rational) -> i64 {
    let ticks = i128::from(span.nanos()) * i128::from(tick.1);
    clamped(rounded(ticks, (i128::from(tick.0) * NANOS).max(1)))
}

fn rounded(number: i128, by: i128) -> i128 {
    (2 * number + by).div_euclid(2 * by)
}

/// Containers may claim any time: a quarter of what the type holds can be added and subtracted without a second look.
fn clamped(number: i128) -> i64 {
    const MOST: i128 = (i64::MAX / 4) as i128;
    number.clamp(-MOST, MOST) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_numbers_invert_each_other_and_ticks_are_exact() {
        for (pictures, seconds) in [
            (24_000, 1001),
            (30_000, 1001),
            (25, 1),
            (60, 1),
            (15, 2),
            (240, 1),
            (119, 7),
        ] {
            let rate = Rate::new(pictures, seconds).unwrap();
            let tick = Rational(rate.tick().0, rate.tick().1);
            let mut before = -1;
            for number in (0..2_000).chain([10_000_000]) {
                let place = rate.place(number);
                assert_eq!(rate.nearest(place), number, "{rate:?}");
                let ticks = ticks_from_span(place, tick);
                assert!(ticks > before, "{rate:?}");
                before = ticks;
                let back = media_from_ticks(ticks, tick) - MediaTime::ZERO;
                assert!((back - place).nanos().abs() <= 1, "{rate:?}: {back:?} for {place:?}");
            }
        }
    }

    #[test]
    fn what_is_no_rate_is_none_and_no_time_is_too_large() {
        assert_eq!(Rate::new(0, 1), None);
        assert_eq!(Rate::new(1, 0), None);
        assert_eq!(Rate::new(90_000, 1), None);
        assert_eq!(Rate::new(50, 2), Rate::new(25, 1));
        assert_eq!(Rate::new(400, 1).unwrap().times(3), None);
        for ticks in [i64::MIN, -1, 0, 1, i64::MAX] {
            for tick in [
                Rational(1, 1),
                Rational(i32::MAX, 1),
                Rational(1, i32::MAX),
                Rational(1, 0),
            ] {
                let at = media_from_ticks(ticks, tick);
                let _ = (at + (at - MediaTime::ZERO), ticks_from_span(at - MediaTime::ZERO, tick));
            }
        }
    }
}
