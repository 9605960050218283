//! How much of a talk was understood: the word error rate.

use hearsight_core::time::{MediaTime, Span};

/// More words than anyone says in a talk of the greatest length.
const MOST_WORDS: usize = 20_000;

/// Words as they are compared: lower case, without punctuation.
pub fn words_from_text(text: &str) -> Vec<String> {
    let plain = |word: &str| -> String {
        word.chars()
            .filter(|c| c.is_alphanumeric() || *c == '\'')
            .flat_map(char::to_lowercase)
            .collect()
    };
    text.split_whitespace()
        .map(plain)
        .filter(|word| !word.is_empty())
        .collect()
}

/// The fewest words to replace, leave out or put in that make `heard` of `said` (Levenshtein).
pub fn errors(said: &[String], heard: &[String]) -> usize {
    let mut before: Vec<usize> = (0..=heard.len()).collect();
    let mut row = vec![0; heard.len() + 1];
    for (i, word) in said.iter().enumerate() {
        row[0] = i + 1;
        for (j, other) in heard.iter().enumerate() {
            let replaced = before[j] + usize::from(word != other);
            row[j + 1] = replaced.min(before[j + 1] + 1).min(row[j] + 1);
        }
        std::mem::swap(&mut before, &mut row);
    }
    before[heard.len()]
}

/// Compares what is heard with a talk that is given over and over, each time by itself.
pub struct Score {
    said: Vec<String>,
    span: Span,
    rounds: i64,
    round: i64,
    heard: Vec<String>,
    wrong: usize,
    of: usize,
}

impl Score {
    /// A talk with these words, `span` long, given `rounds` times.
    pub fn new(script: &str, span: Span, rounds: u32) -> Score {
        let said = words_from_text(script);
        Score {
            said,
            span,
            rounds: i64::from(rounds),
            round: 0,
            heard: Vec::new(),
            wrong: 0,
            of: 0,
        }
    }

    /// A word that was heard, by the time at which it began; in order.
    pub fn hear(&mut self, at: MediaTime, text: &str) {
        let round = (at - MediaTime::ZERO).nanos().max(0) / self.span.nanos().max(1);
        let round = round.min(self.rounds - 1);
        if round > self.round {
            self.close(round);
        }
        if self.heard.len() < MOST_WORDS {
            self.heard.extend(words_from_text(text));
        }
    }

    /// Wrong words, and words said, of all rounds.
    pub fn finish(mut self) -> (usize, usize) {
        self.close(self.rounds);
        (self.wrong, self.of)
    }

    /// Settles all rounds before `round`: the one under way, and those in which nothing was heard.
    fn close(&mut self, round: i64) {
        let silent = usize::try_from(round - self.round - 1).unwrap_or(0);
        self.wrong += errors(&self.said, &self.heard) + silent.saturating_mul(self.said.len());
        self.of += self.said.len() * (silent.saturating_add(1));
        self.heard.clear();
        self.round = round;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(said: &str, heard: &str) -> usize {
        errors(&words_from_text(said), &words_from_text(heard))
    }

    #[test]
    fn replaced_missing_and_added_words_count_one_each() {
        assert_eq!(counted("Good morning, and welcome.", "good morning and WELCOME"), 0);
        assert_eq!(counted("it can see the picture", "it can sea the picture"), 1);
        assert_eq!(counted("it can see the picture", "it see picture"), 2);
        assert_eq!(counted("it can", "well it can not"), 2);
        assert_eq!(counted("a b c", ""), 3);
        assert_eq!(counted("", "a b c"), 3);
        assert_eq!(counted("don't stop", "dont stop"), 1);
    }

    #[test]
    fn the_distance_is_a_metric_over_random_texts() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut text = || -> Vec<String> {
            (0..random.usize(..9))
                .map(|_| random.char('a'..='c').to_string())
                .collect()
        };
        for _ in 0..500 {
            let (a, b, c) = (text(), text(), text());
            assert_eq!(errors(&a, &b) == 0, a == b);
            assert_eq!(errors(&a, &b), errors(&b, &a));
            assert!(errors(&a, &c) <= errors(&a, &b) + errors(&b, &c));
        }
    }

    #[test]
    fn every_round_is_compared_by_itself() {
        let mut score = Score::new("one two three", Span::from_secs(10), 4);
        for (second, word) in [
            (1, "one"),
            (2, "two"),
            (3, "three"),
            (11, "one"),
            (13, "three"),
            (41, "two"),
        ] {
            score.hear(MediaTime::ZERO + Span::from_secs(second), word);
        }
        // Round 1 lacks a word, round 2 all three, round 3 two.
        assert_eq!(score.finish(), (1 + 3 + 2, 12));
    }
}
