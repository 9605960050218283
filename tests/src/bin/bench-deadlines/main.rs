//! `make bench-deadlines`: what comes in time of what a machine is asked for, at loads from half to ten times what it can do, for
//! several mixes of sessions; ours beside first come first served, earliest deadline first and shortest job first, and a bound on
//! any scheduler. In virtual time, over the drawing that the server runs. A table for people and, in the last line, one JSON
//! object. `--seconds N` simulates N seconds of each, `--mix NAME` one mix alone,
//! `--seed N` draws other people. Then the server itself is overrun by real senders on
//! this machine; `--only simulated` or `--only real` leaves the other out.

mod mixes;
mod overhead;
mod real;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use hearsight::budget;
use hearsight::simulate::report::Figures;
use hearsight::simulate::scenario::Scenario;
use hearsight::simulate::{Alone, oracle, run};
use hearsight_core::schedule::{Policy, Strain};
use hearsight_core::time::Span;
use hearsight_tests::rig::{commit, machine};
use serde_json::{Map, Value, json};

use mixes::{MIXES, Mix};

/// Times what the machine can do.
const LOADS: [f64; 6] = [0.5, 1.0, 2.0, 3.0, 4.0, 10.0];

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench-deadlines: {why:#}");
            ExitCode::FAILURE
        }
    }
}

/// What was asked for on the command line.
struct Asked {
    seconds: i64,
    seed: u64,
    mix: Option<String>,
    simulated: bool,
    real: bool,
}

impl Asked {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Asked> {
        let mut asked = Asked {
            seconds: 20,
            seed: 7,
            mix: None,
            simulated: true,
            real: true,
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--seconds" => {
                    let number = arguments.next().and_then(|number| number.parse::<i64>().ok());
                    let valid = number.filter(|seconds| (5..=600).contains(seconds));
                    asked.seconds = valid.context("--seconds wants a number from 5 to 600")?;
                }
                "--seed" => {
                    let number = arguments.next().and_then(|number| number.parse().ok());
                    asked.seed = number.context("--seed wants a number")?;
                }
                "--mix" => asked.mix = Some(arguments.next().context("--mix wants the name of a mix")?),
                "--only" => match arguments.next().as_deref() {
                    Some("simulated") => asked.real = false,
                    Some("real") => asked.simulated = false,
                    _ => bail!("--only wants `simulated` or `real`"),
                },
                other => {
                    bail!("can't use {other}; there are --seconds N, --seed N, --mix NAME and --only simulated|real")
                }
            }
        }
        Ok(asked)
    }
}

fn measure() -> Result<()> {
    let asked = Asked::parse(std::env::args().skip(1))?;
    let mut last = match asked.simulated {
        true => simulated(&asked)?,
        false => Map::new(),
    };
    let real = if asked.real { real::measure()? } else { Value::Null };
    last.insert(
        "slice_p99_9_over_declared".into(),
        real["overrun"]["slice_p99_9_over_declared"].clone(),
    );
    last.insert("real".into(), real);
    last.insert("machine".into(), machine());
    last.insert("commit".into(), json!(commit()));
    last.insert(
        "notes".into(),
        json!({
            "loads": "the keys at the top are those of the first mix; by_mix has all of them",
            "slice_p99_9_over_declared": "of the server itself, crowded: upper ends of the metrics' buckets, by the wall",
            "oracle": "a bound on any scheduler: a linear relaxation, see apps/hearsight/src/simulate/oracle.rs; it admits everybody",
            "real": "talkers on the server itself, senders on the same machine; ages are upper ends of the metrics' buckets",
            "simulated_seconds": asked.seconds, "seed": asked.seed, "simulated_cores": mixes::CORES,
        }),
    );
    println!("{}", Value::Object(last));
    Ok(())
}

/// Every mix, at every load, under every policy.
fn simulated(asked: &Asked) -> Result<Map<String, Value>> {
    let overhead = overhead::slice();
    println!("scheduling one slice, 1,000 sessions of which many wait: {overhead:.0} ns\n");
    let wanted = |mix: &&Mix| asked.mix.as_deref().is_none_or(|name| name == mix.name);
    let by_mix: Map<_, _> = MIXES
        .iter()
        .filter(wanted)
        .map(|mix| (mix.name.to_owned(), Value::Object(of_mix(mix, asked, overhead))))
        .collect();
    let first = asked.mix.as_deref().unwrap_or(MIXES[0].name);
    let first = by_mix.get(first).context("there is no such mix")?;
    let mut last = first.as_object().cloned().unwrap_or_default();
    last.insert("scheduler_ns_per_slice".into(), json!(overhead.round()));
    last.insert("by_mix".into(), Value::Object(by_mix));
    Ok(last)
}

