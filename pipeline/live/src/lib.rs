//! The live host: runs the same graphs as the simulator on real threads and the real clock.
//!
//! Knows tokio, named threads and the clock. Must not know any codec, model, shader or socket. Start at [`host`]; offline work is under [`pull`].
#![forbid(unsafe_code)]

pub mod clock;
pub mod host;
pub mod pull;
