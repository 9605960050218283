use super::*;

/// A sender, a network and a reader in virtual time. The picture can be read from some rate on, the better the more bits.
struct Loop {
    cap: Cap,
    random: fastrand::Rng,
    now: Moment,
    /// At this many bits per second readability is enough.
    need: f64,
    allowed: u32,
    sent: u32,
    /// Told of pictures on their way through the reader.
    reading: std::collections::VecDeque<(Moment, Evidence)>,
    noise: f32,
    /// What was sent, and how well it could be read, every 100 ms.
    log: Vec<(Moment, u32, f32)>,
}

const TICK: Span = Span::from_millis(100);

impl Loop {
    fn new(seed: u64) -> Loop {
        let mut random = fastrand::Rng::with_seed(seed);
        let need = 150_000.0 * (random.f64() * 2.5).exp();
        Loop {
            cap: Cap::default(),
            now: Moment::ZERO,
            need,
            allowed: 4_000_000,
            sent: 300_000,
            reading: Default::default(),
            noise: random.f32() * 0.04,
            random,
            log: Vec::new(),
        }
    }

    fn readable(&self, rate: u32) -> f32 {
        // A steep ramp: 0.8 at the need, 1 at four times as much, nothing at a quarter.
        let octaves = (f64::from(rate) / self.need).log2() as f32;
        (ENOUGH + if octaves > 0.0 { octaves * 0.1 } else { octaves * 0.4 }).clamp(0.0, 1.0)
    }

    /// Runs for a while; the reader takes a picture every half second and has it read 200 to 700 ms later.
    fn run(&mut self, span: Span) {
        let end = self.now + span;
        while self.now < end {
            self.now += TICK;
            if self.now.nanos() % 500_000_000 == 0 {
                let noise = (self.random.f32() - 0.5) * 2.0 * self.noise;
                let evidence = Evidence {
                    kind: Kind::Reading,
                    readability: Some(Readability::new(self.readable(self.sent) + noise)),
                    rate: self.sent,
                    seen: self.now,
                };
                let done = self.now + Span::from_millis(self.random.i64(200..700));
                let done = self
                    .reading
                    .back()
                    .map_or(done, |(before, _)| done.max(*before + APART));
                self.reading.push_back((done, evidence));
            }
            while self.reading.front().is_some_and(|(done, _)| *done <= self.now) {
                let (_, evidence) = self.reading.pop_front().expect("looked at");
                self.cap.learn(self.now, evidence);
            }
            let decision = self.cap.decide(self.now, self.allowed);
            let rate = decision.rate(self.allowed);
            assert!(rate <= self.allowed, "the network always wins");
            // What the sender is told it does within a few hundred milliseconds.
            self.sent = (f64::from(self.sent) * 0.3 + f64::from(rate) * 0.7) as u32;
            self.log.push((self.now, self.sent, self.readable(self.sent)));
        }
    }

    fn since(&self, from: Moment) -> Vec<(Moment, u32, f32)> {
        self.log.iter().copied().filter(|entry| entry.0 > from).collect()
    }
}

#[test]
fn it_converges_near_what_is_needed_and_stays() {
    for seed in 0..400 {
        let mut house = Loop::new(seed);
        house.run(Span::from_secs(60));
        let settled = house.since(Moment::from_millis(30_000));
        let mean = settled.iter().map(|entry| f64::from(entry.1)).sum::<f64>() / settled.len() as f64;
        let times = mean / house.need.max(f64::from(LEAST));
        assert!(
            (0.75..1.9).contains(&times),
            "seed {seed}: {times} times the need {}",
            house.need
        );
        let readable = settled.iter().filter(|entry| entry.2 >= ENOUGH - 0.06).count();
        let share = readable as f64 / settled.len() as f64;
        assert!(share > 0.85, "seed {seed}: readable {share} of the time");
    }
}

#[test]
fn it_comes_down_where_less_is_enough() {
    for seed in 0..200 {
        let mut house = Loop::new(seed);
        house.run(Span::from_secs(20));
        let before = house.sent;
        // The text comes nearer, without a cut.
        house.need /= 4.0;
        house.run(Span::from_secs(120));
        let late = house.since(house.now - Span::from_secs(60));
        let mean = late.iter().map(|entry| f64::from(entry.1)).sum::<f64>() / late.len() as f64;
        let expected = (f64::from(before) / 2.0).max(f64::from(LEAST) * 1.6);
        assert!(mean <= expected, "seed {seed}: {mean} after {before}");
    }
}

