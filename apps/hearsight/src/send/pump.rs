//! Reads the data channel and keeps the clocks in step.

use std::sync::Arc;
use std::time::Duration;

use hearsight_core::time::Moment;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use webrtc::data_channel::DataChannelEvent;

use super::peer::{Peer, State};
use super::{Heard, Offset, OffsetFilter, UnixClock};
use crate::wire::{MAX_MESSAGE, ToClient, ToServer};

/// The first questions come quickly, so that the first words can be timed.
const FIRST_QUESTIONS: u32 = 8;
/// In which rhythm.
const QUICK: Duration = Duration::from_millis(100);
/// Clocks drift by parts in a million: some microseconds in this time.
const SLOW: Duration = Duration::from_secs(5);

/// Runs until the connection ends or nobody listens.
pub(super) async fn pump(
    peer: Arc<Peer>,
    clock: UnixClock,
    heard: mpsc::Sender<Heard>,
    offset: watch::Sender<Option<Offset>>,
) {
    let mut state = peer.state();
    let mut filter = OffsetFilter::default();
    let mut asked = 0;
    let mut questions = interval_at(Instant::now(), QUICK);
    questions.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let why = loop {
        tokio::select! {
            event = peer.poll() => match event {
                Some(DataChannelEvent::OnMessage(message)) => {
                    let received = clock.now();
                    if message.data.len() > MAX_MESSAGE {
                        tracing::debug!(bytes = message.data.len(), "a message too long was left out");
                        continue;
                    }
                    // Text is text whether a server marks it so or not.
                    let Ok(text) = String::from_utf8(message.data.to_vec()) else { continue };
                    if let Some(best) = exchange(&text, received, &clock, &mut filter) {
                        if *offset.borrow() != Some(best) {
                            offset.send_replace(Some(best));
                            let Offset { offset_us, error_us } = best;
                            say(&peer, &ToServer::ClockOffset { offset_us, error_us }).await;
                        }
                    } else if heard.send(Heard::Message { text, received }).await.is_err() {
                        return;
                    }
                }
                Some(DataChannelEvent::OnClose | DataChannelEvent::OnClosing) | None => {
                    break "the server closed the data channel";
                }
                Some(_) => {}
            },
            _ = questions.tick() => {
                asked += 1;
                if asked == FIRST_QUESTIONS {
                    questions = interval_at(Instant::now() + SLOW, SLOW);
                    questions.set_missed_tick_behavior(MissedTickBehavior::Delay);
                }
                say(&peer, &ToServer::Clock { t0_us: clock.unix_us_from_moment(clock.now()) }).await;
            }
            () = lost(&mut state) => break "the connection to the server was lost",
        }
    };
    let _ = heard.send(Heard::Gone(why)).await;
}

/// Completes when the connection is over. By itself, because what `wait_for` answers with must not be held across a wait.
async fn lost(state: &mut watch::Receiver<State>) {
    let _ = state.wait_for(|state| *state == State::Gone).await;
}

/// The best estimate so far, if `text` answers a question about the clock.
fn exchange(text: &str, received: Moment, clock: &UnixClock, filter: &mut OffsetFilter) -> Option<Offset> {
    match serde_json::from_str(text) {
        Ok(ToClient::Clock { t0_us, t1_us }) => filter.take(t0_us, t1_us, clock.unix_us_from_moment(received)),
        _ => None,
    }
}

async fn say(peer: &Peer, message: &ToServer) {
    // A message that can't be sent is no news: the state tells when the connection is over.
    if let Ok(text) = serde_json::to_string(message) {
        let _ = tokio::time::timeout(SLOW, peer.say(&text)).await;
    }
}
