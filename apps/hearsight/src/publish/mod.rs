//! `hearsight publish`: sends a file, a camera, a network stream or a test pattern to any WHIP endpoint, once or many times.
//!
//! Knows how to open sources, keep connections up and tell of them. Everything is encoded once, however many connections
//! send it. Start at [`run`].

mod again;
pub mod options;
pub mod report;
mod visit;

use std::future::Future;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use hearsight_codecs::source::{self, Pulled, Source, SourceConfig, SourceError};
use hearsight_core::media::{Pcm, Picture, Planes};
use hearsight_core::time::{MediaTime, Span};
use hearsight_live::clock::Clock;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::demo::scene::SceneError;
use crate::demo::show::{Beep, Clapper, Show};
use crate::film::{Film, FilmError, Reel, Reels, Tempo};
use crate::send;
use crate::terminal::Display;
use options::{Feed, Options, Token};
use report::{Report, Summary};
use visit::Visit;

/// A file answers at once; a server far away, or a camera that is asked for the first time, does not.
const PATIENCE: Span = Span::from_secs(15);
/// One pull waits so long at most, so that the end of all is noticed.
const PULL: Span = Span::from_millis(100);
/// Late pictures that are left out in a row: a machine that is too slow for a film shows some of it.
const MOST_LEFT_OUT: usize = 8;
/// From one connection to the next: a server takes so many a second without trouble.
const STAGGER: Span = Span::from_millis(25);
/// News of all connections; figures that find no room are left out.
const NEWS: usize = 4_096;
/// How often figures are told.
const LOOK: Duration = Duration::from_secs(1);
/// The pattern's size where none is wished.
const PATTERN: (u32, u32) = (1280, 720);

