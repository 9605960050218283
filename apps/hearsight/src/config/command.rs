//! What the program is asked to do: a [`Command`] for each subcommand of the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;

use super::settings::Settings;
use super::{ConfigError, ModelsCommand, Surroundings};
use crate::laboratory;
use crate::publish::options::{self, Options};
use crate::{simulate, smooth};

/// What the program was asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Serve until stopped.
    Serve,
    /// Serve, play the sample talk to the server, then keep serving.
    Demo,
    /// Caption a microphone of this machine until stopped.
    Listen(Captions),
    /// Print which microphones there are.
    Microphones,
    /// Send a file, a camera or a pattern to a server.
    Publish(Box<Options>),
    /// Make a film with more pictures a second; reads no settings.
    Smooth(Box<smooth::Options>),
    /// Be a recorded uplink in front of a server; reads no settings.
    Shape(Box<laboratory::options::Options>),
    /// Simulate a scenario; reads no settings.
    Simulate(simulate::command::Options),
    /// Print this text: the settings in force, as TOML.
    Config(String),
    /// Make a bearer token for a user and print it with its entry for the file of tokens.
    Token {
        /// Whose token.
        user: String,
        /// What it may publish and watch: names, or beginnings followed by `*`; empty: every stream, unless `watch` names some.
        streams: Vec<String>,
        /// What it may only watch.
        watch: Vec<String>,
    },
    /// Look whether the server could start, and say what to do about each problem.
    Check(Report),
    /// List, pull or verify models.
    Models(ModelsCommand),
    /// Be a recogniser process with the model of this folder. Reads no file and no environment: whoever started it did.
    RecogniseWorker(PathBuf),
}

/// What captions are printed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Captions {
    /// For people: words that may still change are rewritten in place.
    Live,
    /// For programs: the events, one JSON object a line.
    Json,
}

/// For whom `hearsight check` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// One line per check.
    People,
    /// One JSON document.
    Machines,
}

/// What the subcommand called `name` asks for.
pub(super) fn asked(
    name: &str,
    flags: &ArgMatches,
    settings: &Settings,
    around: &Surroundings,
) -> Result<Command, ConfigError> {
    Ok(match name {
        "demo" => Command::Demo,
        "listen" if flags.get_flag("devices") => Command::Microphones,
        "listen" if flags.get_flag("json") => Command::Listen(Captions::Json),
        "listen" => Command::Listen(Captions::Live),
        "publish" => Command::Publish(Box::new(options::from_matches(flags, |name| around.variable(name))?)),
        "config" => Command::Config(settings.effective()),
        "check" if flags.get_flag("json") => Command::Check(Report::Machines),
        "check" => Command::Check(Report::People),
        "list" if flags.get_flag("json") => Command::Models(ModelsCommand::List(Report::Machines)),
        "list" => Command::Models(ModelsCommand::List(Report::People)),
        "pull" => {
            let within = flags.get_one::<u16>("within");
            let within = within.map(|seconds| Duration::from_secs((*seconds).into()));
            Command::Models(ModelsCommand::Pull(models(flags), within))
        }
        "verify" => Command::Models(ModelsCommand::Verify(models(flags))),
        _ => Command::Serve,
    })
}

/// Commands that read no file and no environment.
pub(super) fn without_settings(flags: &ArgMatches) -> Option<Command> {
    if let Some(model) = flags.try_get_one::<PathBuf>("model").ok().flatten() {
        return Some(Command::RecogniseWorker(model.clone()));
    }
    if flags.try_get_one::<PathBuf>("input").ok().flatten().is_some() {
        return Some(Command::Smooth(Box::new(smooth::options::from_matches(flags))));
    }
    if flags.try_get_one::<PathBuf>("trace").ok().flatten().is_some() {
        return Some(Command::Shape(Box::new(laboratory::options::from_matches(flags))));
    }
    if flags.try_get_one::<PathBuf>("scenario").ok().flatten().is_some() {
        return Some(Command::Simulate(simulate::command::from_matches(flags)));
    }
    let user = flags.try_get_one::<String>("user").ok().flatten()?.clone();
    let names = |flag: &str| flags.get_many::<String>(flag).unwrap_or_default().cloned().collect();
    Some(Command::Token {
        user,
        streams: names("streams"),
        watch: names("watch"),
    })
}

/// The models that were named.
fn models(flags: &ArgMatches) -> Vec<String> {
    flags
        .get_many::<String>("models")
        .unwrap_or_default()
        .cloned()
        .collect()
}
