//! `make hostile`: the witness of `hearsight_tests::attack` gives the talk in peace, and then under each attack by itself, in
//! one session with one server. A line for each, and in the last line one JSON object. `--sentences N` shortens the talk,
//! `--only NAME` leaves all but one attack out, `--seed N` changes what is damaged.

use std::process::ExitCode;

use anyhow::Result;
use hearsight_tests::attack::Attack;
use hearsight_tests::attack::campaign::{self, Outcome};
use hearsight_tests::rig::{commit, machine, talk};
use serde_json::{Value, json};

/// Rounds in peace before the attacks: they differ among themselves by what the machine does besides.
const CALM: usize = 2;

#[derive(Default)]
struct Wanted {
    sentences: Option<usize>,
    only: Option<Attack>,
    seed: u64,
}

fn main() -> ExitCode {
    let mut wanted = Wanted::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        let named = || Attack::ALL.into_iter().find(|attack| format!("{attack:?}") == value);
        match (argument.as_str(), value.parse::<u64>()) {
            ("--sentences", Ok(count)) => wanted.sentences = usize::try_from(count).ok(),
            ("--seed", Ok(seed)) => wanted.seed = seed,
            ("--only", _) if named().is_some() => wanted.only = named(),
            _ => {
                eprintln!(
                    "hostile: can't use {argument} {value}; there are --sentences N, --seed N and --only with one of {:?}",
                    Attack::ALL
                );
                return ExitCode::FAILURE;
            }
        }
    }
    match measure(&wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("hostile: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(wanted: &Wanted) -> Result<()> {
    let talk = match wanted.sentences {
        Some(count) => talk::first_sentences(count)?,
        None => talk::whole()?,
    };
    let attacks = Attack::ALL
        .into_iter()
        .filter(|attack| wanted.only.is_none_or(|only| only == *attack));
    let mut rounds = vec![Vec::new(); CALM];
    rounds.extend(attacks.map(|attack| vec![attack]));
    let span = talk.span();
    println!("hostile: {} rounds of {:.0} s", rounds.len(), span.secs_f64());
    let verdict = campaign::run(talk, &rounds, wanted.seed)?;

    let calm = Figures::of(&verdict.rounds[..CALM]);
    println!(
        "{:<13} words wrong   settled p50/p95 ms   provisional p50/p95 ms   lost  MiB  cores (theirs)  what became of it",
        "attack"
    );
    println!("{}", calm.line("none", &verdict.rounds[CALM - 1]));
    let mut last = serde_json::Map::new();
    last.insert("none".into(), calm.json(&calm));
    for round in &verdict.rounds[CALM..] {
        let figures = Figures::of(std::slice::from_ref(round));
        let name = round
            .attacks
            .iter()
            .map(|(attack, _)| format!("{attack:?}"))
            .collect::<String>();
        println!("{}", figures.line(&name, round));
        last.insert(name, figures.json(&calm));
    }
    println!(
        "panics {}, refused afterwards {:?}, at the end {:.0} MiB, {} threads, {} descriptors",
        verdict.panics, verdict.refused_after, verdict.after.rss_mib, verdict.after.threads, verdict.after.descriptors
    );
    println!(
        "{}",
        json!({ "attacks": last, "panics": verdict.panics, "refused_after": verdict.refused_after,
                "machine": machine(), "commit": commit() })
    );
    Ok(())
}

/// What the witness experienced in some rounds.
struct Figures {
    wrong: usize,
    of: usize,
    settled: [f64; 2],
    partial: [f64; 2],
    lost: u64,
}

impl Figures {
    fn of(rounds: &[Outcome]) -> Figures {
        let all = |of: fn(&Outcome) -> &[f64]| {
            let mut sorted: Vec<f64> = rounds.iter().flat_map(of).copied().collect();
            sorted.sort_by(f64::total_cmp);
            [0.5, 0.95].map(|part| quantile(&sorted, part))
        };
        Figures {
            wrong: rounds.iter().map(|round| round.errors.0).sum(),
            of: rounds.iter().map(|round| round.errors.1).sum(),
            settled: all(|round| &round.witness.settled_ms),
            partial: all(|round| &round.witness.partial_ms),
            lost: rounds.iter().flat_map(|round| round.witness.lost.values()).sum(),
        }
    }

    fn rate(&self) -> f64 {
        self.wrong as f64 / self.of.max(1) as f64
    }

    fn line(&self, name: &str, round: &Outcome) -> String {
        let Figures {
            wrong,
            of,
            lost,
            settled: [s50, s95],
            partial: [p50, p95],
        } = self;
        let tolls: Vec<String> = round.attacks.iter().map(|(_, toll)| toll.to_string()).collect();
        let unwell = if round.healthy {
            ""
        } else {
            "; /healthz was not always answered"
        };
        format!(
            "{name:<13} {wrong:>3} of {of:<4}   {s50:>7.0} / {s95:<7.0}    {p50:>7.0} / {p95:<7.0}       {lost:>6} {:>5.0} {:>5.2} ({:.2})  {}{unwell}",
            round.vitals.rss_mib,
            round.cores,
            round.attackers_cores,
            tolls.join(", ")
        )
    }

    /// Ratios to the rounds in peace.
    fn json(&self, calm: &Figures) -> Value {
        let ratio = |this: f64, of: f64| (100.0 * this / of).round() / 100.0;
        json!({
            "word_error_rate": (1_000.0 * self.rate()).round() / 1_000.0,
            "word_errors_over_calm": ratio(self.rate(), calm.rate()),
            "settled_ms": self.settled.map(f64::round), "partial_ms": self.partial.map(f64::round),
            "settled_p50_over_calm": ratio(self.settled[0], calm.settled[0]),
            "partial_p50_over_calm": ratio(self.partial[0], calm.partial[0]),
            "lost": self.lost,
        })
    }
}

/// Of sorted values; NaN, which JSON has as null, of none.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
