//! At which moments pictures are shown: those that there are, and those that are made between them.

use hearsight_codecs::container::Rate;
use hearsight_core::time::{MediaTime, Span};

/// Over a longer pause nothing is made: it was one for whoever filmed, too. It bounds what a file can ask for.
const LONGEST_PAUSE: Span = Span::from_secs(2);
/// More are not made between two: they wait in memory until all are.
const MOST_BETWEEN: i64 = 32;
/// A picture this near to a place of the grid is the one for it: what coarse containers round.
const NEAR: Span = Span::from_millis(1);

/// How often pictures are to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The time from each picture to the next is cut into so many equal parts: times are kept, even or not.
    Times(u32),
    /// At an even rate, from the first picture on.
    Rate(Rate),
}

/// A moment at which a picture is shown, after the picture that comes before or at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// When.
    pub at: MediaTime,
    /// How far on the way to the next picture, from 0 (this one as it is) to below 1.
    pub way: f32,
}

/// How a picture follows the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// Directly.
    AtOnce,
    /// Others between them were lost, and what they showed is not known.
    AfterLoss,
}

/// The moments, as picture follows picture.
#[derive(Clone, Debug)]
pub struct Places {
    pace: Pace,
    /// The first picture's time, and the number of the next place on the grid from there.
    grid: Option<(MediaTime, i64)>,
}

impl Places {
    /// From the start.
    pub fn new(pace: Pace) -> Places {
        Places { pace, grid: None }
    }

    /// The moments from a picture at `from` until just before the next at `to`. After a loss only what there is, is shown.
    pub fn between(&mut self, from: MediaTime, to: MediaTime, follows: Follows) -> Vec<Slot> {
        let span = to - from;
        let bridged = follows == Follows::AtOnce && span <= LONGEST_PAUSE;
        match self.pace {
            Pace::Times(parts) => {
                let parts = if bridged { parts.max(1) } else { 1 };
                (0..parts).map(|part| slot(from, span, part, parts)).collect()
            }
            Pace::Rate(rate) => self.on_grid(rate, from, to, bridged && rate.nearest(span) <= MOST_BETWEEN),
        }
    }

    /// The moments of the last picture, which is shown for so long.
    pub fn last(&mut self, from: MediaTime, lasts: Span) -> Vec<Slot> {
        let mut slots = self.between(from, from + lasts, Follows::AtOnce);
        match self.pace {
            Pace::Times(_) => slots.truncate(1),
            // There is no next picture to be on the way to.
            Pace::Rate(_) => slots.iter_mut().for_each(|slot| slot.way = 0.0),
        }
        slots
    }

    fn on_grid(&mut self, rate: Rate, from: MediaTime, to: MediaTime, bridged: bool) -> Vec<Slot> {
        let (origin, mut next) = self.grid.unwrap_or((from, 0));
        let place = |number| origin + rate.place(number);
        let near = NEAR.min(Span::from_nanos(rate.place(1).nanos() / 4));
        // A pause is stepped over, not filled.
        next = next.max(rate.nearest(from - near - origin));
        let mut slots = Vec::new();
        while place(next) < to - near {
            let at = place(next);
            let gone = at - from;
            if gone <= near && gone >= -near {
                slots.push(Slot { at, way: 0.0 });
            } else if gone > Span::ZERO && bridged {
                let way = gone.nanos() as f64 / (to - from).nanos().max(1) as f64;
                slots.push(Slot { at, way: way as f32 });
            } else if slots.is_empty() && gone > Span::ZERO {
                // The first place after it: without it, a picture off the grid would never be seen.
                slots.push(Slot { at, way: 0.0 });
            }
            next += 1;
            if !bridged && gone > Span::ZERO {
                next = next.max(rate.nearest(to - near - origin));
            }
        }
        self.grid = Some((origin, next));
        slots
    }
}

