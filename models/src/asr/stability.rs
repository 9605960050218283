//! How likely a provisional word is to stay: counted from the agreement of successive hypotheses (local agreement).

use std::sync::Arc;

use hearsight_core::time::Span;

use super::{Heard, Hypothesis};

/// From here on a word is kept until the segment is final.
#[cfg(test)]
pub(super) const STABLE: f32 = 0.9;

/// The chance of staying after being seen in this many hypotheses in a row.
const BY_AGREEMENT: [f32; 7] = [0.3, 0.45, 0.6, 0.7, 0.78, 0.84, 0.88];

/// A word with the number of hypotheses in a row that had it in its place.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    word: Heard,
    times: usize,
}

/// A word and its stability.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    pub(super) word: Heard,
    pub(super) stability: f32,
}

/// The hypotheses of a segment so far.
#[derive(Debug, Default)]
pub(super) struct Agreement {
    kept: Vec<Seen>,
    tail: Vec<Seen>,
}

impl Agreement {
    /// Takes the next hypothesis. What is stable stays; the rest is replaced. True when text or the set of stable words changed.
    pub(super) fn update(&mut self, hypothesis: Hypothesis) -> bool {
        let from = self.kept.last().map_or(Span::ZERO, |seen| seen.word.end);
        let fresh = hypothesis
            .words
            .into_iter()
            .filter(|word| (word.start + word.end) / 2 >= from);
        let before: Vec<Arc<str>> = self.tail.iter().map(|seen| seen.word.text.clone()).collect();
        let mut agreed = true;
        let mut tail = Vec::new();
        for (place, word) in fresh.enumerate() {
            let old = self.tail.get(place).filter(|old| old.word.text == word.text);
            agreed &= old.is_some();
            let times = if agreed { old.map_or(1, |old| old.times + 1) } else { 1 };
            tail.push(Seen { word, times });
        }
        let changed = before.len() != tail.len() || before.iter().zip(&tail).any(|(old, new)| **old != *new.word.text);
        let stable = tail.iter().take_while(|seen| seen.times > BY_AGREEMENT.len()).count();
        self.kept.extend(tail.drain(..stable));
        self.tail = tail;
        changed || stable > 0
    }
    /// All words so far.
    pub(super) fn words(&self) -> impl Iterator<Item = Judged> + '_ {
        let kept = self.kept.iter().map(|seen| Judged {
            word: seen.word.clone(),
            stability: 0.95,
        });
        let tail = self.tail.iter().map(|seen| {
            let stability = BY_AGREEMENT[(seen.times - 1).min(BY_AGREEMENT.len() - 1)];
            Judged {
                word: seen.word.clone(),
                stability,
            }
        });
        kept.chain(tail)
    }
    /// Begins a new segment.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.tail.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hypothesis(text: &str) -> Hypothesis {
        let words = text.split_whitespace().enumerate().map(|(i, text)| Heard {
            text: text.into(),
            start: Span::from_millis(i as i64 * 100),
            end: Span::from_millis(i as i64 * 100 + 90),
            certainty: None,
        });
        Hypothesis { words: words.collect() }
    }

    #[test]
    fn a_stable_word_never_changes_whatever_follows() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut agreement = Agreement::default();
            let mut stable: Vec<Arc<str>> = Vec::new();
            for _ in 0..120 {
                let length = random.usize(0..8);
                let text: Vec<_> = (0..length)
                    .map(|_| if random.u32(0..40) == 0 { "odd" } else { "even" })
                    .collect();
                agreement.update(hypothesis(&text.join(" ")));
                let now: Vec<Arc<str>> = agreement
                    .words()
                    .filter(|judged| judged.stability >= STABLE)
                    .map(|judged| judged.word.text)
                    .collect();
                assert!(now.starts_with(&stable), "seed {seed}: {stable:?} became {now:?}");
                stable = now;
            }
        }
    }

    #[test]
    fn stability_grows_with_agreement_and_falls_with_change() {
        let mut agreement = Agreement::default();
        assert!(agreement.update(hypothesis("one two")));
        let first = agreement.words().next().map(|judged| judged.stability);
        assert!(!agreement.update(hypothesis("one two")));
        let second = agreement.words().next().map(|judged| judged.stability);
        assert!(second > first);
        assert!(agreement.update(hypothesis("won two")));
        assert_eq!(agreement.words().next().map(|judged| judged.stability), first);
        assert_eq!(agreement.words().nth(1).map(|judged| judged.stability), first);
    }
}
