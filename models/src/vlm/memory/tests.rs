use std::sync::Arc;

use hearsight_core::media::Plane;

use super::*;

const WIDTH: usize = 160;
const HEIGHT: usize = 96;

fn picture(luma: impl Fn(usize, usize) -> u8, chroma: u8) -> Picture<Planes> {
    let plane = |width: usize, bytes: Vec<u8>| Plane {
        bytes: Arc::new(bytes),
        stride: width,
    };
    let y = (0..WIDTH * HEIGHT).map(|i| luma(i % WIDTH, i / WIDTH)).collect();
    let half = plane(WIDTH / 2, vec![chroma; WIDTH * HEIGHT / 4]);
    Picture {
        width: WIDTH as u32,
        height: HEIGHT as u32,
        pixels: Planes {
            y: plane(WIDTH, y),
            u: half.clone(),
            v: half,
        },
    }
}

/// Stripes as sharp as they can be, at another place for each scene.
fn scene(number: usize) -> Picture<Planes> {
    picture(
        move |x, y| {
            if (x / 20 + number).is_multiple_of(5) && y > 8 {
                220
            } else {
                40 + (x % 2 * 60) as u8
            }
        },
        128,
    )
}

fn show(memory: &mut Memory, millis: i64, picture: Picture<Planes>) {
    let unit = Stamped::new(
        MediaTime::from_millis(millis),
        Moment::from_millis(1_000 + millis),
        Query::Picture(picture),
    );
    memory.step(Moment::ZERO, Signal::Item(unit), &mut Outbox::default());
}

fn ask(memory: &mut Memory, question: &str) -> (Vec<View>, f32) {
    let mut out = Outbox::default();
    let unit = Stamped::new(
        MediaTime::ZERO,
        Moment::from_millis(9),
        Query::Question {
            id: 3,
            text: question.into(),
        },
    );
    memory.step(Moment::ZERO, Signal::Item(unit), &mut out);
    let Some(Signal::Item(Stamped {
        item: Turn::Ask { id: 3, views, text, .. },
        ..
    })) = out.drain().next()
    else {
        panic!("a question goes on");
    };
    (views, text)
}

fn times(views: &[View]) -> Vec<i64> {
    views.iter().map(|view| view.picture.at.micros() / 1000).collect()
}

#[test]
fn a_still_scene_is_one_picture_whatever_its_noise_and_is_known_to_be_still_so() {
    for seed in 0..10 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut memory = Memory::new(Config::default());
        for number in 0..200 {
            let noise: Vec<u8> = (0..997).map(|_| random.u8(0..10)).collect();
            show(
                &mut memory,
                number * 33,
                picture(|x, y| 100 + noise[(x * 31 + y * 77) % 997], 128),
            );
        }
        assert!(memory.size().0 <= 2, "seed {seed}: {:?}", memory.size());
        let (views, _) = ask(&mut memory, "What is there?");
        assert_eq!(views.len(), 1);
        assert_eq!(views[0].still, Moment::from_millis(1_000 + 199 * 33), "seed {seed}");
    }
}

#[test]
fn whatever_is_shown_memory_is_bounded_and_a_question_is_about_the_last_moment() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let bytes = random.usize(30_000..300_000);
        let config = Config {
            pictures: random.usize(1..12),
            bytes,
            per_question: random.usize(1..5),
        };
        let mut memory = Memory::new(config);
        let mut at = 0;
        for _ in 0..400 {
            at += random.i64(10..200);
            show(&mut memory, at, scene(random.usize(0..40)));
            let (count, held) = memory.size();
            // The pictures of the last moment come on top.
            assert!(count <= config.pictures + 6, "seed {seed}: {count} pictures");
            assert!(
                held <= bytes.max(WIDTH * HEIGHT * 3 / 2) + 6 * WIDTH * HEIGHT * 3 / 2,
                "seed {seed}: {held}"
            );
        }
        let (views, _) = ask(&mut memory, "What was there before?");
        let times = times(&views);
        assert!(
            times.is_sorted() && times.len() <= config.per_question,
            "seed {seed}: {times:?}"
        );
        assert!(at - times[times.len() - 1] <= 460, "seed {seed}: {times:?} at {at}");
    }
}

#[test]
fn a_question_that_looks_back_comes_with_what_was_before() {
    let mut memory = Memory::new(Config {
        per_question: 2,
        ..Config::default()
    });
    for (number, at) in [(0, 0), (1, 2_000), (2, 4_000)] {
        for frame in 0..30 {
            show(&mut memory, at + frame * 33, scene(number));
        }
    }
    assert_eq!(times(&ask(&mut memory, "What is there?").0), [4_000]);
    assert_eq!(times(&ask(&mut memory, "What has changed?").0), [2_000, 4_000]);
}

#[test]
fn of_a_moving_scene_the_sharp_picture_is_shown_and_a_change_of_colour_is_a_change() {
    let mut memory = Memory::new(Config::default());
    show(&mut memory, 0, scene(0));
    show(&mut memory, 600, scene(1));
    show(&mut memory, 700, picture(|x, _| (x * 3 / 2) as u8, 128));
    assert_eq!(
        times(&ask(&mut memory, "What is there?").0),
        [600],
        "the newer one is blurred"
    );
    let mut memory = Memory::new(Config::default());
    show(&mut memory, 0, picture(|_, _| 90, 100));
    show(&mut memory, 900, picture(|_, _| 90, 160));
    assert_eq!(times(&ask(&mut memory, "What colour is it?").0), [900]);
}

#[test]
fn writing_is_told_from_walls() {
    let mut memory = Memory::new(Config::default());
    show(&mut memory, 0, picture(|x, _| 90 + (x / 20) as u8, 128));
    assert!(ask(&mut memory, "?").1 < 0.1);
    show(
        &mut memory,
        900,
        picture(|x, y| if (x * 7 + y * 3) % 5 < 2 { 20 } else { 220 }, 128),
    );
    assert!(ask(&mut memory, "?").1 > 0.9);
}

#[test]
fn a_seek_forgets_what_was_seen() {
    let mut memory = Memory::new(Config::default());
    show(&mut memory, 0, scene(0));
    memory.step(Moment::ZERO, Signal::Flush(Why::Seek), &mut Outbox::default());
    assert!(ask(&mut memory, "What is there?").0.is_empty());
}
