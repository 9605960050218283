//! Opus packets in, 48 kHz mono out (RFC 6716), with losses repaired where the codec can.

use ::opus::{Channels, Decoder, packet};
use hearsight_core::media::{Codec, Packet, Pcm};
use hearsight_core::stage::{Lost, Outbox, Signal, Stage, Wake};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{MediaTime, Moment, Span};

/// Samples per second that come out.
pub const RATE: u32 = 48_000;

/// The most sound in one packet, 120 ms (RFC 6716 section 3.2.5), and so the most that one call can make up.
const LONGEST: usize = 5_760;

/// Samples in 2.5 ms: libopus makes up sound in multiples of it.
const STEP: usize = 120;

/// The most sound made up in a row: libopus fades to silence over about this time, and words guessed across more would
/// be invented.
const MOST_CONCEALED: Span = Span::from_millis(100);

/// Pauses that a sender leaves with discontinuous transmission are filled up to here: it refreshes every 400 ms.
const MOST_PAUSED: Span = Span::from_secs(1);

/// How far a packet's time may be from where the sound so far ends and still follow on it. Below the shortest packet of
/// speech, above what re-anchoring the sender's clock moves.
const TOLERANCE: Span = Span::from_millis(8);

/// A packet this far back is a new timeline, not an old packet.
const RESTART: Span = Span::from_secs(1);

/// Decodes Opus. Sound comes out without holes: a packet lost is repaired from the copy in the next (in-band forward
/// error correction) or concealed, up to 100 ms; beyond that there is a gap. Stereo is folded to mono.
///
/// Damaged packets are counted as undecodable and concealed. Sound made up carries the time it stands for and the birth
/// and trail of the packet that revealed the loss.
pub struct Decode {
    decoder: Decoder,
    /// Where the sound so far ends.
    next: Option<MediaTime>,
    /// Samples of the last good packet: how much a damaged one probably held.
    usual: usize,
    /// Sound made up since the last good packet.
    concealed: Span,
    samples: Vec<f32>,
}

/// Opus's own word for why there is no decoder: memory.
pub type OpenError = ::opus::Error;

impl Decode {
    /// Opens a decoder. Errors: no memory.
    pub fn new() -> Result<Decode, OpenError> {
        let decoder = Decoder::new(RATE, Channels::Mono)?;
        Ok(Decode {
            decoder,
            next: None,
            usual: 960,
            concealed: Span::ZERO,
            samples: vec![0.0; LONGEST],
        })
    }

    fn take(&mut self, now: Moment, unit: &Stamped<Packet>, out: &mut Outbox<Pcm>) {
        let length = match packet::get_nb_samples(&unit.item.payload, RATE) {
            Ok(length) if unit.item.codec == Codec::Opus && (STEP..=LONGEST).contains(&length) => length,
            _ => return self.damaged(now, unit, self.usual, out),
        };
        if !self.bridge(now, unit, length, out) {
            return;
        }
        match self
            .decoder
            .decode_float(&unit.item.payload, &mut self.samples[..length], false)
        {
            Ok(decoded) => {
                self.usual = length;
                self.concealed = Span::ZERO;
                let at = self.follow(unit.at, decoded);
                self.put(now, unit, at, decoded, out);
            }
            Err(_) => self.damaged(now, unit, length, out),
        }
    }

    /// Fills the time between the sound so far and this unit. False when the unit belongs before it.
    fn bridge(&mut self, now: Moment, unit: &Stamped<Packet>, length: usize, out: &mut Outbox<Pcm>) -> bool {
        let missing = unit.item.missing;
        let Some(next) = self.next else {
            if missing > 0 {
                out.lose(Lost::Undecodable, missing);
            }
            return true;
        };
        let hole = unit.at - next;
        if hole < -RESTART {
            self.restart();
        } else if hole < -TOLERANCE && unit.at + Span::from_samples(length as i64, RATE) <= next + TOLERANCE {
            out.lose(Lost::TooOld, 1);
            return false;
        } else if missing > 0 && self.concealed + hole > MOST_CONCEALED {
            out.lose(Lost::Undecodable, missing);
            self.restart();
        } else if missing > 0 && hole > Span::ZERO {
            self.repair(now, unit, length, out);
        } else if hole > MOST_PAUSED {
            self.restart();
        } else if hole > TOLERANCE {
            self.fill(now, unit, hole, out);
        }
        true
    }

