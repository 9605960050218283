use hearsight_core::media::{Certainty, Line, Point, Readability};

use super::*;

fn line(text: &str, left: f32) -> Line {
    let point = |x: f32, y: f32| Point { x, y };
    let corners = [
        point(left, 0.1),
        point(left + 0.1, 0.1),
        point(left + 0.1, 0.2),
        point(left, 0.2),
    ];
    Line {
        text: text.into(),
        region: Region { corners },
        certainty: Certainty::new(0.9),
    }
}

fn reading(millis: i64, readability: Option<f32>, lines: &[Line]) -> Stamped<Reading> {
    let at = MediaTime::from_millis(millis);
    let reading = Reading {
        lines: lines.into(),
        unread: 0,
        readability: readability.map(Readability::new),
        read: at,
    };
    Stamped::new(at, Moment::from_millis(millis), reading)
}

fn terms(mode: Mode, most_kbps: Option<u32>) -> Terms {
    Terms { mode, most_kbps }
}

fn spender(mode: Mode) -> Spender {
    Spender::new("me".into(), terms(mode, None))
}

/// A second of 30 pictures that make up `kbps`, up to `millis`.
fn sent(spender: &Spender, millis: i64, kbps: usize) {
    (0..30).for_each(|n| spender.came(MediaTime::from_millis(millis - 990 + n * 33), kbps * 1_000 / 8 / 30));
}

#[test]
fn what_can_be_read_lowers_the_cap_and_frames_the_lines_that_answer() {
    let spender = spender(Mode::Full);
    let lines = [line("EXIT ONLY", 0.1), line("Platform 9", 0.7)];
    let mut last = None;
    for second in 1..40 {
        let now = Moment::from_millis(second * 1_000 + 300);
        sent(&spender, second * 1_000, 2_000);
        let told = spender.reading(now, &reading(second * 1_000, Some(0.95), &lines));
        last = told.or(last);
    }
    let word = last.expect("told");
    assert!(word.cap_kbps.is_some_and(|cap| cap < 2_000), "{word:?}");
    assert_eq!((word.kind.as_str(), word.slot_ms), ("reading", Some(SLOT_MS)));
    let both = crate::wire::allocation::map_from_text(&word.map.expect("a map")).expect("a map");
    assert!(both.worth(0.15, 0.15) == 1.0 && both.worth(0.75, 0.15) == 1.0);
    spender.asked(Moment::from_millis(40_000), "Which platform does the sign name?");
    let told = spender.reading(Moment::from_millis(40_600), &reading(40_500, Some(0.9), &lines));
    let word = told.expect("told");
    let one = crate::wire::allocation::map_from_text(&word.map.expect("a map")).expect("a map");
    assert!(one.worth(0.15, 0.15) < 1.0 && one.worth(0.75, 0.15) == 1.0);
    assert_eq!(word.kind, "text");
}

#[test]
fn a_cut_and_a_silence_take_the_cap_off_and_off_says_nothing() {
    let spender = spender(Mode::Cap);
    for second in 1..9 {
        sent(&spender, second * 1_000, 2_000);
        spender.reading(
            Moment::from_millis(second * 1_000 + 100),
            &reading(second * 1_000, Some(0.95), &[]),
        );
    }
    let (now, at) = (Moment::from_millis(8_500), MediaTime::from_millis(8_500));
    let cut = spender.cut(now, at).expect("told");
    assert_eq!((cut.cap_kbps, cut.reason.as_str(), cut.map), (None, "scene", None));
    sent(&spender, 9_500, 2_000);
    let capped = spender
        .reading(Moment::from_millis(9_600), &reading(9_500, Some(0.95), &[]))
        .expect("told");
    assert!(capped.cap_kbps.is_some() && capped.number > cut.number);
    let silent = spender
        .look(Moment::from_millis(14_000), MediaTime::from_millis(14_000))
        .expect("told");
    assert_eq!((silent.cap_kbps, silent.reason.as_str()), (None, "silent"));
    let off = spender
        .choose(Moment::from_millis(14_100), terms(Mode::Off, None))
        .expect("told once");
    assert_eq!((off.mode, off.cap_kbps), (Mode::Off, None));
    assert_eq!(
        spender.look(Moment::from_millis(20_000), MediaTime::from_millis(20_000)),
        None
    );
}

