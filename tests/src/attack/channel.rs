//! A peer that says too much.

use std::time::Duration;

use hearsight::send::Heard;
use hearsight_live::clock::Clock;

use super::media::dial;
use super::{Toll, Victim, pace};
use crate::fuzz::{mutate, seeds};

/// Messages a burst, and between bursts: 2,000 a second.
const BURST: (usize, Duration) = (10, Duration::from_millis(5));

/// Questions and flushes, which must be answered, for some seconds; then damaged messages and ones beyond bounds, until the
/// server has enough. Every other connection never reads what is said to it.
pub(super) async fn flood(victim: Victim, mut random: fastrand::Rng, toll: Toll) {
    let clock = Clock::new();
    let url = format!("http://{}/whip/channel", victim.http);
    let good = seeds::of("messages");
    for connection in 0u64.. {
        let Some((publisher, mut heard)) = dial(&victim, &url, clock, &toll).await else {
            return;
        };
        let mut pace = pace(BURST.1);
        let mut bursts = 0u32;
        'connected: loop {
            tokio::select! {
                () = victim.over() => {
                    publisher.close().await;
                    return;
                }
                news = heard.recv(), if connection % 2 == 0 => match news {
                    Some(Heard::Gone(_)) | None => break 'connected,
                    Some(_) => toll.taken(),
                },
                _ = pace.tick() => {
                    bursts += 1;
                    for _ in 0..BURST.0 {
                        let text = message(&mut random, &good, bursts);
                        toll.sent();
                        if publisher.say(&text).await.is_err() {
                            break 'connected;
                        }
                    }
                }
            }
        }
        publisher.close().await;
    }
}

fn message(random: &mut fastrand::Rng, good: &[Vec<u8>], bursts: u32) -> String {
    match random.u8(0..10) {
        0..3 => format!(r#"{{"type":"clock","t0_us":{}}}"#, random.i64(..)),
        3 => r#"{"type":"flush","why":"seek"}"#.to_owned(),
        4 => format!(
            r#"{{"type":"clock.offset","offset_us":{},"error_us":{}}}"#,
            random.i64(..),
            random.i64(..)
        ),
        5 => format!(
            r#"{{"type":"shown","id":{},"received_us":0,"shown_us":{}}}"#,
            random.u8(..),
            random.i64(..)
        ),
        6 => format!(
            r#"{{"type":"ask","id":{},"text":"{}"}}"#,
            random.u8(..),
            "why? ".repeat(random.usize(0..700))
        ),
        7 => format!(r#"{{"type":"ask.cancel","id":{}}}"#, random.u8(..)),
        _ if bursts < 400 => r#"{"type":"of.tomorrow"}"#.to_owned(),
        8 => "[".repeat(random.usize(1..20_000)),
        _ => String::from_utf8_lossy(&mutate::any(random, good)).into_owned(),
    }
}
