//! The figures of an exam, for people and for machines.

use hearsight_tests::scenes::Family;
use serde_json::{Map, Value, json};

use crate::exam::{Given, LARGE, Marked};
use crate::figures::{Share, calibration_error, mean, mean_interval, median, rank_correlation};
use crate::overload::Outcome;
use crate::reading::Times;

/// Who answered.
#[derive(Clone, Copy)]
enum Engine {
    Reader,
    Glance,
}

impl Engine {
    const BOTH: [Engine; 2] = [Engine::Reader, Engine::Glance];

    fn name(self) -> &'static str {
        match self {
            Engine::Reader => "reader",
            Engine::Glance => "glance",
        }
    }

    fn of(self, marked: &Marked) -> Option<&Given> {
        match self {
            Engine::Reader => marked.reader.as_ref(),
            Engine::Glance => Some(&marked.glance),
        }
    }

    fn share<'a>(self, marked: impl IntoIterator<Item = &'a Marked>) -> Share {
        Share::count(
            marked
                .into_iter()
                .filter_map(|one| self.of(one))
                .map(|given| given.right),
        )
    }

    /// Of scenes in which something was looked at.
    fn readability<'a>(self, marked: impl IntoIterator<Item = &'a Marked>) -> Vec<f64> {
        let given = marked.into_iter().filter_map(|one| self.of(one));
        given.filter_map(|given| given.readability).collect()
    }

    fn by_rate(self, marked: &[Marked], rates: &[u32], value: impl Fn(Vec<&Marked>) -> Value) -> Value {
        let all = rates.iter().map(|kbps| (kbps.to_string(), value(at(marked, *kbps))));
        Value::Object(all.collect())
    }

    /// Rank correlation of rate and mean readability.
    fn monotone(self, marked: &[Marked], rates: &[u32]) -> Option<f64> {
        let pairs = rates.iter().filter_map(|kbps| {
            let mean = mean(&self.readability(at(marked, *kbps)))?;
            Some((f64::from(*kbps), mean))
        });
        rank_correlation(&pairs.collect::<Vec<_>>())
    }

    /// Over all rates: what a person is told must hold whatever the picture is like.
    fn calibration(self, marked: &[Marked]) -> Option<f64> {
        let given = marked.iter().filter_map(|one| self.of(one));
        let claims: Vec<_> = given
            .filter_map(|given| Some((given.certainty?, given.right)))
            .collect();
        calibration_error(&claims)
    }
}

fn at(marked: &[Marked], kbps: u32) -> Vec<&Marked> {
    marked.iter().filter(|one| one.kbps == Some(kbps)).collect()
}

fn of(marked: &[Marked], family: Family, kbps: Option<u32>) -> impl Iterator<Item = &Marked> {
    marked
        .iter()
        .filter(move |one| one.family == family && one.kbps == kbps)
}

fn both(value: impl Fn(Engine) -> Value) -> Value {
    let all = Engine::BOTH.map(|engine| (engine.name().to_owned(), value(engine)));
    Value::Object(all.into_iter().collect())
}

pub(crate) fn print(marked: &[Marked], filmed: &[Marked], rates: &[u32]) {
    let clean: Vec<&Marked> = marked.iter().filter(|one| one.kbps.is_none()).collect();
    println!("scenes that nobody learnt from, as they were drawn (glance; 95 % interval):");
    for family in Family::ALL {
        println!(
            "  {:<16} {}",
            family.name(),
            Engine::Glance.share(of(marked, family, None)).text()
        );
    }
    println!("  {:<16} {}", "all", Engine::Glance.share(clean.iter().copied()).text());
    if let Some(share) = letters(&clean) {
        println!(
            "of the letters of {LARGE} pixels and more the reader read {:.1} %",
            100.0 * share
        );
    }
    for (title, marked) in [("coded as browsers do", marked), ("before real clips", filmed)] {
        if !marked.iter().any(|one| one.kbps.is_some()) {
            continue;
        }
        println!("{title}, at kbit/s (right; readability):");
        for kbps in rates {
            let row = Engine::BOTH.map(|engine| {
                let readable = mean(&engine.readability(at(marked, *kbps)));
                let readable = readable.map_or("—".into(), |mean| format!("{mean:.2}"));
                format!(
                    "{} {} {readable}",
                    engine.name(),
                    engine.share(at(marked, *kbps)).text()
                )
            });
            println!("  {kbps:>5}  {:<32} {}", row[0], row[1]);
        }
    }
    println!("by family and rate, glance:");
    for family in Family::ALL {
        let row = rates.iter().map(|kbps| {
            let share = Engine::Glance.share(of(marked, family, Some(*kbps))).value();
            share.map_or("   —".into(), |share| format!("{:>4.0}", 100.0 * share))
        });
        println!("  {:<16}{}", family.name(), row.collect::<String>());
    }
}

