use hearsight_core::gate::Late;
use hearsight_core::media::{Certainty, Plane, Point};

use super::*;

const BUDGET: Budget = Budget {
    outlet: "reading",
    span: Span::from_millis(1000),
    value: 2.0,
    late: Late::Shed,
};

/// Sees the same rows of text in every picture, and counts how often it looks and reads.
struct Rows {
    rows: usize,
    looks: Vec<u32>,
    reads: usize,
}

fn row(number: usize) -> Slant {
    Slant {
        centre: Point {
            x: 200.0,
            y: 20.0 + 40.0 * number as f32,
        },
        along: Point { x: 1.0, y: 0.0 },
        width: 300.0,
        height: 24.0,
    }
}

impl Eyes for Rows {
    fn look(&mut self, _: MediaTime, _: &Picture<Planes>, side: u32) -> Result<Vec<Spot>, Fault> {
        self.looks.push(side);
        Ok((0..self.rows)
            .map(|number| Spot {
                slant: row(number),
                strength: 0.9,
            })
            .collect())
    }
    fn read(&mut self, _: MediaTime, _: &Picture<Planes>, slant: &Slant) -> Result<Text, Fault> {
        self.reads += 1;
        let number = ((slant.centre.y - 20.0) / 40.0) as usize;
        Ok(Text {
            text: format!("row {number}"),
            certainty: Certainty::new(0.9),
            turned: false,
        })
    }
}

fn reader(rows: usize) -> Reader<Rows> {
    let eyes = Rows {
        rows,
        looks: vec![],
        reads: 0,
    };
    Reader::new(eyes, Config { budget: BUDGET })
}

fn shown(millis: i64, shade: u8, choice: Choice) -> Signal<Chosen> {
    let (width, height) = (480u32, 480u32);
    let luma: Vec<u8> = (0..width * height)
        .map(|i| if i / 4 % 3 == 0 { shade } else { 220 })
        .collect();
    let plane = Plane {
        bytes: Arc::new(luma),
        stride: width as usize,
    };
    let pixels = Planes {
        y: plane.clone(),
        u: plane.clone(),
        v: plane,
    };
    let picture = Picture { width, height, pixels };
    let at = MediaTime::from_millis(millis);
    Signal::Item(Stamped::new(
        at,
        Moment::from_millis(millis),
        Chosen { picture, choice },
    ))
}

/// Runs one signal and all the slices that follow it, each taking `cost`. Answers with what came out and when it was over.
fn run(
    reader: &mut Reader<Rows>,
    mut now: Moment,
    signal: Signal<Chosen>,
    cost: Span,
) -> (Vec<Stamped<Reading>>, u32, Moment) {
    let (mut readings, mut lost, mut next) = (Vec::new(), 0, Some(signal));
    while let Some(signal) = next.take() {
        let mut out = Outbox::default();
        let wake = reader.run(now, signal, &mut out).expect("no fault");
        now += cost;
        reader.took(cost);
        for signal in out.drain() {
            match signal {
                Signal::Item(reading) => readings.push(reading),
                Signal::Gap(gap) => lost += gap.count,
                _ => {}
            }
        }
        if wake != Wake::OnSignal {
            next = Some(Signal::Timer);
        }
    }
    (readings, lost, now)
}

#[test]
fn an_unchanged_picture_is_answered_without_work_and_a_changed_line_alone_is_read_again() {
    let mut reader = reader(5);
    let cost = Span::from_millis(20);
    let (first, _, _) = run(&mut reader, Moment::ZERO, shown(0, 40, Choice::Changed), cost);
    let texts: Vec<_> = first[0].item.lines.iter().map(|line| line.text.to_string()).collect();
    assert_eq!(texts, ["row 0", "row 1", "row 2", "row 3", "row 4"]);
    assert_eq!((first.len(), first[0].item.unread), (1, 0));
    assert!(first[0].item.readability.is_some());

    let (again, _, _) = run(
        &mut reader,
        Moment::from_millis(1000),
        shown(1000, 40, Choice::Unchanged),
        cost,
    );
    assert_eq!(
        (again[0].at, again[0].item.read),
        (MediaTime::from_millis(1000), MediaTime::ZERO)
    );
    assert_eq!((reader.eyes.looks.len(), reader.eyes.reads), (1, 5));

    let Signal::Item(mut other) = shown(2000, 40, Choice::Unchanged) else {
        unreachable!()
    };
    let mut luma = (*other.item.picture.pixels.y.bytes).as_ref().to_vec();
    luma[(100 - 12) * 480..(100 + 12) * 480].fill(90);
    other.item.picture.pixels.y.bytes = Arc::new(luma);
    let (changed, _, _) = run(&mut reader, Moment::from_millis(2000), Signal::Item(other), cost);
    assert_eq!(changed[0].item.read, MediaTime::from_millis(2000));
    assert_eq!(
        (reader.eyes.looks.len(), reader.eyes.reads),
        (2, 6),
        "a glance missed it, the line did not"
    );
}

#[test]
fn a_long_reading_is_told_in_parts_and_never_after_its_budget() {
    for (rows, cost) in [(30, 40), (30, 90), (12, 30), (60, 10)] {
        let (mut reader, cost) = (reader(rows), Span::from_millis(cost));
        let (parts, _, end) = run(&mut reader, Moment::ZERO, shown(0, 40, Choice::Changed), cost);
        assert!(end <= Moment::ZERO + BUDGET.span, "{rows} rows of {cost}");
        let told: Vec<_> = parts.iter().map(|part| part.item.lines.len()).collect();
        assert!(told.is_sorted() && parts.len() > 1, "{rows} rows of {cost}: {told:?}");
        for part in &parts {
            assert_eq!(part.item.lines.len() as u32 + part.item.unread, rows as u32);
        }
        assert!(told.iter().all(|lines| *lines <= MOST_LINES));
    }
}

