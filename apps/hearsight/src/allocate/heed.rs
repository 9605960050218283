//! A sender's heed of what the server wishes: only of its own session, only what is newer, only what can be.

use hearsight_core::allocate::{Map, least_rate, picture_loss};
use hearsight_core::time::{Moment, Span};

use super::{LEAST_KBPS, MOST_KBPS, Mode};
use crate::wire::allocation::{Allocation, map_from_text};

/// More wishes than this in a second are a flood: a server has four and a cut.
const MOST_PER_SECOND: u32 = 20;
/// A wish is heeded for so long: a server that has gone silent decides nothing any more.
const HEEDED: Span = Span::from_secs(5);
/// Slots that make sense, in milliseconds.
const SLOTS: std::ops::RangeInclusive<u32> = 50..=10_000;

/// Packets of a picture, as a rule, at the rates where losses matter.
const PACKETS: u32 = 3;
/// The chance that a slot is left without a picture that can be decoded.
const MISS: f64 = 0.02;
/// No fewer pictures a second than this: a place that is framed is followed from one to the next, and understanding takes its pick.
const LEAST_FPS: f32 = 5.0;

/// What the server wishes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Bits per second, at most; none: as many as the network takes.
    pub cap: Option<u32>,
    /// Where they go; none: everywhere alike.
    pub map: Option<Map>,
    /// In every such stretch of time a picture should arrive that can be decoded.
    pub slot: Option<Span>,
}

impl Wanted {
    /// Pictures a second to send where packets are lost with the chance `lost`; none: as many as there are.
    pub fn fps(&self, lost: f64) -> Option<f32> {
        let rate = least_rate(picture_loss(lost, PACKETS), MISS, self.slot?)?;
        Some(rate.max(LEAST_FPS))
    }
}

/// What one sender heeds.
#[derive(Clone, Debug, Default)]
pub struct Heed {
    session: Option<String>,
    newest: Option<u64>,
    heard: Option<Moment>,
    second: Option<(Moment, u32)>,
    wanted: Wanted,
    refused: u64,
}

impl Heed {
    /// The server has greeted us as this session.
    pub fn greeted(&mut self, session: &str) {
        let refused = self.refused;
        *self = Heed {
            session: Some(session.chars().take(64).collect()),
            refused,
            ..Heed::default()
        };
    }

    /// Takes a wish. False, and counted, where it is another session's, a replay, one of a flood, or makes no sense; then the one
    /// before holds.
    pub fn take(&mut self, now: Moment, wish: &Allocation) -> bool {
        let wanted = self.fits(now, wish).then(|| wanted(wish)).flatten();
        match wanted {
            Some(wanted) => {
                self.newest = Some(wish.number);
                self.heard = Some(now);
                self.wanted = wanted;
                true
            }
            None => {
                self.refused += 1;
                false
            }
        }
    }

    /// What to do at `now`: nothing in particular once the server has been silent for a while.
    pub fn wanted(&self, now: Moment) -> Wanted {
        match self.heard {
            Some(heard) if now - heard <= HEEDED => self.wanted.clone(),
            _ => Wanted::default(),
        }
    }

    /// How many wishes were refused so far.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn fits(&mut self, now: Moment, wish: &Allocation) -> bool {
        let (began, count) = self
            .second
            .filter(|(began, _)| now - *began < Span::from_secs(1))
            .unwrap_or((now, 0));
        self.second = Some((began, count.saturating_add(1)));
        let ours = self.session.as_deref() == Some(wish.session.as_str());
        ours && count < MOST_PER_SECOND && self.newest.is_none_or(|newest| wish.number > newest)
    }
}

