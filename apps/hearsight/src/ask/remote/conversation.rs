//! One viewer's conversation with a server, in steps that wait for nobody.

use std::sync::Arc;

use hearsight_core::media::Certainty;
use hearsight_core::stage::Fault;
use hearsight_core::time::{Moment, Span};
use hearsight_models::vlm::{Answer, Answerer, Ask, Ended, Refused, Seen, Spent, Step};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::AbortHandle;

use super::picture::data_uri;
use super::request::{Memory, PICTURES, Turn};
use super::stream::{Asked, Delta, Finish, News, hear};
use super::{Inner, Remote};

/// Chunks that may wait to be stepped; a server that is further ahead is not read from.
const WAITING: usize = 64;
/// How often to look whether something was said: half of what a person notices.
const LOOK: Span = Span::from_millis(20);
/// Coding one picture of the largest size, or passing on what waits.
const SLICE: Span = Span::from_millis(60);
/// A question, in bytes.
const MAX_QUESTION: usize = 4000;

/// A conversation with a server. Ending an answer closes its connection.
pub struct Conversation {
    remote: Remote,
    memory: Memory,
    state: State,
}

enum State {
    Idle,
    /// Pictures are coded, one in a step.
    Preparing(Box<Question>),
    /// The server was asked.
    Hearing(Box<Question>, Hearing),
    /// All of its words were passed on; the next step tells that they were all.
    Said(Box<Question>, Hearing, Ended),
}

struct Question {
    ask: Ask,
    asked: Moment,
    tokens: u32,
    /// Coded so far.
    pictures: Vec<Arc<str>>,
    /// The step before coded a picture, whose cost is yet to be told.
    coding: bool,
    spent: Spent,
}

/// What was heard so far.
struct Hearing {
    news: Receiver<News>,
    _task: Task,
    sent: Moment,
    last: Option<Moment>,
    /// All of the text, and how much of it was passed on.
    text: String,
    passed: usize,
    logprobs: Vec<f32>,
    chunks: u32,
    usage: Option<(u32, u32)>,
    finish: Option<Finish>,
}

/// Ends with whoever holds it.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Conversation {
    pub(super) fn new(remote: Remote) -> Conversation {
        Conversation {
            remote,
            memory: Memory::default(),
            state: State::Idle,
        }
    }

    fn inner(&self) -> &Arc<Inner> {
        &self.remote.inner
    }

    /// Codes the next picture, or sends the request once all are coded.
    fn prepare(&mut self, now: Moment, mut question: Box<Question>) -> Result<Step, Fault> {
        let next = question.ask.pictures.get(question.pictures.len());
        if let Some(picture) = next {
            let uri = data_uri(&picture.item, self.inner().config.side).map_err(|why| Fault::Reset(why.to_string()))?;
            question.pictures.push(uri);
            question.coding = true;
            self.state = State::Preparing(question);
            return Ok(on(None, now));
        }
        let (tell, news) = channel(WAITING);
        let asked = Asked {
            memory: self.memory.clone(),
            turn: question.turn(""),
            tokens: question.tokens,
            deadline: question.ask.deadline,
        };
        let task = self.inner().runtime.spawn(hear(self.inner().clone(), asked, tell));
        let hearing = Hearing {
            news,
            _task: Task(task.abort_handle()),
            sent: now,
            last: None,
            text: String::new(),
            passed: 0,
            logprobs: Vec::new(),
            chunks: 0,
            usage: None,
            finish: None,
        };
        let again = (now + LOOK).min(question.ask.deadline);
        self.state = State::Hearing(question, hearing);
        Ok(on(None, again))
    }

    /// Passes on what was said since the last step.
    fn listen(&mut self, now: Moment, mut question: Box<Question>, mut hearing: Hearing) -> Result<Step, Fault> {
        let ended = loop {
            match hearing.news.try_recv() {
                Ok(News::More(delta, at)) => hearing.take(delta, at, &mut question, self.inner()),
                Ok(News::Over) => break Some(hearing.ended()),
                Ok(News::Late) => break Some(Ended::Late),
                Ok(News::Failed(why)) => return Err(Fault::Reset(why)),
                Err(TryRecvError::Empty) if now >= question.ask.deadline => break Some(Ended::Late),
                Err(TryRecvError::Empty) => break None,
                // The task died without a word: a panic in it.
                Err(TryRecvError::Disconnected) => return Err(Fault::Reset("the answer was lost".into())),
            }
        };
        let text = hearing.whole_words(ended.is_some());
        match (ended, text) {
            (Some(ended), Some(text)) => {
                self.state = State::Said(question, hearing, ended);
                Ok(on(Some(text), now))
            }
            (Some(ended), None) => Ok(self.close(&question, hearing, ended)),
            (None, text) => {
                let again = (now + LOOK).min(question.ask.deadline);
                self.state = State::Hearing(question, hearing);
                Ok(on(text, again))
            }
        }
    }

    /// The answer, which the conversation remembers if something was said.
    fn close(&mut self, question: &Question, hearing: Hearing, ended: Ended) -> Step {
        if !hearing.text.is_empty() {
            self.memory.keep(question.turn(&hearing.text));
        }
        let (prompt, said) = hearing.usage.unwrap_or((0, hearing.chunks));
        let pictures = question.ask.pictures.iter();
        Step::Over(Box::new(Answer {
            certainty: hearing.certainty(),
            separability: None,
            readability: None,
            evidence: Vec::new(),
            seen: pictures
                .map(|picture| Seen {
                    at: picture.at,
                    born: picture.born,
                })
                .collect(),
            spent: Spent {
                prompt_tokens: prompt,
                answer_tokens: said,
                inference: hearing.last.map_or(Span::ZERO, |last| last - hearing.sent),
                ..question.spent
            },
            engine: self.inner().name.as_str().into(),
            text: hearing.text.into(),
            ended,
        }))
    }
}

