//! What do they say: speech recognition, from segments of speech to words.

mod hearing;
pub mod pocketsphinx;
mod stability;

pub use hearing::Hearing;

use std::sync::Arc;

use hearsight_core::stage::Fault;
use hearsight_core::time::{MediaTime, Span};

/// A word as a recogniser sees it. Times count from the first sample of the segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// The word as it is to be shown.
    pub text: Arc<str>,
    /// Where it begins.
    pub start: Span,
    /// Where it ends.
    pub end: Span,
    /// The posterior chance 0..1 that it is right, where known.
    pub certainty: Option<f32>,
}

/// All words of a segment, in order, as far as it was heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hypothesis {
    /// The words.
    pub words: Vec<Heard>,
}

/// A recogniser of one stream, hearing one segment after the other. Streaming models decode as they hear; others may
/// collect sound and answer from time to time.
pub trait Recogniser: Send {
    /// What people call it.
    fn name(&self) -> &str;
    /// A segment begins; its first sample shows `at`.
    fn begin(&mut self, at: MediaTime) -> Result<(), Fault>;
    /// Takes the next sound of the segment (16 kHz, −1..1); a new hypothesis when it has one.
    fn hear(&mut self, samples: &[f32]) -> Result<Option<Hypothesis>, Fault>;
    /// The segment is over: its last hypothesis.
    fn finish(&mut self) -> Result<Hypothesis, Fault>;
    /// Forgets the segment under way. What was learnt about the speaker may stay.
    fn reset(&mut self);
    /// How much sound it likes at once: more is cheaper, less is quicker.
    fn portion(&self) -> Span;
    /// The longest that [`Recogniser::hear`] takes for twice the [`Recogniser::portion`], or [`Recogniser::finish`].
    fn slice(&self) -> Span;
}

impl<R: Recogniser + ?Sized> Recogniser for Box<R> {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn begin(&mut self, at: MediaTime) -> Result<(), Fault> {
        (**self).begin(at)
    }
    fn hear(&mut self, samples: &[f32]) -> Result<Option<Hypothesis>, Fault> {
        (**self).hear(samples)
    }
    fn finish(&mut self) -> Result<Hypothesis, Fault> {
        (**self).finish()
    }
    fn reset(&mut self) {
        (**self).reset();
    }
    fn portion(&self) -> Span {
        (**self).portion()
    }
    fn slice(&self) -> Span {
        (**self).slice()
    }
}
