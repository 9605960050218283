//! The envelope of everything that flows, and the chain of stamps from which latency segments are cut.

use crate::time::{MediaTime, Moment, Span};

/// Where a unit was last seen on its way. The order is the order of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// A microphone of this machine handed it over. Ends the microphone segment.
    Captured,
    /// Its first packet reached our socket. Ends the network segment.
    Arrived,
    /// The jitter buffer let it go, whole and in order. Ends the jitter wait.
    Released,
    /// It is samples or pixels. Ends decoding.
    Decoded,
    /// The voice detector passed it on. Ends VAD.
    Voiced,
    /// The recogniser made words of it. Ends recognition.
    Recognised,
    /// The reader made text of it. Ends reading.
    Read,
    /// An engine took the question up. Ends waiting.
    Asked,
    /// The engine found the first words of its answer. Ends answering.
    Answered,
    /// Its moment on the screen came: shown as it is, or made into the one for that moment. Ends smoothing.
    Smoothed,
    /// It was coded anew for those who watch. Ends encoding.
    Encoded,
    /// It was handed to the outlet: the end of what the server does.
    Sent,
}

impl Mark {
    /// Every mark, in the order of the path.
    pub const ALL: [Mark; 12] = [
        Mark::Captured,
        Mark::Arrived,
        Mark::Released,
        Mark::Decoded,
        Mark::Voiced,
        Mark::Recognised,
        Mark::Read,
        Mark::Asked,
        Mark::Answered,
        Mark::Smoothed,
        Mark::Encoded,
        Mark::Sent,
    ];

    /// The name of the segment that this mark ends, as the wire spells it.
    pub const fn segment(self) -> &'static str {
        match self {
            Mark::Captured => "microphone",
            Mark::Arrived => "network",
            Mark::Released => "jitter",
            Mark::Decoded => "decode",
            Mark::Voiced => "vad",
            Mark::Recognised => "recognise",
            Mark::Read => "read",
            Mark::Asked => "wait",
            Mark::Answered => "answer",
            Mark::Smoothed => "smooth",
            Mark::Encoded => "encode",
            Mark::Sent => "send",
        }
    }
}

/// No stamp yet. Half the size of an option, and the envelope is moved at every hop.
const NEVER: Moment = Moment::from_nanos(i64::MIN);

/// One chain of stamps. Segments are differences of neighbours, so they sum to the whole by construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trail {
    marks: [Moment; Mark::ALL.len()],
}

impl Default for Trail {
    fn default() -> Trail {
        let marks = [NEVER; Mark::ALL.len()];
        Trail { marks }
    }
}

impl Trail {
    /// Records that the unit passed `mark` at `now`. A later stamp of the same mark replaces the earlier.
    pub fn stamp(&mut self, mark: Mark, now: Moment) {
        self.marks[mark as usize] = now;
    }
    /// When it passed `mark`, if it has.
    pub fn at(&self, mark: Mark) -> Option<Moment> {
        Some(self.marks[mark as usize]).filter(|at| *at != NEVER)
    }
    /// The segments from `born` on, in path order. A mark that was never passed has no segment: its time
    /// belongs to the next. The spans sum exactly to `last mark − born`.
    pub fn segments(&self, born: Moment) -> impl Iterator<Item = (Mark, Span)> + '_ {
        let mut from = born;
        Mark::ALL.into_iter().filter_map(move |mark| {
            let to = self.at(mark)?;
            let span = to - from;
            from = to;
            Some((mark, span))
        })
    }
}

/// The one envelope: what it shows, when it was captured, which way it came, and the thing itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Stamped<T> {
    /// What it shows, on the sender's timeline.
    pub at: MediaTime,
    /// When that was captured, on our clock. Inherited: age is always `now − born`.
    pub born: Moment,
    /// The stamps so far.
    pub trail: Trail,
    /// What flows.
    pub item: T,
}

impl<T> Stamped<T> {
    /// A unit that begins its way here.
    pub fn new(at: MediaTime, born: Moment, item: T) -> Stamped<T> {
        Stamped {
            at,
            born,
            trail: Trail::default(),
            item,
        }
    }
    /// The same moment and way, another item.
    pub fn with<U>(&self, item: U) -> Stamped<U> {
        Stamped {
            at: self.at,
            born: self.born,
            trail: self.trail,
            item,
        }
    }
    /// The same unit, transformed.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Stamped<U> {
        Stamped {
            at: self.at,
            born: self.born,
            trail: self.trail,
            item: change(self.item),
        }
    }
    /// How old it is.
    pub fn age(&self, now: Moment) -> Span {
        now - self.born
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_sum_to_the_age_whatever_is_missing() {
        for missing in 0..(1u32 << (Mark::ALL.len() - 1)) {
            let mut trail = Trail::default();
            let mut now = Moment::from_millis(3);
            let born = now;
            for (i, mark) in Mark::ALL.into_iter().enumerate() {
                now += Span::from_micros(17 * (i as i64 + 1));
                if mark == Mark::Sent || missing & (1 << i) == 0 {
                    trail.stamp(mark, now);
                }
            }
            let sum: Span = trail.segments(born).map(|(_, span)| span).sum();
            assert_eq!(sum, now - born);
        }
    }
}