/// Everything of one mix.
fn of_mix(mix: &Mix, asked: &Asked, overhead: f64) -> Map<String, Value> {
    let (mut alone, seconds) = (Alone::default(), asked.seconds);
    let capacity = mix.capacity(asked.seed, seconds, &mut alone);
    println!(
        "{}: {capacity:.1} sessions take all of {} cores",
        mix.name,
        mixes::CORES
    );
    println!(
        "{:>5} {:7} {:>8} {:>7} {:>9} {:>9} {:>9} {:>13} {:>13}",
        "load", "policy", "goodput", "share", "let in", "of bound", "finals", "final p99.9", "over budget"
    );
    let mut loads = Map::new();
    for load in LOADS {
        let count = ((capacity * load).round() as usize).max(1);
        let mut policies = Map::new();
        let mut over = Span::from_secs(seconds);
        let mut scenario = mix.scenario(count, asked.seed, seconds);
        for policy in Policy::ALL {
            scenario.machine.policy = policy;
            let outcome = run(&scenario);
            let figures = Figures::new(&scenario, &outcome, &alone.visits(&scenario, Strain::None));
            over = over.max(figures.over);
            let let_in = |number: usize| outcome.visits[number].admitted;
            let most = oracle::bound_of(&scenario, &mut alone, figures.over, let_in).most;
            let share = figures.goodput * figures.over.secs_f64() / most.max(f64::MIN_POSITIVE);
            tell(load, policy.name(), &figures, share);
            let slice = outcome.worked.1.secs_f64() * 1e9 / outcome.worked.0.max(1) as f64;
            policies.insert(policy.name().into(), told(&figures, share, overhead / slice));
        }
        policies.insert("oracle".into(), bound(load, &scenario, &mut alone, over, count));
        loads.insert(load.to_string(), Value::Object(policies));
    }
    println!();
    loads
}

fn bound(load: f64, scenario: &Scenario, alone: &mut Alone, over: Span, count: usize) -> Value {
    let bound = oracle::bound(scenario, alone, over);
    let goodput = bound.most / over.secs_f64();
    let share = bound.most / bound.whole;
    println!(
        "{load:>5} {:7} {goodput:>8.1} {:>6.1}% {count:>9}",
        "oracle",
        share * 100.0
    );
    json!({
        "goodput": goodput, "delivered_share": share, "admitted_sessions": count,
        "age_p99_9_over_budget": null, "final_captions_delivered": null, "scheduler_share": null,
    })
}

/// Of every outlet, how far the oldest in a thousand is beyond its budget.
fn over_budget(figures: &Figures) -> Option<f64> {
    let over = figures.outlets.iter().filter_map(|outlet| {
        let oldest = outlet.ages.quantile(0.999)?;
        Some(oldest.secs_f64() / outlet.budget.span.secs_f64())
    });
    over.reduce(f64::max)
}

/// `share` is of the bound for those who were let in.
fn tell(load: f64, policy: &str, figures: &Figures, share: f64) {
    let finals = figures.outlet(&budget::WORDS_FINAL);
    let oldest = finals.and_then(|outlet| outlet.ages.quantile(0.999));
    println!(
        "{load:>5} {policy:7} {:>8.1} {:>6.1}% {:>4}/{:<4} {:>8.1}% {:>8.2}% {:>13} {:>13}",
        figures.goodput,
        figures.delivered_share() * 100.0,
        figures.admitted,
        figures.came,
        share * 100.0,
        figures.final_words.unwrap_or(1.0) * 100.0,
        oldest.map_or("-".into(), |age| format!("{:.0} ms", age.millis_f64())),
        over_budget(figures).map_or("-".into(), |over| format!("{over:.2}"))
    );
}

fn told(figures: &Figures, share: f64, scheduler_share: f64) -> Value {
    let outlets: Map<String, Value> = figures
        .outlets
        .iter()
        .filter(|outlet| outlet.wanted > 0)
        .map(|outlet| {
            let age = |q| outlet.ages.quantile(q).map(|age| age.secs_f64() * 1e3);
            let value = json!({
                "wanted": outlet.wanted, "delivered_share": outlet.in_time as f64 / outlet.wanted as f64, "late": outlet.late,
                "age_ms_p50": age(0.5), "age_ms_p99": age(0.99), "age_ms_p99_9": age(0.999),
            });
            (outlet.budget.outlet.to_owned(), value)
        })
        .collect();
    let mut shed = Map::new();
    for ((stage, why), count) in &figures.lost {
        shed.insert(format!("{stage}.{}", why.name()), json!(count));
    }
    json!({
        "goodput": figures.goodput, "delivered_share": figures.delivered_share(),
        "share_of_bound_for_admitted": share,
        "admitted_sessions": figures.admitted, "offered_sessions": figures.came,
        "age_p99_9_over_budget": over_budget(figures), "final_captions_delivered": figures.final_words,
        "scheduler_share": scheduler_share, "outlets": outlets, "shed": shed,
    })
}
