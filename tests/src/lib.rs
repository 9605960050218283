//! Everything that holds the house to its word: scenarios in virtual time, a live run played again, the architecture's own
//! rules, the real server with a real browser.
//!
//! Sees every crate; nothing sees it. Benches are binaries under `src/bin/`. Start at [`rig`] and `scenarios`.

pub mod rig;

#[cfg(test)]
mod browser;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod tidy;
