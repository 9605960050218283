//! What the flights come to: pooled, compared, with intervals.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::flown::{Flown, Scheme};
use crate::material::Material;

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2_000;
/// Accuracy that is not worse than another's by more is as good.
const MARGIN: f64 = 0.01;

/// One scheme over all recordings.
#[derive(Clone, Debug)]
pub(crate) struct Pooled {
    /// Recording by recording, question by question.
    pub answered: Vec<bool>,
    /// Share of questions answered.
    pub accuracy: f64,
    /// The same by glance.
    pub glance: f64,
    /// Kilobits per second, mean over recordings.
    pub kbps: f64,
    /// Capture to decoded.
    pub mean: f64,
    /// The same, of twenty pictures the nineteenth.
    pub p95: f64,
    /// Stalls in all.
    pub stalls: usize,
}

impl Pooled {
    /// Of flights in the order of the recordings.
    pub(crate) fn new(flown: Vec<&Flown>) -> Pooled {
        let answered: Vec<bool> = flown.iter().flat_map(|flown| flown.answered.iter().copied()).collect();
        let glanced: Vec<bool> = flown.iter().flat_map(|flown| flown.glanced.iter().copied()).collect();
        let mut late: Vec<f64> = flown.iter().flat_map(|flown| flown.late.iter().copied()).collect();
        late.sort_by(f64::total_cmp);
        let count = late.len().max(1);
        Pooled {
            accuracy: share(&answered),
            glance: share(&glanced),
            answered,
            kbps: flown.iter().map(|flown| flown.kbps).sum::<f64>() / flown.len().max(1) as f64,
            mean: late.iter().sum::<f64>() / count as f64,
            p95: late.get(count * 95 / 100).copied().unwrap_or(f64::NAN),
            stalls: flown.iter().map(|flown| flown.stalls).sum(),
        }
    }

    fn json(&self) -> Value {
        json!({
            "accuracy": self.accuracy, "kbps": self.kbps, "latency_ms_mean": self.mean, "latency_ms_p95": self.p95,
            "stalls": self.stalls, "accuracy_glance": self.glance,
        })
    }
}

/// Every scheme over every recording.
fn by_trace(flights: &crate::Flights, material: &Material) -> Value {
    let traces = material.traces.iter().enumerate().map(|(index, recording)| {
        let of = flights.iter().filter(|((_, trace), _)| *trace == index);
        let schemes = of.map(|((scheme, _), flown)| (scheme.name(), Pooled::new(vec![flown]).json()));
        (recording.name.clone(), Value::Object(schemes.collect()))
    });
    Value::Object(traces.collect())
}

fn share(answered: &[bool]) -> f64 {
    answered.iter().filter(|answered| **answered).count() as f64 / answered.len().max(1) as f64
}

