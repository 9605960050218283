//! `make bench-graph`: what one hop through a link of ours costs, on one thread and from one thread to another, beside a
//! bounded tokio channel and a GStreamer queue that do the same in the same run. A table for people and, in the last
//! line, one JSON object. `--rounds N` takes the median of N rounds.

mod count;
mod crossing;
mod others;
mod ours;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use hearsight_core::media::{Codec, Decoded, Flow, MotionField, Packet, Picture, Plane, Planes};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment};
use hearsight_live::clock::Clock;
use hearsight_tests::rig::{commit, machine};
use serde_json::json;
use tokio::sync::mpsc;

use crossing::Crossing;
use ours::{Chain, Live};

#[global_allocator]
static COUNTED: count::Counted = count::Counted;

/// Links of the chain on one thread, and units in each of its rounds.
const HOPS: usize = 16;
const UNITS: usize = 500;

/// Crossings in each round.
const WAKES: usize = 60;
const BURSTS: usize = 4;

/// Stages by which the longer of two graphs under the live host is longer.
const RELAYS: usize = 16;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let rounds = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => 100,
        (Some("--rounds"), Some(number)) if number.parse().is_ok_and(|rounds: usize| rounds > 0) => {
            number.parse().unwrap_or(100)
        }
        (Some(other), _) => {
            eprintln!("bench-graph: can't use {other}; there is --rounds N");
            return ExitCode::FAILURE;
        }
    };
    match measure(rounds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench-graph: {why:#}");
            ExitCode::FAILURE
        }
    }
}

/// A decoded picture of 1280×720, as the decoder hands it on.
fn picture() -> Stamped<Decoded> {
    let plane = |width: usize, height: usize| Plane {
        bytes: Arc::new(vec![128u8; width * height]),
        stride: width,
    };
    let pixels = Planes {
        y: plane(1280, 720),
        u: plane(640, 360),
        v: plane(640, 360),
    };
    let item = Decoded {
        picture: Picture {
            width: 1280,
            height: 720,
            pixels,
        },
        motion: MotionField::default(),
        key: true,
    };
    Stamped::new(MediaTime::ZERO, Moment::ZERO, item)
}

fn luma(unit: &Stamped<Decoded>) -> *const u8 {
    (*unit.item.picture.pixels.y.bytes).as_ref().as_ptr()
}

/// A packet of sound, as ingest lets it in.
fn packet() -> Stamped<Packet> {
    let item = Packet {
        codec: Codec::Opus,
        payload: vec![0; 120].into(),
        key: true,
        missing: 0,
    };
    Stamped::new(MediaTime::ZERO, Moment::ZERO, item)
}

/// What was measured in each round, in nanoseconds, and what was allocated on the way.
#[derive(Default)]
struct Figures {
    /// On one thread: packets and pictures, through our links and through tokio's channel.
    links: [Vec<f64>; 2],
    channel: [Vec<f64>; 2],
    allocations: u64,
    hops: u64,
    /// For each crossing: woken each time, and in bursts.
    wake: [Vec<f64>; CROSSINGS.len()],
    burst: [Vec<f64>; CROSSINGS.len()],
}

/// Those who carry a unit to another thread, in the order of the table.
const CROSSINGS: [&str; 5] = [
    "ours, onto a session's task",
    "ours, onto it and through 16 stages",
    "ours, onto an engine thread",
    "tokio mpsc, onto a task",
    "GStreamer queue",
];
const OURS: usize = 3;

fn measure(rounds: usize) -> Result<()> {
    let clock = Clock::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let mut crossings = [
        Crossing::new(clock, |arrivals| Live::task(clock, 0, picture(), arrivals))?,
        Crossing::new(clock, |arrivals| Live::task(clock, RELAYS, picture(), arrivals))?,
        Crossing::new(clock, |arrivals| Live::engine(clock, picture(), arrivals))?,
        Crossing::new(clock, |arrivals| Ok(others::Tokio::new(clock, picture(), arrivals)))?,
        Crossing::new(clock, |arrivals| others::Gst::new(clock, 1280 * 720 * 3 / 2, arrivals))?,
    ];
    let (packets, pictures) = (Chain::draw(HOPS), Chain::draw(HOPS));
    let mut figures = Figures::default();
    // The first tenth warms up: queues find their size, caches their contents.
    for round in 0..rounds + rounds.div_ceil(10) {
        if round == rounds.div_ceil(10) {
            figures = Figures::default();
        }
        figures.here(clock, 0, &packets, packet())?;
        let before = picture();
        let place = luma(&before);
        let after = figures.here(clock, 1, &pictures, before)?;
        ensure!(luma(&after) == place, "the pixels are not where they were");
        // Whoever goes first in one round goes last in another.
        for turn in 0..CROSSINGS.len() {
            let which = (round + turn) % CROSSINGS.len();
            figures.there(which, &mut crossings[which])?;
        }
    }
    figures.print();
    Ok(())
}

