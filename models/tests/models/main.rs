//! The models against real speech, scripts and hostile input.

mod hearing;
mod listener;
mod pocketsphinx;
mod reading;
mod speech;
mod vlm;
