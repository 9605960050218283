//! The controller by itself: pictures of as many bits as it allows, over every recording, beside the `webrtc` crate's own.

use anyhow::{Context, Result};
use hearsight::laboratory::trace;
use hearsight::send::estimate::Crates;
use hearsight_core::congestion::{Controller, Limits};
use hearsight_core::network::flight::{Control, Flight};
use hearsight_core::network::uplink::{Path, Trace, Uplink};
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;
use serde_json::{Value, json};

use crate::material;

/// How long each flies.
const SECONDS: i64 = 110;
/// A camera's pictures, at most so many bits a second.
const MOST: u32 = 3_150_000;
const RECORDINGS: [&str; 12] = [
    "mahimahi/Verizon-EVDO-driving.up",
    "mahimahi/TMobile-UMTS-driving.up",
    "mahimahi/ATT-LTE-driving.up",
    "mahimahi/ATT-LTE-driving-2016.up",
    "mahimahi/Verizon-LTE-short.up",
    "mahimahi/TMobile-LTE-short.up",
    "opennetlab/4G_500kbps.json",
    "opennetlab/4G_700kbps.json",
    "opennetlab/4G_3mbps.json",
    "opennetlab/WIRED_200kbps.json",
    "opennetlab/WIRED_900kbs.json",
    "opennetlab/trace_300k.json",
];

/// Bits that arrived of those that the link could have carried of [`MOST`], and how late pictures came.
struct Flown {
    share: f64,
    mean: f64,
    p95: f64,
}

/// Flies both over every recording; a table, and the figures.
pub(crate) fn compare() -> Result<Value> {
    println!("controllers over recorded uplinks, {SECONDS} s each, 30 pictures a second:");
    println!(
        "  {:<26} {:>24}   {:>24}",
        "", "ours: used  mean   p95", "webrtc's: used  mean  p95"
    );
    let mut all = serde_json::Map::new();
    for file in RECORDINGS {
        let path = material::traces().join(file);
        let trace = trace::read(&path).with_context(|| format!("{}", path.display()))?;
        let limits = Limits {
            most: MOST,
            ..Limits::default()
        };
        let ours = fly(&trace, Controller::new(limits));
        let theirs = fly(&trace, Crates::new(limits, Clock::new()));
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let row = |result: &Flown| {
            format!(
                "{:>5.0} % {:>5.0} {:>6.0} ms",
                result.share * 100.0,
                result.mean,
                result.p95
            )
        };
        println!("  {name:<26} {:>24}   {:>24}", row(&ours), row(&theirs));
        let told = |result: &Flown| json!({"used_share": result.share, "latency_ms_mean": result.mean, "latency_ms_p95": result.p95});
        all.insert(name, json!({"ours": told(&ours), "webrtc": told(&theirs)}));
    }
    Ok(Value::Object(all))
}

fn fly(trace: &Trace, control: impl Control) -> Flown {
    let uplink = Uplink::new(trace.clone(), Path::default(), Moment::ZERO, 1);
    let mut flight = Flight::new(uplink, control, Span::from_millis(30), Moment::ZERO);
    let mut late = Vec::new();
    let mut random = fastrand::Rng::with_seed(1);
    let (mut carried, mut able) = (0.0, 0.0);
    for number in 0..SECONDS * 30 {
        let now = Moment::ZERO + Span::from_samples(number, 30);
        flight.run(now);
        if flight.backlog(now) < Span::from_millis(200) {
            let bytes = f64::from(flight.target(now)) / 240.0 * (0.7 + random.f64() * 0.6);
            flight.send(now, number as u64, now, bytes as usize);
        }
        late.extend(
            flight
                .landed(now)
                .iter()
                .map(|landed| (landed.at - landed.born).millis_f64()),
        );
        let span = now - Moment::ZERO;
        let left = trace.bits_before(span + Span::from_samples(1, 30)) - trace.bits_before(span);
        able += left.min(f64::from(MOST) / 30.0);
        carried = flight.sent() as f64 * 8.0;
    }
    late.sort_by(f64::total_cmp);
    let count = late.len().max(1);
    Flown {
        share: carried / able,
        mean: late.iter().sum::<f64>() / count as f64,
        p95: late.get(count * 95 / 100).copied().unwrap_or(f64::NAN),
    }
}
