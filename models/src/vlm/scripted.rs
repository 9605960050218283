//! An engine that answers by a script, with a cost per tile and per token instead of work: what the simulator runs.

use std::sync::Arc;

use hearsight_core::media::Certainty;
use hearsight_core::stage::Fault;
use hearsight_core::time::{Moment, Span};

use super::{Answer, Answerer, Ask, Ended, Refused, Seen, Spent, Step};

/// What an engine is to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// The answer; one word is one token.
    pub text: Arc<str>,
    /// How sure it is to seem.
    pub certainty: f32,
    /// How clearly it is to stand out.
    pub separability: f32,
}

/// What slices cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// To see one tile.
    pub tile: Span,
    /// To say one token.
    pub token: Span,
}

/// Tiles of one picture: of plain ones, and of those full of writing.
const TILES: [u32; 2] = [1, 13];

/// Writes an answer to each question.
pub type Author = Box<dyn FnMut(&Ask) -> Script + Send>;

/// An engine that says what its author writes, at stated prices.
pub struct Scripted {
    name: Arc<str>,
    author: Author,
    prices: Prices,
    under_way: Option<UnderWay>,
    spent: Span,
}

struct UnderWay {
    ask: Ask,
    asked: Moment,
    script: Script,
    tiles: u32,
    tokens: u32,
    said: Vec<Arc<str>>,
    first_text: Option<Span>,
    ended: Option<Ended>,
}

impl Scripted {
    /// An engine of this name.
    pub fn new(name: &str, prices: Prices, author: Author) -> Scripted {
        Scripted {
            name: name.into(),
            author,
            prices,
            under_way: None,
            spent: Span::ZERO,
        }
    }

    fn load(ask: &Ask) -> u32 {
        ask.pictures.len() as u32 * TILES[usize::from(ask.effort.text >= 0.5)]
    }
}

impl UnderWay {
    fn advance(&mut self, now: Moment, prices: Prices) -> (Option<Arc<str>>, Span) {
        let word = self.script.text.split_inclusive(' ').nth(self.said.len());
        let dearer = if self.tiles > 0 { prices.tile } else { prices.token };
        self.ended = match word {
            None => Some(Ended::Said),
            _ if self.said.len() as u32 >= self.ask.effort.tokens => Some(Ended::Long),
            _ if now + dearer > self.ask.deadline => Some(Ended::Late),
            _ => None,
        };
        let (Some(word), None) = (word, self.ended) else {
            return (None, Span::ZERO);
        };
        if self.tiles > 0 {
            self.tiles -= 1;
            return (None, prices.tile);
        }
        let word: Arc<str> = word.into();
        self.said.push(word.clone());
        self.first_text.get_or_insert(now + prices.token - self.asked);
        (Some(word), prices.token)
    }

    fn over(self, ended: Ended, name: &Arc<str>, prices: Prices) -> Answer {
        let tiles = Scripted::load(&self.ask);
        Answer {
            text: self.said.concat().into(),
            ended,
            certainty: Some(Certainty::new(self.script.certainty)),
            separability: Some(self.script.separability),
            readability: None,
            evidence: Vec::new(),
            seen: self
                .ask
                .pictures
                .iter()
                .map(|unit| Seen {
                    at: unit.at,
                    born: unit.born,
                })
                .collect(),
            spent: Spent {
                tiles,
                answer_tokens: self.said.len() as u32,
                first_text: self.first_text,
                inference: prices.tile * i64::from(tiles - self.tiles) + prices.token * i64::from(self.tokens),
                ..Spent::default()
            },
            engine: name.clone(),
        }
    }
}

impl Answerer for Scripted {
    fn name(&self) -> &str {
        &self.name
    }

    fn ask(&mut self, now: Moment, ask: Ask) -> Result<(), Refused> {
        self.cancel();
        if ask.question.trim().is_empty() {
            return Err(Refused::Empty);
        }
        if ask.deadline <= now {
            return Err(Refused::Late);
        }
        self.under_way = Some(UnderWay {
            script: (self.author)(&ask),
            tiles: Scripted::load(&ask),
            tokens: 0,
            asked: now,
            said: Vec::new(),
            first_text: None,
            ended: None,
            ask,
        });
        Ok(())
    }

    fn step(&mut self, now: Moment) -> Result<Step, Fault> {
        let Some(mut under_way) = self.under_way.take() else {
            return Ok(Step::Idle);
        };
        if let Some(ended) = under_way.ended {
            return Ok(Step::Over(Box::new(under_way.over(ended, &self.name, self.prices))));
        }
        let (text, cost) = under_way.advance(now, self.prices);
        under_way.tokens = under_way.said.len() as u32;
        self.under_way = Some(under_way);
        self.spent += cost;
        Ok(Step::On { text, again: now })
    }

    fn took(&mut self, _cost: Span) {}

    fn cancel(&mut self) {
        self.under_way = None;
    }

    fn forget(&mut self) {
        self.under_way = None;
    }

    fn slice(&self) -> Span {
        self.prices.tile.max(self.prices.token)
    }

    fn first_text_in(&self, ask: &Ask) -> Option<Span> {
        Some(self.prices.tile * i64::from(Scripted::load(ask)) + self.prices.token)
    }

    fn spent(&mut self) -> Span {
        std::mem::take(&mut self.spent)
    }
}
