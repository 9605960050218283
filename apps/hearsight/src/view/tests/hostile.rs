//! What broken streams bring: nothing of it may stop a view, grow it, or make it lie.

use super::*;

fn anything(random: &mut fastrand::Rng, n: i64) -> Decoded {
    let mut decoded = moving(n);
    if random.u8(0..8) == 0 {
        let (width, height) = *random
            .choice(&[(0, 0), (1, 1), (17, 9), (64, 48), (48, 0), (5_000, 2), (48, 32)])
            .expect("some");
        if random.bool() {
            decoded.picture = scene((width.min(64), height.min(64)), n as f64);
        }
        (decoded.picture.width, decoded.picture.height) = (width, height);
    }
    if random.u8(0..4) == 0 {
        let wild = |random: &mut fastrand::Rng| {
            *random
                .choice(&[0.0, 1e9, -1e9, f32::NAN, f32::INFINITY, 3.5])
                .expect("some")
        };
        let blocks = (0..random.usize(0..200)).map(|_| Block {
            x: random.i16(..),
            y: random.i16(..),
            width: random.u8(..),
            height: random.u8(..),
            reference: random.i8(..),
            dx: wild(random),
            dy: wild(random),
        });
        decoded.motion = MotionField {
            blocks: blocks.collect(),
        };
    }
    decoded
}

#[test]
fn no_stream_stops_a_view() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut now, mut at) = (Moment::from_millis(1_000), 0_i64);
        let events: Vec<Event> = (0..400)
            .map(|n| {
                now += Span::from_micros(match random.u8(0..20) {
                    0 => 0,
                    1 => random.i64(0..2_000_000),
                    _ => 33_333,
                });
                at += match random.u8(0..20) {
                    0 => 0,
                    1 => -random.i64(0..3_000_000),
                    2 => random.i64(0..3_000_000),
                    3 => 1,
                    _ => 33_333,
                };
                let signal = match random.u8(0..40) {
                    0 => gap(),
                    1 => Signal::Flush(hearsight_core::stage::Why::BargeIn),
                    2 => Signal::Timer,
                    _ => {
                        let shows = match random.u16(0..2_000) {
                            0 => i64::MAX,
                            1 => i64::MIN,
                            _ => at * 1_000,
                        };
                        Signal::Item(unit(now, MediaTime::from_nanos(shows), anything(&mut random, n)))
                    }
                };
                (now, signal)
            })
            .chain([(Moment::from_millis(4_000_000), Signal::End)])
            .collect();
        let mut view = Watched::new(STYLE);
        let seen = view.play(events, |_| Span::from_micros(random.i64(0..40_000)));
        assert!(seen.len() > 20, "seed {seed}");
    }
}

#[test]
fn a_burst_is_let_through_without_being_kept() {
    let mut view = Watched::new(STYLE);
    let at = |n: i64| MediaTime::ZERO + Span::from_millis(4) * n;
    let events = (0..2_000).map(|n| {
        (
            Moment::from_millis(50),
            Signal::Item(unit(Moment::from_millis(50), at(n), moving(n))),
        )
    });
    let seen = view.play(events.collect::<Vec<_>>(), nothing);
    assert!(seen.len() < 4_200, "{} display moments", seen.len());
}

#[test]
fn a_change_of_size_is_shown_and_nothing_is_made_across_it() {
    let events = (0..60).map(|n| {
        let came = Moment::ZERO + Span::from_micros(33_333) * n;
        let mut decoded = moving(n);
        if n >= 30 {
            decoded.picture = scene((64, 48), 2.0 * n as f64);
        }
        (
            came,
            Signal::Item(unit(came, MediaTime::ZERO + (came - Moment::ZERO), decoded)),
        )
    });
    let seen = Watched::new(STYLE).play(events.collect::<Vec<_>>(), nothing);
    let held: Vec<_> = seen
        .iter()
        .filter(|(_, unit)| unit.item.origin == Origin::Held)
        .collect();
    assert!((held[0].1.at.micros() - 983_333).abs() < 1_000);
    assert_eq!(count(&seen, Origin::Received), 60);
}

#[test]
fn sizes_that_nothing_codes_are_lost_and_the_next_is_coded() {
    let screen = Screen::default();
    let _seat = screen.sit(Asked::Session, Box::new(|| {})).expect("it goes on");
    let mut coder = Coder::new(1_000_000, screen, Effort::default());
    let state = State {
        ceiling: Rung::Vectors,
        reason: None,
        interval: None,
        period: Span::from_millis(17),
    };
    for (n, (size, coded)) in [
        ((64, 48), true),
        ((0, 0), false),
        ((8, 8), false),
        ((65, 49), true),
        ((1, 999), false),
        ((64, 48), true),
    ]
    .into_iter()
    .enumerate()
    {
        let mut shown = Shown {
            origin: Origin::Received,
            picture: Some(scene(size, 0.0)),
            rung: None,
            state,
        };
        let now = Moment::from_millis(20 * n as i64);
        let mut out = Outbox::default();
        coder
            .run(
                now,
                Signal::Item(Stamped::new(MediaTime::ZERO, now, shown.clone())),
                &mut out,
            )
            .expect("no fault");
        match out.drain().next() {
            Some(Signal::Item(packet)) => assert!(coded && packet.item.key, "{size:?}"),
            other => assert!(!coded && matches!(other, Some(Signal::Gap(_))), "{size:?}: {other:?}"),
        }
        // Planes that do not hold what they say they do.
        if let Some(picture) = &mut shown.picture {
            (picture.width, picture.height) = (640, 480);
        }
        coder
            .run(now, Signal::Item(Stamped::new(MediaTime::ZERO, now, shown)), &mut out)
            .expect("no fault");
        assert!(matches!(out.drain().next(), Some(Signal::Gap(_))));
    }
}
