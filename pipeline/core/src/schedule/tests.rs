//! The schedule against a simple reference, and what must hold for any work whatever.

use std::collections::BTreeMap;

use super::*;
use crate::time::Span;

mod reference;

const WORDS: Budget = Budget {
    outlet: "words",
    span: Span::from_millis(600),
    value: 5.0,
    late: Late::Deliver,
};
const READING: Budget = Budget {
    outlet: "reading",
    span: Span::from_millis(1_000),
    value: 2.0,
    late: Late::Shed,
};

fn prospect(budget: Budget, allowance: i64, ahead: &[&'static str]) -> Prospect {
    Prospect {
        budget,
        allowance: Span::from_millis(allowance),
        ahead: ahead.into(),
    }
}

fn task<'a>(lane: Lane, member: Member, born: Moment, prospects: &'a [Prospect]) -> Task<'a> {
    let service = Service {
        engine: "engine",
        variant: 0,
        phase: Phase::First,
    };
    Task {
        lane,
        member,
        service,
        born,
        kept: Moment::MAX,
        prospects,
    }
}

#[test]
fn hearing_goes_first_and_seeing_never_takes_the_last_of_several_workers() {
    let (mut schedule, now) = (Schedule::new(2), Moment::ZERO);
    let member = schedule.enter(None);
    for key in ["a", "b"] {
        schedule.push(now, task(Lane::See, member, now, &[]), key);
    }
    schedule.push(now, task(Lane::Hear, member, now, &[]), "c");
    let mut next = || schedule.pop(now, Crew::Engines);
    assert_eq!(next(), Some((Lane::Hear, "c")));
    assert_eq!(next(), Some((Lane::See, "a")));
    assert_eq!(next(), None);
    schedule.done(now, Lane::See, Some(member), Span::ZERO);
    assert_eq!(schedule.pop(now, Crew::Engines), Some((Lane::See, "b")));
}

#[test]
fn who_listens_thinks_and_shows_takes_no_worker_of_the_others_nor_they_of_them() {
    let (mut schedule, now) = (Schedule::new(1), Moment::ZERO);
    let member = schedule.enter(None);
    schedule.push(now, task(Lane::Think, member, now, &[]), "slow");
    schedule.push(now, task(Lane::Show, member, now, &[]), "pretty");
    schedule.push(now, task(Lane::Listen, member, now, &[]), "short");
    assert_eq!(schedule.pop(now, Crew::Engines), None);
    assert_eq!(schedule.pop(now, Crew::Listeners), Some((Lane::Listen, "short")));
    assert_eq!(schedule.pop(now, Crew::Thinkers), Some((Lane::Think, "slow")));
    assert_eq!(schedule.pop(now, Crew::Thinkers), None);
    assert_eq!(schedule.pop(now, Crew::Showers), Some((Lane::Show, "pretty")));
    assert_eq!(
        [1, 2, 8].map(|workers| Crew::ALL.map(|crew| Schedule::<()>::new(workers).hands(crew))),
        [[1, 1, 1, 1], [1, 2, 2, 1], [2, 8, 8, 7]]
    );
}

