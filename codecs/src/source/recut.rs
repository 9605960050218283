//! Sound in pieces of any length, cut into pieces of one length.

use std::collections::VecDeque;

use hearsight_core::time::{MediaTime, Span};

/// A piece that begins further off than this begins anew: it is no rounding.
const TOLERANCE: Span = Span::from_millis(40);

/// Cuts a stream of samples into frames of equal length. A hole in the stream ends a frame with silence, and the next
/// begins where the sound does.
pub(super) struct Recut {
    length: usize,
    rate: u32,
    whole: VecDeque<(MediaTime, Vec<f32>)>,
    partial: Vec<f32>,
    /// Media time of the first sample of `partial`, or of the next to come.
    at: Option<MediaTime>,
}

impl Recut {
    /// Frames of `length` samples at `rate` per second.
    pub(super) fn new(length: usize, rate: u32) -> Recut {
        Recut {
            length: length.max(1),
            rate,
            whole: VecDeque::new(),
            partial: Vec::new(),
            at: None,
        }
    }

    /// Takes samples of which the first sounds at `at`.
    pub(super) fn push(&mut self, at: MediaTime, samples: impl Iterator<Item = f32>) {
        let off = self.at.map_or(Span::ZERO, |first| at - (first + self.span()));
        if off > TOLERANCE || -off > TOLERANCE {
            self.fill();
            self.at = None;
        }
        let mut first = *self.at.get_or_insert(at);
        for sample in samples {
            self.partial.push(sample);
            if self.partial.len() == self.length {
                let frame = std::mem::replace(&mut self.partial, Vec::with_capacity(self.length));
                self.whole.push_back((first, frame));
                first += Span::from_samples(self.length as i64, self.rate);
            }
        }
        self.at = Some(first);
    }

    /// The next whole frame and its media time.
    pub(super) fn pop(&mut self) -> Option<(MediaTime, Vec<f32>)> {
        self.whole.pop_front()
    }

    /// Completes the frame under way with silence.
    pub(super) fn fill(&mut self) {
        let over = self.partial.len();
        if let Some(first) = self.at.filter(|_| over > 0) {
            self.push(first + self.span(), std::iter::repeat_n(0.0, self.length - over));
        }
    }

    fn span(&self) -> Span {
        Span::from_samples(self.partial.len() as i64, self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 48_000;
    const FRAME: usize = 960;

    /// Frames of a stream whose samples are the numbers of their places, in pieces of random lengths with random holes.
    #[test]
    fn every_sample_keeps_its_place_however_the_stream_is_cut() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut recut = Recut::new(FRAME, RATE);
            let (mut place, mut pushed, mut found) = (random.i64(0..100_000), 0u64, 0u64);
            for _ in 0..60 {
                if random.u8(..) < 30 {
                    place += random.i64(5_000..90_000);
                }
                let length = random.i64(0..4_000);
                let at = MediaTime::ZERO + Span::from_samples(place, RATE);
                recut.push(at, (place..place + length).map(|i| 1.0 + i as f32));
                place += length;
                pushed += length as u64;
            }
            recut.fill();
            let mut before = None;
            while let Some((at, frame)) = recut.pop() {
                assert_eq!(frame.len(), FRAME);
                assert!(before.is_none_or(|before| at > before), "seed {seed}: time goes on");
                before = Some(at);
                for (i, sample) in frame.iter().enumerate().filter(|(_, sample)| **sample != 0.0) {
                    let heard = at + Span::from_samples(i as i64, RATE);
                    let meant = MediaTime::ZERO + Span::from_samples(*sample as i64 - 1, RATE);
                    let off = (heard - meant).nanos().abs();
                    assert!(off < 200_000, "seed {seed}: {off} ns off");
                    found += 1;
                }
            }
            assert_eq!(found, pushed, "seed {seed}");
        }
    }
}
