//! Sends sound and pictures, each at its moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hearsight_core::time::Moment;
use hearsight_live::clock::Clock;
use tokio::time::{Instant, sleep_until};

use super::DemoError;
use super::pace::Pace;
use super::talk::{Sight, Sound, Talk};
use crate::send::Publisher;

/// Somebody wants a picture that can be decoded by itself. Copies share the wish.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyWanted(Arc<AtomicBool>);

impl KeyWanted {
    /// Wishes for one.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// What plays a talk.
pub(super) struct Play {
    pub(super) publisher: Arc<Publisher>,
    pub(super) key_wanted: KeyWanted,
    pub(super) clock: Clock,
    /// Media time zero of both streams.
    pub(super) start: Moment,
}

impl Play {
    /// Plays `talk` to its end; pictures end with the sound.
    pub(super) async fn run(self, talk: Talk, loops: u32) -> Result<(), DemoError> {
        let sound = talk.sound(loops, self.start)?;
        tokio::select! {
            heard = self.sound(sound) => heard,
            seen = self.sight() => seen,
        }
    }

    async fn sound(&self, mut sound: Sound) -> Result<(), DemoError> {
        let mut pace = Pace::new(self.start + sound.lag(), Sound::INTERVAL);
        loop {
            self.wait(&pace).await;
            // Encoding takes a fraction of a millisecond.
            let Some(packet) = sound.packet(pace.take(self.clock.now()))? else {
                return Ok(());
            };
            self.publisher.audio(packet).await?;
        }
    }

    async fn sight(&self) -> Result<(), DemoError> {
        let mut pace = Pace::new(self.start, Sight::interval());
        let mut sight = Sight::new(self.start)?;
        loop {
            self.wait(&pace).await;
            let n = pace.take_newest(self.clock.now());
            if self.key_wanted.take() {
                sight.request_key();
            }
            // Drawing and encoding take milliseconds, in which the sound must go on.
            let drawn = tokio::task::spawn_blocking(move || {
                let packet = sight.packet(n);
                (sight, packet)
            });
            let (back, packet) = drawn.await.map_err(|_| DemoError::Player)?;
            sight = back;
            self.publisher.video(packet?).await?;
        }
    }

    async fn wait(&self, pace: &Pace) {
        sleep_until(Instant::from_std(self.clock.instant_from_moment(pace.due()))).await;
    }
}
