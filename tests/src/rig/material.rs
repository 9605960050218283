//! What senders send: the sample talk and the project's own scene, coded once and sent as often as wanted.

use std::sync::Arc;

use anyhow::{Context, Result};
use hearsight::demo::talk::Talk;
use hearsight_core::time::{Moment, Span};

use super::root;
use super::units::{Camera, Speech};

/// Coded units, one for each equal stretch of time.
#[derive(Clone)]
pub struct Track {
    /// From one unit to the next.
    pub interval: Span,
    /// The units. Played over and over, the first follows the last.
    pub units: Arc<[Arc<[u8]>]>,
}

impl Track {
    /// Unit `n` of the endless repetition.
    pub fn unit(&self, n: usize) -> Arc<[u8]> {
        self.units[n % self.units.len()].clone()
    }
    /// When it is due, from the first.
    pub fn due(&self, n: usize) -> Span {
        self.interval * n as i64
    }
    /// How many units are due before `after`.
    pub fn count(&self, after: Span) -> usize {
        usize::try_from(after.nanos() / self.interval.nanos()).unwrap_or(0)
    }
}

/// The sample talk as Opus, 20 ms a packet, as the demo sends it.
pub fn talk() -> Result<Track> {
    let path = std::env::var_os("HEARSIGHT_DEPS").map_or_else(|| root().join(".deps"), Into::into);
    let talk = Talk::open(&path.join("talk/talk.wav")).context("the sample talk; `make setup` makes it")?;
    let mut sound = Speech::new(&talk, 1, Moment::ZERO)?;
    let mut units = Vec::new();
    while let Some(packet) = sound.next_packet()? {
        units.push(packet.item.payload);
    }
    Ok(Track {
        interval: Speech::INTERVAL,
        units: units.into(),
    })
}

/// `seconds` of the scene as H.264, 1280×720, 30 pictures a second, as the demo sends it: a key picture and what follows.
pub fn scene(seconds: u64) -> Result<Track> {
    let mut camera = Camera::new(Moment::ZERO)?;
    let units = (0..seconds * 30).map(|n| Ok(camera.packet(n)?.item.payload));
    Ok(Track {
        interval: Camera::interval(),
        units: units.collect::<Result<Vec<_>>>()?.into(),
    })
}
