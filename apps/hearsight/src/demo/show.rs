//! The scene as a film: one picture after the other, and if so wished a clapper that shows whether sound and picture are in
//! step.

use std::sync::Arc;

use hearsight_codecs::source::{Frame, Pulled, SourceError};
use hearsight_core::media::{Pcm, Picture, Plane, Planes};
use hearsight_core::time::{MediaTime, Span};

use super::scene::{Scene, SceneError};
use crate::film::Reel;

/// The scene repeats after a minute.
const PERIOD: Span = Span::from_secs(60);
/// From one clap to the next.
const CLAP_EVERY: Span = Span::from_secs(1);
/// Samples per second of the beep.
const RATE: u32 = 48_000;
/// Samples of 20 ms, one packet.
const FRAME: i64 = 960;
/// How long a beep is.
const BEEP: Span = Span::from_millis(60);
/// Of the beep, in hertz: a whole number of waves fits in a second.
const TONE: i64 = 1_000;
/// Of the beep, at most 1.
const LOUD: f32 = 0.3;
/// White and no colour, in the limited range of video.
const WHITE: u8 = 235;

/// Whether the film claps at every whole second: a white bar in the first picture, and a beep ([`Beep`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clapper {
    /// It does not.
    Still,
    /// It does.
    Claps,
}

/// The pictures of the scene.
pub struct Show {
    scene: Scene,
    fps: u32,
    next: i64,
    until: MediaTime,
    clapper: Clapper,
}

impl Show {
    /// The scene in a size in pixels, at so many pictures a second, from media time 0 to `until`.
    pub fn new(size: (u32, u32), fps: u32, until: MediaTime, clapper: Clapper) -> Result<Show, SceneError> {
        Ok(Show {
            scene: Scene::new(size.0, size.1, PERIOD)?,
            fps: fps.max(1),
            next: 0,
            until,
            clapper,
        })
    }
}

impl Reel<Picture<Planes>> for Show {
    fn pull(&mut self, from: MediaTime) -> Result<Pulled<Picture<Planes>>, SourceError> {
        // What is late is left out before it is drawn.
        self.next = self.next.max((from - MediaTime::ZERO).samples(self.fps));
        let at = MediaTime::ZERO + Span::from_samples(self.next, self.fps);
        if at >= self.until {
            return Ok(Pulled::End);
        }
        let claps = self.clapper == Clapper::Claps && self.next % i64::from(self.fps) == 0;
        self.next += 1;
        let picture = self.scene.picture(at);
        Ok(Pulled::Frame(Frame {
            at,
            age: Span::ZERO,
            item: if claps { with_bar(picture) } else { picture },
        }))
    }
}

/// The picture with a white bar over its lower quarter.
fn with_bar(mut picture: Picture<Planes>) -> Picture<Planes> {
    let Planes { y, u, v } = &mut picture.pixels;
    for (plane, value) in [(y, WHITE), (u, 128), (v, 128)] {
        let mut bytes = (*plane.bytes).as_ref().to_vec();
        let bar = bytes.len() / 4 * 3;
        bytes[bar..].fill(value);
        *plane = Plane {
            bytes: Arc::new(bytes),
            stride: plane.stride,
        };
    }
    picture
}

/// A beep at every whole second, and silence in between.
#[derive(Default)]
pub struct Beep {
    next: i64,
}

impl Reel<Pcm> for Beep {
    fn pull(&mut self, _: MediaTime) -> Result<Pulled<Pcm>, SourceError> {
        let first = self.next;
        self.next += FRAME;
        let every = CLAP_EVERY.samples(RATE);
        let sample = |i: i64| {
            let into = i % every;
            let phase = std::f32::consts::TAU * (into * TONE % i64::from(RATE)) as f32 / RATE as f32;
            if into < BEEP.samples(RATE) {
                LOUD * phase.sin()
            } else {
                0.0
            }
        };
        Ok(Pulled::Frame(Frame {
            at: MediaTime::ZERO + Span::from_samples(first, RATE),
            age: Span::ZERO,
            item: Pcm {
                rate: RATE,
                samples: (first..first + FRAME).map(sample).collect(),
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brightness(picture: &Picture<Planes>) -> u64 {
        let bytes = (*picture.pixels.y.bytes).as_ref();
        bytes.iter().map(|luma| u64::from(*luma)).sum::<u64>() / bytes.len() as u64
    }

    #[test]
    fn bar_and_beep_come_with_every_whole_second() {
        let until = MediaTime::from_millis(3_000);
        let mut show = Show::new((160, 90), 10, until, Clapper::Claps).unwrap();
        let mut shown = Vec::new();
        while let Pulled::Frame(frame) = show.pull(MediaTime::ZERO).unwrap() {
            assert_eq!(frame.at, MediaTime::from_millis(100 * shown.len() as i64));
            shown.push(brightness(&frame.item));
        }
        assert_eq!(shown.len(), 30);
        for (n, bright) in shown.iter().enumerate() {
            let still = shown[n - n % 10 + 1];
            assert_eq!(*bright > still + 20, n % 10 == 0, "picture {n}: {shown:?}");
        }
        let mut beep = Beep::default();
        for n in 0..150 {
            let Pulled::Frame(frame) = beep.pull(MediaTime::ZERO).unwrap() else {
                panic!("it has no end")
            };
            let loud = frame.item.samples.iter().any(|sample| sample.abs() > 0.2);
            assert_eq!(loud, n % 50 < 3, "frame {n}");
        }
    }

    #[test]
    fn pictures_that_are_late_are_never_drawn() {
        let mut show = Show::new((16, 16), 30, MediaTime::MAX, Clapper::Still).unwrap();
        let mut pull = |millis| match show.pull(MediaTime::from_millis(millis)).unwrap() {
            Pulled::Frame(frame) => frame.at,
            other => panic!("{other:?}"),
        };
        assert_eq!(pull(-5_000), MediaTime::ZERO);
        assert_eq!(pull(0), MediaTime::ZERO + Span::from_samples(1, 30));
        assert_eq!(pull(2_001), MediaTime::from_millis(2_000));
        assert_eq!(pull(0), MediaTime::ZERO + Span::from_samples(61, 30));
    }
}
