//! Questions about the picture in a simulated session.

use std::sync::Arc;

use hearsight_core::graph::Source;
use hearsight_core::sim::{SessionId, Sim};
use hearsight_core::stage::Signal;
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::vlm::turn::Query;

pub(super) use hearsight::simulate::rooms::{ALLOWED, WORDS};

/// Questions about the picture, and what answers cost.
#[derive(Clone, Debug)]
pub(super) struct Quiz {
    /// When, from the beginning on.
    pub at: Vec<Span>,
    /// To see one tile.
    pub tile: Span,
    /// To say one of [`WORDS`] words.
    pub token: Span,
    /// From a question to the end of its answer.
    pub allowed: Span,
}

/// Plans the questions; answers with when the last of them is over.
pub(super) fn put(sim: &mut Sim, session: SessionId, door: Source<Query>, asked: &Quiz) -> Moment {
    let door = Arc::new(door);
    for (id, at) in (0..).zip(&asked.at) {
        let (door, into) = (door.clone(), door.id());
        sim.at(Moment::ZERO + *at, session, into, move |now| {
            let text = "What is there?".into();
            let unit = Stamped::new(MediaTime::ZERO, now, Query::Question { id, text });
            door.push(now, Signal::Item(unit));
        });
    }
    let last = asked.at.iter().copied().max().unwrap_or(Span::ZERO);
    let over = Moment::ZERO + last + asked.allowed + Span::from_secs(3);
    let into = door.id();
    sim.at(over, session, into, move |now| door.push(now, Signal::End));
    over
}
