use super::*;

#[test]
fn the_published_cases() {
    let kbps = |current: u32, allowed: u32| rule(current * 1_000, allowed * 1_000, &PUBLISHED) / 1_000;
    assert_eq!(kbps(500, 300), 300, "congestion control wins, always");
    assert_eq!(
        kbps(500, 4_000),
        500,
        "enough is enough, however much the network allows"
    );
    assert_eq!(kbps(400, 400), 400);
    // 200 + (0.8 − 0.470) / (0.805 − 0.470) · 200 = 397.01…
    assert_eq!(kbps(200, 4_000), 398, "between the tiers, rounded up");
    assert_eq!(kbps(200, 350), 350, "and no more than is allowed");
    assert_eq!(kbps(0, 4_000), 398);
    // The first tier suffices: it is the answer whatever was before.
    let easy = [0.9, 0.92, 0.94, 0.96, 0.98, 0.99];
    assert_eq!(rule(100_000, 4_000_000, &easy), TIERS[0]);
    // No tier does: one up, and at the top stays.
    let hard = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6];
    let climb: Vec<u32> = std::iter::successors(Some(0), |rate| Some(rule(*rate, 9_000_000, &hard)))
        .take(9)
        .collect();
    assert_eq!(climb[1..7], TIERS);
    assert_eq!(climb[7..], [TIERS[5]; 2]);
    assert_eq!(rule(910_000, 1_000_000, &hard), 1_000_000);
}

/// A curve that rises, as every curve of the rule does.
fn rising(random: &mut fastrand::Rng) -> [f32; TIERS.len()] {
    let mut curve = [0.0; TIERS.len()].map(|_: f32| random.f32());
    curve.sort_by(f32::total_cmp);
    curve
}

#[test]
fn the_rule_obeys_the_network_and_goes_where_the_curve_says_enough() {
    for seed in 0..20_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let curve = rising(&mut random);
        let (current, allowed) = (random.u32(0..4_000_000), random.u32(0..4_000_000));
        let rate = rule(current, allowed, &curve);
        assert!(rate <= allowed, "seed {seed}");
        if rate < allowed && curve[TIERS.len() - 1] >= ENOUGH {
            assert!(
                readability_at(rate, &curve) >= ENOUGH - 1e-3,
                "seed {seed}: {rate} of {curve:?}"
            );
        }
        if current <= allowed {
            let again = rule(rate, allowed, &curve);
            assert!(again >= rate, "seed {seed}: it never comes down by itself");
        }
    }
}

#[test]
fn the_curve_is_read_between_its_points() {
    assert_eq!(readability_at(0, &PUBLISHED), 0.0);
    assert!((readability_at(100_000, &PUBLISHED) - 0.235).abs() < 1e-6);
    for (tier, readable) in TIERS.into_iter().zip(PUBLISHED) {
        assert!((readability_at(tier, &PUBLISHED) - readable).abs() < 1e-6);
    }
    assert_eq!(readability_at(u32::MAX, &PUBLISHED), PUBLISHED[5]);
}

#[test]
fn the_rate_of_pictures_keeps_its_promise_in_a_lottery() {
    let second = Span::from_secs(1);
    assert_eq!(least_rate(0.0, 0.01, second), Some(1.0));
    assert_eq!(least_rate(0.1, 0.01, second), Some(2.0));
    assert_eq!(least_rate(0.3, 0.01, Span::from_millis(500)), Some(8.0));
    for odd in [
        least_rate(1.0, 0.01, second),
        least_rate(f64::NAN, 0.01, second),
        least_rate(-0.1, 0.01, second),
        least_rate(0.1, 0.0, second),
        least_rate(0.1, f64::NAN, second),
        least_rate(0.1, 0.01, Span::ZERO),
    ] {
        assert_eq!(odd, None);
    }
    for seed in 0..50 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (lost, miss) = (0.02 + random.f64() * 0.6, 0.01 + random.f64() * 0.1);
        let pictures = least_rate(lost, miss, second).expect("sane") as u32;
        let slots = 20_000;
        let dark = (0..slots)
            .filter(|_| (0..pictures).all(|_| random.f64() < lost))
            .count();
        let share = dark as f64 / f64::from(slots);
        // Three standard deviations of such a lottery.
        let slack = 3.0 * (miss / f64::from(slots)).sqrt();
        assert!(share <= miss + slack, "seed {seed}: {share} over {miss}");
    }
}

#[test]
fn a_picture_is_lost_when_any_of_its_packets_is() {
    assert_eq!(picture_loss(0.0, 9), 0.0);
    assert_eq!(picture_loss(1.0, 1), 1.0);
    assert!((picture_loss(0.1, 2) - 0.19).abs() < 1e-9);
    assert_eq!(picture_loss(f64::NAN, 3), 0.0);
    assert_eq!(picture_loss(7.0, 3), 1.0);
}