/// None where it makes no sense.
fn wanted(wish: &Allocation) -> Option<Wanted> {
    let map = match &wish.map {
        Some(text) => Some(map_from_text(text)?),
        None => None,
    };
    let sane = wish.slot_ms.is_none_or(|slot| SLOTS.contains(&slot))
        && wish.readability.is_none_or(|share| (0.0..=1.0).contains(&share));
    let cap = wish.cap_kbps.filter(|cap| *cap <= MOST_KBPS);
    sane.then(|| Wanted {
        // A cap that would starve the stream is the server's mistake.
        cap: cap
            .map(|cap| cap.max(LEAST_KBPS) * 1_000)
            .filter(|_| wish.mode != Mode::Off),
        map: map.filter(|_| wish.mode.has_regions()),
        slot: wish
            .slot_ms
            .filter(|_| wish.mode == Mode::Full)
            .map(|slot| Span::from_millis(i64::from(slot))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(number: u64) -> Allocation {
        Allocation {
            session: "ours".into(),
            number,
            mode: Mode::Full,
            cap_kbps: Some(300),
            reason: "enough".into(),
            kind: "text".into(),
            readability: Some(0.9),
            map: None,
            slot_ms: Some(500),
        }
    }

    #[test]
    fn only_what_can_be_and_is_ours_is_heeded() {
        let mut heed = Heed::default();
        let now = Moment::from_millis(10_000);
        assert!(!heed.take(now, &wish(1)), "nobody greeted us yet");
        heed.greeted("ours");
        assert!(heed.take(now, &wish(7)));
        let before = heed.wanted(now);
        assert_eq!((before.cap, before.slot), (Some(300_000), Some(Span::from_millis(500))));
        let with = |change: fn(&mut Allocation)| {
            let mut wish = wish(8);
            change(&mut wish);
            wish
        };
        let odd = [
            ("a replay", wish(7)),
            ("older", wish(3)),
            ("another session's", with(|wish| wish.session = "theirs".into())),
            ("no map", with(|wish| wish.map = Some("f9".into()))),
            ("no number", with(|wish| wish.readability = Some(f32::NAN))),
            ("no share", with(|wish| wish.readability = Some(7.0))),
            ("no slot", with(|wish| wish.slot_ms = Some(0))),
        ];
        for (index, (what, wish)) in odd.iter().enumerate() {
            let now = now + Span::from_millis(2_000 * (index as i64 + 1) / 2);
            assert!(!heed.take(now, wish), "{what}");
            assert_eq!(heed.refused(), index as u64 + 2, "{what}");
        }
        assert_eq!(heed.wanted(now), before, "what was refused changes nothing");
        assert!(heed.take(
            now,
            &Allocation {
                cap_kbps: Some(1),
                ..wish(9)
            }
        ));
        assert_eq!(heed.wanted(now).cap, Some(LEAST_KBPS * 1_000), "nobody is starved");
        assert_eq!(
            heed.wanted(now + Span::from_secs(6)),
            Wanted::default(),
            "silence decides nothing"
        );
    }

    #[test]
    fn a_flood_is_refused_and_passes() {
        let mut heed = Heed::default();
        heed.greeted("ours");
        let taken = (0..10_000)
            .filter(|number| heed.take(Moment::from_nanos(*number as i64), &wish(*number)))
            .count();
        assert_eq!(taken, MOST_PER_SECOND as usize);
        assert!(heed.take(Moment::from_millis(1_500), &wish(20_000)));
    }

    #[test]
    fn modes_have_what_they_have() {
        for (mode, name) in Mode::ALL {
            assert_eq!(Mode::from_name(name), Some(mode));
            assert_eq!(serde_json::to_value(mode).expect("JSON"), name);
            let mut heed = Heed::default();
            heed.greeted("ours");
            let map = format!("{}fk", "fz".repeat(20));
            assert!(heed.take(
                Moment::ZERO,
                &Allocation {
                    mode,
                    map: Some(map),
                    ..wish(1)
                }
            ));
            let wanted = heed.wanted(Moment::ZERO);
            assert_eq!(wanted.cap.is_some(), mode != Mode::Off);
            assert_eq!(wanted.map.is_some(), mode.has_regions());
            assert_eq!(wanted.slot.is_some(), mode == Mode::Full);
        }
    }
}
