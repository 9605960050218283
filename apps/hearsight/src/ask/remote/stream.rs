//! The task that holds a connection: asks, asks again if that failed before the first word, and passes on what it hears.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use hearsight_core::time::{Moment, Span};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc::Sender;

use super::Inner;
use super::request::{self, Chances, Memory, Turn};
use super::sse::{Event, Parser};
use crate::patience::Patience;

/// Bytes of a whole answer with all that comes around it; a token takes a kilobyte at most.
const MAX_STREAM: usize = 16 << 20;
/// Bytes of the words alone.
pub(super) const MAX_TEXT: usize = 32 << 10;

/// What is heard of an answer.
#[derive(Debug, PartialEq)]
pub(super) enum News {
    /// More of it.
    More(Delta, Moment),
    /// It is complete.
    Over,
    /// Its deadline came.
    Late,
    /// There will be none, or no more of it: why, in words without a secret.
    Failed(String),
}

/// One chunk of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Delta {
    pub(super) text: String,
    /// Natural logarithms of the probabilities of its tokens, where the server tells them.
    pub(super) logprobs: Vec<f32>,
    pub(super) finish: Option<Finish>,
    /// Tokens of question and answer, as the server counts them at the end.
    pub(super) usage: Option<(u32, u32)>,
}

/// Why the server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// It said what it had to say.
    Stop,
    /// As long as it may be.
    Length,
}

/// What is asked, and by when.
pub(super) struct Asked {
    pub(super) memory: Memory,
    pub(super) turn: Turn,
    pub(super) tokens: u32,
    pub(super) deadline: Moment,
}

/// Asks, and tells. Ends when the answer does, when its deadline comes, or when nobody listens any more.
pub(super) async fn hear(inner: Arc<Inner>, asked: Asked, tell: Sender<News>) {
    let left = asked.deadline - inner.clock.now();
    let heard = tokio::time::timeout(left.max(Span::ZERO).to_duration(), answer(&inner, &asked, &tell)).await;
    let last = match heard {
        Ok(Ok(())) => News::Over,
        Ok(Err(Failure::Passing(why, _) | Failure::Final(why))) => News::Failed(why),
        Err(_) => News::Late,
    };
    // Whoever stopped listening does not want to know.
    let _ = tell.send(last).await;
}

enum Failure {
    /// Trying again may help; the server says when.
    Passing(String, Option<Span>),
    Final(String),
}

async fn answer(inner: &Inner, asked: &Asked, tell: &Sender<News>) -> Result<(), Failure> {
    let mut seed = [0; 8];
    // Without randomness the waits are merely predictable.
    let _ = getrandom::fill(&mut seed);
    let config = &inner.config;
    let mut patience = Patience::beginning(config.first_wait, Some(config.retries), u64::from_ne_bytes(seed));
    let mut begun = false;
    loop {
        let failure = match request(inner, asked).await {
            Ok(response) => match listen(inner, response, tell, &mut begun).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            },
            Err(failure) => failure,
        };
        let wait = match &failure {
            // What was said can't be unsaid: nothing is begun anew after the first word.
            Failure::Passing(_, after) if !begun => patience.wait(*after),
            _ => None,
        };
        let Some(wait) = wait.filter(|wait| inner.clock.now() + *wait < asked.deadline) else {
            return Err(failure);
        };
        let until = inner.clock.instant_from_moment(inner.clock.now() + wait);
        tokio::time::sleep_until(until.into()).await;
    }
}

async fn request(inner: &Inner, asked: &Asked) -> Result<Response, Failure> {
    let config = &inner.config;
    loop {
        let chances = match inner.tells_chances.load(Relaxed) {
            true => Chances::Asked,
            false => Chances::NotAsked,
        };
        let mut url = config.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["chat", "completions"]);
        }
        let body = request::body(&config.model, &asked.memory, &asked.turn, asked.tokens, chances);
        let mut request = inner
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        if let Some(key) = &config.key {
            request = request.header(AUTHORIZATION, key.0.clone());
        }
        let response = request
            .send()
            .await
            .map_err(|problem| Failure::Passing(brief(&problem), None))?;
        match judged(&response) {
            // Servers without probabilities may refuse to be asked for them.
            Err(_) if response.status() == StatusCode::BAD_REQUEST && chances == Chances::Asked => {
                inner.tells_chances.store(false, Relaxed);
            }
            Err(failure) => {
                // It was not the probabilities that it refused.
                if response.status() == StatusCode::BAD_REQUEST {
                    inner.tells_chances.store(true, Relaxed);
                }
                return Err(failure);
            }
            Ok(()) => return Ok(response),
        }
    }
}

