//! Questions that are said rather than typed: final words that are meant for the engine.

use hearsight_core::media::Words;
use hearsight_core::stage::{Outbox, Signal, Stage, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};

use super::turn::Query;

/// Numbers of said questions begin here: phrases of a session are counted from it.
pub const SAID: u64 = 1 << 40;

/// Words of a stretch that are kept, in characters: no question is as long.
const LONGEST: usize = 1_000;

/// Which words are meant for the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meant {
    /// Those after this name, with which a stretch of speech begins; in lower case.
    Named(String),
    /// Those, and stretches that end with a question mark, where the recogniser writes such.
    Questions(String),
}

/// Passes final words on that are meant as a question: at once, and anew where it goes on after a breath, in place of what was
/// asked before.
pub struct Aloud {
    meant: Meant,
    /// Who goes on within this has only taken a breath.
    breath: Span,
    /// The stretch of speech so far, and where it ends.
    said: Option<(String, MediaTime)>,
    /// The question that was asked in it.
    asked: Option<u64>,
}

impl Aloud {
    /// Listens for what is `meant` in stretches of speech, in which nobody rests for longer than a `breath`.
    pub fn new(meant: Meant, breath: Span) -> Aloud {
        Aloud {
            meant,
            breath,
            said: None,
            asked: None,
        }
    }

    fn take(&mut self, unit: &Stamped<Words>, out: &mut Outbox<Query>) {
        let (Some(first), Some(last)) = (unit.item.words.first(), unit.item.words.last()) else {
            return;
        };
        let goes_on = |(said, end): &(String, MediaTime)| first.start - *end <= self.breath && said.len() < LONGEST;
        let text = match self.said.take().filter(goes_on) {
            Some((said, _)) => format!("{said} {}", unit.item.text()),
            None => {
                self.asked = None;
                unit.item.text()
            }
        };
        if let Some(question) = self.question(&text) {
            let id = SAID + u64::from(unit.item.segment);
            if let Some(id) = self.asked.replace(id) {
                out.put(unit.with(Query::Cancel { id }));
            }
            let text = question.into();
            out.put(unit.with(Query::Question { id, text }));
        }
        self.said = Some((text, last.end));
    }

    /// The question in the text of a stretch, without the name.
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
            Signal::Item(unit) if unit.item.settled => self.take(&unit, out),
            Signal::Flush(_) => (self.said, self.asked) = (None, None),
            Signal::End => out.end(),
            Signal::Item(_) | Signal::Gap(_) | Signal::Timer => {}
        }
        Wake::OnSignal
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hearsight_core::media::Word;

    use super::*;

    const BREATH: Span = Span::from_millis(1_200);

    /// What comes of phrases, each with when it began and ended: questions, and the numbers of those taken back.
    fn asked(aloud: &mut Aloud, phrases: &[(&str, i64, i64)]) -> (Vec<String>, Vec<u64>) {
        let (mut questions, mut cancelled) = (Vec::new(), Vec::new());
        for (segment, (text, start, end)) in phrases.iter().enumerate() {
            let (start, end) = (MediaTime::from_millis(*start), MediaTime::from_millis(*end));
            let word = Word {
                text: (*text).into(),
                start,
                end,
                stability: 1.0,
                certainty: None,
            };
            let words = Words {
                segment: segment as u32,
                words: Arc::new([word]),
                settled: true,
            };
            let mut out = Outbox::default();
            aloud.step(
                Moment::ZERO,
                Signal::Item(Stamped::new(end, Moment::ZERO, words)),
                &mut out,
            );
            for signal in out.drain() {
                match signal {
                    Signal::Item(unit) => match unit.item {
                        Query::Question { text, .. } => questions.push(text.to_string()),
                        Query::Cancel { id } => cancelled.push(id - SAID),
                        Query::Picture(_) => {}
                    },
                    other => panic!("{other:?}"),
                }
            }
        }
        (questions, cancelled)
    }

    #[test]
    fn a_breath_does_not_cut_a_question_in_two_and_silence_does() {
        let mut aloud = Aloud::new(Meant::Named("computer".into()), BREATH);
        let phrases = [
            ("computer", 0, 500),
            ("what does", 900, 1_300),
            ("the sign say", 2_000, 2_600),
        ];
        let (questions, cancelled) = asked(&mut aloud, &phrases);
        assert_eq!(questions, ["what does", "what does the sign say"]);
        assert_eq!(cancelled, [1]);

        let later = [
            ("what does it say", 4_000, 4_500),
            ("computer what time is it", 9_000, 9_900),
        ];
        let (questions, cancelled) = asked(&mut aloud, &later);
        assert_eq!(questions, ["what time is it"], "the name was not said again");
        assert!(cancelled.is_empty());
    }

    #[test]
    fn who_never_stops_talking_fills_no_memory() {
        let mut aloud = Aloud::new(Meant::Named("computer".into()), BREATH);
        let phrase = "so it goes on and on ".repeat(4);
        for number in 0..1_000 {
            asked(&mut aloud, &[(&phrase, number * 1_000, number * 1_000 + 900)]);
            assert!(
                aloud
                    .said
                    .as_ref()
                    .is_some_and(|(said, _)| said.len() < LONGEST + phrase.len() + 1)
            );
        }
    }

    #[test]
    fn what_is_meant_for_the_engine_is_told_from_other_talk() {
        let named = Aloud::new(Meant::Named("hey computer".into()), BREATH);
        let questions = Aloud::new(Meant::Questions("computer".into()), BREATH);
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
