//! The models against real speech, scripts and hostile input.

mod aside;
mod hearing;
mod listener;
mod moonshine;
mod pocketsphinx;
mod reading;
mod speech;
mod tones;
mod vlm;
mod whisper;
