//! The command line: a subcommand for everything that the program does, a flag for every key.

use std::path::PathBuf;

use clap::{Arg, ArgAction};

use super::settings::Key;
use crate::publish::options;

/// The program as clap knows it; the help of a flag is the comment above its key.
pub(super) fn program(keys: &[Key]) -> clap::Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Settings file [default: ./hearsight.toml, then /etc/hearsight/hearsight.toml]");
    let flags: Vec<Arg> = std::iter::once(config).chain(keys.iter().map(flag)).collect();
    let model = Arg::new("model")
        .required(true)
        .value_parser(clap::value_parser!(PathBuf));
    clap::Command::new("hearsight")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Hears and sees what a browser sends, live, and shows the latency of every step")
        .after_help(
            "Every flag is also a key of hearsight.toml and an environment variable; `hearsight config` shows them.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            clap::Command::new("serve")
                .about("Serve the page and WHIP until stopped")
                .args(flags.clone()),
        )
        .subcommand(
            clap::Command::new("demo")
                .about("Serve, play a sample talk through a real WebRTC connection, then keep serving")
                .args(flags.clone()),
        )
        .subcommand(listen(&flags))
        .subcommand(publish(&flags))
        .subcommand(smooth())
        .subcommand(shape())
        .subcommand(simulate())
        .subcommand(check(&flags))
        .subcommand(models(&flags))
        .subcommand(
            clap::Command::new("config")
                .about("Print the settings in force, as TOML")
                .args(flags),
        )
        .subcommand(token())
        .subcommand(clap::Command::new("recognise-worker").hide(true).arg(model))
}

fn listen(flags: &[Arg]) -> clap::Command {
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue);
    let devices = Arg::new("devices").long("devices").action(ArgAction::SetTrue);
    let short = |flag: &Arg| match flag.get_id().as_str() {
        "microphone.device" => flag.clone().visible_alias("device"),
        _ => flag.clone(),
    };
    clap::Command::new("listen")
        .about("Caption a microphone of this machine in the terminal until stopped")
        .arg(json.help("Print the events, one JSON object a line, instead of captions"))
        .arg(devices.help("Print which microphones there are, and end"))
        .args(flags.iter().map(short))
}

/// It is no server: of the settings it has those of the log alone.
fn publish(flags: &[Arg]) -> clap::Command {
    let has = |flag: &&Arg| flag.get_id() == "config" || flag.get_id().as_str().starts_with("log.");
    clap::Command::new("publish")
        .about("Send a file, a camera or a test pattern to a WHIP server")
        .args(options::arguments())
        .args(flags.iter().filter(has))
}

fn smooth() -> clap::Command {
    clap::Command::new("smooth")
        .about("Make a film with more pictures a second, along the motion vectors of its own")
        .args(crate::smooth::options::arguments())
}

fn shape() -> clap::Command {
    clap::Command::new("shape")
        .about("Stand between senders and a server as a recorded uplink: its rate, its queue, its losses")
        .args(crate::laboratory::options::arguments())
}

fn simulate() -> clap::Command {
    clap::Command::new("simulate")
        .about("Run a scenario of sessions in virtual time: what comes in time, what is lost, how many a machine holds")
        .args(crate::simulate::command::arguments())
}

fn check(flags: &[Arg]) -> clap::Command {
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue);
    clap::Command::new("check")
        .about("Look whether the server could start, changing nothing; says what to do about each problem")
        .arg(json.help("Report as one JSON document"))
        .args(flags)
}

/// It is no server either: it has the settings of the models, of the folder they lie in by default, and of the log.
fn models(flags: &[Arg]) -> clap::Command {
    let has = |flag: &&Arg| {
        let id = flag.get_id().as_str();
        ["config", "listen.state"].contains(&id) || id.starts_with("models.") || id.starts_with("log.")
    };
    let flags: Vec<_> = flags.iter().filter(has).cloned().collect();
    let named = Arg::new("models").value_name("MODEL").action(ArgAction::Append);
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue);
    clap::Command::new("models")
        .about("List the models that can be pulled from a hub, pull them, verify them")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            clap::Command::new("list")
                .about("Tell which models there are, what they are for, and which of them are here")
                .arg(json.help("Print one JSON document"))
                .args(flags.clone()),
        )
        .subcommand(
            clap::Command::new("pull")
                .about("Fetch models; what was begun is gone on with, and nothing counts before its digest is right")
                .arg(
                    named
                        .clone()
                        .required(true)
                        .help("Which, as `hearsight models list` names them"),
                )
                .arg(
                    Arg::new("within")
                        .long("within")
                        .value_name("SECONDS")
                        .value_parser(clap::value_parser!(u16).range(1..))
                        .help("Try once, and for no longer than this; what came is gone on with the next time"),
                )
                .args(flags.clone()),
        )
        .subcommand(
            clap::Command::new("verify")
                .about("Hold the files of models against the digests that were locked when they came")
                .arg(named.help("Which [default: all that are here]"))
                .args(flags),
        )
}

fn token() -> clap::Command {
    let streams = Arg::new("streams")
        .long("streams")
        .value_name("NAME,…")
        .value_delimiter(',')
        .help("What it may publish and watch, such as me,lab-* [default: every stream]");
    let watch = Arg::new("watch")
        .long("watch")
        .value_name("NAME,…")
        .value_delimiter(',')
        .help("What it may only watch, such as news,lab-*");
    clap::Command::new("token")
        .about("Make a bearer token, and its entry for the file that access.tokens names")
        .arg(Arg::new("user").required(true).help("Whose token"))
        .arg(streams)
        .arg(watch)
}

/// The flag of a key.
fn flag(key: &Key) -> Arg {
    let summary = key.help.split_once(". ").map_or(key.help.as_str(), |(first, _)| first);
    Arg::new(key.dotted())
        .long(key.flag())
        .value_name(key.kind().replace(' ', "-").to_uppercase())
        .help(format!(
            "{} [default: {}]",
            summary.trim_end_matches('.'),
            key.default.to_string().trim()
        ))
        .long_help(format!(
            "{} [default: {}, variable: {}]",
            key.help,
            key.default.to_string().trim(),
            key.variable()
        ))
        .help_heading(format!("[{}]", key.section))
        // The check of the value's range gives the better error.
        .allow_hyphen_values(true)
}