fn slot(from: MediaTime, span: Span, part: u32, parts: u32) -> Slot {
    let gone = i128::from(span.nanos()) * i128::from(part) / i128::from(parts);
    Slot {
        at: from + Span::from_nanos(gone as i64),
        way: part as f32 / parts as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pace: Pace, times: &[MediaTime], last: Span) -> Vec<Slot> {
        let mut places = Places::new(pace);
        let mut slots: Vec<Slot> = times
            .windows(2)
            .flat_map(|pair| places.between(pair[0], pair[1], Follows::AtOnce))
            .collect();
        slots.extend(places.last(times[times.len() - 1], last));
        slots
    }

    fn even(rate: Rate, count: i64) -> Vec<MediaTime> {
        (0..count).map(|number| MediaTime::ZERO + rate.place(number)).collect()
    }

    fn rate(pictures: u32, seconds: u32) -> Rate {
        Rate::new(pictures, seconds).unwrap()
    }

    #[test]
    fn doubling_keeps_every_picture_and_makes_one_half_way() {
        let times = even(rate(30_000, 1001), 100);
        let slots = all(Pace::Times(2), &times, rate(30_000, 1001).place(1));
        assert_eq!(slots.len(), 199);
        for (number, slot) in slots.iter().enumerate() {
            let meant = MediaTime::ZERO + rate(60_000, 1001).place(number as i64);
            assert!((slot.at - meant).nanos().abs() <= 1, "{number}");
            assert_eq!(slot.way, [0.0, 0.5][number % 2]);
        }
    }

    #[test]
    fn any_rate_is_even_and_keeps_what_falls_on_its_grid() {
        let sources = [rate(24, 1), rate(25, 1), rate(30_000, 1001), rate(30, 1), rate(50, 1)];
        for from in sources {
            for to in [rate(24, 1), rate(50, 1), rate(60_000, 1001), rate(60, 1), rate(120, 1)] {
                let slots = all(Pace::Rate(to), &even(from, 200), from.place(1));
                for (number, slot) in slots.iter().enumerate() {
                    assert_eq!(slot.at, MediaTime::ZERO + to.place(number as i64), "{from} to {to}");
                    assert!((0.0..1.0).contains(&slot.way));
                }
                let seconds = 200.0 / from.per_second();
                assert!(
                    (slots.len() as f64 - seconds * to.per_second()).abs() <= 2.0,
                    "{from} to {to}"
                );
                let kept = slots.iter().filter(|slot| slot.way == 0.0).count();
                if to.pictures.is_multiple_of(from.pictures) && to.seconds == from.seconds {
                    // The last picture is held until its time is over.
                    assert_eq!(kept as u32, 199 + to.pictures / from.pictures, "{from} to {to}");
                }
            }
        }
    }

    #[test]
    fn uneven_times_are_kept_and_pauses_are_not_filled() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut times = vec![MediaTime::from_millis(random.i64(0..5_000))];
            for _ in 0..60 {
                let step = if random.u8(..) < 8 { 20_000 } else { random.i64(1..90) };
                times.push(*times.last().unwrap() + Span::from_millis(step));
            }
            let slots = all(Pace::Times(3), &times, Span::from_millis(33));
            assert!(slots.is_sorted_by(|a, b| a.at < b.at), "seed {seed}");
            assert!(
                times
                    .iter()
                    .all(|at| slots.iter().any(|slot| slot.at == *at && slot.way == 0.0))
            );
            assert!(slots.len() <= 3 * times.len());
            let slots = all(Pace::Rate(rate(60, 1)), &times, Span::from_millis(33));
            assert!(slots.is_sorted_by(|a, b| a.at < b.at), "seed {seed}");
            let filled: i64 = times
                .windows(2)
                .map(|pair| (pair[1] - pair[0]).nanos().min(1_000_000_000))
                .sum();
            assert!(
                slots.len() as i64 <= filled * 60 / 1_000_000_000 + 130,
                "seed {seed}: {}",
                slots.len()
            );
        }
    }

    #[test]
    fn across_a_hole_only_what_there_is_is_shown() {
        let times = even(rate(30, 1), 3);
        let mut places = Places::new(Pace::Times(2));
        assert_eq!(places.between(times[0], times[1], Follows::AfterLoss).len(), 1);
        let mut places = Places::new(Pace::Rate(rate(90, 1)));
        assert_eq!(places.between(times[0], times[2], Follows::AfterLoss).len(), 1);
        assert_eq!(
            places
                .between(times[2], times[2] + rate(30, 1).place(1), Follows::AtOnce)
                .len(),
            3
        );
    }
}