#[test]
fn the_newest_picture_is_next_and_what_would_be_late_is_refused() {
    let mut reader = reader(8);
    let mut out = Outbox::default();
    reader
        .run(Moment::ZERO, shown(0, 40, Choice::Changed), &mut out)
        .expect("no fault");
    for millis in [50, 100, 150] {
        reader
            .run(
                Moment::from_millis(millis),
                shown(millis, 90, Choice::Changed),
                &mut out,
            )
            .expect("no fault");
    }
    let (readings, ..) = run(
        &mut reader,
        Moment::from_millis(200),
        Signal::Timer,
        Span::from_millis(20),
    );
    let read: Vec<_> = readings.iter().map(|reading| reading.item.read.micros()).collect();
    assert_eq!(read, [0, 150_000]);

    let mut stale = 0;
    for n in 0..8 {
        let late = Moment::from_millis(3_000 + n);
        let (readings, lost, _) = run(
            &mut reader,
            late,
            shown(n, 40 + n as u8 * 20, Choice::Changed),
            Span::from_millis(20),
        );
        assert!(readings.is_empty());
        stale += lost;
    }
    assert_eq!(stale, 8, "each refused, and counted");
}

#[test]
fn a_machine_too_slow_for_a_picture_reads_it_line_by_line_as_long_as_it_stands() {
    let (mut reader, cost) = (reader(4), Span::from_millis(350));
    let mut told = Vec::new();
    for second in 0..5 {
        let choice = if second == 0 {
            Choice::Changed
        } else {
            Choice::Unchanged
        };
        let begun = Moment::from_millis(second * 1_000);
        let (readings, lost, end) = run(&mut reader, begun, shown(second * 1_000, 40, choice), cost);
        assert_eq!(lost, 0);
        assert!(end <= begun + BUDGET.span + cost, "a slice late at most");
        told.extend(readings.last().map(|reading| reading.item.lines.len()));
    }
    assert_eq!((reader.eyes.looks.len(), reader.eyes.reads), (1, 4));
    assert!(told.is_sorted() && told[0] > 0 && told.last() == Some(&4), "{told:?}");
}

#[test]
fn a_line_that_takes_longer_than_there_is_time_is_told_with_the_next_picture() {
    let (mut reader, cost) = (reader(4), BUDGET.span * 2);
    let mut at_once = Vec::new();
    for number in 0..6 {
        let choice = if number == 0 {
            Choice::Changed
        } else {
            Choice::Unchanged
        };
        let millis = number * 10_000;
        let (readings, ..) = run(
            &mut reader,
            Moment::from_millis(millis),
            shown(millis, 40, choice),
            cost,
        );
        at_once.push(readings[0].item.lines.len());
    }
    assert_eq!(at_once, [0, 0, 1, 2, 3, 4]);
    // What a look takes is no reason to drop a picture that shows what is known: schedules tell them apart.
    assert_eq!(reader.variant(), STANDING);
    reader.forget();
    assert_ne!(reader.variant(), STANDING);
    assert_eq!((reader.eyes.looks.len(), reader.eyes.reads), (1, 4));
}

#[test]
fn size_gives_way_when_looking_takes_too_long_and_comes_back() {
    let mut reader = reader(0);
    for n in 0..3i64 {
        let (readings, ..) = run(
            &mut reader,
            Moment::from_millis(n * 1_000),
            shown(n * 1_000, 40, Choice::Changed),
            SLICE * 2,
        );
        assert!(readings.is_empty(), "nothing looks like text, and nothing did");
    }
    for n in 3..30i64 {
        run(
            &mut reader,
            Moment::from_millis(n * 1_000),
            shown(n * 1_000, 40, Choice::Changed),
            Span::from_millis(5),
        );
    }
    assert_eq!(reader.eyes.looks[..4], [960, 736, 544, 544]);
    assert_eq!(reader.eyes.looks.last(), Some(&960));
}

#[test]
fn text_that_is_gone_is_told_once_and_hostile_pictures_are_a_loss() {
    let mut reader = reader(1);
    let cost = Span::from_millis(5);
    run(&mut reader, Moment::ZERO, shown(0, 40, Choice::Changed), cost);
    reader.eyes.rows = 0;
    let (gone, ..) = run(
        &mut reader,
        Moment::from_millis(500),
        shown(500, 200, Choice::Changed),
        cost,
    );
    assert_eq!(
        (gone.len(), gone[0].item.lines.len(), gone[0].item.readability),
        (1, 0, None)
    );
    let (quiet, ..) = run(
        &mut reader,
        Moment::from_millis(900),
        shown(900, 40, Choice::Changed),
        cost,
    );
    assert!(quiet.is_empty());
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let Signal::Item(mut odd) = shown(1_000, 40, Choice::Changed) else {
            unreachable!()
        };
        let length = [0, 1, 15, 16, 480, 481, 100_000, u32::MAX];
        (odd.item.picture.width, odd.item.picture.height) = (length[random.usize(0..8)], length[random.usize(0..8)]);
        odd.item.picture.pixels.y.stride = [0, 1, 480, usize::MAX][random.usize(0..4)];
        odd.born = Moment::from_millis(1_000);
        let looks = reader.eyes.looks.len();
        let (_, lost, _) = run(&mut reader, Moment::from_millis(1_000), Signal::Item(odd), cost);
        assert_eq!(lost + (reader.eyes.looks.len() - looks) as u32, 1, "seed {seed}");
    }
}
