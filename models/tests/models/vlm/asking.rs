use std::sync::Arc;

use hearsight_core::stage::{Engine, Lost, Outbox, Signal, Stage, Wake, Why};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::vlm::allowance::Allowance;
use hearsight_models::vlm::asking::{Asking, Config, Turns};
use hearsight_models::vlm::clerk::Clerk;
use hearsight_models::vlm::scripted::{Prices, Script, Scripted};
use hearsight_models::vlm::turn::{Turn, Unanswered, View};
use hearsight_models::vlm::{Ask, Ended};

use super::{NOW, picture};

const CONFIG: Config = Config {
    allowed: Span::from_millis(1_500),
    tokens: 24,
    waiting: 2,
    turns: Turns::Conversation,
};

fn asking(config: Config, purses: Vec<Arc<Allowance>>) -> Asking<Scripted> {
    let prices = Prices {
        tile: Span::from_millis(20),
        token: Span::from_millis(30),
    };
    let author = Box::new(|ask: &Ask| Script {
        text: format!("{} pictures", ask.pictures.len()).into(),
        certainty: 0.5,
        separability: 1.0,
    });
    Asking::new(Scripted::new("script", prices, author), config, purses)
}

fn view() -> View {
    View {
        picture: Stamped::new(MediaTime::from_millis(3), NOW - Span::from_millis(80), picture(64, 48)),
        still: NOW,
    }
}

fn question(id: u64, born: Moment, views: &[View]) -> Signal<Turn> {
    let item = Turn::Ask {
        id,
        question: "How many?".into(),
        views: views.to_vec(),
        text: 0.0,
    };
    Signal::Item(Stamped::new(MediaTime::ZERO, born, item))
}

fn cancel(id: u64) -> Signal<Turn> {
    Signal::Item(Stamped::new(MediaTime::ZERO, NOW, Turn::Cancel { id }))
}

/// Runs `engine` on `signals`, then on timers until it wants none.
fn run(engine: &mut Asking<Scripted>, mut now: Moment, signals: Vec<Signal<Turn>>) -> (Vec<Signal<Turn>>, Moment) {
    let mut out = Outbox::default();
    let mut all = Vec::new();
    let mut signals = signals.into_iter();
    loop {
        let signal = signals.next().unwrap_or(Signal::Timer);
        let last = matches!(signal, Signal::Timer);
        let wake = engine.run(now, signal, &mut out).expect("no fault");
        all.extend(out.drain());
        match wake {
            Wake::OnSignal if last => return (all, now),
            Wake::At(at) if last => now = at.max(now + Span::from_millis(1)),
            _ => {}
        }
    }
}

fn turns(signals: &[Signal<Turn>]) -> Vec<&Turn> {
    let items = signals.iter().filter_map(|signal| match signal {
        Signal::Item(unit) => Some(&unit.item),
        _ => None,
    });
    items.collect()
}

/// What became of each question, in the order of its end.
fn ends(signals: &[Signal<Turn>]) -> Vec<(u64, String)> {
    let ends = turns(signals).into_iter().filter_map(|turn| match turn {
        Turn::Answer { id, answer, .. } => Some((*id, answer.text.to_string())),
        Turn::None { id, why, .. } => Some((*id, why.name().to_owned())),
        _ => None,
    });
    ends.collect()
}

fn lost(signals: &[Signal<Turn>]) -> Vec<Lost> {
    let gaps = signals.iter().filter_map(|signal| match signal {
        Signal::Gap(gap) => Some(gap.why),
        _ => None,
    });
    gaps.collect()
}

