//! Between the sound card's callback and the rest: rings that neither side waits for (single producer, single consumer,
//! lock-free). The callback copies; what finds no room is counted, and the count travels in its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread::Thread;

use hearsight_core::time::Moment;
use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

/// Frames that wait at most: 1.4 s at 48 kHz. A reader this far behind would only hear what nobody asks for any more.
pub const FRAMES: usize = 1 << 16;
/// Portions that wait at most: as many of 64 frames, the smallest that sound cards hand over.
const PORTIONS: usize = 1 << 10;

/// A ring whose tap wakes `reader`.
pub fn ring(reader: Thread) -> (Tap, Alarm, Drain) {
    let (samples, taken) = HeapRb::new(FRAMES).split();
    let (portions, announced) = HeapRb::new(PORTIONS).split();
    let shared = Arc::new(Shared {
        lost: AtomicU64::new(0),
        tears: AtomicU64::new(0),
        ended: AtomicU8::new(0),
        reader,
    });
    let tap = Tap {
        samples,
        portions,
        shared: shared.clone(),
    };
    let drain = Drain {
        samples: taken,
        portions: announced,
        shared: shared.clone(),
        lost: 0,
        tears: 0,
    };
    (tap, Alarm { shared }, drain)
}

struct Shared {
    /// Frames that found no room.
    lost: AtomicU64,
    /// How often the card itself lost sound.
    tears: AtomicU64,
    /// How it ended, an [`Ended`] as a number; 0 while it has not.
    ended: AtomicU8,
    reader: Thread,
}

#[derive(Clone, Copy)]
struct Header {
    frames: usize,
    born: Moment,
    handed: Moment,
    lost: u64,
    tears: u64,
}

/// The callback's end.
pub struct Tap {
    samples: HeapProd<f32>,
    portions: HeapProd<Header>,
    shared: Arc<Shared>,
}

impl Tap {
    /// Takes what one callback brings: mono frames, of which the first was captured at `born`, handed over at `handed`.
    /// Never waits and never allocates; all of it is taken, or none and its frames are counted as lost.
    pub fn pour(&mut self, frames: impl ExactSizeIterator<Item = f32>, born: Moment, handed: Moment) {
        let header = Header {
            frames: frames.len(),
            born,
            handed,
            lost: self.shared.lost.load(Ordering::Relaxed),
            tears: self.shared.tears.load(Ordering::Relaxed),
        };
        if self.samples.vacant_len() < header.frames || self.portions.is_full() {
            self.shared.lost.fetch_add(header.frames as u64, Ordering::Relaxed);
        } else {
            self.samples.push_iter(frames);
            // There is room: this side alone fills it.
            let _ = self.portions.try_push(header);
        }
        self.shared.reader.unpark();
    }
}

/// How a stream ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The microphone is not there any more.
    Unplugged = 1,
    /// Its format changed: it must be opened again.
    Changed = 2,
    /// The system reports an error of another kind.
    Failed = 3,
}

/// Where the system reports trouble, from whichever thread.
#[derive(Clone)]
pub struct Alarm {
    shared: Arc<Shared>,
}

impl Alarm {
    /// The card lost sound before it could be fetched.
    pub fn torn(&self) {
        self.shared.tears.fetch_add(1, Ordering::Relaxed);
    }
    /// Nothing more comes; the first reason stays.
    pub fn ended(&self, why: Ended) {
        let first = self
            .shared
            .ended
            .compare_exchange(0, why as u8, Ordering::AcqRel, Ordering::Acquire);
        // A stream may go on failing as fast as it can.
        if first.is_ok() {
            self.shared.reader.unpark();
        }
    }
}

/// What one callback brought.
#[derive(Clone, Debug, PartialEq)]
pub struct Portion {
    /// Mono, at the card's rate.
    pub samples: Arc<[f32]>,
    /// When the first sample was captured, as far as the card knows.
    pub born: Moment,
    /// When the callback ran.
    pub handed: Moment,
    /// Frames before it that found no room.
    pub lost: u64,
    /// Whether the card itself lost sound before it.
    pub torn: bool,
}

/// The reader's end.
pub struct Drain {
    samples: HeapCons<f32>,
    portions: HeapCons<Header>,
    shared: Arc<Shared>,
    lost: u64,
    tears: u64,
}

impl Drain {
    /// The next portion, if one is there.
    pub fn take(&mut self) -> Option<Portion> {
        let header = self.portions.try_pop()?;
        let samples = self.samples.pop_iter().take(header.frames).collect();
        let lost = header.lost - std::mem::replace(&mut self.lost, header.lost);
        let torn = std::mem::replace(&mut self.tears, header.tears) != header.tears;
        Some(Portion {
            samples,
            born: header.born,
            handed: header.handed,
            lost,
            torn,
        })
    }
    /// Frames that were lost and that no portion tells of yet.
    pub fn untold(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed) - self.lost
    }
    /// How the stream ended, once it has.
    pub fn ended(&self) -> Option<Ended> {
        match self.shared.ended.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Ended::Unplugged),
            2 => Some(Ended::Changed),
            _ => Some(Ended::Failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_arrives_in_order_or_is_counted_in_its_place() {
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut tap, alarm, mut drain) = ring(std::thread::current());
            let (mut poured, mut expected, mut tears) = (0u64, 0u64, 0u64);
            let mut torn = 0;
            for _ in 0..400 {
                if random.u8(0..20) == 0 {
                    alarm.torn();
                    tears += 1;
                }
                let frames = random.usize(0..2_000);
                let first = poured;
                // Counted modulo what a float holds exactly.
                let samples = (0..frames).map(|i| ((first + i as u64) % (1 << 20)) as f32);
                tap.pour(samples, Moment::ZERO, Moment::ZERO);
                poured += frames as u64;
                // The reader stands still for long stretches.
                while random.u8(0..40) != 0 && random.u8(0..3) == 0 {
                    let Some(portion) = drain.take() else { break };
                    expected += portion.lost;
                    torn += u64::from(portion.torn);
                    for sample in portion.samples.iter() {
                        assert_eq!(*sample, (expected % (1 << 20)) as f32, "seed {seed}");
                        expected += 1;
                    }
                }
            }
            while let Some(portion) = drain.take() {
                expected += portion.lost + portion.samples.len() as u64;
                torn += u64::from(portion.torn);
            }
            assert_eq!(expected + drain.untold(), poured, "seed {seed}");
            assert!(torn <= tears && (tears == 0 || torn > 0), "seed {seed}");
        }
    }

    #[test]
    fn the_first_reason_of_an_end_stays() {
        let (_tap, alarm, drain) = ring(std::thread::current());
        assert_eq!(drain.ended(), None);
        alarm.ended(Ended::Unplugged);
        alarm.ended(Ended::Failed);
        assert_eq!(drain.ended(), Some(Ended::Unplugged));
    }
}