#[test]
fn another_scene_can_be_read_within_two_seconds_and_no_dark_spell_is_longer() {
    for seed in 0..400 {
        let mut house = Loop::new(seed);
        house.run(Span::from_secs(20));
        let cut = house.now;
        house.need = 150_000.0 * (house.random.f64() * 2.5).exp();
        house.cap.scene(house.now + Span::from_millis(1));
        house.run(Span::from_secs(30));
        let seen = house.since(cut);
        let first = seen.iter().find(|entry| entry.2 >= ENOUGH - 0.05).map(|entry| entry.0);
        assert!(
            first.is_some_and(|first| first - cut <= Span::from_secs(2)),
            "seed {seed}: {first:?}"
        );
        let mut dark = Span::ZERO;
        for (_, rate, readable) in seen {
            dark = if readable < ENOUGH - 0.1 {
                dark + TICK
            } else {
                Span::ZERO
            };
            assert!(dark <= Span::from_secs(2), "seed {seed}: at {rate} of {}", house.need);
        }
    }
}

#[test]
fn what_falls_silent_lets_go() {
    let mut house = Loop::new(7);
    house.run(Span::from_secs(20));
    assert!(house.sent < 2_000_000);
    house.reading.clear();
    let decision = house
        .cap
        .decide(house.now + SILENCE + Span::from_secs(1), house.allowed);
    assert_eq!(
        decision,
        Decision {
            cap: None,
            reason: Reason::Silent
        }
    );
    assert_eq!(
        Cap::default().decide(Moment::ZERO, 1),
        Decision {
            cap: None,
            reason: Reason::Start
        }
    );
}

#[test]
fn where_there_is_nothing_to_read_it_goes_down_to_the_first_tier_and_no_further() {
    let mut cap = Cap::default();
    for half in 1..60 {
        let now = Moment::from_millis(half * 500);
        let evidence = Evidence {
            kind: Kind::Reading,
            readability: None,
            rate: 900_000,
            seen: now,
        };
        assert!(cap.learn(now, evidence));
        let decision = cap.decide(now, 4_000_000);
        assert!(decision.cap.expect("capped") >= TIERS[0]);
    }
    let end = cap.decide(Moment::from_millis(29_600), 4_000_000);
    assert_eq!(
        end,
        Decision {
            cap: Some(TIERS[0]),
            reason: Reason::Nothing
        }
    );
}

#[test]
fn a_question_of_a_kind_begins_where_the_last_of_its_kind_ended() {
    let mut cap = Cap::default();
    let tell = |cap: &mut Cap, half: i64, kind, readability: f32, rate| {
        let now = Moment::from_millis(half * 500);
        let evidence = Evidence {
            kind,
            readability: Some(Readability::new(readability)),
            rate,
            seen: now,
        };
        assert!(cap.learn(now, evidence));
    };
    cap.ask(Moment::ZERO, Kind::Text);
    // Small print: it takes 1.7 Mbit/s.
    for half in 1..80 {
        let rate = cap.decide(Moment::from_millis(half * 500), 3_000_000).rate(3_000_000);
        tell(
            &mut cap,
            half,
            Kind::Text,
            if rate >= 1_600_000 { 0.85 } else { 0.3 },
            rate,
        );
    }
    let text = cap.decide(Moment::from_millis(40_000), 3_000_000).rate(3_000_000);
    assert!(text > 1_200_000, "{text}");
    cap.ask(Moment::from_millis(40_000), Kind::Look);
    let look = cap.decide(Moment::from_millis(40_000), 3_000_000).rate(3_000_000);
    assert!(
        look < 500_000,
        "{look}: nothing was learnt of it, so the published mean holds"
    );
    cap.ask(Moment::from_millis(40_100), Kind::Text);
    let again = cap.decide(Moment::from_millis(40_100), 3_000_000).rate(3_000_000);
    assert!(again > 1_000_000, "{again}");
}

#[test]
fn hostile_word_is_refused_counted_and_changes_nothing() {
    let good = |now: Moment| Evidence {
        kind: Kind::Reading,
        readability: Some(Readability::new(0.9)),
        rate: 800_000,
        seen: now,
    };
    let now = Moment::from_millis(10_000);
    let mut cap = Cap::default();
    assert!(cap.learn(now, good(now)));
    let before = cap.decide(now, 2_000_000);
    let later = now + Span::from_secs(1);
    let bad = [
        ("a replay", later, good(now)),
        ("from the future", later, good(later + Span::from_secs(1))),
        ("long ago", later + Span::from_secs(60), good(later)),
        ("at no rate", later, Evidence { rate: 0, ..good(later) }),
        ("a flood", now + Span::from_millis(1), good(now + Span::from_millis(1))),
    ];
    for (index, (what, at, evidence)) in bad.into_iter().enumerate() {
        assert!(!cap.learn(at, evidence), "{what}");
        assert_eq!(cap.refused(), index as u64 + 1, "{what}");
        assert_eq!(cap.decide(now, 2_000_000), before, "{what}");
    }
    // A readability that is no number reads as nothing at all, and a flood of anything leaves the cap within its bounds.
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut cap = Cap::default();
        for _ in 0..500 {
            let now = Moment::from_millis(random.i64(0..100_000));
            let readability = [f32::NAN, f32::INFINITY, -1.0, random.f32()][random.usize(0..4)];
            cap.learn(
                now,
                Evidence {
                    kind: Kind::ALL[random.usize(0..Kind::ALL.len())],
                    readability: random.bool().then(|| Readability::new(readability)),
                    rate: random.u32(..),
                    seen: now - Span::from_millis(random.i64(-100..2_000)),
                },
            );
            if random.u8(..) < 20 {
                cap.scene(now);
            }
            let allowed = random.u32(..);
            let decision = cap.decide(now, allowed);
            assert!(decision.rate(allowed) <= allowed);
            assert!(decision.cap.is_none_or(|cap| cap >= LEAST), "seed {seed}: {decision:?}");
        }
    }
}