#[test]
fn a_question_is_answered_in_pieces_and_says_what_it_rests_on() {
    let mut engine = asking(CONFIG, vec![]);
    let shown = view();
    let (signals, _) = run(&mut engine, NOW, vec![question(7, NOW, std::slice::from_ref(&shown))]);
    let said = turns(&signals);
    let [
        Turn::First { id: 7, text: one },
        Turn::More { id: 7, text: two },
        Turn::Answer { id: 7, answer, still },
    ] = &said[..]
    else {
        panic!("{said:?}");
    };
    assert_eq!((&**one, &**two, &*answer.text), ("1 ", "pictures", "1 pictures"));
    assert_eq!((answer.seen[0].at, &still[..]), (shown.picture.at, &[NOW][..]));
    assert!(signals.iter().all(|signal| match signal {
        Signal::Item(unit) => unit.born == NOW && unit.trail.at(Mark::Asked) == Some(NOW),
        _ => true,
    }));
    let (signals, _) = run(&mut engine, NOW, vec![question(8, NOW, &[shown])]);
    assert_eq!(
        ends(&signals),
        [(8, "0 pictures".into())],
        "the same picture is in the conversation"
    );
    let (signals, _) = run(&mut engine, NOW, vec![question(9, NOW, &[view()])]);
    assert_eq!(ends(&signals), [(9, "1 pictures".into())]);
    let mut alone = asking(
        Config {
            turns: Turns::Alone,
            ..CONFIG
        },
        vec![],
    );
    let shown = view();
    for id in 0..3 {
        let (signals, _) = run(&mut alone, NOW, vec![question(id, NOW, std::slice::from_ref(&shown))]);
        assert_eq!(ends(&signals), [(id, "1 pictures".into())]);
    }
}

#[test]
fn questions_are_answered_in_turn_and_further_ones_are_refused_at_once() {
    let mut engine = asking(CONFIG, vec![]);
    let all = (1..=5).map(|id| question(id, NOW, &[view()])).collect();
    let (signals, _) = run(&mut engine, NOW, all);
    let mut ends = ends(&signals);
    assert_eq!(ends.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [4, 5, 1, 2, 3]);
    assert!(ends.drain(..2).all(|(_, why)| why == "crowded"));
    assert!(ends.iter().all(|(_, said)| said == "1 pictures"));
    assert_eq!(lost(&signals), [Lost::Refused; 2]);
}

#[test]
fn a_question_is_taken_back_before_and_while_it_is_answered() {
    let mut engine = asking(CONFIG, vec![]);
    let signals = vec![
        question(1, NOW, &[view()]),
        question(2, NOW, &[view()]),
        question(3, NOW, &[view()]),
        cancel(2),
        cancel(1),
        cancel(77),
    ];
    let (signals, _) = run(&mut engine, NOW, signals);
    let expected = [(2, "cancelled"), (1, "cancelled"), (3, "1 pictures")];
    assert_eq!(ends(&signals), expected.map(|(id, end)| (id, end.to_owned())));
    assert!(lost(&signals).is_empty());
}

#[test]
fn a_question_that_cannot_be_answered_in_time_is_told_so() {
    let mut engine = asking(CONFIG, vec![]);
    let (signals, _) = run(&mut engine, NOW, vec![question(1, NOW - CONFIG.allowed, &[view()])]);
    assert_eq!(
        (ends(&signals), lost(&signals)),
        (vec![(1, "late".into())], vec![Lost::TooLate])
    );
    let soon = NOW - CONFIG.allowed + Span::from_millis(10);
    let (signals, over) = run(&mut engine, NOW, vec![question(2, soon, &[view()])]);
    assert_eq!(
        (ends(&signals), lost(&signals)),
        (vec![(2, "late".into())], vec![Lost::TooLate])
    );
    assert!(over <= soon + CONFIG.allowed);
}

#[test]
fn nothing_seen_nothing_asked_and_an_empty_purse_each_have_their_own_reason() {
    let purse = Arc::new(Allowance::new(30));
    let mut engine = asking(CONFIG, vec![purse]);
    let empty = Turn::Ask {
        id: 2,
        question: "  ".into(),
        views: vec![view()],
        text: 0.0,
    };
    let signals = vec![
        question(1, NOW, &[]),
        Signal::Item(Stamped::new(MediaTime::ZERO, NOW, empty)),
    ];
    assert_eq!(
        ends(&run(&mut engine, NOW, signals).0),
        [(1, "no_picture".into()), (2, "unfit".into())]
    );
    let mut id = 2;
    let refused = loop {
        id += 1;
        assert!(id < 9, "a purse of 30 tokens is not enough for six answers of 24");
        let (signals, _) = run(&mut engine, NOW, vec![question(id, NOW, &[view()])]);
        if let [Turn::None { why, words, .. }] = turns(&signals)[..] {
            break (*why, words.to_string());
        }
    };
    assert_eq!(refused.0, Unanswered::Allowance);
    assert!(refused.1.contains("ask again in"), "{}", refused.1);
}

