//! Which pictures are worth reading: those that show something new, at their sharpest, and from time to time one that does
//! not, so that what was read can be said again.

use std::collections::VecDeque;

use hearsight_core::media::{Decoded, Flow, Picture, Planes};
use hearsight_core::schedule::Strain;
use hearsight_core::stage::{Outbox, Signal, Stage, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};

/// Cells that change is judged by.
const COLUMNS: usize = 32;
const ROWS: usize = 18;
/// Luma samples looked at per side of a cell.
const SAMPLES: usize = 4;
/// Change of one cell's mean luma, in steps, that makes a picture another one: a letter that comes or goes makes more, noise of
/// a camera less.
const CHANGE: f32 = 6.0;
/// A picture this much as sharp as the sharpest of late is sharp: pictures of a moving camera come in waves.
const SHARP: f32 = 0.9;
/// Pictures that "of late" are.
const LATE: usize = 12;

/// Under strain one picture in so many is chosen.
const RARER: i64 = 3;

/// What is new about a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It shows something else than the last one chosen as such.
    Changed,
    /// It shows the same, as far as a glance tells.
    Unchanged,
}

/// A picture that was chosen.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The picture.
    pub picture: Picture<Planes>,
    /// Why.
    pub choice: Choice,
}

impl Flow for Chosen {}

/// Chooses pictures, looking at the same few thousand samples of each whatever its size.
pub struct Chooser {
    /// Changed pictures are at least this far apart.
    least: Span,
    /// How long a sharp one is waited for.
    patience: Span,
    /// An unchanged picture comes this long after the last one chosen.
    repeat: Span,
    /// The last picture chosen as changed, and when one was chosen at all.
    before: Option<Glance>,
    changed: Option<MediaTime>,
    chosen: Option<MediaTime>,
    /// Since when there has been something new to choose.
    waiting: Option<MediaTime>,
    sharpness: VecDeque<f32>,
    /// How much rarer pictures are chosen while the machine has too much to do.
    rarer: i64,
}

/// Mean luma of each cell.
type Glance = [f32; COLUMNS * ROWS];

impl Chooser {
    /// Chooses at most `per_second` changed pictures a second, and an unchanged one a second after the last.
    pub fn new(per_second: u32) -> Chooser {
        Chooser {
            least: Span::from_secs(1) / i64::from(per_second.max(1)),
            patience: Span::from_millis(150),
            repeat: Span::from_secs(1),
            before: None,
            changed: None,
            chosen: None,
            waiting: None,
            sharpness: VecDeque::new(),
            rarer: 1,
        }
    }

    fn choose(&mut self, at: MediaTime, picture: &Picture<Planes>) -> Option<Choice> {
        if self.chosen.is_some_and(|chosen| at < chosen) {
            // Another timeline: nothing that was noted means anything on it.
            (self.changed, self.chosen, self.waiting) = (None, None, None);
        }
        let (glance, sharpness) = glance(picture);
        if self.sharpness.len() >= LATE {
            self.sharpness.pop_front();
        }
        self.sharpness.push_back(sharpness);
        let sharpest = self.sharpness.iter().copied().fold(0.0, f32::max);
        let new = self.before.is_none_or(|before| differ(&before, &glance));
        if !new {
            self.waiting = None;
            let due = self.chosen.is_none_or(|chosen| at - chosen >= self.repeat * self.rarer);
            return due.then(|| {
                self.chosen = Some(at);
                Choice::Unchanged
            });
        }
        let since = *self.waiting.get_or_insert(at);
        let rested = self
            .changed
            .is_none_or(|changed| at - changed >= self.least * self.rarer);
        if !rested || (sharpness < SHARP * sharpest && at - since < self.patience) {
            return None;
        }
        self.before = Some(glance);
        (self.changed, self.chosen, self.waiting) = (Some(at), Some(at), None);
        Some(Choice::Changed)
    }

    fn take(&mut self, shown: Stamped<Decoded>, out: &mut Outbox<Chosen>) {
        if let Some(choice) = self.choose(shown.at, &shown.item.picture) {
            let picture = shown.item.picture.clone();
            out.put(shown.with(Chosen { picture, choice }));
        }
    }
}

impl Stage for Chooser {
    type In = Decoded;
    type Out = Chosen;

    fn step(&mut self, _now: Moment, signal: Signal<Decoded>, out: &mut Outbox<Chosen>) -> Wake {
        self.rarer = if out.strain() >= Strain::Seeing { RARER } else { 1 };
        match signal {
            Signal::Item(shown) => self.take(shown, out),
            Signal::Gap(gap) => out.pass(gap),
            // What was chosen may never be read: the next picture is new again.
            Signal::Flush(_) => (self.before, self.chosen, self.changed) = (None, None, None),
            Signal::End => out.end(),
            Signal::Timer => {}
        }
        Wake::OnSignal
    }
}

