//! Hearsight, the roof: the engines of the rooms below, wired into sessions and served.
//!
//! Knows the wiring and its budgets, WebRTC in ([`ingest`]) and out ([`send`], [`watch`]), HTTP, the wire and the settings. Must not
//! know how anything is decoded or recognised. Start at [`wiring`], then [`app`].

pub mod allocate;
pub mod app;
pub mod ask;
pub mod budget;
pub mod config;
pub mod demo;
pub mod events;
pub mod film;
pub mod ingest;
pub mod kit;
pub mod laboratory;
pub mod listen;
pub mod model_store;
pub mod operate;
mod patience;
pub mod publish;
pub mod recognisers;
pub mod send;
pub mod serve;
pub mod session;
pub mod simulate;
pub mod smooth;
pub mod tape;
pub mod telemetry;
pub mod terminal;
pub mod view;
pub mod watch;
pub mod webhook;
pub mod wire;
pub mod wiring;
