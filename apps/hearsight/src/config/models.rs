//! Models that are pulled from a hub: where they lie, where they come from, and what to do with them.

use std::path::PathBuf;
use std::time::Duration;

use super::Report;

/// Where models lie and come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Models {
    /// The folder of models; it may not exist yet.
    pub folder: PathBuf,
    /// `https`, or `http` on a loopback address, without a slash at the end of its path.
    pub hub: reqwest::Url,
    /// File of the token for the hub.
    pub token: Option<PathBuf>,
}

/// What `hearsight models` was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelsCommand {
    /// Tell which models there are, and which of them are here.
    List(Report),
    /// Fetch these; within this time where one is given, and without a second try.
    Pull(Vec<String>, Option<Duration>),
    /// Hold the files of these against their digests; none named: of all that are here.
    Verify(Vec<String>),
}
