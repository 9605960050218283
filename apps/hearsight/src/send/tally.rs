//! What was sent, and what the receiver says of it.

use std::sync::{Arc, Mutex, PoisonError};

use hearsight_core::media::Codec;
use hearsight_core::time::Span;

/// SSRCs of ours that a receiver can report on: two streams and their retransmissions.
const STREAMS: usize = 4;

/// Counts since the connection began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// Access units sent.
    pub pictures: u64,
    /// Opus packets sent.
    pub sounds: u64,
    /// RTP packets sent, without retransmissions.
    pub packets: u64,
    /// Bytes of their payloads.
    pub octets: u64,
    /// Packets that the receiver asked for again.
    pub nacked: u64,
    /// How often it asked for a keyframe.
    pub keyframes_asked: u64,
    /// The newest round trip.
    pub round_trip: Option<Span>,
    /// Share of packets lost since its report before, 0..1, of the worse stream.
    pub loss: Option<f32>,
    /// Bits per second that the path takes, as far as anybody knows.
    pub allowed: Option<u32>,
    /// Wishes of the server that made no sense, were another session's or came too often.
    pub refused: u64,
}

/// Shared by everything that counts.
#[derive(Clone, Default)]
pub(super) struct Tally(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    stats: Stats,
    /// By SSRC: the fraction last reported, in 256ths.
    lost: Vec<(u32, u8)>,
}

impl Tally {
    /// Changes the counts.
    pub(super) fn note(&self, change: impl FnOnce(&mut Stats)) {
        self.with(|counts| change(&mut counts.stats));
    }

    /// Counts a unit that was sent.
    pub(super) fn sent(&self, codec: Codec, packets: usize, octets: usize) {
        self.note(|stats| {
            match codec {
                Codec::H264 => stats.pictures += 1,
                Codec::Opus => stats.sounds += 1,
            }
            stats.packets += packets as u64;
            stats.octets += octets as u64;
        });
    }

    /// Takes one block of a reception report.
    pub(super) fn receive(&self, ssrc: u32, fraction: u8, round_trip: Option<Span>) {
        self.with(|counts| {
            match counts.lost.iter().position(|(known, _)| *known == ssrc) {
                Some(place) => counts.lost[place].1 = fraction,
                None if counts.lost.len() < STREAMS => counts.lost.push((ssrc, fraction)),
                None => return,
            }
            let worst = counts.lost.iter().map(|(_, lost)| *lost).max();
            counts.stats.loss = worst.map(|lost| f32::from(lost) / 256.0);
            counts.stats.round_trip = round_trip.or(counts.stats.round_trip);
        });
    }

    /// The counts.
    pub(super) fn stats(&self) -> Stats {
        self.with(|counts| counts.stats)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Counts) -> T) -> T {
        // Counts are whole at any time.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_stream_counts_and_strangers_do_not_pile_up() {
        let tally = Tally::default();
        tally.receive(1, 64, Some(Span::from_millis(9)));
        tally.receive(2, 0, None);
        let stats = tally.stats();
        assert_eq!((stats.loss, stats.round_trip), (Some(0.25), Some(Span::from_millis(9))));
        tally.receive(1, 0, None);
        assert_eq!(tally.stats().loss, Some(0.0));
        (3..1_000).for_each(|ssrc| tally.receive(ssrc, 255, None));
        assert_eq!(tally.0.lock().unwrap().lost.len(), STREAMS);
    }
}
