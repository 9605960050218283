//! Which bits of a thin uplink are worth sending: what understanding says it needs, told to the sender.
//!
//! Three answers to three questions: how many bits ([`cap`], which learns how readability rises with the rate), where
//! ([`regions`], where the evidence is) and how often ([`least_rate`], so that losses leave understanding something to
//! look at). Knows no clock, no socket and no encoder. After Artic (arXiv 2602.12641), with what a live system needs
//! besides: `docs/bitrate.md` tells what. Congestion control always wins: nothing here ever raises what it allows.
//! Start at [`rule`], then [`cap::Cap`].

pub mod cap;
pub mod curve;
pub mod regions;

pub use self::cap::{Cap, Decision, Evidence, Kind, Reason};
pub use self::curve::Curve;
pub use self::regions::{Map, Regions};

use crate::time::Span;

/// The rates at which readability is known, in bits per second (Artic, section 4.1).
pub const TIERS: [u32; 6] = [200_000, 400_000, 610_000, 910_000, 1_710_000, 3_150_000];
/// Readability that is enough (Artic, section 4.1).
pub const ENOUGH: f32 = 0.8;
/// Mean readability at [`TIERS`] over the 167 questions of Artic's benchmark: what is believed before anything was seen.
pub const PUBLISHED: [f32; 6] = [0.470, 0.805, 0.894, 0.944, 0.969, 0.983];

/// The published rule: the rate to send at, in bits per second, where `current` is sent now, congestion control allows
/// `allowed`, and readability rises with the rate as `curve` says. Whole kilobits, rounded up, as published; never more
/// than `allowed`. It never comes down by itself: that is [`Cap`]'s work.
pub fn rule(current: u32, allowed: u32, curve: &[f32; TIERS.len()]) -> u32 {
    if current > allowed {
        return allowed;
    }
    if readability_at(current, curve) >= ENOUGH {
        return current;
    }
    match cheapest(curve, ENOUGH) {
        Some(rate) => rate.min(allowed),
        None => {
            let next = TIERS.iter().copied().find(|tier| *tier > current);
            next.unwrap_or(TIERS[TIERS.len() - 1]).min(allowed)
        }
    }
}

/// Readability at a rate in bits per second: linear between the tiers, and from nothing at no bits at all to the first.
pub fn readability_at(rate: u32, curve: &[f32; TIERS.len()]) -> f32 {
    let (mut left, mut low) = (0, 0.0);
    for (tier, readable) in TIERS.into_iter().zip(*curve) {
        if rate <= tier {
            let share = f64::from(rate - left) / f64::from(tier - left);
            return low + (readable - low) * share as f32;
        }
        (left, low) = (tier, readable);
    }
    low
}

/// The lowest rate, in bits per second and whole kilobits, from the first tier up, at which `curve` reaches `enough`.
pub fn cheapest(curve: &[f32; TIERS.len()], enough: f32) -> Option<u32> {
    let above = curve.iter().position(|readable| *readable >= enough)?;
    let Some(below) = above.checked_sub(1) else {
        return Some(TIERS[0]);
    };
    let share = f64::from(enough - curve[below]) / f64::from(curve[above] - curve[below]);
    let rate = f64::from(TIERS[below]) + share * f64::from(TIERS[above] - TIERS[below]);
    Some((rate / 1_000.0).ceil() as u32 * 1_000)
}

/// Pictures a second at which the chance that all of those within one `slot` are lost is at most `miss`, when each is
/// lost with the chance `lost` (Artic, section 4.3): `⌈ln miss / ln lost⌉ / slot`. A loss of nothing needs one picture in a
/// slot; where everything is lost, or the arguments make no sense, no rate helps and none is named.
pub fn least_rate(lost: f64, miss: f64, slot: Span) -> Option<f32> {
    let sane = (0.0..1.0).contains(&lost) && miss > 0.0 && miss < 1.0 && slot > Span::ZERO;
    if !sane {
        return None;
    }
    let pictures = if lost <= miss {
        1.0
    } else {
        // A hair less, so that a share like 0.1² in binary does not ask for a third picture.
        (miss.ln() / lost.ln() - 1e-9).ceil()
    };
    Some((pictures / slot.secs_f64()) as f32)
}

/// The chance that a picture of `packets` packets can't be decoded when each packet is lost with the chance `lost`.
pub fn picture_loss(lost: f64, packets: u32) -> f64 {
    if lost.is_nan() {
        return 0.0;
    }
    1.0 - (1.0 - lost.clamp(0.0, 1.0)).powi(i32::try_from(packets.max(1)).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests;
