//! What was heard to tokens: the last hypothesis is verified in one pass, kept as far as it still holds, and gone on from there.

use std::sync::atomic::{AtomicBool, Ordering};

use super::cross::Cross;
use super::favour::Favour;
use super::graphs::{Broken, Graphs, Guess, Own};
use super::shape::Shape;
use crate::asr::words::Token;

/// Speech has no more tokens than this in a second: what a decoder says beyond is not heard.
const MOST_PER_SECOND: usize = 13;
/// …in so many halves of a second of features.
const FEATURES_PER_TWO_SECONDS: usize = 100;
/// So many tokens may go round in a circle.
const LONGEST_CIRCLE: usize = 8;

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The decoder said that this is all, or more would not be speech.
    Done,
    /// Its time was up.
    Late,
}

/// The hypothesis of a stretch of speech.
pub(super) struct Hypothesis {
    pub(super) tokens: Vec<Token>,
    /// So many of them are taken as said, and not verified again before the last pass.
    sure: usize,
    /// Keys and values of what stands before the last of those: `begin` and all sure tokens but one.
    own: Option<Own>,
}

/// What a pass is allowed.
pub(super) struct Allowance<'a> {
    /// True when its time is up.
    pub(super) over: &'a AtomicBool,
    /// What is likely to be said.
    pub(super) favour: &'a Favour,
    /// A circle of tokens may be gone round so many times; 0 for as many as it likes.
    pub(super) rounds: usize,
}

impl Hypothesis {
    pub(super) fn new() -> Hypothesis {
        Hypothesis {
            tokens: Vec::new(),
            sure: 0,
            own: None,
        }
    }

    /// From the next pass on the first `tokens` are taken as said.
    pub(super) fn be_sure(&mut self, tokens: usize) {
        self.sure = tokens.clamp(self.sure, self.tokens.len());
    }

    pub(super) fn sure(&self) -> usize {
        self.sure
    }

    pub(super) fn bytes(&self) -> usize {
        self.own.as_ref().map_or(0, Own::bytes)
    }

    /// Goes back to what was never verified with more to look at: the next pass is as good as the first.
    pub(super) fn doubt(&mut self) {
        self.sure = 0;
        self.own = None;
    }

    /// Brings the tokens up to date with all that is heard. When its time is up they are what they were as far as verified,
    /// and as far as it came beyond.
    pub(super) fn update(
        &mut self,
        graphs: &mut Graphs,
        shape: &Shape,
        cross: &Cross,
        allowance: &Allowance<'_>,
    ) -> Result<Ended, Broken> {
        let features = cross.features();
        if features == 0 {
            return Ok(Ended::Done);
        }
        graphs.look_at(cross);
        let most = (features * MOST_PER_SECOND).div_ceil(FEATURES_PER_TWO_SECONDS);
        let (mut next, mut own) = self.verify(graphs, shape, allowance.favour)?;
        // What was given to the decoder after the first token that it would not say any more is not in its memory.
        if next.is_some() && own.tokens > self.tokens.len() + 1 {
            own = graphs.first(&own, self.tokens.len() + 1)?;
        }
        let mut ended = Ended::Done;
        while let Some(guess) = next.take() {
            if guess.token == shape.end || self.tokens.len() >= most || self.circles(&guess, allowance.rounds) {
                break;
            }
            if allowance.over.load(Ordering::Relaxed) {
                ended = Ended::Late;
                break;
            }
            self.tokens.push(Token {
                id: guess.token,
                chance: guess.chance,
                looked: None,
                since: features,
                times: 1,
            });
            let after = |_| allowance.favour.after(self.tokens.iter().map(|token| token.id));
            let (guesses, longer) = graphs.decode(&own, &[guess.token], after)?;
            own = longer;
            next = guesses.into_iter().next();
            if let (Some(guess), Some(token)) = (&next, self.tokens.last_mut()) {
                look(token, guess);
            }
        }
        self.tokens.truncate(most.max(self.sure));
        self.own = (self.sure > 0).then(|| graphs.first(&own, self.sure)).transpose()?;
        Ok(ended)
    }

    /// Gives the decoder all tokens but the sure ones at once, and keeps those that it says again up to the first other one: that
    /// one comes next. Also what the decoder remembers of all that it was given.
    fn verify(&mut self, graphs: &mut Graphs, shape: &Shape, favour: &Favour) -> Result<(Option<Guess>, Own), Broken> {
        let cached = match self.own.take() {
            Some(own) => own,
            None => graphs.blank()?,
        };
        let known = cached.tokens;
        let all = std::iter::once(shape.begin).chain(self.tokens.iter().map(|token| token.id));
        let sequence: Vec<i64> = all.skip(known).collect();
        // The first of all tokens is `begin`, which is no word's.
        let said = |given: usize| self.tokens[..known + given - 1].iter().map(|token| token.id);
        let (guesses, own) = graphs.decode(&cached, &sequence, |given| favour.after(said(given)))?;
        // The guess after token `at − 1` is token `at`.
        for (at, guess) in (known..).zip(guesses) {
            if at > known {
                look(&mut self.tokens[at - 1], &guess);
            }
            match self.tokens.get_mut(at) {
                Some(token) if at < self.sure || token.id == guess.token => agree(token, &guess),
                _ => {
                    self.tokens.truncate(at);
                    return Ok((Some(guess), own));
                }
            }
        }
        Ok((None, own))
    }

    /// Whether `guess` would go round the same circle once too often; then it is left after the first round.
    fn circles(&mut self, guess: &Guess, rounds: usize) -> bool {
        let said = self.tokens.len();
        for length in 1..=LONGEST_CIRCLE.min(said) {
            let needed = length * rounds;
            if rounds == 0 || needed > said || needed - length < 1 {
                break;
            }
            let id = |back: usize| self.tokens[said - back].id;
            let round = (1..=needed - length).all(|back| id(back) == id(back + length));
            if round && guess.token == id(length) {
                self.tokens.truncate((said - needed + length).max(self.sure));
                return true;
            }
        }
        false
    }
}

/// The decoder says `token` again.
fn agree(token: &mut Token, guess: &Guess) {
    // One that is sure may be another's second choice by now.
    if token.id == guess.token {
        token.chance = guess.chance;
        token.times = token.times.saturating_add(1);
    }
}

/// `after` is the guess that `token` led to, which says where it looked.
fn look(token: &mut Token, after: &Guess) {
    let weights = after.looked.iter().enumerate();
    let most = weights.reduce(|best, other| if other.1 > best.1 { other } else { best });
    token.looked = most.map(|(at, _)| at).or(token.looked);
}
