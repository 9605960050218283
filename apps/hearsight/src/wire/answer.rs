//! Questions about the picture and their answers, as the data channel carries them.

use hearsight_core::time::{Moment, Span};
use hearsight_models::vlm;
use serde::{Deserialize, Serialize};

/// The longest question, in bytes.
pub const MAX_QUESTION: usize = 2000;
/// The longest text of one message, in bytes: quotes in it are doubled, and there is room for what is around it.
const MAX_TEXT: usize = 6000;

/// A question was taken. Numbers up to 4294967295 are the client's own, larger ones the server's: for questions that were said, or
/// that came over HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct Question {
    pub ask: u64,
    pub by: By,
    pub text: String,
}

/// How a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "plain names")]
pub enum By {
    Channel,
    Voice,
    Http,
}

/// More of an answer. `id` numbers its first piece, which has a latency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct Piece {
    pub id: Option<u64>,
    pub ask: u64,
    pub text: String,
}

/// A whole answer. `ended` is `late` where its deadline cut it short. `certainty` is the chance that it is right, `readability` (0..1) how
/// clearly what it looked at can be seen; both null where the engine can't tell. `took_us` is the time from the question to the end of the answer, `first_us` to its first words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct Answer {
    pub ask: u64,
    pub question: String,
    pub text: String,
    pub ended: Ended,
    pub certainty: Option<f32>,
    pub readability: Option<f32>,
    pub engine: String,
    pub evidence: Vec<Evidence>,
    pub pictures: Vec<Looked>,
    pub first_us: Option<i64>,
    pub took_us: i64,
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "plain names")]
pub enum Ended {
    Said,
    Long,
    Late,
}

/// A place that an answer rests on: in which of its `pictures`, its corners as shares of width and height, and its share of all the
/// looking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct Evidence {
    pub picture: u32,
    pub region: [[f32; 2]; 4],
    pub share: f32,
}

/// A picture that was looked at: when it was shown, how old it is at the end of the answer, and how long ago it was last seen to be still
/// so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct Looked {
    pub at_us: i64,
    pub age_us: i64,
    pub still_us: i64,
}

/// There is no answer, or no more of it: `why` is `late`, `crowded`, `no_picture`, `no_engine`, `unfit`, `allowance`, `cancelled` or
/// `failed`, and `message` says what to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain names")]
pub struct Unanswered {
    pub ask: u64,
    pub question: String,
    pub why: String,
    pub message: String,
}

impl Answer {
    /// An answer that ends at `now`, to a question asked at `asked`. Its words beyond what a message holds went out in pieces.
    pub fn from(
        answer: &vlm::Answer,
        still: &[Moment],
        ask: u64,
        question: &str,
        asked: Moment,
        now: Moment,
    ) -> Answer {
        let micros = |span: Span| span.nanos() / 1_000;
        let evidence = answer.evidence.iter().map(|place| Evidence {
            picture: place.picture as u32,
            region: place
                .region
                .corners
                .map(|corner| [super::short(corner.x), super::short(corner.y)]),
            share: super::short(place.share),
        });
        let pictures = answer.seen.iter().enumerate().map(|(number, seen)| Looked {
            at_us: seen.at.micros(),
            age_us: micros(now - seen.born),
            still_us: micros(now - still.get(number).copied().unwrap_or(seen.born)),
        });
        Answer {
            ask,
            question: question.to_owned(),
            text: fitting(&answer.text).to_owned(),
            ended: match answer.ended {
                vlm::Ended::Said => Ended::Said,
                vlm::Ended::Long => Ended::Long,
                vlm::Ended::Late => Ended::Late,
            },
            certainty: answer.certainty.map(|certainty| super::short(certainty.get())),
            readability: answer.readability.map(|readability| super::short(readability.get())),
            engine: answer.engine.to_string(),
            evidence: evidence.collect(),
            pictures: pictures.collect(),
            first_us: answer.spent.first_text.map(micros),
            took_us: micros(now - asked),
        }
    }
}

/// As much of a text as one message holds.
pub fn fitting(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

#[cfg(test)]
mod tests {
    use hearsight_core::media::{Certainty, Point, Readability, Region};
    use hearsight_core::time::MediaTime;

    use super::*;
    use crate::wire::{MAX_MESSAGE, ToClient};

    #[test]
    fn the_longest_answer_fits_into_a_message() {
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let letters = ['a', '"', '\\', '\u{4e2d}', '\n'];
            let mut text = |most: usize| (0..most).map(|_| letters[random.usize(0..5)]).collect::<String>();
            let (said, question) = (text(9_000), text(MAX_QUESTION / 3));
            let corners = [Point {
                x: 1.0 / 3.0,
                y: -1.0 / 3.0,
            }; 4];
            let place = |picture| vlm::Evidence {
                picture,
                region: Region { corners },
                share: 1.0 / 7.0,
            };
            let seen = vlm::Seen {
                at: MediaTime::from_millis(i64::MAX / 2_000_000),
                born: Moment::from_millis(-1),
            };
            let answer = vlm::Answer {
                text: said.into(),
                ended: vlm::Ended::Long,
                certainty: Some(Certainty::new(1.0 / 3.0)),
                separability: None,
                readability: Some(Readability::new(1.0 / 9.0)),
                evidence: (0..8).map(place).collect(),
                seen: vec![seen; 8],
                spent: vlm::Spent::default(),
                engine: "an engine with a name".into(),
            };
            let told = Answer::from(&answer, &[], u64::MAX, &question, Moment::ZERO, Moment::from_millis(7));
            assert!(answer.text.starts_with(&told.text));
            let json = serde_json::to_string(&ToClient::Answer(told)).expect("it is plain");
            assert!(json.len() <= MAX_MESSAGE, "seed {seed}: {}", json.len());
        }
    }
}
