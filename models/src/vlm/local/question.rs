//! A question under way: what is still to be done for it, and what came of it so far.

use std::sync::Arc;

use hearsight_core::media::{Picture, Planes};
use hearsight_core::time::Moment;

use super::encodings::Key;
use super::gaze::Gaze;
use super::graphs::Sight;
use super::processor::{Drawn, Layout};
use super::saying::Saying;
use crate::vlm::{Ended, Seen, Spent};

/// A question under way.
pub(super) struct Question {
    pub(super) asked: Moment,
    pub(super) deadline: Moment,
    /// Tokens of the answer, at most, and why no more.
    pub(super) most: u32,
    pub(super) bound: Ended,
    pub(super) pictures: Vec<Looked>,
    /// Tokens to be read; the first of them belong to the turns before.
    pub(super) prompt: Vec<i64>,
    /// The conversation before: to where a question without an answer is cut back.
    pub(super) before: (usize, Vec<i64>),
    pub(super) features: Vec<f32>,
    pub(super) used: usize,
    pub(super) pixels: Vec<f32>,
    pub(super) stage: Stage,
    pub(super) saying: Saying,
    pub(super) gaze: Gaze,
    pub(super) seen: Vec<Seen>,
    pub(super) spent: Spent,
    /// The last step brought the first words: they leave when it ends.
    pub(super) first: bool,
}

pub(super) struct Looked {
    pub(super) picture: Option<Picture<Planes>>,
    pub(super) key: Key,
    pub(super) layout: Layout,
    pub(super) drawn: Option<Drawn>,
    /// What was made of it before, where it was seen before.
    pub(super) encoded: Option<Arc<[Sight]>>,
    /// What has been made of its tiles so far, in order.
    pub(super) sights: Vec<Sight>,
}

#[derive(Clone, Copy)]
pub(super) enum Stage {
    Draw { picture: usize },
    Cut { picture: usize, tile: usize },
    See { picture: usize, tile: usize },
    Read { at: usize },
    Say,
    Over(Ended),
}

impl Question {
    /// Takes in what was made of a picture's tile, now or for a question before. Tiles come in order.
    pub(super) fn take_in(&mut self, picture: usize, tile: usize, sight: &Sight) {
        self.gaze.see(sight, self.pictures[picture].layout, tile);
        self.features.extend(&sight.features);
    }

    /// What was held back of the answer's text comes out, then it is over.
    pub(super) fn end(&mut self, ended: Ended) -> Option<Arc<str>> {
        self.stage = Stage::Over(ended);
        self.saying.rest()
    }
}
