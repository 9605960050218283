//! Bits where the answer is: what a session's understanding needs becomes word to its sender, and a sender's heed of it.
//!
//! Knows sessions, questions and the wire; the arithmetic is in `hearsight_core::allocate`. The server's half is [`Spender`]: it
//! hears what was read and where, and says what to send. The sender's half is [`Heed`]: it believes only what can be true,
//! and only of its own session. `docs/bitrate.md` tells how they work together. Start at [`Spender::reading`].

mod heed;
mod kind;
mod spender;

pub use heed::{Heed, Wanted};
pub use kind::kind_of;
pub use spender::{Spender, Viewers};

pub use crate::wire::allocation::Mode;

/// A ceiling below is none, in kilobits per second: at less a picture is not worth sending.
pub const LEAST_KBPS: u32 = 100;
/// One above neither.
pub const MOST_KBPS: u32 = 100_000;

/// What a session's sender is to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// How much of the allocation of bits is at work.
    pub mode: Mode,
    /// Kilobits per second that the uplink may take at most, whatever could be read with more: it may be paid for by the byte.
    /// None: as many as are of use.
    pub most_kbps: Option<u32>,
}
