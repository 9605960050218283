//! In progress.

pub mod config;
