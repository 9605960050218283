//! A small server with OpenAI's chat completions, streaming: what answers questions about pictures where a test needs an engine of
//! another author's making.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

/// How long a client may take for one request.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest request.
const MOST: u64 = 16 << 20;

/// Answers every request with the same words, one in an event.
pub struct Chat {
    address: SocketAddr,
    requests: Receiver<Value>,
    thread: Option<JoinHandle<()>>,
}

impl Chat {
    /// Starts it on a free port of the loopback interface.
    pub fn start(words: &'static [&'static str]) -> std::io::Result<Chat> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let (tell, requests) = sync_channel(64);
        let thread = Builder::new().name("chat".into()).spawn(move || {
            // The first connection that asks for nothing is its owner's, who ends it.
            while listener
                .accept()
                .is_ok_and(|(connection, _)| answer(connection, words, &tell).is_ok())
            {}
        })?;
        Ok(Chat {
            address,
            requests,
            thread: Some(thread),
        })
    }

    /// The base of its API.
    pub fn base(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The bodies of the requests that came so far.
    pub fn requests(&self) -> Vec<Value> {
        self.requests.try_iter().collect()
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(mut connection: TcpStream, words: &[&str], tell: &SyncSender<Value>) -> std::io::Result<()> {
    connection.set_read_timeout(Some(PATIENCE))?;
    let mut request = BufReader::new(connection.try_clone()?.take(MOST));
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if request.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some((_, value)) = line
            .split_once(':')
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    request.read_exact(&mut body)?;
    let _ = tell.try_send(serde_json::from_slice(&body).unwrap_or_default());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    connection.write_all(head.as_bytes())?;
    let chunk = |choice: Value| {
        format!(
            "data: {}\n\n",
            json!({ "object": "chat.completion.chunk", "choices": [choice] })
        )
    };
    for word in words {
        let tokens = json!([{ "token": word, "logprob": -0.25 }]);
        let choice = json!({ "index": 0, "delta": { "content": word }, "logprobs": { "content": tokens } });
        connection.write_all(chunk(choice).as_bytes())?;
        connection.flush()?;
    }
    let last = json!({ "index": 0, "delta": {}, "finish_reason": "stop" });
    connection.write_all((chunk(last) + "data: [DONE]\n\n").as_bytes())
}
