//! The engine: segments of speech in, words out.

use std::sync::Arc;

use hearsight_core::media::{Pcm, Voice, Word, Words};
use hearsight_core::stage::{Engine, Fault, Lost, Outbox, Signal, Wake};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{Moment, Span};

use super::stability::Agreement;
use super::{Heard, Recogniser};
use crate::origin::{Origins, RATE, span_of};

/// Sound that waits for the recogniser, at most. What comes on top is lost: a recogniser this far behind does not catch up.
const BACKLOG: Span = Span::from_secs(1);
/// Sounds to remember in a segment: 20 s of 32 ms each, and room for short ones at holes.
const ORIGINS: usize = 1024;
/// A segment without an end is closed here: its sender does not keep to the rules of [`Voice`].
const LONGEST_SEGMENT: Span = Span::from_secs(30);

/// Makes words of segments of speech.
///
/// Puts provisional [`Words`] when their text or their set of stable words changes, and settled ones at the end of each segment or
/// at a hole. A word whose stability is 0.9 or more stays until the settled words. Each unit carries the birth and the trail
/// of the sound in which its last word ends.
pub struct Hearing<R> {
    recogniser: R,
    agreement: Agreement,
    origins: Origins,
    segment: u32,
    /// The position of the segment's first sample, while one is under way in the recogniser.
    base: Option<u64>,
    backlog: Vec<f32>,
    /// When the detector was sure that the segment is over: settled words waited for that, not for the recogniser.
    decided: Option<Moment>,
    /// How many words were shown last, and the last of them.
    shown: Option<(usize, Arc<str>)>,
}

impl<R: Recogniser> Hearing<R> {
    /// A hearing for one stream.
    pub fn new(recogniser: R) -> Hearing<R> {
        Hearing {
            recogniser,
            agreement: Agreement::default(),
            origins: Origins::new(ORIGINS),
            segment: 0,
            base: None,
            backlog: Vec::new(),
            decided: None,
            shown: None,
        }
    }
    /// Its recogniser.
    pub fn recogniser(&self) -> &R {
        &self.recogniser
    }
    pub(crate) fn recogniser_mut(&mut self) -> &mut R {
        &mut self.recogniser
    }

    fn hear(&mut self, now: Moment, unit: Stamped<Voice>, out: &mut Outbox<Words>) -> Result<(), Fault> {
        match &unit.item {
            Voice::Sound(pcm) => self.sound(now, &unit, pcm, out),
            Voice::Started => self.settle(now, out),
            Voice::Paused => self.feed(now, Hurry::Pause, out),
            Voice::Resumed => Ok(()),
            Voice::Ended => {
                // A segment whose sound was lost has no words that could have waited.
                self.decided = unit.trail.at(Mark::Voiced).filter(|_| self.base.is_some());
                self.settle(now, out)
            }
        }
    }

    fn sound(&mut self, now: Moment, unit: &Stamped<Voice>, pcm: &Pcm, out: &mut Outbox<Words>) -> Result<(), Fault> {
        if pcm.samples.is_empty() {
            return Ok(());
        }
        let room = BACKLOG.samples(RATE) as usize - self.backlog.len();
        let why = if pcm.rate != RATE || pcm.samples.len() > BACKLOG.samples(RATE) as usize {
            Some(Lost::Refused)
        } else if !pcm.samples.iter().all(|sample| sample.is_finite()) {
            Some(Lost::Undecodable)
        } else if pcm.samples.len() > room {
            Some(Lost::TooOld)
        } else {
            None
        };
        if let Some(why) = why {
            // What follows does not join up: settle what came before the hole, then say that there is one.
            let settled = self.settle(now, out);
            out.lose(why, 1);
            return settled;
        }
        if self.base.is_none() {
            self.recogniser.begin(unit.at)?;
            self.base = Some(self.origins.head());
        }
        self.origins.push(unit, pcm.samples.len());
        self.backlog.extend_from_slice(&pcm.samples);
        self.feed(now, Hurry::No, out)?;
        let long = self
            .base
            .is_some_and(|base| span_of(self.origins.head() - base) >= LONGEST_SEGMENT);
        if long { self.settle(now, out) } else { Ok(()) }
    }

