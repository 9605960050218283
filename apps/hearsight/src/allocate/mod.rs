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