#[test]
fn where_not_all_can_be_decoded_those_who_came_first_are() {
    let (mut schedule, now) = (Schedule::new(3), Moment::ZERO);
    let members: Vec<_> = (0..4).map(|_| schedule.enter(None)).collect();
    let way = [prospect(READING, 1_000, &[])];
    for (number, member) in members.iter().enumerate().rev() {
        // The later they came, the more urgent.
        let born = now - Span::from_millis(100 * number as i64);
        schedule.push(now, task(Lane::See, *member, born, &way), number);
    }
    let mut next = || {
        let (lane, number) = schedule.pop(now, Crew::Engines)?;
        schedule.done(now, lane, None, Span::ZERO);
        Some(number)
    };
    assert_eq!(std::iter::from_fn(&mut next).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn a_unit_is_too_late_once_what_is_still_to_be_spent_does_not_fit() {
    let (mut schedule, now) = (Schedule::new(1), Moment::from_millis(5_000));
    let member = schedule.enter(None);
    let sheds = [prospect(READING, 1_000, &["next"])];
    let learn = |schedule: &mut Schedule<u8>, engine, millis| {
        let service = Service {
            engine,
            variant: 0,
            phase: Phase::First,
        };
        schedule.learn(now, service, Span::from_millis(millis));
    };
    learn(&mut schedule, "engine", 100);
    learn(&mut schedule, "next", 50);
    let patience = schedule.push(now, task(Lane::Think, member, now, &sheds), 0);
    assert_eq!(patience, Span::from_millis(850));
    // What nobody confirms is tried again: an estimate is halved every ten seconds.
    let later = now + Span::from_secs(10);
    let patience = schedule.push(later, task(Lane::Think, member, later, &sheds), 0);
    assert_eq!(patience, Span::from_millis(925));
    // What is delivered however late is never too late.
    let both = [prospect(READING, 1_000, &[]), prospect(WORDS, 300, &[])];
    assert_eq!(schedule.push(now, task(Lane::Hear, member, now, &both), 0), Span::MAX);
}

#[test]
fn what_must_be_done_goes_first_then_value_for_what_is_still_to_be_spent_then_the_deadline() {
    let (mut schedule, now) = (Schedule::new(2), Moment::ZERO);
    let member = schedule.enter(None);
    let ahead = Service {
        engine: "long",
        variant: 0,
        phase: Phase::First,
    };
    schedule.learn(now, ahead, Span::from_millis(400));
    let must = [prospect(WORDS, 2_000, &["long"])];
    let dear = [prospect(READING, 1_000, &["long"])];
    let cheap = [prospect(READING, 1_000, &[])];
    let tight = [prospect(READING, 500, &[])];
    schedule.push(now, task(Lane::Think, member, now, &dear), "dear");
    schedule.push(now, task(Lane::Think, member, now, &cheap), "cheap");
    schedule.push(now, task(Lane::Think, member, now, &tight), "tight");
    schedule.push(now, task(Lane::Think, member, now, &must), "must");
    let order: Vec<_> = std::iter::from_fn(|| schedule.pop(now, Crew::Thinkers))
        .map(|next| next.1)
        .collect();
    assert_eq!(order, ["must", "tight", "cheap", "dear"]);
}

#[test]
fn who_had_more_than_a_part_goes_behind_the_others_alone_or_as_a_user_of_several_sessions() {
    let (mut schedule, now) = (Schedule::new(2), Moment::ZERO);
    let quiet: Vec<_> = (0..8).map(|user| schedule.enter(Some(user))).collect();
    let crowd: Vec<_> = (0..8).map(|_| schedule.enter(Some(99))).collect();
    // Each of the crowd's sessions had no more than any other; together they had seven times a user's part.
    for member in quiet.iter().chain(&crowd) {
        schedule.done(now, Lane::Hear, Some(*member), Span::from_millis(200));
    }
    schedule.push(now, task(Lane::Hear, crowd[0], now, &[]), "crowd");
    schedule.push(now, task(Lane::Hear, quiet[0], now, &[]), "quiet");
    assert_eq!(schedule.pop(now, Crew::Engines), Some((Lane::Hear, "quiet")));
    assert_eq!(schedule.pop(now, Crew::Engines), Some((Lane::Hear, "crowd")));
    // It is forgotten within seconds.
    let later = now + Span::from_secs(5);
    schedule.push(later, task(Lane::Hear, crowd[0], later, &[]), "crowd");
    schedule.push(later, task(Lane::Hear, quiet[1], later, &[]), "quiet");
    let order: Vec<_> = std::iter::from_fn(|| schedule.pop(later, Crew::Engines))
        .map(|next| next.1)
        .collect();
    assert_eq!(order, ["crowd", "quiet"]);
}

/// A machine with one worker of each crew, and random work for it.
struct Mill {
    random: fastrand::Rng,
    now: Moment,
    members: Vec<Member>,
    next: u64,
}

impl Mill {
    fn new(seed: u64) -> Mill {
        Mill {
            random: fastrand::Rng::with_seed(seed),
            now: Moment::from_millis(1),
            members: Vec::new(),
            next: 0,
        }
    }

    /// A task, and whatever a caller may do besides.
    fn turn(&mut self, schedule: &mut Schedule<u64>, prospects: &[[Prospect; 1]; 3]) -> u64 {
        let random = &mut self.random;
        self.now += Span::from_micros(random.i64(0..3_000));
        if self.members.is_empty() || random.u8(0..20) == 0 {
            let user = random.bool().then(|| random.u64(0..4));
            self.members.push(schedule.enter(user));
        }
        let service = Service {
            engine: ["vad", "recognise", "decode", "read"][random.usize(0..4)],
            variant: random.u8(0..3),
            phase: [Phase::First, Phase::More][random.usize(0..2)],
        };
        if random.u8(0..4) == 0 {
            schedule.learn(self.now, service, Span::from_micros(random.i64(0..90_000)));
        }
        let task = Task {
            lane: Lane::ALL[random.usize(1..6)],
            member: self.members[random.usize(0..self.members.len())],
            service,
            born: self.now - Span::from_millis(random.i64(0..400)),
            kept: self.now + Span::from_millis(random.i64(0..200)),
            prospects: &prospects[random.usize(0..3)],
        };
        schedule.push(self.now, task, self.next);
        self.next += 1;
        self.next - 1
    }
}

fn ways() -> [[Prospect; 1]; 3] {
    [
        [prospect(WORDS, 300, &["recognise"])],
        [prospect(READING, 1_000, &["read"])],
        [prospect(READING, 400, &[])],
    ]
}

#[test]
fn what_is_queued_is_handed_out_exactly_once_under_every_policy() {
    for seed in 0..2_000 {
        let policy = Policy::ALL[seed as usize % 4];
        let (mut schedule, mut mill, ways) = (Schedule::under(policy, 3), Mill::new(seed), ways());
        let mut given = vec![0_u32; 120];
        let mut take = |schedule: &mut Schedule<u64>, now, crew| {
            let Some((lane, key)) = schedule.pop(now, crew) else {
                return false;
            };
            given[key as usize] += 1;
            schedule.done(now, lane, None, Span::ZERO);
            true
        };
        for _ in 0..120 {
            mill.turn(&mut schedule, &ways);
            let crew = Crew::ALL[mill.random.usize(0..4)];
            if mill.random.bool() {
                take(&mut schedule, mill.now, crew);
            }
        }
        while Crew::ALL.iter().any(|crew| take(&mut schedule, mill.now, *crew)) {}
        assert!(given.iter().all(|times| *times == 1), "seed {seed}, {policy:?}");
        assert_eq!(schedule.load().waiting, 0);
    }
}

/// Work of the mill's sessions for those that think, worth much, in either phase.
fn good_work<'a>(mill: &mut Mill, ways: &'a [[Prospect; 1]; 3]) -> Task<'a> {
    let phase = [Phase::First, Phase::More][mill.random.usize(0..2)];
    let member = mill.members[mill.random.usize(0..mill.members.len())];
    Task {
        service: Service {
            engine: "recognise",
            variant: 0,
            phase,
        },
        ..task(Lane::Think, member, mill.now, &ways[0])
    }
}

