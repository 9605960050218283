//! The tests and benches that hold the house to its word: scenarios in virtual time, a live run played again, the
//! architecture's own rules, the real server with a real browser.
//!
//! Knows every crate. Nothing must know it, and it must not know a crate's insides. Start at [`rig`] and `scenarios`.

pub mod attack;
pub mod fuzz;
pub mod rig;
pub mod scenes;

#[cfg(test)]
mod answers;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod laboratory;
#[cfg(test)]
mod microphone;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod publish;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod seeing;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod tidy;