#[test]
fn whoever_watches_sees_all_of_the_picture_unless_the_client_chose_otherwise() {
    let spender = spender(Mode::CapRegions);
    let lines = [line("EXIT ONLY", 0.1)];
    let moment = |second: i64| Moment::from_millis(second * 1_000 + 300);
    let read = |from: i64, to: i64| {
        let told = (from..to).filter_map(|second| {
            sent(&spender, second * 1_000, 2_000);
            spender.reading(moment(second), &reading(second * 1_000, Some(0.95), &lines))
        });
        told.fold(None, |_, word| Some(word)).expect("told")
    };
    let before = read(1, 8);
    assert!(before.cap_kbps.is_some() && before.map.is_some());
    let watched = spender.watched(moment(8), Viewers::Somebody).expect("told at once");
    let whole = |word: &Allocation| (word.cap_kbps, word.map.clone(), word.reason.clone());
    assert_eq!(whole(&watched), (None, None, "watched".into()));
    assert_eq!(spender.watched(moment(8), Viewers::Somebody), None, "told once");
    assert_eq!(
        whole(&read(9, 30)),
        whole(&watched),
        "nothing is learnt of a cap that is off"
    );
    let chosen = spender.choose(moment(30), terms(Mode::CapRegions, None)).expect("told");
    assert!(chosen.reason != "watched");
    let held = read(31, 33);
    assert!(held.cap_kbps.is_some() && held.map.is_some(), "{held:?}");
    assert_eq!(
        spender.watched(moment(33), Viewers::Nobody),
        None,
        "that changes nothing then"
    );

    let full = self::spender(Mode::Full);
    let watched = full.watched(moment(1), Viewers::Somebody).expect("told");
    assert_eq!(watched.slot_ms, None, "as many pictures as there are");
    let alone = full.watched(moment(2), Viewers::Nobody).expect("told");
    assert_eq!(alone.slot_ms, Some(SLOT_MS));

    let other = self::spender(Mode::Off);
    assert_eq!(other.watched(moment(1), Viewers::Somebody), None, "off says nothing");
}

#[test]
fn a_new_question_looks_everywhere_first_and_a_frame_is_looked_beside_now_and_then() {
    let spender = spender(Mode::CapRegions);
    let lines = [line("EXIT ONLY", 0.1)];
    let framed = |tenth: i64| {
        let now = Moment::from_millis(tenth * 100 + 50);
        sent(&spender, tenth * 100, 800);
        spender.reading(now, &reading(tenth * 100, Some(0.9), &lines))
    };
    let told: Vec<(i64, bool)> = (10..400)
        .filter_map(|tenth| framed(tenth).map(|word| (tenth, word.map.is_some())))
        .collect();
    let bare: Vec<i64> = told.iter().filter(|(_, map)| !map).map(|(tenth, _)| *tenth).collect();
    assert!((2..=6).contains(&bare.len()), "{bare:?}");
    assert!(
        bare.iter()
            .all(|tenth| (160..185).contains(tenth) || (325..350).contains(tenth)),
        "{bare:?}"
    );
    spender.asked(Moment::from_millis(40_100), "What does the other sign say?");
    let word = spender.look(Moment::from_millis(40_300), MediaTime::from_millis(40_300));
    assert_eq!(word.and_then(|word| word.map), None);
}

