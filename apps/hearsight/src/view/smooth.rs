//! Pictures at every display moment: those that came as they are, those between them made, the missing ones led on along
//! the last vectors for at most one interval, and then held.

use std::collections::VecDeque;

use hearsight_core::media::{Decoded, Picture, Planes};
use hearsight_core::schedule::Strain;
use hearsight_core::stage::{Engine, Fault, Lost, Outbox, Signal, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_shaders::interpolate::Rung;

use super::coder::deadline;
use super::display::{Arrival, Display, Limits, Tick};
use super::hand::{Hand, Parent, Place, Trouble};
use super::ladder::{Ladder, Work};
use super::{Effort, Origin, Reason, Shown, State, Style};
use crate::budget;
use crate::watch::Screen;

/// Pictures that are kept: those that wait for their moment, and the two that others are made of. At 60 pictures a second
/// five come within the longest wait.
const MOST_KEPT: usize = 8;
/// Pictures farther apart than so many intervals have nothing between them that could be known.
const FAR_APART: i64 = 4;

/// Shows a session's picture at a higher rate. One picture is made in one slice.
pub struct Smooth {
    hand: Hand,
    screen: Screen,
    effort: Effort,
    /// The best that was asked for.
    wanted: Rung,
    display: Display,
    ladder: Ladder,
    /// That of the machine in this step.
    strain: Strain,
    kept: VecDeque<Kept>,
    /// Something was lost since the last picture: the next one's vectors refer to what never came.
    broken: bool,
    /// What the slice that runs is spent on, until its cost is known.
    making: Option<Making>,
}

struct Kept {
    unit: Stamped<()>,
    parent: Parent,
    shown: bool,
}

#[derive(Clone, Copy)]
struct Making {
    now: Moment,
    work: Work,
    pixels: u64,
    left: Span,
}

/// A picture that was made, under the envelope of the newest it is made of.
struct Made {
    unit: Stamped<()>,
    picture: Picture<Planes>,
    origin: Origin,
    rung: Rung,
}

/// What is to be done about a display moment.
enum Plan {
    Wait(Moment),
    /// This picture, as it is, showing this time.
    Show(usize, MediaTime),
    /// The picture at this place, of this one and the one before it.
    Make(usize, Place),
    Hold,
}

impl Smooth {
    /// Shows pictures on `screen` in this style, made by `hand`, as long as coding them is no more `effort` than there is
    /// time for.
    pub(crate) fn new(style: Style, hand: Hand, screen: Screen, effort: Effort) -> Smooth {
        let limits = Limits {
            times: style.times,
            max_fps: style.max_fps,
            most_delay: budget::PLAYOUT,
        };
        Smooth {
            screen,
            effort,
            wanted: style.best,
            display: Display::new(limits),
            ladder: ladder(&hand, style.best),
            strain: Strain::None,
            hand,
            kept: VecDeque::with_capacity(MOST_KEPT),
            broken: true,
            making: None,
        }
    }

    fn take(&mut self, now: Moment, unit: Stamped<Decoded>, out: &mut Outbox<Shown>) {
        let mut joined = !std::mem::take(&mut self.broken);
        match self.display.arrived(now, unit.at) {
            Arrival::Next => {}
            Arrival::Anew => {
                self.drop_oldest(self.kept.len(), Lost::Replaced, out);
                joined = false;
            }
            Arrival::Stale => {
                // The next one's vectors refer to this one.
                self.broken = true;
                out.lose(Lost::TooOld, 1);
                return;
            }
        }
        if self.kept.len() == MOST_KEPT {
            self.drop_oldest(1, Lost::Replaced, out);
        }
        self.kept.push_back(Kept {
            unit: unit.with(()),
            parent: Parent::new(unit.item, joined),
            shown: false,
        });
    }

    /// Sees to every display moment that is due; stops after one that took work.
    fn advance(&mut self, now: Moment, out: &mut Outbox<Shown>) -> Wake {
        while let Some(tick) = self.display.next() {
            let made = match self.plan(tick, now) {
                Plan::Wait(until) => return Wake::At(until),
                Plan::Show(index, at) => {
                    self.show(tick, index, at, out);
                    continue;
                }
                Plan::Make(later, place) => self.make(tick, now, later, place),
                Plan::Hold => None,
            };
            let worked = self.making.is_some();
            self.put(tick, made, out);
            if worked {
                return self.display.next().map_or(Wake::OnSignal, |_| Wake::At(now));
            }
        }
        Wake::OnSignal
    }

    fn plan(&self, tick: Tick, now: Moment) -> Plan {
        let near =
            |kept: &Kept| !kept.shown && kept.unit.at - tick.at <= tick.reach && tick.at - kept.unit.at <= tick.reach;
        let here = self.kept.iter().enumerate().filter(|(_, kept)| near(kept));
        let distance = |kept: &Kept| (kept.unit.at - tick.at).nanos().abs();
        if let Some((index, kept)) = here.min_by_key(|(_, kept)| distance(kept)) {
            return if now < tick.due {
                Plan::Wait(tick.due)
            } else {
                Plan::Show(index, kept.unit.at)
            };
        }
        // Whoever is a whole period behind has no time to make what is late already.
        let behind = now >= tick.due + tick.period;
        let after = self.kept.partition_point(|kept| kept.unit.at <= tick.at);
        if after > 0 && after < self.kept.len() && self.known_between(after) && !behind {
            let begin = tick.due
                - self
                    .ladder
                    .lead(self.kept[after].parent.pixels())
                    .min(budget::SMOOTH_SLICE);
            if now < begin {
                return Plan::Wait(begin);
            }
            let (earlier, later) = (self.kept[after - 1].unit.at, self.kept[after].unit.at);
            let at = (tick.at - earlier).secs_f64() / (later - earlier).secs_f64();
            return Plan::Make(after, Place::Between(at as f32));
        }
        if now < tick.due {
            return Plan::Wait(tick.due);
        }
        if after == 0 || after < self.kept.len() {
            return Plan::Hold;
        }
        let last = after - 1;
        if !self.kept[last].shown {
            // It came after its moment, and is still newer than what is to be seen.
            return Plan::Show(last, tick.at);
        }
        if last > 0 && self.known_between(last) && !behind {
            let at = self.kept[last].unit.at;
            let interval = at - self.kept[last - 1].unit.at;
            let by = (tick.at - at).secs_f64() / interval.secs_f64();
            // A little more than one interval is one: timestamps are rounded.
            if by <= 1.1 {
                return Plan::Make(last, Place::Beyond(by as f32));
            }
        }
        Plan::Hold
    }

    /// Whether the way from the picture before to this one is known.
    fn known_between(&self, later: usize) -> bool {
        let apart = self.kept[later].unit.at - self.kept[later - 1].unit.at;
        let near = self
            .display
            .interval()
            .is_some_and(|interval| apart <= interval * FAR_APART);
        self.kept[later].parent.joined && near
    }

    /// Makes a picture if there is time for it; `None` where the one before is held.
    fn make(&mut self, tick: Tick, now: Moment, later: usize, place: Place) -> Option<Made> {
        let unit = self.kept[later].unit.with(());
        let pixels = self.kept[later].parent.pixels();
        let left = self.time_left(tick, now, &unit, place);
        let (rung, origin) = match place {
            _ if self.most() == Rung::Hold => (Rung::Hold, Origin::Made),
            Place::Between(_) => (self.ladder.choose(now, left, pixels).max(self.most()), Origin::Made),
            Place::Beyond(_) if self.ladder.may_extrapolate(now, left, pixels) => {
                (self.ladder.ceiling().max(Rung::Vectors), Origin::Extrapolated)
            }
            Place::Beyond(_) => (Rung::Hold, Origin::Extrapolated),
        };
        if rung == Rung::Hold {
            return None;
        }
        let work = match place {
            Place::Between(_) => Work::Between(rung),
            Place::Beyond(_) => Work::Beyond,
        };
        self.making = Some(Making {
            now,
            work,
            pixels,
            left,
        });
        let (before, after) = self.kept.make_contiguous().split_at_mut(later);
        let (earlier, later) = (&mut before[later - 1].parent, &mut after[0].parent);
        match self.hand.make(earlier, later, place, rung) {
            Ok(picture) => picture.map(|picture| Made {
                unit,
                picture,
                origin,
                rung,
            }),
            Err(problem) => {
                self.forgive(&problem);
                None
            }
        }
    }

    /// Until when a picture must be made: it has a place among the others on the screen, a deadline at the outlet, and a
    /// slice.
    fn time_left(&self, tick: Tick, now: Moment, unit: &Stamped<()>, place: Place) -> Span {
        if self.effort.get() > tick.period {
            // Pictures come faster than they can be coded.
            return Span::ZERO;
        }
        let grace = match place {
            Place::Between(_) => tick.period / 2,
            Place::Beyond(_) => tick.period,
        };
        let deadline = deadline(unit) - self.effort.get();
        ((tick.due + grace).min(deadline) - now).min(budget::SMOOTH_SLICE)
    }

    fn forgive(&mut self, problem: &Trouble) {
        if let Trouble::Device(problem) = problem
            && problem.needs_reopen()
        {
            tracing::warn!(%problem, "the graphics processor is lost: pictures of this session are made on the CPU");
            self.hand = Hand::Cpu;
            self.ladder = ladder(&self.hand, self.wanted);
        }
    }

    fn show(&mut self, tick: Tick, index: usize, at: MediaTime, out: &mut Outbox<Shown>) {
        let kept = &mut self.kept[index];
        kept.shown = true;
        let mut unit = kept.unit.clone();
        unit.at = at;
        let shown = self.shown(tick, Origin::Received, None);
        let picture = Some(self.kept[index].parent.picture.clone());
        out.put(unit.with(Shown { picture, ..shown }));
        self.pass(tick, at, out);
    }

    fn put(&mut self, tick: Tick, made: Option<Made>, out: &mut Outbox<Shown>) {
        let (unit, shown) = match made {
            Some(made) => {
                let picture = Some(made.picture);
                let shown = self.shown(tick, made.origin, Some(made.rung));
                (made.unit, Shown { picture, ..shown })
            }
            None => {
                let last = self.kept.iter().rev().find(|kept| kept.shown).or(self.kept.front());
                let Some(unit) = last.map(|kept| kept.unit.with(())) else {
                    self.display.restart();
                    return;
                };
                (unit, self.shown(tick, Origin::Held, None))
            }
        };
        let mut unit = unit.with(shown);
        unit.at = tick.at;
        out.put(unit);
        self.pass(tick, tick.at, out);
    }

    fn shown(&self, tick: Tick, origin: Origin, rung: Option<Rung>) -> Shown {
        let state = State {
            ceiling: self.ceiling(),
            reason: self.reason(),
            interval: self.display.interval(),
            period: tick.period,
        };
        Shown {
            origin,
            picture: None,
            rung,
            state,
        }
    }

    /// The best that the machine's strain leaves.
    fn most(&self) -> Rung {
        match self.strain {
            Strain::None => Rung::Full,
            Strain::Residual => Rung::Vectors,
            Strain::Made | Strain::Seeing | Strain::Partials | Strain::Newcomers => Rung::Hold,
        }
    }

    fn ceiling(&self) -> Rung {
        self.ladder.ceiling().max(self.most())
    }

    fn reason(&self) -> Option<Reason> {
        let ceiling = self.ceiling();
        let pixels = self.kept.back().map_or(0, |kept| kept.parent.pixels());
        if ceiling == self.wanted {
            None
        } else if self.most() > self.ladder.ceiling() {
            Some(Reason::Overload)
        } else if matches!(self.hand, Hand::Cpu) && (ceiling == self.ladder.best() || self.ladder.too_dear(pixels)) {
            Some(Reason::NoGpu)
        } else {
            Some(Reason::Overload)
        }
    }

    /// The display moment is over: what nothing can be made of any more is let go.
    fn pass(&mut self, tick: Tick, at: MediaTime, out: &mut Outbox<Shown>) {
        self.display.pass(tick, at);
        let pixels = self.kept.back().map_or(0, |kept| kept.parent.pixels());
        self.display
            .set_lead(self.ladder.lead(pixels).min(budget::SMOOTH_SLICE));
        let next = self.display.next().map_or(at, |next| next.at);
        // The last two lead on to the next.
        let gone = self.kept.partition_point(|kept| kept.unit.at <= next).saturating_sub(1);
        let gone = gone.min(self.kept.len().saturating_sub(2));
        self.drop_oldest(gone, Lost::Replaced, out);
    }

    /// Forgets so many pictures. Those that never had their moment are lost.
    fn drop_oldest(&mut self, count: usize, why: Lost, out: &mut Outbox<Shown>) {
        let lost = self.kept.drain(..count).filter(|kept| !kept.shown).count();
        if lost > 0 {
            out.lose(why, lost as u32);
        }
    }

    /// Forgets everything, until the next picture.
    fn rest(&mut self) {
        self.kept.clear();
        self.display.restart();
        self.broken = true;
    }

    /// Lets out what waits for its moment.
    fn finish(&mut self, out: &mut Outbox<Shown>) {
        while let Some(tick) = self.display.next()
            && let Some(index) = self
                .kept
                .iter()
                .position(|kept| !kept.shown && kept.unit.at + tick.reach >= tick.at)
        {
            let at = self.kept[index].unit.at;
            self.show(tick, index, at, out);
        }
        out.end();
    }
}

/// What is in reach of a hand: the residual network takes a graphics processor.
fn ladder(hand: &Hand, wanted: Rung) -> Ladder {
    let best = match hand {
        Hand::Cpu => wanted.max(Rung::Vectors),
        Hand::Device(_) => wanted,
    };
    Ladder::new(best, budget::SMOOTH_SLICE)
}

impl Engine for Smooth {
    type In = Decoded;
    type Out = Shown;

    fn run(&mut self, now: Moment, signal: Signal<Decoded>, out: &mut Outbox<Shown>) -> Result<Wake, Fault> {
        self.making = None;
        self.strain = out.strain();
        let watched = self.screen.watched();
        match signal {
            Signal::Item(unit) if watched => self.take(now, unit, out),
            Signal::Item(_) | Signal::Timer => {}
            Signal::Gap(gap) => {
                self.broken = true;
                out.pass(gap);
            }
            Signal::Flush(_) => {
                self.drop_oldest(self.kept.len(), Lost::Refused, out);
                self.rest();
            }
            Signal::End => {
                self.finish(out);
                return Ok(Wake::OnSignal);
            }
        }
        if !watched {
            self.rest();
            return Ok(Wake::OnSignal);
        }
        Ok(self.advance(now, out))
    }

    fn slice(&self) -> Span {
        budget::SMOOTH_SLICE
    }

    /// How long a picture that is there may wait for its moment.
    fn delay(&self) -> Span {
        budget::PLAYOUT
    }

    fn variant(&self) -> u8 {
        self.ceiling() as u8
    }

    fn took(&mut self, cost: Span) {
        if let Some(Making {
            now,
            work,
            pixels,
            left,
        }) = self.making.take()
        {
            self.ladder.took(now, work, pixels, cost, left);
        }
    }
}
