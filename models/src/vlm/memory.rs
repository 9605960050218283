//! The memory of what a session has shown: some pictures of all that came, chosen by change and sharpness, and the ones that a
//! question goes to the engine with.
//!
//! ```text
//! pictures ─┐
//! questions ┼─▸ Memory ─▸ turns
//! words ────┘
//! ```

mod look;

use std::collections::VecDeque;

use hearsight_core::media::{Decoded, Picture, Planes};
use hearsight_core::stage::{Outbox, Signal, Stage, Wake, Why};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};

use super::turn::{Query, Turn, View};
use look::Look;

/// A scene that changes all the time is filed this often.
const FILED_EVERY: Span = Span::from_millis(500);
/// Of pictures this close together a sharper one stands for a newer one.
const NEAR: Span = Span::from_millis(250);
/// And they are looked at no closer together than this.
const APART: Span = Span::from_millis(60);
/// A picture this much as sharp as another is as sharp.
const SHARP: f32 = 0.9;

/// What may be remembered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Pictures, at most.
    pub pictures: usize,
    /// Their bytes, at most, but for the latest picture.
    pub bytes: usize,
    /// Pictures that one question goes with, at most.
    pub per_question: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            pictures: 24,
            bytes: 32 << 20,
            per_question: 1,
        }
    }
}

/// What is known of a picture besides.
struct Kept {
    view: View,
    look: Look,
}

/// Keeps what the session has shown, ever more coarsely the longer ago: of the picture now the sharpest of the last moment, of
/// what was before those that looked different.
pub struct Memory {
    config: Config,
    /// Different views, oldest first, the last of them the present one.
    filed: VecDeque<Kept>,
    /// Pictures of the last moment, of a scene that is changing.
    recent: VecDeque<Kept>,
    filed_at: Option<MediaTime>,
}

impl Memory {
    /// Remembers nothing yet.
    pub fn new(config: Config) -> Memory {
        Memory {
            config,
            filed: VecDeque::new(),
            recent: VecDeque::new(),
            filed_at: None,
        }
    }

    /// Pictures that are remembered, and their bytes.
    pub fn size(&self) -> (usize, usize) {
        let all = self.filed.iter().chain(&self.recent);
        all.fold((0, 0), |(count, bytes_in), kept| {
            (count + 1, bytes_in + bytes(&kept.view))
        })
    }

    fn see(&mut self, picture: Stamped<Picture<Planes>>) {
        if self.latest().is_some_and(|latest| picture.at < latest.view.picture.at) {
            // Another timeline: nothing that was noted means anything on it.
            self.forget();
        }
        let look = Look::new(&picture.item);
        if let Some(present) = self.recent.back_mut().or(self.filed.back_mut())
            && present.look.same(&look)
        {
            present.view.still = picture.born;
            if look.sharpness * SHARP > present.look.sharpness {
                let still = picture.born;
                *present = Kept {
                    view: View { picture, still },
                    look,
                };
            }
            self.settle();
            return;
        }
        let newest = self.recent.back().map(|kept| kept.view.picture.at);
        if newest.is_some_and(|newest| picture.at - newest < APART) {
            self.recent.pop_back();
        }
        let (at, still) = (picture.at, picture.born);
        self.recent.push_back(Kept {
            view: View { picture, still },
            look,
        });
        while self
            .recent
            .front()
            .is_some_and(|oldest| at - oldest.view.picture.at > NEAR)
        {
            self.recent.pop_front();
        }
        if self.filed_at.is_none_or(|filed| at - filed >= FILED_EVERY) {
            self.settle();
        }
    }

    /// Files the view of the last moment: it has come to rest, or is due.
    fn settle(&mut self) {
        if let Some(best) = sharpest(self.recent.make_contiguous()) {
            self.filed_at = Some(self.recent[best].view.picture.at);
            self.filed.extend(self.recent.drain(best..).take(1));
            self.recent.clear();
        }
        while self.filed.len() > self.config.pictures.max(1)
            || (self.filed.len() > 1 && self.bytes_filed() > self.config.bytes)
        {
            self.thin();
        }
    }

    fn bytes_filed(&self) -> usize {
        self.filed.iter().map(|kept| bytes(&kept.view)).sum()
    }

    /// Forgets the view that leaves the smallest hole for its age: the beginning and the present stay longest.
    fn thin(&mut self) {
        let at = |index: usize| self.filed[index].view.picture.at;
        let last = self.filed.len() - 1;
        let hole = |index: usize| {
            let age = (at(last) - at(index)).secs_f64() + 1.0;
            (at(index + 1) - at(index - 1)).secs_f64() / age
        };
        let least = (1..last).min_by(|a, b| hole(*a).total_cmp(&hole(*b)));
        self.filed.remove(least.unwrap_or(0));
    }

