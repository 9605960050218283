//! What is sent: a chat completion with what was said before, within bounds.

use std::sync::Arc;

use serde_json::{Value, json};

/// Turns of a conversation that are remembered.
const TURNS: usize = 6;
/// Pictures in a request, the latest.
pub(super) const PICTURES: usize = 4;

const SYSTEM: &str = "You answer questions about what a camera shows, in one or two short sentences. Pictures come oldest first. Say so \
                      if something can't be seen.";

/// A question and, once it was said, its answer.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// Data URIs, oldest first.
    pub(super) pictures: Vec<Arc<str>>,
    pub(super) question: Arc<str>,
    pub(super) answer: Arc<str>,
}

/// What was said before, bounded.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    turns: Vec<Turn>,
}

impl Memory {
    /// Remembers a turn; the oldest is forgotten when there are too many, and pictures before the latest few.
    pub(super) fn keep(&mut self, turn: Turn) {
        self.turns.push(turn);
        let surplus = self.turns.len().saturating_sub(TURNS);
        self.turns.drain(..surplus);
        let mut room = PICTURES;
        for turn in self.turns.iter_mut().rev() {
            let surplus = turn.pictures.len().saturating_sub(room);
            turn.pictures.drain(..surplus);
            room -= turn.pictures.len();
        }
    }

    pub(super) fn forget(&mut self) {
        self.turns.clear();
    }
}

/// The body of a request for the answer to `asked`, which has none yet.
pub(super) fn body(model: &str, memory: &Memory, asked: &Turn, tokens: u32, chances: Chances) -> String {
    let mut messages = vec![json!({ "role": "system", "content": SYSTEM })];
    let mut room = PICTURES.saturating_sub(asked.pictures.len());
    let mut before = Vec::new();
    for turn in memory.turns.iter().rev() {
        let shown = turn.pictures.len().min(room);
        room -= shown;
        before.push(json!({ "role": "assistant", "content": *turn.answer }));
        before.push(spoken(&turn.pictures[turn.pictures.len() - shown..], &turn.question));
    }
    messages.extend(before.into_iter().rev());
    messages.push(spoken(&asked.pictures, &asked.question));
    let mut body = json!({
        "model": model,
        "messages": messages,
        "stream": true,
        "stream_options": { "include_usage": true },
        "max_tokens": tokens,
        "temperature": 0,
    });
    if chances == Chances::Asked {
        body["logprobs"] = Value::Bool(true);
    }
    body.to_string()
}

/// Whether the server is asked how probable its words were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chances {
    /// It is.
    Asked,
    /// It is not: it refuses requests that ask.
    NotAsked,
}

/// One message of the person's.
fn spoken(pictures: &[Arc<str>], question: &str) -> Value {
    if pictures.is_empty() {
        return json!({ "role": "user", "content": question });
    }
    let mut parts: Vec<_> = pictures
        .iter()
        .map(|uri| json!({ "type": "image_url", "image_url": { "url": **uri } }))
        .collect();
    parts.push(json!({ "type": "text", "text": question }));
    json!({ "role": "user", "content": parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_and_sent_is_bounded() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut memory = Memory::default();
            for number in 0..random.usize(0..30) {
                memory.keep(Turn {
                    pictures: (0..random.usize(0..=PICTURES)).map(|_| "data:".into()).collect(),
                    question: number.to_string().into(),
                    answer: "yes".into(),
                });
            }
            let asked = Turn {
                pictures: (0..random.usize(0..=PICTURES)).map(|_| "data:new".into()).collect(),
                question: "now?".into(),
                answer: "".into(),
            };
            let body = body("m", &memory, &asked, 9, Chances::NotAsked);
            let body: Value = serde_json::from_str(&body).unwrap();
            let messages = body["messages"].as_array().unwrap();
            assert!(messages.len() <= 2 + 2 * TURNS, "seed {seed}");
            let pictures = body.to_string().matches("image_url\":{").count();
            assert!(pictures <= PICTURES, "seed {seed}: {pictures}");
            assert_eq!(
                body.to_string().matches("data:new").count(),
                asked.pictures.len(),
                "seed {seed}: the new ones go first"
            );
            assert_eq!(messages[0]["role"], "system");
            let roles = messages[1..].iter().map(|message| message["role"].as_str().unwrap());
            assert!(
                roles
                    .zip(["user", "assistant"].into_iter().cycle())
                    .all(|(a, b)| a == b),
                "seed {seed}: they take turns"
            );
        }
    }
}
