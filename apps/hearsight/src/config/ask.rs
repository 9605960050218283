//! Who answers questions about the picture, and what they may take.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use hearsight_models::vlm::aloud::Meant;

/// Who answers questions about the picture, and what they may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// Who is asked.
    pub first: Answerer,
    /// Who is asked next where the first is in doubt; none: nobody.
    pub large: Option<Answerer>,
    /// How clearly the first one's words must stand out for nobody else to be asked, in standard deviations.
    pub separability: f32,
    /// Threads that a model of this machine runs on.
    pub threads: NonZeroUsize,
    /// From a question to the end of its answer.
    pub deadline: Duration,
    /// Tokens of an answer, at most.
    pub tokens: u32,
    /// Pictures of one question, at most.
    pub pictures: usize,
    /// Pictures that are remembered of a session, at most.
    pub remembered: usize,
    /// Their bytes, at most.
    pub remembered_bytes: usize,
    /// Tokens a minute of one session.
    pub session_tokens: u32,
    /// Tokens a minute of one user.
    pub user_tokens: u32,
    /// Which spoken words are a question; none: no words are.
    pub aloud: Option<Meant>,
}

/// An engine that answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answerer {
    /// The small model in this folder; none: the one that is part of the program.
    Glance(Option<PathBuf>),
    /// The model in this folder.
    Local(PathBuf),
    /// A server.
    Remote {
        /// The base of its API: `https`, or `http` on this machine.
        url: reqwest::Url,
        /// What it calls its model.
        model: String,
        /// The file of the key that it asks for.
        key: Option<PathBuf>,
    },
}
