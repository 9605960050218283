//! What operators set: their own listener, how the server ends, and who is told of events.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What operators see, and how the server ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Operate {
    /// The operators' HTTP server.
    pub listen: Option<SocketAddr>,
    /// How long running sessions get when the server is asked to stop.
    pub drain: Duration,
}

/// Who may read events over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// At a time, at most.
    pub readers: usize,
    /// Where no token is asked for.
    pub without_token: Strangers,
}

/// What those may who show no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strangers {
    /// They are refused.
    Refused,
    /// They are let in.
    Welcome,
}

/// Who is told of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// `https`, or `http` on a loopback address.
    pub url: reqwest::Url,
    /// File of the secret that signs.
    pub secret: PathBuf,
    /// Names of the events, each one of [`Webhook::EVENTS`].
    pub events: Vec<String>,
}

impl Webhook {
    /// Every event that can be posted.
    pub const EVENTS: [&'static str; 6] = [
        "session.started",
        "session.ended",
        "words.final",
        "reading",
        "answer",
        "answer.none",
    ];
}
