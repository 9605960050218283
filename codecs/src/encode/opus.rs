//! Opus by libopus (RFC 6716), as a browser sends speech: 48 kHz mono, 20 ms, with in-band forward error correction.

use ::opus::{Application, Bitrate, Channels, Encoder, Signal};
use hearsight_core::media::{Codec, Packet};
use hearsight_core::time::Span;

use super::EncodeError;

/// Samples per second that go in.
const RATE: u32 = 48_000;

/// What to encode to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusConfig {
    /// Bits per second.
    pub bitrate: u32,
    /// Share of packets expected to be lost, in percent: above 0 every packet carries a coarse copy of the one before.
    pub expected_loss: u8,
}

impl Default for OpusConfig {
    /// What Chromium sends: 32 kbit/s. 10 % of expected loss is where libopus spends bits on the copies of speech.
    fn default() -> OpusConfig {
        OpusConfig {
            bitrate: 32_000,
            expected_loss: 10,
        }
    }
}

/// Encodes 48 kHz mono sound.
pub struct OpusEncoder {
    encoder: Encoder,
    lookahead: Span,
    buffer: Vec<u8>,
}

impl OpusEncoder {
    /// Samples in the 20 ms that [`OpusEncoder::encode`] is usually given.
    pub const FRAME: usize = 960;

    /// Opens the encoder. Errors: values that libopus refuses.
    pub fn new(config: OpusConfig) -> Result<OpusEncoder, EncodeError> {
        let open = || -> Result<OpusEncoder, ::opus::Error> {
            let mut encoder = Encoder::new(RATE, Channels::Mono, Application::Voip)?;
            encoder.set_bitrate(Bitrate::Bits(i32::try_from(config.bitrate).unwrap_or(i32::MAX)))?;
            encoder.set_signal(Signal::Voice)?;
            encoder.set_inband_fec(config.expected_loss > 0)?;
            encoder.set_packet_loss_perc(i32::from(config.expected_loss.min(100)))?;
            let lookahead = Span::from_samples(i64::from(encoder.get_lookahead()?), RATE);
            // The largest packet of RFC 6716 section 3.4 is 1275 bytes for each of up to 6 frames, plus its header.
            Ok(OpusEncoder {
                encoder,
                lookahead,
                buffer: vec![0; 6 * 1275 + 16],
            })
        };
        open().map_err(|error| EncodeError::Refused(error.to_string()))
    }

    /// How much earlier than its place in the decoded sound a sample went in: the coder's own delay.
    pub fn lookahead(&self) -> Span {
        self.lookahead
    }

    /// Encodes 2.5, 5, 10, 20, 40, 60, 80, 100 or 120 ms of sound at 48 kHz, −1..1. Errors: another length.
    pub fn encode(&mut self, samples: &[f32]) -> Result<Packet, EncodeError> {
        let length = self
            .encoder
            .encode_float(samples, &mut self.buffer)
            .map_err(|error| EncodeError::Refused(format!("{} samples: {error}", samples.len())))?;
        Ok(Packet {
            codec: Codec::Opus,
            payload: self.buffer[..length].into(),
            key: true,
            missing: 0,
        })
    }
}
