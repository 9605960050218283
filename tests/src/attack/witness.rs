//! The witness: the project's own sender gives the talk over and over, collects its words and feels the latency.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::Context;
use hearsight::demo::score;
use hearsight::demo::talk::Talk;
use hearsight::send::{self, Heard, Publisher};
use hearsight::wire::ToClient;
use hearsight_core::media::Request;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_live::clock::Clock;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::rig::units::{Camera, Speech};
/// What the witness experienced while it gave the talk once.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// The settled words that began in it.
    pub words: Vec<String>,
    /// From the end of the words to their arrival, milliseconds, of settled words.
    pub settled_ms: Vec<f64>,
    /// The same of provisional words.
    pub partial_ms: Vec<f64>,
    /// Units that the server says it lost, by the stage that lost them.
    pub lost: BTreeMap<String, u64>,
}

/// A session that goes on.
pub(super) struct Witness {
    publisher: Arc<Publisher>,
    heard: mpsc::Receiver<Heard>,
    clock: Clock,
}

impl Witness {
    pub(super) async fn dial(url: &str, clock: Clock) -> anyhow::Result<Witness> {
        let config = send::Config {
            url: url.to_owned(),
            ..send::Config::default()
        };
        let (publisher, heard) = Publisher::dial(config, clock)
            .await
            .context("the witness is not let in")?;
        let publisher = Arc::new(publisher);
        Ok(Witness {
            publisher,
            heard,
            clock,
        })
    }

    /// Gives the talk `rounds` times from `start` on. Errors: the session broke.
    pub(super) async fn testify(mut self, talk: Talk, rounds: u32, start: Moment) -> anyhow::Result<Vec<Round>> {
        let (wish, wanted) = watch::channel(0u32);
        let sound = Speech::new(&talk, rounds, start)?;
        let mut playing = JoinSet::new();
        playing.spawn(speak(self.publisher.clone(), sound, self.clock, start));
        playing.spawn(show(self.publisher.clone(), self.clock, start, wanted));
        let mut account = Account {
            span: talk.span(),
            rounds: vec![Round::default(); rounds as usize],
            waiting: HashMap::new(),
        };
        // The last words come after the last sound.
        let end = start + talk.span() * i64::from(rounds) + Span::from_secs(2);
        let end = Instant::from_std(self.clock.instant_from_moment(end));
        loop {
            tokio::select! {
                news = self.heard.recv() => match news {
                    Some(Heard::Message { text, received }) => account.take(&text, &self.publisher, received),
                    Some(Heard::Request(Request::Keyframe)) => wish.send_modify(|wishes| *wishes += 1),
                    Some(Heard::Request(_)) => {}
                    Some(Heard::Gone(why)) => anyhow::bail!("the witness was thrown out: {why}"),
                    None => anyhow::bail!("the witness lost its connection"),
                },
                Some(played) = playing.join_next() => played?.context("the witness can't go on")?,
                () = sleep_until(end) => break,
            }
        }
        playing.shutdown().await;
        if let Some(publisher) = Arc::into_inner(self.publisher) {
            publisher.close().await;
        }
        Ok(account.rounds)
    }
}

async fn speak(publisher: Arc<Publisher>, mut sound: Speech, clock: Clock, start: Moment) -> anyhow::Result<()> {
    for n in 0.. {
        let due = start + Speech::INTERVAL * (n + 1);
        sleep_until(Instant::from_std(clock.instant_from_moment(due))).await;
        let Some(packet) = sound.next_packet()? else { break };
        publisher.audio(packet).await?;
    }
    Ok(())
}

async fn show(
    publisher: Arc<Publisher>,
    clock: Clock,
    start: Moment,
    mut wanted: watch::Receiver<u32>,
) -> anyhow::Result<()> {
    let mut camera = Camera::new(start)?;
    // Every third picture: the witness shares the machine with whom it judges.
    for n in (0..).step_by(3) {
        let due = start + Camera::interval() * n as i64;
        sleep_until(Instant::from_std(clock.instant_from_moment(due))).await;
        if wanted.has_changed().unwrap_or(false) {
            wanted.mark_unchanged();
            camera.request_key();
        }
        let drawn = tokio::task::spawn_blocking(move || {
            let packet = camera.packet(n);
            (camera, packet)
        });
        let (back, packet) = drawn.await?;
        camera = back;
        publisher.video(packet?).await?;
    }
    Ok(())
}

struct Account {
    span: Span,
    rounds: Vec<Round>,
    /// Words whose latency has not been told yet: of which round, settled or not, and when they came.
    waiting: HashMap<u64, (usize, bool, Moment)>,
}

impl Account {
    fn take(&mut self, text: &str, publisher: &Publisher, received: Moment) {
        match serde_json::from_str(text) {
            Ok(ToClient::WordsFinal { id, at_us, words, .. }) => {
                for word in &words {
                    let round = self.round(word.start_us);
                    self.rounds[round].words.extend(score::words_from_text(&word.text));
                }
                self.waiting.insert(id, (self.round(at_us), true, received));
            }
            Ok(ToClient::WordsPartial { id, at_us, words, .. }) if !words.is_empty() => {
                self.waiting.insert(id, (self.round(at_us), false, received));
            }
            Ok(ToClient::Latency { of, born_us, .. }) => {
                if let Some((round, settled, received)) = self.waiting.remove(&of)
                    && let Some(received_us) = publisher.server_us_from_moment(received)
                {
                    let felt = (received_us - born_us) as f64 / 1e3;
                    let round = &mut self.rounds[round];
                    if settled {
                        &mut round.settled_ms
                    } else {
                        &mut round.partial_ms
                    }
                    .push(felt);
                }
            }
            Ok(ToClient::Lost {
                stage, count, at_us, ..
            }) => {
                let last = self.rounds.len() - 1;
                let round = at_us.map_or(last, |at_us| self.round(at_us));
                *self.rounds[round].lost.entry(stage).or_default() += u64::from(count);
            }
            _ => {}
        }
    }

    fn round(&self, at_us: i64) -> usize {
        let at = MediaTime::ZERO + Span::from_micros(at_us.max(0));
        let round = (at - MediaTime::ZERO).nanos() / self.span.nanos().max(1);
        (round as usize).min(self.rounds.len() - 1)
    }
}
