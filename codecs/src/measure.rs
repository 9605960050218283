//! Plain measures of decoded pictures: what the `picture.stats` event tells.

use std::collections::VecDeque;

use hearsight_core::media::{Decoded, Flow, Picture, Planes};
use hearsight_core::stage::{Outbox, Signal, Stage, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};

/// Cells of the thumbnail that brightness and cuts are judged by.
const COLUMNS: usize = 16;
const ROWS: usize = 9;

/// Luma samples looked at per side of a cell.
const SAMPLES: usize = 6;

/// Mean change of the thumbnail between neighbouring pictures that makes a cut, in luma steps. A flash from black to
/// white is 219 of them, another scene 40 and more, a fast pan or a fade over ten pictures below 22.
const CUT: f32 = 30.0;

/// The most pictures a second that the rate is counted over.
const MOST_RECENT: usize = 256;

/// What pictures were like, up to and with the picture whose envelope this carries.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureStats {
    /// Width of the picture in luma pixels.
    pub width: u32,
    /// Height of the picture in luma pixels.
    pub height: u32,
    /// Pictures per second of media time, over the last second.
    pub fps: f32,
    /// Pictures decoded since the beginning.
    pub decoded: u64,
    /// Key pictures among them.
    pub keyframes: u64,
    /// Motion vectors per picture, mean since the last report.
    pub vectors: f32,
    /// Length of a motion vector in pixels, mean since the last report; 0 without vectors.
    pub motion: f32,
    /// Mean luma of this picture, 0..255 as coded.
    pub brightness: f32,
    /// This picture shows something else than the one before it.
    pub cut: bool,
}

impl Flow for PictureStats {}

/// Reports on pictures once a second of media time, and at once on a cut. The work is the same for every size of picture.
pub struct Meter {
    every: Span,
    decoded: u64,
    keyframes: u64,
    /// When the last second's pictures were shown.
    recent: VecDeque<MediaTime>,
    reported: Option<MediaTime>,
    pictures: u64,
    vectors: u64,
    length: f64,
    before: Option<Thumbnail>,
}

/// Mean luma of each cell.
type Thumbnail = [f32; COLUMNS * ROWS];

impl Default for Meter {
    fn default() -> Meter {
        Meter {
            every: Span::from_secs(1),
            decoded: 0,
            keyframes: 0,
            recent: VecDeque::new(),
            reported: None,
            pictures: 0,
            vectors: 0,
            length: 0.0,
            before: None,
        }
    }
}

impl Meter {
    fn take(&mut self, shown: Stamped<Decoded>, out: &mut Outbox<PictureStats>) {
        let Decoded { picture, motion, key } = &shown.item;
        self.decoded += 1;
        self.keyframes += u64::from(*key);
        self.pictures += 1;
        self.vectors += motion.blocks.len() as u64;
        self.length += motion
            .blocks
            .iter()
            .map(|block| f64::from(block.dx.hypot(block.dy)))
            .sum::<f64>();
        self.count(shown.at);
        let thumbnail = thumbnail(picture);
        let cut = self.before.is_some_and(|before| difference(&before, &thumbnail) > CUT);
        self.before = Some(thumbnail);
        let reported = *self.reported.get_or_insert(shown.at);
        if cut || shown.at - reported >= self.every || shown.at < reported {
            let brightness = thumbnail.iter().sum::<f32>() / thumbnail.len() as f32;
            let stats = self.stats(picture.width, picture.height, brightness, cut);
            out.put(shown.with(stats));
            self.reported = Some(shown.at);
            (self.pictures, self.vectors, self.length) = (0, 0, 0.0);
        }
    }

    fn count(&mut self, at: MediaTime) {
        if self.recent.back().is_some_and(|last| *last > at) {
            self.recent.clear();
        }
        while self.recent.len() >= MOST_RECENT || self.recent.front().is_some_and(|first| at - *first > self.every) {
            self.recent.pop_front();
        }
        self.recent.push_back(at);
    }

    fn stats(&self, width: u32, height: u32, brightness: f32, cut: bool) -> PictureStats {
        let shown = match (self.recent.front(), self.recent.back()) {
            (Some(first), Some(last)) => (*last - *first).secs_f64(),
            _ => 0.0,
        };
        let fps = if shown > 0.0 {
            ((self.recent.len() - 1) as f64 / shown) as f32
        } else {
            0.0
        };
        let vectors = self.vectors as f32 / self.pictures.max(1) as f32;
        let motion = (self.length / self.vectors.max(1) as f64) as f32;
        let (decoded, keyframes) = (self.decoded, self.keyframes);
        PictureStats {
            width,
            height,
            fps,
            decoded,
            keyframes,
            vectors,
            motion,
            brightness,
            cut,
        }
    }
}

