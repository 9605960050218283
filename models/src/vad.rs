//! Is somebody speaking: voice activity detection, from 16 kHz sound to segments of speech.

mod listener;
mod phases;
mod silero;

pub use listener::{Config, Listener};
pub use silero::Silero;

use hearsight_core::stage::Fault;
use hearsight_core::time::MediaTime;

/// Samples in a window: 32 ms at 16 kHz, the only size that Silero VAD takes.
pub const WINDOW: usize = 512;

/// A model that says how likely a window of sound holds speech.
pub trait VoiceProbability: Send {
    /// The chance 0..1 that `samples` (16 kHz, −1..1) hold speech. Windows follow each other without holes; `at` is the media
    /// time of the first sample.
    fn window(&mut self, at: MediaTime, samples: &[f32; WINDOW]) -> Result<f32, Fault>;
    /// Forgets what was heard: what follows does not join up with it.
    fn reset(&mut self);
}
