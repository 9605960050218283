//! Chosen pictures to readings, in slices: one that finds what looks like text, then one for each line.

use std::sync::Arc;

use hearsight_core::gate::{Budget, Gate};
use hearsight_core::media::{Line, Picture, Planes, Readability, Reading};
use hearsight_core::stage::{Engine, Fault, Lost, Outbox, Signal, Wake};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{MediaTime, Moment, Span};

use super::canvas::{Strip, check};
use super::choose::{Choice, Chosen};
use super::order::reading_order;
use super::shape::Slant;
use super::{Eyes, Spot, Text, evidence};

/// The longest slice: finding text in the largest picture that is looked at, or reading the longest line.
const SLICE: Span = Span::from_millis(150);
/// After so long a reading is told as far as it has come: what its budget leaves, past the ways of the picture.
const PART: Span = Span::from_millis(240);
/// Lines that are read in one picture, the largest first.
const MOST_LINES: usize = 32;
/// Places that look less like text are not read, though they count as evidence (the reference's own bound).
const STRONG: f32 = 0.5;
/// A line of less certainty is not told (the reference's own bound).
const SURE: f32 = 0.5;
/// Sides that pictures are scaled down to before text is looked for, by how much time looking takes: size gives way before
/// lines do.
const SIDES: [u32; 3] = [960, 736, 544];
/// The configuration in which it tells, or reads on, what it knows; the others are those of [`SIDES`].
const STANDING: u8 = SIDES.len() as u8;
/// Looks in a row that took a third of a slice at most, after which the next larger side is tried.
const EASY: u32 = 8;
/// Readings in a row that the gate refuses before it lets one through, to learn whether things got better.
const PROBE_AFTER: u32 = 8;

/// What a reader is held to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Under which readings leave.
    pub budget: Budget,
}

/// Reads chosen pictures. One at a time; of those that come meanwhile the newest is kept.
///
/// A reading that takes long is told in parts, as long as no newer picture waits and its budget lasts; what is left counts as
/// unread. A line whose pixels have not changed since it was read is not read again. An unchanged picture is answered with
/// the last reading, under the new picture's envelope; where that left lines unread for lack of time, they come next, one at
/// least, whatever time there is. Where nothing looks like text nothing is said, once that has been said. Gaps are not passed
/// on: whoever shows pictures tells of them.
pub struct Reader<E> {
    eyes: E,
    config: Config,
    gate: Gate,
    work: Option<Work>,
    held: Option<Stamped<Chosen>>,
    /// The lines of the last reading, and the reading.
    known: Vec<Seen>,
    last: Option<Reading>,
    /// Places beyond [`MOST_LINES`] in it.
    beyond: u32,
    /// What the reading under way has cost so far, whether the gate is to learn of it, and whether any of it has been told.
    cost: Span,
    admitted: bool,
    told: bool,
    /// What the last slice did, and how long the last line took.
    did: Did,
    line: Span,
    side: usize,
    easy: u32,
}

/// What a slice was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    Look,
    Line,
    Little,
}

/// A reading under way.
struct Work {
    shown: Stamped<Chosen>,
    begun: Moment,
    /// It shows what was known before.
    stands: bool,
    /// Lines read in it.
    read: u32,
    /// The largest first.
    seen: Vec<Seen>,
    /// Places beyond [`MOST_LINES`].
    beyond: u32,
}

/// A place that looks like text, and what became of it.
#[derive(Clone)]
struct Seen {
    spot: Spot,
    strip: Strip,
    /// None: it is not to be read, or not yet.
    text: Option<Text>,
}

impl Seen {
    fn wants_reading(&self) -> bool {
        self.text.is_none() && self.spot.strength >= STRONG
    }
    /// What it says, where it can be relied on.
    fn said(&self) -> Option<&Text> {
        let text = self.text.as_ref()?;
        (text.certainty.get() >= SURE && !text.text.is_empty()).then_some(text)
    }
    fn readability(&self) -> (f32, f32) {
        let certainty = self.said().map(|text| text.certainty.get());
        let length = self.spot.slant.width / self.spot.slant.height.max(1.0);
        (
            evidence::place(&self.strip, self.spot.strength, certainty),
            length.max(1.0),
        )
    }
    /// Whether a place in a newer picture is this one, unchanged.
    fn goes_on(&self, picture: &Picture<Planes>, spot: &Spot) -> bool {
        let (was, is) = (self.spot.slant, spot.slant);
        let near = |a: f32, b: f32, by: f32| (a - b).abs() <= by * was.height;
        near(was.centre.x, is.centre.x, 0.5)
            && near(was.centre.y, is.centre.y, 0.25)
            && near(was.width, is.width, 0.5)
            && near(was.height, is.height, 0.25)
            && evidence::same(&self.strip, &Strip::of(picture, &was))
    }
}

