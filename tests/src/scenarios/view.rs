//! The picture that is watched, on every network and machine.

use hearsight::budget;
use hearsight::view::{Origin, Reason};
use hearsight_core::meter::Tally;
use hearsight_core::network::Network;
use hearsight_core::time::Span;
use hearsight_shaders::interpolate::Rung;

use super::house::{Caller, Outcome, TALK_SECONDS, Watching, run, talk};

fn watched(seed: u64, network: Network, make: Span, encode: Span) -> Caller {
    Caller {
        network,
        picture_cost: Span::from_millis(3),
        fps: 30,
        talk: talk(&mut fastrand::Rng::with_seed(seed)),
        watched: Some(Watching { make, encode }),
        asked: None,
    }
}

fn lost(tally: &Tally, stage: &str) -> u64 {
    tally
        .lost
        .iter()
        .filter(|((at, _), _)| *at == stage)
        .map(|(_, count)| count)
        .sum()
}

/// Every display moment is one thing: shown, and then coded or lost on the way there, or held.
fn conserved(outcome: &Outcome, seed: u64) {
    let counts = outcome.counts.expect("the client is told");
    let shown: u64 = [Origin::Received, Origin::Made, Origin::Extrapolated]
        .map(|origin| counts.of(origin))
        .iter()
        .sum();
    let left = outcome.tally.ages.get("view").map_or(0, |ages| ages.count());
    let lost = lost(&outcome.tally, "encode");
    // Held moments that were dropped before the coder are counted there too.
    assert!(
        left <= shown && shown <= left + lost,
        "seed {seed}: {shown} shown, {left} left, {lost} lost"
    );
}

fn heard_all(outcome: &Outcome, caller: &Caller, seed: u64) {
    let heard = outcome.finals.join(" ");
    assert_eq!(
        heard.split_whitespace().count(),
        caller.talk.len(),
        "seed {seed}: {:?}",
        outcome.tally.lost
    );
    if let Some(ages) = outcome.tally.ages.get("words.final") {
        assert!(
            ages.worst() <= budget::WORDS_FINAL.span,
            "seed {seed}: {}",
            ages.worst()
        );
    }
}

#[test]
fn a_machine_with_time_for_it_shows_twice_as_many_pictures_in_time() {
    for seed in 0..10 {
        let caller = watched(seed, Network::PERFECT, Span::from_millis(5), Span::from_millis(2));
        let (_, outcomes) = run(seed, 2, std::slice::from_ref(&caller));
        let outcome = &outcomes[0];
        conserved(outcome, seed);
        heard_all(outcome, &caller, seed);
        let counts = outcome.counts.expect("the client is told");
        let (received, made) = (counts.of(Origin::Received), counts.of(Origin::Made));
        assert_eq!(received as i64, TALK_SECONDS * 30, "seed {seed}");
        assert!(made as i64 >= TALK_SECONDS * 30 - 6, "seed {seed}: {made} made");
        assert_eq!((counts.rung, counts.reason), (Rung::Vectors, None), "seed {seed}");
        let worst = outcome.tally.ages["view"].worst();
        assert!(worst <= budget::VIEW.span, "seed {seed}: {worst}");
        assert!(outcome.tally.lost.is_empty(), "seed {seed}: {:?}", outcome.tally.lost);
    }
}

#[test]
fn nothing_is_counted_twice_or_not_at_all_whatever_the_network_does() {
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let network = Network {
            delay: Span::from_millis(random.i64(0..60)),
            jitter: Span::from_millis(random.i64(0..30)),
            loss: random.f64() * 0.05,
            reorder: random.f64() * 0.05,
            rate: None,
        };
        let caller = watched(
            seed,
            network,
            Span::from_millis(random.i64(1..12)),
            Span::from_millis(random.i64(1..6)),
        );
        let (_, outcomes) = run(seed, random.usize(1..4), std::slice::from_ref(&caller));
        conserved(&outcomes[0], seed);
    }
}

#[test]
fn a_machine_that_is_too_slow_shows_what_came_and_says_so_and_hears_as_well_as_ever() {
    for seed in 0..10 {
        let caller = watched(seed, Network::PERFECT, Span::from_millis(70), Span::from_millis(4));
        let (_, outcomes) = run(seed, 2, std::slice::from_ref(&caller));
        let outcome = &outcomes[0];
        conserved(outcome, seed);
        heard_all(outcome, &caller, seed);
        let counts = outcome.counts.expect("the client is told");
        assert_eq!(
            (counts.rung, counts.reason),
            (Rung::Hold, Some(Reason::NoGpu)),
            "seed {seed}"
        );
        let (received, made) = (counts.of(Origin::Received), counts.of(Origin::Made));
        assert!(
            received as i64 >= TALK_SECONDS * 30 - 40,
            "seed {seed}: {counts:?}, {:?}",
            outcome.tally.lost
        );
        assert!(made < 30, "seed {seed}: {made} made");
    }
}

#[test]
fn a_crowd_that_watches_costs_hearing_nothing() {
    for seed in 0..6 {
        // Six views at 30 pictures a second, of which each could take half a worker; seeing has one.
        let mut callers: Vec<_> = (0..6)
            .map(|n| {
                watched(
                    seed ^ n << 8,
                    Network::PERFECT,
                    Span::from_millis(10),
                    Span::from_millis(5),
                )
            })
            .collect();
        callers.iter_mut().skip(3).for_each(|caller| caller.talk.clear());
        let (_, outcomes) = run(seed, 2, &callers);
        let mut made = 0;
        for (caller, outcome) in callers.iter().zip(&outcomes) {
            conserved(outcome, seed);
            heard_all(outcome, caller, seed);
            made += outcome.counts.expect("the client is told").of(Origin::Made);
        }
        assert!(
            (made as i64) < 6 * TALK_SECONDS * 20,
            "seed {seed}: {made} made, on a machine that can't"
        );
    }
}
