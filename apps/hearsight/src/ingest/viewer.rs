//! What a watching client does in its session: units of a screen go out to it as fast as its path allows, and what its
//! decoder asks for goes back.

use std::time::Instant;

use hearsight_core::media::Packet;
use hearsight_core::stage::Lost;
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use str0m::Event;
use str0m::bwe::{Bitrate, BweKind};
use str0m::format::{Codec, PayloadParams};
use str0m::media::{Frequency, MediaKind, MediaTime as RtpTime, Mid};

use super::session::{Part, Stack};
use super::{Left, Watching};
use crate::watch::{Next, Seat};

/// What the path is asked for, in bits per second: enough for the smooth view of 1080p. The estimator looks for no more.
const WANTED: u64 = 8_000_000;

/// Of the path's estimate, the part for pictures; the rest is for packets' headers and what is sent again. In hundredths.
const SHARE: u64 = 90;

/// An estimate below this says that little was sent, not that the path takes no more: estimators begin with what came and rise by some
/// eight per cent a second. It is not held against a path, in bits per second; libwebrtc begins with as much.
const TELLING: u64 = 300_000;

/// The pictures that may be under way beyond what the path has taken by its estimate, in time.
const PATIENCE: Span = Span::from_secs(1);

/// A viewer that was too slow is let in again after this at the earliest: each time costs everybody a keyframe.
const REST: Span = Span::from_secs(2);

/// RTP times are counted from here, so that media times before the session's first are none below zero.
const RTP_ORIGIN: i64 = 1 << 40;

pub(super) struct Viewer {
    watching: Watching,
    stage: Stage,
    mid: Option<Mid>,
    path: Path,
    at_rest: Option<Moment>,
}

/// How far it has come.
enum Stage {
    /// Nothing can be sent yet, and nothing is made for it.
    Waiting,
    Seated(Seat),
    Over,
}

impl Viewer {
    pub(super) fn new(watching: Watching) -> Viewer {
        Viewer {
            watching,
            stage: Stage::Waiting,
            mid: None,
            path: Path::default(),
            at_rest: None,
        }
    }

    fn sit_down(&mut self, stack: &mut Stack) {
        let mailbox = stack.mailbox.clone();
        let seat = self
            .watching
            .screen
            .sit(self.watching.asked, Box::new(move || mailbox.ring()));
        self.stage = seat.map_or(Stage::Over, Stage::Seated);
        let wanted = Bitrate::from(WANTED);
        stack.rtc.bwe().set_bitrate(Bitrate::ZERO, wanted);
    }

    /// The path takes so many bits per second.
    fn measured(&mut self, estimate: Bitrate) {
        let bits = (estimate.as_f64() as u64).saturating_mul(SHARE) / 100;
        self.path.measured(bits);
        if let Stage::Seated(seat) = &self.stage {
            seat.set_rate(u32::try_from(bits).unwrap_or(u32::MAX));
        }
    }

    /// Sends the next unit. True when there was one.
    fn send(&mut self, now: Instant, stack: &mut Stack) -> bool {
        // First the bell, then the seat: what comes in between rings again.
        drop(stack.mailbox.open());
        let Stage::Seated(seat) = &self.stage else {
            return false;
        };
        let moment = stack.clock.moment_from_instant(now);
        if self.at_rest.is_some_and(|until| moment >= until) {
            self.at_rest = None;
            seat.come_back();
        }
        let unit = match seat.take() {
            Next::Unit(unit) => unit,
            Next::Nothing => return false,
            Next::Ended => {
                self.stage = Stage::Over;
                return false;
            }
        };
        let bits = unit.item.payload.len() as u64 * 8;
        if !self.path.takes(moment, bits) {
            self.at_rest = Some(moment + self.path.owed().max(REST));
            seat.rest(Lost::TooLate);
        } else if write(self.mid, unit, stack).is_none() {
            seat.lose(Lost::Refused);
            stack.refused();
        }
        stack.tick(now);
        true
    }
}

/// Hands a unit to the stack, which cuts it into packets.
fn write(mid: Option<Mid>, unit: Stamped<Packet>, stack: &mut Stack) -> Option<()> {
    let captured = stack.clock.instant_from_moment(unit.born);
    let time = rtp_time(unit.at);
    let writer = stack.rtc.writer(mid?)?;
    let pt = writer.payload_params().find(|p| is_h264(p))?.pt();
    writer.write(pt, captured, time, unit.item.payload).ok()
}

fn is_h264(params: &PayloadParams) -> bool {
    params.spec().codec == Codec::H264
}