/// Whether an answer follows. What the server says besides is not told on: it may quote the key or the question.
fn judged(response: &Response) -> Result<(), Failure> {
    let status = response.status();
    let why = |problem: &str| format!("the server {problem}");
    match status.as_u16() {
        200 => {
            let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            match kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
                true => Ok(()),
                false => Err(Failure::Final(why(
                    "does not stream its answer; is its address that of its API, ending in /v1?",
                ))),
            }
        }
        401 | 403 => Err(Failure::Final(why("does not accept the key"))),
        404 => Err(Failure::Final(why(
            "has no such model, or no chat completions at this address",
        ))),
        400 | 413 | 415 | 422 => Err(Failure::Final(format!(
            "the server does not take the question ({status}); does its model take pictures?"
        ))),
        408 | 425 | 429 | 500..=599 => Err(Failure::Passing(
            format!("the server is busy or broken ({status})"),
            retry_after(response.headers()),
        )),
        _ => Err(Failure::Final(format!("the server answers {status}"))),
    }
}

/// Reads the stream to its end.
async fn listen(inner: &Inner, mut response: Response, tell: &Sender<News>, begun: &mut bool) -> Result<(), Failure> {
    let mut parser = Parser::default();
    let (mut bytes, mut text, mut finished) = (0, 0, false);
    loop {
        let chunk = match response.chunk().await {
            Ok(chunk) => chunk,
            // Some servers close without ceremony once all is said.
            Err(_) if finished => return Ok(()),
            Err(problem) => return Err(Failure::Passing(brief(&problem), None)),
        };
        let ended = chunk.is_none();
        let mut events = Vec::new();
        match chunk {
            Some(chunk) => {
                bytes += chunk.len();
                let pushed = parser.push(&chunk, |event| events.push(event));
                pushed.map_err(|endless| Failure::Final(format!("the server misbehaves: {endless}")))?;
            }
            None => std::mem::take(&mut parser).end(|event| events.push(event)),
        }
        for event in events {
            let delta = match read(&event)? {
                Read::Done => return Ok(()),
                Read::Delta(delta) => delta,
            };
            finished |= delta.finish.is_some();
            text += delta.text.len();
            *begun |= !delta.text.is_empty();
            if text > MAX_TEXT {
                return Err(Failure::Final("the server does not stop talking".into()));
            }
            if delta != Delta::default() && tell.send(News::More(delta, inner.clock.now())).await.is_err() {
                return Ok(());
            }
        }
        if ended && !finished {
            return Err(Failure::Passing(
                "the connection ended in the middle of the answer".into(),
                None,
            ));
        }
        if ended {
            return Ok(());
        }
        if bytes > MAX_STREAM {
            return Err(Failure::Final("the server does not stop sending".into()));
        }
    }
}

/// What an event says.
enum Read {
    Delta(Delta),
    Done,
}

fn read(event: &Event) -> Result<Read, Failure> {
    let broken = || Failure::Final("the server failed while it answered".into());
    let data = match event {
        Event::Data(data) => data.trim(),
        Event::Error => return Err(broken()),
    };
    if data == "[DONE]" {
        return Ok(Read::Done);
    }
    if data.is_empty() {
        return Ok(Read::Delta(Delta::default()));
    }
    let chunk: Value =
        serde_json::from_str(data).map_err(|_| Failure::Final("the server sends what is no chat completion".into()))?;
    if chunk.get("error").is_some_and(|error| !error.is_null()) {
        return Err(broken());
    }
    Ok(Read::Delta(delta(&chunk)))
}

/// A `chat.completion.chunk`. What is missing or of another kind counts as nothing said.
fn delta(chunk: &Value) -> Delta {
    let choice = &chunk["choices"][0];
    let finish = match choice["finish_reason"].as_str() {
        // Ollama's first versions say "" while they go on.
        None | Some("") => None,
        Some("length") => Some(Finish::Length),
        Some(_) => Some(Finish::Stop),
    };
    let logprobs = choice["logprobs"]["content"].as_array().into_iter().flatten();
    let logprobs = logprobs.filter_map(|token| token["logprob"].as_f64());
    let count = |name: &str| {
        chunk["usage"][name]
            .as_u64()
            .map(|count| u32::try_from(count).unwrap_or(u32::MAX))
    };
    Delta {
        text: choice["delta"]["content"].as_str().unwrap_or_default().to_owned(),
        logprobs: logprobs.map(|chance| chance.clamp(-100.0, 0.0) as f32).collect(),
        finish,
        usage: count("prompt_tokens").zip(count("completion_tokens")),
    }
}

/// Retry-After in seconds (RFC 9110 section 10.2.3); one that is a date counts as none.
fn retry_after(headers: &HeaderMap) -> Option<Span> {
    let seconds: u32 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Span::from_secs(i64::from(seconds)))
}

/// What went wrong, without the address.
fn brief(error: &reqwest::Error) -> String {
    if error.is_connect() {
        return "the server can't be reached".into();
    }
    match error.is_timeout() {
        true => "the server does not answer in time".into(),
        false => "the connection to the server broke".into(),
    }
}
