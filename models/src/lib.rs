//! Models of Hearsight: is somebody speaking, what do they say, and what does the picture say.
//!
//! Knows sound, voices, words, pictures and readings (`hearsight_core::media`) and the engines' verb. Must not know codecs, sockets, the wire
//! or a clock: `now` is an argument. Unsafe code lives in `asr::pocketsphinx::sys` and `decoder` only.
//!
//! Start at [`vad::Listener`] (sound to voices), [`asr::Hearing`] (voices to words) and [`ocr::Reader`] (pictures to
//! readings). Each is generic over a small trait, [`vad::VoiceProbability`], [`asr::Recogniser`] and [`ocr::Eyes`], which real
//! models and the fakes of [`scripted`] implement.

pub mod asr;
pub mod files;
pub mod ocr;
mod origin;
pub mod runtime;
pub mod scripted;
pub mod vad;