#[test]
fn nobody_starves_behind_any_amount_of_better_work() {
    for seed in 0..1_000 {
        let (mut schedule, mut mill, ways) = (Schedule::under(Policy::Ours, 2), Mill::new(seed), ways());
        let rich = schedule.enter(None);
        // The worst that there is: worthless, of a session far beyond its part.
        schedule.done(mill.now, Lane::Think, Some(rich), Span::from_secs(60));
        mill.members.push(schedule.enter(None));
        for phase in [Phase::First, Phase::More] {
            let crowd = mill.random.u32(1..40);
            for _ in 0..crowd {
                let better = good_work(&mut mill, &ways);
                schedule.push(mill.now, better, 0);
            }
            let mut poor = task(Lane::Think, rich, mill.now, &[]);
            poor.service.phase = phase;
            schedule.push(mill.now, poor, 1);
            let most = (crowd + 1) * OLDEST * MORE;
            let mut turns = 0;
            while let Some((_, 0)) = schedule.pop(mill.now, Crew::Thinkers) {
                turns += 1;
                assert!(turns < most, "seed {seed}: not within {most} turns");
                let better = good_work(&mut mill, &ways);
                schedule.push(mill.now, better, 0);
            }
            while schedule.pop(mill.now, Crew::Thinkers).is_some() {}
        }
    }
}

