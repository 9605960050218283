//! The log. Words, pictures and addresses are for TRACE only.

use tracing::Level;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::{Log, LogFormat};

/// A log that is running, whose level can be changed.
#[derive(Clone)]
pub struct Telemetry {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Starts logging to standard error. A second call in a process logs nothing anew, and its level is nobody's.
pub fn start(log: &Log) -> Telemetry {
    let (filter, handle) = reload::Layer::new(filter(log.level));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(colours);
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    // The filter comes first, so that its handle is for the bare registry.
    let started = tracing_subscriber::registry().with(filter).with(lines).try_init();
    if let Err(problem) = started {
        eprintln!("hearsight: logging was started already: {problem}");
    }
    Telemetry { filter: handle }
}

impl Telemetry {
    /// Logs this much from now on.
    pub fn set_level(&self, level: Level) {
        if let Err(problem) = self.filter.reload(filter(level)) {
            tracing::error!(%problem, "the level of the log can't be changed");
        }
    }
}

fn filter(level: Level) -> EnvFilter {
    let level = level.to_string().to_lowercase();
    let ours =
        ["hearsight", "hearsight_live", "hearsight_codecs", "hearsight_models"].map(|room| format!("{room}={level}"));
    // The stacks below us log addresses and what strangers sent at their own discretion: only their errors are let
    // through. The receiving one warns of each odd line of an offer and quotes it; the sending one warns of what it then
    // does right by itself.
    let quiet =
        ["str0m", "is", "dimpl", "sctp_proto", "rtc", "rtc_dtls", "webrtc"].map(|stack| format!("{stack}=error"));
    EnvFilter::new(format!("warn,{},{}", quiet.join(","), ours.join(",")))
}