impl<E: Eyes> Reader<E> {
    /// A reader for one session.
    pub fn new(eyes: E, config: Config) -> Reader<E> {
        Reader {
            eyes,
            config,
            gate: Gate::new(PROBE_AFTER),
            work: None,
            held: None,
            known: Vec::new(),
            last: None,
            beyond: 0,
            cost: Span::ZERO,
            admitted: false,
            told: false,
            did: Did::Little,
            line: Span::ZERO,
            side: 0,
            easy: 0,
        }
    }

    /// For fakes, which have something to say about costs.
    pub(crate) fn eyes_mut(&mut self) -> &mut E {
        &mut self.eyes
    }

    fn begin(&mut self, now: Moment, shown: Stamped<Chosen>, out: &mut Outbox<Reading>) -> Result<(), Fault> {
        let picture = &shown.item.picture;
        if check(picture).is_err() {
            out.lose(Lost::Undecodable, 1);
            return Ok(());
        }
        (self.cost, self.admitted, self.told) = (Span::ZERO, false, false);
        if shown.item.choice == Choice::Unchanged && self.stands(picture) {
            if let Some(last) = self.last.clone().filter(says_something) {
                put(now, &shown, last, out);
            }
            if self.known.iter().any(Seen::wants_reading) {
                self.work = Some(Work {
                    shown,
                    begun: now,
                    stands: true,
                    read: 0,
                    seen: self.known.clone(),
                    beyond: self.beyond,
                });
            }
            return Ok(());
        }
        let deadline = self.config.budget.deadline(shown.born);
        if !self.gate.admit(now, Span::ZERO, deadline) {
            out.lose(Lost::Refused, 1);
            return Ok(());
        }
        (self.admitted, self.did) = (true, Did::Look);
        let mut spots = self.eyes.look(shown.at, picture, SIDES[self.side])?;
        spots.retain(|spot| spot.slant.sound() && spot.strength.is_finite());
        let area = |spot: &Spot| spot.slant.width * spot.slant.height;
        spots.sort_by(|a, b| area(b).total_cmp(&area(a)));
        let beyond = spots.len().saturating_sub(MOST_LINES) as u32;
        spots.truncate(MOST_LINES);
        let seen = spots.iter().map(|spot| self.recall(picture, spot)).collect();
        self.work = Some(Work {
            shown,
            begun: now,
            stands: false,
            read: 0,
            seen,
            beyond,
        });
        if !self.unfinished() {
            self.finish(now, out);
        }
        Ok(())
    }

    /// A place as it was known, or as a new one.
    fn recall(&self, picture: &Picture<Planes>, spot: &Spot) -> Seen {
        let known = self.known.iter().find(|known| known.goes_on(picture, spot));
        known.cloned().unwrap_or_else(|| Seen {
            spot: *spot,
            strip: Strip::of(picture, &spot.slant),
            text: None,
        })
    }

    /// Whether each line of the last reading stands as it stood.
    fn stands(&self, picture: &Picture<Planes>) -> bool {
        let stands = |seen: &Seen| evidence::same(&seen.strip, &Strip::of(picture, &seen.spot.slant));
        self.last.is_some() && self.known.iter().all(stands)
    }

    fn unfinished(&self) -> bool {
        self.work
            .as_ref()
            .is_some_and(|work| work.seen.iter().any(Seen::wants_reading))
    }

    /// One more line of the reading under way, or its end.
    fn go_on(&mut self, now: Moment, out: &mut Outbox<Reading>) -> Result<(), Fault> {
        let Some(work) = &mut self.work else { return Ok(()) };
        let long = now - work.begun > PART;
        // A machine that is overloaded takes longer than is declared.
        let late = now + SLICE.max(self.line) > self.config.budget.deadline(work.shown.born);
        // What comes too late of a picture that stands is told with the next.
        let late = late && (work.read > 0 || !work.stands);
        if late || (long && self.held.is_some()) {
            self.finish(now, out);
            return Ok(());
        }
        if long {
            work.begun = now;
            self.tell(now, out);
        }
        let Some(work) = &mut self.work else { return Ok(()) };
        if let Some(seen) = work.seen.iter_mut().find(|seen| seen.wants_reading()) {
            (self.did, work.read) = (Did::Line, work.read + 1);
            let text = self
                .eyes
                .read(work.shown.at, &work.shown.item.picture, &seen.spot.slant)?;
            if text.turned {
                seen.spot.slant = seen.spot.slant.turned();
                seen.strip = Strip::of(&work.shown.item.picture, &seen.spot.slant);
            }
            seen.text = Some(text);
        }
        if !self.unfinished() {
            self.finish(now, out);
        }
        Ok(())
    }