/// What a picture looks like, and how sharp it is: the mean difference between neighbouring pixels.
fn glance(picture: &Picture<Planes>) -> (Glance, f32) {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let (mut sums, mut steps) = ([0u32; COLUMNS * ROWS], 0u32);
    for line in 0..ROWS * SAMPLES {
        // The middle of each of equal strips, so that every size is sampled evenly.
        let y = (2 * line + 1) * height / (2 * ROWS * SAMPLES);
        let Some(row) = picture.pixels.y.row(y, width) else {
            continue;
        };
        for place in 0..COLUMNS * SAMPLES {
            let x = (2 * place + 1) * width / (2 * COLUMNS * SAMPLES);
            let sample = row.get(x).copied().unwrap_or(0);
            sums[line / SAMPLES * COLUMNS + place / SAMPLES] += u32::from(sample);
            steps += u32::from(sample.abs_diff(row.get(x + 1).copied().unwrap_or(sample)));
        }
    }
    let samples = (SAMPLES * SAMPLES) as f32;
    (
        sums.map(|sum| sum as f32 / samples),
        steps as f32 / (samples * sums.len() as f32),
    )
}

fn differ(a: &Glance, b: &Glance) -> bool {
    a.iter().zip(b).any(|(a, b)| (a - b).abs() > CHANGE)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hearsight_core::media::{MotionField, Plane};

    use super::*;

    fn shown(millis: i64, luma: impl Fn(usize, usize) -> u8) -> Stamped<Decoded> {
        let (width, height) = (160u32, 96u32);
        let y: Vec<u8> = (0..(width * height) as usize).map(|i| luma(i % 160, i / 160)).collect();
        let plane = Plane {
            bytes: Arc::new(y),
            stride: 160,
        };
        let pixels = Planes {
            y: plane.clone(),
            u: plane.clone(),
            v: plane,
        };
        let picture = Picture { width, height, pixels };
        let decoded = Decoded {
            picture,
            motion: MotionField::default(),
            key: false,
        };
        Stamped::new(MediaTime::from_millis(millis), Moment::from_millis(millis), decoded)
    }

    fn chosen(chooser: &mut Chooser, shown: Stamped<Decoded>) -> Option<Choice> {
        let mut out = Outbox::default();
        chooser.step(Moment::ZERO, Signal::Item(shown), &mut out);
        out.drain().find_map(|signal| match signal {
            Signal::Item(chosen) => Some(chosen.item.choice),
            _ => None,
        })
    }

    #[test]
    fn a_still_scene_is_read_once_and_then_repeated_once_a_second_whatever_the_noise() {
        for seed in 0..10 {
            let mut random = fastrand::Rng::with_seed(seed);
            let noise: Vec<u8> = (0..4096).map(|_| random.u8(0..12)).collect();
            let mut chooser = Chooser::new(2);
            let choices: Vec<_> = (0..100)
                .map(|n| {
                    chosen(
                        &mut chooser,
                        shown(n * 40, |x, y| 100 + noise[(x * 7 + y * 31 + n as usize * 97) % 4096]),
                    )
                })
                .collect();
            assert_eq!(choices[0], Some(Choice::Changed), "seed {seed}");
            let rest: Vec<_> = choices[1..].iter().flatten().collect();
            assert_eq!(rest, [&Choice::Unchanged; 3], "seed {seed}");
        }
    }

    #[test]
    fn a_change_is_chosen_at_once_and_constant_change_no_more_often_than_asked() {
        let mut chooser = Chooser::new(2);
        assert!(chosen(&mut chooser, shown(0, |_, _| 100)).is_some());
        let sign = |x: usize, y: usize| {
            if (40..60).contains(&x) && (40..50).contains(&y) {
                20
            } else {
                100
            }
        };
        assert_eq!(chosen(&mut chooser, shown(900, sign)), Some(Choice::Changed));
        let moving = (0..100).filter(|n| {
            chosen(
                &mut chooser,
                shown(1_000 + n * 40, |x, _| (x as i64 * 3 + n * 40) as u8),
            )
            .is_some()
        });
        assert!((7..=9).contains(&moving.count()));
    }

    #[test]
    fn of_a_moving_scene_the_sharp_picture_is_chosen_and_a_blurred_one_only_when_none_comes() {
        let sharp = |x: usize, _: usize| if x.is_multiple_of(2) { 90 } else { 160 };
        let blurred = |x: usize, _: usize| if x < 80 { 60 } else { 200 };
        let mut chooser = Chooser::new(2);
        assert!(chosen(&mut chooser, shown(0, sharp)).is_some());
        assert_eq!(
            chosen(&mut chooser, shown(600, blurred)),
            None,
            "a sharper one may follow"
        );
        assert_eq!(
            chosen(&mut chooser, shown(700, |x, y| sharp(x, y) + 40)),
            Some(Choice::Changed)
        );
        assert_eq!(chosen(&mut chooser, shown(1_300, blurred)), None);
        assert_eq!(
            chosen(&mut chooser, shown(1_460, blurred)),
            Some(Choice::Changed),
            "patience ends"
        );
    }
}
