//! The events on the data channel, as JSON. One schema for the server, our clients and the tests: the vectors in
//! `apps/hearsight/wire/vectors.json` are read by the Rust and by the TypeScript tests.
//!
//! Integers are microseconds. `at_us` is media time on the session's shared timeline; `t0_us` is the client's clock
//! (unix time); every other moment is the server's clock. Both sides ignore types and fields that they don't know.

pub mod allocation;
pub mod answer;
pub mod notice;
mod reading;

use serde::{Deserialize, Serialize};

use allocation::Mode;
pub use reading::{ReadLine, Reading};

/// The version of this schema, sent in [`ToClient::Session`].
pub const VERSION: u32 = 1;
/// The longest message that is accepted, in bytes.
pub const MAX_MESSAGE: usize = 16 * 1024;
/// The label of the data channel.
pub const CHANNEL: &str = "hearsight";

/// What the server says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
#[allow(
    missing_docs,
    reason = "the fields are documented by the schema above and their units by their names"
)]
pub enum ToClient {
    /// First message after the channel opens.
    #[serde(rename = "session")]
    Session {
        version: u32,
        session: String,
        recogniser: Recogniser,
        /// Who answers questions about the picture; null where nobody does.
        answerer: Option<Answerer>,
    },
    /// Speech began.
    #[serde(rename = "speech.started")]
    SpeechStarted { id: u64, at_us: i64 },
    /// Speech paused or ended.
    #[serde(rename = "speech.stopped")]
    SpeechStopped { id: u64, at_us: i64 },
    /// It ended at `at_us`: so much silence has followed that it will hardly go on.
    #[serde(rename = "speech.ended")]
    SpeechEnded { at_us: i64 },
    /// Provisional words of a segment; replaces the earlier of the same segment.
    #[serde(rename = "words.partial")]
    WordsPartial {
        id: u64,
        segment: u32,
        at_us: i64,
        words: Vec<Word>,
    },
    /// The settled words of a segment.
    #[serde(rename = "words.final")]
    WordsFinal {
        id: u64,
        segment: u32,
        at_us: i64,
        words: Vec<Word>,
    },
    /// What the decoder sees, once a second and at once on a cut.
    #[serde(rename = "picture.stats")]
    PictureStats(Picture),
    /// What the picture says.
    #[serde(rename = "reading")]
    Reading(Reading),
    /// A question about the picture was taken.
    #[serde(rename = "question")]
    Question(answer::Question),
    /// More of an answer.
    #[serde(rename = "answer.text")]
    AnswerText(answer::Piece),
    /// An answer is complete.
    #[serde(rename = "answer")]
    Answer(answer::Answer),
    /// A question has no answer, or no more of it.
    #[serde(rename = "answer.none")]
    AnswerNone(answer::Unanswered),
    /// How the pictures of the smooth view came about, once a second while it is watched.
    #[serde(rename = "view")]
    View(View),
    /// What to spend the uplink's bits on.
    #[serde(rename = "allocation")]
    Allocation(allocation::Allocation),
    /// Where the time of event `of` went, on the server.
    #[serde(rename = "latency")]
    Latency {
        of: u64,
        outlet: String,
        born_us: i64,
        measured: bool,
        segments: Vec<Segment>,
        sent_us: i64,
    },
    /// Units are missing here.
    #[serde(rename = "lost")]
    Lost {
        stage: String,
        why: String,
        count: u32,
        at_us: Option<i64>,
    },
    /// Answer to [`ToServer::Clock`].
    #[serde(rename = "clock")]
    Clock { t0_us: i64, t1_us: i64 },
    /// Answer to [`ToServer::Flush`].
    #[serde(rename = "flushed")]
    Flushed { why: Why, at_us: i64 },
    /// The client's message can't be taken, or the session can't go on.
    #[serde(rename = "error")]
    Error { code: String, message: String },
    /// A type of a later version.
    #[serde(other, rename = "unknown")]
    Unknown,
}

impl ToClient {
    /// The number by which latency is told and `shown` is answered, where it has one.
    pub fn id(&self) -> Option<u64> {
        match self {
            ToClient::SpeechStarted { id, .. }
            | ToClient::SpeechStopped { id, .. }
            | ToClient::WordsPartial { id, .. }
            | ToClient::WordsFinal { id, .. } => Some(*id),
            ToClient::PictureStats(picture) => Some(picture.id),
            ToClient::Reading(reading) => Some(reading.id),
            ToClient::AnswerText(piece) => piece.id,
            _ => None,
        }
    }

    /// The `type` of the message.
    pub fn name(&self) -> &'static str {
        match self {
            ToClient::Session { .. } => "session",
            ToClient::SpeechStarted { .. } => "speech.started",
            ToClient::SpeechStopped { .. } => "speech.stopped",
            ToClient::SpeechEnded { .. } => "speech.ended",
            ToClient::WordsPartial { .. } => "words.partial",
            ToClient::WordsFinal { .. } => "words.final",
            ToClient::PictureStats(_) => "picture.stats",
            ToClient::Reading(_) => "reading",
            ToClient::Question(_) => "question",
            ToClient::AnswerText(_) => "answer.text",
            ToClient::Answer(_) => "answer",
            ToClient::AnswerNone(_) => "answer.none",
            ToClient::View(_) => "view",
            ToClient::Allocation(_) => "allocation",
            ToClient::Latency { .. } => "latency",
            ToClient::Lost { .. } => "lost",
            ToClient::Clock { .. } => "clock",
            ToClient::Flushed { .. } => "flushed",
            ToClient::Error { .. } => "error",
            ToClient::Unknown => "unknown",
        }
    }
}

