//! How likely a provisional word is to stay: by what its recogniser is sure of, else counted from the agreement of successive
//! hypotheses (local agreement).

use hearsight_core::time::Span;

use super::{Heard, Hypothesis};

/// From here on a word is kept until the segment is final.
const STABLE: f32 = 0.9;

/// The chance of staying after being seen in this many hypotheses in a row, as `make eval` measures it on read
/// speech (`kept_by_stability`).
const BY_AGREEMENT: [f32; 7] = [0.25, 0.5, 0.65, 0.77, 0.81, 0.85, 0.87];
/// A word is shown once so many hypotheses in a row have it: one that only one has is gone more often than not.
const SHOWN: usize = 2;
/// So many hypotheses in a row without a word that is shown take it away.
const PATIENCE: usize = 3;

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
    /// Stable words: they stay.
    kept: Vec<Seen>,
    /// What the last hypothesis has after them.
    tail: Vec<Seen>,
    /// What is shown after them: the tail as far as it is agreed on, or what was shown before where nothing is.
    shown: Vec<Seen>,
    /// Hypotheses in a row that fall short of what is shown.
    short: usize,
}

impl Agreement {
    /// Takes the next hypothesis. What is stable stays; the rest follows. True when what is to be shown changed: its text,
    /// or which words are stable.
    pub(super) fn update(&mut self, hypothesis: Hypothesis) -> bool {
        let from = self.kept.last().map_or(Span::ZERO, |seen| seen.word.end);
        let fresh = |word: &Heard| (word.start + word.end) / 2 >= from;
        let mut words = hypothesis.words;
        let later = words.split_off(hypothesis.sure.min(words.len()));
        let sure = words.into_iter().filter(fresh).map(|word| Seen {
            word,
            times: BY_AGREEMENT.len() + 1,
        });
        // What the recogniser will not take back takes the place of what was shown there.
        let before = (self.kept.len(), self.shown.len());
        self.kept.extend(sure);
        let gone = self.kept.len() - before.0;
        self.tail.drain(..gone.min(self.tail.len()));
        self.shown.drain(..gone.min(before.1));
        let mut agreed = true;
        let mut tail = Vec::new();
        for (place, word) in later.into_iter().filter(fresh).enumerate() {
            let old = self.tail.get(place).filter(|old| old.word.text == word.text);
            agreed &= old.is_some();
            let times = if agreed { old.map_or(1, |old| old.times + 1) } else { 1 };
            tail.push(Seen { word, times });
        }
        self.tail = tail;
        let changed = self.show();
        let stable = self
            .tail
            .iter()
            .take_while(|seen| seen.times > BY_AGREEMENT.len())
            .count();
        let stable = stable.min(self.shown.len());
        self.kept.extend(self.tail.drain(..stable));
        self.shown.drain(..stable);
        changed || stable > 0 || gone > 0
    }
    /// All words to be shown.
    pub(super) fn words(&self) -> impl Iterator<Item = Judged> + '_ {
        let kept = self.kept.iter().map(|seen| Judged {
            word: seen.word.clone(),
            stability: STABLE,
        });
        let shown = self.shown.iter().map(|seen| {
            let stability = BY_AGREEMENT[(seen.times - 1).min(BY_AGREEMENT.len() - 1)];
            Judged {
                word: seen.word.clone(),
                stability,
            }
        });
        kept.chain(shown)
    }
    /// Begins a new segment.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.tail.clear();
        self.shown.clear();
        self.short = 0;
    }

    /// Brings what is shown up to date with the tail: a word that flickers for one hypothesis is never seen, and one that is
    /// missing from one does not blink.
    fn show(&mut self) -> bool {
        let agreed = self.tail.iter().take_while(|seen| seen.times >= SHOWN).count();
        let same = self
            .tail
            .iter()
            .zip(&self.shown)
            .take_while(|(new, old)| new.word.text == old.word.text)
            .count();
        let short = agreed < self.shown.len() && same >= agreed;
        self.short = if short { self.short + 1 } else { 0 };
        if short && self.short < PATIENCE {
            for (old, new) in self.shown.iter_mut().zip(&self.tail[..agreed]) {
                *old = new.clone();
            }
            for old in &mut self.shown[agreed..] {
                old.times = 1;
            }
            return false;
        }
        self.short = 0;
        let changed = self.shown.len() != agreed || same < agreed;
        self.shown = self.tail[..agreed].to_vec();
        changed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn hypothesis(text: &str) -> Hypothesis {
        let words = text.split_whitespace().enumerate().map(|(i, text)| Heard {
            text: text.into(),
            start: Span::from_millis(i as i64 * 100),
            end: Span::from_millis(i as i64 * 100 + 90),
            certainty: None,
        });
        Hypothesis {
            words: words.collect(),
            sure: 0,
        }
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
                agreement.update(Hypothesis {
                    sure: if random.u32(0..5) == 0 { random.usize(0..9) } else { 0 },
                    ..hypothesis(&text.join(" "))
                });
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
    fn what_a_recogniser_is_sure_of_shows_at_once_and_stays() {
        let mut agreement = Agreement::default();
        let heard = |text: &str, sure: usize| Hypothesis {
            sure,
            ..hypothesis(text)
        };
        let judged = |agreement: &Agreement| {
            agreement
                .words()
                .map(|judged| (judged.word.text.to_string(), judged.stability >= STABLE))
                .collect::<Vec<_>>()
        };
        let word = |text: &str, stable: bool| (text.to_owned(), stable);
        agreement.update(heard("one too", 0));
        assert!(agreement.update(heard("one two three", 2)));
        assert_eq!(judged(&agreement), [word("one", true), word("two", true)]);
        assert!(agreement.update(heard("one two three four", 2)));
        assert_eq!(
            judged(&agreement),
            [word("one", true), word("two", true), word("three", false)]
        );
        assert!(!agreement.update(heard("won to three", 2)), "sure words stay");
        assert!(agreement.update(heard("one two three four", 4)));
        assert!(judged(&agreement).iter().all(|(_, stable)| *stable));
        assert!(!agreement.update(heard("", 0)));
        assert_eq!(judged(&agreement).len(), 4);
    }

    #[test]
    fn words_show_when_agreed_on_and_do_not_blink() {
        let mut agreement = Agreement::default();
        let shown = |agreement: &Agreement| {
            agreement
                .words()
                .map(|judged| judged.word.text.to_string())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert!(!agreement.update(hypothesis("one two")));
        assert!(agreement.update(hypothesis("one two")));
        assert_eq!(shown(&agreement), "one two");
        let first = agreement.words().next().map(|judged| judged.stability);
        assert!(!agreement.update(hypothesis("one")), "missing once is nothing");
        assert!(!agreement.update(hypothesis("one few")), "nor is another word once");
        assert_eq!(shown(&agreement), "one two");
        assert!(agreement.words().next().map(|judged| judged.stability) > first);
        assert!(agreement.update(hypothesis("one few")));
        assert_eq!(shown(&agreement), "one few");
        agreement.update(hypothesis(""));
        agreement.update(hypothesis(""));
        assert!(agreement.update(hypothesis("")), "what stays away goes");
        assert_eq!(shown(&agreement), "");
    }
}