fn rtp_time(at: MediaTime) -> RtpTime {
    let ticks = (at - MediaTime::ZERO).samples(90_000) + RTP_ORIGIN;
    RtpTime::new(u64::try_from(ticks).unwrap_or(0), Frequency::NINETY_KHZ)
}

impl Part for Viewer {
    fn event(&mut self, now: Instant, event: Event, stack: &mut Stack) {
        match event {
            Event::MediaAdded(added) if added.kind == MediaKind::Video && added.direction.is_sending() => {
                self.mid.get_or_insert(added.mid);
            }
            Event::Connected if matches!(self.stage, Stage::Waiting) => self.sit_down(stack),
            Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. } | BweKind::Remb { estimate, .. }) => {
                self.measured(estimate);
            }
            Event::KeyframeRequest(_) => {
                if let Stage::Seated(seat) = &self.stage {
                    seat.wish_key(stack.clock.moment_from_instant(now));
                }
            }
            _ => {}
        }
    }

    fn work(&mut self, now: Instant, stack: &mut Stack) -> bool {
        self.send(now, stack)
    }

    fn due(&self, _: Instant) -> Option<Instant> {
        // A viewer at rest is rung up by nothing, but the stack's own timers come many times a second.
        None
    }

    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    fn left(&mut self, _: Left) {
        self.stage = Stage::Over;
    }
}

/// What a path has still to take of what was sent, by its estimate: a bucket that leaks.
#[derive(Debug, Default)]
struct Path {
    /// In bits per second; none: not measured, and not held against it.
    rate: Option<u64>,
    owed_bits: f64,
    at: Option<Moment>,
}

impl Path {
    /// By its estimate it takes so many bits per second.
    fn measured(&mut self, bits: u64) {
        self.rate = Some(bits.max(TELLING));
    }

    /// Whether it can take so many bits more. If so, they are on their way.
    fn takes(&mut self, now: Moment, bits: u64) -> bool {
        let Some(rate) = self.rate else { return true };
        let since = self.at.replace(now).map_or(Span::ZERO, |before| now - before);
        self.owed_bits = (self.owed_bits - rate as f64 * since.secs_f64()).max(0.0);
        if self.owed() > PATIENCE {
            return false;
        }
        self.owed_bits += bits as f64;
        true
    }

    /// How long it needs for what it has not taken yet.
    fn owed(&self) -> Span {
        let rate = self.rate.unwrap_or(u64::MAX) as f64;
        Span::from_micros((self.owed_bits / rate * 1e6) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_takes_what_its_estimate_says_and_a_second_on_top() {
        for seed in 0..100 {
            let mut random = fastrand::Rng::with_seed(seed);
            let rate = random.u64(100_000..5_000_000);
            let mut path = Path::default();
            assert!(
                path.takes(Moment::ZERO, u64::from(u32::MAX)),
                "not measured, not held against it"
            );
            path.rate = Some(rate);
            let (mut sent, mut refused, mut largest) = (0, 0, 0);
            for millis in (0..20_000).step_by(20) {
                let bits = random.u64(0..rate / 10);
                match path.takes(Moment::from_millis(millis), bits) {
                    true => sent += bits,
                    false => refused += 1,
                }
                largest = largest.max(bits);
                let most = rate as f64 * (millis as f64 / 1000.0 + PATIENCE.secs_f64()) + largest as f64;
                assert!(sent as f64 <= most + 1.0, "seed {seed}: {sent} bits after {millis} ms");
            }
            // Asked for two and a half times what it takes.
            assert!(
                refused > 0 && sent as f64 >= rate as f64 * 19.0,
                "seed {seed}: {sent} of {rate}"
            );
        }
    }

    #[test]
    fn a_quiet_stream_is_not_taken_for_a_thin_path() {
        // What aiortc's estimate was of a path without bounds, through which 200 kbit/s came, five pictures a second.
        let mut path = Path::default();
        path.measured(31_000);
        for number in 0..600 {
            let bits = if number % 20 == 0 { 240_000 } else { 29_000 };
            assert!(path.takes(Moment::from_millis(number * 200), bits), "picture {number}");
        }
        path.measured(2_000_000);
        assert_eq!(path.rate, Some(2_000_000));
    }

    #[test]
    fn rtp_times_follow_media_times_across_zero() {
        let at = |micros: i64| rtp_time(MediaTime::from_nanos(micros * 1000)).numer() as i64;
        assert_eq!(at(1_000_000) - at(0), 90_000);
        assert_eq!(at(0) - at(-1_000_000), 90_000);
        assert_eq!(
            rtp_time(MediaTime::from_nanos(i64::MIN)).frequency(),
            Frequency::NINETY_KHZ
        );
    }
}
