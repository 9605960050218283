use super::*;
use crate::network::flight::{Flight, Landed};
use crate::network::uplink::{Path, Stretch, Trace, Uplink};

/// Pictures of as many bits as the controller allows, 30 a second, over stretches of (seconds, bits per second, loss).
struct Run {
    flight: Flight<Controller>,
    landed: Vec<Landed>,
    sent: Vec<(Moment, u64, u32)>,
}

fn fly(stretches: &[(i64, f64, f64)], seconds: i64, seed: u64) -> Run {
    let stretches = stretches.iter().map(|(seconds, rate, loss)| Stretch {
        span: Span::from_secs(*seconds),
        rate: *rate,
        loss: *loss,
        delay: Span::ZERO,
        jitter: Span::ZERO,
    });
    let trace = Trace::from_stretches(stretches.collect()).expect("a trace");
    let uplink = Uplink::new(trace, Path::default(), Moment::ZERO, seed);
    let controller = Controller::new(Limits::default());
    let mut run = Run {
        flight: Flight::new(uplink, controller, Span::from_millis(30), Moment::ZERO),
        landed: Vec::new(),
        sent: Vec::new(),
    };
    let mut random = fastrand::Rng::with_seed(seed);
    for number in 0..seconds * 30 {
        let now = Moment::ZERO + Span::from_samples(number, 30);
        run.flight.run(now);
        let target = run.flight.target(now);
        if run.flight.backlog(now) < Span::from_millis(200) {
            let bytes = f64::from(target) / 240.0 * (0.7 + random.f64() * 0.6);
            run.flight.send(now, number as u64, now, bytes as usize);
        }
        run.landed.extend(run.flight.landed(now));
        run.sent.push((now, run.flight.sent(), target));
    }
    run
}

impl Run {
    /// Mean bits per second between two seconds.
    fn rate(&self, from: i64, to: i64) -> f64 {
        let at = |second: i64| {
            let found = self
                .sent
                .iter()
                .find(|(now, ..)| *now >= Moment::from_millis(second * 1_000));
            found.unwrap_or(&self.sent[self.sent.len() - 1]).1
        };
        (at(to) - at(from)) as f64 * 8.0 / (to - from) as f64
    }

    /// Latencies of the pictures captured between two seconds, in order of size.
    fn latencies(&self, from: i64, to: i64) -> Vec<Span> {
        let within = |landed: &&Landed| (from * 1_000..to * 1_000).contains(&(landed.born.micros() / 1_000));
        let mut all: Vec<Span> = self
            .landed
            .iter()
            .filter(within)
            .map(|landed| landed.at - landed.born)
            .collect();
        all.sort();
        all
    }

    fn p95(&self, from: i64, to: i64) -> Span {
        let all = self.latencies(from, to);
        assert!(!all.is_empty(), "nothing came through");
        all[all.len() * 95 / 100]
    }
}

#[test]
fn it_fills_a_link_and_leaves_its_queue_short() {
    for (seed, rate) in [(1, 200e3), (2, 500e3), (3, 1e6), (4, 3e6), (5, 8e6)] {
        let run = fly(&[(60, rate, 0.0)], 60, seed);
        let share = run.rate(20, 60) / rate;
        assert!((0.65..1.02).contains(&share), "{share} of {rate}");
        let p95 = run.p95(20, 60);
        assert!(p95 < Span::from_millis(260), "{p95} at {rate}");
    }
}

#[test]
fn it_gives_way_where_the_link_shrinks_and_comes_back_where_it_widens() {
    for seed in 0..8 {
        let run = fly(&[(20, 2e6, 0.0), (20, 300e3, 0.0), (40, 2e6, 0.0)], 80, seed);
        let shrunk = run.rate(24, 40);
        assert!(shrunk < 310e3, "seed {seed}: {shrunk}");
        let p95 = run.p95(25, 40);
        assert!(p95 < Span::from_millis(400), "seed {seed}: {p95}");
        let widened = run.rate(50, 80);
        assert!(widened > 1.2e6, "seed {seed}: {widened}");
    }
}

#[test]
fn an_outage_is_sent_little_into_and_ended_quickly() {
    for seed in 0..8 {
        let run = fly(&[(15, 1e6, 0.0), (3, 1e3, 0.0), (20, 1e6, 0.0)], 36, seed);
        assert!(run.rate(16, 18) < 130e3, "seed {seed}: {}", run.rate(16, 18));
        let after = run.rate(22, 36);
        assert!(after > 450e3, "seed {seed}: {after}");
    }
}

#[test]
fn chance_losses_do_not_drive_it_away() {
    for seed in 0..8 {
        let run = fly(&[(60, 1e6, 0.05)], 60, seed);
        let share = run.rate(20, 60) / 1e6;
        assert!(share > 0.6, "seed {seed}: {share}");
    }
}

#[test]
fn it_stays_within_its_limits_whatever_it_hears() {
    let limits = Limits {
        start: 1,
        least: 90_000,
        most: 2_000_000,
    };
    for seed in 0..500 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut controller = Controller::new(limits);
        for _ in 0..300 {
            let now = Moment::from_nanos(random.i64(..));
            let fates: Vec<Fate> = (0..random.usize(0..9))
                .map(|_| Fate {
                    sent: Moment::from_nanos(random.i64(..)),
                    bytes: random.usize(0..1 << 40),
                    arrived: random.bool().then(|| Span::from_nanos(random.i64(..))),
                })
                .collect();
            controller.sent(now);
            controller.heard(now, &fates);
            let target = controller.target(now);
            assert!((limits.least..=limits.most).contains(&target), "seed {seed}: {target}");
        }
        assert!(controller.open.len() <= OPEN && controller.losses.fates.len() <= OPEN + 1);
    }
}
