//! Which packet a sample came from: the stamps of recent chunks of sound, looked up by sample position.

use std::collections::VecDeque;

use hearsight_core::stamped::{Stamped, Trail};
use hearsight_core::time::{MediaTime, Moment, Span};

/// The rate of everything in this crate, in samples per second.
pub(crate) const RATE: u32 = 16_000;

/// The stamps of one chunk.
#[derive(Clone, Copy, Debug)]
struct Origin {
    start: u64,
    at: MediaTime,
    born: Moment,
    trail: Trail,
}

/// A bounded memory of chunk stamps. Positions are samples counted from the stream's first, holes not counted.
#[derive(Debug)]
pub(crate) struct Origins {
    chunks: VecDeque<Origin>,
    most: usize,
    head: u64,
}

impl Origins {
    /// Remembers the latest `most` chunks.
    pub(crate) fn new(most: usize) -> Origins {
        Origins {
            chunks: VecDeque::new(),
            most,
            head: 0,
        }
    }
    /// The position after the last sample.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }
    /// Remembers the stamps of the next `samples` samples.
    pub(crate) fn push<T>(&mut self, stamps: &Stamped<T>, samples: usize) {
        if samples == 0 {
            return;
        }
        if self.chunks.len() >= self.most {
            self.chunks.pop_front();
        }
        self.chunks.push_back(Origin {
            start: self.head,
            at: stamps.at,
            born: stamps.born,
            trail: stamps.trail,
        });
        self.head += samples as u64;
    }
    /// When the stream is expected to go on, had it no hole.
    pub(crate) fn expected(&self) -> Option<MediaTime> {
        let last = self.chunks.back()?;
        Some(last.at + span_of(self.head - last.start))
    }
    /// The media time of the boundary before the sample at `position`, as the chunk that holds the sample says.
    pub(crate) fn begin(&self, position: u64) -> MediaTime {
        self.find(position)
            .map_or(MediaTime::ZERO, |origin| media(origin, position))
    }
    /// The media time of the boundary after the last sample before `position`, as the chunk that holds it says: it differs
    /// from [`Origins::begin`] where a hole lies between.
    pub(crate) fn end(&self, position: u64) -> MediaTime {
        self.find(position.saturating_sub(1))
            .map_or(MediaTime::ZERO, |origin| media(origin, position))
    }
    /// `item` at `at`, with the birth and the trail of the chunk that holds the last sample before `end`.
    pub(crate) fn stamp<T>(&self, at: MediaTime, end: u64, item: T) -> Stamped<T> {
        let (born, trail) = self
            .find(end.saturating_sub(1))
            .map_or((Moment::ZERO, Trail::default()), |origin| (origin.born, origin.trail));
        Stamped { at, born, trail, item }
    }
    /// Forgets all stamps; positions go on.
    pub(crate) fn clear(&mut self) {
        self.chunks.clear();
    }
    fn find(&self, position: u64) -> Option<&Origin> {
        let after = self.chunks.partition_point(|origin| origin.start <= position);
        self.chunks.get(after.saturating_sub(1))
    }
}

fn media(origin: &Origin, position: u64) -> MediaTime {
    // Positions before the oldest chunk are extrapolated: exact unless a hole lies between.
    if position >= origin.start {
        origin.at + span_of(position - origin.start)
    } else {
        origin.at - span_of(origin.start - position)
    }
}

/// How long `samples` samples sound.
pub(crate) fn span_of(samples: u64) -> Span {
    Span::from_samples(i64::try_from(samples).unwrap_or(i64::MAX), RATE)
}
