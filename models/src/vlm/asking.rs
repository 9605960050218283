//! A stage of any engine that answers: questions in, pieces of answers and answers out, each in time or not at all.

use std::collections::VecDeque;
use std::sync::Arc;

use hearsight_core::media::{Picture, Planes};
use hearsight_core::schedule::Strain;
use hearsight_core::stage::{Engine, Fault, Outbox, Signal, Wake};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{Moment, Span};

use super::allowance::Allowance;
use super::turn::{Turn, Unanswered, View, none};
use super::{Answer, Answerer, Ask, Effort, Ended, Refused, Step};

/// What an engine remembers from one question to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turns {
    /// Nothing: each question comes with all it is about. What small models are made for.
    Alone,
    /// What was said before.
    Conversation,
}

/// How questions are answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Nothing is said so long after a question's birth, but for one slice.
    pub allowed: Span,
    /// Tokens of an answer, at most.
    pub tokens: u32,
    /// Questions that may wait for the one under way.
    pub waiting: usize,
    /// What is remembered between them.
    pub turns: Turns,
}

/// Answers questions one after the other.
pub struct Asking<A> {
    answerer: A,
    config: Config,
    /// What the asker may spend, for himself and together with others.
    purses: Vec<Arc<Allowance>>,
    waiting: VecDeque<Stamped<Waiting>>,
    under_way: Option<Stamped<UnderWay>>,
    /// The pictures of the last question that was answered: in a conversation they are not shown again.
    shown: Vec<Stamped<Picture<Planes>>>,
    /// The engine will not work again.
    dead: bool,
}

struct Waiting {
    id: u64,
    question: Arc<str>,
    views: Vec<View>,
    text: f32,
}

struct UnderWay {
    id: u64,
    still: Vec<Moment>,
    said: bool,
}

impl<A: Answerer> Asking<A> {
    /// Answers with `answerer` what every one of `purses` allows.
    pub fn new(answerer: A, config: Config, purses: Vec<Arc<Allowance>>) -> Asking<A> {
        Asking {
            answerer,
            config,
            purses,
            waiting: VecDeque::new(),
            under_way: None,
            shown: Vec::new(),
            dead: false,
        }
    }

    fn take(&mut self, unit: Stamped<Turn>, out: &mut Outbox<Turn>) {
        let Stamped { at, born, trail, item } = unit;
        match item {
            Turn::Ask {
                id,
                question,
                views,
                text,
            } => {
                let item = Waiting {
                    id,
                    question,
                    views,
                    text,
                };
                let unit = Stamped { at, born, trail, item };
                if self.waiting.len() < self.config.waiting {
                    self.waiting.push_back(unit);
                } else {
                    none(
                        &unit.with(id),
                        Unanswered::Crowded,
                        "too many questions wait already",
                        out,
                    );
                }
            }
            Turn::Cancel { id } => self.leave(|known| known == id, out),
            // What this puts out.
            Turn::First { .. } | Turn::More { .. } | Turn::Answer { .. } | Turn::None { .. } => {}
        }
    }

    /// Ends the questions whose number is `meant`.
    fn leave(&mut self, meant: impl Fn(u64) -> bool, out: &mut Outbox<Turn>) {
        if let Some(question) = self.under_way.take_if(|question| meant(question.item.id)) {
            self.answerer.cancel();
            cancelled(&question.with(question.item.id), out);
        }
        self.waiting.retain(|question| {
            if meant(question.item.id) {
                cancelled(&question.with(question.item.id), out);
            }
            !meant(question.item.id)
        });
    }

    /// Leaves what is under way and what waits without a word.
    fn drop_all(&mut self) {
        self.answerer.cancel();
        self.shown.clear();
        self.under_way = None;
        self.waiting.clear();
    }

    /// Takes up the next question.
    fn begin(&mut self, now: Moment, out: &mut Outbox<Turn>) {
        while self.under_way.is_none()
            && let Some(question) = self.waiting.pop_front()
        {
            let mut trail = question.trail;
            trail.stamp(Mark::Asked, now);
            let question = Stamped { trail, ..question };
            let number = question.with(question.item.id);
            if let Err((why, words)) = self.ask(now, question, out.strain()) {
                none(&number, why, &words, out);
            }
        }
    }

