//! The sample talk: what a person with a browser would bring, played by the program to itself, and shown in a terminal.
//!
//! Knows how to make sound and pictures, pace them, dial our own server and print what it says. Must not know the server
//! from the inside: it is a client like any other. Start at [`run`].

pub mod fake;
mod font;
pub mod scene;
pub mod score;
pub mod show;
pub mod talk;

use std::io::{self, Stdout};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_live::clock::Clock;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::config::Config;
use crate::film::{Coding, Film, FilmError, Reels, Tempo, Ticket};
use crate::send::{self, DialError, Heard, Publisher, SendError, Trust, UnixClock};
use crate::terminal::{Display, Reached, Terminal, figures};
use crate::wire::{ToClient, ToServer};
use scene::SceneError;
use score::Score;
use show::{Clapper, Show};
use talk::{Talk, TalkError};

/// The picture's size in pixels.
const SIZE: (u32, u32) = (1280, 720);
/// How it is encoded.
const CODING: Coding = Coding {
    fps: 30,
    bitrate: 2_000_000,
};
/// The last words are waited for so long after the talk: three times what they may take.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// A start further back than this is no start of ours.
const LONGEST_START: f64 = 86_400.0;

/// Why the talk is not given, or not to its end.
#[derive(Debug, Error)]
pub enum DemoError {
    /// There is nothing to give.
    #[error(transparent)]
    Talk(#[from] TalkError),
    /// The server's own address makes no sense.
    #[error("the server's page {0} is not an address that can be dialled")]
    Page(String),
    /// The server does not take it.
    #[error("the talk can't be sent: {0}")]
    Dial(#[from] DialError),
    /// The connection broke.
    #[error("the talk broke off: {0}")]
    Send(#[from] SendError),
    /// The server ended it.
    #[error("the talk broke off: {0}")]
    Gone(&'static str),
    /// Nobody reads.
    #[error("can't write to the terminal: {0}")]
    Terminal(#[from] io::Error),
    /// The scene can't be drawn.
    #[error(transparent)]
    Scene(#[from] SceneError),
    /// It can't be encoded.
    #[error("the talk broke off: {0}")]
    Film(#[from] FilmError),
    /// Reading it broke off.
    #[error("the talk can't be read: its thread broke down")]
    Thread,
}

/// Plays the talk of the settings to the server whose page is at `page`, in real time, and prints what it hears; returns
/// when the talk and its last words are over, or on Ctrl-C.
pub async fn run(config: &Config, page: &str, clock: Clock) -> Result<(), DemoError> {
    let path = config.demo.talk.clone();
    let talk = tokio::task::spawn_blocking(move || Talk::open(&path))
        .await
        .map_err(|_| DemoError::Thread)??;
    let calendar = UnixClock::new(clock);
    let began = calendar.unix_us_from_moment(clock.now());
    let dial = send::Config {
        url: whip(page)?,
        trust: Trust::SelfSignedOnLoopback,
        ..send::Config::default()
    };
    let (publisher, heard) = Publisher::dial(dial, clock).await?;
    let loops = config.demo.loops;
    let film = film(&talk, loops, clock)?;
    let (ticket, seat) = film.watch();
    let mut visit = Visit {
        terminal: Terminal::new(io::stdout(), Display::of_stdout()),
        score: talk.script().map(|script| Score::new(script, talk.span(), loops)),
        recogniser: String::new(),
        first_caption: None,
        ticket: &ticket,
        clock,
    };
    let ended = {
        let playing = std::pin::pin!(seat.feed(&ticket, &publisher));
        visit.listen(&publisher, heard, playing).await
    };
    let shown = tokio::task::spawn_blocking(move || film.finish());
    publisher.close().await;
    let ended = ended?;
    shown.await.map_err(|_| DemoError::Thread)??;
    let first = visit
        .first_caption
        .map(|moment| First::new(calendar.unix_us_from_moment(moment), began));
    visit
        .terminal
        .finish(&closing(ended, first, visit.recogniser, visit.score))?;
    Ok(())
}

/// The talk and the scene, as long as each other.
fn film(talk: &Talk, loops: u32, clock: Clock) -> Result<Arc<Film>, DemoError> {
    let until = MediaTime::ZERO + talk.sounds(loops);
    let reels = Reels {
        pictures: Some(Box::new(Show::new(SIZE, CODING.fps, until, Clapper::Still)?)),
        sound: Some(Box::new(talk.sound(loops))),
        tempo: Tempo::Paced,
    };
    Ok(Film::start(reels, CODING, clock)?)
}

/// How a visit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Heard,
    Interrupted,
}

struct Visit<'a> {
    terminal: Terminal<Stdout>,
    score: Option<Score>,
    recogniser: String,
    first_caption: Option<Moment>,
    ticket: &'a Ticket,
    clock: Clock,
}

impl Visit<'_> {
    /// Listens until the talk is over and its last words came, or something ends it.
    async fn listen(
        &mut self,
        publisher: &Publisher,
        mut heard: mpsc::Receiver<Heard>,
        mut playing: Pin<&mut impl Future<Output = Result<(), SendError>>>,
    ) -> Result<Ended, DemoError> {
        let mut last: Option<Instant> = None;
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            tokio::select! {
                news = heard.recv() => match news {
                    Some(Heard::Message { text, received }) => self.message(publisher, &text, received).await?,
                    Some(Heard::Request(request)) => self.ticket.request(request),
                    Some(Heard::Gone(why)) => return Err(DemoError::Gone(why)),
                    None => return Err(DemoError::Gone("the connection closed")),
                },
                played = &mut playing, if last.is_none() => {
                    played?;
                    let end = self.clock.instant_from_moment(self.clock.now()) + LAST_WORDS;
                    last = Some(Instant::from_std(end));
                }
                () = until(last), if last.is_some() => return Ok(Ended::Heard),
                _ = &mut interrupt => return Ok(Ended::Interrupted),
            }
            if last.is_some() && !self.terminal.waiting() {
                return Ok(Ended::Heard);
            }
        }
    }

    async fn message(&mut self, publisher: &Publisher, text: &str, received: Moment) -> Result<(), DemoError> {
        // What is not of this protocol is none of our business.
        let Ok(event) = serde_json::from_str::<ToClient>(text) else {
            return Ok(());
        };
        let printed = self.terminal.take(&event, self.clock.now())?;
        let shown = self.clock.now();
        self.note(&event, shown);
        let Some(id) = event.id() else { return Ok(()) };
        let Some(received_us) = publisher.server_us_from_moment(received) else {
            return Ok(());
        };
        let shown_us = publisher.server_us_from_moment(shown).filter(|_| printed);
        self.terminal.reached(id, Reached { received_us, shown_us });
        if let Some(shown_us) = shown_us
            && let Ok(text) = serde_json::to_string(&ToServer::Shown {
                id,
                received_us,
                shown_us,
            })
        {
            publisher.say(&text).await?;
        }
        Ok(())
    }

    fn note(&mut self, event: &ToClient, shown: Moment) {
        match event {
            ToClient::Session { recogniser, .. } => self.recogniser = figures::printable(&recogniser.name),
            ToClient::WordsPartial { words, .. } | ToClient::WordsFinal { words, .. } if !words.is_empty() => {
                self.first_caption.get_or_insert(shown);
                if let (ToClient::WordsFinal { .. }, Some(score)) = (event, &mut self.score) {
                    words.iter().for_each(|word| {
                        score.hear(MediaTime::ZERO + Span::from_micros(word.start_us), &word.text);
                    });
                }
            }
            _ => {}
        }
    }
}

/// When the first caption was there.
#[derive(Clone, Copy, Debug, PartialEq)]
enum First {
    SinceMake(f64),
    SinceStart(f64),
}

impl First {
    /// From the moments of the caption and of our own start, in microseconds of unix time.
    fn new(caption_us: i64, began_us: i64) -> First {
        let started = std::env::var("HEARSIGHT_STARTED").ok();
        First::from_started(started.as_deref(), caption_us, began_us)
    }

    fn from_started(started: Option<&str>, caption_us: i64, began_us: i64) -> First {
        let caption = caption_us as f64 / 1e6;
        match started
            .and_then(|text| text.trim().parse::<f64>().ok())
            .map(|started| caption - started)
        {
            Some(since) if (0.0..LONGEST_START).contains(&since) => First::SinceMake(since),
            _ => First::SinceStart(caption - began_us as f64 / 1e6),
        }
    }
}

/// What is said below the table.
fn closing(ended: Ended, first: Option<First>, recogniser: String, score: Option<Score>) -> Vec<String> {
    let mut lines = vec![String::new()];
    lines.push(match first {
        Some(First::SinceMake(secs)) => format!("First caption after {secs:.1} s, counted from the call of make."),
        Some(First::SinceStart(secs)) => {
            format!("First caption after {secs:.1} s, counted from the start of the talk.")
        }
        None => "No caption came.".into(),
    });
    // A talk that was cut short would count as words that were missed.
    if let (Ended::Heard, Some(score)) = (ended, score) {
        let (wrong, of) = score.finish();
        let rate = 100.0 * wrong as f64 / of.max(1) as f64;
        lines.push(format!(
            "{recogniser}: {wrong} word errors in the {of} words of this talk (word error rate {rate:.0} %)."
        ));
    }
    lines
}

/// The WHIP endpoint of a page. A server that listens everywhere is dialled on loopback.
fn whip(page: &str) -> Result<String, DemoError> {
    let wrong = || DemoError::Page(page.to_owned());
    let mut url = reqwest::Url::parse(page).map_err(|_| wrong())?;
    let here = match url.host_str() {
        Some("0.0.0.0") => Some("127.0.0.1"),
        Some("[::]") => Some("[::1]"),
        _ => None,
    };
    if let Some(here) = here {
        url.set_host(Some(here)).map_err(|_| wrong())?;
    }
    Ok(url.join("whip/demo").map_err(|_| wrong())?.into())
}

async fn until(last: Option<Instant>) {
    match last {
        Some(last) => sleep_until(last).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_found_from_the_page() {
        let found = |page: &str| whip(page).unwrap();
        assert_eq!(found("http://127.0.0.1:8080/"), "http://127.0.0.1:8080/whip/demo");
        assert_eq!(found("https://0.0.0.0:8443/"), "https://127.0.0.1:8443/whip/demo");
        assert_eq!(found("https://[::]:8443/"), "https://[::1]:8443/whip/demo");
        assert!(matches!(whip(""), Err(DemoError::Page(_))));
    }

    #[test]
    fn the_first_caption_counts_from_make_where_that_is_believable() {
        let since = |started| First::from_started(started, 1_000_500_000, 1_000_000_000);
        assert_eq!(since(Some("900")), First::SinceMake(100.5));
        for odd in [
            None,
            Some(""),
            Some("x"),
            Some("1001"),
            Some("-90000"),
            Some("NaN"),
            Some("-inf"),
        ] {
            assert_eq!(since(odd), First::SinceStart(0.5), "{odd:?}");
        }
    }

    #[test]
    fn the_closing_is_honest() {
        let mut score = Score::new("one two three four", Span::from_secs(4), 1);
        score.hear(MediaTime::ZERO, "one too three");
        let lines = closing(
            Ended::Heard,
            Some(First::SinceMake(12.34)),
            "Sphinx".into(),
            Some(score),
        );
        assert_eq!(lines[1], "First caption after 12.3 s, counted from the call of make.");
        assert!(
            lines[2].ends_with("2 word errors in the 4 words of this talk (word error rate 50 %)."),
            "{}",
            lines[2]
        );
        let cut = closing(
            Ended::Interrupted,
            None,
            String::new(),
            Some(Score::new("a", Span::from_secs(1), 1)),
        );
        assert_eq!(cut, ["", "No caption came."]);
    }
}
