//! Models of Hearsight: is somebody speaking, and what do they say.
//!
//! Knows sound, voices and words (`hearsight_core::media`) and the engines' verb. Must not know codecs, sockets, the wire
//! or a clock: `now` is an argument. Unsafe code lives in `asr::pocketsphinx::sys` and `decoder` only.
//!
//! Start at [`vad::Listener`] (sound to voices) and [`asr::Hearing`] (voices to words). Both are generic over a small trait,
//! [`vad::VoiceProbability`] and [`asr::Recogniser`], which real models and the fakes of [`scripted`] implement.

pub mod asr;
pub mod files;
mod origin;
pub mod scripted;
pub mod vad;
pub mod vlm;
