//! `hearsight models list|pull|verify`, as people and programs see it.

use std::io::Write;
use std::time::{Duration, SystemTime};

use hearsight_live::clock::Clock;
use serde_json::json;

use super::hub::{Hub, Manner};
use super::manifest::{Model, models};
use super::progress::{Display, Progress};
use super::{Pulled, State, Store, StoreError, Verified, bytes};
use crate::config::{Models, ModelsCommand, Report};

/// Does what was asked for, and writes what there is to tell to `out`; progress goes to standard error.
pub async fn run(config: &Models, command: &ModelsCommand, out: &mut impl Write) -> anyhow::Result<()> {
    let store = open(config);
    match command {
        ModelsCommand::List(Report::Machines) => writeln!(out, "{:#}", listed_for_machines(config, &store)?)?,
        ModelsCommand::List(Report::People) => write!(out, "{}", listed(config, &store)?)?,
        ModelsCommand::Pull(names, within) => pull(config, &store, (names, *within), out).await?,
        ModelsCommand::Verify(names) => verify(config, &store, names, out)?,
    }
    Ok(())
}

/// The store that the settings name, with the models of the manifest.
pub fn open(config: &Models) -> Store {
    #[allow(
        clippy::disallowed_methods,
        reason = "people are told by the calendar when a model was verified"
    )]
    let now = time::OffsetDateTime::from(SystemTime::now());
    let now = now.replace_nanosecond(0).unwrap_or(now);
    let now = now
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default();
    Store::new(&config.folder, models(), now)
}

async fn pull(
    config: &Models,
    store: &Store,
    (names, within): (&[String], Option<Duration>),
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let clock = Clock::new();
    let manner = within.map_or_else(Manner::default, Manner::hasty);
    let hub = Hub::new(config, manner, clock)?;
    let mut progress = Progress::new(std::io::stderr(), Display::of_stderr(), clock);
    for name in names {
        let pulling = store.pull(&hub, name, &mut progress);
        let pulled = match within {
            None => pulling.await,
            Some(within) => tokio::time::timeout(within, pulling).await.unwrap_or_else(|_| {
                Err(StoreError::Slow {
                    model: name.clone(),
                    within,
                })
            }),
        };
        match pulled? {
            Pulled::Already => writeln!(out, "{name} is here and matches its lock.")?,
            Pulled::Came(_) => writeln!(out, "{name} is installed in {}.", config.folder.join(name).display())?,
        }
    }
    Ok(())
}

fn verify(config: &Models, store: &Store, names: &[String], out: &mut impl Write) -> anyhow::Result<()> {
    let all = match names {
        [] => store.installed()?,
        some => some.to_vec(),
    };
    if all.is_empty() {
        writeln!(out, "There are no models in {}.", config.folder.display())?;
    }
    let mut damaged = 0;
    for name in &all {
        match store.verify(name) {
            Ok(Verified::Matches) => writeln!(out, "✓ {name}: every file is what the hub gave")?,
            Ok(Verified::MatchesHand) => writeln!(out, "✓ {name}: every file is what was put here by hand")?,
            Ok(Verified::LockedByHand) => writeln!(
                out,
                "! {name}: put here by hand, and locked as it is now; no hub vouches for it"
            )?,
            Err(problem @ StoreError::Damaged { .. }) => {
                damaged += 1;
                writeln!(out, "✗ {problem}")?;
            }
            Err(problem) => return Err(problem.into()),
        }
    }
    match damaged {
        0 => Ok(()),
        1 => anyhow::bail!("one model is damaged"),
        some => anyhow::bail!("{some} models are damaged"),
    }
}

fn listed(config: &Models, store: &Store) -> Result<String, StoreError> {
    let list = store.list()?;
    let widest = list.iter().map(|(model, _)| model.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (model, state) in &list {
        let size = store.size(model).map_or_else(|| "?".to_owned(), bytes);
        let (name, here, licence) = (&model.name, told(state), &model.licence);
        text += &format!(
            "{name:widest$}  {here:22}  {size:>8}  {licence:10}  {}\n",
            model.purpose
        );
    }
    text += &format!(
        "\nThey are kept in {} and come from {}.\n",
        config.folder.display(),
        config.hub
    );
    if list.iter().any(|(model, _)| !model.checked) {
        text += "Names, revisions and sizes are from public pages; not all have been tried against the hub (docs/models.md).\n";
    }
    Ok(text)
}

fn told(state: &State) -> String {
    match state {
        State::Missing => "–".into(),
        State::Partial(some, all) => format!("{some} of {all} files"),
        State::Here(None) => "here, not verified".into(),
        State::Here(Some(when)) => format!("verified {}", when.get(..10).unwrap_or(when)),
    }
}

fn listed_for_machines(config: &Models, store: &Store) -> Result<serde_json::Value, StoreError> {
    let entry = |(model, state): &(&Model, State)| {
        let (state, verified) = match state {
            State::Missing => ("missing", None),
            State::Partial(..) => ("partial", None),
            State::Here(verified) => ("here", verified.as_deref()),
        };
        json!({
            "name": model.name, "purpose": model.purpose, "licence": model.licence, "repository": model.repository,
            "revision": model.revision, "checked": model.checked, "state": state, "verified": verified,
            "bytes": store.size(model), "folder": config.folder.join(&model.name),
        })
    };
    Ok(json!({ "hub": config.hub.as_str(), "models": store.list()?.iter().map(entry).collect::<Vec<_>>() }))
}
