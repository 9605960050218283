//! Questions about the picture, on machines that have time for them and on ones that have not.

use std::collections::BTreeMap;

use hearsight::budget;
use hearsight_core::graph::TICK;
use hearsight_core::meter::Histogram;
use hearsight_core::network::Network;
use hearsight_core::stamped::Mark;
use hearsight_core::time::Span;
use hearsight_models::vlm::turn::{Turn, Unanswered};

use super::asking::{ALLOWED, Quiz, WORDS};
use super::house::{Caller, Outcome, TALK_SECONDS, run, talk, worst_case};

fn caller(random: &mut fastrand::Rng, asked: Quiz) -> Caller {
    Caller {
        network: Network::PERFECT,
        picture_cost: Span::from_millis(3),
        fps: 15,
        talk: talk(random),
        watched: None,
        asked: Some(asked),
    }
}

fn asked(random: &mut fastrand::Rng, count: usize, tile: i64, token: i64) -> Quiz {
    Quiz {
        at: (0..count)
            .map(|_| Span::from_millis(random.i64(1_000..(TALK_SECONDS - 1) * 1_000)))
            .collect(),
        tile: Span::from_millis(tile),
        token: Span::from_millis(token),
        allowed: ALLOWED,
    }
}

/// Every question has exactly one end, all of its words before it, and nothing later than its budget and one slice. Answers with the
/// ends: none for an answer.
fn ends(outcome: &Outcome, asked: &Quiz, seed: u64) -> Vec<Option<Unanswered>> {
    let slice = asked.tile.max(asked.token);
    let mut ends = BTreeMap::new();
    for (age, unit) in &outcome.turns {
        let end = match &unit.item {
            Turn::Ask { id, .. } | Turn::First { id, .. } | Turn::More { id, .. } => {
                assert!(!ends.contains_key(id), "seed {seed}: words after the end");
                None
            }
            Turn::Answer { id, .. } => Some((*id, None)),
            Turn::None { id, why, .. } => Some((*id, Some(*why))),
            Turn::Cancel { .. } => panic!("seed {seed}: it is for the engine"),
        };
        // To be told that there is none is no answer: it may come when the last slice might have ended.
        let told = matches!(unit.item, Turn::None { .. });
        let most = asked.allowed + slice + if told { TICK } else { Span::ZERO };
        assert!(*age <= most, "seed {seed}: {age} after the question: {:?}", unit.item);
        if let Some((id, why)) = end {
            assert_eq!(ends.insert(id, why), None, "seed {seed}: two ends");
        }
    }
    assert_eq!(ends.len(), asked.at.len(), "seed {seed}: every question ends");
    ends.into_values().collect()
}

#[test]
fn the_drawing_promises_an_answer_within_its_deadline_and_one_slice() {
    let worst = worst_case("answer.whole");
    println!("{:14} worst case {worst}, budget {ALLOWED}", "answer.whole");
    assert_eq!(worst, ALLOWED + Span::from_millis(100) + TICK);
}

#[test]
fn on_a_machine_with_time_every_question_is_answered_whole_about_what_is_there_now() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let asked = Quiz {
            // Far enough apart that none waits.
            at: (1..9)
                .map(|n| Span::from_millis(1_000 * n + random.i64(0..300)))
                .collect(),
            ..asked(&mut random, 0, 40, 20)
        };
        let caller = caller(&mut random, asked.clone());
        let said: Vec<_> = caller.talk.iter().map(|word| word.text.to_string()).collect();
        let outcome = &run(seed, 2, &[caller]).1[0];
        assert!(ends(outcome, &asked, seed).iter().all(Option::is_none), "seed {seed}");
        let pieces = outcome
            .turns
            .iter()
            .filter(|(_, unit)| matches!(unit.item, Turn::First { .. } | Turn::More { .. }));
        assert_eq!(pieces.count(), asked.at.len() * WORDS);
        for (age, unit) in &outcome.turns {
            match &unit.item {
                Turn::First { .. } => {
                    assert!(*age <= budget::ANSWER.span, "seed {seed}: {age}");
                    let marks: Vec<_> = unit.trail.segments(unit.born).collect();
                    assert_eq!(
                        marks.iter().map(|(mark, _)| *mark).collect::<Vec<_>>(),
                        [Mark::Asked, Mark::Answered, Mark::Sent]
                    );
                    assert_eq!(marks.iter().map(|(_, span)| *span).sum::<Span>(), *age, "seed {seed}");
                }
                Turn::Answer { answer, still, .. } => {
                    let fresh = unit.born - answer.seen[0].born;
                    assert!(fresh <= Span::from_millis(300), "seed {seed}: a picture {fresh} old");
                    assert!(still[0] >= answer.seen[0].born);
                }
                _ => {}
            }
        }
        let ages = &outcome.tally.ages;
        assert_eq!(ages["answer"].count(), asked.at.len() as u64);
        assert_eq!(ages["answer.whole"].count(), asked.at.len() as u64);
        assert_eq!(
            outcome.finals.join(" ").split_whitespace().collect::<Vec<_>>(),
            said,
            "seed {seed}"
        );
    }
}

#[test]
fn more_questions_than_there_is_time_for_are_told_so_in_time_and_cost_hearing_nothing() {
    let mut late = 0;
    for seed in 0..12 {
        let mut random = fastrand::Rng::with_seed(seed);
        let callers: Vec<_> = (0..6)
            .map(|_| {
                let asked = asked(&mut random, 20, 350, 300);
                caller(&mut random, asked)
            })
            .collect();
        let workers = random.usize(1..4);
        let quiet = callers.iter().cloned().map(|caller| Caller { asked: None, ..caller });
        let quiet: Vec<_> = quiet.collect();
        let (_, outcomes) = run(seed, workers, &callers);
        let (_, without) = run(seed, workers, &quiet);
        for ((outcome, same), caller) in outcomes.iter().zip(&without).zip(&callers) {
            let quiz = caller.asked.as_ref().expect("everybody asks");
            let ends = ends(outcome, quiz, seed);
            late += ends.iter().filter(|end| **end == Some(Unanswered::Late)).count();
            // One worker can't hear all of them, with questions or without.
            assert_eq!(outcome.finals, same.finals, "seed {seed}");
            let worst = |outcome: &Outcome| outcome.tally.ages.get("words.final").map(Histogram::worst);
            assert_eq!(worst(outcome), worst(same), "seed {seed}");
        }
    }
    assert!(
        late > 100,
        "{late} questions were late: the machine has more time than it was to have"
    );
}

#[test]
fn a_question_before_the_first_picture_is_told_so() {
    let mut random = fastrand::Rng::with_seed(1);
    let asked = Quiz {
        at: vec![Span::from_millis(1)],
        ..asked(&mut random, 0, 40, 20)
    };
    let outcome = &run(1, 2, &[caller(&mut random, asked.clone())]).1[0];
    assert_eq!(ends(outcome, &asked, 1), [Some(Unanswered::NoPicture)]);
}
