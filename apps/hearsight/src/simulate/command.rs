//! `hearsight simulate`: its arguments, and what it prints.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use hearsight_core::schedule::{Policy, Strain};

use super::report::Figures;
use super::scenario::Scenario;
use super::{Alone, capacity, oracle, plot, run};

/// What is to be simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The scenario's file.
    pub scenario: PathBuf,
    /// Instead of the one in the file.
    pub seed: Option<u64>,
    /// Instead of the one in the file.
    pub policy: Option<Policy>,
    /// Where a picture of it goes.
    pub plot: Option<PathBuf>,
    /// Whether to look for how many sessions the machine holds.
    pub search: Search,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Only what becomes of the scenario as it is.
    Nothing,
    /// How many sessions of its mix its machine holds as well.
    Capacity,
}

/// The arguments of the subcommand.
pub(crate) fn arguments() -> Vec<Arg> {
    let file = value_parser!(PathBuf);
    vec![
        Arg::new("scenario")
            .value_name("SCENARIO.toml")
            .required(true)
            .value_parser(file.clone())
            .help("Who comes when, to which machine: see scenarios/ and docs/deadlines.md"),
        Arg::new("seed")
            .long("seed")
            .value_name("NUMBER")
            .value_parser(value_parser!(u64).range(..=9_000_000_000_000_000))
            .help("Draw all that is random from this [default: the scenario's]"),
        Arg::new("policy")
            .long("policy")
            .value_name("NAME")
            .value_parser(Policy::ALL.map(Policy::name))
            .help("By what the next slice is chosen; all but ours are there to be compared with [default: the scenario's]"),
        Arg::new("plot")
            .long("plot")
            .value_name("FILE.svg")
            .value_parser(file)
            .help("Draw sessions, strain, value and ages over time"),
        Arg::new("capacity")
            .long("capacity")
            .action(ArgAction::SetTrue)
            .help("Look for how many sessions of this mix the machine holds within budget as well"),
    ]
}

/// What the arguments say.
pub(crate) fn from_matches(flags: &ArgMatches) -> Options {
    let policy = flags.get_one::<String>("policy");
    Options {
        scenario: flags.get_one::<PathBuf>("scenario").cloned().unwrap_or_default(),
        seed: flags.get_one::<u64>("seed").copied(),
        policy: policy.and_then(|name| Policy::ALL.into_iter().find(|policy| policy.name() == name)),
        plot: flags.get_one::<PathBuf>("plot").cloned(),
        search: match flags.get_flag("capacity") {
            true => Search::Capacity,
            false => Search::Nothing,
        },
    }
}

/// Simulates, and tells `out`.
pub fn main(options: &Options, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut scenario = Scenario::read(&options.scenario)?;
    scenario.seed = options.seed.unwrap_or(scenario.seed);
    scenario.machine.policy = options.policy.unwrap_or(scenario.machine.policy);
    let outcome = run(&scenario);
    let mut alone = Alone::default();
    let figures = Figures::new(&scenario, &outcome, &alone.visits(&scenario, Strain::None));
    let bound = oracle::bound(&scenario, &mut alone, figures.over);
    writeln!(
        out,
        "{}: {} cores, {} engine threads, policy {}, seed {}",
        scenario.name,
        scenario.machine.cores,
        scenario.machine.threads,
        scenario.machine.policy.name(),
        scenario.seed
    )?;
    write!(out, "{}", figures.tell())?;
    let share = 100.0 * figures.goodput * figures.over.secs_f64() / bound.most.max(f64::MIN_POSITIVE);
    writeln!(
        out,
        "\nof what any scheduler could have had on this machine, at least: {share:.0} %"
    )?;
    if let Some(path) = &options.plot {
        write_plot(path, &plot::svg(&scenario, &outcome))?;
        writeln!(out, "drawn in {}", path.display())?;
    }
    if options.search == Search::Capacity {
        writeln!(out)?;
        let held = capacity::estimate(&scenario, |count, figures| {
            let verdict = if figures.holds(capacity::SHARE) {
                "within budget"
            } else {
                "too many"
            };
            let share = figures.delivered_share() * 100.0;
            // A table that nobody reads any more is no reason to stop looking.
            let _ = writeln!(out, "{count:>6} sessions: {share:.1} % in time, {verdict}");
        });
        match held {
            Some(count) => writeln!(out, "this machine holds {count} sessions of this kind within budget")?,
            None => writeln!(out, "this machine holds no session of this kind within budget")?,
        }
    }
    Ok(())
}

fn write_plot(path: &Path, svg: &str) -> anyhow::Result<()> {
    std::fs::write(path, svg)
        .with_context(|| format!("can't write the plot {}; choose another with --plot", path.display()))
}