    /// Repairs the last lost packet from its copy in `unit` and conceals the ones before. Without a copy all is concealed.
    fn repair(&mut self, now: Moment, unit: &Stamped<Packet>, length: usize, out: &mut Outbox<Pcm>) {
        let hole = steps_from_span(unit.at - self.next.unwrap_or(unit.at));
        let copied = length.min(hole);
        self.conceal(now, unit, hole - copied, out);
        if copied > 0
            && self
                .decoder
                .decode_float(&unit.item.payload, &mut self.samples[..copied], true)
                .is_ok()
        {
            let at = self.advance(unit.at, copied);
            self.put(now, unit, at, copied, out);
        }
        self.concealed += Span::from_samples(hole as i64, RATE);
    }

    /// Fills a pause that the sender left on purpose with what the codec makes of it: its background noise.
    fn fill(&mut self, now: Moment, unit: &Stamped<Packet>, hole: Span, out: &mut Outbox<Pcm>) {
        self.conceal(now, unit, steps_from_span(hole), out);
    }

    fn damaged(&mut self, now: Moment, unit: &Stamped<Packet>, length: usize, out: &mut Outbox<Pcm>) {
        out.lose(Lost::Undecodable, unit.item.missing.saturating_add(1));
        let Some(next) = self.next else {
            return;
        };
        let span = Span::from_samples(length as i64, RATE);
        // What lies before the sound so far, a repetition perhaps, leaves no hole.
        let hole = (unit.at + span - next).max(Span::ZERO);
        self.concealed += hole;
        if self.concealed > MOST_CONCEALED {
            self.restart();
        } else if hole > Span::ZERO {
            self.conceal(now, unit, steps_from_span(hole), out);
        }
    }

    /// Puts `length` samples of the codec's own making.
    fn conceal(&mut self, now: Moment, unit: &Stamped<Packet>, mut length: usize, out: &mut Outbox<Pcm>) {
        while length > 0 {
            let part = length.min(LONGEST);
            // An empty packet is a lost one. A failure leaves silence: time goes on either way.
            if self
                .decoder
                .decode_float(&[], &mut self.samples[..part], false)
                .is_err()
            {
                self.samples[..part].fill(0.0);
            }
            let at = self.advance(unit.at, part);
            self.put(now, unit, at, part, out);
            length -= part;
        }
    }

    /// Where `length` samples go that continue what is there.
    fn advance(&mut self, or: MediaTime, length: usize) -> MediaTime {
        let at = self.next.unwrap_or(or);
        self.next = Some(at + Span::from_samples(length as i64, RATE));
        at
    }

    /// Where `length` samples go that are stamped `at`: on from what is there, drawn towards the stamp by at most 1 % so
    /// that rounding and a re-anchored clock neither tear the sound nor add up.
    fn follow(&mut self, at: MediaTime, length: usize) -> MediaTime {
        let span = Span::from_samples(length as i64, RATE);
        if let Some(next) = self.next {
            let most = span / 100;
            self.next = Some(next + (at - next).clamp(-most, most));
        }
        self.advance(at, length)
    }

    fn put(&self, now: Moment, unit: &Stamped<Packet>, at: MediaTime, length: usize, out: &mut Outbox<Pcm>) {
        let mut sound = unit.with(Pcm {
            rate: RATE,
            samples: self.samples[..length].into(),
        });
        sound.at = at;
        sound.trail.stamp(Mark::Decoded, now);
        out.put(sound);
    }

    /// Forgets the past: what follows begins anew.
    fn restart(&mut self) {
        // Resetting a decoder that exists cannot fail; were it to, old state fades within a packet.
        let _ = self.decoder.reset_state();
        self.next = None;
        self.concealed = Span::ZERO;
    }
}

impl Stage for Decode {
    type In = Packet;
    type Out = Pcm;

    fn step(&mut self, now: Moment, signal: Signal<Packet>, out: &mut Outbox<Pcm>) -> Wake {
        match signal {
            Signal::Item(unit) => self.take(now, &unit, out),
            Signal::Gap(gap) => {
                out.pass(gap);
                self.restart();
            }
            Signal::Flush(_) => self.restart(),
            Signal::End => out.end(),
            Signal::Timer => {}
        }
        Wake::OnSignal
    }
}

/// The nearest whole number of libopus's steps, in samples.
fn steps_from_span(span: Span) -> usize {
    let samples = usize::try_from(span.samples(RATE)).unwrap_or(0);
    (samples + STEP / 2) / STEP * STEP
}

#[cfg(test)]
mod tests;
