//! What flows through Hearsight and how it flows.
//!
//! Knows time, media types, stages, links, graphs and a simulator. Must not know any codec, model, shader, socket or
//! clock: every moment is an argument, so a day passes in a second in a test. Start at [`stage`], then [`graph`].
#![forbid(unsafe_code)]

pub mod allocate;
pub mod congestion;
mod epoch;
pub mod gate;
pub mod graph;
pub mod link;
pub mod media;
pub mod meter;
pub mod network;
mod node;
pub mod pull;
pub mod schedule;
pub mod sim;
mod sink;
pub mod stage;
pub mod stamped;
pub mod time;