    /// Gives the recogniser one portion of what waits: a larger one when more waits, all of it when hurried.
    fn feed(&mut self, now: Moment, hurry: Hurry, out: &mut Outbox<Words>) -> Result<(), Fault> {
        let portion = (self.recogniser.portion().samples(RATE).max(1)) as usize;
        let portion = match hurry {
            Hurry::No if self.backlog.len() < portion => return Ok(()),
            Hurry::Pause | Hurry::No => self.backlog.len().min(2 * portion),
            Hurry::End => self.backlog.len(),
        };
        if portion == 0 {
            return Ok(());
        }
        let rest = self.backlog.split_off(portion);
        let sound = std::mem::replace(&mut self.backlog, rest);
        if let Some(hypothesis) = self.recogniser.hear(&sound)?
            && self.agreement.update(hypothesis)
            && hurry != Hurry::End
        {
            let words: Vec<(Heard, f32)> = self
                .agreement
                .words()
                .map(|judged| (judged.word, judged.stability))
                .collect();
            self.put(now, &words, Settled::No, out);
        }
        Ok(())
    }

    /// Ends the segment under way, if one is, with its final words.
    fn settle(&mut self, now: Moment, out: &mut Outbox<Words>) -> Result<(), Fault> {
        if self.base.is_none() {
            return Ok(());
        }
        self.feed(now, Hurry::End, out)?;
        let words = self
            .recogniser
            .finish()?
            .words
            .into_iter()
            .map(|word| (word, 1.0))
            .collect::<Vec<_>>();
        self.put(now, &words, Settled::Yes, out);
        self.next_segment();
        Ok(())
    }

    /// After a fault: what was shown last is settled as it was, for nothing better will come.
    fn abandon(&mut self, now: Moment, out: &mut Outbox<Words>) {
        if self.base.is_some() {
            let words: Vec<(Heard, f32)> = self.agreement.words().map(|judged| (judged.word, 1.0)).collect();
            self.put(now, &words, Settled::Yes, out);
        }
        self.recogniser.reset();
        self.next_segment();
    }

    fn next_segment(&mut self) {
        if self.base.take().is_some() {
            self.segment = self.segment.wrapping_add(1);
        }
        self.decided = None;
        self.shown = None;
        self.agreement.clear();
        self.backlog.clear();
        self.origins.clear();
    }

    fn put(&mut self, now: Moment, words: &[(Heard, f32)], settled: Settled, out: &mut Outbox<Words>) {
        let Some(base) = self.base else { return };
        let head = self.origins.head();
        let position = |span: Span| (base + span.samples(RATE).max(0) as u64).min(head);
        let last = words.last().map_or(head, |(word, _)| position(word.end));
        let newest = words.last().map(|(word, _)| (words.len(), word.text.clone()));
        // News of words that were shown before is born where it was heard, not where they ended.
        let origin = if settled == Settled::No && newest == self.shown {
            head
        } else {
            last
        };
        self.shown = newest;
        let words: Arc<[Word]> = words
            .iter()
            .map(|(word, stability)| Word {
                text: word.text.clone(),
                start: self.origins.begin(position(word.start)),
                end: self.origins.end(position(word.end)),
                stability: *stability,
                certainty: word.certainty,
            })
            .collect();
        let item = Words {
            segment: self.segment,
            words,
            settled: settled == Settled::Yes,
        };
        let mut unit = self.origins.stamp(self.origins.end(last), origin, item);
        if let Some(decided) = self.decided.filter(|_| settled == Settled::Yes) {
            unit.trail.stamp(Mark::Voiced, decided);
        }
        unit.trail.stamp(Mark::Recognised, now);
        out.put(unit);
    }

    /// Whether more than a portion waits, so that the next slice should follow at once.
    fn behind(&self) -> bool {
        self.backlog.len() as i64 >= self.recogniser.portion().samples(RATE).max(1)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hurry {
    No,
    Pause,
    End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Settled {
    No,
    Yes,
}

impl<R: Recogniser> Engine for Hearing<R> {
    type In = Voice;
    type Out = Words;

    fn run(&mut self, now: Moment, signal: Signal<Voice>, out: &mut Outbox<Words>) -> Result<Wake, Fault> {
        let done = match signal {
            Signal::Item(unit) => self.hear(now, unit, out),
            Signal::Gap(gap) => {
                let settled = self.settle(now, out);
                out.pass(gap);
                settled
            }
            Signal::Timer => self.feed(now, Hurry::No, out),
            Signal::Flush(_) => {
                self.recogniser.reset();
                self.next_segment();
                Ok(())
            }
            Signal::End => {
                let settled = self.settle(now, out);
                if settled.is_err() {
                    self.abandon(now, out);
                }
                out.end();
                settled
            }
        };
        if let Err(fault) = done {
            self.abandon(now, out);
            return Err(fault);
        }
        Ok(if self.behind() { Wake::At(now) } else { Wake::OnSignal })
    }

    fn slice(&self) -> Span {
        self.recogniser.slice()
    }

    /// Sound waits until a portion is full.
    fn delay(&self) -> Span {
        self.recogniser.portion()
    }
}
