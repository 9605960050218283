//! Where questions about the picture are handed in, from the data channel and over HTTP, and who hears what is said to each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearsight_core::graph::Source;
use hearsight_core::stage::Signal;
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment};
use hearsight_live::host;
use hearsight_models::vlm::turn::{Query, Turn, Unanswered};
use tokio::sync::mpsc;

use super::Speaker;
use crate::wire::ToClient;
use crate::wire::answer::{self, By, MAX_QUESTION};

/// Questions of one session that may be open at a time: more than the engine lets wait, so that it is the one to refuse.
const OPEN: usize = 8;
/// Numbers of the server's own: a client's are below.
const OWN: u64 = 1 << 32;
/// Events that may wait for whoever asked over HTTP; one further behind is cut off.
const WAITING: usize = 256;

/// What is said to a question that came over HTTP.
#[derive(Clone, Debug)]
pub struct Said {
    /// The `type` of the event.
    pub name: &'static str,
    /// As the data channel carries it.
    pub json: Arc<str>,
}

/// The open questions of a session.
#[derive(Default)]
pub(super) struct Book(Mutex<State>);

#[derive(Default)]
struct State {
    taken: u64,
    open: BTreeMap<u64, Open>,
    /// The engine is gone.
    over: bool,
}

struct Open {
    /// The number that its asker knows it by.
    ask: u64,
    question: Arc<str>,
    by: By,
    /// Who asked over HTTP.
    listener: Option<mpsc::Sender<Said>>,
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a question under a number of its own, which is answered; its asker knows it by `ask`, or by that.
    fn open(
        &self,
        ask: Option<u64>,
        question: &Arc<str>,
        listener: Option<mpsc::Sender<Said>>,
    ) -> Result<u64, Unanswered> {
        let mut state = self.lock();
        if state.over {
            return Err(Unanswered::Failed);
        }
        if state.open.len() >= OPEN {
            return Err(Unanswered::Crowded);
        }
        let number = OWN + state.taken;
        state.taken += 1;
        let open = Open {
            ask: ask.unwrap_or(number),
            question: question.clone(),
            by: if listener.is_some() { By::Http } else { By::Channel },
            listener,
        };
        state.open.insert(number, open);
        Ok(number)
    }

    /// The numbers of the questions that a client knows by `ask`.
    fn known_by(&self, ask: u64) -> Vec<u64> {
        let state = self.lock();
        let meant = state.open.iter().filter(|(_, open)| open.ask == ask);
        meant.map(|(number, _)| *number).collect()
    }
}

impl Speaker {
    /// What a session's questions came to: said to the client, and to whoever asked over HTTP.
    pub(super) fn turn(&self, now: Moment, signal: Signal<Turn>) {
        match signal {
            Signal::Item(unit) => self.take_turn(now, &unit),
            Signal::End => {
                self.book().lock().over = true;
                self.close_questions(Unanswered::Failed, "The session is over.");
            }
            // What was lost of an answer is told with why there is none.
            Signal::Gap(_) | Signal::Flush(_) | Signal::Timer => {}
        }
    }

    fn take_turn(&self, now: Moment, unit: &Stamped<Turn>) {
        match &unit.item {
            Turn::Ask { id, question, .. } => {
                self.spend(|spender| {
                    spender.asked(now, question);
                    None
                });
                self.put(*id, question);
            }
            Turn::First { id, text } => {
                let Some((ask, _)) = self.asked(*id) else { return };
                let number = self.number_latency(unit);
                let text = answer::fitting(text).to_owned();
                let id_of_piece = Some(number);
                self.answer_with(
                    *id,
                    &ToClient::AnswerText(answer::Piece {
                        id: id_of_piece,
                        ask,
                        text,
                    }),
                );
                self.tell_latency(number, unit);
            }
            Turn::More { id, text } => {
                let Some((ask, _)) = self.asked(*id) else { return };
                let text = answer::fitting(text).to_owned();
                self.answer_with(*id, &ToClient::AnswerText(answer::Piece { id: None, ask, text }));
            }
            Turn::Answer { id, answer, still } => {
                self.spend(|spender| spender.answered(now, answer));
                let Some((ask, question)) = self.asked(*id) else { return };
                let told = answer::Answer::from(answer, still, ask, &question, unit.born, now);
                self.answer_with(*id, &ToClient::Answer(told));
                self.book().lock().open.remove(id);
            }
            Turn::None { id, why, words } => self.refuse(*id, *why, words),
            Turn::Cancel { .. } => {}
        }
    }

    /// A question reached the engine: one that was said is heard of only now.
    fn put(&self, number: u64, question: &Arc<str>) {
        let event = {
            let mut state = self.book().lock();
            // Without room for it, its answer is nobody's.
            if !state.open.contains_key(&number) && state.open.len() >= OPEN {
                return;
            }
            let open = state.open.entry(number).or_insert_with(|| Open {
                ask: number,
                question: question.clone(),
                by: By::Voice,
                listener: None,
            });
            ToClient::Question(answer::Question {
                ask: open.ask,
                by: open.by,
                text: answer::fitting(&open.question).to_owned(),
            })
        };
        self.answer_with(number, &event);
    }

