//! The server's half: what was read, and where, becomes word to the sender.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hearsight_core::allocate::{Cap, Evidence, Kind, Regions};
use hearsight_core::media::{Decoded, Reading, Region};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::vlm::Answer;

use super::{LEAST_KBPS, MOST_KBPS, Mode, Terms, kind_of};
use crate::wire::allocation::{Allocation, text_from_map};

/// A question is about what is seen for so long.
const ASKED: Span = Span::from_secs(30);
/// What an answer looked at is framed for so long.
const RESTED: Span = Span::from_secs(6);
/// What was received is remembered for so long: longer than any reading takes.
const REMEMBERED: Span = Span::from_secs(6);
/// Units that are remembered, at most: six seconds of 120 a second.
const MOST_UNITS: usize = 720;
/// The rate at which a picture came is that of so long before it.
const RATE: Span = Span::from_millis(600);
/// How many pictures come in a second is that of so long.
const PACE: Span = Span::from_millis(1_500);
/// Places that move are told of anew this often.
const MOVING: Span = Span::from_millis(250);
/// All is told anew this often, so that a sender knows that it is still meant.
const AGAIN: Span = Span::from_secs(1);
/// Understanding looks at two pictures a second: in each such stretch it needs one that can be decoded.
const SLOT_MS: u32 = 500;
/// Whoever frames a place looks beside it now and then: what is new there is not worth bits, and would never be read. So often,
const BESIDE_EVERY: Span = Span::from_secs(15);
/// and for so long: word to the sender, a picture that is whole, and a look at it.
const BESIDE: Span = Span::from_millis(1_500);
/// Why there is no cap, besides what [`hearsight_core::allocate::Reason`] knows.
const WATCHED: &str = "watched";
/// Why there is no more, besides those.
const CEILING: &str = "ceiling";
/// Shorter words of a question are in every line.
const TELLING: usize = 4;

/// Whether a session's picture is being watched by people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Viewers {
    /// Only understanding looks.
    #[default]
    Nobody,
    /// Somebody does: for them, all of the picture is worth its bits.
    Somebody,
}

/// What one session's sender is told.
pub struct Spender(Mutex<State>);

struct State {
    session: String,
    mode: Mode,
    /// Kilobits per second that are never exceeded.
    most: Option<u32>,
    /// The client chose the mode itself: then it holds, whoever watches.
    chosen: bool,
    viewers: Viewers,
    cap: Cap,
    regions: Regions,
    /// From when on places are framed, without a look beside them.
    framed: Moment,
    question: Option<(Moment, Vec<String>)>,
    /// When the latest question was answered with places that it rests on.
    rested: Option<Moment>,
    /// What came: of when, and bytes.
    units: VecDeque<(MediaTime, usize)>,
    read: Option<MediaTime>,
    readability: Option<f32>,
    /// Nothing was there to be read when somebody looked last.
    nothing: bool,
    number: u64,
    told: Option<(Moment, Allocation)>,
}

impl Spender {
    /// For a session of this name; it says nothing while the mode is [`Mode::Off`].
    pub fn new(session: String, terms: Terms) -> Spender {
        Spender(Mutex::new(State {
            session,
            mode: terms.mode,
            most: terms.most_kbps,
            chosen: false,
            viewers: Viewers::default(),
            cap: Cap::default(),
            regions: Regions::default(),
            framed: Moment::from_nanos(i64::MIN),
            question: None,
            rested: None,
            units: VecDeque::new(),
            read: None,
            readability: None,
            nothing: false,
            number: 0,
            told: None,
        }))
    }

    /// The client changes the mode, and the ceiling where it names one; what was learnt stays. What to tell.
    pub fn choose(&self, now: Moment, terms: Terms) -> Option<Allocation> {
        let Terms { mode, most_kbps } = terms;
        let mut state = self.lock();
        let most = most_kbps.map(|most| most.clamp(LEAST_KBPS, MOST_KBPS)).or(state.most);
        let same = (state.mode, state.most) == (mode, most) && !state.is_open();
        (state.mode, state.most, state.chosen) = (mode, most, true);
        if same {
            return None;
        }
        state.told = None;
        Some(state.word(now))
    }

    /// Somebody watches, or nobody does any more. What to tell.
    pub fn watched(&self, now: Moment, viewers: Viewers) -> Option<Allocation> {
        let mut state = self.lock();
        if state.viewers == viewers {
            return None;
        }
        state.viewers = viewers;
        if state.chosen || state.mode == Mode::Off {
            return None;
        }
        state.told = None;
        Some(state.word(now))
    }

