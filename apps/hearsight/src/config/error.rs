//! Why the program can't start with its settings, told to people.

use std::path::PathBuf;

use super::Source;

/// Why the program can't start with these settings. The text is for people: it names the field and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Wrong flags, or help or the version was asked for: [`clap::Error::exit`] prints it and chooses the status.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// A file that was named, or found, can't be read.
    #[error("can't read the settings file {}: {problem}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        problem: String,
    },
    /// A file is not TOML.
    #[error("{} is not valid TOML: {problem}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// With line and column.
        problem: String,
    },
    /// Nothing has this name.
    #[error("unknown setting {name} ({source_of}); did you mean {nearest}?")]
    Unknown {
        /// As it was written.
        name: String,
        /// Where it was written.
        source_of: Source,
        /// The valid name most like it.
        nearest: String,
    },
    /// A value that won't do.
    #[error(transparent)]
    Value(#[from] Box<BadValue>),
}

/// A value that won't do, and what would.
#[derive(Debug, thiserror::Error)]
#[error("{field} = {given:?} ({source_of}): {problem}; {remedy}")]
pub struct BadValue {
    /// The dotted name.
    pub field: String,
    /// The value.
    pub given: String,
    /// Where it was given.
    pub source_of: Source,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}