#[test]
fn a_picture_that_stands_since_before_the_question_is_told_to_stand() {
    let mut cap = Cap::default();
    cap.ask(Moment::from_millis(100), Kind::Text);
    cap.still(Moment::from_millis(600));
    let decision = cap.decide(Moment::from_millis(600), u32::MAX);
    assert_eq!((decision.cap, decision.reason), (None, Reason::Still));
}

#[test]
fn a_still_picture_is_not_capped_for_the_little_it_takes_and_drawn_anew_where_it_is_poor() {
    let tell = |cap: &mut Cap, millis: i64, readability: f32, rate: u32| {
        let now = Moment::from_millis(millis);
        let evidence = Evidence {
            kind: Kind::Reading,
            readability: Some(Readability::new(readability)),
            rate,
            seen: now,
        };
        assert!(cap.learn(now, evidence));
        cap.decide(now, u32::MAX)
    };
    let mut cap = Cap::default();
    for half in 1..60 {
        let decision = tell(&mut cap, half * 500, 0.95, 3_000);
        assert_eq!(
            (decision.cap, decision.reason),
            (None, Reason::Still),
            "a loss would have it drawn anew with too few bits"
        );
        assert!(!cap.take_redraw(Moment::from_millis(half * 500)));
    }
    // It moves for a while, is capped, and stands still again after a loss that left little of it.
    let capped = tell(&mut cap, 30_500, 0.95, 600_000).cap.expect("capped");
    let more = tell(&mut cap, 33_000, 0.5, 3_000);
    assert_eq!(more.reason, Reason::Back, "what was enough before is gone back to");
    assert!(more.cap.expect("capped") > capped);
    assert!(
        !cap.take_redraw(Moment::from_millis(33_400)),
        "the sender has not heard of it yet"
    );
    assert!(cap.take_redraw(Moment::from_millis(33_500)));
    assert!(!cap.take_redraw(Moment::from_millis(34_000)), "once");
}

#[test]
fn an_encoder_that_leaves_pictures_out_is_given_more_until_it_sends_them() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut cap = Cap::default();
        // All of 30 pictures from this rate on; text can be read at any.
        let need = 80_000.0 * (random.f32() * 2.0).exp();
        let (mut rate, mut sparse) = (2_000_000, Vec::new());
        for second in 0..60 {
            for half in 0..2 {
                let now = Moment::from_millis(1_000 * second + 500 * half + 100);
                let evidence = Evidence {
                    kind: Kind::Reading,
                    readability: Some(Readability::new(0.95)),
                    rate,
                    seen: now,
                };
                cap.learn(now, evidence);
                rate = cap.decide(now, 2_000_000).rate(2_000_000);
            }
            let pace = 30.0 * (rate as f32 / need).min(1.0);
            cap.paced(Moment::from_millis(1_000 * second + 900), pace);
            rate = cap
                .decide(Moment::from_millis(1_000 * second + 950), 2_000_000)
                .rate(2_000_000);
            sparse.push(pace < 0.6 * 30.0);
        }
        let late = sparse[20..].iter().filter(|sparse| **sparse).count();
        assert!(late <= 2, "seed {seed}: of 40 seconds {late} had too few pictures");
        assert!(
            rate as f32 <= (3.0 * need).max(2.0 * LEAST as f32),
            "seed {seed}: {rate} where {need} is enough"
        );
    }
}

#[test]
fn a_camera_that_makes_fewer_pictures_is_not_sent_more_for_ever() {
    let mut cap = Cap::default();
    let mut last = None;
    for second in 0..60 {
        let now = Moment::from_millis(1_000 * second);
        let evidence = Evidence {
            kind: Kind::Reading,
            readability: Some(Readability::new(0.95)),
            rate: cap.decide(now, 900_000).rate(900_000),
            seen: now,
        };
        cap.learn(now, evidence);
        cap.paced(now, if second < 10 { 30.0 } else { 10.0 });
        last = cap.decide(now, u32::MAX).cap;
    }
    assert!(last.is_some_and(|cap| cap < 300_000), "{last:?}");
}
