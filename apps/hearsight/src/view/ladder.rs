//! How well a picture is made in the time that is left for it, and how well it is worth trying.
//!
//! Two decisions. Each picture takes the best rung whose learnt cost fits its own time. And there is a ceiling: where
//! pictures keep missing what the ceiling asks for, it comes down by a rung and stays there for a while; then the next
//! rung up is tried again, and every trial that fails doubles the time to the next.

use hearsight_core::gate::Percentile95;
use hearsight_core::time::{Moment, Span};
use hearsight_shaders::interpolate::Rung;

/// Every rung, best first.
pub const RUNGS: [Rung; 4] = [Rung::Full, Rung::Vectors, Rung::Blend, Rung::Hold];

/// What a miss adds to the strain, and what a picture kept takes away: one miss in five is one too many.
const MISS: u32 = 4;
/// The strain that brings the ceiling down: five misses in a row, a sixth of a second at 30 pictures a second.
const MOST_STRAIN: u32 = 5 * MISS;
/// Time from a step to the next trial upwards, at first.
const PATIENCE: Span = Span::from_secs(5);
/// And at most.
const MOST_PATIENCE: Span = Span::from_secs(60);
/// After a slice that was too long, nothing is made for so many times its length: whoever shares the thread comes first.
const REST: i64 = 4;
/// Costs are learnt for a picture of so many pixels, because they grow with them.
const PIXELS: i64 = 1 << 20;

/// One piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A picture between two others.
    Between(Rung),
    /// A picture after the last one, along its vectors.
    Beyond,
}

/// The rungs of one stream of pictures.
#[derive(Debug)]
pub struct Ladder {
    best: Rung,
    /// The longest that any of it should take.
    slice: Span,
    rests_until: Option<Moment>,
    ceiling: Rung,
    between: [Learnt; RUNGS.len()],
    beyond: Learnt,
    strain: u32,
    patience: Span,
    /// When the ceiling last moved; `None` before anything was chosen.
    moved: Option<Moment>,
    /// The ceiling is being tried: what failed here before may fail again.
    trial: bool,
}

/// What work of one kind takes.
#[derive(Debug, Default)]
struct Learnt {
    warm: bool,
    cost: Percentile95,
}

impl Learnt {
    /// Learns from all but the first, which pays for memory and code that are touched for the first time; says whether it did.
    fn learn(&mut self, cost: Span) -> bool {
        let warm = std::mem::replace(&mut self.warm, true);
        if warm {
            self.cost.learn(cost);
        }
        warm
    }
}

impl Ladder {
    /// A ladder that ends at `best`, for work in slices no longer than `slice`.
    pub fn new(best: Rung, slice: Span) -> Ladder {
        Ladder {
            best,
            slice,
            rests_until: None,
            ceiling: best,
            between: Default::default(),
            beyond: Learnt::default(),
            strain: 0,
            patience: PATIENCE,
            moved: None,
            trial: false,
        }
    }

    /// The best rung that is ever tried.
    pub fn best(&self) -> Rung {
        self.best
    }

    /// The best rung that is tried now.
    pub fn ceiling(&self) -> Rung {
        self.ceiling
    }

    /// What a picture of so many pixels made as well as the ceiling allows is likely to take.
    pub fn lead(&self, pixels: u64) -> Span {
        self.expected(Work::Between(self.ceiling), pixels).unwrap_or(Span::ZERO)
    }

    /// Whether the next rung up takes longer than a slice for a picture of so many pixels, however little else there is to do.
    pub fn too_dear(&self, pixels: u64) -> bool {
        let above = RUNGS[place(self.ceiling).saturating_sub(1)];
        above >= self.best
            && self
                .expected(Work::Between(above), pixels)
                .is_some_and(|cost| cost > self.slice)
    }

    /// How to make a picture of so many pixels within `left`.
    pub fn choose(&mut self, now: Moment, left: Span, pixels: u64) -> Rung {
        if self.rests(now) {
            return Rung::Hold;
        }
        self.climb(now);
        let fits = |rung: &Rung| *rung == Rung::Hold || self.fits(Work::Between(*rung), left, pixels);
        let chosen = RUNGS
            .into_iter()
            .filter(|rung| *rung >= self.ceiling)
            .find(fits)
            .unwrap_or(Rung::Hold);
        if chosen != self.ceiling {
            self.miss(now);
        }
        chosen
    }

    /// Whether a picture of so many pixels may be extrapolated within `left`.
    pub fn may_extrapolate(&self, now: Moment, left: Span, pixels: u64) -> bool {
        self.ceiling < Rung::Blend && !self.rests(now) && self.fits(Work::Beyond, left, pixels)
    }

    /// What work on a picture of so many pixels took, and whether that was in time.
    pub fn took(&mut self, now: Moment, work: Work, pixels: u64, cost: Span, left: Span) {
        let scaled =
            Span::from_nanos((i128::from(cost.nanos()) * i128::from(PIXELS) / i128::from(pixels.max(1))) as i64);
        let warm = self.cost_of(work).learn(scaled);
        if cost > self.slice {
            self.rests_until = Some(now + cost * (1 + REST));
        }
        if let Work::Between(rung) = work
            && warm
        {
            if cost > left {
                self.miss(now);
            } else if rung == self.ceiling {
                self.strain = self.strain.saturating_sub(1);
            }
        }
    }

    fn rests(&self, now: Moment) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    fn fits(&self, work: Work, left: Span, pixels: u64) -> bool {
        left > Span::ZERO && self.expected(work, pixels).is_none_or(|cost| cost <= left)
    }

    fn expected(&self, work: Work, pixels: u64) -> Option<Span> {
        let learnt = match work {
            Work::Between(rung) => self.between[place(rung)].cost.get(),
            Work::Beyond => self.beyond.cost.get(),
        };
        learnt.map(|cost| Span::from_nanos((i128::from(cost.nanos()) * i128::from(pixels) / i128::from(PIXELS)) as i64))
    }

    fn cost_of(&mut self, work: Work) -> &mut Learnt {
        match work {
            Work::Between(rung) => &mut self.between[place(rung)],
            Work::Beyond => &mut self.beyond,
        }
    }

    /// A picture was not made as well as the ceiling asks for, or not in time.
    fn miss(&mut self, now: Moment) {
        self.strain += MISS;
        if self.strain < MOST_STRAIN || self.ceiling == Rung::Hold {
            return;
        }
        self.patience = if self.trial {
            (self.patience * 2).min(MOST_PATIENCE)
        } else {
            PATIENCE
        };
        self.ceiling = RUNGS[place(self.ceiling) + 1];
        self.settle(now, false);
    }

    /// Tries the next rung up once it has been long enough.
    fn climb(&mut self, now: Moment) {
        let moved = *self.moved.get_or_insert(now);
        if now - moved < self.patience {
            return;
        }
        if self.trial {
            // It holds: whatever comes next is a new story.
            (self.trial, self.patience) = (false, PATIENCE);
        }
        if self.ceiling == self.best || self.strain > 0 && self.ceiling != Rung::Hold {
            return;
        }
        self.ceiling = RUNGS[place(self.ceiling) - 1];
        // What it cost when it failed says little of what it costs now.
        self.between[place(self.ceiling)] = Learnt::default();
        self.settle(now, true);
    }

    fn settle(&mut self, now: Moment, trial: bool) {
        (self.strain, self.moved, self.trial) = (0, Some(now), trial);
    }
}

fn place(rung: Rung) -> usize {
    RUNGS.iter().position(|known| *known == rung).unwrap_or(RUNGS.len() - 1)
}