#[test]
fn where_nothing_can_be_read_it_goes_down_and_stays_until_nobody_looks() {
    let spender = spender(Mode::Cap);
    spender.reading(Moment::from_millis(100), &reading(50, None, &[]));
    let mut last = None;
    for second in 1..40 {
        sent(&spender, second * 1_000, 900);
        let (now, at) = (
            Moment::from_millis(second * 1_000),
            MediaTime::from_millis(second * 1_000),
        );
        last = spender.look(now, at).or(last);
    }
    let word = last.expect("told");
    assert_eq!((word.cap_kbps, word.reason.as_str()), (Some(200), "nothing"));
    spender.blind();
    let after = spender
        .look(Moment::from_millis(50_000), MediaTime::from_millis(50_000))
        .expect("told");
    assert_eq!((after.cap_kbps, after.reason.as_str()), (None, "silent"));
}

#[test]
fn what_did_not_change_is_told_again_once_a_second_and_no_more() {
    let spender = spender(Mode::CapRegions);
    let told = (0..100)
        .filter(|tenth| {
            let (now, at) = (Moment::from_millis(tenth * 100), MediaTime::from_millis(tenth * 100));
            spender.look(now, at).is_some()
        })
        .count();
    assert!((9..=11).contains(&told), "{told}");
}

#[test]
fn what_an_answer_looked_at_is_framed_instead_of_words_that_nobody_asked_for() {
    let spender = spender(Mode::CapRegions);
    let lines = [line("EXIT ONLY", 0.1)];
    let read = |millis: i64| {
        sent(&spender, millis, 900);
        let word = spender.reading(Moment::from_millis(millis + 300), &reading(millis, Some(0.9), &lines));
        word.and_then(|word| word.map)
            .map(|map| crate::wire::allocation::map_from_text(&map).expect("a map"))
    };
    let map = read(1_000).expect("a map");
    assert_eq!((map.worth(0.15, 0.15), map.worth(0.75, 0.15)), (1.0, 0.0));
    spender.asked(Moment::from_millis(1_500), "What colour is the shirt?");
    assert_eq!(read(2_000), None, "nowhere is known to be better");
    let answer = Answer {
        text: "blue".into(),
        ended: hearsight_models::vlm::Ended::Said,
        certainty: None,
        separability: None,
        readability: None,
        evidence: vec![hearsight_models::vlm::Evidence {
            picture: 0,
            region: line("", 0.7).region,
            share: 1.0,
        }],
        seen: vec![hearsight_models::vlm::Seen {
            at: MediaTime::from_millis(2_000),
            born: Moment::from_millis(2_000),
        }],
        spent: hearsight_models::vlm::Spent::default(),
        engine: "an engine".into(),
    };
    spender.answered(Moment::from_millis(2_800), &answer).expect("told");
    let map = read(4_000).expect("a map");
    assert!(map.worth(0.15, 0.15) < 0.1 && map.worth(0.75, 0.15) == 1.0);
}

#[test]
fn a_ceiling_holds_whatever_was_read_and_whoever_watches() {
    let spender = Spender::new("me".into(), terms(Mode::Cap, Some(125)));
    let moment = |second: i64| Moment::from_millis(second * 1_000 + 300);
    let read = |second: i64, readability| {
        sent(&spender, second * 1_000, 120);
        let told = spender.reading(moment(second), &reading(second * 1_000, Some(readability), &[]));
        told.map(|word| (word.cap_kbps, word.reason))
    };
    for second in 1..30 {
        if let Some(told) = read(second, 0.2) {
            assert_eq!(
                told,
                (Some(125), "ceiling".into()),
                "more would be of use, second {second}"
            );
        }
    }
    let watched = spender.watched(moment(30), Viewers::Somebody).expect("told");
    assert_eq!((watched.cap_kbps, watched.reason.as_str()), (Some(125), "ceiling"));
    let kept = spender.choose(moment(31), terms(Mode::Full, None)).expect("told");
    assert_eq!(
        kept.cap_kbps,
        Some(125),
        "a client that names no ceiling keeps the server's"
    );
    let own = spender.choose(moment(32), terms(Mode::Full, Some(3))).expect("told");
    assert_eq!(own.cap_kbps, Some(LEAST_KBPS), "nobody is starved");
    let off = spender.choose(moment(33), terms(Mode::Off, None)).expect("told");
    assert_eq!(off.cap_kbps, None, "off says nothing");
}
