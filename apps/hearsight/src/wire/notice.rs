//! What back ends are told besides the events of the data channel: that sessions begin and end.

use serde::Serialize;

/// A session began or ended. `session` is short, for people and for joining records: it names no resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type")]
#[allow(missing_docs, reason = "plain names, their units in them")]
pub enum Notice {
    /// An offer was accepted.
    #[serde(rename = "session.started")]
    SessionStarted {
        stream: String,
        session: String,
        user: Option<String>,
    },
    /// The session is over and its last words are out.
    #[serde(rename = "session.ended")]
    SessionEnded {
        stream: String,
        session: String,
        user: Option<String>,
        why: String,
        seconds: f64,
        units: u64,
        missing: u64,
        lost: u64,
    },
}

impl Notice {
    /// The `type` of the message.
    pub fn name(&self) -> &'static str {
        match self {
            Notice::SessionStarted { .. } => "session.started",
            Notice::SessionEnded { .. } => "session.ended",
        }
    }
}

/// What a webhook carries: the envelope that Standard Webhooks recommends. For events of the data channel `data` holds the stream, the
/// session and the event of the data channel; for a [`Notice`] it is the notice.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct Posted<'a> {
    pub r#type: &'a str,
    /// RFC 3339, UTC.
    pub timestamp: &'a str,
    pub data: serde_json::Value,
}
