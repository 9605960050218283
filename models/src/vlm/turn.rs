//! What is asked of an engine, and what it says to that: the turns of a conversation about pictures.

use std::sync::Arc;

use hearsight_core::media::{Flow, Picture, Planes};
use hearsight_core::stage::{Lost, Outbox};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::Moment;

use super::{Answer, Refused};

/// What reaches the memory of what was seen.
#[derive(Clone, Debug)]
pub enum Query {
    /// What the camera shows now.
    Picture(Picture<Planes>),
    /// A question, born when its last word was said or it arrived.
    Question {
        /// Its number, which its answer carries.
        id: u64,
        /// In the person's words.
        text: Arc<str>,
    },
    /// The answer to this question is not wanted any more.
    Cancel {
        /// Which.
        id: u64,
    },
}

impl Flow for Query {}

/// A picture that was remembered.
#[derive(Clone, Debug)]
pub struct View {
    /// The picture, and when it was captured.
    pub picture: Stamped<Picture<Planes>>,
    /// When it was last seen to be still so.
    pub still: Moment,
}

/// What goes to the engine, and what comes from it. The envelope is the question's; its media time is that of the latest picture.
#[derive(Clone, Debug)]
pub enum Turn {
    /// A question.
    Ask {
        /// Its number.
        id: u64,
        /// In the person's words.
        question: Arc<str>,
        /// What it is about, oldest first; none where nothing was seen yet.
        views: Vec<View>,
        /// How much of the latest picture looks like writing, 0..1.
        text: f32,
    },
    /// The answer to a question is not wanted any more.
    Cancel {
        /// Which.
        id: u64,
    },
    /// The first words of an answer.
    First {
        /// Which question's.
        id: u64,
        /// Pieces joined are the answer's text.
        text: Arc<str>,
    },
    /// What follows of it, in whole words.
    More {
        /// Which question's.
        id: u64,
        /// Pieces joined are the answer's text.
        text: Arc<str>,
    },
    /// An answer is complete.
    Answer {
        /// Which question's.
        id: u64,
        /// All of it.
        answer: Box<Answer>,
        /// For each picture of [`Answer::seen`], when it was last seen to be still so; of none, in a conversation that goes on about
        /// the pictures before.
        still: Vec<Moment>,
    },
    /// There will be no answer, or no more of it.
    None {
        /// To which question.
        id: u64,
        /// Why.
        why: Unanswered,
        /// In words, for the asker.
        words: Arc<str>,
    },
}

impl Flow for Turn {}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// It could not be answered by its deadline.
    Late,
    /// Too many questions wait.
    Crowded,
    /// Nothing was seen yet.
    NoPicture,
    /// The question itself won't do: empty, or too long.
    Unfit,
    /// The asker's share is used up.
    Allowance,
    /// It was taken back, or what was under way was flushed.
    Cancelled,
    /// The engine failed, or can't be reached.
    Failed,
}

impl Unanswered {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Unanswered::Late => "late",
            Unanswered::Crowded => "crowded",
            Unanswered::NoPicture => "no_picture",
            Unanswered::Unfit => "unfit",
            Unanswered::Allowance => "allowance",
            Unanswered::Cancelled => "cancelled",
            Unanswered::Failed => "failed",
        }
    }

    fn loss(self) -> Option<Lost> {
        match self {
            Unanswered::Late => Some(Lost::TooLate),
            Unanswered::Crowded | Unanswered::Allowance => Some(Lost::Refused),
            Unanswered::Failed => Some(Lost::Undecodable),
            Unanswered::NoPicture | Unanswered::Unfit | Unanswered::Cancelled => None,
        }
    }
}

impl From<&Refused> for Unanswered {
    fn from(refused: &Refused) -> Unanswered {
        match refused {
            Refused::Late => Unanswered::Late,
            Refused::Allowance { .. } => Unanswered::Allowance,
            Refused::Unavailable(_) => Unanswered::Failed,
            Refused::Empty
            | Refused::LongQuestion { .. }
            | Refused::ManyPictures { .. }
            | Refused::Size { .. }
            | Refused::Short
            | Refused::Room { .. } => Unanswered::Unfit,
        }
    }
}

/// Puts out that `question` has no answer, and counts what was lost.
pub(super) fn none(question: &Stamped<u64>, why: Unanswered, words: &str, out: &mut Outbox<Turn>) {
    let (id, words) = (question.item, words.into());
    out.put(question.with(Turn::None { id, why, words }));
    if let Some(loss) = why.loss() {
        out.lose(loss, 1);
    }
}
