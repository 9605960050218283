//! `hearsight listen`: a microphone of this machine to captions in the terminal, through the same graph as a browser's.
//!
//! Knows the sound system ([`cards`]), what lies between its callback and the rest ([`ring`]), and one timeline over
//! everything that may happen to a microphone ([`capture`], [`card_clock`]). Must not know how anything is recognised.

pub mod capture;
pub mod card_clock;
pub mod cards;
pub mod ring;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use hearsight_codecs::hearing;
use hearsight_codecs::resample::To16k;
use hearsight_core::graph::{Graph, Source};
use hearsight_core::media::Pcm;
use hearsight_core::meter::Meter;
use hearsight_core::stage::Signal;
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;
use hearsight_live::host::Session;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::app::{self, StartError};
use crate::config::{Captions, Config};
use crate::ingest::Refusal;
use crate::recognisers::Wishes;
use crate::session::{Line, Speaker};
use crate::terminal::{Display, Reached, Terminal};
use crate::wire::{self, ToClient};
use crate::wiring::{self, Audience};
use capture::{Capture, Format, Microphones, News, NoMicrophone};
use cards::Cards;

/// The last words are waited for so long after Ctrl-C: three times what they may take.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// What is said and not yet printed; a terminal that far behind has lost its place.
const UNPRINTED: usize = 1_024;
/// The level is shown this often.
const LEVEL_EVERY: Span = Span::from_millis(100);
/// Nothing wakes the thread that fetches sound: it looks whether it is to end this often.
const LOOK: Duration = Duration::from_millis(500);

