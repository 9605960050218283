//! The stage that makes pictures between pictures.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearsight_core::media::{Decoded, Flow, Picture, Planes};
use hearsight_core::stage::{Engine, Fault, Outbox, Signal, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_shaders::interpolate::{Held, Rung};
use hearsight_shaders::interval;

use super::maker::{Crossed, MakeError, Maker, Motion, Side};
use super::options::Quality;
use super::pace::{Follows, Pace, Places, Slot};

/// Further than this from where it is expected, a picture of a film without times is not merely reordered: some are missing.
const REORDERED: i64 = 20;

/// What the times of pictures are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// They say when each is shown.
    Told,
    /// They count pictures in the order of decoding: nothing else is known, and they are laid out evenly.
    MadeUp,
}

/// A picture of the smooth film.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The picture.
    pub picture: Picture<Planes>,
    /// Until the next.
    pub lasts: Span,
    /// Where it comes from.
    pub came: Came,
}

/// Where a picture of the smooth film comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It is the film's own.
    Kept,
    /// It was made along the vectors.
    Made,
    /// It is the mean of its neighbours.
    Blended,
    /// It is its nearer neighbour, for there was nothing to be made.
    Held(Held),
}

impl Flow for Shown {}

/// What was met on the way, beside the pictures themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Met {
    /// Pictures that came in.
    pub pictures: u64,
    /// Holes, where pictures were lost and nothing is made.
    pub holes: u64,
    /// What crossed between the memories of CPU and device.
    pub crossed: Crossed,
    /// What ended it before its time.
    pub failure: Option<String>,
}

/// Shared with whoever tells of it.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Mutex<Met>>);