/// Why publishing ends badly.
#[derive(Debug, Error)]
pub enum PublishError {
    /// There is nothing to send.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The pattern can't be drawn.
    #[error("the test pattern can't be drawn: {0}; choose another --size")]
    Scene(#[from] SceneError),
    /// It broke off.
    #[error(transparent)]
    Film(#[from] FilmError),
    /// The server does not take it.
    #[error("{why}")]
    Connection {
        /// What the server, or the network, says.
        why: String,
    },
    /// Some of many connections failed.
    #[error("{failed} of {copies} connections failed; the first: {why}")]
    Connections {
        /// So many.
        failed: usize,
        /// Of so many.
        copies: usize,
        /// Why the first did.
        why: String,
    },
    /// Nobody reads.
    #[error("can't write to the terminal: {0}")]
    Terminal(#[from] io::Error),
    /// A thread broke down.
    #[error("a thread that opens or closes the source broke down")]
    Thread,
}

/// Publishes until the source is over, `stop` completes or the connections fail for good. Prints to standard output.
pub async fn run(options: Options, clock: Clock, stop: impl Future<Output = ()>) -> Result<Summary, PublishError> {
    publish(options, clock, stop, io::stdout(), Display::of_stdout()).await
}

/// As [`run`], to any output.
pub(crate) async fn publish(
    options: Options,
    clock: Clock,
    stop: impl Future<Output = ()>,
    out: impl Write,
    display: Display,
) -> Result<Summary, PublishError> {
    let options = Arc::new(options);
    let opening = Arc::clone(&options);
    let opened = tokio::task::spawn_blocking(move || open(&opening)).await;
    let (reels, source) = opened.map_err(|_| PublishError::Thread)??;
    let film = Film::start(reels, options.coding, clock)?;
    let (stop_visits, stopping) = watch::channel(false);
    let (news, mut heard) = mpsc::channel(NEWS);
    let mut visits = JoinSet::new();
    let copies = options.copies.max(1) as usize;
    for number in 0..copies {
        let visit = Visit {
            number,
            dial: dial(&options, number),
            film: Arc::clone(&film),
            clock,
            retries: options.retries,
            captions: options.captions,
            news: news.clone(),
            stop: stopping.clone(),
        };
        let begin = clock.now() + STAGGER * number as i64;
        visits.spawn(visit.run(clock.instant_from_moment(begin).into()));
    }
    let mut report = Report::new(out, options.telling, display, copies, clock.now());
    let end = options
        .most
        .map(|most| Instant::from_std(clock.instant_from_moment(clock.now() + most)));
    let told = tell(&mut report, &mut heard, end, stop, &stop_visits, clock).await;
    stop_visits.send_replace(true);
    // Nobody takes their news any more; they close and end.
    drop(heard);
    while visits.join_next().await.is_some() {}
    let finished = tokio::task::spawn_blocking(move || {
        let finished = film.finish();
        drop(source);
        finished
    });
    let finished = finished.await.map_err(|_| PublishError::Thread)?;
    told?;
    let summary = report.finish(clock.now())?;
    finished?;
    judged(summary)
}

/// Whether it went well: no connection failed for good.
fn judged(summary: Summary) -> Result<Summary, PublishError> {
    let Summary {
        copies,
        failed,
        failure,
        ..
    } = &summary;
    let why = failure.clone().unwrap_or_default();
    match (*failed, *copies) {
        (0, _) => Ok(summary),
        (_, 1) => Err(PublishError::Connection { why }),
        (failed, copies) => Err(PublishError::Connections { failed, copies, why }),
    }
}

/// Tells of the connections until all have come to their end; `stop` and `end` bring it about.
async fn tell<W: Write>(
    report: &mut Report<W>,
    heard: &mut mpsc::Receiver<(usize, visit::News)>,
    end: Option<Instant>,
    stop: impl Future<Output = ()>,
    stop_visits: &watch::Sender<bool>,
    clock: Clock,
) -> io::Result<()> {
    let mut stop = std::pin::pin!(stop);
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    looks.reset();
    let mut ending = false;
    while !report.is_over() {
        tokio::select! {
            Some((number, news)) = heard.recv() => report.take(number, news)?,
            _ = looks.tick() => report.look(clock.now())?,
            () = &mut stop, if !ending => {
                ending = true;
                stop_visits.send_replace(true);
            }
            () = at(end), if !ending => {
                ending = true;
                stop_visits.send_replace(true);
            }
        }
    }
    Ok(())
}

async fn at(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// How connection `number` dials: of several, each is a stream of its own.
fn dial(options: &Options, number: usize) -> send::Config {
    let mut url = options.to.clone();
    if options.copies > 1 {
        let last = url.path_segments().and_then(|mut parts| parts.next_back());
        let name = format!("{}-{}", last.unwrap_or_default(), number + 1);
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop().push(&name);
        }
    }
    send::Config {
        url: url.into(),
        bearer: options.token.as_ref().map(Token::reveal).map(str::to_owned),
        trust: options.trust.clone(),
        ..send::Config::default()
    }
}

/// What there is to show, and what must live as long.
fn open(options: &Options) -> Result<(Reels, Option<Source>), PublishError> {
    let origin = match &options.feed {
        Feed::Test => {
            let show = Show::new(
                options.size.unwrap_or(PATTERN),
                options.coding.fps,
                MediaTime::MAX,
                Clapper::Claps,
            )?;
            let reels = Reels {
                pictures: Some(Box::new(show)),
                sound: Some(Box::new(Beep::default())),
                tempo: Tempo::Paced,
            };
            return Ok((reels, None));
        }
        Feed::Source(origin) => origin.clone(),
    };
    let mut source = Source::open(&SourceConfig {
        origin,
        size: options.size,
        fps: options.coding.fps,
        rounds: options.rounds,
        start: options.start,
        patience: PATIENCE,
    })?;
    let reels = Reels {
        pictures: source.take_pictures().map(|lane| Box::new(lane) as _),
        sound: source.take_sound().map(|lane| Box::new(lane) as _),
        tempo: if source.is_live() { Tempo::Live } else { Tempo::Paced },
    };
    Ok((reels, Some(source)))
}

impl Reel<Picture<Planes>> for source::Pictures {
    fn pull(&mut self, from: MediaTime) -> Result<Pulled<Picture<Planes>>, SourceError> {
        let mut pulled = source::Pictures::pull(self, PULL)?;
        for _ in 0..MOST_LEFT_OUT {
            match &pulled {
                Pulled::Frame(frame) if frame.at < from => pulled = source::Pictures::pull(self, PULL)?,
                _ => break,
            }
        }
        Ok(pulled)
    }
}

impl Reel<Pcm> for source::Sound {
    fn pull(&mut self, _: MediaTime) -> Result<Pulled<Pcm>, SourceError> {
        source::Sound::pull(self, PULL)
    }
}

#[cfg(test)]
mod tests;