    /// A coded picture of so many bytes came, which shows what was at `at`.
    pub fn came(&self, at: MediaTime, bytes: usize) {
        let mut state = self.lock();
        state.units.push_back((at, bytes));
        while state.units.len() > MOST_UNITS || state.units.front().is_some_and(|(old, _)| at - *old > REMEMBERED) {
            state.units.pop_front();
        }
    }

    /// Somebody asks about the picture.
    pub fn asked(&self, now: Moment, question: &str) {
        let mut state = self.lock();
        state.cap.ask(now, kind_of(question));
        let words = telling(question);
        state.question = Some((now, words));
        state.rested = None;
        // What answers it may be beside what the last one was about.
        state.regions.forget();
    }

    /// A picture was decoded: what is framed moves with it. What to tell, where it moved enough and long enough.
    pub fn decoded(&self, now: Moment, unit: &Stamped<Decoded>) -> Option<Allocation> {
        let mut state = self.lock();
        if !state.mode.has_regions() {
            return None;
        }
        let size = (unit.item.picture.width, unit.item.picture.height);
        state.regions.follow(unit.at, &unit.item.motion, size);
        let rested = state.told.as_ref().is_none_or(|(told, _)| now - *told >= MOVING);
        if !rested {
            return None;
        }
        state.tell(now, unit.at)
    }

    /// Another scene was seen at `now`.
    pub fn cut(&self, now: Moment, at: MediaTime) -> Option<Allocation> {
        let mut state = self.lock();
        state.cap.scene(now);
        state.regions.forget();
        state.tell(now, at)
    }

    /// Figures of the picture came, as they do once a second: a moment to see whether understanding has gone silent. A reader
    /// that found nothing says so once, and that holds until it finds something.
    pub fn look(&self, now: Moment, at: MediaTime) -> Option<Allocation> {
        let mut state = self.lock();
        // In the fullest mode it is the sender who chooses how many.
        if state.mode != Mode::Full && !state.is_open() {
            let pace = state.pace(at);
            state.cap.paced(now, pace);
        }
        if state.nothing {
            let evidence = Evidence {
                kind: state.cap.kind(),
                readability: None,
                rate: state.rate(at).max(1),
                seen: now,
            };
            state.learn(now, evidence);
        }
        state.tell(now, at)
    }

    /// Nobody reads any more.
    pub fn blind(&self) {
        self.lock().nothing = false;
    }

    /// Something was read, or nothing was there to be read. What to tell.
    pub fn reading(&self, now: Moment, unit: &Stamped<Reading>) -> Option<Allocation> {
        let mut state = self.lock();
        if state.question.as_ref().is_some_and(|(asked, _)| now - *asked > ASKED) {
            state.question = None;
            state.cap.ask(now, Kind::Reading);
            state.framed = now - BESIDE_EVERY;
        }
        let reading = &unit.item;
        state.readability = reading.readability.map(|readability| readability.get());
        if state.read == Some(reading.read) {
            // The picture has not changed since.
            state.cap.still(now);
            return state.tell(now, unit.at);
        }
        state.read = Some(reading.read);
        state.nothing = reading.readability.is_none();
        let evidence = Evidence {
            kind: state.cap.kind(),
            readability: reading.readability,
            rate: state.rate(reading.read),
            seen: unit.born - (unit.at - reading.read),
        };
        state.learn(now, evidence);
        if let Some(places) = state.places(now, reading) {
            state.regions.replace(reading.read, places);
        }
        state.tell(now, unit.at)
    }

    /// A question was answered: where the answer looked is framed. What to tell.
    pub fn answered(&self, now: Moment, answer: &Answer) -> Option<Allocation> {
        let mut state = self.lock();
        let newest = answer.seen.len().checked_sub(1)?;
        let places: Vec<Region> = answer
            .evidence
            .iter()
            .filter(|place| place.picture == newest)
            .map(|place| place.region)
            .collect();
        if places.is_empty() {
            return None;
        }
        let at = answer.seen[newest].at;
        state.rested = Some(now);
        state.regions.replace(at, places);
        state.tell(now, at)
    }

    /// Whether the sender should draw its picture anew at `now`: it stands still, and could not be read. Said once.
    pub fn take_redraw(&self, now: Moment) -> bool {
        let mut state = self.lock();
        state.mode != Mode::Off && !state.is_open() && state.cap.take_redraw(now)
    }

