use hearsight_core::stage::{Engine, Lost, Outbox, Signal, Wake, Why};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::vlm::asking::{Asking, Query, Reply};
use hearsight_models::vlm::scripted::{Prices, Script, Scripted};
use hearsight_models::vlm::{Effort, Ended};

use super::{NOW, picture};

const ALLOWED: Span = Span::from_millis(1_500);

fn asking(pictures: usize) -> Asking<Scripted> {
    let prices = Prices {
        tile: Span::from_millis(20),
        token: Span::from_millis(30),
    };
    let author = Box::new(|ask: &hearsight_models::vlm::Ask| Script {
        text: format!("{} pictures", ask.pictures.len()).into(),
        certainty: 0.5,
        separability: 1.0,
    });
    Asking::new(Scripted::new("script", prices, author), ALLOWED, pictures)
}

fn shown(millis: i64) -> Signal<Query> {
    let at = MediaTime::from_millis(millis);
    Signal::Item(Stamped::new(at, NOW, Query::Picture(picture(64, 48))))
}

fn question(id: u32, born: Moment) -> Signal<Query> {
    let effort = Effort { tokens: 24, text: 0.0 };
    let item = Query::Question {
        id,
        text: "How many?".into(),
        effort,
    };
    Signal::Item(Stamped::new(MediaTime::ZERO, born, item))
}

/// Runs `engine` on `signals`, then on timers until it wants none.
fn run(engine: &mut Asking<Scripted>, mut now: Moment, signals: Vec<Signal<Query>>) -> (Vec<Signal<Reply>>, Moment) {
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
            Wake::OnSignal => {}
            Wake::At(at) => now = at.max(now + Span::from_millis(1)),
        }
    }
}

fn replies(signals: &[Signal<Reply>]) -> Vec<&Reply> {
    let items = signals.iter().filter_map(|signal| match signal {
        Signal::Item(unit) => Some(&unit.item),
        _ => None,
    });
    items.collect()
}

fn lost(signals: &[Signal<Reply>]) -> Vec<Lost> {
    let gaps = signals.iter().filter_map(|signal| match signal {
        Signal::Gap(gap) => Some(gap.why),
        _ => None,
    });
    gaps.collect()
}

#[test]
fn a_question_is_answered_about_the_latest_pictures_in_pieces() {
    let mut engine = asking(2);
    let (signals, _) = run(&mut engine, NOW, vec![shown(1), shown(2), shown(3), question(7, NOW)]);
    let said = replies(&signals);
    let [
        Reply::Text { id: 7, text: one },
        Reply::Text { id: 7, text: two },
        Reply::Answer { id: 7, answer },
    ] = &said[..]
    else {
        panic!("{said:?}");
    };
    assert_eq!((&**one, &**two, &*answer.text), ("2 ", "pictures", "2 pictures"));
    assert_eq!(
        answer.seen.iter().map(|seen| seen.at).collect::<Vec<_>>(),
        [2, 3].map(MediaTime::from_millis)
    );
    let (signals, _) = run(&mut engine, NOW, vec![question(8, NOW)]);
    let [.., Reply::Answer { answer, .. }] = &replies(&signals)[..] else {
        panic!("an answer")
    };
    assert_eq!(
        &*answer.text, "0 pictures",
        "what was asked about before is in the conversation"
    );
}

#[test]
fn a_newer_question_takes_the_place_of_the_one_under_way_and_asks_about_its_pictures_too() {
    let mut engine = asking(1);
    let (signals, _) = run(&mut engine, NOW, vec![shown(1), question(1, NOW), question(2, NOW)]);
    assert_eq!(lost(&signals), [Lost::Replaced]);
    let said = replies(&signals);
    assert!(matches!(said[0], Reply::None { id: 1, .. }), "{said:?}");
    let Some(Reply::Answer { id: 2, answer }) = said.last() else {
        panic!("{said:?}")
    };
    assert_eq!(&*answer.text, "1 pictures");
}

#[test]
fn a_question_that_comes_too_late_is_told_so() {
    let mut engine = asking(1);
    let (signals, _) = run(&mut engine, NOW, vec![shown(1), question(1, NOW - ALLOWED)]);
    assert_eq!(lost(&signals), [Lost::TooLate]);
    assert!(matches!(replies(&signals)[..], [Reply::None { id: 1, .. }]));
    let soon = NOW - ALLOWED + Span::from_millis(10);
    let (signals, over) = run(&mut engine, NOW, vec![question(2, soon)]);
    assert_eq!(lost(&signals), [Lost::TooLate]);
    let [Reply::Answer { id: 2, answer }] = &replies(&signals)[..] else {
        panic!("it says that it could not")
    };
    assert_eq!((answer.ended, &*answer.text), (Ended::Late, ""));
    assert!(over <= soon + ALLOWED);
}

#[test]
fn barging_in_ends_the_answer_and_keeps_the_pictures_and_a_seek_forgets_both() {
    for (why, pictures) in [(Why::BargeIn, "1 pictures"), (Why::Seek, "0 pictures")] {
        let mut engine = asking(1);
        let (signals, _) = run(
            &mut engine,
            NOW,
            vec![shown(1), question(1, NOW), Signal::Flush(why), question(2, NOW)],
        );
        let said = replies(&signals);
        let Some(Reply::Answer { id: 2, answer }) = said.last() else {
            panic!("{said:?}")
        };
        assert_eq!(&*answer.text, pictures);
        assert!(
            !said.iter().any(|reply| matches!(reply, Reply::Answer { id: 1, .. })),
            "{said:?}"
        );
    }
}

#[test]
fn the_end_ends_everything() {
    let mut engine = asking(1);
    let (signals, _) = run(&mut engine, NOW, vec![shown(1), question(1, NOW), Signal::End]);
    assert!(matches!(signals.last(), Some(Signal::End)));
    assert!(
        !replies(&signals)
            .iter()
            .any(|reply| matches!(reply, Reply::Answer { .. }))
    );
}
