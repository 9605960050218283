//! The models against real speech, scripts and hostile input.

mod hearing;
mod listener;
mod pocketsphinx;
mod speech;
mod vlm;
