//! What `hearsight shape` is asked to do: its arguments, read and checked.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, value_parser};
use hearsight_core::network::uplink::Path;
use hearsight_core::time::Span;
use reqwest::Url;

/// What to put in front of what.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Where senders send to.
    pub listen: SocketAddr,
    /// Where it goes on to.
    pub to: Target,
    /// Where senders ask over HTTP, for a server that they ask over HTTP.
    pub http: SocketAddr,
    /// The recording of the uplink.
    pub trace: PathBuf,
    /// What is between besides.
    pub path: Path,
    /// Makes the same losses again.
    pub seed: u64,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Its media address alone: whoever sends there must be told of the shaper.
    Media(SocketAddr),
    /// Its page and WHIP: answers are changed so that they lead to the shaper.
    Page(Url),
}

fn target(text: &str) -> Result<Target, String> {
    if let Ok(address) = text.parse() {
        return Ok(Target::Media(address));
    }
    let page = Url::parse(text)
        .ok()
        .filter(|url| url.scheme() == "http" && url.has_host());
    page.map(Target::Page)
        .ok_or_else(|| "write the server's page (http://…), or a UDP address and port".into())
}

/// The arguments.
pub fn arguments() -> Vec<Arg> {
    let flag = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let address = || value_parser!(SocketAddr);
    vec![
        flag(
            "to",
            "SERVER",
            "The server's page, such as http://127.0.0.1:8080, or its UDP address alone",
        )
        .required(true)
        .value_parser(target),
        flag(
            "trace",
            "FILE",
            "The recorded uplink: Mahimahi's lines or OpenNetLab's JSON, plain or gzipped",
        )
        .required(true)
        .value_parser(value_parser!(PathBuf)),
        flag(
            "listen",
            "ADDRESS",
            "Where senders send to; port 0: one that is free, which is printed",
        )
        .default_value("127.0.0.1:0")
        .value_parser(address()),
        flag(
            "http",
            "ADDRESS",
            "Where browsers and senders ask instead of the server's page; port 0: one that is free",
        )
        .default_value("127.0.0.1:0")
        .value_parser(address()),
        flag("delay", "MS", "One-way delay, each way")
            .default_value("30")
            .value_parser(value_parser!(u32).range(0..=10_000)),
        flag("loss", "PERCENT", "Losses of the uplink, besides the trace's")
            .default_value("0")
            .value_parser(value_parser!(u32).range(0..=100)),
        flag("queue", "KB", "The queue before the uplink, in kilobytes")
            .default_value("90")
            .value_parser(value_parser!(u32).range(2..=100_000)),
        flag("seed", "N", "Makes the same losses again")
            .default_value("1")
            .value_parser(value_parser!(u64)),
    ]
}

/// Reads the arguments, which clap has checked.
pub fn from_matches(flags: &ArgMatches) -> Options {
    let number = |name: &str| flags.get_one::<u32>(name).copied().unwrap_or_default();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let address = |name: &str| flags.get_one::<SocketAddr>(name).copied().unwrap_or(any);
    Options {
        listen: address("listen"),
        to: flags.get_one::<Target>("to").cloned().unwrap_or(Target::Media(any)),
        http: address("http"),
        trace: flags.get_one::<PathBuf>("trace").cloned().unwrap_or_default(),
        path: Path {
            delay: Span::from_millis(i64::from(number("delay"))),
            loss: f64::from(number("loss")) / 100.0,
            queue: number("queue") as usize * 1_000,
        },
        seed: flags.get_one::<u64>("seed").copied().unwrap_or_default(),
    }
}