impl Question {
    fn turn(&self, answer: &str) -> Turn {
        Turn {
            pictures: self.pictures.clone(),
            question: self.ask.question.clone(),
            answer: answer.into(),
        }
    }
}

impl Hearing {
    fn take(&mut self, delta: Delta, at: Moment, question: &mut Question, inner: &Inner) {
        if !delta.text.is_empty() {
            self.chunks += 1;
            let mut pace = inner.pace();
            match self.last {
                None => {
                    pace.first.learn(at - self.sent);
                    question.spent.first_text = Some(at - question.asked);
                }
                // A chunk may hold several tokens; whoever counts it as one is on the safe side.
                Some(last) => pace.token.learn(at - last),
            }
            self.last = Some(at);
        }
        // What a terminal or a page might obey is left out.
        self.text
            .extend(delta.text.chars().filter(|c| !c.is_control() || *c == '\n'));
        self.logprobs.extend(delta.logprobs);
        self.usage = delta.usage.or(self.usage);
        self.finish = delta.finish.or(self.finish);
    }

    /// What was not passed on yet, up to the last word that is surely whole, or all of it at the end.
    fn whole_words(&mut self, all: bool) -> Option<Arc<str>> {
        let rest = &self.text[self.passed..];
        let end = match all {
            true => rest.len(),
            false => rest
                .char_indices()
                .rfind(|(_, c)| c.is_whitespace())
                .map_or(0, |(at, _)| at),
        };
        if end == 0 {
            return None;
        }
        self.passed += end;
        Some(rest[..end].into())
    }

    fn ended(&self) -> Ended {
        match self.finish {
            Some(Finish::Length) => Ended::Long,
            _ => Ended::Said,
        }
    }

    /// The geometric mean of its tokens' probabilities; not calibrated. None where the server does not tell them.
    fn certainty(&self) -> Option<Certainty> {
        if self.logprobs.is_empty() {
            return None;
        }
        let mean = self.logprobs.iter().sum::<f32>() / self.logprobs.len() as f32;
        Some(Certainty::new(mean.exp()))
    }
}

fn on(text: Option<Arc<str>>, again: Moment) -> Step {
    Step::On { text, again }
}

impl Answerer for Conversation {
    fn name(&self) -> &str {
        &self.remote.inner.name
    }

    fn ask(&mut self, now: Moment, ask: Ask) -> Result<(), Refused> {
        self.cancel();
        if ask.question.trim().is_empty() {
            return Err(Refused::Empty);
        }
        let (length, count) = (ask.question.len(), ask.pictures.len());
        if length > MAX_QUESTION {
            return Err(Refused::LongQuestion {
                length,
                most: MAX_QUESTION,
            });
        }
        if count > PICTURES {
            return Err(Refused::ManyPictures { count, most: PICTURES });
        }
        let tokens = self.inner().tokens_in_time(now, ask.deadline, ask.effort.tokens);
        if tokens == 0 {
            return Err(Refused::Late);
        }
        self.state = State::Preparing(Box::new(Question {
            ask,
            asked: now,
            tokens,
            pictures: Vec::new(),
            coding: false,
            spent: Spent::default(),
        }));
        Ok(())
    }

    fn step(&mut self, now: Moment) -> Result<Step, Fault> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => Ok(Step::Idle),
            State::Preparing(question) => self.prepare(now, question),
            State::Hearing(question, hearing) => self.listen(now, question, hearing),
            State::Said(question, hearing, ended) => Ok(self.close(&question, hearing, ended)),
        }
    }

    fn took(&mut self, cost: Span) {
        if let State::Preparing(question) = &mut self.state
            && std::mem::take(&mut question.coding)
        {
            question.spent.prepare = question.spent.prepare.saturating_add(cost);
        }
    }

    fn cancel(&mut self) {
        self.state = State::Idle;
    }

    fn forget(&mut self) {
        self.cancel();
        self.memory.forget();
    }

    fn slice(&self) -> Span {
        SLICE
    }

    fn first_text_in(&self, _: &Ask) -> Option<Span> {
        self.inner().pace().first.get()
    }
}