#[test]
fn the_same_work_in_the_same_order_is_handed_out_in_the_same_order() {
    let order = |seed| {
        let (mut schedule, mut mill, ways) = (Schedule::new(2), Mill::new(seed), ways());
        let mut order = Vec::new();
        for _ in 0..200 {
            mill.turn(&mut schedule, &ways);
            let crew = Crew::ALL[mill.random.usize(0..4)];
            if let Some((lane, key)) = schedule.pop(mill.now, crew).filter(|_| mill.random.bool()) {
                order.push((lane, key));
                schedule.done(mill.now, lane, Some(mill.members[0]), Span::from_micros(700));
            }
        }
        order
    };
    for seed in 0..200 {
        assert_eq!(order(seed), order(seed));
    }
}

#[test]
fn strain_rises_with_waits_in_the_written_order_and_is_taken_back_step_by_step() {
    let mut schedule = Schedule::new(2);
    let mut now = Moment::from_millis(1_000);
    let member = schedule.enter(None);
    let mut seen = BTreeMap::new();
    for (lane, wait, expected) in [
        (Lane::Show, 50, Strain::Residual),
        (Lane::Show, 90, Strain::Made),
        (Lane::See, 50, Strain::Seeing),
        (Lane::Hear, 50, Strain::Partials),
        (Lane::Hear, 70, Strain::Newcomers),
    ] {
        let before = schedule.gauge().read();
        for look in 0..5 {
            // A few times is no strain.
            assert_eq!(schedule.gauge().read(), before, "at look {look}");
            schedule.push(now, task(lane, member, now, &[]), ());
            now += Span::from_millis(wait);
            for crew in Crew::ALL {
                if let Some((lane, ())) = schedule.pop(now, crew) {
                    schedule.done(now, lane, Some(member), Span::ZERO);
                }
            }
            now += Span::from_millis(100 - wait);
            let _ = schedule.admit(now);
        }
        let told = schedule.admit(now);
        assert_eq!(schedule.gauge().read(), expected);
        assert_eq!(told.is_err(), expected == Strain::Newcomers);
        seen.insert(expected, now);
    }
    assert!(seen.keys().copied().eq(Strain::ALL[1..].iter().copied()));
    // Relief: one step a second.
    for left in Strain::ALL[..5].iter().rev() {
        now += Span::from_millis(1_001);
        let _ = schedule.admit(now);
        assert_eq!(schedule.gauge().read(), *left);
    }
    assert_eq!(schedule.admit(now), Ok(()));
}

#[test]
fn newcomers_are_refused_before_hearing_needs_more_than_its_part_of_the_machine() {
    let mut before = 0.0;
    for workers in [1, 2, 8, 32] {
        let mut schedule = Schedule::<()>::new(workers);
        let mut now = Moment::from_millis(1_000);
        // All at once: nothing is known of any of them.
        let mut members = Vec::new();
        while schedule.admit(now).is_ok() {
            members.push(schedule.enter(None));
            assert!(members.len() < 10_000, "everybody is let in");
        }
        assert!(members.len() >= 2 * workers, "{} on {workers} workers", members.len());
        // Each takes a hundredth of a processor: there is room for more, by and by.
        for _ in 0..600 {
            now += Span::from_millis(100);
            for member in &members {
                schedule.done(now, Lane::Hear, Some(*member), Span::from_millis(1));
            }
            while schedule.admit(now).is_ok() {
                members.push(schedule.enter(None));
            }
        }
        let taken = members.len() as f64 * 0.01 / workers as f64;
        // Headroom shrinks with the square root of how many there are.
        assert!((0.4..0.9).contains(&taken), "{taken} of {workers} processors");
        assert!(taken > before, "{taken} on {workers} workers, {before} on fewer");
        before = taken;
        schedule.set_admission(Admission::Always);
        assert_eq!(schedule.admit(now), Ok(()));
    }
}