    fn ask(&mut self, now: Moment, question: Stamped<Waiting>, strain: Strain) -> Result<(), (Unanswered, String)> {
        let Waiting { views, text, .. } = &question.item;
        if self.dead {
            return Err((Unanswered::Failed, "the engine has stopped; connect again".into()));
        }
        if views.is_empty() {
            let words = "there is no picture to answer from yet; switch a camera on, or wait for its first picture";
            return Err((Unanswered::NoPicture, words.into()));
        }
        if let Some(wait) = self.purses.iter().find_map(|purse| purse.ask(now).err()) {
            return Err((Unanswered::Allowance, Refused::Allowance { wait }.to_string()));
        }
        let pictures: Vec<_> = views.iter().map(|view| view.picture.clone()).collect();
        let known = match self.config.turns {
            Turns::Alone => {
                self.answerer.forget();
                false
            }
            Turns::Conversation => same(&pictures, &self.shown),
        };
        let ask = Ask {
            question: question.item.question.clone(),
            pictures: if known { Vec::new() } else { pictures.clone() },
            deadline: question.born + self.config.allowed,
            effort: match strain >= Strain::Seeing {
                // Under strain answers are short, and pictures are looked at as a whole.
                true => Effort {
                    tokens: self.config.tokens.div_ceil(2),
                    text: 0.0,
                },
                false => Effort {
                    tokens: self.config.tokens,
                    text: *text,
                },
            },
        };
        self.answerer
            .ask(now, ask)
            .map_err(|refused| (Unanswered::from(&refused), refused.to_string()))?;
        // As if the answer became as long as it may: one that is cut off has been paid for.
        self.purses.iter().for_each(|purse| purse.take(self.config.tokens));
        self.shown = pictures;
        let still = views.iter().map(|view| view.still).collect();
        self.under_way = Some(question.with(UnderWay {
            id: question.item.id,
            still,
            said: false,
        }));
        Ok(())
    }

    fn advance(&mut self, now: Moment, out: &mut Outbox<Turn>) -> Wake {
        let Some(mut question) = self.under_way.take() else {
            return Wake::OnSignal;
        };
        let UnderWay { id, ref mut said, .. } = question.item;
        let step = self.answerer.step(now);
        out.spend(self.answerer.spent());
        match step {
            Ok(Step::On { text, again }) => {
                if let Some(text) = text {
                    let piece = match std::mem::replace(said, true) {
                        false => Turn::First { id, text },
                        true => Turn::More { id, text },
                    };
                    out.put(question.with(piece));
                }
                self.under_way = Some(question);
                return Wake::At(again);
            }
            Ok(Step::Over(answer)) => self.over(&question, answer, out),
            Ok(Step::Idle) => self.failed(&question, "the engine gave up", out),
            Err(Fault::Reset(why)) => self.failed(&question, &why, out),
            Err(Fault::Dead(why)) => {
                self.dead = true;
                self.failed(&question, &why, out);
            }
        }
        // The next question is taken up with the next step.
        Wake::At(now)
    }

    fn over(&mut self, question: &Stamped<UnderWay>, answer: Box<Answer>, out: &mut Outbox<Turn>) {
        let id = question.item.id;
        self.purses
            .iter()
            .for_each(|purse| purse.take(answer.spent.prompt_tokens));
        if answer.text.is_empty() && answer.ended == Ended::Late {
            self.shown.clear();
            let words = "there was no time for an answer by its deadline";
            return none(&question.with(id), Unanswered::Late, words, out);
        }
        let still = question.item.still.clone();
        out.put(question.with(Turn::Answer { id, answer, still }));
    }

    fn failed(&mut self, question: &Stamped<UnderWay>, why: &str, out: &mut Outbox<Turn>) {
        self.shown.clear();
        none(&question.with(question.item.id), Unanswered::Failed, why, out);
    }
}

/// Whether both are the same pictures, in memory.
fn same(some: &[Stamped<Picture<Planes>>], others: &[Stamped<Picture<Planes>>]) -> bool {
    some.len() == others.len()
        && some
            .iter()
            .zip(others)
            .all(|(one, other)| Arc::ptr_eq(&one.item.pixels.y.bytes, &other.item.pixels.y.bytes))
}

fn cancelled(question: &Stamped<u64>, out: &mut Outbox<Turn>) {
    none(question, Unanswered::Cancelled, "the question was taken back", out);
}

impl<A: Answerer> Engine for Asking<A> {
    type In = Turn;
    type Out = Turn;

    fn run(&mut self, now: Moment, signal: Signal<Turn>, out: &mut Outbox<Turn>) -> Result<Wake, Fault> {
        match signal {
            Signal::Item(unit) => self.take(unit, out),
            Signal::Gap(gap) => out.pass(gap),
            Signal::Timer => {}
            Signal::Flush(_) => self.drop_all(),
            Signal::End => {
                self.drop_all();
                out.end();
                return Ok(Wake::OnSignal);
            }
        }
        self.begin(now, out);
        Ok(self.advance(now, out))
    }

    fn slice(&self) -> Span {
        self.answerer.slice()
    }

    fn took(&mut self, cost: Span) {
        self.answerer.took(cost);
    }
}
