//! What do they say: speech recognition, from segments of speech to words.

mod aside;
mod cascade;
mod folder;
mod hearing;
mod hints;
pub mod moonshine;
mod pieces;
pub mod pocketsphinx;
mod stability;
pub mod whisper;
mod words;

pub use aside::{Aside, Crew};
pub use cascade::Cascade;
pub use folder::BadModel;
pub use hearing::Hearing;
pub use hints::Hints;

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
    /// So many of them, from the first on, come again in every later hypothesis of the segment but perhaps the last. A recogniser
    /// that does not judge its words says 0.
    pub sure: usize,
}

/// What a recogniser that works aside has found since it was last asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Nothing new.
    Nothing,
    /// A new hypothesis of the segment under way.
    Words(Hypothesis),
    /// The last hypothesis of the segment that [`Recogniser::end`] ended.
    Last(Hypothesis),
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
    /// The longest that [`Recogniser::hear`] takes for twice the [`Recogniser::portion`], or [`Recogniser::end`].
    fn slice(&self) -> Span;
    /// The segment is over: its last hypothesis, or none yet where [`Recogniser::poll`] has it later.
    fn end(&mut self) -> Result<Option<Hypothesis>, Fault> {
        self.finish().map(Some)
    }
    /// What one that works aside has found by now.
    fn poll(&mut self) -> Result<Found, Fault> {
        Ok(Found::Nothing)
    }
    /// Whether there is something to [`Recogniser::poll`] for.
    fn works(&self) -> bool {
        false
    }
    /// Whether it takes more sound now. One that is behind does not: what waits then comes in a larger portion.
    fn ready(&self) -> bool {
        true
    }
    /// What processes and threads of its own have taken of processors since this was asked last, also between slices.
    fn aside(&mut self) -> Span {
        Span::ZERO
    }
    /// Nobody waits for the last hypothesis any longer: the best that there is, if any.
    fn settle_for(&mut self) -> Option<Hypothesis> {
        None
    }
    /// The longest from [`Recogniser::end`] to the last hypothesis, beyond its slice.
    fn settling(&self) -> Span {
        Span::ZERO
    }
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
    fn end(&mut self) -> Result<Option<Hypothesis>, Fault> {
        (**self).end()
    }
    fn poll(&mut self) -> Result<Found, Fault> {
        (**self).poll()
    }
    fn aside(&mut self) -> Span {
        (**self).aside()
    }
    fn works(&self) -> bool {
        (**self).works()
    }
    fn ready(&self) -> bool {
        (**self).ready()
    }
    fn settle_for(&mut self) -> Option<Hypothesis> {
        (**self).settle_for()
    }
    fn settling(&self) -> Span {
        (**self).settling()
    }
}
