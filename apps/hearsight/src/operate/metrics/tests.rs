//! Against the rules of the text format (OpenMetrics 1.0, "Text format").

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{Method, StatusCode};
use hearsight_core::meter::Meter;
use hearsight_core::stage::Lost;

use super::*;

/// A family as a scraper reads it.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// Reads the whole text, refusing what the format does not allow.
fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let body = text.strip_suffix("# EOF\n").expect("it ends with its end mark");
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (what, name, value) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            match what {
                "HELP" => {
                    assert!(!families.contains_key(name), "{name} comes twice");
                    current = name.to_owned();
                    families.entry(current.clone()).or_default().help = value.to_owned();
                }
                "TYPE" => {
                    assert_eq!(name, current);
                    families.get_mut(name).unwrap().kind = value.to_owned();
                }
                other => panic!("{other} in {line}"),
            }
            continue;
        }
        let (name, labels, value) = sample(line);
        assert!(name.starts_with(&current), "{name} among {current}");
        families.get_mut(&current).unwrap().samples.push((name, labels, value));
    }
    families
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (head, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = head.split_once('{').unwrap_or((head, "}"));
    let word = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    assert!(word(name), "{line}");
    let labels = labels.strip_suffix('}').expect("closed");
    let labels = labels.split("\",").filter(|label| !label.is_empty()).map(|label| {
        let (key, value) = label.split_once("=\"").expect("quoted");
        assert!(word(key), "{line}");
        (key.to_owned(), value.trim_end_matches('"').to_owned())
    });
    (name.to_owned(), labels.collect(), value.parse().expect("a number"))
}

fn check(name: &str, family: &Family) {
    assert!(family.help.len() > 5, "{name} is explained");
    let suffixes: &[&str] = match family.kind.as_str() {
        "counter" => &["_total"],
        "gauge" => &[""],
        "histogram" => &["_sum", "_count", "_bucket"],
        other => panic!("{name} is a {other}"),
    };
    let mut seen = BTreeSet::new();
    for (sample, labels, value) in &family.samples {
        let suffix = sample.strip_prefix(name).unwrap();
        assert!(suffixes.contains(&suffix), "{sample} in a {}", family.kind);
        assert!(
            seen.insert((sample.clone(), labels.clone())),
            "{sample} {labels:?} comes twice"
        );
        assert!(value.is_finite() && *value >= 0.0);
    }
    if family.kind == "histogram" {
        let of = |suffix: &'static str| family.samples.iter().filter(move |(name, ..)| name.ends_with(suffix));
        for (_, labels, count) in of("_count") {
            let mut buckets = of("_bucket").filter(|(_, with, _)| {
                let mut with = with.clone();
                with.remove("le");
                with == *labels
            });
            let mut below = 0.0;
            let mut last = String::new();
            for (_, labels, cumulative) in &mut buckets {
                assert!(*cumulative >= below, "{name} falls");
                (below, last) = (*cumulative, labels["le"].clone());
            }
            assert_eq!((last.as_str(), below), ("+Inf", *count), "{name}");
        }
    }
}

#[test]
fn a_server_that_starts_has_figures_in_the_text_format() {
    let operate = Arc::new(Operate::default());
    for (route, method, status) in [
        ("/whip/{stream}", Method::POST, StatusCode::CREATED),
        ("/whip/{stream}", Method::POST, StatusCode::BAD_REQUEST),
        ("/whip/{stream}", Method::POST, StatusCode::PAYLOAD_TOO_LARGE),
        ("other", Method::from_bytes(b"BREW").unwrap(), StatusCode::NOT_FOUND),
    ] {
        operate.answered(route, &method, status);
    }
    let families = families(&text(&operate));
    families.iter().for_each(|(name, family)| check(name, family));
    let value = |name: &str| families[name].samples.iter().map(|sample| sample.2).sum::<f64>();
    assert_eq!(value("hearsight_http_responses"), 4.0);
    let (_, labels, refused) = &families["hearsight_sessions_refused"].samples[0];
    assert_eq!((labels["reason"].as_str(), *refused), ("malformed", 2.0));
    assert_eq!(value("hearsight_ready"), 0.0, "models are being loaded");
    assert!(value("process_resident_memory_bytes") > 1e6);
}

/// Writes histograms of what a meter counted, and nothing else.
struct Only(Meter);

impl fmt::Debug for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Only")
    }
}

impl Collector for Only {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let tally = self.0.tally();
        let rows = tally.ages.iter().map(|(outlet, ages)| ([("outlet", *outlet)], ages));
        let mut page = Page(encoder);
        page.histograms(
            "hearsight_age_seconds",
            "Ages at outlets",
            &AGES_MS.map(Span::from_millis),
            rows,
        )?;
        let lost = tally
            .lost
            .iter()
            .map(|((stage, why), count)| ([("stage", *stage), ("why", why.name())], *count));
        page.counters("hearsight_lost", "Lost units", lost)
    }
}

#[test]
fn buckets_hold_what_was_counted_whatever_it_was() {
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let meter = Meter::default();
        for _ in 0..random.usize(1..400) {
            let longest = 1 << random.u32(1..33);
            let micros = random.i64(-1000..longest);
            meter.age(["words.final", "turn"][random.usize(..2)], Span::from_micros(micros));
            meter.lost("vad", Lost::TooOld, random.u32(..100));
        }
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Only(meter)));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        families(&text).iter().for_each(|(name, family)| check(name, family));
    }
}
