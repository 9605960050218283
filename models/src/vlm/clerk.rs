//! Sees to it that every question ends exactly once and in time, whatever the engine does and however long it waits for a thread.

use std::collections::BTreeMap;

use hearsight_core::stage::{Outbox, Signal, Stage, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{Moment, Span};

use super::turn::{Turn, Unanswered, none};

const LATE: &str = "there was no time for an answer by its deadline";

/// Passes on what is said to questions that are open. It hears of a question before the engine does, and closes it with its answer,
/// with why there is none, or by itself: past its deadline and one slice, when what was under way is flushed, and when the engine
/// is gone.
pub struct Clerk {
    allowed: Span,
    open: BTreeMap<u64, Stamped<()>>,
}

impl Clerk {
    /// Closes questions that are `allowed` old: the engine's deadline and one slice.
    pub fn new(allowed: Span) -> Clerk {
        Clerk {
            allowed,
            open: BTreeMap::new(),
        }
    }

    fn take(&mut self, mut unit: Stamped<Turn>, out: &mut Outbox<Turn>) {
        let open = unit.with(());
        match &mut unit.item {
            Turn::Ask { id, views, .. } => {
                // The pictures are for the engine.
                views.clear();
                self.open.insert(*id, open);
            }
            Turn::First { id, .. } | Turn::More { id, .. } if self.open.contains_key(id) => {}
            Turn::Answer { id, .. } | Turn::None { id, .. } if self.open.remove(id).is_some() => {}
            _ => return,
        }
        out.put(unit);
    }

    fn close(&mut self, why: Unanswered, words: &str, ripe: impl Fn(&Stamped<()>) -> bool, out: &mut Outbox<Turn>) {
        self.open.retain(|id, question| {
            let ripe = ripe(question);
            if ripe {
                none(&question.with(*id), why, words, out);
            }
            !ripe
        });
    }
}

impl Stage for Clerk {
    type In = Turn;
    type Out = Turn;

    fn step(&mut self, now: Moment, signal: Signal<Turn>, out: &mut Outbox<Turn>) -> Wake {
        let allowed = self.allowed;
        // Before the signal: what it brings to these comes too late.
        self.close(Unanswered::Late, LATE, |question| now - question.born > allowed, out);
        match signal {
            Signal::Item(unit) => self.take(unit, out),
            Signal::Flush(_) => self.close(Unanswered::Cancelled, "what was under way was flushed", |_| true, out),
            Signal::End => {
                self.close(Unanswered::Failed, "the engine has stopped", |_| true, out);
                out.end();
            }
            // What was lost of an answer is told with why there is none.
            Signal::Gap(_) | Signal::Timer => {}
        }
        let next = self.open.values().map(|question| question.born + allowed).min();
        // The moment after: what comes just in time comes first.
        next.map_or(Wake::OnSignal, |next| Wake::At(next + Span::from_nanos(1)))
    }
}
