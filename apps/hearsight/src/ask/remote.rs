//! The engine `remote`: any server with OpenAI's chat completions that takes pictures, such as vLLM, llama.cpp and Ollama.
//!
//! A conversation is stepped like every engine and waits for nobody: a task holds the connection, and what it hears waits in a
//! bounded queue. Ending an answer drops the task, which closes the connection, at which such servers stop working. Start at
//! [`Remote`].

mod conversation;
mod picture;
mod request;
mod sse;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearsight_core::gate::Percentile95;
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;
use reqwest::header::HeaderValue;
use reqwest::{Client, Url, redirect};
use thiserror::Error;
use tokio::runtime::Handle;

use crate::config::is_loopback;
pub use conversation::Conversation;

/// A key is one line.
const MAX_KEY: u64 = 4096;
/// While a server is thought too slow, one question in so many is asked all the same, to learn whether it still is.
const PROBE_AFTER: u32 = 4;

/// Which server, which model, and how patient to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's base, such as `http://127.0.0.1:8000/v1`: `https`, or `http` on this machine.
    pub base: Url,
    /// What the server calls its model.
    pub model: String,
    /// For servers that ask for one.
    pub key: Option<Key>,
    /// For a connection.
    pub connect: Duration,
    /// Further tries, before the first words alone.
    pub retries: u32,
    /// The first wait between them; later ones are longer.
    pub first_wait: Span,
    /// Pixels of the longer side of a picture that is sent; larger ones are scaled down.
    pub side: u32,
}

impl Config {
    /// With the patience of a live conversation.
    pub fn new(base: Url, model: String) -> Config {
        Config {
            base,
            model,
            key: None,
            connect: Duration::from_secs(3),
            retries: 2,
            first_wait: Span::from_millis(100),
            side: 1024,
        }
    }
}

/// A secret that is sent to the server and shown to nobody.
#[derive(Clone)]
pub struct Key(HeaderValue);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// Takes a key as it is given to people.
    pub fn new(text: &str) -> Result<Key, Unusable> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|c| c.is_ascii_graphic()) {
            return Err(Unusable::Key("it is not one word of ASCII".into()));
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {text}"))
            .map_err(|_| Unusable::Key("it holds odd characters".into()))?;
        header.set_sensitive(true);
        Ok(Key(header))
    }

    /// Reads a file that holds a key, alone.
    pub fn read(path: &Path) -> Result<Key, Unusable> {
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_KEY).read_to_string(&mut text))
            .map_err(|problem| Unusable::Key(format!("{}: {problem}", path.display())))?;
        Key::new(&text)
    }
}

/// Why a server can't be asked with these settings. Each message says what to do, and none quotes a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unusable {
    /// The key is none.
    #[error("the server's key can't be used: {0}; write it into its file, alone")]
    Key(String),
    /// Pictures would cross the network for all to see.
    #[error(
        "{0} is not https: pictures and what is said of them would cross the network for all to see; use https, or a tunnel that ends on this machine"
    )]
    Open(String),
    /// No client can be made.
    #[error("no connection can be prepared: {0}")]
    Client(String),
}

/// A server that answers, shared by its conversations.
#[derive(Clone)]
pub struct Remote {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    client: Client,
    runtime: Handle,
    clock: Clock,
    name: String,
    pace: Mutex<Pace>,
    too_slow: AtomicU32,
    /// Whether the server lets itself be asked for probabilities; found out by asking.
    tells_chances: AtomicBool,
}

/// How fast the server was.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    /// To the first word.
    first: Percentile95,
    /// From one token to the next.
    token: Percentile95,
}

impl Remote {
    /// Prepares the client; nothing is sent yet. Answers are heard on `runtime`.
    pub fn new(config: Config, runtime: Handle, clock: Clock) -> Result<Remote, Unusable> {
        let local = is_loopback(&config.base);
        if !(config.base.scheme() == "https" || config.base.scheme() == "http" && local) {
            return Err(Unusable::Open(
                config.base.host_str().unwrap_or("the address").to_owned(),
            ));
        }
        let mut builder = Client::builder()
            // Key and pictures are for the server that was named, not for one it points at.
            .redirect(redirect::Policy::none())
            .connect_timeout(config.connect)
            .user_agent(concat!("hearsight/", env!("CARGO_PKG_VERSION")));
        if local {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|problem| Unusable::Client(problem.to_string()))?;
        let inner = Inner {
            name: format!("remote: {}", config.model),
            config,
            client,
            runtime,
            clock,
            pace: Mutex::default(),
            too_slow: AtomicU32::new(0),
            tells_chances: AtomicBool::new(true),
        };
        Ok(Remote { inner: Arc::new(inner) })
    }

    /// A conversation of its own.
    pub fn conversation(&self) -> Conversation {
        Conversation::new(self.clone())
    }
}

impl Inner {
    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many tokens an answer may have that is to end by `deadline`: ⌊(deadline − first token) ÷ time per token⌋, and none
    /// that the server is known to be too slow for. What is not learnt yet does not limit.
    fn tokens_in_time(&self, now: Moment, deadline: Moment, most: u32) -> u32 {
        let pace = *self.pace();
        let left = deadline - now - pace.first.get().unwrap_or(Span::ZERO);
        let tokens = match pace.token.get() {
            _ if left <= Span::ZERO => 0,
            Some(token) => u32::try_from(left.nanos() / token.nanos().max(1)).unwrap_or(u32::MAX),
            None => most,
        };
        let tokens = tokens.min(most);
        if tokens > 0 {
            self.too_slow.store(0, Relaxed);
            return tokens;
        }
        // Counted across conversations: whether the server is slow does not depend on who asks.
        let refused = self.too_slow.fetch_add(1, Relaxed) + 1;
        let probe = refused.is_multiple_of(PROBE_AFTER) && deadline > now;
        if probe { most.min(1) } else { 0 }
    }
}
