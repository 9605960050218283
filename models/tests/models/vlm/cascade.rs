use hearsight_core::time::{Moment, Span};
use hearsight_models::vlm::cascade::{Cascade, Config};
use hearsight_models::vlm::scripted::{Prices, Script, Scripted};
use hearsight_models::vlm::{Answer, Answerer, Ask, Effort, Ended, local};

use super::{NOW, answer, ask, finish, model};

fn scripted(name: &'static str, millis: i64, separability: f32) -> Scripted {
    let prices = Prices {
        tile: Span::from_millis(millis),
        token: Span::from_millis(millis / 2),
    };
    let script = Script {
        text: format!("I am the {name} one").into(),
        certainty: 0.7,
        separability,
    };
    Scripted::new(name, prices, Box::new(move |_| script.clone()))
}

/// What comes of one question that has this long, and how late it was over.
fn cascade(separability: f32, millis: i64) -> (Answer, Span) {
    let config = Config {
        separability: 4.0,
        share: 0.4,
    };
    let mut both = Cascade::new(scripted("small", 10, separability), scripted("large", 100, 9.0), config);
    let deadline = NOW + Span::from_millis(millis);
    let effort = Effort { tokens: 24, text: 0.0 };
    both.ask(
        NOW,
        Ask {
            deadline,
            effort,
            ..ask("Who are you?", &[(64, 64)])
        },
    )
    .expect("taken");
    let (pieces, answer, over) = finish(&mut both, NOW, Span::ZERO);
    assert_eq!(pieces.concat(), *answer.text, "pieces of one answer, not of two");
    (answer, over - deadline)
}

#[test]
fn a_clear_answer_of_the_small_one_stands_and_the_large_one_is_not_asked() {
    let (answer, _) = cascade(5.0, 10_000);
    assert_eq!((&*answer.text, &*answer.engine), ("I am the small one", "small"));
    assert_eq!(answer.spent.inference, Span::from_millis(10 + 5 * 5));
}

#[test]
fn a_doubtful_one_goes_to_the_large_one() {
    let (answer, _) = cascade(3.0, 10_000);
    assert_eq!((&*answer.text, &*answer.engine), ("I am the large one", "large"));
    assert_eq!(
        answer.spent.inference,
        Span::from_millis(10 + 5 * 5 + 100 + 5 * 50),
        "both were paid for"
    );
    assert_eq!(answer.spent.first_text, Some(Span::from_millis(10 + 5 * 5 + 100 + 50)));
}

#[test]
fn without_time_for_the_large_one_the_small_ones_answer_stands() {
    let (answer, late) = cascade(3.0, 150);
    assert_eq!(&*answer.engine, "small");
    assert!(late <= Span::ZERO, "{late}");
}

#[test]
fn no_answer_is_later_than_the_deadline_and_one_slice() {
    let mut engines = [0; 2];
    for millis in 1..700 {
        for separability in [0.0, 8.0] {
            let (answer, late) = cascade(separability, millis);
            assert!(late <= Span::from_millis(100), "{millis} ms: {late} late");
            if !answer.text.is_empty() {
                engines[usize::from(&*answer.engine == "large")] += 1;
            }
        }
    }
    assert!(engines.iter().all(|count| *count > 50), "{engines:?}");
}

#[test]
fn two_real_models_decide_by_the_threshold_alone() {
    let (small, large) = (
        model("small", local::Config::default()),
        model("large", local::Config::default()),
    );
    let question = || ask("How many circles are there?", &[(160, 120)]);
    let alone = [&small, &large].map(|model| answer(&mut model.conversation(None), question()));
    let clear = alone[0].separability.expect("it spoke");
    for (threshold, who) in [
        (f32::NEG_INFINITY, 0),
        (clear - 0.01, 0),
        (clear + 0.01, 1),
        (f32::INFINITY, 1),
    ] {
        let config = Config {
            separability: threshold,
            ..Config::default()
        };
        let mut both = Cascade::new(small.conversation(None), large.conversation(None), config);
        let said = answer(&mut both, question());
        assert_eq!(said.text, alone[who].text, "threshold {threshold}");
        assert_eq!(&*said.engine, ["small", "large"][who]);
        // A question without a picture goes on where the last answer came from.
        let next = answer(&mut both, ask("And now?", &[]));
        assert!(
            next.spent.kept_tokens > 0,
            "threshold {threshold}: the conversation goes on"
        );
    }
}

#[test]
fn a_cancelled_question_is_over_at_once() {
    let mut both = Cascade::new(
        scripted("small", 10, 0.0),
        scripted("large", 100, 9.0),
        Config::default(),
    );
    for steps in 0..12 {
        both.ask(
            NOW,
            Ask {
                deadline: Moment::MAX,
                ..ask("Who?", &[(64, 64)])
            },
        )
        .expect("taken");
        for _ in 0..steps {
            both.step(NOW).expect("no fault");
        }
        both.cancel();
        assert_eq!(
            both.step(NOW),
            Ok(hearsight_models::vlm::Step::Idle),
            "after {steps} steps"
        );
    }
    assert_eq!(answer(&mut both, ask("Who?", &[])).ended, Ended::Said);
}
