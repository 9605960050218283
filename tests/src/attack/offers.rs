//! Floods of offers.

use std::time::Duration;

use super::http::request;
use super::{Toll, Victim, pace};
use crate::fuzz::{mutate, seeds};

/// Fifty damaged offers a second. Some of them are still good, and are taken.
pub(super) async fn broken(victim: Victim, mut random: fastrand::Rng, toll: Toll) {
    let mut all = seeds::of("offer");
    all.extend(seeds::beside("fuzz-seeds/sdp-corpus"));
    let mut pace = pace(Duration::from_millis(20));
    loop {
        pace.tick().await;
        post(&victim, &toll, &mutate::any(&mut random, &all)).await;
    }
}

/// Ten good offers a second that nobody connects to.
pub(super) async fn half_open(victim: Victim, toll: Toll) {
    let all = seeds::of("offer");
    let mut pace = pace(Duration::from_millis(100));
    for offer in all.iter().cycle() {
        pace.tick().await;
        post(&victim, &toll, offer).await;
    }
}

async fn post(victim: &Victim, toll: &Toll, offer: &[u8]) {
    toll.sent();
    match request(victim.from, victim.http, "POST", "/whip/attack", offer).await {
        Ok(answer) if answer.status == 201 => toll.taken(),
        _ => toll.refused(),
    }
}
