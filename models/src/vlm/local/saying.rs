//! An answer as it grows: its tokens, and their text in whole words.

use std::sync::Arc;

use hearsight_core::media::Certainty;

use super::choice::{self, Choice};
use super::folder::Calibration;
use super::words::Words;

/// Text without a space is passed on after so many bytes: not every script has spaces.
const LONGEST_WORD: usize = 48;
/// What a decoder puts for bytes that are no character, or not yet one.
const UNKNOWN: char = '\u{fffd}';

/// An answer so far.
#[derive(Default)]
pub(super) struct Saying {
    tokens: Vec<i64>,
    text: String,
    /// Bytes of the text that were passed on.
    shown: usize,
    log_probability: f32,
    separability: Vec<f32>,
}

impl Saying {
    /// Adds a token. Answers with whole words that are new, if there are any.
    pub(super) fn push(&mut self, choice: Choice, words: &Words) -> Result<Option<Arc<str>>, String> {
        self.tokens.push(choice.token);
        self.log_probability += choice.log_probability;
        self.separability.push(choice.separability);
        let text = words.text(&self.tokens)?;
        // Only what is held back may still change: a character begun, a word begun.
        if text.get(..self.shown) == Some(&self.text[..self.shown]) {
            self.text = text;
        }
        let until = whole(&self.text, self.shown);
        Ok(self.pass_on(until))
    }

    /// What was held back.
    pub(super) fn rest(&mut self) -> Option<Arc<str>> {
        let end = self.text.trim_end().len().max(self.shown);
        self.pass_on(end)
    }

    fn pass_on(&mut self, until: usize) -> Option<Arc<str>> {
        let mut piece = &self.text[self.shown..until.max(self.shown)];
        if self.text[..self.shown].trim_start().is_empty() {
            piece = piece.trim_start();
        }
        let piece = (!piece.is_empty()).then(|| Arc::from(piece));
        self.shown = self.shown.max(until);
        piece
    }

    /// All that was passed on.
    pub(super) fn text(&self) -> Arc<str> {
        self.text[..self.shown].trim_start().into()
    }
    pub(super) fn tokens(&self) -> &[i64] {
        &self.tokens
    }
    /// The chance that the answer is right, as far as the mean probability of its tokens tells.
    pub(super) fn certainty(&self, calibration: Calibration) -> Option<Certainty> {
        if self.tokens.is_empty() {
            return None;
        }
        let mean = f64::from(self.log_probability / self.tokens.len() as f32).exp();
        let chance = mean.clamp(1e-6, 1.0 - 1e-6);
        let logit = calibration.scale * (chance / (1.0 - chance)).ln() + calibration.offset;
        Some(Certainty::new((1.0 / (1.0 + (-logit).exp())) as f32))
    }
    pub(super) fn separability(&self) -> Option<f32> {
        choice::of_answer(&self.separability)
    }
}

/// Up to where `text` is whole: before the last white space, so that none is passed on without what follows it, or before what is
/// no character yet where a word has become too long.
fn whole(text: &str, shown: usize) -> usize {
    let settled = text.trim_end_matches(UNKNOWN);
    let held = &settled[shown.min(settled.len())..];
    let last_space = held.trim_end().rfind(char::is_whitespace).filter(|at| *at > 0);
    match last_space {
        Some(at) => shown + at,
        None if held.trim_end().len() > LONGEST_WORD => shown + held.trim_end().len(),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_held_until_they_are_whole() {
        let cases = [
            ("", 0, 0),
            (" The", 0, 0),
            (" The sign", 0, 4),
            (" The sign ", 0, 4),
            (" The sign says", 4, 9),
            (" caf\u{fffd}", 0, 0),
            (" a caf\u{fffd}\u{fffd}", 0, 2),
        ];
        for (text, shown, until) in cases {
            assert_eq!(whole(text, shown), until, "{text:?} from {shown}");
        }
        let long = "北京".repeat(10);
        assert_eq!(
            whole(&long, 0),
            long.len(),
            "a script without spaces does not wait for one"
        );
    }
}
