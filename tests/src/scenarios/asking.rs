//! Questions about the picture in a simulated session.

use std::sync::Arc;

use hearsight::wiring::Answering;
use hearsight_core::graph::Source;
use hearsight_core::sim::{SessionId, Sim};
use hearsight_core::stage::{Engine, Signal};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::vlm::Ask;
use hearsight_models::vlm::asking::{self, Asking, Turns};
use hearsight_models::vlm::clerk::Clerk;
use hearsight_models::vlm::memory::{self, Memory};
use hearsight_models::vlm::scripted::{Prices, Script, Scripted};
use hearsight_models::vlm::turn::Query;

/// From a question to the end of its answer, by default.
pub(super) const ALLOWED: Span = Span::from_millis(4_000);
/// Words of every answer.
pub(super) const WORDS: usize = 6;
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

/// The real memory, queue and clerk before an engine at a modelled cost.
pub(super) fn answering(asked: &Quiz) -> Answering {
    let prices = Prices {
        tile: asked.tile,
        token: asked.token,
    };
    let author = Box::new(|_: &Ask| Script {
        text: ["word"; WORDS].join(" ").into(),
        certainty: 0.5,
        separability: 1.0,
    });
    let engine = Scripted::new("script", prices, author);
    let config = asking::Config {
        allowed: asked.allowed,
        tokens: 24,
        waiting: 3,
        turns: Turns::Alone,
    };
    let engine = Asking::new(engine, config, vec![]);
    Answering {
        aloud: None,
        memory: Box::new(Memory::new(memory::Config::default())),
        clerk: Box::new(Clerk::new(asked.allowed + engine.slice())),
        answer: Box::new(engine),
        allowed: asked.allowed,
    }
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
