//! Steps down and up, by what making a picture costs.

use super::super::ladder::{Ladder, Work};
use super::*;

const PIXELS: u64 = 640 * 480;
const INTERVAL: Span = Span::from_millis(33);

/// Makes a picture every interval, with so much time for each, and says how each was made.
fn climb(ladder: &mut Ladder, from: Moment, seconds: i64, left: Span, cost: impl Fn(Rung) -> Span) -> Vec<Rung> {
    let count = seconds * 1_000 / 33;
    let each = |n: i64| {
        let now = from + INTERVAL * n;
        let rung = ladder.choose(now, left, PIXELS);
        if rung != Rung::Hold {
            ladder.took(now, Work::Between(rung), PIXELS, cost(rung), left);
        }
        rung
    };
    (0..count).map(each).collect()
}

fn share(rungs: &[Rung], rung: Rung) -> f64 {
    rungs.iter().filter(|chosen| **chosen == rung).count() as f64 / rungs.len() as f64
}

fn cheap(_: Rung) -> Span {
    Span::from_millis(4)
}

fn dear(rung: Rung) -> Span {
    match rung {
        Rung::Vectors => Span::from_millis(40),
        _ => Span::from_millis(3),
    }
}

fn hopeless(_: Rung) -> Span {
    Span::from_millis(60)
}

const LEFT: Span = Span::from_millis(20);
const SLICE: Span = Span::from_millis(25);

#[test]
fn what_fits_is_made_at_its_best() {
    let mut ladder = Ladder::new(Rung::Vectors, SLICE);
    let rungs = climb(&mut ladder, Moment::ZERO, 60, LEFT, cheap);
    assert_eq!(share(&rungs, Rung::Vectors), 1.0);
}

#[test]
fn what_does_not_fit_steps_down_and_is_tried_more_and_more_seldom() {
    let mut ladder = Ladder::new(Rung::Vectors, SLICE);
    let rungs = climb(&mut ladder, Moment::ZERO, 600, LEFT, dear);
    let tried: Vec<usize> = (0..rungs.len()).filter(|n| rungs[*n] == Rung::Vectors).collect();
    assert!(tried.len() <= 40, "{} pictures were tried", tried.len());
    assert!(share(&rungs[60..], Rung::Blend) > 0.98);
    // A trial is two pictures, the first of which tells nothing; from one trial to the next it takes longer and longer.
    let apart = tried.windows(2).map(|pair| pair[1] - pair[0]);
    let apart: Vec<usize> = apart.filter(|pictures| *pictures > 30).collect();
    assert!(apart.windows(2).all(|pair| pair[0] <= pair[1] + 8), "{apart:?}");
    assert!(*apart.last().expect("it is tried again") >= 1_700, "{apart:?}");
    assert!(ladder.too_dear(PIXELS));
}

#[test]
fn a_machine_that_can_do_nothing_holds_and_comes_back_when_it_can() {
    let mut ladder = Ladder::new(Rung::Vectors, SLICE);
    let rungs = climb(&mut ladder, Moment::ZERO, 30, LEFT, hopeless);
    assert!(share(&rungs[60..], Rung::Hold) > 0.98);
    let better = Moment::ZERO + Span::from_secs(30);
    let rungs = climb(&mut ladder, better, 150, LEFT, cheap);
    assert_eq!(share(&rungs[rungs.len() - 300..], Rung::Vectors), 1.0);
    assert!(
        rungs.windows(2).filter(|pair| pair[0] != pair[1]).count() <= 3,
        "it goes up without coming down"
    );
}

#[test]
fn a_few_slow_pictures_change_nothing_for_good() {
    for seed in 0..50 {
        let mut random = fastrand::Rng::with_seed(seed);
        let slow = random.u32(2..9);
        let random = std::cell::RefCell::new(random);
        let mut ladder = Ladder::new(Rung::Vectors, SLICE);
        let cost = |_| {
            let mut random = random.borrow_mut();
            // One in a hundred takes too long.
            Span::from_millis(if random.u32(0..100) == 0 {
                20 + i64::from(slow)
            } else {
                random.i64(3..9)
            })
        };
        climb(&mut ladder, Moment::ZERO, 120, LEFT, cost);
        assert_eq!(ladder.ceiling(), Rung::Vectors, "seed {seed}");
    }
}

#[test]
fn what_was_learnt_of_one_size_holds_for_another() {
    let mut ladder = Ladder::new(Rung::Vectors, SLICE);
    climb(&mut ladder, Moment::ZERO, 10, LEFT, cheap);
    let lead = ladder.lead(PIXELS * 4);
    assert!((lead.millis_f64() - 16.0).abs() < 0.5, "{lead}");
    assert_eq!(
        ladder.choose(Moment::from_millis(10_000), Span::from_millis(10), PIXELS * 4),
        Rung::Blend
    );
}

#[test]
fn a_picture_that_takes_too_long_to_make_or_to_code_is_not_made() {
    let steady = |effort: Span, cost: Span| {
        let mut view = Watched::new(STYLE);
        view.effort.learn(effort);
        let events = (0..300).map(|n| {
            let came = Moment::ZERO + Span::from_micros(33_333) * n;
            (
                came,
                Signal::Item(unit(came, MediaTime::ZERO + (came - Moment::ZERO), moving(n))),
            )
        });
        view.play(events.collect::<Vec<_>>(), |out| {
            let made = |signal: &Signal<Shown>| matches!(signal, Signal::Item(unit) if unit.item.rung.is_some());
            if out.signals().iter().any(made) {
                cost
            } else {
                Span::ZERO
            }
        })
    };
    let made = |seen: &[(Moment, Stamped<Shown>)]| count(seen, Origin::Made);
    assert!(made(&steady(Span::from_millis(5), Span::from_millis(9))) > 290);
    assert!(
        made(&steady(Span::from_millis(18), Span::from_millis(9))) == 0,
        "it can't be coded"
    );
    let slow = steady(Span::from_millis(5), Span::from_millis(45));
    assert!(made(&slow) < 20, "{} made", made(&slow));
    assert!(
        count(&slow, Origin::Received) > 280,
        "what came is shown: {}",
        count(&slow, Origin::Received)
    );
    let last = &slow[slow.len() - 70].1.item.state;
    assert_eq!((last.ceiling, last.reason), (Rung::Hold, Some(Reason::NoGpu)));
}
