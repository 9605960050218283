//! What docs/operating.md says of figures and settings is what the program has.

use std::collections::{BTreeMap, BTreeSet};

use hearsight::operate::reload::LIVE;

use super::http::get;
use super::subject::Subject;
use crate::rig::root;

/// The rows of the table below a heading, each as its cells.
fn table(heading: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root().join("docs/operating.md")).unwrap();
    let (_, rest) = text
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no heading {heading}"));
    let rest = rest.split("\n## ").next().unwrap();
    let rows = rest.lines().filter(|line| line.starts_with("| `"));
    let cells = |line: &str| {
        line.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().trim_matches('`').to_owned())
            .collect()
    };
    rows.map(cells).collect()
}

#[test]
fn every_figure_is_documented_and_every_documented_figure_is_there() {
    let server = Subject::start("");
    let answer = get(&server.operations, "/metrics");
    assert!(answer.head.contains("application/openmetrics-text"), "{}", answer.head);
    let types = answer.body.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let there: BTreeSet<String> = types
        .map(|line| match line.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, _) => name.to_owned(),
        })
        .collect();
    let documented: BTreeSet<String> = table("Figures").into_iter().map(|mut row| row.remove(0)).collect();
    assert_eq!(there, documented);
}

#[test]
fn every_key_is_documented_as_live_or_not_as_the_program_has_it() {
    let documented: BTreeMap<String, String> = table("What changes while it runs")
        .into_iter()
        .flat_map(|row| {
            row[0]
                .split("`, `")
                .map(|key| (key.to_owned(), row[1].clone()))
                .collect::<Vec<_>>()
        })
        .collect();
    let keys = hearsight::config::keys().into_iter().map(|key| {
        let when = if LIVE.contains(&key.as_str()) {
            "at once"
        } else {
            "at the next start"
        };
        (key, when.to_owned())
    });
    assert_eq!(documented, keys.collect());
}
