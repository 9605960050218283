//! What gives way under load, in a written order, and who may still come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::Lane;
use crate::time::{Moment, Span};

/// What gives way: each step with all before it. Final words and turns are not among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strain {
    /// Nothing.
    #[default]
    None,
    /// What a network adds to pictures that are made between two.
    Residual,
    /// Pictures between two.
    Made,
    /// How often, how closely and at what length pictures are read and asked about.
    Seeing,
    /// Words that may still change.
    Partials,
    /// Those who would come in.
    Newcomers,
}

impl Strain {
    /// Every step, in the order of giving way.
    pub const ALL: [Strain; 6] = [
        Strain::None,
        Strain::Residual,
        Strain::Made,
        Strain::Seeing,
        Strain::Partials,
        Strain::Newcomers,
    ];

    /// The name in metrics and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Strain::None => "none",
            Strain::Residual => "residual",
            Strain::Made => "made",
            Strain::Seeing => "seeing",
            Strain::Partials => "partials",
            Strain::Newcomers => "newcomers",
        }
    }

    fn below(self) -> Strain {
        Strain::ALL[(self as usize).saturating_sub(1)]
    }
}

/// The strain of a machine as its stages see it. Copies are of one machine.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU8>);

impl Gauge {
    /// What gives way now.
    #[inline]
    pub fn read(&self) -> Strain {
        Strain::ALL[usize::from(self.0.load(Ordering::Relaxed)) % Strain::ALL.len()]
    }
    /// That of a machine whose strain never changes, to compare with.
    pub fn fixed(strain: Strain) -> Gauge {
        let gauge = Gauge::default();
        gauge.set(strain);
        gauge
    }
    fn set(&self, strain: Strain) {
        self.0.store(strain as u8, Ordering::Relaxed);
    }
}

/// Waits are looked at so often.
const TICK: Span = Span::from_millis(100);
/// Without trouble a step is taken back after so long.
const RELIEF: Span = Span::from_secs(1);
/// Hearing's rate is learnt over this time.
const MEMORY: Span = Span::from_secs(2);
/// What a session's hearing takes of a processor before anything is known: that of somebody who speaks most of the time.
const UNKNOWN: f64 = 0.1;
/// Waits must be too long at so many looks in a row: a machine that was busy elsewhere for a moment is not overloaded.
const LOOKS: u8 = 5;
/// What hearing may take of the machine at its busiest: threads aside, of a tenth of the weight, get the rest where they want all that
/// they can have.
const HEARING: f64 = 0.87;
/// Headroom for more people speaking at once than usual, in standard deviations of their number.
const DEVIATIONS: f64 = 3.0;

/// How long waiting engines had to wait, by lane: how much is too much.
struct Bound {
    lane: Lane,
    wait: Span,
    strain: Strain,
}

const BOUNDS: [Bound; 6] = [
    bound(Lane::Show, 40, Strain::Residual),
    bound(Lane::Show, 80, Strain::Made),
    bound(Lane::See, 40, Strain::Seeing),
    bound(Lane::Hear, 40, Strain::Partials),
    bound(Lane::Hear, 60, Strain::Newcomers),
    bound(Lane::Listen, 20, Strain::Newcomers),
];

const fn bound(lane: Lane, millis: i64, strain: Strain) -> Bound {
    let wait = Span::from_millis(millis);
    Bound { lane, wait, strain }
}

/// Turns waits into strain, and says who may come in.
#[derive(Debug)]
pub(super) struct Watch {
    gauge: Gauge,
    processors: f64,
    next: Moment,
    relief: Moment,
    /// The longest wait in each lane since the last look.
    waits: [Span; Lane::ALL.len()],
    /// At how many looks in a row each of [`BOUNDS`] was passed.
    passed: [u8; BOUNDS.len()],
    /// Processors that hearing takes, over the last seconds.
    hearing: f64,
    spent: f64,
    looked: Moment,
    /// What one session's hearing takes, learnt slowly.
    each: f64,
    present: usize,
}

impl Watch {
    pub(super) fn new(processors: usize) -> Watch {
        Watch {
            gauge: Gauge::default(),
            processors: processors as f64,
            next: Moment::ZERO,
            relief: Moment::ZERO,
            waits: [Span::ZERO; Lane::ALL.len()],
            passed: [0; BOUNDS.len()],
            hearing: 0.0,
            spent: 0.0,
            looked: Moment::ZERO,
            each: UNKNOWN,
            present: 0,
        }
    }

    pub(super) fn gauge(&self) -> &Gauge {
        &self.gauge
    }

    pub(super) fn waited(&mut self, lane: Lane, wait: Span) {
        let longest = &mut self.waits[lane as usize];
        *longest = (*longest).max(wait);
    }

    pub(super) fn heard(&mut self, took: Span) {
        self.spent += took.secs_f64().max(0.0);
    }

    /// So many sessions are here.
    pub(super) fn holds(&mut self, present: usize) {
        self.present = present;
    }

    pub(super) fn is_due(&self, now: Moment) -> bool {
        now >= self.next
    }

    /// The last moment before `now`, or at it, at which waits are looked at.
    pub(super) fn tick(&self, now: Moment) -> Moment {
        let since = now - self.next;
        self.next + TICK * (since.nanos().max(0) / TICK.nanos())
    }

    /// Looks at the waits since the last time.
    pub(super) fn look(&mut self, now: Moment) {
        let passed = (now - self.looked).secs_f64();
        self.looked = now;
        self.next = now + TICK;
        if passed > 0.0 {
            let share = 1.0 - (-passed / MEMORY.secs_f64()).exp();
            self.hearing += (self.spent / passed - self.hearing) * share;
            self.spent = 0.0;
            if self.present > 0 {
                let each = self.hearing / self.present as f64;
                // Silence of a minute must not make everybody look free.
                self.each += (each.max(self.each / 4.0) - self.each) * (1.0 - (-passed / 20.0).exp());
            }
        }
        let waits = std::mem::take(&mut self.waits);
        let mut needed = None;
        for (bound, passed) in BOUNDS.iter().zip(&mut self.passed) {
            let over = waits[bound.lane as usize] > bound.wait;
            *passed = if over { passed.saturating_add(1) } else { 0 };
            if *passed >= LOOKS {
                needed = needed.max(Some(bound.strain));
            }
        }
        let now_in_force = self.gauge.read();
        match needed {
            Some(needed) if needed >= now_in_force => {
                self.gauge.set(needed);
                self.relief = now + RELIEF;
            }
            _ if now >= self.relief && now_in_force > Strain::None => {
                self.gauge.set(now_in_force.below());
                self.relief = now + RELIEF;
            }
            _ => {}
        }
    }

    /// Whether one more session finds room; otherwise when to ask again.
    pub(super) fn admit(&self) -> Result<(), Span> {
        if self.gauge.read() == Strain::Newcomers {
            return Err(RELIEF * 2);
        }
        // Who came lately takes what people take, though nothing was seen of it; who speaks more than people do is seen.
        let expected = self.hearing.max(self.each * self.present as f64) + self.each;
        // Who speaks half of the time, and takes nothing in the other half, takes as much more and less as they take on average.
        // How many speak at once varies by the square root of how many come: so the larger the machine, the less of it is headroom.
        let busiest = expected + DEVIATIONS * (expected * self.each).sqrt();
        if busiest > HEARING * self.processors {
            return Err(RELIEF * 5);
        }
        Ok(())
    }

    pub(super) fn hearing(&self) -> f64 {
        self.hearing
    }
}