#[test]
fn a_flush_and_the_end_leave_nothing_under_way() {
    for last in [Signal::Flush(Why::BargeIn), Signal::End] {
        let mut engine = asking(CONFIG, vec![]);
        let (signals, _) = run(
            &mut engine,
            NOW,
            vec![question(1, NOW, &[view()]), question(2, NOW, &[view()]), last.clone()],
        );
        assert!(ends(&signals).is_empty());
        let end = |signal: &Signal<Turn>| matches!(signal, Signal::End);
        assert_eq!(signals.iter().any(end), end(&last));
    }
}

#[test]
fn whatever_an_engine_does_every_question_ends_once_and_in_time() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut clerk = Clerk::new(CONFIG.allowed);
        let (mut now, mut next, mut ended) = (NOW, 0u64, std::collections::BTreeMap::new());
        let mut born = std::collections::BTreeMap::new();
        for round in 0..200 {
            now += Span::from_millis(random.i64(0..200));
            let id = random.u64(0..next.max(1));
            let unit = |item| {
                Signal::Item(Stamped::new(
                    MediaTime::ZERO,
                    born.get(&id).copied().unwrap_or(now),
                    item,
                ))
            };
            let signal = match random.u8(0..9) {
                _ if round == 199 => Signal::End,
                0..=2 => {
                    born.insert(next, now);
                    next += 1;
                    question(next - 1, now, &[view()])
                }
                3 => unit(Turn::First { id, text: "a".into() }),
                4 => unit(Turn::More { id, text: "b".into() }),
                5 => unit(Turn::None {
                    id,
                    why: Unanswered::Failed,
                    words: "".into(),
                }),
                6 if round % 50 == 49 => Signal::Flush(Why::BargeIn),
                _ => Signal::Timer,
            };
            let mut out = Outbox::default();
            let wake = clerk.step(now, signal, &mut out);
            for signal in out.drain() {
                let Signal::Item(unit) = signal else { continue };
                match unit.item {
                    Turn::None { id, .. } | Turn::Answer { id, .. } => {
                        assert_eq!(ended.insert(id, now), None, "seed {seed}")
                    }
                    Turn::First { id, .. } | Turn::More { id, .. } => {
                        assert!(
                            !ended.contains_key(&id) && now - born[&id] <= CONFIG.allowed,
                            "seed {seed}"
                        );
                    }
                    Turn::Ask { views, .. } => assert!(views.is_empty(), "seed {seed}: pictures are for the engine"),
                    Turn::Cancel { .. } => panic!("seed {seed}: it is for the engine"),
                }
            }
            let open = born.iter().filter(|(id, _)| !ended.contains_key(*id));
            let due = open.map(|(_, born)| *born + CONFIG.allowed).min();
            let wakes = |due| matches!(wake, Wake::At(at) if at <= due + Span::from_nanos(1));
            assert!(due.is_none_or(wakes), "seed {seed}");
        }
        assert_eq!(ended.len() as u64, next, "seed {seed}: all have ended");
    }
}

#[test]
fn an_answer_that_is_late_ends_where_it_is() {
    let prices = Prices {
        tile: Span::from_millis(100),
        token: Span::from_millis(400),
    };
    let author = Box::new(|_: &Ask| Script {
        text: "one two three four five six".into(),
        certainty: 0.5,
        separability: 1.0,
    });
    let mut engine = Asking::new(Scripted::new("slow", prices, author), CONFIG, vec![]);
    let mut out = Outbox::default();
    let (mut now, mut signal, mut said) = (NOW, question(1, NOW, &[view()]), Vec::new());
    while let Wake::At(again) = engine.run(now, signal, &mut out).expect("no fault") {
        // As a host would: what the slice is said to take is what passes.
        let cost = if out.signals().iter().any(|signal| matches!(signal, Signal::Item(unit) if matches!(unit.item, Turn::First { .. } | Turn::More { .. }))) { 400 } else { 100 };
        now = again.max(now + Span::from_millis(cost));
        said.extend(out.drain().map(|signal| (now, signal)));
        signal = Signal::Timer;
    }
    let signals: Vec<_> = said.iter().map(|(_, signal)| signal.clone()).collect();
    let [.., Turn::Answer { answer, .. }] = &turns(&signals)[..] else {
        panic!("{signals:?}")
    };
    assert_eq!(answer.ended, Ended::Late);
    assert!(!answer.text.is_empty());
    assert!(said.iter().all(|(at, _)| *at <= NOW + CONFIG.allowed + engine.slice()));
}
