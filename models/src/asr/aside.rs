//! Recognisers that work aside: a model's runs take longer than a slice of the engines' threads may, so they have threads of their
//! own, as many as the model has working memories, and those take turns among all streams.
//!
//! A stream lays sound on its tray and looks what has been put there. Sound that comes while its recogniser is at work, or waits for
//! its turn, is one larger portion then; nothing is skipped.

use std::collections::VecDeque;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use hearsight_core::stage::Fault;
use hearsight_core::time::{MediaTime, Span};

use super::{Found, Hypothesis, Recogniser};
use crate::origin::RATE;

/// Sound that lies on a tray, at most; more is not taken until some of it was heard.
const MOST_WAITING: Span = Span::from_secs(2);
/// The longest that [`Recogniser::finish`] waits: for a run under way, and its own.
const LONGEST: Span = Span::from_secs(10);
const PANICKED: &str = "the recogniser panicked";
/// To lay sound on a tray takes microseconds.
const SLICE: Span = Span::from_millis(2);

/// What a process (its number) or this thread (`thread-self`) has taken of processors (proc(5): the first of `schedstat`); nothing
/// where the system does not say.
pub(super) fn processor_time(task: impl Display) -> Span {
    let text = std::fs::read_to_string(format!("/proc/{task}/schedstat")).unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Span::from_nanos(nanos.unwrap_or(0))
}

/// The threads of a model. They end when the last of its streams and whoever opened it have let go.
pub struct Crew {
    door: Arc<Door>,
    threads: Vec<JoinHandle<()>>,
}

/// Trays whose recogniser has something to do, each there at most once.
#[derive(Default)]
struct Door {
    line: Mutex<Line>,
    rings: Condvar,
}

#[derive(Default)]
struct Line {
    trays: VecDeque<Arc<Tray>>,
    closed: bool,
}

impl Crew {
    /// Starts `count` threads of this name.
    pub fn start(name: &str, count: usize) -> std::io::Result<Crew> {
        let door = Arc::new(Door::default());
        let mut crew = Crew {
            door: door.clone(),
            threads: Vec::new(),
        };
        for _ in 0..count.max(1) {
            let door = door.clone();
            let work = move || {
                while let Some(tray) = door.next() {
                    if tray.serve() {
                        door.wait_in_line(&tray);
                    }
                }
            };
            crew.threads.push(Builder::new().name(name.into()).spawn(work)?);
        }
        Ok(crew)
    }

    /// Lets `recogniser` work on these threads. `limit` is how long one of its runs may take.
    pub fn take(self: &Arc<Crew>, recogniser: impl Recogniser + 'static, limit: Span) -> Aside {
        let (name, portion) = (recogniser.name().to_owned(), recogniser.portion());
        let tray = Tray {
            content: Mutex::new(Content {
                recogniser: Some(Box::new(recogniser)),
                ..Content::default()
            }),
            done: Condvar::new(),
        };
        Aside {
            crew: self.clone(),
            tray: Arc::new(tray),
            name,
            portion,
            settling: limit + limit,
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.door.lock().closed = true;
        self.door.rings.notify_all();
        for thread in self.threads.drain(..) {
            // Recognisers that panic are caught; if a thread did, there is nothing left to end.
            let _ = thread.join();
        }
    }
}

impl Door {
    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_in_line(&self, tray: &Arc<Tray>) {
        self.lock().trays.push_back(tray.clone());
        self.rings.notify_one();
    }

