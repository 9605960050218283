//! The engine: segments of speech in, words out.

mod queue;

use std::sync::Arc;

use hearsight_core::media::{Pcm, Voice, Word, Words};
use hearsight_core::schedule::Strain;
use hearsight_core::stage::{Engine, Fault, Lost, Outbox, Signal, Wake};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{Moment, Span};

use super::stability::Agreement;
use super::{Found, Heard, Hypothesis, Recogniser};
use crate::origin::{Origins, RATE, span_of};
use queue::{Next, Queue};

/// Sound that waits for the recogniser, at most. What comes on top is lost: a recogniser this far behind does not catch up.
const BACKLOG: Span = Span::from_secs(1);
/// Sounds to remember in a segment: 20 s of 32 ms each, and room for short ones at holes.
const ORIGINS: usize = 1024;
/// A segment without an end is closed here: its sender does not keep to the rules of [`Voice`].
const LONGEST_SEGMENT: Span = Span::from_secs(30);

/// The last words of a segment are waited for no longer than this; then what is known by then is settled.
const LONGEST_END: Span = Span::from_secs(2);
/// How often a recogniser that works aside is asked what it has found.
const LOOK_AGAIN: Span = Span::from_millis(10);

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
    /// Since when the last words are waited for.
    closing: Option<Moment>,
    /// What came meanwhile.
    queue: Queue,
    /// How many words were shown last, and the last of them.
    shown: Option<(usize, Arc<str>)>,
    /// That of the machine in this step.
    strain: Strain,
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
            closing: None,
            queue: Queue::default(),
            shown: None,
            strain: Strain::None,
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
            Voice::Rested | Voice::Ended => {
                // A phrase whose sound was lost, or that is settled, has no words that could have waited.
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
            self.then(Next::Lost(why, 1), out);
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
            Hurry::No if self.backlog.len() < self.enough() => return Ok(()),
            Hurry::Pause | Hurry::No => self.backlog.len().min(2 * portion),
        };
        if portion == 0 || hurry == Hurry::No && !self.recogniser.ready() {
            return Ok(());
        }
        let rest = self.backlog.split_off(portion);
        let sound = std::mem::replace(&mut self.backlog, rest);
        if let Some(hypothesis) = self.recogniser.hear(&sound)? {
            self.show(now, hypothesis, out);
        }
        Ok(())
    }

    fn show(&mut self, now: Moment, hypothesis: Hypothesis, out: &mut Outbox<Words>) {
        if self.agreement.update(hypothesis) {
            if self.strain >= Strain::Partials {
                // Nobody misses them in their place: the settled words come.
                return out.skip(Lost::Refused, 1);
            }
            let words: Vec<(Heard, f32)> = self
                .agreement
                .words()
                .map(|judged| (judged.word, judged.stability))
                .collect();
            self.put(now, &words, Settled::No, out);
        }
    }

    /// Ends the segment under way, if one is, with its final words: now, or when they are found.
    fn settle(&mut self, now: Moment, out: &mut Outbox<Words>) -> Result<(), Fault> {
        if self.base.is_none() {
            return Ok(());
        }
        let rest = std::mem::take(&mut self.backlog);
        if !rest.is_empty()
            && let Some(hypothesis) = self.recogniser.hear(&rest)?
        {
            self.agreement.update(hypothesis);
        }
        match self.recogniser.end()? {
            Some(last) => self.conclude(now, last, out),
            None => self.closing = Some(now),
        }
        Ok(())
    }

    fn conclude(&mut self, now: Moment, last: Hypothesis, out: &mut Outbox<Words>) {
        let words: Vec<(Heard, f32)> = last.words.into_iter().map(|word| (word, 1.0)).collect();
        self.put(now, &words, Settled::Yes, out);
        self.next_segment();
    }

    /// What is due without a signal: the last words of a segment, what came while they were looked for, or new ones.
    fn go_on(&mut self, now: Moment, out: &mut Outbox<Words>) -> Result<(), Fault> {
        if let Some(since) = self.closing {
            match self.recogniser.poll()? {
                Found::Last(last) => self.conclude(now, last, out),
                Found::Nothing | Found::Words(_) if now - since < LONGEST_END => {}
                Found::Nothing | Found::Words(_) => match self.recogniser.settle_for() {
                    Some(last) => self.conclude(now, last, out),
                    None => self.abandon(now, out),
                },
            }
            return Ok(());
        }
        if let Some(next) = self.queue.pop() {
            return self.take(now, next, out);
        }
        if self.base.is_some()
            && let Found::Words(hypothesis) = self.recogniser.poll()?
        {
            self.show(now, hypothesis, out);
        }
        self.feed(now, Hurry::No, out)
    }

    fn take(&mut self, now: Moment, next: Next, out: &mut Outbox<Words>) -> Result<(), Fault> {
        match next {
            Next::Voice(unit) => self.hear(now, unit, out),
            Next::Lost(..) => {
                self.then(next, out);
                Ok(())
            }
            Next::Gap(_) => {
                let settled = self.settle(now, out);
                self.then(next, out);
                settled
            }
            Next::End => {
                let settled = self.settle(now, out);
                if settled.is_err() {
                    self.abandon(now, out);
                }
                self.then(next, out);
                settled
            }
        }
    }

    /// Says what comes behind the words of the segment that was just settled, or is being settled.
    fn then(&mut self, next: Next, out: &mut Outbox<Words>) {
        if self.closing.is_some() {
            return self.queue.next(next);
        }
        match next {
            Next::Lost(why, count) => out.lose(why, count),
            Next::Gap(gap) => out.pass(gap),
            Next::End => out.end(),
            Next::Voice(_) => {}
        }
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
        self.closing = None;
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

    /// When to be called again without a signal.
    fn wake(&self, now: Moment) -> Wake {
        let behind = self.backlog.len() >= self.enough();
        if self.closing.is_none() && (!self.queue.is_empty() || behind && self.recogniser.ready()) {
            return Wake::At(now);
        }
        // Between segments nobody asks what it is still doing.
        let works = self.base.is_some() && self.recogniser.works();
        match self.closing.is_some() || behind || works {
            true => Wake::At(now + LOOK_AGAIN),
            false => Wake::OnSignal,
        }
    }

    /// How much sound must wait for a slice: under strain as much as one takes at most, which costs less by the second.
    fn enough(&self) -> usize {
        let portion = self.recogniser.portion().samples(RATE).max(1) as usize;
        if self.strain >= Strain::Partials {
            2 * portion
        } else {
            portion
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hurry {
    No,
    Pause,
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
        self.strain = out.strain();
        let next = match signal {
            Signal::Item(unit) => Some(Next::Voice(unit)),
            Signal::Gap(gap) => Some(Next::Gap(gap)),
            Signal::End => Some(Next::End),
            Signal::Timer => None,
            Signal::Flush(_) => {
                self.recogniser.reset();
                self.queue.clear();
                self.next_segment();
                return Ok(Wake::OnSignal);
            }
        };
        let waits = self.closing.is_some() || !self.queue.is_empty();
        let done = match next {
            Some(next) if !waits => self.take(now, next, out),
            next => {
                next.into_iter().for_each(|next| self.queue.push(next));
                self.go_on(now, out)
            }
        };
        if let Err(fault) = done {
            self.abandon(now, out);
            if self.queue.is_empty() {
                return Err(fault);
            }
            // Whoever says this is not called again before something comes, and something waits.
            out.lose(Lost::Undecodable, 1);
        }
        if self.queue.ends() {
            out.linger();
        }
        out.spend(self.recogniser.aside());
        Ok(self.wake(now))
    }

    fn slice(&self) -> Span {
        self.recogniser.slice()
    }

    /// Sound waits until a portion is full.
    fn delay(&self) -> Span {
        self.recogniser.portion()
    }
}
