//! One connection of the many, kept up: dialled, fed, dialled again when it breaks.

use std::sync::Arc;
use std::time::Duration;

use hearsight_core::time::Span;
use hearsight_live::clock::Clock;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::again::again;
use super::options::Captions;
use crate::allocate::Heed;
use crate::film::{Film, Ticket};
use crate::patience::Patience;
use crate::send::{self, DialError, Heard, Publisher, Stats};
use crate::wire::ToClient;

/// How fresh the figures of a connection are.
const GLANCE: Duration = Duration::from_millis(250);
/// A connection that lasted so long was a good one: its end is no failure in a row.
const LASTED: Span = Span::from_secs(10);
/// The last words are waited for so long after the film.
const LAST_WORDS: Span = Span::from_secs(2);
/// When all is to end, a connection that is just coming about gets so long, in order to be closed in good manners.
const DIALLING: Duration = Duration::from_secs(2);

/// What there is to tell of a connection, as it happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum News {
    /// Media flows.
    Connected,
    /// It broke, or did not come about, and is tried again after a while.
    Waiting { why: String, wait: Span },
    /// Its figures since it was connected.
    Figures(Stats),
    /// The server settled these words; the media time of their end in microseconds.
    Caption { at_us: i64, text: String },
    /// It will not be connected again; none: all was sent.
    Ended { failure: Option<String> },
}

/// One connection.
pub(super) struct Visit {
    pub(super) number: usize,
    pub(super) dial: send::Config,
    pub(super) film: Arc<Film>,
    pub(super) clock: Clock,
    pub(super) retries: Option<u32>,
    pub(super) captions: Captions,
    pub(super) news: mpsc::Sender<(usize, News)>,
    /// Becomes true when all is to end.
    pub(super) stop: watch::Receiver<bool>,
}

/// How a connection that was there ended.
enum Left {
    /// Nothing more is to be sent.
    Done,
    Lost(String),
}

impl Visit {
    /// Keeps the connection up from `begin` on, until the film is over, all is to end or trying again is pointless.
    pub(super) async fn run(mut self, begin: Instant) {
        let failure = tokio::select! {
            () = sleep_until(begin) => self.keep_up().await.err(),
            () = stopped(self.stop.clone()) => None,
        };
        // Nobody listens any more: then all is ending.
        let _ = self.news.send((self.number, News::Ended { failure })).await;
    }

    async fn keep_up(&mut self) -> Result<(), String> {
        let mut patience = Patience::new(self.retries, self.number as u64);
        loop {
            let (why, asked) = match self.dial().await {
                None => return Ok(()),
                Some(Ok((publisher, heard))) => {
                    let since = self.clock.now();
                    self.tell(News::Connected);
                    match self.attend(publisher, heard).await {
                        Left::Done => return Ok(()),
                        Left::Lost(why) => {
                            if self.clock.now() - since >= LASTED {
                                patience.restore();
                            }
                            (why, None)
                        }
                    }
                }
                Some(Err(error)) => match again(&error) {
                    Some(asked) => (error.to_string(), asked),
                    None => return Err(error.to_string()),
                },
            };
            let Some(wait) = patience.wait(asked) else {
                return Err(why);
            };
            self.tell(News::Waiting { why, wait });
            let until = self.clock.instant_from_moment(self.clock.now() + wait);
            tokio::select! {
                () = sleep_until(until.into()) => {}
                () = stopped(self.stop.clone()) => return Ok(()),
            }
        }
    }

    /// None when all is to end.
    async fn dial(&self) -> Option<Result<(Publisher, mpsc::Receiver<Heard>), DialError>> {
        let mut dialling = std::pin::pin!(Publisher::dial(self.dial.clone(), self.clock));
        tokio::select! {
            dialled = &mut dialling => Some(dialled),
            () = stopped(self.stop.clone()) => {
                if let Ok(Ok((publisher, _))) = timeout(DIALLING, dialling).await {
                    publisher.close().await;
                }
                None
            }
        }
    }

    /// Sends the film and hears what the server says.
    async fn attend(&self, publisher: Publisher, mut heard: mpsc::Receiver<Heard>) -> Left {
        let (ticket, seat) = self.film.watch();
        let mut glances = interval(GLANCE);
        glances.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut over: Option<Instant> = None;
        let mut heed = Heed::default();
        let left = {
            let mut feeding = std::pin::pin!(seat.feed(&ticket, &publisher));
            loop {
                tokio::select! {
                    fed = &mut feeding, if over.is_none() => match fed {
                        Ok(()) if self.captions == Captions::Ignored => break Left::Done,
                        Ok(()) => over = Some(self.clock.instant_from_moment(self.clock.now() + LAST_WORDS).into()),
                        Err(error) => break Left::Lost(error.to_string()),
                    },
                    news = heard.recv() => match news {
                        Some(Heard::Message { text, .. }) => {
                            self.heed(&text, &mut heed, &ticket);
                            self.caption(&text);
                        }
                        Some(Heard::Request(request)) => ticket.request(request),
                        Some(Heard::Gone(why)) => break Left::Lost(why.to_owned()),
                        None => break Left::Lost("the connection closed".to_owned()),
                    },
                    _ = glances.tick() => {
                        // Also where no picture leaves: a server that has gone silent decides nothing.
                        ticket.want(heed.wanted(self.clock.now()));
                        self.tell(News::Figures(Stats { refused: heed.refused(), ..publisher.stats() }));
                    }
                    () = until(over), if over.is_some() => break Left::Done,
                    () = stopped(self.stop.clone()) => break Left::Done,
                }
            }
        };
        self.tell(News::Figures(publisher.stats()));
        drop(ticket);
        publisher.close().await;
        match left {
            // A connection that breaks after the last unit has done its work.
            Left::Lost(_) if over.is_some() => Left::Done,
            left => left,
        }
    }

    /// Does what the server wishes, where it can be believed.
    fn heed(&self, text: &str, heed: &mut Heed, ticket: &Ticket) {
        match serde_json::from_str(text) {
            Ok(ToClient::Session { session, .. }) => {
                heed.greeted(&session);
            }
            Ok(ToClient::Allocation(wish)) => {
                let now = self.clock.now();
                if heed.take(now, &wish) {
                    ticket.want(heed.wanted(now));
                }
            }
            _ => {}
        }
    }

    fn caption(&self, text: &str) {
        if self.captions == Captions::Ignored {
            return;
        }
        if let Ok(ToClient::WordsFinal { at_us, words, .. }) = serde_json::from_str(text)
            && !words.is_empty()
        {
            let words: Vec<String> = words.into_iter().map(|word| word.text).collect();
            let text = words.join(" ");
            self.tell(News::Caption { at_us, text });
        }
    }

    /// A terminal that is held up must not hold up media: what finds no room is left out.
    fn tell(&self, news: News) {
        let _ = self.news.try_send((self.number, news));
    }
}

/// Completes when all is to end.
async fn stopped(mut stop: watch::Receiver<bool>) {
    // Whoever could say so may be gone, which says as much.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
