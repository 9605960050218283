//! What sessions cost: processor time and memory of a server that does nothing else.

use std::time::Duration;

use anyhow::{Result, ensure};
use hearsight_core::time::Span;
use hearsight_live::clock::Clock;
use hearsight_tests::rig::material::{self, Track};
use hearsight_tests::rig::process;
use serde_json::{Value, json};

use crate::decode::{self, Pace};
use crate::load::{self, Load};
use crate::server::{Server, Work};
use crate::{median, round};

/// Rounds of decoding, and how long a session is watched in each.
const ROUNDS: usize = 3;
const WATCHED: Span = Span::from_secs(10);

/// Sessions at which memory is read.
const STEPS: [usize; 4] = [1, 2, 4, 8];

/// Sessions without decoding, and how long they are watched.
const MANY: usize = 200;
const MANY_WATCHED: Span = Span::from_secs(10);

/// One session with decoding, and the bare decoder on the same units.
pub(crate) fn decode() -> Result<Value> {
    let (talk, scene) = (material::talk()?, material::scene(5)?);
    let vectors = Some("+export_mvs");
    let mut ratios: [Vec<f64>; 4] = Default::default();
    let mut sizes = Vec::new();
    for _ in 0..ROUNDS {
        let one = one_session(&talk, &scene)?;
        let theirs = [
            one.beside,
            bare(&scene, &talk, vectors, Pace::Live)?,
            bare(&scene, &talk, None, Pace::Full)?,
            bare(&scene, &talk, vectors, Pace::Full)?,
        ];
        for (ratios, theirs) in ratios.iter_mut().zip(theirs) {
            ratios.push(one.ours / theirs);
        }
        let [beside, with_vectors, full, full_vectors] = theirs.map(|seconds| seconds * 1e3);
        println!(
            "one session: {:.2} ms of processor a picture and its sound; bare, in the same seconds {beside:.2}, at that pace \
             with motion vectors {with_vectors:.2}, as fast as it goes {full:.2} ({full_vectors:.2})",
            one.ours * 1e3,
        );
        sizes.push(one.bytes);
    }
    let [paced, paced_vectors, full, full_vectors] = ratios.each_mut().map(|ratios| round(median(ratios), 3));
    println!(
        "ratio to bare decoding: {paced} in the same seconds ({paced_vectors} with vectors), {full} at full speed \
         ({full_vectors})"
    );
    println!("{}", path());
    Ok(json!({
        "cpu_ratio_to_decode": paced,
        "cpu_ratio": {
            "paced": paced, "paced_with_vectors": paced_vectors, "full_speed": full, "full_speed_with_vectors": full_vectors,
        },
        "bytes_per_picture": round(median(&mut sizes), 0),
        "copies_per_coded_byte": COPIES.len(),
        "notes": {
            "cpu_ratio_to_decode": "a process with ingest, Opus to 16 kHz and H.264 with motion vectors, no voice detection, no \
                recognition; over libavcodec's h264 (one thread, no vectors), given the same pictures at the same moments, and \
                its opus on the same packets; cpu_ratio has the variants",
            "copies_per_coded_byte": "read off the path, not measured; pixels are not copied at all",
        },
    }))
}

/// Where a coded byte of a picture is copied, from the kernel's buffer to the decoder's: read off the path.
const COPIES: [&str; 6] = [
    "kernel to the ingest thread's buffer (recvfrom)",
    "out of it, decrypted (SRTP)",
    "into the jitter buffer",
    "out of it, into a whole unit with start codes (depacketiser)",
    "into the shared unit that flows from there on",
    "into libavcodec's padded packet",
];

fn path() -> String {
    format!(
        "copies of each coded byte: {}: {}; of a decoded picture: none, its planes are the decoder's own memory",
        COPIES.len(),
        COPIES.join(", ")
    )
}

/// What one session took.
struct One {
    /// Seconds of processor for each picture and its sound.
    ours: f64,
    /// The same for the bare decoder, in the same seconds.
    beside: f64,
    /// Coded bytes for each picture and its sound.
    bytes: f64,
}

fn one_session(talk: &Track, scene: &Track) -> Result<One> {
    let mut server = Server::start(Work::Decode)?;
    let mut load = Load::new(Clock::new())?;
    load.join(&mut server, Span::from_millis(100), (talk, scene))?;
    // The first second connects, allocates and fills caches.
    load.run(Span::from_secs(1))?;
    let (before, seen) = (process::processor_time(server.pid())?, server.counted()?);
    // The bare decoder works in the same seconds, so that whatever else the machine does disturbs both alike.
    let (same_scene, same_talk) = (scene.clone(), talk.clone());
    let beside = std::thread::Builder::new()
        .name("bare-decoder".into())
        .spawn(move || bare(&same_scene, &same_talk, None, Pace::Live))?;
    load.run(WATCHED)?;
    let (took, now) = (process::processor_time(server.pid())? - before, server.counted()?);
    let beside = beside
        .join()
        .map_err(|_| anyhow::anyhow!("the bare decoder panicked"))??;
    let pictures = (now.pictures - seen.pictures) as f64;
    let samples = (now.samples - seen.samples) as f64;
    ensure!(
        pictures + 30.0 >= scene.count(WATCHED) as f64 && samples >= 14_000.0 * WATCHED.secs_f64(),
        "only {pictures} pictures and {samples} samples came out"
    );
    Ok(One {
        ours: took.as_secs_f64() / pictures,
        beside,
        bytes: (now.bytes - seen.bytes) as f64 / pictures,
    })
}

