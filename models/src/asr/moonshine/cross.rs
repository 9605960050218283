//! What the decoder looks at: keys and values of what was heard, appended as it comes.
//!
//! They are most of what a stream holds, so they are kept in 16 bits; the decoder is given them in 32, from a desk that streams
//! share ([`Laid`]).

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::shape::Shape;

/// Features that room is made for at a time: twice what there is would be megabytes that are not used.
const SPARE: usize = 16;

/// Keys and values of the features of a stretch, `[layers, 1, heads, features, width]` each.
pub(super) struct Cross {
    keys: Vec<f16>,
    values: Vec<f16>,
    features: usize,
    lanes: usize,
    width: usize,
}

impl Cross {
    pub(super) fn new(shape: &Shape) -> Cross {
        Cross {
            keys: Vec::new(),
            values: Vec::new(),
            features: 0,
            lanes: shape.layers * shape.heads,
            width: shape.width,
        }
    }
    pub(super) fn features(&self) -> usize {
        self.features
    }
    pub(super) fn bytes(&self) -> usize {
        (self.keys.capacity() + self.values.capacity()) * size_of::<f16>()
    }

    /// Keeps the first `keep` features and puts `count` behind them, laid out as these are.
    pub(super) fn replace(&mut self, keep: usize, count: usize, keys: &[f32], values: &[f32]) {
        let keep = keep.min(self.features);
        for (all, new) in [(&mut self.keys, keys), (&mut self.values, values)] {
            let mut short = vec![f16::ZERO; new.len()];
            short.convert_from_f32_slice(new);
            let more = (self.lanes * self.width * (keep + count)).saturating_sub(all.len());
            if all.capacity() - all.len() < more {
                all.reserve_exact(more + self.lanes * self.width * SPARE);
            }
            relay(
                all,
                self.lanes,
                self.width * self.features,
                self.width * keep,
                self.width * count,
                &short,
            );
        }
        self.features = keep + count;
    }
}

/// What a stream's [`Cross`] holds, as the decoder takes it: the desk on which one stream at a time lays it out, for one pass.
#[derive(Default)]
pub(super) struct Laid {
    keys: Vec<f32>,
    values: Vec<f32>,
    features: usize,
}

impl Laid {
    pub(super) fn lay(&mut self, cross: &Cross) {
        for (laid, held) in [(&mut self.keys, &cross.keys), (&mut self.values, &cross.values)] {
            laid.resize(held.len(), 0.0);
            held.convert_to_f32_slice(laid);
        }
        self.features = cross.features;
    }
    pub(super) fn features(&self) -> usize {
        self.features
    }
    pub(super) fn keys(&self) -> &[f32] {
        &self.keys
    }
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }
}

/// Lanes of `old` values become lanes of `keep + count`, in place: their first `keep`, then their part of `new`.
fn relay(all: &mut Vec<f16>, lanes: usize, old: usize, keep: usize, count: usize, new: &[f16]) {
    let wide = keep + count;
    let put = |all: &mut [f16], lane: usize| {
        all.copy_within(lane * old..lane * old + keep, lane * wide);
        all[lane * wide + keep..][..count].copy_from_slice(&new[lane * count..][..count]);
    };
    // Wider lanes move back, so the last goes first; narrower ones move up. A lane that only grew cannot overwrite one that is
    // still to move.
    if wide >= old {
        all.resize(lanes * wide, f16::ZERO);
        (0..lanes).rev().for_each(|lane| put(all, lane));
    } else {
        (0..lanes).for_each(|lane| put(all, lane));
        all.truncate(lanes * wide);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_in_pieces_lies_as_if_it_came_at_once() {
        let (lanes, width) = (6, 4);
        let mut desk = Laid::default();
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut cross = Cross {
                keys: Vec::new(),
                values: Vec::new(),
                features: 0,
                lanes,
                width,
            };
            // Each feature has a number; a key is known by that, its lane and its place in it.
            let mut expected: Vec<u32> = Vec::new();
            // Quarters below 512 are exact in 16 bits.
            let value = |name: u32, lane: usize, at: usize| (name as usize * 8 + lane * 4 + at) as f32 / 4.0;
            let laid = |names: &[u32]| -> Vec<f32> {
                let lane = |lane| {
                    names
                        .iter()
                        .flat_map(move |&name| (0..width).map(move |at| value(name, lane, at)))
                };
                (0..lanes).flat_map(lane).collect()
            };
            for step in 0..20 {
                let keep = random.usize(0..=expected.len());
                let new: Vec<u32> = (0..random.u32(0..7)).map(|at| step * 10 + at).collect();
                let keys = laid(&new);
                let values: Vec<f32> = keys.iter().map(|key| -key).collect();
                cross.replace(keep, new.len(), &keys, &values);
                expected.truncate(keep);
                expected.extend(new);
                assert_eq!(cross.features(), expected.len());
                desk.lay(&cross);
                assert_eq!(desk.features(), expected.len());
                assert_eq!(desk.keys(), laid(&expected), "seed {seed}");
                assert!(desk.values().iter().zip(desk.keys()).all(|(value, key)| *value == -key));
            }
        }
    }
}
