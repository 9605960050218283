//! When which moment of the picture is shown: the display clock.
//!
//! Display moments lie evenly on the sender's timeline, a whole number of them to each interval between its pictures, and
//! take up their place anew at every picture that is shown as it came, so that a sender's drift never adds up. Each comes
//! due on our clock when the picture after it is likely to be here: the least that pictures took of late, plus what most
//! of them took beyond that, plus the wait for the next one.

use std::collections::VecDeque;

use hearsight_core::time::{MediaTime, Moment, Span};

/// Intervals of which the middle one counts: at 30 pictures a second, half a second to follow a change.
const INTERVALS: usize = 15;
/// Arrivals that the wait for late pictures is judged by: two seconds at 30 pictures a second.
const ARRIVALS: usize = 64;
/// The share of pictures that the playout delay waits for; those beyond it are extrapolated.
const WAITED_FOR: usize = 95;
/// Media time and our clock may part by so much before it counts as another timeline, not as jitter.
const FAR: Span = Span::from_millis(500);
/// After so long without a picture the display rests until one comes.
const SILENCE: Span = Span::from_secs(1);
/// Rates beyond are taken for broken timestamps: no sender of pictures for people is faster.
const SHORTEST: Span = Span::from_millis(4);
/// A picture that comes this little after the one that most of them keep to is not late: hosts wake no more finely.
const GRAIN: Span = Span::from_millis(3);
/// A delay that was too long shrinks by so much with each picture: unnoticed, and gone within seconds.
const SHRINK: Span = Span::from_micros(500);

/// What the display may do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Display moments for each picture, at most; at least 1.
    pub times: u32,
    /// Display moments a second, at most.
    pub max_fps: u32,
    /// How long a picture may wait for its moment, at most.
    pub most_delay: Span,
}

/// Where a picture belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// After the one before.
    Next,
    /// On another timeline than the one before: nothing lies between the two.
    Anew,
    /// Before the one before: its moment is gone.
    Stale,
}

/// One display moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tick {
    /// What it shows.
    pub at: MediaTime,
    /// When.
    pub due: Moment,
    /// A picture no farther than this from `at` is shown as it is.
    pub reach: Span,
    /// From this to the next.
    pub period: Span,
}

/// The display clock of one stream of pictures.
#[derive(Debug)]
pub struct Display {
    limits: Limits,
    /// How long making a picture takes: it must be here so much earlier.
    lead: Span,
    intervals: VecDeque<Span>,
    /// Arrival minus media time, oldest first.
    offsets: VecDeque<Span>,
    last: Option<MediaTime>,
    delay: Span,
    next: Option<MediaTime>,
    /// The display moment before: no later one comes sooner.
    shown: Option<Moment>,
}

impl Display {
    /// A clock that starts with the first picture.
    pub fn new(limits: Limits) -> Display {
        Display {
            limits,
            lead: Span::ZERO,
            intervals: VecDeque::with_capacity(INTERVALS),
            offsets: VecDeque::with_capacity(ARRIVALS),
            last: None,
            delay: Span::ZERO,
            next: None,
            shown: None,
        }
    }

    /// A picture that shows `at` is here.
    pub fn arrived(&mut self, now: Moment, at: MediaTime) -> Arrival {
        let offset = Span::from_nanos(now.nanos().saturating_sub(at.nanos()));
        let parted = |base: Span| offset - base > FAR || base - offset > FAR;
        let arrival = match self.last {
            None => Arrival::Anew,
            Some(last) if self.base().is_some_and(parted) || last - at > FAR => Arrival::Anew,
            Some(last) if at <= last => Arrival::Stale,
            Some(_) => Arrival::Next,
        };
        match arrival {
            Arrival::Stale => return arrival,
            Arrival::Anew => self.restart(),
            Arrival::Next => {
                let interval = self.last.map_or(Span::ZERO, |last| at - last);
                if interval >= SHORTEST {
                    push(&mut self.intervals, INTERVALS, interval);
                }
            }
        }
        push(&mut self.offsets, ARRIVALS, offset);
        self.last = Some(at);
        let wanted = self.wanted_delay();
        self.delay = if wanted > self.delay {
            wanted
        } else {
            wanted.max(self.delay - SHRINK)
        };
        self.next.get_or_insert(at);
        arrival
    }

