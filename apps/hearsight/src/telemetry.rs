//! The log. Words, pictures and addresses are for TRACE only.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{Log, LogFormat};

/// Starts logging to standard error. A second call changes nothing.
pub fn start(log: &Log) {
    // The stacks below us log addresses and payloads at their own discretion: they get one level less.
    let level = log.level.to_string().to_lowercase();
    let filter = EnvFilter::new(format!(
        "warn,hearsight={level},hearsight_core={level},hearsight_live={level},hearsight_codecs={level},hearsight_models={level}"
    ));
    let lines = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    let started = match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    if let Err(problem) = started {
        eprintln!("hearsight: logging was started already: {problem}");
    }
}