    /// The tray whose turn it is; none when the crew goes home.
    fn next(&self) -> Option<Arc<Tray>> {
        let idle = |line: &mut Line| line.trays.is_empty() && !line.closed;
        let waited = self.rings.wait_while(self.lock(), idle);
        let mut line = waited.unwrap_or_else(PoisonError::into_inner);
        line.trays.pop_front().filter(|_| !line.closed)
    }
}

/// What lies between a stream and its recogniser.
struct Tray {
    content: Mutex<Content>,
    /// Something was put there for the stream.
    done: Condvar,
}

#[derive(Default)]
struct Content {
    /// None while it is at work, and after a panic.
    recogniser: Option<Box<dyn Recogniser>>,
    /// Whether it stands in line or is at work.
    busy: bool,
    orders: Orders,
    /// Words of the segments before are of no use any more.
    segment: u64,
    words: Option<Hypothesis>,
    last: Option<Hypothesis>,
    fault: Option<Fault>,
    /// What its runs took of this crew's threads, and the stream was not told of yet.
    spent: Span,
}

/// What a stream wants, in this order.
#[derive(Default)]
struct Orders {
    reset: bool,
    begin: Option<MediaTime>,
    sound: Vec<f32>,
    finish: bool,
}

impl Orders {
    fn any(&self) -> bool {
        self.reset || self.begin.is_some() || !self.sound.is_empty() || self.finish
    }
}

enum Outcome {
    Words(Option<Hypothesis>),
    Last(Hypothesis),
}

impl Tray {
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what lies there; whether more has come since.
    fn serve(&self) -> bool {
        let mut content = self.lock();
        let Some(mut recogniser) = content.recogniser.take() else {
            content.busy = false;
            return false;
        };
        let (orders, segment) = (std::mem::take(&mut content.orders), content.segment);
        drop(content);
        let before = processor_time("thread-self");
        let done = catch_unwind(AssertUnwindSafe(|| follow(recogniser.as_mut(), orders)));
        let spent = processor_time("thread-self") - before;
        let mut content = self.lock();
        content.spent += spent;
        let here = content.segment == segment;
        match done {
            Ok(outcome) => {
                content.recogniser = Some(recogniser);
                match outcome {
                    _ if !here => {}
                    Ok(Outcome::Words(words)) => content.words = words.or(content.words.take()),
                    Ok(Outcome::Last(last)) => content.last = Some(last),
                    Err(fault) => content.fault = Some(fault),
                }
            }
            // What it was in the middle of can't be trusted any more.
            Err(_) => content.fault = Some(Fault::Dead(PANICKED.to_owned())),
        }
        content.busy = content.recogniser.is_some() && content.orders.any();
        self.done.notify_all();
        content.busy
    }
}

fn follow(recogniser: &mut dyn Recogniser, orders: Orders) -> Result<Outcome, Fault> {
    if orders.reset {
        recogniser.reset();
    }
    if let Some(at) = orders.begin {
        recogniser.begin(at)?;
    }
    let words = match orders.sound.as_slice() {
        [] => None,
        sound => recogniser.hear(sound)?,
    };
    Ok(match orders.finish {
        true => Outcome::Last(recogniser.finish()?),
        false => Outcome::Words(words),
    })
}

/// A recogniser of one stream whose runs are aside: no call waits for them but [`Recogniser::finish`].
pub struct Aside {
    crew: Arc<Crew>,
    tray: Arc<Tray>,
    name: String,
    portion: Span,
    settling: Span,
}

impl Aside {
    /// Changes what lies on the tray, and sees to it that somebody looks.
    fn order(&self, change: impl FnOnce(&mut Content)) -> Result<(), Fault> {
        let mut content = self.tray.lock();
        change(&mut content);
        if let Err(fault) = content.well() {
            content.orders = Orders::default();
            return Err(fault);
        }
        if !std::mem::replace(&mut content.busy, true) {
            drop(content);
            self.crew.door.wait_in_line(&self.tray);
        }
        Ok(())
    }

    fn look(content: &mut Content) -> Result<Found, Fault> {
        content.well()?;
        Ok(match (content.last.take(), content.words.take()) {
            (Some(last), _) => Found::Last(last),
            (None, Some(words)) => Found::Words(words),
            (None, None) => Found::Nothing,
        })
    }
}

impl Content {
    /// A fault that was not told yet, or that can never be mended.
    fn well(&mut self) -> Result<(), Fault> {
        match self.fault.take() {
            Some(fault) => Err(fault),
            None if self.recogniser.is_none() && !self.busy => Err(Fault::Dead(PANICKED.to_owned())),
            None => Ok(()),
        }
    }

    /// What is found of the segment so far is of no use any more, and what was ordered is not done.
    fn forget(&mut self) {
        self.segment += 1;
        self.orders = Orders {
            reset: true,
            ..Orders::default()
        };
        (self.words, self.last, self.fault) = (None, None, None);
    }
}

impl Recogniser for Aside {
    fn name(&self) -> &str {
        &self.name
    }

    fn begin(&mut self, at: MediaTime) -> Result<(), Fault> {
        self.order(|content| {
            content.forget();
            content.orders.begin = Some(at);
        })
    }

    fn hear(&mut self, samples: &[f32]) -> Result<Option<Hypothesis>, Fault> {
        self.order(|content| content.orders.sound.extend_from_slice(samples))?;
        Ok(self.tray.lock().words.take())
    }

    fn end(&mut self) -> Result<Option<Hypothesis>, Fault> {
        self.order(|content| content.orders.finish = true)?;
        Ok(None)
    }

    fn finish(&mut self) -> Result<Hypothesis, Fault> {
        self.end()?;
        let waits = |content: &mut Content| content.last.is_none() && content.fault.is_none();
        let content = self.tray.lock();
        let waited = self.tray.done.wait_timeout_while(content, LONGEST.to_duration(), waits);
        let (mut content, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match Aside::look(&mut content)? {
            Found::Last(last) => Ok(last),
            _ => Err(Fault::Reset(format!("{} does not end", self.name))),
        }
    }

    fn poll(&mut self) -> Result<Found, Fault> {
        Aside::look(&mut self.tray.lock())
    }

    fn works(&self) -> bool {
        let content = self.tray.lock();
        content.busy || content.words.is_some() || content.last.is_some() || content.fault.is_some()
    }

    /// Of the threads that runs are on; those that a model starts beside them aren't seen.
    fn aside(&mut self) -> Span {
        std::mem::take(&mut self.tray.lock().spent)
    }

    fn ready(&self) -> bool {
        self.tray.lock().orders.sound.len() < MOST_WAITING.samples(RATE) as usize
    }

    fn reset(&mut self) {
        // A fault is told by whatever is asked next.
        let mut content = self.tray.lock();
        content.forget();
        let idle = content.recogniser.is_some() && !std::mem::replace(&mut content.busy, true);
        drop(content);
        if idle {
            self.crew.door.wait_in_line(&self.tray);
        }
    }

    fn portion(&self) -> Span {
        self.portion
    }

    fn slice(&self) -> Span {
        SLICE
    }

    fn settling(&self) -> Span {
        self.settling
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let mut content = self.tray.lock();
        content.segment += 1;
        content.orders = Orders::default();
    }
}