    /// How long making a picture takes now.
    pub fn set_lead(&mut self, lead: Span) {
        self.lead = lead.max(Span::ZERO);
    }

    /// The next display moment, as things are; `None` while the display rests.
    pub fn next(&self) -> Option<Tick> {
        let (at, base) = (self.next?, self.base()?);
        let period = self.period().unwrap_or(SILENCE);
        let due = Moment::from_nanos(at.nanos().saturating_add((base + self.delay).nanos()));
        Some(Tick {
            at,
            due: self.shown.map_or(due, |shown| due.max(shown)),
            reach: period / 2,
            period,
        })
    }

    /// The display moment is over; what was shown in it shows `at`.
    pub fn pass(&mut self, tick: Tick, at: MediaTime) {
        self.shown = Some(tick.due);
        // Before two pictures came nobody knows when the next is due: the display waits for it.
        let next = self.period().map(|period| at + period);
        self.next = next.filter(|next| self.last.is_some_and(|last| *next - last <= SILENCE));
    }

    /// Forgets everything but its limits.
    pub fn restart(&mut self) {
        *self = Display {
            lead: self.lead,
            ..Display::new(self.limits)
        };
    }

    /// Time between the sender's pictures; `None` before there were two.
    pub fn interval(&self) -> Option<Span> {
        let mut sorted: Vec<Span> = self.intervals.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    /// How many display moments there are for each picture: as many as asked for, and fewer where they would come faster
    /// than is allowed, or where the wait for the next picture would take too long. Jitter is not held against a rate: what
    /// it costs, the pictures that come too late pay.
    pub fn times(&self) -> u32 {
        let Some(interval) = self.interval() else { return 1 };
        let fits = |times: &u32| {
            // A rate a little over the limit is the limit, measured on a clock of its own.
            let fps = f64::from(*times) / interval.secs_f64();
            fps <= f64::from(self.limits.max_fps) * 1.05 && self.ahead(interval, *times) <= self.limits.most_delay
        };
        (2..=self.limits.times).rev().find(fits).unwrap_or(1)
    }

    fn period(&self) -> Option<Span> {
        Some(self.interval()? / i64::from(self.times()))
    }

    /// The least time that pictures took of late, as an offset between the two clocks.
    fn base(&self) -> Option<Span> {
        self.offsets.iter().min().copied()
    }

    fn wanted_delay(&self) -> Span {
        let ahead = self
            .interval()
            .map_or(Span::ZERO, |interval| self.ahead(interval, self.times()));
        (ahead + self.jitter() + GRAIN).min(self.limits.most_delay)
    }

    /// How long after its own time a picture is waited for by the first that is made before it.
    fn ahead(&self, interval: Span, times: u32) -> Span {
        if times > 1 {
            interval - interval / i64::from(times) + self.lead
        } else {
            Span::ZERO
        }
    }

    /// What most pictures took beyond the least.
    fn jitter(&self) -> Span {
        let mut sorted: Vec<Span> = self.offsets.iter().copied().collect();
        sorted.sort_unstable();
        let most = sorted.get((sorted.len() * WAITED_FOR / 100).min(sorted.len().saturating_sub(1)));
        match (sorted.first(), most) {
            (Some(least), Some(most)) => *most - *least,
            _ => Span::ZERO,
        }
    }
}

fn push(ring: &mut VecDeque<Span>, most: usize, span: Span) {
    if ring.len() == most {
        ring.pop_front();
    }
    ring.push_back(span);
}
