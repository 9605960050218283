//! From Opus packets to what the speech models hear, in one step.

use hearsight_core::media::{Packet, Pcm};
use hearsight_core::stage::{Gap, Outbox, Signal, Stage, Wake};
use hearsight_core::time::{Moment, Span};
use thiserror::Error;

use crate::opus::Decode;
use crate::resample::To16k;

/// Why nothing can be heard.
#[derive(Debug, Error)]
pub enum OpenError {
    /// No decoder.
    #[error("libopus does not open a decoder: {0}")]
    Decoder(#[from] ::opus::Error),
    /// No resampler.
    #[error("no resampler: {0}")]
    Resampler(#[from] rubato::ResamplerConstructionError),
}

/// [`Decode`] and [`To16k`] in a row: Opus packets in, 16 kHz mono out.
pub struct Hearing {
    decode: Decode,
    resample: To16k,
}

impl Hearing {
    /// Opens decoder and resampler. Errors: [`OpenError`].
    pub fn new() -> Result<Hearing, OpenError> {
        Ok(Hearing {
            decode: Decode::new()?,
            resample: To16k::new()?,
        })
    }
}

impl Stage for Hearing {
    type In = Packet;
    type Out = Pcm;

    fn step(&mut self, now: Moment, signal: Signal<Packet>, out: &mut Outbox<Pcm>) -> Wake {
        if let Signal::Flush(why) = signal {
            self.resample.step(now, Signal::Flush(why), out);
        }
        let mut sound = Outbox::default();
        self.decode.step(now, signal, &mut sound);
        for signal in sound.drain() {
            match signal {
                // A gap without a name is a loss of the decoder, not yet counted outside of it.
                Signal::Gap(Gap { stage: "", why, count }) => {
                    let mut held = Outbox::default();
                    self.resample
                        .step(now, Signal::Gap(Gap { stage: "", why, count }), &mut held);
                    held.drain()
                        .filter(|signal| matches!(signal, Signal::Item(_)))
                        .for_each(|signal| {
                            if let Signal::Item(sound) = signal {
                                out.put(sound);
                            }
                        });
                    out.lose(why, count);
                }
                signal => {
                    self.resample.step(now, signal, out);
                }
            }
        }
        Wake::OnSignal
    }

    fn delay(&self) -> Span {
        self.decode.delay() + self.resample.delay()
    }
}
