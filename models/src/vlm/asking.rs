//! A stage of any engine that answers: pictures and questions in, pieces of answers and answers out.

use std::collections::VecDeque;
use std::sync::Arc;

use hearsight_core::media::{Flow, Picture, Planes};
use hearsight_core::stage::{Engine, Fault, Lost, Outbox, Signal, Wake, Why};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{Moment, Span};

use super::{Answer, Answerer, Ask, Effort, Ended, Refused, Step};

/// What comes in.
#[derive(Clone, Debug)]
pub enum Query {
    /// What the camera shows now: what later questions are about.
    Picture(Picture<Planes>),
    /// A question, born when its last word was said or its key was pressed.
    Question {
        /// The asker's number for it, which its answer carries.
        id: u32,
        /// The question.
        text: Arc<str>,
        /// What may be spent on it.
        effort: Effort,
    },
}

impl Flow for Query {}

/// What goes out. The envelope is the question's.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// What follows of an answer, in whole words.
    Text {
        /// Which question's.
        id: u32,
        /// Pieces joined are the answer's text.
        text: Arc<str>,
    },
    /// The answer is complete.
    Answer {
        /// Which question's.
        id: u32,
        /// All of it.
        answer: Box<Answer>,
    },
    /// There will be no answer, or no more of it.
    None {
        /// To which question.
        id: u32,
        /// In words, for the asker.
        why: Arc<str>,
    },
}

impl Flow for Reply {}

/// Answers questions about the latest pictures. A new question ends the one under way.
pub struct Asking<A> {
    answerer: A,
    allowed: Span,
    /// How many pictures a question is asked with.
    most: usize,
    pictures: VecDeque<Stamped<Picture<Planes>>>,
    /// Of the pictures, the ones that no question was asked with yet.
    fresh: usize,
    under_way: Option<Stamped<u32>>,
}

impl<A: Answerer> Asking<A> {
    /// Answers within `allowed` of a question's birth, with the latest `pictures` pictures.
    pub fn new(answerer: A, allowed: Span, pictures: usize) -> Asking<A> {
        Asking {
            answerer,
            allowed,
            most: pictures.max(1),
            pictures: VecDeque::new(),
            fresh: 0,
            under_way: None,
        }
    }

    fn take(&mut self, now: Moment, unit: Stamped<Query>, out: &mut Outbox<Reply>) {
        let Stamped { at, born, trail, item } = unit;
        match item {
            Query::Picture(item) => {
                if self.pictures.len() >= self.most {
                    self.pictures.pop_front();
                }
                self.pictures.push_back(Stamped { at, born, trail, item });
                self.fresh = (self.fresh + 1).min(self.most);
            }
            Query::Question { id, text, effort } => {
                self.replace(out);
                let ask = Ask {
                    question: text,
                    // What was asked about before is in the conversation already.
                    pictures: self
                        .pictures
                        .iter()
                        .skip(self.pictures.len() - self.fresh)
                        .cloned()
                        .collect(),
                    deadline: born + self.allowed,
                    effort,
                };
                let item = id;
                self.ask(now, ask, Stamped { at, born, trail, item }, out);
            }
        }
    }

    fn ask(&mut self, now: Moment, ask: Ask, question: Stamped<u32>, out: &mut Outbox<Reply>) {
        match self.answerer.ask(now, ask) {
            Ok(()) => {
                self.fresh = 0;
                self.under_way = Some(question);
            }
            Err(refused) => {
                none(&question, &refused.to_string(), out);
                out.lose(
                    if refused == Refused::Late {
                        Lost::TooLate
                    } else {
                        Lost::Refused
                    },
                    1,
                );
            }
        }
    }

    /// Ends the question under way, if there is one, for a newer one.
    fn replace(&mut self, out: &mut Outbox<Reply>) {
        if let Some(question) = self.under_way.take() {
            self.answerer.cancel();
            self.again();
            none(&question, "a newer question took its place", out);
            out.lose(Lost::Replaced, 1);
        }
    }

    fn cancel(&mut self) {
        self.answerer.cancel();
        self.under_way = None;
        self.again();
    }

    /// The conversation knows nothing of a question that was not answered, nor of its pictures.
    fn again(&mut self) {
        self.fresh = self.pictures.len();
    }

    fn advance(&mut self, now: Moment, out: &mut Outbox<Reply>) -> Result<Wake, Fault> {
        let Some(question) = &self.under_way else {
            return Ok(Wake::OnSignal);
        };
        let id = question.item;
        let step = self.answerer.step(now);
        out.spend(self.answerer.spent());
        match step {
            Ok(Step::On { text, again }) => {
                if let Some(text) = text {
                    out.put(reply(question, Reply::Text { id, text }));
                }
                Ok(Wake::At(again))
            }
            Ok(Step::Over(answer)) => {
                let nothing = answer.ended == Ended::Late && answer.text.is_empty();
                out.put(reply(question, Reply::Answer { id, answer }));
                self.under_way = None;
                if nothing {
                    out.lose(Lost::TooLate, 1);
                    self.again();
                }
                Ok(Wake::OnSignal)
            }
            Ok(Step::Idle) => {
                self.under_way = None;
                Ok(Wake::OnSignal)
            }
            Err(fault) => {
                none(question, "the engine failed; ask again", out);
                self.under_way = None;
                self.again();
                Err(fault)
            }
        }
    }
}

fn reply(question: &Stamped<u32>, item: Reply) -> Stamped<Reply> {
    let Stamped { at, born, trail, .. } = *question;
    Stamped { at, born, trail, item }
}

fn none(question: &Stamped<u32>, why: &str, out: &mut Outbox<Reply>) {
    let (id, why) = (question.item, why.into());
    out.put(reply(question, Reply::None { id, why }));
}

impl<A: Answerer> Engine for Asking<A> {
    type In = Query;
    type Out = Reply;

    fn run(&mut self, now: Moment, signal: Signal<Query>, out: &mut Outbox<Reply>) -> Result<Wake, Fault> {
        match signal {
            Signal::Item(unit) => self.take(now, unit, out),
            Signal::Gap(gap) => out.pass(gap),
            Signal::Timer => {}
            Signal::Flush(why) => {
                self.cancel();
                if why == Why::Seek {
                    self.pictures.clear();
                    self.fresh = 0;
                }
            }
            Signal::End => {
                self.cancel();
                out.end();
                return Ok(Wake::OnSignal);
            }
        }
        self.advance(now, out)
    }

    fn slice(&self) -> Span {
        self.answerer.slice()
    }

    fn took(&mut self, cost: Span) {
        self.answerer.took(cost);
    }
}
