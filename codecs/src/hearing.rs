//! From Opus packets to what the speech models hear, in one step.

use hearsight_core::media::{Packet, Pcm};
use hearsight_core::stage::{Gap, Outbox, Signal, Stage, Wake};
use hearsight_core::time::{Moment, Span};
use thiserror::Error;

use crate::denoise::Denoise;
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

/// Sound at any rate to what the speech models hear, with noise taken out of it on the way or not.
pub struct Ear {
    denoise: Option<Denoise>,
    resample: To16k,
}

impl Ear {
    /// Hears by `resample`; in front of it, noise is taken out if `denoise` says so.
    pub fn new(resample: To16k, denoise: bool) -> Ear {
        let denoise = denoise.then(Denoise::default);
        Ear { denoise, resample }
    }
}

impl Stage for Ear {
    type In = Pcm;
    type Out = Pcm;

    fn step(&mut self, now: Moment, signal: Signal<Pcm>, out: &mut Outbox<Pcm>) -> Wake {
        let Some(denoise) = &mut self.denoise else {
            return self.resample.step(now, signal, out);
        };
        if let Signal::Flush(why) = signal {
            self.resample.step(now, Signal::Flush(why), out);
        }
        let mut clean = Outbox::default();
        denoise.step(now, signal, &mut clean);
        for signal in clean.drain() {
            self.resample.step(now, signal, out);
        }
        Wake::OnSignal
    }

    fn delay(&self) -> Span {
        self.denoise.as_ref().map_or(Span::ZERO, Stage::delay) + self.resample.delay()
    }
}

/// [`Decode`] and [`Ear`] in a row: Opus packets in, 16 kHz mono out.
pub struct Hearing {
    decode: Decode,
    ear: Ear,
}

impl Hearing {
    /// Opens decoder and resampler. Errors: [`OpenError`].
    pub fn new() -> Result<Hearing, OpenError> {
        Hearing::with(false)
    }

    /// As [`Hearing::new`]; noise is taken out if `denoise` says so.
    pub fn with(denoise: bool) -> Result<Hearing, OpenError> {
        Ok(Hearing {
            decode: Decode::new()?,
            ear: Ear::new(To16k::new()?, denoise),
        })
    }
}

impl Stage for Hearing {
    type In = Packet;
    type Out = Pcm;

    fn step(&mut self, now: Moment, signal: Signal<Packet>, out: &mut Outbox<Pcm>) -> Wake {
        if let Signal::Flush(why) = signal {
            self.ear.step(now, Signal::Flush(why), out);
        }
        let mut sound = Outbox::default();
        self.decode.step(now, signal, &mut sound);
        for signal in sound.drain() {
            match signal {
                // A gap without a name is a loss of the decoder, not yet counted outside of it.
                Signal::Gap(Gap { stage: "", why, count }) => {
                    let mut held = Outbox::default();
                    self.ear
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
                    self.ear.step(now, signal, out);
                }
            }
        }
        Wake::OnSignal
    }

    fn delay(&self) -> Span {
        self.decode.delay() + self.ear.delay()
    }
}
