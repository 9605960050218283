//! What became of the display moments, and how things stand, once a second.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use hearsight_core::media::Flow;
use hearsight_core::stage::{Outbox, Signal, Stage, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{Moment, Span};
use hearsight_shaders::interpolate::Rung;

use super::ladder::RUNGS;
use super::{Origin, Reason, Shown, State};

/// Time from one report to the next.
const EVERY: Span = Span::from_secs(1);

/// What became of the display moments since the session began, and how things stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counts {
    /// Display moments, in the order of [`Origin::ALL`].
    pub moments: [u64; Origin::ALL.len()],
    /// The best rung that is tried now.
    pub rung: Rung,
    /// Why that is not the best there is.
    pub reason: Option<Reason>,
    /// Pictures a second that come.
    pub fps_in: f32,
    /// Pictures a second that go, over the time since the last report.
    pub fps_out: f32,
}

impl Flow for Counts {}

impl Counts {
    /// Display moments whose picture came from there.
    pub fn of(&self, origin: Origin) -> u64 {
        self.moments[origin as usize]
    }
}

/// What the views of all sessions came to. Copies share it.
#[derive(Clone, Debug, Default)]
pub struct Totals(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    moments: [AtomicU64; Origin::ALL.len()],
    /// Views at work, by rung.
    rungs: Mutex<[u64; RUNGS.len()]>,
}

impl Totals {
    /// Display moments so far, by the name of their origin.
    pub fn moments(&self) -> [(&'static str, u64); Origin::ALL.len()] {
        Origin::ALL.map(|origin| (origin.name(), self.0.moments[origin as usize].load(Relaxed)))
    }

    /// Views that are being watched, by the name of the best rung that each tries.
    pub fn rungs(&self) -> [(&'static str, u64); RUNGS.len()] {
        let counts = *self.0.rungs.lock().unwrap_or_else(PoisonError::into_inner);
        std::array::from_fn(|place| (name(RUNGS[place]), counts[place]))
    }

    fn stand(&self, from: Option<Rung>, to: Option<Rung>) {
        let mut counts = self.0.rungs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut change = |rung: Option<Rung>, by: i64| {
            if let Some(place) = rung.and_then(|rung| RUNGS.iter().position(|known| *known == rung)) {
                counts[place] = counts[place].saturating_add_signed(by);
            }
        };
        change(from, -1);
        change(to, 1);
    }
}

/// The name of a rung on the wire and in metrics.
pub(super) const fn name(rung: Rung) -> &'static str {
    match rung {
        Rung::Full => "full",
        Rung::Vectors => "vectors",
        Rung::Blend => "blend",
        Rung::Hold => "hold",
    }
}

/// Counts the display moments of one view, and reports once a second while there are any.
pub struct Account {
    totals: Totals,
    moments: [u64; Origin::ALL.len()],
    /// Pictures since the last report, which was then.
    pictures: u32,
    reported: Option<Moment>,
    /// The last one since then.
    last: Option<(Stamped<()>, State)>,
    /// The rung that it counts under among all views.
    standing: Option<Rung>,
}

impl Account {
    /// Counts into `totals` as well.
    pub fn new(totals: Totals) -> Account {
        Account {
            totals,
            moments: [0; Origin::ALL.len()],
            pictures: 0,
            reported: None,
            last: None,
            standing: None,
        }
    }

    fn take(&mut self, now: Moment, unit: Stamped<Shown>) {
        let Shown { origin, state, .. } = unit.item;
        self.moments[origin as usize] += 1;
        self.totals.0.moments[origin as usize].fetch_add(1, Relaxed);
        self.pictures += u32::from(origin != Origin::Held);
        self.stand(Some(state.ceiling));
        self.last = Some((unit.with(()), state));
        self.reported.get_or_insert(now);
    }

    fn stand(&mut self, rung: Option<Rung>) {
        if rung != self.standing {
            self.totals.stand(self.standing, rung);
            self.standing = rung;
        }
    }

    /// Reports what came since the last time; nothing did where nobody watches.
    fn report(&mut self, now: Moment, out: &mut Outbox<Counts>) -> Wake {
        let Some(reported) = self.reported else {
            return Wake::OnSignal;
        };
        if now - reported < EVERY {
            return Wake::At(reported + EVERY);
        }
        let Some((unit, state)) = self.last.take() else {
            self.reported = None;
            self.stand(None);
            return Wake::OnSignal;
        };
        let counts = Counts {
            moments: self.moments,
            rung: state.ceiling,
            reason: state.reason,
            fps_in: state
                .interval
                .map_or(0.0, |interval| (1.0 / interval.secs_f64()) as f32),
            fps_out: (f64::from(self.pictures) / (now - reported).secs_f64()) as f32,
        };
        out.put(unit.with(counts));
        self.pictures = 0;
        self.reported = Some(now);
        Wake::At(now + EVERY)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.stand(None);
    }
}

impl Stage for Account {
    type In = Shown;
    type Out = Counts;

    fn step(&mut self, now: Moment, signal: Signal<Shown>, out: &mut Outbox<Counts>) -> Wake {
        match signal {
            Signal::Item(unit) => self.take(now, unit),
            Signal::Gap(gap) => out.pass(gap),
            Signal::End => out.end(),
            // What was shown was seen, whatever is flushed.
            Signal::Flush(_) | Signal::Timer => {}
        }
        self.report(now, out)
    }
}
