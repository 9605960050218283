//! How readability rises with the rate, learnt from what was read.

use super::{PUBLISHED, TIERS};
use crate::media::Readability;

/// What the published mean is worth: this many readings of our own.
const PRIOR: f32 = 1.0;
/// No more than so many readings are held on to: the newest counts at least a fifth, and what was true of a picture that has
/// gone by is unlearnt in a few seconds.
const MOST: f32 = 4.0;

/// Readability at each tier, believed from the published mean and from readings. It never falls as the rate rises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Curve {
    readable: [f32; TIERS.len()],
    weight: [f32; TIERS.len()],
}

impl Default for Curve {
    /// The published mean.
    fn default() -> Curve {
        Curve {
            readable: PUBLISHED,
            weight: [PRIOR; TIERS.len()],
        }
    }
}

impl Curve {
    /// What is believed, by tier.
    pub fn points(&self) -> &[f32; TIERS.len()] {
        &self.readable
    }

    /// Takes in that what came at `rate` bits per second could be read so well.
    pub fn learn(&mut self, rate: u32, readability: Readability) {
        let seen = readability.get();
        let missed = seen - super::readability_at(rate, &self.readable);
        for (place, share) in shares(rate).into_iter().flatten() {
            let gain = share / (self.weight[place] + share).max(f32::MIN_POSITIVE);
            self.readable[place] = (self.readable[place] + missed * gain).clamp(0.0, 1.0);
            self.weight[place] = (self.weight[place] + share).min(MOST);
        }
        self.level();
    }

    /// Doubts what was learnt, as another scene asks for: the same points, worth no more than the published ones.
    pub fn doubt(&mut self) {
        for weight in &mut self.weight {
            *weight = weight.min(PRIOR);
        }
    }

    /// Makes it rise again: where it falls, neighbours are set to their weighted mean, until none does (pool adjacent
    /// violators, Ayer and others 1955).
    fn level(&mut self) {
        let mut pools: Vec<(f32, f32, usize)> = Vec::with_capacity(TIERS.len());
        for (readable, weight) in self.readable.into_iter().zip(self.weight) {
            let mut pool = (readable, weight, 1);
            while let Some(below) = pools.pop_if(|below| below.0 > pool.0) {
                let weight = below.1 + pool.1;
                let mean = (below.0 * below.1 + pool.0 * pool.1) / weight;
                pool = (mean, weight, below.2 + pool.2);
            }
            pools.push(pool);
        }
        let points = pools.iter().flat_map(|pool| std::iter::repeat_n(pool.0, pool.2));
        for (point, readable) in self.readable.iter_mut().zip(points) {
            *point = readable;
        }
    }
}

/// The tiers next to a rate, each with how much it has to do with it.
fn shares(rate: u32) -> [Option<(usize, f32)>; 2] {
    let Some(above) = TIERS.iter().position(|tier| *tier >= rate) else {
        return [Some((TIERS.len() - 1, 1.0)), None];
    };
    let Some(below) = above.checked_sub(1) else {
        return [Some((0, 1.0)), None];
    };
    let share = (rate - TIERS[below]) as f32 / (TIERS[above] - TIERS[below]) as f32;
    [Some((below, 1.0 - share)), Some((above, share))]
}

#[cfg(test)]
mod tests {
    use super::super::readability_at;
    use super::*;

    #[test]
    fn it_never_falls_whatever_it_is_told() {
        for seed in 0..2_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut curve = Curve::default();
            for _ in 0..60 {
                curve.learn(random.u32(..), Readability::new(random.f32() * 3.0 - 1.0));
                curve.learn(random.u32(0..4_000_000), Readability::new(f32::NAN));
                assert!(curve.points().is_sorted(), "seed {seed}: {curve:?}");
                assert!(curve.points().iter().all(|point| (0.0..=1.0).contains(point)));
            }
        }
    }

    #[test]
    fn it_comes_to_what_is_so_where_it_was_seen() {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            // A picture of which nothing can be read below some rate, and all above twice that.
            let need = random.f32() * 2_000_000.0 + 100_000.0;
            let truth = |rate: u32| ((rate as f32 - need) / need).clamp(0.0, 1.0);
            let mut curve = Curve::default();
            let rates = [0; 4].map(|_: u32| random.u32(200_000..3_150_000));
            for _ in 0..200 {
                for rate in rates {
                    curve.learn(rate, Readability::new(truth(rate)));
                }
            }
            let worst = rates
                .map(|rate| (readability_at(rate, curve.points()) - truth(rate)).abs())
                .into_iter()
                .fold(0.0, f32::max);
            // Straight lines between six points can't be everything at once.
            assert!(worst < 0.35, "seed {seed}: {worst}");
            let once = rates[0];
            (0..400).for_each(|_| curve.learn(once, Readability::new(truth(once))));
            let off = (readability_at(once, curve.points()) - truth(once)).abs();
            assert!(off < 0.05, "seed {seed}: {off}");
        }
    }

    #[test]
    fn doubt_changes_nothing_but_how_fast_it_learns() {
        let mut sure = Curve::default();
        (0..20).for_each(|_| sure.learn(610_000, Readability::new(0.2)));
        let mut doubting = sure;
        doubting.doubt();
        assert_eq!(sure.points(), doubting.points());
        sure.learn(610_000, Readability::new(1.0));
        doubting.learn(610_000, Readability::new(1.0));
        assert!(readability_at(610_000, doubting.points()) > readability_at(610_000, sure.points()) + 0.2);
    }
}
