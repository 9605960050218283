//! How far away the pictures lie that a picture was predicted from. libavcodec tells of each vector only whether its
//! reference comes from the first list or the second (section 8.2.4): by default and in practice the nearest earlier
//! reference picture, and the nearest later one.

use std::collections::VecDeque;

use hearsight_core::time::{MediaTime, Span};

/// Reference pictures that are remembered: all that a stream may keep (16), and those under way.
const MOST: usize = 33;
/// The longest distance that a block can state.
const FARTHEST: i64 = 127;

/// Where the references of a picture lie, in lengths of the interval before it: 1 is the neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Distances {
    pub(super) past: i8,
    pub(super) future: i8,
}

/// Neighbours on both sides.
impl Default for Distances {
    fn default() -> Distances {
        Distances { past: 1, future: 1 }
    }
}

/// What is known of the pictures so far.
#[derive(Debug, Default)]
pub(super) struct References {
    /// Number in the order of decoding, and time of showing, of reference pictures.
    known: VecDeque<(i64, MediaTime)>,
    /// When the picture before was shown.
    shown: Option<MediaTime>,
}

impl References {
    /// A reference picture goes in.
    pub(super) fn decode(&mut self, number: i64, at: MediaTime) {
        if self.known.len() == MOST {
            self.known.pop_front();
        }
        self.known.push_back((number, at));
    }

    /// A picture comes out, in the order of showing: how far away its references are.
    pub(super) fn show(&mut self, number: i64, at: MediaTime) -> Distances {
        let before = self.shown.replace(at);
        let interval = before.map_or(Span::ZERO, |before| at - before);
        let could = self.known.iter().filter(|known| known.0 < number).map(|known| known.1);
        let past = could.clone().filter(|reference| *reference < at).max();
        let future = could.filter(|reference| *reference > at).min();
        Distances {
            past: lengths(past.map(|past| at - past), interval),
            future: lengths(future.map(|future| future - at), interval),
        }
    }

    /// Nothing that went before counts any more.
    pub(super) fn forget(&mut self) {
        *self = References::default();
    }
}

/// A span in lengths of an interval, rounded. Without either it is one.
fn lengths(span: Option<Span>, interval: Span) -> i8 {
    match span {
        Some(span) if interval > Span::ZERO => {
            let lengths = span.saturating_add(interval / 2).nanos() / interval.nanos();
            lengths.clamp(1, FARTHEST) as i8
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: i64 = 40;

    fn at(place: i64) -> MediaTime {
        MediaTime::from_millis(place * INTERVAL)
    }

    /// Places in the order of decoding, and which of them are references; answers by place, in the order of showing.
    fn shown(order: &[(i64, bool)]) -> Vec<(i8, i8)> {
        let mut references = References::default();
        for (number, (place, reference)) in order.iter().enumerate() {
            if *reference {
                references.decode(number as i64, at(*place));
            }
        }
        let mut numbers: Vec<(i64, i64)> = (0..).zip(order).map(|(number, (place, _))| (*place, number)).collect();
        numbers.sort_unstable();
        let distances = numbers
            .into_iter()
            .map(|(place, number)| references.show(number, at(place)));
        distances.map(|distances| (distances.past, distances.future)).collect()
    }

    #[test]
    fn each_in_order_refers_to_its_neighbour_and_layers_to_the_layer_below() {
        let order: Vec<_> = (0..6).map(|place| (place, true)).collect();
        assert_eq!(shown(&order), [(1, 1); 6]);
        let layers: Vec<_> = (0..6).map(|place| (place, place % 2 == 0)).collect();
        assert_eq!(shown(&layers), [(1, 1), (1, 1), (2, 1), (1, 1), (2, 1), (1, 1)]);
    }

    #[test]
    fn a_pyramid_refers_up_and_down() {
        // I0 P4 B2 b1 b3 P8 B6 b5 b7, capital letters being references.
        let order = [
            (0, true),
            (4, true),
            (2, true),
            (1, false),
            (3, false),
            (8, true),
            (6, true),
            (5, false),
            (7, false),
        ];
        let told = shown(&order);
        assert_eq!(told[1..5], [(1, 1), (2, 2), (1, 1), (4, 1)]);
        assert_eq!(told[5..], [(1, 1), (2, 2), (1, 1), (4, 1)]);
    }

    #[test]
    fn times_that_make_no_sense_give_distances_that_do() {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut references = References::default();
            for number in 0..100 {
                let wild = [random.i64(..), 0, random.i64(0..1_000), i64::MAX, i64::MIN][random.usize(0..5)];
                if random.bool() {
                    references.decode(number, MediaTime::from_nanos(wild));
                }
                let distances = references.show(random.i64(0..100), MediaTime::from_nanos(wild));
                assert!(distances.past >= 1 && distances.future >= 1, "seed {seed}");
                assert!(references.known.len() <= MOST);
            }
        }
    }
}
