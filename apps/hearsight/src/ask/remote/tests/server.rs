//! A server on this machine that speaks the protocol as vLLM, llama.cpp and Ollama do, or breaks it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::watch;

/// How one request is answered.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// These events, in pieces of so many bytes, and the end.
    Stream(String, usize),
    /// These, and then the connection breaks.
    Break(String),
    /// These, and then nothing more.
    Stall(String),
    /// This, for ever.
    Endless(String),
    /// No answer at all.
    Silence,
    /// This status with a body, and after how many seconds to ask again.
    Status(u16, Option<u32>, String),
}

/// One request that came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: serde_json::Value,
}

#[derive(Clone)]
pub(super) struct Server {
    acts: Arc<Mutex<VecDeque<Act>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// How many answers are still being sent.
    open: watch::Sender<usize>,
    pub(super) base: String,
}

/// Counts an answer for as long as its connection takes it.
struct Open(watch::Sender<usize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl Server {
    pub(super) async fn start(acts: impl IntoIterator<Item = Act>) -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server {
            acts: Arc::new(Mutex::new(acts.into_iter().collect())),
            seen: Arc::default(),
            open: watch::Sender::new(0),
            base: format!("http://{}/v1", listener.local_addr().unwrap()),
        };
        let app = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        server
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// Waits until no answer is being sent, or one is.
    pub(super) async fn wait_open(&self, open: usize) {
        let mut count = self.open.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(20), count.wait_for(|count| *count == open)).await;
        waited.expect("the connection closes or opens").unwrap();
    }

    fn counted(&self, body: impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static) -> Body {
        self.open.send_modify(|open| *open += 1);
        let open = Open(self.open.clone());
        Body::from_stream(body.map(move |part| {
            let _ = &open;
            part
        }))
    }
}

async fn answer(State(server): State<Server>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    server.seen.lock().unwrap().push(Seen {
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap(),
    });
    let act = server
        .acts
        .lock()
        .unwrap()
        .pop_front()
        .expect("the test says how to answer");
    let first = |text: String| stream::iter([Ok(Bytes::from(text))]);
    let body = match act {
        Act::Stream(text, piece) => {
            let pieces: Vec<_> = text
                .as_bytes()
                .chunks(piece)
                .map(|piece| Ok(Bytes::copy_from_slice(piece)))
                .collect();
            server.counted(stream::iter(pieces))
        }
        Act::Break(text) => {
            let broken = std::io::Error::other("broken, as the test wants");
            // The words go out before the connection breaks.
            let paused = stream::once(async {
                tokio::task::yield_now().await;
                Err(broken)
            });
            server.counted(first(text).chain(paused))
        }
        Act::Stall(text) => server.counted(first(text).chain(stream::pending())),
        Act::Endless(text) => server.counted(stream::repeat_with(move || Ok(Bytes::from(text.clone())))),
        Act::Silence => std::future::pending().await,
        Act::Status(status, after, text) => {
            let mut answer = (StatusCode::from_u16(status).unwrap(), text).into_response();
            if let Some(after) = after {
                answer.headers_mut().insert(header::RETRY_AFTER, after.into());
            }
            return answer;
        }
    };
    ([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")], body).into_response()
}

/// As vLLM streams, with probabilities: role first, a list of tokens with each piece, usage in a chunk without choices.
pub(super) fn vllm(words: &[(&str, f32)], finish: &str) -> String {
    let mut text = chunk(
        r#"{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}"#,
        "",
    );
    for (word, logprob) in words {
        let word = serde_json::to_string(word).unwrap();
        let token = format!(r#"{{"token":{word},"logprob":{logprob},"bytes":[32],"top_logprobs":[]}}"#);
        text += &chunk(
            &format!(
                r#"{{"index":0,"delta":{{"content":{word}}},"logprobs":{{"content":[{token}]}},"finish_reason":null}}"#
            ),
            "",
        );
    }
    let last = format!(
        r#"{{"index":0,"delta":{{"content":""}},"logprobs":null,"finish_reason":"{finish}","stop_reason":null}}"#
    );
    text += &chunk(&last, "");
    let said = words.len();
    text += &chunk(
        "",
        &format!(r#","usage":{{"prompt_tokens":812,"total_tokens":900,"completion_tokens":{said}}}"#),
    );
    text + "data: [DONE]\n\n"
}

/// As llama.cpp streams: `content` is null at first, timings at the end, and no blank line after the last event.
pub(super) fn llama_cpp(words: &[&str]) -> String {
    let mut text = chunk(
        r#"{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}"#,
        "",
    );
    for word in words {
        let word = serde_json::to_string(word).unwrap();
        text += &chunk(
            &format!(r#"{{"finish_reason":null,"index":0,"delta":{{"content":{word}}}}}"#),
            "",
        );
    }
    let timings = r#","usage":{"completion_tokens":3,"prompt_tokens":43,"total_tokens":46},"timings":{"prompt_n":43,"prompt_ms":246.082}"#;
    text += &chunk(r#"{"finish_reason":"stop","index":0,"delta":{}}"#, timings);
    text + "data: [DONE]"
}

/// As Ollama streams: the role with every piece, and an empty reason while it goes on, in its first versions.
pub(super) fn ollama(words: &[&str]) -> String {
    let mut text = String::new();
    for word in words {
        let word = serde_json::to_string(word).unwrap();
        let choice = format!(r#"{{"index":0,"delta":{{"role":"assistant","content":{word}}},"finish_reason":""}}"#);
        text += &chunk(&choice, r#","system_fingerprint":"fp_ollama""#);
    }
    let last = r#"{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}"#;
    text + &chunk(last, "") + "data: [DONE]\n\n"
}

fn chunk(choice: &str, more: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-693\",\"object\":\"chat.completion.chunk\",\"created\":1715427619,\"model\":\"m\",\"choices\":[{choice}]{more}}}\n\n"
    )
}
