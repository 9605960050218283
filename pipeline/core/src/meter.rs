//! What is counted: losses by stage and reason, ages by outlet, slices by engine. Shared by all nodes of a graph.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::stage::Lost;
use crate::time::Span;

/// Buckets per doubling: a quantile is at most 1/16 too high.
const FINE: u32 = 16;
/// Doublings of a microsecond: up to 2^32 µs, over an hour.
const DOUBLINGS: u32 = 32;

/// A histogram of spans with bounded memory (4 KiB at most) and a relative error of 1/16.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum: Span,
    worst: Span,
}

impl Histogram {
    /// Counts one span; negative spans count as zero.
    pub fn record(&mut self, span: Span) {
        let index = bucket(span);
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        self.total += 1;
        self.sum += span;
        self.worst = self.worst.max(span);
    }
    /// The span that a share `q` (0..1) of all do not exceed, rounded up to its bucket's end; `None` without any.
    pub fn quantile(&self, q: f64) -> Option<Span> {
        let wanted = ((self.total as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= wanted {
                return Some(upper(index).min(self.worst));
            }
        }
        None
    }
    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.total
    }
    /// The mean; `None` without any.
    pub fn mean(&self) -> Option<Span> {
        (self.total > 0).then(|| self.sum / self.total as i64)
    }
    /// How many do not exceed `most`, short of those that share its bucket.
    pub fn within(&self, most: Span) -> u64 {
        let whole = |(index, count): (usize, &u64)| if upper(index) <= most { *count } else { 0 };
        self.counts.iter().enumerate().map(whole).sum()
    }
    /// All of them added up.
    pub fn sum(&self) -> Span {
        self.sum
    }
    /// The longest.
    pub fn worst(&self) -> Span {
        self.worst
    }
    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Histogram) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.sum += other.sum;
        self.worst = self.worst.max(other.worst);
    }
}

fn bucket(span: Span) -> usize {
    let micros = u64::try_from(span.micros()).unwrap_or(0);
    if micros < u64::from(FINE) {
        return micros as usize;
    }
    let doubling = micros.ilog2().min(DOUBLINGS - 1);
    let fine = (micros >> (doubling - FINE.ilog2())).min(u64::from(2 * FINE - 1)) as u32 - FINE;
    ((doubling - FINE.ilog2() + 1) * FINE + fine) as usize
}

fn upper(index: usize) -> Span {
    let index = index as u64;
    let fine = u64::from(FINE);
    if index < fine {
        return Span::from_micros(index as i64);
    }
    let shift = index / fine - 1;
    Span::from_micros((((index % fine + fine + 1) << shift) - 1) as i64)
}

/// Everything that one graph, or a whole process, has counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Units lost, by stage and reason.
    pub lost: BTreeMap<(&'static str, Lost), u64>,
    /// Ages at the outlets.
    pub ages: BTreeMap<&'static str, Histogram>,
    /// How long slices took, by engine.
    pub slices: BTreeMap<&'static str, Histogram>,
    /// The longest that each link ever was.
    pub depths: BTreeMap<&'static str, usize>,
}

impl Tally {
    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Tally) {
        for (key, count) in &other.lost {
            *self.lost.entry(*key).or_default() += count;
        }
        for (mine, theirs) in [(&mut self.ages, &other.ages), (&mut self.slices, &other.slices)] {
            for (name, histogram) in theirs {
                mine.entry(name).or_default().merge(histogram);
            }
        }
        for (name, depth) in &other.depths {
            let mine = self.depths.entry(name).or_default();
            *mine = (*mine).max(*depth);
        }
    }
}

/// A shared tally. Clones count into the same one.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    tally: Arc<Mutex<Tally>>,
}

impl Meter {
    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Counts `count` units lost at `stage`.
    pub fn lost(&self, stage: &'static str, why: Lost, count: u32) {
        *self.lock().lost.entry((stage, why)).or_default() += u64::from(count);
    }
    /// Counts one unit of this age at `outlet`.
    pub fn age(&self, outlet: &'static str, age: Span) {
        self.lock().ages.entry(outlet).or_default().record(age);
    }
    /// Counts one slice of `engine`.
    pub fn slice(&self, engine: &'static str, took: Span) {
        self.lock().slices.entry(engine).or_default().record(took);
    }
    /// Notes how long the link into `stage` is.
    pub fn depth(&self, stage: &'static str, depth: usize) {
        let mut tally = self.lock();
        let deepest = tally.depths.entry(stage).or_default();
        *deepest = (*deepest).max(depth);
    }
    /// A copy of everything counted so far.
    pub fn tally(&self) -> Tally {
        self.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_at_most_a_sixteenth_too_high() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut histogram = Histogram::default();
            let mut exact: Vec<i64> = (0..500).map(|_| random.i64(0..1 << (seed % 24 + 1))).collect();
            exact
                .iter()
                .for_each(|micros| histogram.record(Span::from_micros(*micros)));
            exact.sort_unstable();
            for q in [0.01, 0.5, 0.95, 0.99, 1.0] {
                let truth = exact[((500.0 * q) as usize).max(1) - 1];
                let told = histogram.quantile(q).expect("not empty").micros();
                assert!(
                    told >= truth && told <= truth + truth / 16 + 1,
                    "q {q}: {told} for {truth}"
                );
            }
        }
    }

    #[test]
    fn those_within_a_bound_are_at_most_a_sixteenth_of_it_short() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut histogram = Histogram::default();
            let micros: Vec<i64> = (0..500).map(|_| random.i64(0..1 << 20)).collect();
            micros
                .iter()
                .for_each(|micros| histogram.record(Span::from_micros(*micros)));
            assert_eq!(histogram.sum().micros(), micros.iter().sum::<i64>());
            assert_eq!(histogram.within(Span::MAX), 500);
            for bound in [0, 1, 999, 50_000, 1 << 19] {
                let under = |bound: i64| micros.iter().filter(|micros| **micros <= bound).count() as u64;
                let told = histogram.within(Span::from_micros(bound));
                assert!(
                    told <= under(bound) && told >= under(bound - bound / 16 - 1),
                    "seed {seed}, {bound}"
                );
            }
        }
    }

    #[test]
    fn extremes_neither_panic_nor_grow() {
        let mut histogram = Histogram::default();
        for span in [Span::MAX, Span::from_nanos(i64::MIN), Span::ZERO] {
            histogram.record(span);
        }
        assert!(histogram.counts.len() <= (FINE * DOUBLINGS) as usize);
        assert_eq!(histogram.count(), 3);
    }

    #[test]
    fn merging_is_counting_in_one_place() {
        let (one, two, both) = (Meter::default(), Meter::default(), Meter::default());
        for (meter, n) in [(&one, 3), (&two, 5)] {
            for i in 0..n {
                for m in [meter, &both] {
                    m.age("words", Span::from_millis(i * 7));
                    m.lost("vad", Lost::TooOld, 2);
                }
            }
        }
        let mut merged = one.tally();
        merged.merge(&two.tally());
        assert_eq!(merged.lost, both.tally().lost);
        assert_eq!(
            merged.ages["words"].quantile(0.5),
            both.tally().ages["words"].quantile(0.5)
        );
    }
}
