//! What the schedule itself takes of a slice.

use hearsight_core::gate::Late;
use hearsight_core::schedule::{Crew, Lane, Phase, Prospect, Schedule, Service, Task};
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;

const SESSIONS: usize = 1_000;
const SLICES: usize = 400_000;

/// Nanoseconds to queue a slice, hand it out, and learn from it, with a thousand sessions of which hundreds wait.
pub(crate) fn slice() -> f64 {
    let mut schedule = Schedule::new(16);
    let mut now = Moment::from_millis(1);
    let members: Vec<_> = (0..SESSIONS).map(|user| schedule.enter(Some(user as u64))).collect();
    let prospects = [hearsight::budget::WORDS_FINAL, hearsight::budget::WORDS_PARTIAL].map(|budget| Prospect {
        budget,
        allowance: budget.span,
        ahead: if budget.late == Late::Deliver {
            ["recognise"].into()
        } else {
            [].into()
        },
    });
    let (clock, mut random) = (Clock::new(), fastrand::Rng::with_seed(1));
    let began = clock.now();
    for number in 0..SLICES {
        now += Span::from_micros(50);
        let service = Service {
            engine: if number % 2 == 0 { "vad" } else { "recognise" },
            variant: 0,
            phase: Phase::First,
        };
        let member = members[random.usize(0..SESSIONS)];
        let task = Task {
            lane: [Lane::Hear, Lane::Think][number % 2],
            member,
            service,
            born: now,
            kept: now + Span::from_millis(35),
            prospects: &prospects,
        };
        schedule.push(now, task, (member, service));
        if number < SESSIONS / 2 {
            continue;
        }
        let crew = [Crew::Engines, Crew::Thinkers][number % 2];
        if let Some((lane, (member, service))) = schedule.pop(now, crew) {
            schedule.learn(now, service, Span::from_micros(900));
            schedule.done(now, lane, Some(member), Span::from_micros(900));
        }
    }
    (clock.now() - began).nanos() as f64 / SLICES as f64
}
