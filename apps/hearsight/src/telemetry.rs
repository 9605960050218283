//! The log. Words, pictures and addresses are for TRACE only.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{Log, LogFormat};

/// Starts logging to standard error. A second call changes nothing.
pub fn start(log: &Log) {
    let level = log.level.to_string().to_lowercase();
    let ours =
        ["hearsight", "hearsight_live", "hearsight_codecs", "hearsight_models"].map(|room| format!("{room}={level}"));
    // The stacks below us log addresses and what strangers sent at their own discretion: only their errors are let
    // through. The receiving one warns of each odd line of an offer and quotes it; the sending one warns of what it then
    // does right by itself.
    let quiet =
        ["str0m", "is", "dimpl", "sctp_proto", "rtc", "rtc_dtls", "webrtc"].map(|stack| format!("{stack}=error"));
    let filter = EnvFilter::new(format!("warn,{},{}", quiet.join(","), ours.join(",")));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(colours);
    let started = match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    if let Err(problem) = started {
        eprintln!("hearsight: logging was started already: {problem}");
    }
}