impl Figures {
    /// One round on one thread, with the payload `what`; the unit comes back out.
    fn here<T: Flow + Clone>(
        &mut self,
        clock: Clock,
        what: usize,
        chain: &Chain<T>,
        unit: Stamped<T>,
    ) -> Result<Stamped<T>> {
        let mut unit = unit;
        let hops = (UNITS * HOPS) as f64;
        let before = count::allocations();
        let began = clock.now();
        for _ in 0..UNITS {
            unit = chain.pass(began, unit).context("a unit was lost on the way")?;
        }
        let took = clock.now() - began;
        self.allocations += count::allocations() - before;
        self.hops += (UNITS * HOPS) as u64;
        self.links[what].push(took.nanos() as f64 / hops);

        let (to, mut from) = mpsc::channel(Crossing::BURST);
        let began = clock.now();
        for _ in 0..UNITS * HOPS {
            to.try_send(unit).ok().context("the channel is full")?;
            unit = from.try_recv()?;
        }
        let took = clock.now() - began;
        self.channel[what].push(took.nanos() as f64 / hops);
        Ok(unit)
    }

    /// One round of one crossing.
    fn there(&mut self, which: usize, crossing: &mut Crossing) -> Result<()> {
        let (mut wakes, mut bursts) = ([0.0; WAKES], [0.0; BURSTS]);
        let before = count::allocations();
        for wake in &mut wakes {
            *wake = crossing.wake()?.nanos() as f64;
        }
        for burst in &mut bursts {
            *burst = crossing.burst()?.nanos() as f64;
        }
        if which < OURS {
            self.allocations += count::allocations() - before;
            self.hops += (WAKES + BURSTS * Crossing::BURST) as u64;
        }
        self.wake[which].extend(wakes);
        self.burst[which].extend(bursts);
        Ok(())
    }

    fn print(&mut self) {
        let [packet, picture] = self.links.each_mut().map(|rounds| median(rounds));
        let [their_packet, their_picture] = self.channel.each_mut().map(|rounds| median(rounds));
        println!(
            "{:<42} {:>9} {:>9}",
            "a hop on one thread, ns, p50", "packet", "picture"
        );
        println!(
            "{:<42} {packet:>9.1} {picture:>9.1}",
            "ours: push, pop, step, stamp, pass on"
        );
        println!(
            "{:<42} {their_packet:>9.1} {their_picture:>9.1}",
            "tokio mpsc: try_send, try_recv"
        );
        println!(
            "{:<42} {:>9} {:>9}",
            "a picture to another thread, ns, p50", "woken", "in bursts"
        );
        let woken = self.wake.each_mut().map(|rounds| median(rounds));
        let bursts = self.burst.each_mut().map(|rounds| median(rounds));
        for ((name, woken), burst) in CROSSINGS.iter().zip(woken).zip(bursts) {
            println!("{name:<42} {woken:>9.0} {burst:>9.0}");
        }
        let [task, through, engine, tokio, gst] = woken;
        println!(
            "woken, ours over tokio's: {:.2} onto a task, {:.2} onto an engine thread; one stage more on a task: {:.0} ns, two \
             readings of the clock with it",
            task / tokio,
            engine / tokio,
            (bursts[1] - bursts[0]) / RELAYS as f64,
        );
        println!(
            "{} allocations in {} hops of ours; pixels stay where they are (compared by address)",
            self.allocations, self.hops
        );
        let last = json!({
            "hop_ns": round(packet), "hop_wake_ns": round(task), "hop_allocs": self.allocations as f64 / self.hops as f64,
            "tokio_mpsc_ns": round(tokio), "gst_queue_ns": round(gst),
            "hop_picture_ns": round(picture), "hop_wake_engine_ns": round(engine), "hop_wake_17_ns": round(through),
            "tokio_mpsc_same_thread_ns": { "packet": round(their_packet), "picture": round(their_picture) },
            "burst_ns": {
                "task": round(bursts[0]), "engine": round(bursts[2]),
                "tokio_mpsc": round(bursts[3]), "gst_queue": round(bursts[4]),
            },
            "pixel_copies": 0, "machine": machine(), "commit": commit(),
            "notes": {
                "hop_ns": "a packet of sound in its envelope; hop_picture_ns is a decoded picture in its",
                "hop_wake_ns": "one way, from before the push on one thread to a picture in the hands of a task, asleep until \
                    then, of the same tokio runtime as tokio_mpsc_ns; hop_wake_17_ns through 16 stages more",
            },
        });
        println!("{last}");
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn round(nanos: f64) -> f64 {
    (nanos * 10.0).round() / 10.0
}
