//! Models of Hearsight: is somebody speaking, what do they say, and what do pictures say and show.
//!
//! Knows sound, voices, words, pictures and readings (`hearsight_core::media`) and the engines' verb. Must not know codecs,
//! sockets, the wire or a clock: `now` is an argument. Unsafe code lives in `asr::pocketsphinx::sys`, `decoder` and `own` only.
//!
//! Start at [`vad::Listener`] (sound to voices), [`asr::Hearing`] (voices to words; its recognisers are in `asr/`), [`ocr::Reader`] (pictures to readings)
//! and [`vlm::asking::Asking`] (questions about pictures to answers). Each is generic over a small trait,
//! [`vad::VoiceProbability`], [`asr::Recogniser`], [`ocr::Eyes`] and [`vlm::Answerer`], which real models and scripted fakes
//! implement.

pub mod asr;
pub mod files;
pub mod ocr;
mod origin;
pub mod runtime;
pub mod scripted;
pub mod vad;
pub mod vlm;
mod watch;
