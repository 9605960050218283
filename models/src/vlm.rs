//! Questions about pictures: one small trait for engines that answer them, and what they are asked and say.
//!
//! Start at [`Answerer`]. [`local`] runs models of our own machine, [`cascade`] asks a small engine first, [`scripted`] is what the
//! simulator runs.
//!
//! In a session, [`memory`] chooses the pictures that a question goes with, [`asking`] makes a stage of any engine, and [`clerk`] sees to
//! it that every question ends; [`turn`] is what they say to each other, and [`aloud`] finds questions in what is said.

pub mod allowance;
pub mod aloud;
pub mod asking;
pub mod cascade;
pub mod clerk;
pub mod local;
pub mod memory;
pub mod picture;
pub mod scripted;
pub mod turn;

use std::sync::Arc;

use hearsight_core::media::{Certainty, Picture, Planes, Readability, Region};
use hearsight_core::stage::Fault;
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use thiserror::Error;

/// An engine that answers questions about pictures: one conversation with one viewer. Weights are shared between
/// conversations, what was said is not.
///
/// A host calls [`ask`](Answerer::ask), then [`step`](Answerer::step) until it says [`Step::Over`], and after every step
/// [`took`](Answerer::took). Between any two steps it may [`cancel`](Answerer::cancel).
pub trait Answerer: Send {
    /// For logs and for people: which engine, which model.
    fn name(&self) -> &str;

    /// Begins an answer; what was under way is cancelled. Quick: what takes time happens in [`step`](Answerer::step).
    fn ask(&mut self, now: Moment, ask: Ask) -> Result<(), Refused>;

    /// One bounded slice of work, within [`slice`](Answerer::slice). Waits for nobody: an engine that has nothing to do yet says when
    /// to look again.
    fn step(&mut self, now: Moment) -> Result<Step, Fault>;

    /// Hears how long the last step took, measured live or modelled in simulation: engines read no clock.
    fn took(&mut self, cost: Span);

    /// Ends the answer under way, if one is. The conversation goes on as if the question had not been asked.
    fn cancel(&mut self);

    /// Forgets the conversation.
    fn forget(&mut self);

    /// The longest step, declared.
    fn slice(&self) -> Span;

    /// How long a question like `ask` takes to its first words, as far as was learnt.
    fn first_text_in(&self, _ask: &Ask) -> Option<Span> {
        None
    }

    /// In simulation: what the last step would have taken.
    fn spent(&mut self) -> Span {
        Span::ZERO
    }
}

/// A question, and what may be spent on it.
#[derive(Clone, Debug)]
pub struct Ask {
    /// In the person's words. Words of control in it (`<image>`, `<end_of_utterance>`) are said, not obeyed.
    pub question: Arc<str>,
    /// What it is about, oldest first; none continues the conversation on what was seen before.
    pub pictures: Vec<Stamped<Picture<Planes>>>,
    /// Nothing is said after this but by one slice.
    pub deadline: Moment,
    /// What may be spent.
    pub effort: Effort,
}

/// What may be spent on one answer, besides time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Tokens of the answer, at most.
    pub tokens: u32,
    /// How much of the picture is writing, 0..1: plain scenes need few visual tokens, text needs all of them.
    pub text: f32,
}

/// Tokens of an answer unless said otherwise: some three sentences.
const TOKENS: u32 = 96;

impl Default for Effort {
    fn default() -> Effort {
        Effort {
            tokens: TOKENS,
            text: 0.5,
        }
    }
}

/// What one step of an answer came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// No question is under way.
    Idle,
    /// The answer goes on: step again at this moment at the latest.
    On {
        /// What follows of the answer, in whole words: pieces joined are the answer's text.
        text: Option<Arc<str>>,
        /// When to step again.
        again: Moment,
    },
    /// The answer is complete, as far as it goes. All of its text was passed on before.
    Over(Box<Answer>),
}

/// An answer, and what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// All of it; empty if there was no time for any.
    pub text: Arc<str>,
    /// Why it ends here.
    pub ended: Ended,
    /// The chance that it is right; none where the engine can't tell.
    pub certainty: Option<Certainty>,
    /// How clearly its words stood out among others: what a [`cascade`] decides by.
    pub separability: Option<f32>,
    /// How clearly what it looked at can be seen; none where it looked at nothing, or the engine can't tell.
    pub readability: Option<Readability>,
    /// Where it looked, the most important place first; empty where the engine can't tell.
    pub evidence: Vec<Evidence>,
    /// When the pictures were shown that it looked at, oldest first.
    pub seen: Vec<Seen>,
    /// What it took.
    pub spent: Spent,
    /// Which engine answered.
    pub engine: Arc<str>,
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was said.
    Said,
    /// It was as long as it may be.
    Long,
    /// The deadline came, or would have come with the next word.
    Late,
}

/// A place in a picture that an answer rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Which of the question's pictures, counted from 0.
    pub picture: usize,
    /// Where.
    pub region: Region,
    /// Its share of all the looking at pictures, 0..1.
    pub share: f32,
}

/// When a picture was shown, and captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it shows, on the sender's timeline.
    pub at: MediaTime,
    /// When it was captured.
    pub born: Moment,
}

/// What an answer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Tokens of the question with its pictures.
    pub prompt_tokens: u32,
    /// Those of them that stand for pictures.
    pub picture_tokens: u32,
    /// Tokens of the conversation before, whose work was kept.
    pub kept_tokens: u32,
    /// Tokens of the answer.
    pub answer_tokens: u32,
    /// Tiles that pictures were cut into.
    pub tiles: u32,
    /// From the question to the first word.
    pub first_text: Option<Span>,
    /// In pre-processing: conversion, scaling, normalising.
    pub prepare: Span,
    /// In the model alone.
    pub inference: Span,
    /// Bytes read and written by pre-processing.
    pub bytes_moved: u64,
}

/// Why a question was not taken. Each message says what would be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// There is nothing to answer.
    #[error("the question is empty; ask something")]
    Empty,
    /// The question itself is too long.
    #[error("the question has {length} bytes, more than {most}; ask a shorter one")]
    LongQuestion {
        /// How many.
        length: usize,
        /// How many there may be.
        most: usize,
    },
    /// More pictures than one question may have.
    #[error("the question comes with {count} pictures, more than {most}; choose fewer")]
    ManyPictures {
        /// How many.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// A picture that can't be looked at.
    #[error("a picture is {width} × {height}: 1 × 1 to {most} pixels can be looked at; scale it down")]
    Size {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// How many pixels it may have.
        most: u64,
    },
    /// A picture whose planes are shorter than its size says.
    #[error("a picture's planes are smaller than its size says; send whole pictures")]
    Short,
    /// With its pictures it is longer than the conversation may become.
    #[error("the question with its pictures takes {tokens} tokens, and {most} fit; ask with fewer pictures")]
    Room {
        /// How many tokens.
        tokens: usize,
        /// How many fit.
        most: usize,
    },
    /// It could not be answered by its deadline.
    #[error("there is no time to answer it by its deadline; allow more")]
    Late,
    /// The viewer has asked for as much as a viewer may.
    #[error("the viewer's share of answers is used up; ask again in {} s", wait.nanos().div_euclid(1_000_000_000) + 1)]
    Allowance {
        /// When there will be some again.
        wait: Span,
    },
    /// The engine can't be reached or can't work.
    #[error("{0}")]
    Unavailable(String),
}