    fn finish(&mut self, now: Moment, out: &mut Outbox<Reading>) {
        self.tell(now, out);
        self.work = None;
    }

    /// Says what the reading under way has come to.
    fn tell(&mut self, now: Moment, out: &mut Outbox<Reading>) {
        let Some(work) = &self.work else { return };
        let reading = reading(work);
        (self.known, self.beyond) = (work.seen.clone(), work.beyond);
        self.told = true;
        let before = self.last.replace(reading.clone());
        if says_something(&reading) || before.is_some_and(|before| says_something(&before)) {
            put(now, &work.shown, reading, out);
        }
    }

    /// Looks at smaller pictures while looking takes too long, and at larger ones again when it has been easy for a while.
    fn fit(&mut self, cost: Span) {
        self.easy = if cost * 3 <= SLICE { self.easy + 1 } else { 0 };
        if cost > SLICE && self.side + 1 < SIDES.len() {
            self.side += 1;
        } else if self.easy >= EASY {
            (self.side, self.easy) = (self.side.saturating_sub(1), 0);
        }
    }

    fn forget(&mut self) {
        (self.work, self.held, self.last) = (None, None, None);
        self.known.clear();
    }
}

fn says_something(reading: &Reading) -> bool {
    reading.unread > 0 || !reading.lines.is_empty()
}

fn put(now: Moment, shown: &Stamped<Chosen>, reading: Reading, out: &mut Outbox<Reading>) {
    let mut unit = shown.with(reading);
    unit.trail.stamp(Mark::Read, now);
    out.put(unit);
}

fn reading(work: &Work) -> Reading {
    let picture = &work.shown.item.picture;
    let slants: Vec<Slant> = work.seen.iter().map(|seen| seen.spot.slant).collect();
    let lines: Arc<[Line]> = reading_order(&slants)
        .into_iter()
        .filter_map(|place| {
            let text = work.seen[place].said()?;
            Some(Line {
                text: text.text.as_str().into(),
                region: slants[place].region(picture.width, picture.height),
                certainty: text.certainty,
            })
        })
        .collect();
    let readability: Option<Readability> = evidence::all(work.seen.iter().map(Seen::readability));
    let read: MediaTime = work.shown.at;
    Reading {
        unread: work.beyond + (work.seen.len() - lines.len()) as u32,
        lines,
        readability,
        read,
    }
}

impl<E: Eyes> Engine for Reader<E> {
    type In = Chosen;
    type Out = Reading;

    fn run(&mut self, now: Moment, signal: Signal<Chosen>, out: &mut Outbox<Reading>) -> Result<Wake, Fault> {
        self.did = Did::Little;
        let done = match signal {
            Signal::Item(shown) if self.work.is_some() => {
                if self.held.replace(shown).is_some() {
                    out.lose(Lost::Replaced, 1);
                }
                self.go_on(now, out)
            }
            Signal::Item(shown) => {
                self.held = None;
                self.begin(now, shown, out)
            }
            Signal::Timer | Signal::Gap(_) => match (&self.work, self.held.take()) {
                (Some(_), held) => {
                    self.held = held;
                    self.go_on(now, out)
                }
                (None, Some(held)) => self.begin(now, held, out),
                (None, None) => Ok(()),
            },
            Signal::Flush(_) => {
                self.forget();
                Ok(())
            }
            Signal::End => {
                self.finish(now, out);
                out.end();
                return Ok(Wake::OnSignal);
            }
        };
        if let Err(fault) = done {
            self.forget();
            return Err(fault);
        }
        let more = self.work.is_some() || self.held.is_some();
        Ok(if more { Wake::At(now) } else { Wake::OnSignal })
    }

    fn slice(&self) -> Span {
        SLICE
    }

    /// A picture waits for the reading before it, which takes so long and the slice that its link counts; and is told as far
    /// as its own has come after as long.
    fn delay(&self) -> Span {
        PART * 2
    }

    /// A picture that shows what is known costs next to nothing, and on a machine too slow to look at another in time it is still
    /// told what it says.
    fn variant(&self) -> u8 {
        let side = self.side as u8;
        let stands = self.work.as_ref().map_or(self.last.is_some(), |work| work.stands);
        if stands { STANDING } else { side }
    }

    fn took(&mut self, cost: Span) {
        match std::mem::replace(&mut self.did, Did::Little) {
            Did::Line => self.line = cost,
            Did::Look => self.fit(cost),
            Did::Little => {}
        }
        self.cost += cost;
        // The gate asks how long it takes until something is told.
        if self.told && std::mem::take(&mut self.admitted) {
            self.gate.took(self.cost);
        }
    }
}

#[cfg(test)]
mod tests;
