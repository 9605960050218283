//! Three kinds of time that cannot be mixed up: when it is ([`Moment`]), what it shows ([`MediaTime`]) and the
//! distance between two of either ([`Span`]). All are i64 nanoseconds; only sensible sums compile.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

/// A signed distance in time, in nanoseconds.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

/// A point on this machine's monotonic clock, counted from an origin that the host chooses.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

/// A point on a sender's timeline: what a sample or a picture shows, whenever it happens to arrive.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaTime(i64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);
    /// Longer than any wait in the system.
    pub const MAX: Span = Span(i64::MAX);

    /// A span of whole nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Span {
        Span(nanos)
    }
    /// A span of whole microseconds.
    pub const fn from_micros(micros: i64) -> Span {
        Span(micros.saturating_mul(1_000))
    }
    /// A span of whole milliseconds.
    pub const fn from_millis(millis: i64) -> Span {
        Span(millis.saturating_mul(1_000_000))
    }
    /// A span of whole seconds.
    pub const fn from_secs(secs: i64) -> Span {
        Span(secs.saturating_mul(1_000_000_000))
    }
    /// The time that `samples` take at `rate` per second, rounded down. A rate of zero gives no time.
    pub const fn from_samples(samples: i64, rate: u32) -> Span {
        if rate == 0 {
            return Span(0);
        }
        Span((samples as i128 * 1_000_000_000 / rate as i128) as i64)
    }
    /// Whole nanoseconds.
    pub const fn nanos(self) -> i64 {
        self.0
    }
    /// Whole microseconds, rounded towards zero.
    pub const fn micros(self) -> i64 {
        self.0 / 1_000
    }
    /// Milliseconds, for people and tables.
    pub fn millis_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
    /// Seconds, for arithmetic with rates.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
    /// How many samples at `rate` fit in this span, rounded down.
    pub const fn samples(self, rate: u32) -> i64 {
        (self.0 as i128 * rate as i128 / 1_000_000_000) as i64
    }
    /// The sum, held at the ends of the range instead of wrapping.
    pub const fn saturating_add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
    /// The same span where the standard library wants its own type; negative spans become zero.
    pub const fn to_duration(self) -> std::time::Duration {
        std::time::Duration::from_nanos(if self.0 > 0 { self.0 as u64 } else { 0 })
    }
    /// From the standard library's type, held at [`Span::MAX`].
    pub fn from_duration(duration: std::time::Duration) -> Span {
        Span(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

macro_rules! point {
    ($point:ident, $what:literal) => {
        impl $point {
            /// The origin.
            pub const ZERO: $point = $point(0);
            /// Beyond everything.
            pub const MAX: $point = $point(i64::MAX);

            #[doc = concat!("The ", $what, " this many nanoseconds after the origin.")]
            pub const fn from_nanos(nanos: i64) -> $point {
                $point(nanos)
            }
            #[doc = concat!("The ", $what, " this many milliseconds after the origin.")]
            pub const fn from_millis(millis: i64) -> $point {
                $point(millis.saturating_mul(1_000_000))
            }
            /// Nanoseconds since the origin.
            pub const fn nanos(self) -> i64 {
                self.0
            }
            /// Whole microseconds since the origin: the unit of the wire.
            pub const fn micros(self) -> i64 {
                self.0.div_euclid(1_000)
            }
        }
        impl Add<Span> for $point {
            type Output = $point;
            fn add(self, span: Span) -> $point {
                $point(self.0.saturating_add(span.0))
            }
        }
        impl AddAssign<Span> for $point {
            fn add_assign(&mut self, span: Span) {
                *self = *self + span;
            }
        }
        impl Sub<Span> for $point {
            type Output = $point;
            fn sub(self, span: Span) -> $point {
                $point(self.0.saturating_sub(span.0))
            }
        }
        impl Sub for $point {
            type Output = Span;
            fn sub(self, earlier: $point) -> Span {
                Span(self.0.saturating_sub(earlier.0))
            }
        }
        impl fmt::Debug for $point {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}@{:.3}ms", stringify!($point), self.0 as f64 / 1e6)
            }
        }
    };
}
point!(Moment, "moment");
point!(MediaTime, "media time");

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        self.saturating_add(other)
    }
}
impl AddAssign for Span {
    fn add_assign(&mut self, other: Span) {
        *self = *self + other;
    }
}
impl Sub for Span {
    type Output = Span;
    fn sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}
impl SubAssign for Span {
    fn sub_assign(&mut self, other: Span) {
        *self = *self - other;
    }
}
impl Neg for Span {
    type Output = Span;
    fn neg(self) -> Span {
        Span(self.0.saturating_neg())
    }
}
impl Mul<i64> for Span {
    type Output = Span;
    fn mul(self, times: i64) -> Span {
        Span(self.0.saturating_mul(times))
    }
}
impl Div<i64> for Span {
    type Output = Span;
    fn div(self, parts: i64) -> Span {
        Span(if parts == 0 { 0 } else { self.0 / parts })
    }
}
impl Sum for Span {
    fn sum<I: Iterator<Item = Span>>(spans: I) -> Span {
        spans.fold(Span::ZERO, Span::saturating_add)
    }
}
impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}ms", self.millis_f64())
    }
}
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", self.millis_f64())
    }
}

/// The one converter between a source's [`MediaTime`] and our [`Moment`]s: `moment = media + offset`.
///
/// Anchors come from sender reports mapped through the measured clock offset (RFC 3550 section 6.4.1). Two tracks of a
/// sender share a timeline when their reports share a clock. Before the first anchor there is no answer, and none is guessed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeline {
    offset: Option<Span>,
}

impl Timeline {
    /// States that what `media` shows happened at `moment`; replaces what was known.
    pub fn anchor(&mut self, media: MediaTime, moment: Moment) {
        self.offset = Some(Span(moment.0.saturating_sub(media.0)));
    }
    /// When what `media` shows happened, on our clock.
    pub fn moment_from_media(&self, media: MediaTime) -> Option<Moment> {
        self.offset.map(|offset| Moment(media.0.saturating_add(offset.0)))
    }
    /// What the sender was showing at `moment`.
    pub fn media_from_moment(&self, moment: Moment) -> Option<MediaTime> {
        self.offset.map(|offset| MediaTime(moment.0.saturating_sub(offset.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_spans_agree() {
        let start = Moment::from_millis(5);
        assert_eq!((start + Span::from_millis(7)) - start, Span::from_millis(7));
        assert_eq!(Span::from_samples(480, 48_000), Span::from_millis(10));
        assert_eq!(Span::from_millis(10).samples(16_000), 160);
    }

    #[test]
    fn arithmetic_holds_at_the_ends_instead_of_wrapping() {
        assert_eq!(Moment::MAX + Span::from_secs(1), Moment::MAX);
        assert_eq!(Span::MAX + Span::MAX, Span::MAX);
        assert_eq!(Span::from_samples(1, 0), Span::ZERO);
    }

    #[test]
    fn a_timeline_says_nothing_before_its_first_anchor_and_inverts_itself_after() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.moment_from_media(MediaTime::ZERO), None);
        timeline.anchor(MediaTime::from_millis(100), Moment::from_millis(40));
        let media = MediaTime::from_millis(250);
        let moment = timeline.moment_from_media(media).expect("anchored");
        assert_eq!(moment, Moment::from_millis(190));
        assert_eq!(timeline.media_from_moment(moment), Some(media));
    }
}
