//! In progress.

pub mod ingest;
pub mod serve;
