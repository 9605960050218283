//! A network laboratory: recorded uplinks, read from their files, and played to real senders over UDP.
//!
//! Knows files and sockets; what a recorded uplink does is in `hearsight_core::network::uplink`, so that the same recording gives
//! the same answers in virtual time and here. Start at [`trace::read`], then [`shaper`].

mod front;
pub mod options;
pub mod shaper;
pub mod trace;

pub use shaper::{Shaper, ShaperError, run};
