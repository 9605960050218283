//! A seeded network for the simulator, from a sender's encoder to the far side of a jitter buffer. It works on whole units:
//! a unit of several packets is lost when any of them is. A recorded uplink, packet by packet: [`uplink`].

pub mod flight;
pub mod uplink;

use crate::media::Packet;
use crate::stamped::{Mark, Stamped};
use crate::time::{Moment, Span};

/// Payload bytes of one packet on the wire.
const MTU: usize = 1_200;
/// A router holds this much before it drops.
const QUEUE: Span = Span::from_millis(500);

/// What happens to packets on their way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Network {
    /// One-way delay of every packet.
    pub delay: Span,
    /// Up to this much more, drawn for each packet.
    pub jitter: Span,
    /// The chance that a packet is lost, 0..1.
    pub loss: f64,
    /// The chance that a packet is held back by twice the jitter, so that later ones overtake it, 0..1.
    pub reorder: f64,
    /// Bits per second of the narrowest link; none for unlimited.
    pub rate: Option<u64>,
}

impl Network {
    /// A network that changes nothing.
    pub const PERFECT: Network = Network {
        delay: Span::ZERO,
        jitter: Span::ZERO,
        loss: 0.0,
        reorder: 0.0,
        rate: None,
    };
}

/// Carries what is sent, in sending order, to the moments at which a jitter buffer that waits at most `patience` for a
/// missing unit lets it go. Stamps [`Mark::Arrived`] and [`Mark::Released`]; fills in [`Packet::missing`].
pub fn carry(
    network: Network,
    random: &mut fastrand::Rng,
    patience: Span,
    sent: impl IntoIterator<Item = (Moment, Stamped<Packet>)>,
) -> Vec<(Moment, Stamped<Packet>)> {
    let mut router = Moment::ZERO;
    let (mut released, mut missing, mut carried) = (Moment::ZERO, 0, Vec::new());
    let flights: Vec<_> = sent
        .into_iter()
        .map(|(when, unit)| (fly(network, random, &mut router, when, unit.item.payload.len()), unit))
        .collect();
    // For each unit, when the first packet of any later one arrives.
    let mut soonest = vec![Moment::MAX; flights.len() + 1];
    for (index, (flight, _)) in flights.iter().enumerate().rev() {
        soonest[index] = soonest[index + 1].min(flight.map_or(Moment::MAX, |(first, _)| first));
    }
    for (index, (flight, unit)) in flights.iter().enumerate() {
        let Some((first, whole)) = *flight else {
            missing += 1;
            continue;
        };
        // No unit waits longer than its patience for those before it.
        let later = soonest[index + 1];
        let given_up = (later < Moment::MAX).then(|| later + patience);
        if given_up.is_some_and(|deadline| whole > deadline) {
            missing += 1;
            continue;
        }
        let waited = if missing > 0 {
            (first + patience).min(given_up.unwrap_or(Moment::MAX))
        } else {
            whole
        };
        released = released.max(whole).max(waited);
        let mut unit = unit.clone();
        unit.item.missing = missing;
        unit.trail.stamp(Mark::Arrived, first);
        unit.trail.stamp(Mark::Released, released);
        missing = 0;
        carried.push((released, unit));
    }
    carried
}

/// When the first and the last packet of a unit arrive; `None` when one is lost.
fn fly(
    network: Network,
    random: &mut fastrand::Rng,
    router: &mut Moment,
    when: Moment,
    bytes: usize,
) -> Option<(Moment, Moment)> {
    let (mut first, mut whole, mut lost) = (Moment::MAX, Moment::ZERO, false);
    for packet in 0..bytes.div_ceil(MTU).max(1) {
        let size = (bytes - packet * MTU).min(MTU);
        let mut at = when;
        if let Some(rate) = network.rate {
            let queued = (*router - when).max(Span::ZERO);
            if queued > QUEUE {
                lost = true;
                continue;
            }
            let busy = Span::from_nanos((size as i64 * 8_000_000_000) / rate.max(1) as i64);
            *router = when + queued + busy;
            at = *router;
        }
        at += network.delay + Span::from_nanos(random.i64(0..=network.jitter.nanos().max(0)));
        if random.f64() < network.reorder {
            at += network.jitter * 2;
        }
        lost |= random.f64() < network.loss;
        first = first.min(at);
        whole = whole.max(at);
    }
    (!lost).then_some((first, whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Codec;
    use crate::time::MediaTime;

    fn talk(count: i64, bytes: usize) -> Vec<(Moment, Stamped<Packet>)> {
        let packet = Packet {
            codec: Codec::Opus,
            payload: vec![0; bytes].into(),
            key: true,
            missing: 0,
        };
        (0..count)
            .map(|i| {
                (
                    Moment::from_millis(i * 20),
                    Stamped::new(
                        MediaTime::from_millis(i * 20),
                        Moment::from_millis(i * 20),
                        packet.clone(),
                    ),
                )
            })
            .collect()
    }

    #[test]
    fn units_come_out_in_order_within_patience_and_every_missing_one_is_told() {
        let patience = Span::from_millis(40);
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let network = Network {
                delay: Span::from_millis(random.i64(0..50)),
                jitter: Span::from_millis(random.i64(0..30)),
                loss: random.f64() * 0.2,
                reorder: random.f64() * 0.2,
                rate: None,
            };
            let carried = carry(network, &mut random, patience, talk(200, 100));
            assert!(
                carried.is_sorted_by_key(|(when, _)| *when) && carried.is_sorted_by_key(|(_, unit)| unit.at),
                "seed {seed}"
            );
            let mut expected = 0;
            for (when, unit) in &carried {
                let number = (unit.at.nanos() / 20_000_000) as u32;
                assert_eq!(unit.item.missing, number - expected, "seed {seed}");
                expected = number + 1;
                let waited = *when - unit.born;
                assert!(
                    *when - unit.trail.at(Mark::Arrived).expect("stamped") <= patience,
                    "seed {seed}"
                );
                assert!(
                    waited <= network.delay + network.jitter * 3 + patience,
                    "seed {seed}: {waited}"
                );
            }
        }
    }

    #[test]
    fn a_thin_link_delays_and_then_drops() {
        let thin = Network {
            rate: Some(40_000),
            ..Network::PERFECT
        };
        let mut random = fastrand::Rng::with_seed(1);
        let carried = carry(thin, &mut random, Span::from_millis(40), talk(300, 200));
        assert!(carried.len() < 250);
        assert!(
            carried
                .iter()
                .all(|(when, unit)| *when - unit.born <= QUEUE + Span::from_millis(100))
        );
        assert_eq!(
            carry(Network::PERFECT, &mut random, Span::ZERO, talk(300, 200)).len(),
            300
        );
    }
}