/// Seconds of processor that libavcodec takes for each picture and the sound beside it.
fn bare(scene: &Track, talk: &Track, flags: Option<&str>, pace: Pace) -> Result<f64> {
    let count = scene.count(WATCHED);
    let seen = decode::pictures(scene, count, flags, pace)?;
    // Sound comes in between the pictures; it is decoded afterwards, and its time is added.
    let heard = decode::sound(talk, talk.count(WATCHED), Pace::Full)?;
    Ok((seen + heard).as_secs_f64() / count as f64)
}

/// The slope of memory over sessions with decoding.
pub(crate) fn memory() -> Result<Value> {
    let (talk, scene) = (material::talk()?, material::scene(5)?);
    let mut server = Server::start(Work::Decode)?;
    let mut load = Load::new(Clock::new())?;
    let mut points = Vec::new();
    for step in STEPS {
        while load.count() < step {
            load.join(&mut server, Span::from_millis(10), (&talk, &scene))?;
        }
        // Whole seconds of pictures, so that every buffer that a decoder wants is there.
        load.run(Span::from_secs(4))?;
        let held = process::held(server.pid())?;
        println!(
            "{step} sessions with decoding: {:.1} MB resident, {:.1} of them its own; {} threads",
            held.resident_kb as f64 / 1024.0,
            held.anonymous_kb as f64 / 1024.0,
            held.threads
        );
        points.push((step as f64, held.resident_kb as f64 / 1024.0));
    }
    let slope = round(slope(&points), 2);
    println!("{slope} MB a session");
    Ok(json!({ "rss_per_session_mb": slope }))
}

/// Many sessions on one port without decoding.
pub(crate) fn many() -> Result<Value> {
    let (sound, picture) = load::dummies();
    let clock = Clock::new();
    let mut server = Server::start(Work::Bare)?;
    // Its first answer comes when it is up.
    server.counted()?;
    let empty = process::held(server.pid())?;
    let mut load = Load::new(clock)?;
    let began = clock.now();
    while load.count() < MANY {
        // Idle until all stand: their sound and pictures begin together, spread over one picture's interval.
        let spread = Span::from_micros(200) * load.count() as i64;
        load.join(&mut server, Span::from_secs(3_600) + spread, (&sound, &picture))?;
    }
    println!("{MANY} sessions stand after {:.1} s", (clock.now() - began).secs_f64());
    let idle = process::held(server.pid())?;
    load.start_all(Span::from_micros(200));
    load.run(Span::from_secs(2))?;
    let (before, counted) = (process::processor_time(server.pid())?, server.counted()?);
    let (own, watched) = (process::own_time(), clock.now());
    let sent = load.run(MANY_WATCHED)?;
    let span = (clock.now() - watched).secs_f64();
    let own = process::own_time() - own;
    let took = process::processor_time(server.pid())? - before;
    let received = server.counted()?.packets - counted.packets;
    let held = process::held(server.pid())?;
    let per = |time: Duration, packets: u64| time.as_secs_f64() * 1e3 / (packets as f64 / 10_000.0);
    let cost = round(per(took, received), 1);
    let resident = round(held.resident_kb as f64 / 1024.0, 1);
    println!(
        "{MANY} sessions: {:.0} packets/s sent of {} wanted, {:.0} datagrams/s taken; {:.2} cores, {cost} ms per 10k \
         datagrams ({:.1} per 10k packets sent); the callers took {:.2} cores",
        sent as f64 / span,
        300 * MANY,
        received as f64 / span,
        took.as_secs_f64() / span,
        per(took, sent),
        own.as_secs_f64() / span,
    );
    println!(
        "{resident} MB resident, {:.1} of them its own; before the first packet {:.1} and {:.1}, without sessions {:.1} and {:.1}",
        held.anonymous_kb as f64 / 1024.0,
        idle.resident_kb as f64 / 1024.0,
        idle.anonymous_kb as f64 / 1024.0,
        empty.resident_kb as f64 / 1024.0,
        empty.anonymous_kb as f64 / 1024.0
    );
    Ok(json!({
        "cpu_ms_per_10k_packets": round(per(took, sent.min(received)), 1),
        "rss_200_sessions_mb": resident,
        "rss_200_sessions_own_mb": round(held.anonymous_kb as f64 / 1024.0, 1),
        "rss_no_session_mb": round(empty.resident_kb as f64 / 1024.0, 1),
        "packets_per_s": { "wanted": 300 * MANY, "sent": round(sent as f64 / span, 0), "taken": round(received as f64 / span, 0) },
        "notes": { "rss_200_sessions_mb": "with the pages of the codec libraries that this program maps and does not use here; \
            rss_200_sessions_own_mb is what it allocated" },
    }))
}

/// The slope of the line with the least squares through some points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let both: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    both / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}
