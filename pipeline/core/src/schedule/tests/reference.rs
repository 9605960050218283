//! A queue as one would write it down first: a list that is sorted anew at every turn.

use crate::schedule::Phase;
use crate::schedule::queue::{Claim, MORE, OLDEST, Order, Queue};
use crate::time::{Moment, Span};

struct Plain {
    order: Order,
    waiting: Vec<(u64, Claim)>,
    turns: [u32; 2],
    both: u32,
}

impl Plain {
    /// Of two that wait, whether the first goes before the second.
    fn before(&self, one: &(u64, Claim), other: &(u64, Claim)) -> bool {
        let step = |claim: &Claim| {
            let worth = f64::from(claim.value).max(1e-6) / claim.remaining.secs_f64().max(1e-4);
            (worth.log2() * 2.0).round() as i64
        };
        let ((number, a), (other_number, b)) = (one, other);
        match self.order {
            Order::Arrival => number < other_number,
            Order::Deadline => (a.deadline, number) < (b.deadline, other_number),
            Order::Length => (a.remaining, number) < (b.remaining, other_number),
            Order::Urgency | Order::Worth if a.band != b.band => a.band < b.band,
            Order::Urgency => urgency(one) < urgency(other),
            Order::Worth if a.may_be_shed != b.may_be_shed => b.may_be_shed,
            Order::Worth if step(a) != step(b) => step(a) > step(b),
            Order::Worth if a.seniority != b.seniority => a.seniority < b.seniority,
            Order::Worth => (a.deadline, number) < (b.deadline, other_number),
        }
    }

    fn pop(&mut self) -> Option<u64> {
        let worth = self.order == Order::Worth;
        let of = |phase: Phase| move |one: &&(u64, Claim)| !worth || one.1.phase == phase;
        let first = self.waiting.iter().any(|one| of(Phase::First)(&one));
        let more = worth && self.waiting.iter().any(|one| of(Phase::More)(&one));
        let phase = match (first, more) {
            (false, false) => return None,
            (true, true) => {
                self.both += 1;
                if self.both.is_multiple_of(MORE) {
                    Phase::More
                } else {
                    Phase::First
                }
            }
            (true, false) => Phase::First,
            (false, true) => Phase::More,
        };
        self.turns[phase as usize] += 1;
        let by_turn = self.turns[phase as usize].is_multiple_of(OLDEST);
        let candidates: Vec<_> = self.waiting.iter().filter(of(phase)).copied().collect();
        let mut best = candidates[0];
        for other in &candidates[1..] {
            let sooner = match self.order {
                // The list is in the order of arrival.
                Order::Worth if by_turn => false,
                Order::Urgency if by_turn => urgency(other) < urgency(&best),
                _ => self.before(other, &best),
            };
            if sooner {
                best = *other;
            }
        }
        self.waiting.retain(|one| one.0 != best.0);
        Some(best.0)
    }
}

fn urgency((number, claim): &(u64, Claim)) -> (Moment, u64) {
    (claim.kept.min(claim.since + Span::from_millis(100)), *number)
}

const ORDERS: [Order; 5] = [
    Order::Arrival,
    Order::Deadline,
    Order::Length,
    Order::Worth,
    Order::Urgency,
];

#[test]
fn the_queue_is_the_plain_one_only_quicker() {
    for seed in 0..4_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let order = ORDERS[seed as usize % 5];
        let mut queue = Queue::new(order);
        let mut plain = Plain {
            order,
            waiting: Vec::new(),
            turns: [0; 2],
            both: 0,
        };
        let (mut number, mut now) = (0, Moment::ZERO);
        for _ in 0..200 {
            now += Span::from_millis(random.i64(0..3));
            if random.u8(0..5) < 3 {
                let claim = Claim {
                    since: now,
                    // Few different ones, so that there are ties.
                    deadline: now + Span::from_millis(random.i64(0..4) * 10),
                    kept: [Moment::MAX, now + Span::from_millis(random.i64(0..4) * 40)][random.usize(0..2)],
                    remaining: Span::from_millis(random.i64(0..4) * 20),
                    value: [0.0, 0.1, 1.0, 5.0][random.usize(0..4)],
                    band: random.u8(0..3),
                    may_be_shed: random.bool(),
                    seniority: random.u64(0..2),
                    phase: [Phase::First, Phase::More][random.usize(0..2)],
                };
                queue.push(claim, number);
                plain.waiting.push((number, claim));
                number += 1;
            } else {
                assert_eq!(queue.pop().map(|next| next.1), plain.pop(), "seed {seed}, {order:?}");
            }
            assert_eq!(queue.len(), plain.waiting.len());
            let oldest = plain.waiting.iter().map(|one| one.1.since).min();
            assert_eq!(queue.oldest(), oldest);
        }
    }
}