    /// What was refused so far: word of understanding, and places.
    pub fn refused(&self) -> u64 {
        let state = self.lock();
        state.cap.refused() + state.regions.refused()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether the sender is to spend all that the network takes, everywhere, for people who watch.
    fn is_open(&self) -> bool {
        self.viewers == Viewers::Somebody && !self.chosen
    }

    /// Learns from what was read, where the cap had a part in it.
    fn learn(&mut self, now: Moment, evidence: Evidence) {
        if !self.is_open() {
            self.cap.learn(now, evidence);
        }
    }

    /// Where the bits go; none for a while now and then.
    fn map(&mut self, now: Moment, at: MediaTime) -> Option<String> {
        if !self.mode.has_regions() || self.is_open() {
            return None;
        }
        let map = self.regions.map(at)?;
        if now - self.framed >= BESIDE_EVERY + BESIDE {
            self.framed = now;
        }
        (now - self.framed < BESIDE_EVERY).then(|| text_from_map(&map))
    }

    /// Pictures per second that came before `at`, in the sender's time: what comes late is not left out.
    fn pace(&self, at: MediaTime) -> f32 {
        let within = |unit: &&(MediaTime, usize)| unit.0 <= at && at - unit.0 < PACE;
        self.units.iter().filter(within).count() as f32 / PACE.secs_f64() as f32
    }

    /// Bits per second that came before `at`, in the sender's time.
    fn rate(&self, at: MediaTime) -> u32 {
        let within = |unit: &&(MediaTime, usize)| unit.0 <= at && at - unit.0 < RATE;
        let bytes: usize = self.units.iter().filter(within).map(|(_, bytes)| *bytes).sum();
        (bytes as f64 * 8.0 / RATE.secs_f64()) as u32
    }

    /// Where the evidence is: the lines that have a word of the question. Where none has, what the latest answer looked at is
    /// kept; without one, all lines answer a question about text, and none any other: then nowhere is known to be better.
    fn places(&self, now: Moment, reading: &Reading) -> Option<Vec<Region>> {
        let asked = self
            .question
            .as_ref()
            .map(|(_, words)| words.as_slice())
            .unwrap_or_default();
        let matching = |text: &str| {
            let text = text.to_lowercase();
            asked.iter().any(|word| text.contains(word))
        };
        let matched: Vec<Region> = reading
            .lines
            .iter()
            .filter(|line| matching(&line.text))
            .map(|line| line.region)
            .collect();
        if !matched.is_empty() {
            return Some(matched);
        }
        if self.rested.is_some_and(|rested| now - rested < RESTED) {
            return None;
        }
        let about_text = matches!(self.cap.kind(), Kind::Reading | Kind::Text);
        let lines = reading.lines.iter().filter(|_| about_text);
        Some(lines.map(|line| line.region).collect())
    }

    /// What there is to tell, where it is another than was told, or that was long ago.
    fn tell(&mut self, now: Moment, at: MediaTime) -> Option<Allocation> {
        if self.mode == Mode::Off {
            return None;
        }
        let word = self.word_at(now, at);
        let same = |(told, before): &(Moment, Allocation)| {
            let before = Allocation {
                number: word.number,
                readability: word.readability,
                ..before.clone()
            };
            now - *told < AGAIN && before == word
        };
        if self.told.as_ref().is_some_and(same) {
            return None;
        }
        self.number = word.number;
        self.told = Some((now, word.clone()));
        Some(word)
    }

    fn word(&mut self, now: Moment) -> Allocation {
        let at = self.read.unwrap_or(MediaTime::ZERO);
        let word = self.word_at(now, at);
        self.number = word.number;
        word
    }

    fn word_at(&mut self, now: Moment, at: MediaTime) -> Allocation {
        let decision = self.cap.decide(now, u32::MAX);
        let open = self.is_open();
        let learnt = decision.cap.map(|cap| cap / 1_000).filter(|_| !open);
        let most = self.most.filter(|most| learnt.is_none_or(|learnt| *most < learnt));
        let reason = match (most, open) {
            (Some(_), _) => CEILING,
            (None, true) => WATCHED,
            (None, false) => decision.reason.name(),
        };
        let map = self.map(now, at);
        Allocation {
            session: self.session.clone(),
            number: self.number + 1,
            mode: self.mode,
            cap_kbps: most.or(learnt).filter(|_| self.mode != Mode::Off),
            reason: reason.to_owned(),
            kind: self.cap.kind().name().to_owned(),
            readability: self.readability,
            map,
            slot_ms: (self.mode == Mode::Full && !open).then_some(SLOT_MS),
        }
    }
}

/// The words of a question that a line could have.
fn telling(question: &str) -> Vec<String> {
    question
        .to_lowercase()
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| word.chars().count() >= TELLING)
        .take(32)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests;
