//! Puts the sound and the pictures of one sender on one timeline, and says when each was captured.
//!
//! Pure arithmetic over RTP timestamps, sender reports (RFC 3550 section 6.4.1) and moments of arrival. Every number
//! here comes from the peer, so none is believed beyond [`PLAUSIBLE`].

use hearsight_core::time::{MediaTime, Moment, Span};

/// How far a peer's statement may lie from what the arrivals say before it is ignored. A sender's pause, a
/// replaced device and a wrong clock lie beyond it; buffering and clock drift between packets lie within.
pub const PLAUSIBLE: Span = Span::from_secs(5);

/// How much later than its arrival a capture may seem before the report is held to be wrong: the error of the
/// offset measurement and of a camera's own stamps.
const AHEAD: Span = Span::from_millis(250);

/// One of the two tracks of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// The reference: never moved by a report.
    Sound,
    /// Moved onto the sound's timeline once both have reported.
    Picture,
}

/// Where a unit belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its time on the session's shared timeline; 0 is the arrival of the first packet.
    pub at: MediaTime,
    /// When it was captured, never after it arrived; without a measurement, when it arrived.
    pub born: Moment,
    /// Whether `born` was measured: then born to arrival is the network's share.
    pub measured: bool,
}

/// The shared timeline of one session.
#[derive(Debug, Default)]
pub struct Timeline {
    /// The arrival of the first packet: zero of the shared timeline.
    zero: Option<Moment>,
    sound: Line,
    picture: Line,
    /// Server moment minus the sender's unix time.
    offset: Option<Span>,
}

#[derive(Debug, Default)]
struct Line {
    last: Option<Last>,
    report: Option<Report>,
    /// A report that came before the first packet, whose timestamp can't be unwrapped yet.
    early: Option<(Span, u32)>,
}

/// The newest unit: what later timestamps are unwrapped against.
#[derive(Clone, Copy, Debug)]
struct Last {
    /// Unwrapped RTP timestamp.
    ticks: i64,
    /// The unit's own time before any report moves it.
    at: MediaTime,
    arrived: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Report {
    /// The sender's wall clock, since the unix epoch.
    unix: Span,
    /// The same instant on the track's RTP clock, unwrapped.
    ticks: i64,
}

impl Timeline {
    /// Takes a sender report: at `unix` (the sender's wall clock since the unix epoch) the track's RTP clock stood at `rtp`.
    pub fn report(&mut self, track: Track, unix: Span, rtp: u32) {
        let line = self.line_mut(track);
        match line.last {
            Some(last) => {
                line.report = Some(Report {
                    unix,
                    ticks: unwrap(last.ticks, rtp),
                })
            }
            None => line.early = Some((unix, rtp)),
        }
    }

    /// Takes the client's measurement of our clock against its own: server moment = unix time + `offset_from_unix`.
    pub fn clock_offset(&mut self, offset_from_unix: Span) {
        self.offset = Some(offset_from_unix);
    }

    /// Places a unit with RTP timestamp `rtp` at `rate` ticks per second, whose first packet came at `arrived`.
    pub fn place(&mut self, track: Track, rtp: u32, rate: u32, arrived: Moment) -> Placed {
        let zero = *self.zero.get_or_insert(arrived);
        let line = self.line_mut(track);
        let own = line.advance(rtp, rate, arrived, zero);
        let at = match track {
            Track::Sound => own.at,
            Track::Picture => self.moved(own, rate).unwrap_or(own.at),
        };
        let captured = self.captured(track, own.ticks, rate, arrived);
        Placed {
            at,
            born: captured.unwrap_or(arrived),
            measured: captured.is_some(),
        }
    }

    /// The picture's time on the sound's timeline, once both have reported and the reports make sense.
    fn moved(&self, own: Last, rate: u32) -> Option<MediaTime> {
        let (sound, report) = (self.sound.last?, self.sound.report?);
        let mine = self.picture.report?;
        let sound_at = sound.at + ticks_span(report.ticks.saturating_sub(sound.ticks), SOUND_RATE);
        let at = sound_at + (mine.unix - report.unix) + ticks_span(own.ticks.saturating_sub(mine.ticks), rate);
        let expected = sound.at + (own.arrived - sound.arrived);
        within(at - expected, PLAUSIBLE).then_some(at)
    }

    /// When what stands at `ticks` was captured, if report and offset are known and make sense.
    fn captured(&self, track: Track, ticks: i64, rate: u32, arrived: Moment) -> Option<Moment> {
        let report = self.line(track).report?;
        let unix = report.unix + ticks_span(ticks.saturating_sub(report.ticks), rate);
        let moment = Moment::ZERO + unix + self.offset?;
        let travelled = arrived - moment;
        (travelled >= -AHEAD && travelled <= PLAUSIBLE).then(|| moment.min(arrived))
    }

    fn line(&self, track: Track) -> &Line {
        match track {
            Track::Sound => &self.sound,
            Track::Picture => &self.picture,
        }
    }

    fn line_mut(&mut self, track: Track) -> &mut Line {
        match track {
            Track::Sound => &mut self.sound,
            Track::Picture => &mut self.picture,
        }
    }
}

/// The RTP clock of Opus, whatever its sampling rate (RFC 7587 section 4.1).
const SOUND_RATE: u32 = 48_000;

impl Line {
    /// Unwraps `rtp` and gives the unit its own time: the arrival for the first one, RTP distance after that.
    fn advance(&mut self, rtp: u32, rate: u32, arrived: Moment, zero: Moment) -> Last {
        let next = match self.last {
            None => Last {
                ticks: i64::from(rtp),
                at: MediaTime::ZERO + (arrived - zero),
                arrived,
            },
            Some(last) => {
                let ticks = unwrap(last.ticks, rtp);
                let stepped = ticks_span(ticks - last.ticks, rate);
                let passed = arrived - last.arrived;
                if within(stepped - passed, PLAUSIBLE) {
                    Last {
                        ticks,
                        at: last.at + stepped,
                        arrived,
                    }
                } else {
                    // Another source took over the track: its clock has nothing to do with the old one or its reports.
                    self.report = None;
                    Last {
                        ticks,
                        at: last.at + passed.max(Span::ZERO),
                        arrived,
                    }
                }
            }
        };
        self.last = Some(next);
        if let Some((unix, rtp)) = self.early.take() {
            self.report = Some(Report {
                unix,
                ticks: unwrap(next.ticks, rtp),
            });
        }
        next
    }
}

/// The unwrapped timestamp nearest to `near` whose low 32 bits are `rtp`.
fn unwrap(near: i64, rtp: u32) -> i64 {
    let distance = rtp.wrapping_sub(near as u32) as i32;
    near.saturating_add(i64::from(distance))
}

/// Ticks of a clock as a signed span.
fn ticks_span(ticks: i64, rate: u32) -> Span {
    Span::from_samples(ticks, rate)
}

fn within(span: Span, limit: Span) -> bool {
    span <= limit && span >= -limit
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