    fn latest(&self) -> Option<&Kept> {
        self.recent.back().or(self.filed.back())
    }

    /// What a question is about: the picture now, and for one that looks back what was before, oldest first.
    fn views(&self, question: &str) -> Vec<View> {
        let Some(newest) = self.latest() else { return Vec::new() };
        // Of the last moment, the newest of those that are as sharp as the sharpest.
        let newest = newest.view.picture.at;
        let moment = self.filed.iter().chain(&self.recent);
        let moment = moment.rev().take_while(|kept| newest - kept.view.picture.at <= NEAR);
        let most = moment.clone().map(|kept| kept.look.sharpness).fold(0.0, f32::max);
        let Some(present) = moment.clone().find(|kept| kept.look.sharpness >= SHARP * most) else {
            return Vec::new();
        };
        let before = self
            .filed
            .iter()
            .rev()
            .filter(|kept| kept.view.picture.at < present.view.picture.at);
        let most = if looks_back(question) {
            self.config.per_question.saturating_sub(1)
        } else {
            0
        };
        let mut views: Vec<View> = before.take(most).map(|kept| kept.view.clone()).collect();
        views.reverse();
        views.push(present.view.clone());
        views
    }

    fn forget(&mut self) {
        self.filed.clear();
        self.recent.clear();
        self.filed_at = None;
    }

    fn take(&mut self, unit: Stamped<Query>, out: &mut Outbox<Turn>) {
        let Stamped { at, born, trail, item } = unit;
        match item {
            Query::Picture(item) => self.see(Stamped { at, born, trail, item }),
            Query::Question { id, text: question } => {
                let latest = self.latest();
                let at = latest.map_or(at, |latest| latest.view.picture.at);
                let text = latest.map_or(0.0, |latest| latest.look.text);
                let views = self.views(&question);
                let item = Turn::Ask {
                    id,
                    question,
                    views,
                    text,
                };
                out.put(Stamped { at, born, trail, item });
            }
            Query::Cancel { id } => {
                let item = Turn::Cancel { id };
                out.put(Stamped { at, born, trail, item });
            }
        }
    }
}

/// The newest of those that are as sharp as the sharpest.
fn sharpest(kept: &[Kept]) -> Option<usize> {
    let most = kept.iter().map(|kept| kept.look.sharpness).fold(0.0, f32::max);
    kept.iter().rposition(|kept| kept.look.sharpness >= SHARP * most)
}

/// Whether a question, in English, asks what was, rather than what is.
fn looks_back(question: &str) -> bool {
    const WORDS: [&str; 29] = [
        "ago",
        "appeared",
        "appear",
        "became",
        "become",
        "before",
        "change",
        "changed",
        "changes",
        "changing",
        "did",
        "direction",
        "disappeared",
        "earlier",
        "gone",
        "had",
        "happened",
        "heading",
        "move",
        "moved",
        "moves",
        "moving",
        "previous",
        "previously",
        "turn",
        "turned",
        "turning",
        "was",
        "were",
    ];
    let words = question.split(|c: char| !c.is_alphanumeric());
    words.map(str::to_lowercase).any(|word| WORDS.contains(&word.as_str()))
}

impl Stage for Memory {
    type In = Query;
    type Out = Turn;

    fn step(&mut self, _: Moment, signal: Signal<Query>, out: &mut Outbox<Turn>) -> Wake {
        match signal {
            Signal::Item(unit) => self.take(unit, out),
            Signal::Flush(Why::Seek) => self.forget(),
            Signal::End => out.end(),
            // A picture that is missing is none that could have been remembered.
            Signal::Gap(_) | Signal::Flush(Why::BargeIn) | Signal::Timer => {}
        }
        Wake::OnSignal
    }
}

/// Decoded pictures, for the memory.
pub struct Shown;

impl Stage for Shown {
    type In = Decoded;
    type Out = Query;

    fn step(&mut self, _: Moment, signal: Signal<Decoded>, out: &mut Outbox<Query>) -> Wake {
        match signal {
            Signal::Item(unit) => out.put(unit.map(|decoded| Query::Picture(decoded.picture))),
            Signal::End => out.end(),
            Signal::Gap(_) | Signal::Flush(_) | Signal::Timer => {}
        }
        Wake::OnSignal
    }
}

fn bytes(view: &View) -> usize {
    let Planes { y, u, v } = &view.picture.item.pixels;
    [y, u, v].map(|plane| (*plane.bytes).as_ref().len()).iter().sum()
}

#[cfg(test)]
mod tests;
