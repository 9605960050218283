use super::*;
use crate::media::{Block, Point};

fn region(left: f32, top: f32, right: f32, bottom: f32) -> Region {
    let corners = [(left, top), (right, top), (right, bottom), (left, bottom)].map(|(x, y)| Point { x, y });
    Region { corners }
}

/// Vectors of a picture of 640 × 360 in which everything moved by so many pixels.
fn moved(across: f32, down: f32) -> MotionField {
    let blocks = (0..40 * 22).map(|index| Block {
        x: index % 40 * 16,
        y: index / 40 * 16,
        width: 16,
        height: 16,
        reference: -1,
        dx: -across,
        dy: -down,
    });
    MotionField {
        blocks: blocks.collect(),
    }
}

#[test]
fn inside_is_worth_all_and_far_away_nothing() {
    let mut regions = Regions::default();
    assert_eq!(regions.map(MediaTime::ZERO), None, "nothing known: all blocks alike");
    regions.replace(MediaTime::ZERO, [region(0.1, 0.1, 0.3, 0.2)]);
    let map = regions.map(MediaTime::ZERO).expect("a place");
    assert_eq!(map.worth(0.2, 0.15), 1.0);
    assert_eq!(map.worth(0.99, 0.99), 0.0);
    assert!((0.1..0.9).contains(&map.worth(0.55, 0.15)));
    assert_eq!(Map::new(map.levels()), Some(map));
    assert_eq!((Map::coarser(1.0), Map::coarser(0.0)), (0, 25));
    assert!((0..100).all(|i| Map::coarser(i as f32 / 100.0) >= Map::coarser((i + 1) as f32 / 100.0)));
    assert_eq!(Map::coarser(f32::NAN), 0);
}

#[test]
fn what_has_not_been_seen_for_long_is_framed_wider_and_then_let_go() {
    let mut regions = Regions::default();
    regions.replace(MediaTime::ZERO, [region(0.4, 0.4, 0.5, 0.5)]);
    let covered = |millis: i64| {
        let map = regions.map(MediaTime::from_millis(millis))?;
        Some(map.levels().iter().filter(|level| **level == INSIDE).count())
    };
    let ages: Vec<usize> = (0..5).filter_map(|second| covered(second * 1_000)).collect();
    assert!(ages.len() == 5 && ages.is_sorted() && ages[0] < ages[4], "{ages:?}");
    assert_eq!(covered(6_000), None);
}

#[test]
fn places_move_with_what_they_frame_between_answers_and_ahead_of_them() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        // Pixels per picture, at 30 pictures a second.
        let (across, down) = (random.f32() * 6.0 - 3.0, random.f32() * 3.0 - 1.5);
        let mut regions = Regions::default();
        regions.replace(MediaTime::ZERO, [region(0.4, 0.4, 0.55, 0.6)]);
        let mut truth = (0.475, 0.5);
        for picture in 1..=30 {
            let mut motion = moved(across, down);
            let mut blocks = motion.blocks.to_vec();
            // A quarter of all vectors matched something else.
            for block in &mut blocks {
                if random.u8(0..4) == 0 {
                    (block.dx, block.dy) = (random.f32() * 80.0 - 40.0, f32::NAN);
                }
            }
            motion.blocks = blocks.into();
            regions.follow(MediaTime::from_millis(picture * 33), &motion, (640, 360));
            truth = (truth.0 + across / 640.0, truth.1 + down / 360.0);
        }
        let [left, top, right, bottom] = regions.places().next().expect("in the picture still");
        let centre = ((left + right) / 2.0, (top + bottom) / 2.0);
        assert!(
            (centre.0 - truth.0).abs() < 0.02 && (centre.1 - truth.1).abs() < 0.02,
            "seed {seed}: {centre:?} is not {truth:?}"
        );
        // Half a second ahead of what was followed: where it will be is inside.
        let ahead = (truth.0 + across * 15.0 / 640.0, truth.1 + down * 15.0 / 360.0);
        let map = regions.map(MediaTime::from_millis(30 * 33 + 500)).expect("a place");
        if (0.0..1.0).contains(&ahead.0) && (0.0..1.0).contains(&ahead.1) {
            assert_eq!(map.worth(ahead.0, ahead.1), 1.0, "seed {seed}");
        }
    }
}

#[test]
fn a_reading_of_a_moment_gone_by_is_put_where_its_place_is_now() {
    let mut regions = Regions::default();
    regions.replace(MediaTime::ZERO, [region(0.2, 0.4, 0.3, 0.5)]);
    (1..=30).for_each(|picture| regions.follow(MediaTime::from_millis(picture * 33), &moved(4.0, 0.0), (640, 360)));
    // What it saw at 500 ms, told at a second.
    let then = 0.2 + 15.0 * 4.0 / 640.0;
    regions.replace(MediaTime::from_millis(500), [region(then, 0.4, then + 0.1, 0.5)]);
    let [left, ..] = regions.places().next().expect("one");
    let now = 0.2 + 30.0 * 4.0 / 640.0;
    assert!((left - now).abs() < 0.02, "{left} is not {now}");
}

#[test]
fn hostile_places_are_cut_refused_and_counted() {
    let mut regions = Regions::default();
    let hostile = [
        region(f32::NAN, 0.0, 1.0, 1.0),
        region(0.0, f32::INFINITY, 1.0, 1.0),
        region(0.5, 0.5, 0.5, 0.5),
        region(2.0, 2.0, 3.0, 3.0),
    ];
    regions.replace(MediaTime::ZERO, hostile);
    assert_eq!((regions.refused(), regions.places().count()), (4, 0));
    regions.replace(MediaTime::ZERO, [region(-5.0, 0.5, 7.0, 0.6)]);
    assert_eq!(regions.places().next(), Some([0.0, 0.5, 1.0, 0.6]), "cut at the edges");
    regions.replace(MediaTime::ZERO, (0..100_000).map(|_| region(0.1, 0.1, 0.2, 0.2)));
    assert!(regions.places().count() == MOST && regions.refused() > 4);
    assert_eq!(Map::new(&[0; 7]), None);
    assert_eq!(Map::new(&[16; COLUMNS * ROWS]), None);
}

#[test]
fn whatever_places_and_vectors_say_the_map_is_one() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut number = || {
            [
                f32::NAN,
                f32::MAX,
                f32::MIN,
                -0.0,
                random.f32(),
                random.f32() * 4.0 - 2.0,
            ][random.usize(0..6)]
        };
        let mut regions = Regions::default();
        for step in 0..40 {
            regions.replace(
                MediaTime::from_millis(step * 100),
                [
                    region(number(), number(), number(), number()),
                    region(0.2, 0.2, 0.4, 0.4),
                ],
            );
            let block = Block {
                x: i16::MIN,
                y: 90,
                width: 255,
                height: 0,
                reference: i8::MIN,
                dx: number(),
                dy: number(),
            };
            let motion = MotionField {
                blocks: vec![block; 9].into(),
            };
            regions.follow(MediaTime::from_millis(step * 100 + 33), &motion, (640, 0));
            regions.follow(MediaTime::from_millis(step * 100 + 33), &motion, (640, 360));
            regions.follow(
                MediaTime::from_millis(step * 100),
                &moved(number(), number()),
                (640, 360),
            );
            if let Some(map) = regions.map(MediaTime::from_millis(step * 100 + 50)) {
                assert!(Map::new(map.levels()).is_some(), "seed {seed}");
            }
        }
    }
}