/// Everything that follows from the rendered scenes.
pub(crate) fn figures(marked: &[Marked], rates: &[u32]) -> Value {
    let clean: Vec<&Marked> = marked.iter().filter(|one| one.kbps.is_none()).collect();
    let by_family = |engine: Engine| -> Value {
        let rows = Family::ALL.map(|family| {
            let mut row = Map::new();
            row.insert("clean".into(), told(engine.share(of(marked, family, None))));
            row.extend(
                rates
                    .iter()
                    .map(|kbps| (kbps.to_string(), told(engine.share(of(marked, family, Some(*kbps)))))),
            );
            (family.name().to_owned(), Value::Object(row))
        });
        Value::Object(rows.into_iter().collect())
    };
    let readability_by_family = |engine: Engine| -> Value {
        let rows = Family::ALL.map(|family| {
            let row = rates.iter().map(|kbps| {
                (
                    kbps.to_string(),
                    json!(mean(&engine.readability(of(marked, family, Some(*kbps))))),
                )
            });
            (family.name().to_owned(), Value::Object(row.collect()))
        });
        Value::Object(rows.into_iter().collect())
    };
    let calibration = Engine::BOTH.map(|engine| engine.calibration(marked));
    let monotone = Engine::BOTH.map(|engine| engine.monotone(marked, rates));
    let mut all = json!({
        "accuracy": both(|engine| engine.by_rate(marked, rates, |some| json!(engine.share(some).value()))),
        "accuracy_interval": both(|engine| engine.by_rate(marked, rates, |some| json!(engine.share(some).interval()))),
        "accuracy_clean": told(Engine::Glance.share(clean.iter().copied())),
        "characters_clean": letters(&clean),
        "accuracy_by_family": both(by_family),
        "readability": both(|engine| engine.by_rate(marked, rates, |some| json!(mean(&engine.readability(some))))),
        "readability_interval": both(|engine| engine.by_rate(marked, rates, |some| mean_interval(&engine.readability(some)))),
        "readability_by_family": both(readability_by_family),
        "readability_clean": mean(&Engine::Glance.readability(clean)),
        "readability_rank_correlation": monotone.into_iter().flatten().reduce(f64::min),
        "readability_rank_correlation_by_engine": { "reader": monotone[0], "glance": monotone[1] },
        "calibration_error": calibration.into_iter().flatten().reduce(f64::max),
        "calibration_error_by_engine": { "reader": calibration[0], "glance": calibration[1] },
        "region_iou": mean(&marked.iter().filter_map(|one| one.overlap).collect::<Vec<_>>()),
        "scenes": marked.len(),
    });
    if let (Value::Object(all), Value::Object(costs)) = (&mut all, costs(marked)) {
        all.extend(costs);
    }
    all
}

/// How many of the large letters were read.
fn letters(marked: &[&Marked]) -> Option<f64> {
    let counts = marked.iter().filter_map(|one| one.letters);
    let (read, all) = counts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    (all > 0).then(|| read as f64 / all as f64)
}

fn told(share: Share) -> Value {
    json!({ "share": share.value(), "interval": share.interval() })
}

/// What glance took.
fn costs(marked: &[Marked]) -> Value {
    let costs = || marked.iter().map(|one| &one.cost);
    let middle = |values: Vec<f64>| median(&values);
    let token = |cost: &crate::exam::Cost| (cost.tokens > 1).then(|| cost.saying / f64::from(cost.tokens));
    json!({
        "first_token_ms": middle(costs().filter_map(|cost| cost.first_text).collect()),
        "token_ms": middle(costs().filter_map(token).collect()),
        "preprocess_share": middle(costs().map(|cost| cost.prepare / cost.whole).collect()),
        "end_to_end_ms": middle(costs().map(|cost| cost.whole).collect()),
        "inference_ms": middle(costs().map(|cost| cost.inference).collect()),
    })
}

/// What was seen before real clips.
pub(crate) fn real(filmed: &[Marked], rates: &[u32]) -> Value {
    if filmed.is_empty() {
        return Value::Null;
    }
    json!({
        "accuracy": both(|engine| engine.by_rate(filmed, rates, |some| json!(engine.share(some).value()))),
        "readability": both(|engine| engine.by_rate(filmed, rates, |some| json!(mean(&engine.readability(some))))),
    })
}

pub(crate) fn say_overload(outcome: &Outcome) {
    println!(
        "under overload: {} answers, {} refused at once, {} readings; {} later than budget and one slice",
        outcome.answers, outcome.refused, outcome.readings, outcome.late
    );
}

pub(crate) fn add_reading(figures: &mut Value, times: &Times, threads: usize) {
    let text = |ms: Option<f64>| ms.map_or("not measured".into(), |ms| format!("{ms:.0} ms"));
    let (ours, theirs) = (
        median(&times.ours),
        times.theirs.as_ref().ok().and_then(|times| median(times)),
    );
    println!(
        "reading {} lines at 640×480 on {threads} threads, median of {}:",
        times.lines,
        times.ours.len()
    );
    println!("  ours        {}", text(ours));
    println!("  rapidocr    {}", text(theirs));
    if let Err(why) = &times.theirs {
        println!("  ({why:#})");
    }
    figures["reader_ms"] = json!(ours);
    figures["rapidocr_ms"] = json!(theirs);
    figures["lines"] = json!(times.lines);
    figures["runs"] = json!(times.ours.len());
}
