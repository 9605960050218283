//! One stream's recogniser: the sound of a stretch, heard again as it grows, and what of the words has settled.

use std::sync::Arc;

use hearsight_core::stage::Fault;
use hearsight_core::time::{MediaTime, Span};

use super::Model;
use super::runs::{Expected, Failed, STEP};
use crate::asr::words::{self, Placed, Token, later, quietest};
use crate::asr::{Heard, Hypothesis, Recogniser};

/// A pause is looked for in so many steps at the end of a stretch: 3 s.
const PAUSE_WITHIN: usize = 150;
/// So many hypotheses in a row have a word that is taken as said.
const AGREED: u32 = 2;

/// Whisper for one stream. The model and its working memories are shared; what is held here is the sound of the stretch under way,
/// at most [`super::Config::stretch`] of it, until [`Recogniser::finish`] or [`Recogniser::reset`].
pub struct Whisper {
    model: Arc<Model>,
    expected: Expected,
    sound: Vec<f32>,
    /// How much of it was heard, and what.
    heard: usize,
    tokens: Vec<Token>,
    /// Words that stay, the last of them of this stretch.
    sure: Vec<Heard>,
    /// Words of the stretches before, and how many steps these had.
    said: Vec<Heard>,
    before: usize,
    /// Samples to wait for before it is heard again.
    patience: usize,
}

impl Whisper {
    pub(super) fn new(model: Arc<Model>, expected: Expected) -> Whisper {
        Whisper {
            patience: model.every(),
            model,
            expected,
            sound: Vec::new(),
            heard: 0,
            tokens: Vec::new(),
            sure: Vec::new(),
            said: Vec::new(),
            before: 0,
        }
    }

    /// Memory that the segment under way holds; little between segments.
    pub fn bytes(&self) -> usize {
        let words = (self.sure.capacity() + self.said.capacity()) * size_of::<Heard>();
        self.sound.capacity() * size_of::<f32>() + self.tokens.capacity() * size_of::<Token>() + words
    }

    fn clear(&mut self) {
        *self = Whisper::new(self.model.clone(), self.expected.clone());
    }

    /// Hears the first `samples` of the stretch. False when its time was up: then what was found before stands.
    fn run(&mut self, samples: usize) -> Result<bool, Fault> {
        let model = self.model.clone();
        let found = model
            .runs()
            .hear(&self.sound[..samples], &self.expected, model.config.limit);
        let said = match found {
            Ok(said) => said,
            Err(Failed::Late) => return Ok(false),
            Err(Failed::Broken(why)) => {
                self.clear();
                return Err(Fault::Reset(format!("{}: {why}", model.name())));
            }
        };
        let mut same = true;
        let fresh = said.iter().enumerate().map(|(at, said)| {
            let old = self.tokens.get(at).filter(|old| same && old.id == said.id);
            same = old.is_some();
            Token {
                id: said.id,
                chance: said.chance,
                looked: None,
                since: old.map_or(samples / STEP, |old| old.since),
                times: old.map_or(1, |old| old.times + 1),
            }
        });
        self.tokens = fresh.collect();
        self.heard = samples;
        Ok(true)
    }

    fn placed(&self) -> Vec<Placed> {
        if words::are_noise(&self.tokens, self.model.config.least) {
            return Vec::new();
        }
        let loud: Vec<f32> = words::loudness(&self.sound[..self.heard], STEP).collect();
        words::words(&self.model.pieces, &self.tokens, &loud)
    }

    /// A full stretch is cut where it is quietest towards its end.
    fn turn_over(&mut self) -> Result<(), Fault> {
        let loud: Vec<f32> = words::loudness(&self.sound, STEP).collect();
        let cut = quietest(&loud, PAUSE_WITHIN);
        if !self.run(cut * STEP)? {
            tracing::warn!(
                stage = "recognise",
                "the words of a long segment were not all found in time"
            );
        }
        let placed = self.placed();
        self.said
            .extend(placed.into_iter().map(|word| later(self.before, word.heard)));
        self.sound.drain(..cut * STEP);
        self.before += cut;
        self.heard = 0;
        self.tokens.clear();
        Ok(())
    }

    /// What is known by now. Words that two hypotheses in a row have stay, but for the last one.
    fn hypothesis(&mut self) -> Hypothesis {
        let placed = self.placed();
        let times = |word: &Placed| self.tokens[word.tokens.clone()].iter().map(|token| token.times).min();
        let others = placed.len().saturating_sub(1);
        let agreed = placed[..others]
            .iter()
            .take_while(|word| times(word) >= Some(AGREED))
            .count();
        let heard: Vec<Heard> = self
            .said
            .iter()
            .cloned()
            .chain(placed.into_iter().map(|word| later(self.before, word.heard)))
            .collect();
        let until = self.sure.last().map_or(Span::ZERO, |word| word.end);
        let stands =
            heard.len() >= self.sure.len() && heard.iter().zip(&self.sure).all(|(new, old)| new.text == old.text);
        let rest: Vec<Heard> = if stands {
            heard[self.sure.len()..].to_vec()
        } else {
            heard
                .iter()
                .filter(|word| (word.start + word.end) / 2 >= until)
                .cloned()
                .collect()
        };
        let more = if stands {
            (self.said.len() + agreed).saturating_sub(self.sure.len())
        } else {
            0
        };
        let fits = |word: &Heard| Heard {
            start: word.start.max(until),
            end: word.end.max(until),
            ..word.clone()
        };
        self.sure.extend(rest[..more.min(rest.len())].iter().map(fits));
        let later = &rest[more.min(rest.len())..];
        Hypothesis {
            words: self.sure.iter().chain(later).cloned().collect(),
            sure: self.sure.len(),
        }
    }
}

impl Recogniser for Whisper {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn begin(&mut self, _at: MediaTime) -> Result<(), Fault> {
        self.clear();
        Ok(())
    }

    fn hear(&mut self, samples: &[f32]) -> Result<Option<Hypothesis>, Fault> {
        if !samples.iter().all(|sample| sample.is_finite()) {
            self.clear();
            return Err(Fault::Reset("sound that is not made of numbers".into()));
        }
        let mut rest = samples;
        while !rest.is_empty() {
            let (fits, others) = rest.split_at(rest.len().min(self.model.stretch() - self.sound.len()));
            self.sound.extend_from_slice(fits);
            rest = others;
            if self.sound.len() == self.model.stretch() {
                self.turn_over()?;
            }
        }
        if self.sound.len() < self.heard + self.patience {
            return Ok(None);
        }
        let samples = self.sound.len();
        // Behind schedule it is heard again less often; all sound is heard all the same.
        self.patience = if self.run(samples)? {
            self.model.every()
        } else {
            self.patience * 2
        };
        Ok(Some(self.hypothesis()))
    }

    fn finish(&mut self) -> Result<Hypothesis, Fault> {
        if self.heard < self.sound.len() && !self.run(self.sound.len())? {
            tracing::warn!(
                stage = "recognise",
                "the last words of a segment were not all found in time"
            );
        }
        let mut words = std::mem::take(&mut self.said);
        let placed = self.placed();
        words.extend(placed.into_iter().map(|word| later(self.before, word.heard)));
        self.clear();
        Ok(Hypothesis {
            sure: words.len(),
            words,
        })
    }

    fn reset(&mut self) {
        self.clear();
    }

    fn portion(&self) -> Span {
        self.model.config.every
    }

    fn slice(&self) -> Span {
        self.model.config.slice
    }
}