/// Everything that is told.
pub(crate) struct Figures {
    pooled: BTreeMap<Scheme, Pooled>,
    best_fixed: Scheme,
    gain: Option<f64>,
    saved: Option<f64>,
    /// Accuracy of these less that of uniform, and its interval of 95 %.
    differences: [(&'static str, (f64, f64, f64)); 2],
}

impl Figures {
    /// Compares.
    pub(crate) fn new(pooled: &BTreeMap<Scheme, Pooled>) -> Figures {
        let fixed = || pooled.iter().filter(|(scheme, _)| matches!(scheme, Scheme::Fixed(_)));
        // The most accurate; of equals the one that takes the fewest bits.
        let best = fixed().max_by(|one, other| {
            let accuracy = one.1.accuracy.total_cmp(&other.1.accuracy);
            accuracy.then(other.1.kbps.total_cmp(&one.1.kbps))
        });
        let best_fixed = best.map_or(Scheme::Uniform, |(scheme, _)| *scheme);
        let uniform = &pooled[&Scheme::Uniform];
        let less = |scheme: Scheme| bootstrap(&pooled[&scheme].answered, &uniform.answered);
        let alike: Vec<(f64, f64)> = fixed()
            .map(|(_, pooled)| (pooled.kbps, pooled.accuracy))
            .chain([(uniform.kbps, uniform.accuracy)])
            .collect();
        let thin = pooled
            .iter()
            .filter(|(scheme, pooled)| scheme.is_ours() && pooled.kbps <= 400.0)
            .map(|(_, pooled)| pooled);
        let gain = thin
            .filter_map(|pooled| Some(pooled.accuracy - at(&alike, pooled.kbps)?))
            .reduce(f64::max);
        let as_good = pooled
            .iter()
            .filter(|(scheme, pooled)| scheme.is_ours() && pooled.accuracy >= uniform.accuracy - MARGIN)
            .map(|(_, pooled)| 1.0 - pooled.kbps / uniform.kbps);
        Figures {
            best_fixed,
            gain,
            saved: as_good.reduce(f64::max),
            differences: [("cap_regions", less(Scheme::CapRegions)), ("full", less(Scheme::Full))],
            pooled: pooled.clone(),
        }
    }

    /// A table for people.
    pub(crate) fn print(&self, flights: &crate::Flights, material: &Material) {
        println!("questions about signs over recorded uplinks:");
        println!(
            "  {:<14} {:>8} {:>8} {:>8} {:>9} {:>9} {:>7}",
            "", "reader", "glance", "kbit/s", "mean ms", "p95 ms", "stalls"
        );
        for (scheme, pooled) in &self.pooled {
            let mark = if *scheme == self.best_fixed {
                " (best fixed)"
            } else {
                ""
            };
            println!(
                "  {:<14} {:>6.1} % {:>6.1} % {:>8.0} {:>9.0} {:>9.0} {:>7}{mark}",
                scheme.name(),
                pooled.accuracy * 100.0,
                pooled.glance * 100.0,
                pooled.kbps,
                pooled.mean,
                pooled.p95,
                pooled.stalls
            );
        }
        for (index, recording) in material.traces.iter().enumerate() {
            println!("  {}:", recording.name);
            for ((scheme, _), flown) in flights.iter().filter(|((_, trace), _)| *trace == index) {
                let one = Pooled::new(vec![flown]);
                println!(
                    "    {:<12} {:>6.1} % {:>6.1} % {:>8.0} {:>9.0} {:>9.0} {:>7}",
                    scheme.name(),
                    one.accuracy * 100.0,
                    one.glance * 100.0,
                    one.kbps,
                    one.mean,
                    one.p95,
                    one.stalls
                );
            }
        }
        for (name, (middle, low, high)) in self.differences {
            println!(
                "  {name} less uniform: {:+.1} points [{:+.1}, {:+.1}]",
                middle * 100.0,
                low * 100.0,
                high * 100.0
            );
        }
    }

    /// Why a figure could not be had.
    fn notes(&self) -> Value {
        let mut notes = Map::new();
        if self.gain.is_none() {
            notes.insert(
                "accuracy_gain_at_400kbps".into(),
                json!("no scheme of ours stayed below 400 kbit/s where uniform ones did"),
            );
        }
        if self.saved.is_none() {
            let why = "no scheme of ours was as accurate as uniform, within a point";
            notes.insert("bits_saved_at_equal_accuracy".into(), json!(why));
        }
        Value::Object(notes)
    }

    /// The figures under the names that benches have.
    pub(crate) fn json(&self, flights: &crate::Flights, material: &Material) -> Value {
        let mut told = Map::new();
        for (scheme, name) in [
            (Scheme::Crates, "webrtc"),
            (Scheme::Uniform, "uniform"),
            (self.best_fixed, "best_fixed"),
            (Scheme::Cap, "cap"),
            (Scheme::CapRegions, "cap_regions"),
            (Scheme::Full, "full"),
        ] {
            told.insert(name.into(), self.pooled[&scheme].json());
        }
        let cellular: Vec<usize> = (0..material.traces.len())
            .filter(|index| material.traces[*index].cellular)
            .collect();
        let p95 = |scheme: Scheme| {
            let of = flights
                .iter()
                .filter(|((one, trace), _)| *one == scheme && cellular.contains(trace));
            Pooled::new(of.map(|(_, flown)| flown).collect()).p95
        };
        let less_uniform: Map<String, Value> = self
            .differences
            .iter()
            .map(|(name, (middle, low, high))| {
                (name.to_string(), json!({"accuracy": middle, "low": low, "high": high}))
            })
            .collect();
        told.extend([
            ("accuracy_gain_at_400kbps".into(), json!(self.gain)),
            ("bits_saved_at_equal_accuracy".into(), json!(self.saved)),
            (
                "p95_gain_ms".into(),
                json!(p95(Scheme::Uniform) - p95(Scheme::CapRegions)),
            ),
            (
                "p95_gain_over_webrtc_ms".into(),
                json!(p95(Scheme::Crates) - p95(Scheme::CapRegions)),
            ),
            ("best_fixed_cap".into(), json!(self.best_fixed.name())),
            ("less_uniform".into(), Value::Object(less_uniform)),
            ("questions".into(), json!(self.pooled[&Scheme::Uniform].answered.len())),
            ("by_trace".into(), by_trace(flights, material)),
            ("notes".into(), self.notes()),
        ]);
        Value::Object(told)
    }
}

impl Scheme {
    fn is_ours(&self) -> bool {
        matches!(
            self,
            Scheme::Cap | Scheme::CapRegions | Scheme::Full | Scheme::FullBelow(_)
        )
    }
}

/// Accuracy at a rate, between the nearest two that were flown; below the least, that of the least, which had more bits; none above.
fn at(points: &[(f64, f64)], kbps: f64) -> Option<f64> {
    let mut points = points.to_vec();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    let kbps = kbps.max(points.first()?.0);
    points
        .windows(2)
        .find(|pair| (pair[0].0..=pair[1].0).contains(&kbps))
        .map(|pair| {
            let share = (kbps - pair[0].0) / (pair[1].0 - pair[0].0).max(1e-9);
            pair[0].1 + share * (pair[1].1 - pair[0].1)
        })
}

/// The mean of the paired differences, and between what 95 of a hundred resamples lie.
fn bootstrap(one: &[bool], other: &[bool]) -> (f64, f64, f64) {
    let pairs: Vec<f64> = one
        .iter()
        .zip(other)
        .map(|(one, other)| f64::from(u8::from(*one)) - f64::from(u8::from(*other)))
        .collect();
    let mut random = fastrand::Rng::with_seed(1);
    let count = pairs.len().max(1);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            (0..pairs.len())
                .map(|_| pairs[random.usize(0..pairs.len())])
                .sum::<f64>()
                / count as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let mean = pairs.iter().sum::<f64>() / count as f64;
    (mean, means[RESAMPLES / 40], means[RESAMPLES - RESAMPLES / 40 - 1])
}