impl Stage for Meter {
    type In = Decoded;
    type Out = PictureStats;

    fn step(&mut self, _now: Moment, signal: Signal<Decoded>, out: &mut Outbox<PictureStats>) -> Wake {
        match signal {
            Signal::Item(shown) => self.take(shown, out),
            Signal::Gap(gap) => out.pass(gap),
            Signal::End => out.end(),
            // What was counted was seen, whatever is flushed.
            Signal::Flush(_) | Signal::Timer => {}
        }
        Wake::OnSignal
    }
}

fn thumbnail(picture: &Picture<Planes>) -> Thumbnail {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let mut sums = [0u32; COLUMNS * ROWS];
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
        }
    }
    sums.map(|sum| sum as f32 / (SAMPLES * SAMPLES) as f32)
}

fn difference(a: &Thumbnail, b: &Thumbnail) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32
}

#[cfg(test)]
mod tests {
    use hearsight_core::media::{Block, MotionField};
    use hearsight_core::stamped::Mark;

    use super::*;
    use crate::scenes::{picture, texture};

    fn shown(at: i64, picture: Picture<Planes>, motion: MotionField) -> Stamped<Decoded> {
        let item = Decoded {
            picture,
            key: motion.blocks.is_empty(),
            motion,
        };
        let mut shown = Stamped::new(MediaTime::from_millis(at), Moment::from_millis(at + 7), item);
        shown.trail.stamp(Mark::Decoded, Moment::from_millis(at + 9));
        shown
    }

    fn reports(meter: &mut Meter, shown: Stamped<Decoded>) -> Vec<Stamped<PictureStats>> {
        let mut out = Outbox::default();
        meter.step(Moment::ZERO, Signal::Item(shown), &mut out);
        out.drain()
            .filter_map(|signal| {
                if let Signal::Item(stats) = signal {
                    Some(stats)
                } else {
                    None
                }
            })
            .collect()
    }

    #[test]
    fn a_flash_is_a_cut_on_that_very_picture_and_brings_its_envelope() {
        for (width, height) in [(2, 2), (17, 9), (320, 180), (640, 360)] {
            let [black, white] = [16, 235].map(|luma| picture(width, height, |_, _| luma));
            let mut meter = Meter::default();
            for n in 0..20 {
                let lit = (10..12).contains(&n);
                let scene = if lit { &white } else { &black };
                let flash = shown(n * 40, scene.clone(), MotionField::default());
                let envelope = flash.with(());
                let seen = reports(&mut meter, flash);
                assert_eq!(
                    seen.len(),
                    usize::from(n == 10 || n == 12),
                    "picture {n} of {width}×{height}"
                );
                for report in seen {
                    assert_eq!(report.with(()), envelope);
                    assert!(report.item.cut);
                    assert_eq!(report.item.brightness, if lit { 235.0 } else { 16.0 });
                }
            }
        }
    }

    #[test]
    fn a_moving_scene_is_reported_once_a_second_without_cuts() {
        let block = Block {
            x: 0,
            y: 0,
            width: 16,
            height: 16,
            reference: -1,
            dx: 3.0,
            dy: -4.0,
        };
        let mut meter = Meter::default();
        let mut seen = Vec::new();
        for n in 0..=60i32 {
            let scene = picture(320, 180, |x, y| texture(x + 8 * n, y));
            let motion = MotionField {
                blocks: if n == 0 { [].into() } else { vec![block; 30].into() },
            };
            seen.extend(reports(&mut meter, shown(i64::from(n) * 50, scene, motion)));
        }
        assert_eq!(
            seen.iter().map(|report| report.at.micros()).collect::<Vec<_>>(),
            [1_000_000, 2_000_000, 3_000_000]
        );
        let last = &seen[2].item;
        assert!(!last.cut);
        assert_eq!((last.decoded, last.keyframes, last.fps), (61, 1, 20.0));
        assert_eq!((last.vectors, last.motion), (30.0, 5.0));
        assert!((last.brightness - 126.0).abs() < 12.0);
    }

    #[test]
    fn any_order_of_times_keeps_the_counts_finite_and_bounded() {
        let still = picture(16, 16, |_, _| 90);
        for seed in 0..6 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut meter = Meter::default();
            for _ in 0..600 {
                let at = random.i64(0..if seed % 2 == 0 { 3 } else { 5_000 });
                for report in reports(&mut meter, shown(at, still.clone(), MotionField::default())) {
                    assert!(report.item.fps.is_finite());
                }
                assert!(meter.recent.len() <= MOST_RECENT);
            }
        }
    }
}