/// Why there is nothing to listen with. Each message says what to do.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The engines can't be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// There is no recogniser to be had.
    #[error("{0}")]
    Refused(Refusal),
    /// No resampler.
    #[error("no resampler: {0}")]
    Resampler(String),
    /// Nothing to hear with.
    #[error(transparent)]
    Microphone(#[from] NoMicrophone),
    /// The thread that fetches sound does not start, or is gone.
    #[error("the thread that fetches sound stopped; start again")]
    Thread,
    /// Nobody reads.
    #[error("can't write the captions: {0}")]
    Output(#[from] io::Error),
}

/// Listens to the microphone of the settings and prints what it hears, until Ctrl-C or until nobody reads any more. Must be
/// called on a tokio runtime.
pub async fn run(config: &Config, captions: Captions) -> Result<(), ListenError> {
    let clock = Clock::new();
    let cards = Cards::new(&config.microphone.device, clock);
    let mut config = config.clone();
    config.seeing.reader = None;
    let (kit, host) = app::engines(&config, clock)?;
    let resample = To16k::from_any().map_err(|problem| ListenError::Resampler(problem.to_string()))?;
    let resample = hearing::Ear::new(resample, config.hearing.denoise);
    // A microphone asks for nothing: it is heard as the settings have it.
    let wishes = Wishes::default();
    let hearing = kit.hearing(&wishes).map_err(ListenError::Refused)?;

    let (say, said) = mpsc::channel(UNPRINTED);
    let meter = Meter::default();
    let events = say.clone();
    let line: Line = Box::new(move |_, json| events.try_send(Said::Event(json)).is_ok());
    let speaker = Arc::new(Speaker::new(line, meter.clone()));
    let audience: Arc<dyn Audience> = speaker.clone();
    let mut graph = Graph::new(meter.clone(), Arc::new(|_| {}));
    let door = wiring::draw_microphone(&mut graph, Box::new(resample), hearing, &audience);
    let ear = Ear {
        session: host.adopt(graph),
        door,
        meter,
        say,
        clock,
        leveled: Moment::ZERO,
        level: 0.0,
    };
    let (fetching, format) = Fetching::start(cards, ear).await?;
    speaker.say(&ToClient::Session {
        version: wire::VERSION,
        session: capture::STAGE.into(),
        recogniser: kit.recogniser(&wishes),
        // A microphone sees nothing.
        answerer: None,
    });
    // The line ends with the session that speaks through it.
    drop((speaker, audience));
    let mut printer = Printer::new(captions, clock);
    let done = match printer.news(&opened(&format)) {
        Ok(()) => printer.until_stopped(said, fetching).await,
        Err(problem) => Err(problem),
    };
    match done {
        // `hearsight listen --json | head` is no failure.
        Err(problem) if problem.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

/// What goes to the terminal.
enum Said {
    /// An event, as JSON.
    Event(String),
    /// What happened to the microphone.
    News(String),
    /// The loudest sample since the last one, 0..1.
    Level(f32),
}

fn opened(format: &Format) -> String {
    let Format { name, rate, channels } = format;
    let channels = if *channels == 1 {
        String::new()
    } else {
        format!(", {channels} channels")
    };
    format!("listening to {name} ({rate} Hz{channels}); Ctrl-C ends it")
}

/// Brings what the microphone says into the graph.
struct Ear {
    session: Session,
    door: Source<Pcm>,
    meter: Meter,
    say: mpsc::Sender<Said>,
    clock: Clock,
    leveled: Moment,
    level: f32,
}

impl Ear {
    fn hear(&mut self, news: News) {
        // What does not fit is not said: a terminal that stands still must not make the ear wait.
        match news {
            News::Opened(format) => {
                let _ = self.say.try_send(Said::News(opened(&format)));
            }
            News::Gone(why) => {
                let text = format!("the microphone is gone: {why}; looking for it every second");
                let _ = self.say.try_send(Said::News(text));
            }
            News::Gap(gap) => {
                self.meter.lost(gap.stage, gap.why, gap.count);
                self.session.push(&self.door, Signal::Gap(gap));
            }
            News::Sound(sound) => {
                self.level = sound.item.samples.iter().fold(self.level, |most, s| most.max(s.abs()));
                self.session.push(&self.door, Signal::Item(sound));
                let now = self.clock.now();
                if now - self.leveled >= LEVEL_EVERY {
                    self.leveled = now;
                    let _ = self.say.try_send(Said::Level(std::mem::take(&mut self.level)));
                }
            }
        }
    }
}

/// The thread that fetches sound from the ring.
struct Fetching {
    stop: Arc<AtomicBool>,
    /// Disconnected once the thread is about to end.
    over: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Fetching {
    /// Starts it; answers once a microphone is open, or that none is.
    async fn start(microphones: Cards, ear: Ear) -> Result<(Fetching, Format), ListenError> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let (tell, told) = oneshot::channel();
        let (alive, over) = sync_channel(0);
        let thread = std::thread::Builder::new()
            .name("microphone".into())
            .spawn(move || {
                fetch(microphones, ear, tell, &stopped);
                drop(alive);
            })
            .map_err(|_| ListenError::Thread)?;
        let fetching = Fetching {
            stop,
            over,
            thread: Some(thread),
        };
        let format = told.await.map_err(|_| ListenError::Thread)??;
        Ok((fetching, format))
    }

    fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A sound system that does not answer must not keep the program from ending.
            if self.over.recv_timeout(LAST_WORDS) == Err(RecvTimeoutError::Disconnected) {
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.stop();
    }
}

fn fetch<M: Microphones>(
    microphones: M,
    mut ear: Ear,
    tell: oneshot::Sender<Result<Format, NoMicrophone>>,
    stop: &AtomicBool,
) {
    let clock = ear.clock;
    let mut capture = match Capture::open(microphones, clock.now()) {
        Ok((capture, format)) => {
            let _ = tell.send(Ok(format));
            capture
        }
        Err(problem) => {
            let _ = tell.send(Err(problem));
            return;
        }
    };
    while !stop.load(Ordering::Acquire) {
        let wake = capture.step(clock.now(), &mut |news| ear.hear(news));
        let wait = (wake - clock.now()).max(Span::ZERO).to_duration();
        std::thread::park_timeout(wait.min(LOOK));
    }
    ear.session.push(&ear.door, Signal::End);
    // The session lets its last words out, and closes the line with them.
    ear.session.close();
}

/// Prints captions for people, or events for programs.
struct Printer {
    captions: Captions,
    terminal: Terminal<io::Stdout>,
    clock: Clock,
}

impl Printer {
    fn new(captions: Captions, clock: Clock) -> Printer {
        Printer {
            captions,
            terminal: Terminal::new(io::stdout(), Display::of_stdout()),
            clock,
        }
    }

    async fn until_stopped(&mut self, mut said: mpsc::Receiver<Said>, mut fetching: Fetching) -> io::Result<()> {
        let mut asked = std::pin::pin!(app::asked_to_stop());
        loop {
            tokio::select! {
                said = said.recv() => match said {
                    Some(said) => self.print(said)?,
                    None => break,
                },
                () = &mut asked => break,
            }
        }
        fetching.stop();
        let end = Instant::from_std(self.clock.instant_from_moment(self.clock.now())) + LAST_WORDS;
        while let Ok(Some(said)) = timeout_at(end, said.recv()).await {
            self.print(said)?;
        }
        match self.captions {
            Captions::Live => self.terminal.finish(&[]),
            Captions::Json => Ok(()),
        }
    }

    fn print(&mut self, said: Said) -> io::Result<()> {
        match (said, self.captions) {
            (Said::Event(json), Captions::Json) => {
                let mut out = io::stdout().lock();
                writeln!(out, "{json}")?;
                out.flush()
            }
            (Said::Event(json), Captions::Live) => {
                if let Ok(event) = serde_json::from_str::<ToClient>(&json) {
                    self.event(&event)?;
                }
                Ok(())
            }
            (Said::News(text), _) => self.news(&text),
            (Said::Level(peak), Captions::Live) => self.terminal.level(peak),
            (Said::Level(_), Captions::Json) => Ok(()),
        }
    }

    fn event(&mut self, event: &ToClient) -> io::Result<()> {
        let received_us = self.clock.now().micros();
        let printed = self.terminal.take(event, self.clock.now())?;
        if let Some(id) = event.id() {
            let shown_us = printed.then(|| self.clock.now().micros());
            self.terminal.reached(id, Reached { received_us, shown_us });
        }
        Ok(())
    }

    /// What happened to the microphone: beside the captions, or out of the way of the events.
    fn news(&mut self, text: &str) -> io::Result<()> {
        match self.captions {
            Captions::Live => self.terminal.note(text),
            Captions::Json => {
                eprintln!("hearsight: {text}");
                Ok(())
            }
        }
    }
}
