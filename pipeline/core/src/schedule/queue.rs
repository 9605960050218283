//! The engines of one lane that wait, best first, with a share for those who would be last.

use std::collections::{BTreeMap, BTreeSet};

use super::share::MOST_BAND;
use super::{Lane, Phase, Policy};
use crate::time::{Moment, Span};

/// One turn in so many goes to whoever waits longest, whatever it is worth: so nobody starves, and overload does not turn the
/// order into that of arrival. In hearing it goes to what would be lost first, whosever it is.
pub const OLDEST: u32 = 8;
/// One turn in so many goes to continuations where first results wait as well.
pub const MORE: u32 = 4;

/// What no link would lose may wait so long in hearing: as what waits in a link.
const HELD: Span = Span::from_millis(100);

/// By what a queue is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// First come, first served.
    Arrival,
    /// The earliest deadline first.
    Deadline,
    /// The shortest first.
    Length,
    /// Value for what is still to be spent.
    Worth,
    /// What would be lost first: for work that is never left undone, and of which there is never more than fits.
    Urgency,
}

impl Order {
    pub(super) fn of(policy: Policy, lane: Lane) -> Order {
        match (policy, lane) {
            (Policy::Fifo, _) => Order::Arrival,
            (Policy::Edf, _) => Order::Deadline,
            (Policy::Sjf, _) => Order::Length,
            (Policy::Ours, Lane::Listen | Lane::Hear) => Order::Urgency,
            (Policy::Ours, _) => Order::Worth,
        }
    }
}

/// What is known of a slice that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// When it was queued.
    pub since: Moment,
    /// The last moment at which it is worth its value.
    pub deadline: Moment,
    /// Until when its link keeps what it is to work on.
    pub kept: Moment,
    /// What is to be spent until then.
    pub remaining: Span,
    /// What it is worth.
    pub value: f32,
    /// How far its session is beyond its part.
    pub band: u8,
    /// Whether it may be left undone. What is delivered however late must be done anyway: to let it wait saves nothing.
    pub may_be_shed: bool,
    /// The place of its session by age, where that matters; 0 elsewhere.
    pub seniority: u64,
    /// Up to the first result, or after it.
    pub phase: Phase,
}

/// Lower goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(i64, i64, u64, i64);

impl Claim {
    fn rank(&self, order: Order, number: u64) -> Rank {
        let number = number as i64;
        match order {
            Order::Arrival => Rank(number, 0, 0, 0),
            Order::Deadline => Rank(self.deadline.nanos(), number, 0, 0),
            Order::Length => Rank(self.remaining.nanos(), number, 0, 0),
            Order::Urgency => Rank(i64::from(self.band), self.until().nanos(), 0, 0),
            Order::Worth => Rank(
                2 * i64::from(self.band) + i64::from(self.may_be_shed),
                -self.density(),
                self.seniority,
                self.deadline.nanos(),
            ),
        }
    }

    /// How long it can wait without a loss.
    fn until(&self) -> Moment {
        self.kept.min(self.since + HELD)
    }

    /// Value for each unit of what is to be spent, in steps of a half of an octave: within one the deadline decides.
    fn density(&self) -> i64 {
        // Below a tenth of a millisecond costs are noise.
        let seconds = self.remaining.secs_f64().max(1e-4);
        (2.0 * (f64::from(self.value).max(1e-6) / seconds).log2()).round() as i64
    }
}

struct Waiting<K> {
    claim: Claim,
    key: K,
}

/// A queue in some order.
pub(super) struct Queue<K> {
    order: Order,
    next: u64,
    /// Turns of each phase, and those in which both waited.
    turns: [u32; 2],
    both: u32,
    /// By number, so in the order of arrival: one map for each phase.
    waiting: [BTreeMap<u64, Waiting<K>>; 2],
    ranks: [BTreeSet<(Rank, u64)>; 2],
}

impl<K> Queue<K> {
    pub(super) fn new(order: Order) -> Queue<K> {
        Queue {
            order,
            next: 0,
            turns: [0; 2],
            both: 0,
            waiting: Default::default(),
            ranks: Default::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.iter().map(BTreeMap::len).sum()
    }

    pub(super) fn push(&mut self, claim: Claim, key: K) {
        // Only where one is worth more than the other there are two queues.
        let phase = if self.order == Order::Worth {
            claim.phase
        } else {
            Phase::First
        };
        let number = self.next;
        self.next += 1;
        self.ranks[phase as usize].insert((claim.rank(self.order, number), number));
        self.waiting[phase as usize].insert(number, Waiting { claim, key });
    }

    /// Since when the one that waits longest does.
    pub(super) fn oldest(&self) -> Option<Moment> {
        let first = |waiting: &BTreeMap<u64, Waiting<K>>| waiting.first_key_value().map(|(_, one)| one.claim.since);
        self.waiting.iter().filter_map(first).min()
    }

    pub(super) fn pop(&mut self) -> Option<(Claim, K)> {
        let phase = match self.waiting.each_ref().map(|waiting| !waiting.is_empty()) {
            [false, false] => return None,
            [true, false] => 0,
            [false, true] => 1,
            [true, true] => {
                self.both = self.both.wrapping_add(1);
                usize::from(self.both.is_multiple_of(MORE))
            }
        };
        self.turns[phase] = self.turns[phase].wrapping_add(1);
        let by_turn = self.turns[phase].is_multiple_of(OLDEST);
        let number = match self.order {
            Order::Worth if by_turn => *self.waiting[phase].first_key_value()?.0,
            Order::Urgency if by_turn => self.most_urgent()?,
            _ => self.ranks[phase].first()?.1,
        };
        let one = self.waiting[phase].remove(&number)?;
        self.ranks[phase].remove(&(one.claim.rank(self.order, number), number));
        Some((one.claim, one.key))
    }

    /// What would be lost first, whatever its session had.
    fn most_urgent(&self) -> Option<u64> {
        let ranks = &self.ranks[Phase::First as usize];
        let first_of = |band: u8| {
            let from = Rank(i64::from(band), i64::MIN, 0, 0);
            ranks.range((from, 0)..).next()
        };
        let firsts = (0..=MOST_BAND).filter_map(first_of);
        firsts
            .min_by_key(|(rank, number)| (rank.1, *number))
            .map(|first| first.1)
    }
}
