//! A view in virtual time, with small pictures that move.

mod hostile;
mod ladder;
mod real;
mod times;

use std::collections::VecDeque;
use std::sync::Arc;

use hearsight_core::media::{Block, Decoded, MotionField, Picture, Plane, Planes};
use hearsight_core::stage::{Engine, Gap, Lost, Outbox, Signal, Wake};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_shaders::interpolate::Rung;

use super::*;
use crate::watch::{Asked, Seat};

pub(super) const STYLE: Style = Style {
    times: 2,
    max_fps: 60,
    bitrate: 1_000_000,
    best: Rung::Vectors,
};

/// What reaches a view, and when.
pub(super) type Event = (Moment, Signal<Decoded>);

/// One that somebody watches.
pub(super) struct Watched {
    pub(super) smooth: Smooth,
    pub(super) effort: Effort,
    pub(super) lost: Vec<Gap>,
    _seat: Seat,
}

impl Watched {
    pub(super) fn new(style: Style) -> Watched {
        let (screen, effort) = (Screen::default(), Effort::default());
        let seat = screen.sit(Asked::Session, Box::new(|| {})).expect("it goes on");
        Watched {
            smooth: Smooth::new(style, Hand::Cpu, screen, effort.clone()),
            effort,
            lost: Vec::new(),
            _seat: seat,
        }
    }

    /// Plays events in their order on a machine where a slice takes what `cost` says. What comes out, and when.
    pub(super) fn play(
        &mut self,
        events: impl IntoIterator<Item = Event>,
        mut cost: impl FnMut(&Outbox<Shown>) -> Span,
    ) -> Vec<(Moment, Stamped<Shown>)> {
        let mut events: VecDeque<Event> = events.into_iter().collect();
        let (mut free, mut timer, mut seen) = (Moment::ZERO, None, Vec::new());
        let mut slices = 0;
        while let Some((now, signal)) = next(&mut events, timer, free) {
            let mut out = Outbox::default();
            let wake = self.smooth.run(now, signal, &mut out).expect("it never fails");
            let took = cost(&out);
            self.smooth.took(took);
            free = now + took;
            timer = match wake {
                Wake::At(moment) => Some(moment),
                Wake::OnSignal => None,
            };
            for signal in out.drain() {
                match signal {
                    Signal::Item(unit) => seen.push((free, unit)),
                    Signal::Gap(gap) => self.lost.push(gap),
                    _ => {}
                }
            }
            slices += 1;
            assert!(slices < 200_000, "it does not come to rest");
        }
        seen
    }
}

/// Units first, as the graph has it; the display's own time otherwise.
fn next(events: &mut VecDeque<Event>, timer: Option<Moment>, free: Moment) -> Option<Event> {
    let comes = events.front().map(|(when, _)| (*when).max(free));
    let rings = timer.map(|moment| moment.max(free));
    match (comes, rings) {
        (Some(comes), rings) if rings.is_none_or(|rings| comes <= rings) => {
            events.pop_front().map(|(_, signal)| (comes, signal))
        }
        (_, Some(rings)) => Some((rings, Signal::Timer)),
        _ => None,
    }
}

/// Free of charge.
pub(super) fn nothing(_: &Outbox<Shown>) -> Span {
    Span::ZERO
}

pub(super) fn gap() -> Signal<Decoded> {
    Signal::Gap(Gap {
        stage: "decode",
        why: Lost::Undecodable,
        count: 1,
    })
}

pub(super) fn unit(came: Moment, at: MediaTime, decoded: Decoded) -> Stamped<Decoded> {
    let mut unit = Stamped::new(at, came, decoded);
    unit.trail.stamp(Mark::Arrived, came);
    unit
}

pub(super) const SIZE: (u32, u32) = (48, 32);

/// Picture `n` of a texture that moves by two pixels from one to the next, with the vectors that say so.
pub(super) fn moving(n: i64) -> Decoded {
    let block = |x: i16, y: i16| Block {
        x,
        y,
        width: 16,
        height: 16,
        reference: -1,
        dx: 2.0,
        dy: 0.0,
    };
    let blocks = (0..3).flat_map(|x| (0..2).map(move |y| block(16 * x, 16 * y)));
    Decoded {
        picture: scene(SIZE, 2.0 * n as f64),
        motion: MotionField {
            blocks: blocks.collect(),
        },
        key: false,
    }
}

/// A texture, moved to the left.
pub(super) fn scene((width, height): (u32, u32), by: f64) -> Picture<Planes> {
    let luma = |x: u32, y: u32| {
        let (x, y) = (f64::from(x) + by, f64::from(y));
        128.0 + 50.0 * (x * 0.35).sin() * (y * 0.22).cos() + 30.0 * (x * 0.11 + y * 0.17).sin()
    };
    let bytes = |columns: u32, rows: u32, value: &dyn Fn(u32, u32) -> f64| Plane {
        bytes: Arc::new(
            (0..rows)
                .flat_map(|y| (0..columns).map(move |x| (x, y)))
                .map(|(x, y)| value(x, y) as u8)
                .collect::<Vec<u8>>(),
        ),
        stride: columns as usize,
    };
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let grey = bytes(half_width, half_height, &|_, _| 128.0);
    Picture {
        width,
        height,
        pixels: Planes {
            y: bytes(width, height, &luma),
            u: grey.clone(),
            v: grey,
        },
    }
}

pub(super) fn count(seen: &[(Moment, Stamped<Shown>)], origin: Origin) -> usize {
    seen.iter().filter(|(_, unit)| unit.item.origin == origin).count()
}
