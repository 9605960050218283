//! A client that speaks the sample talk through a real WebRTC connection, for as long as it is wanted.

use std::sync::Arc;

use hearsight::demo::talk::Talk;
use hearsight::send::{Config, DialError, Heard, Publisher};
use hearsight::wire::ToClient;
use hearsight_core::time::Span;
use hearsight_live::clock::Clock;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::subject::PATIENCE;
use crate::rig::units::Speech;

/// Rounds of the talk: more than any test needs.
const ROUNDS: u32 = 100;

pub(super) struct Caller {
    publisher: Arc<Publisher>,
    heard: mpsc::Receiver<Heard>,
    player: JoinHandle<()>,
}

impl Caller {
    /// Connects to the server whose page is at `page`, and begins to speak.
    pub(super) async fn dial(page: &str, stream: &str) -> Result<Caller, DialError> {
        let clock = Clock::new();
        let config = Config {
            url: format!("http://{page}/whip/{stream}"),
            ..Config::default()
        };
        let (publisher, heard) = Publisher::dial(config, clock).await?;
        let publisher = Arc::new(publisher);
        let settings = hearsight::config::load(["hearsight", "config"]).unwrap();
        let talk = Talk::open(&settings.config.demo.talk).unwrap();
        let player = tokio::spawn(speak(publisher.clone(), talk, clock));
        Ok(Caller {
            publisher,
            heard,
            player,
        })
    }

    /// Waits for an event; none when the session ended before it came.
    pub(super) async fn wait(&mut self, wanted: impl Fn(&ToClient) -> bool) -> Option<ToClient> {
        let waited = async {
            loop {
                match self.heard.recv().await {
                    Some(Heard::Message { text, .. }) => {
                        let event = serde_json::from_str(&text).unwrap();
                        if wanted(&event) {
                            return Some(event);
                        }
                    }
                    Some(Heard::Request(_)) => {}
                    Some(Heard::Gone(_)) | None => return None,
                }
            }
        };
        timeout(PATIENCE, waited).await.expect("in time")
    }

    /// Waits for final words that are more than silence; answers with them.
    pub(super) async fn words(&mut self) -> Vec<String> {
        let wanted = |event: &ToClient| matches!(event, ToClient::WordsFinal { words, .. } if words.len() > 1);
        match self.wait(wanted).await {
            Some(ToClient::WordsFinal { words, .. }) => words.into_iter().map(|word| word.text).collect(),
            other => panic!("words, not {other:?}"),
        }
    }

    /// Ends the session.
    pub(super) async fn hang_up(self) {
        self.player.abort();
        let _ = self.player.await;
        if let Some(publisher) = Arc::into_inner(self.publisher) {
            publisher.close().await;
        }
    }
}

async fn speak(publisher: Arc<Publisher>, talk: Talk, clock: Clock) {
    let start = clock.now() + Span::from_millis(200);
    let mut sound = Speech::new(&talk, ROUNDS, start).unwrap();
    for n in 0.. {
        let due = start + Speech::INTERVAL * (n + 1);
        sleep_until(Instant::from_std(clock.instant_from_moment(due))).await;
        let Some(packet) = sound.next_packet().unwrap() else {
            return;
        };
        // The server ends sessions in these tests.
        if publisher.audio(packet).await.is_err() {
            return;
        }
    }
}
