//! Questions that are said rather than typed: final words that are meant for the engine.

use hearsight_core::media::Words;
use hearsight_core::stage::{Outbox, Signal, Stage, Wake};
use hearsight_core::time::Moment;

use super::turn::Query;

/// Numbers of said questions begin here: segments of a session are counted from it.
pub const SAID: u64 = 1 << 40;

/// Which words are meant for the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meant {
    /// Those after this name, with which a segment begins; in lower case.
    Named(String),
    /// Those, and segments that end with a question mark, where the recogniser writes such.
    Questions(String),
}

/// Passes final words on that are meant as a question.
pub struct Aloud {
    meant: Meant,
}

impl Aloud {
    /// Listens for what is `meant`.
    pub fn new(meant: Meant) -> Aloud {
        Aloud { meant }
    }

    /// The question in a segment's text, without the name.
    fn question(&self, text: &str) -> Option<String> {
        let (Meant::Named(name) | Meant::Questions(name)) = &self.meant;
        let words: Vec<&str> = text.split_whitespace().collect();
        let plain = |word: &&str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        let called: Vec<&str> = name.split_whitespace().collect();
        let named = !called.is_empty()
            && words.len() > called.len()
            && words.iter().map(plain).zip(&called).all(|(a, b)| a == *b);
        if named {
            return Some(words[called.len()..].join(" "));
        }
        let asks = matches!(self.meant, Meant::Questions(_)) && text.trim_end().ends_with('?');
        asks.then(|| words.join(" "))
    }
}

impl Stage for Aloud {
    type In = Words;
    type Out = Query;

    fn step(&mut self, _: Moment, signal: Signal<Words>, out: &mut Outbox<Query>) -> Wake {
        match signal {
            Signal::Item(unit) if unit.item.settled => {
                if let Some(text) = self.question(&unit.item.text()) {
                    let id = SAID + u64::from(unit.item.segment);
                    let text = text.into();
                    out.put(unit.with(Query::Question { id, text }));
                }
            }
            Signal::End => out.end(),
            Signal::Item(_) | Signal::Gap(_) | Signal::Flush(_) | Signal::Timer => {}
        }
        Wake::OnSignal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_for_the_engine_is_told_from_other_talk() {
        let named = Aloud::new(Meant::Named("hey computer".into()));
        let questions = Aloud::new(Meant::Questions("computer".into()));
        for (aloud, said, asked) in [
            (&named, "Hey, Computer: what is this?", Some("what is this?")),
            (&named, "hey computer", None),
            (&named, "hey you what is this?", None),
            (&named, "the computer is on", None),
            (&questions, "What is this?", Some("What is this?")),
            (&questions, "computer what is this", Some("what is this")),
            (&questions, "this is a house.", None),
            (&questions, "", None),
        ] {
            assert_eq!(aloud.question(said).as_deref(), asked, "{said}");
        }
    }
}