/// What a client says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
#[allow(
    missing_docs,
    reason = "the fields are documented by the schema above and their units by their names"
)]
pub enum ToServer {
    /// What time is it?
    #[serde(rename = "clock")]
    Clock { t0_us: i64 },
    /// The server's clock minus the client's, and half the best round trip.
    #[serde(rename = "clock.offset")]
    ClockOffset { offset_us: i64, error_us: i64 },
    /// Event `id` reached the client and the person.
    #[serde(rename = "shown")]
    Shown { id: u64, received_us: i64, shown_us: i64 },
    /// What does the picture show? `id` is the client's own number for the question.
    #[serde(rename = "ask")]
    Ask { id: u32, text: String },
    /// The answer to the client's question `id` is not wanted any more.
    #[serde(rename = "ask.cancel")]
    AskCancel { id: u32 },
    /// Forget what is under way.
    #[serde(rename = "flush")]
    Flush { why: Why },
    /// How much of the allocation of bits the client wants, whatever the server's settings say, and the most kilobits a second that its
    /// uplink may take; without the latter, what the settings say.
    #[serde(rename = "allocate")]
    Allocate {
        mode: Mode,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        most_kbps: Option<u32>,
    },
    /// A type of a later version.
    #[serde(other, rename = "unknown")]
    Unknown,
}

/// The recogniser at work, and what to expect of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct Recogniser {
    pub name: String,
    pub note: String,
}

/// Who answers questions about the picture, and what to expect of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct Answerer {
    pub name: String,
    pub note: String,
}

/// One word with its times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct Word {
    pub text: String,
    pub start_us: i64,
    pub end_us: i64,
    pub stability: f32,
    pub certainty: Option<f32>,
}

/// Figures of the decoded picture. `vectors` is the mean count per picture, `motion` the mean length in pixels,
/// `brightness` the mean luma, 0..255.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct Picture {
    pub id: u64,
    pub at_us: i64,
    pub width: u32,
    pub height: u32,
    pub fps: f32,
    pub kbps: f32,
    pub decoded: u64,
    pub keyframes: u64,
    pub vectors: f32,
    pub motion: f32,
    pub brightness: f32,
    pub cut: bool,
}

/// How the pictures of the smooth view came about, since it was first watched: shown as they were received, made between
/// two, extrapolated from the last, and the last one held. `rung` is the best way of making pictures that the machine has
/// time for, and `reason` says why it is not `full`, where it is the machine. The rates are pictures per second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct View {
    pub received: u64,
    pub made: u64,
    pub extrapolated: u64,
    pub held: u64,
    pub rung: Rung,
    pub fps_in: f32,
    pub fps_out: f32,
    pub reason: Option<Reason>,
}

/// How pictures between others are made, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "plain names")]
pub enum Rung {
    Full,
    Vectors,
    Blend,
    Hold,
}

/// Why pictures are made less well than they could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The machine has none, or none that is faster than its processor.
    #[serde(rename = "no-gpu")]
    NoGpu,
    /// It has too much else to do.
    #[serde(rename = "overload")]
    Overload,
}

/// One latency segment; `us` is null where it can't be known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct Segment {
    pub name: String,
    pub us: Option<i64>,
}

/// Why a session is flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "plain names")]
pub enum Why {
    Seek,
    BargeIn,
}

/// Four decimals are a fifth of a pixel of the largest picture.
fn short(share: f32) -> f32 {
    (share * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        direction: String,
        json: Value,
    }

    fn same<T: Serialize + for<'de> Deserialize<'de>>(json: &Value) -> Result<bool, serde_json::Error> {
        let message: T = serde_json::from_value(json.clone())?;
        Ok(serde_json::to_value(&message)? == *json)
    }

    #[test]
    fn the_vectors_that_the_typescript_client_reads_hold_here_too() {
        let vectors: Vec<Vector> = serde_json::from_str(include_str!("../wire/vectors.json")).unwrap();
        assert!(vectors.len() > 20);
        for Vector { name, direction, json } in vectors {
            match direction.as_str() {
                "to_client" => {
                    assert!(same::<ToClient>(&json).unwrap(), "{name} changes on its way");
                    let message: ToClient = serde_json::from_value(json.clone()).unwrap();
                    assert_eq!(json["type"], message.name());
                }
                "to_server" => assert!(same::<ToServer>(&json).unwrap(), "{name} changes on its way"),
                "malformed" => {
                    assert!(same::<ToClient>(&json).is_err(), "{name} is taken by clients");
                    assert!(same::<ToServer>(&json).is_err(), "{name} is taken by the server");
                }
                other => panic!("{name}: no such direction: {other}"),
            }
        }
    }

    #[test]
    fn types_of_a_later_version_are_passed_over() {
        let later = r#"{"type":"scene.read","id":1,"lines":[]}"#;
        assert_eq!(serde_json::from_str::<ToClient>(later).unwrap(), ToClient::Unknown);
        assert_eq!(serde_json::from_str::<ToServer>(later).unwrap(), ToServer::Unknown);
    }
}