impl Notes {
    /// As it is now.
    pub fn read(&self) -> Met {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Met> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept of a picture until the next is there.
struct Last {
    at: MediaTime,
    decoded: Decoded,
    side: Option<Side>,
    /// What led to it.
    motion: Option<Motion>,
    /// How long the interval before it was, where that is known.
    interval: Option<Span>,
    /// How the next follows it.
    next: Follows,
}

/// Puts out the film's own pictures and those made between them, each pair as soon as its second is there.
pub struct Between {
    maker: Maker,
    quality: Quality,
    places: Places,
    /// The film's own interval, where its times are made up in the order of decoding.
    even: Option<Span>,
    usual: Span,
    last: Option<Last>,
    notes: Notes,
}

impl Between {
    /// Makes with `maker`, as well as `quality` says, at the moments of `pace`. `usual` is the film's own interval.
    pub fn new(maker: Maker, quality: Quality, pace: Pace, usual: Span, times: Times) -> Between {
        Between {
            maker,
            quality,
            places: Places::new(pace),
            even: (times == Times::MadeUp).then_some(usual),
            usual,
            last: None,
            notes: Notes::default(),
        }
    }

    /// What is met on the way.
    pub fn notes(&self) -> Notes {
        self.notes.clone()
    }

    fn take(&mut self, item: Stamped<Decoded>, out: &mut Outbox<Shown>) -> Result<(), MakeError> {
        self.notes.lock().pictures += 1;
        let at = self.settled(item.at);
        let Some(last) = self.last.take() else {
            self.last = Some(Last {
                at,
                decoded: item.item,
                side: None,
                motion: None,
                interval: None,
                next: Follows::AtOnce,
            });
            return Ok(());
        };
        let slots = self.places.between(last.at, at, last.next);
        self.last = Some(self.pair(last, at, &item.item, &slots, out)?);
        Ok(())
    }

    /// Puts out what lies from `last` until just before its successor, which becomes the last.
    fn pair(
        &mut self,
        mut last: Last,
        at: MediaTime,
        next: &Decoded,
        slots: &[Slot],
        out: &mut Outbox<Shown>,
    ) -> Result<Last, MakeError> {
        let mut successor = Last {
            at,
            decoded: next.clone(),
            side: None,
            motion: None,
            interval: Some(at - last.at),
            next: Follows::AtOnce,
        };
        let makes = slots.iter().any(|slot| slot.way > 0.0);
        if makes {
            let earlier = match last.side.take() {
                Some(side) => side,
                None => self.maker.side(&last.decoded.picture)?,
            };
            last.side = Some(earlier);
            successor.side = Some(self.maker.side(&next.picture)?);
        }
        if last.next == Follows::AtOnce {
            let stretch = stretch(last.interval, at - last.at);
            let field = interval::field(&last.decoded.motion, &next.motion, stretch);
            let size = (next.picture.width, next.picture.height);
            successor.motion = Some(self.maker.motion(&field, size)?);
        }
        for (slot, lasts) in slots.iter().zip(lengths(slots, at)) {
            let shown = self.show(&last, &successor, slot.way, lasts)?;
            out.put(Stamped::new(slot.at, Moment::ZERO, shown));
        }
        self.notes.lock().crossed = self.maker.crossed();
        Ok(successor)
    }

    fn show(&mut self, last: &Last, next: &Last, way: f32, lasts: Span) -> Result<Shown, MakeError> {
        let sides = last.side.as_ref().zip(next.side.as_ref()).filter(|_| way > 0.0);
        let (Some((earlier, later)), Some(motion)) = (sides, &next.motion) else {
            return Ok(Shown {
                picture: last.decoded.picture.clone(),
                lasts,
                came: Came::Kept,
            });
        };
        let rung = self.quality.rung();
        let before = last.motion.as_ref();
        let made = self.maker.make([earlier, later], before, motion, way, rung)?;
        let came = match (made.held, made.rung) {
            (Some(held), _) => Came::Held(held),
            (None, Rung::Blend) => Came::Blended,
            (None, Rung::Hold) => Came::Held(Held::Repeated),
            (None, _) => Came::Made,
        };
        let picture = made.picture;
        Ok(Shown { picture, lasts, came })
    }

    fn finish(&mut self, out: &mut Outbox<Shown>) {
        let Some(last) = self.last.take() else { return };
        let interval = last.interval.unwrap_or(self.usual);
        let slots = self.places.last(last.at, interval);
        for (slot, lasts) in slots.iter().zip(lengths(&slots, last.at + interval)) {
            let shown = Shown {
                picture: last.decoded.picture.clone(),
                lasts,
                came: Came::Kept,
            };
            out.put(Stamped::new(slot.at, Moment::ZERO, shown));
        }
    }

    /// Pictures come in the order in which they are shown, so their times go on.
    fn settled(&self, at: MediaTime) -> MediaTime {
        let Some(last) = &self.last else { return at };
        match self.even {
            Some(even) if at - last.at < even * REORDERED => last.at + even,
            _ if at > last.at => at,
            _ => last.at + self.usual,
        }
    }
}

impl Engine for Between {
    type In = Decoded;
    type Out = Shown;

    fn run(&mut self, _: Moment, signal: Signal<Decoded>, out: &mut Outbox<Shown>) -> Result<Wake, Fault> {
        match signal {
            Signal::Item(item) => {
                if let Err(error) = self.take(item, out) {
                    let error = error.to_string();
                    self.notes.lock().failure = Some(error.clone());
                    return Err(Fault::Dead(error));
                }
            }
            Signal::Gap(_) => {
                // What comes next does not follow what was last.
                if let Some(last) = self.last.as_mut().filter(|last| last.next == Follows::AtOnce) {
                    last.next = Follows::AfterLoss;
                    self.notes.lock().holes += 1;
                }
            }
            Signal::End => self.finish(out),
            Signal::Flush(_) | Signal::Timer => {}
        }
        Ok(Wake::OnSignal)
    }

    /// Offline nothing is late: what a slow CPU takes for fifteen large pictures in one interval.
    fn slice(&self) -> Span {
        Span::from_secs(10)
    }
}

/// How long an interval is, measured by the one before it, of which vectors count lengths.
fn stretch(before: Option<Span>, now: Span) -> f32 {
    match before {
        Some(before) if before > Span::ZERO => now.nanos() as f32 / before.nanos() as f32,
        _ => 1.0,
    }
}

/// How long each is shown: until the next, and the last until `end`.
fn lengths(slots: &[Slot], end: MediaTime) -> impl Iterator<Item = Span> {
    let ends = slots.iter().skip(1).map(|slot| slot.at).chain([end]);
    slots.iter().zip(ends).map(|(slot, end)| end - slot.at)
}
