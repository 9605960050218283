//! More work than the machine can do.

use hearsight::budget;
use hearsight_core::media::Request;
use hearsight_core::network::Network;
use hearsight_core::stage::Lost;
use hearsight_core::time::Span;

use super::house::{Caller, run, talk};

fn crowd(seed: u64, count: usize, picture_cost: Span) -> Vec<Caller> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count)
        .map(|_| Caller {
            network: Network::PERFECT,
            picture_cost,
            fps: 30,
            talk: talk(&mut random),
            watched: None,
            asked: None,
        })
        .collect()
}

#[test]
fn seeing_four_times_too_much_costs_hearing_nothing() {
    for seed in 0..8 {
        // Eight callers with 30 pictures of 18 ms a second want more than four workers; there are two, and seeing gets one.
        // Three of them speak, which takes half a worker.
        let mut callers = crowd(seed, 8, Span::from_millis(24));
        callers.iter_mut().skip(3).for_each(|caller| caller.talk.clear());
        let (_, outcomes) = run(seed, 2, &callers);
        for (caller, outcome) in callers.iter().zip(&outcomes) {
            let heard = outcome.finals.join(" ");
            assert_eq!(
                heard.split_whitespace().count(),
                caller.talk.len(),
                "seed {seed}: {:?}",
                outcome.tally.lost
            );
            let finals = outcome.tally.ages.get("words.final");
            assert!(
                finals.is_none_or(|ages| ages.worst() <= budget::WORDS_FINAL.span),
                "seed {seed}"
            );
            let mut lost = outcome.tally.lost.keys();
            assert!(
                !lost.any(|(stage, _)| *stage == "vad" || *stage == "recognise"),
                "seed {seed}"
            );
        }
        let lost: u64 = outcomes
            .iter()
            .filter_map(|outcome| outcome.tally.lost.get(&("decode", Lost::TooOld)))
            .sum();
        assert!(lost > 0, "seed {seed}: so much seeing can't be done");
    }
}

#[test]
fn pictures_that_are_dropped_are_announced_and_a_keyframe_is_asked_for() {
    let mut caller = crowd(3, 1, Span::from_millis(4)).remove(0);
    caller.network = Network {
        loss: 0.05,
        ..Network::PERFECT
    };
    let (_, outcomes) = run(3, 2, &[caller]);
    let outcome = &outcomes[0];
    assert!(outcome.requests.contains(&Request::Keyframe));
    assert!(
        outcome
            .gaps
            .iter()
            .any(|gap| gap.stage == "decode" && gap.why == Lost::Undecodable)
    );
}