    fn asked(&self, number: u64) -> Option<(u64, Arc<str>)> {
        let state = self.book().lock();
        let open = state.open.get(&number)?;
        Some((open.ask, open.question.clone()))
    }

    fn refuse(&self, number: u64, why: Unanswered, words: &str) {
        let Some((ask, question)) = self.asked(number) else {
            return;
        };
        self.answer_with(number, &unanswered(ask, &question, why.name(), words));
        self.book().lock().open.remove(&number);
    }

    fn close_questions(&self, why: Unanswered, words: &str) {
        let open: Vec<u64> = self.book().lock().open.keys().copied().collect();
        open.into_iter().for_each(|number| self.refuse(number, why, words));
    }

    /// Says an event about a question to the client, and to whoever asked it.
    fn answer_with(&self, number: u64, event: &ToClient) {
        self.say(event);
        let mut state = self.book().lock();
        let Some(open) = state.open.get_mut(&number) else {
            return;
        };
        let Some(listener) = &open.listener else { return };
        let json = serde_json::to_string(event).unwrap_or_default().into();
        let name = event.name();
        if listener.try_send(Said { name, json }).is_err() {
            open.listener = None;
        }
    }
}

fn unanswered(ask: u64, question: &str, why: &str, message: &str) -> ToClient {
    ToClient::AnswerNone(answer::Unanswered {
        ask,
        question: question.to_owned(),
        why: why.to_owned(),
        message: answer::fitting(message).to_owned(),
    })
}

/// Hands questions in.
pub(super) struct Desk {
    pub(super) session: Arc<host::Session>,
    pub(super) speaker: Arc<Speaker>,
    /// None where nobody answers.
    pub(super) questions: Option<Source<Query>>,
    pub(super) clock: hearsight_live::clock::Clock,
}

impl Desk {
    /// A client asks, and knows its question by `ask`.
    pub(super) fn ask(&self, now: Moment, ask: u32, text: &str) {
        let ask = u64::from(ask);
        if let Err((why, words)) = self.hand_in(now, Some(ask), text, None) {
            let question = answer::fitting(text);
            self.speaker.say(&unanswered(ask, question, why, &words));
        }
    }

    /// Somebody asks over HTTP.
    pub(super) fn ask_over_http(&self, text: &str) -> Result<mpsc::Receiver<Said>, (&'static str, String)> {
        let (listener, said) = mpsc::channel(WAITING);
        self.hand_in(self.clock.now(), None, text, Some(listener))?;
        Ok(said)
    }

    fn hand_in(
        &self,
        now: Moment,
        ask: Option<u64>,
        text: &str,
        listener: Option<mpsc::Sender<Said>>,
    ) -> Result<(), (&'static str, String)> {
        let Some(door) = &self.questions else {
            return Err(("no_engine", NOBODY.to_owned()));
        };
        let question: Arc<str> = text.trim().into();
        if question.is_empty() || question.len() > MAX_QUESTION {
            let words = format!("A question has 1 to {MAX_QUESTION} bytes.");
            return Err((Unanswered::Unfit.name(), words));
        }
        let id = self.speaker.book().open(ask, &question, listener).map_err(|why| {
            let words = match why {
                Unanswered::Crowded => "Too many questions are open: wait for an answer, or take one back.",
                _ => "The engine has stopped: connect again.",
            };
            (why.name(), words.to_owned())
        })?;
        let text = question;
        let unit = Stamped::new(MediaTime::ZERO, now, Query::Question { id, text });
        self.session.push(door, Signal::Item(unit));
        Ok(())
    }

    /// A client takes its question back.
    pub(super) fn cancel(&self, now: Moment, ask: u32) {
        let Some(door) = &self.questions else { return };
        for id in self.speaker.book().known_by(u64::from(ask)) {
            let unit = Stamped::new(MediaTime::ZERO, now, Query::Cancel { id });
            self.session.push(door, Signal::Item(unit));
        }
    }

    /// What was under way was flushed, and with it questions that nobody may have heard of yet.
    pub(super) fn flushed(&self) {
        self.speaker
            .close_questions(Unanswered::Cancelled, "What was under way was flushed.");
    }

    /// No further question comes.
    pub(super) fn close(&self) {
        if let Some(door) = &self.questions {
            self.session.push(door, Signal::End);
        }
    }
}

/// What is said where there is no engine.
pub const NOBODY: &str = "Nobody answers questions about the picture on this server: its operator can choose who does with the setting \
                          ask.engine (docs/questions.md).";

#[cfg(test)]
mod tests;
