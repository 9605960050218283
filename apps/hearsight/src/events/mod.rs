//! Events for those who don't publish: back ends and operators read a stream's events while it runs.
//!
//! Knows streams, a bounded memory of each and bounded queues to its readers. Must not know HTTP or what an event means.
//! Nothing here waits on a reader: one whose queue is full is cut off, and may resume from the event it saw last. Start at
//! [`Events`].

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::ingest::SessionId;
use crate::wire::ToClient;

/// Events that a stream remembers for those who resume, and their bytes: about the last minute of lively talk.
const KEPT: usize = 256;
const KEPT_BYTES: usize = 256 * 1024;
/// Events that may wait for a reader; one further behind is cut off.
const WAITING: usize = 64;
/// Streams without publisher and reader that are still remembered, for those who resume after the end.
const IDLE_STREAMS: usize = 64;

/// Where a reader is in a stream. Numbers count from 1 within an epoch; a forgotten stream begins another epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId {
    epoch: u32,
    number: u64,
}

impl EventId {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<EventId> {
        let (epoch, number) = text.split_once('-')?;
        Some(EventId {
            epoch: u32::from_str_radix(epoch, 16).ok()?,
            number: number.parse().ok()?,
        })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.epoch, self.number)
    }
}

/// One event of a stream.
#[derive(Clone, Debug)]
pub struct Event {
    /// Where it is in its stream.
    pub id: EventId,
    /// The `type` of its JSON.
    pub name: &'static str,
    /// Which session it comes from.
    pub session: SessionId,
    /// As the data channel carries it.
    pub json: Arc<str>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Who reads now.
    pub readers: usize,
    /// Readers that were too slow.
    pub cut_off: u64,
    /// Events that readers were given, or will be.
    pub sent: u64,
}

/// Why nobody more may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// As many read as may.
    #[error("as many readers as events.readers allows are here: try again a little later")]
    Full,
    /// The server stops.
    #[error("the server is stopping")]
    Closed,
}

/// The events of all streams. Clones share them.
#[derive(Clone)]
pub struct Events {
    inner: Arc<Inner>,
}

struct Inner {
    most: AtomicUsize,
    cut_off: AtomicU64,
    sent: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    streams: HashMap<Arc<str>, Stream>,
    /// Streams that became idle, the longest idle first; some may have woken since.
    idle: VecDeque<Arc<str>>,
    readers: usize,
    next_reader: u64,
    closed: bool,
}

struct Stream {
    epoch: u32,
    last: u64,
    kept: VecDeque<Event>,
    bytes: usize,
    publishers: usize,
    readers: Vec<Seat>,
}

struct Seat {
    number: u64,
    only: Option<SessionId>,
    queue: mpsc::Sender<Event>,
}

impl Stream {
    fn new() -> Stream {
        let mut epoch = [0; 4];
        // Without randomness the epoch is 0, and a reader of a former life may miss that it was one.
        let _ = getrandom::fill(&mut epoch);
        Stream {
            epoch: u32::from_be_bytes(epoch),
            last: 0,
            kept: VecDeque::new(),
            bytes: 0,
            publishers: 0,
            readers: Vec::new(),
        }
    }

    fn is_idle(&self) -> bool {
        self.publishers == 0 && self.readers.is_empty()
    }

    fn keep(&mut self, event: Event) {
        self.bytes += event.json.len();
        self.kept.push_back(event);
        while self.kept.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.bytes -= oldest.json.len();
        }
    }

    /// What a reader missed that saw `after` last: what is remembered, preceded by word of what is not.
    fn missed(&self, after: EventId, only: Option<SessionId>) -> VecDeque<Event> {
        let seen = if after.epoch == self.epoch { after.number } else { 0 };
        let wanted = |event: &&Event| event.id.number > seen && only.is_none_or(|id| id == event.session);
        let mut missed: VecDeque<Event> = self.kept.iter().filter(wanted).cloned().collect();
        let oldest = self.kept.front().map_or(self.last + 1, |event| event.id.number);
        let forgotten = oldest.saturating_sub(seen.saturating_add(1));
        if forgotten > 0
            && let Some(session) = missed.front().map(|event| event.session).or(only)
        {
            let lost = ToClient::Lost {
                stage: "events".into(),
                why: "too_old".into(),
                count: u32::try_from(forgotten).unwrap_or(u32::MAX),
                at_us: None,
            };
            let json = serde_json::to_string(&lost).unwrap_or_default().into();
            let id = EventId {
                epoch: self.epoch,
                number: oldest.saturating_sub(1),
            };
            missed.push_front(Event {
                id,
                name: lost.name(),
                session,
                json,
            });
        }
        missed
    }
}

impl Events {
    /// No streams yet; at most `most` readers at a time.
    pub fn new(most: usize) -> Events {
        let inner = Inner {
            most: AtomicUsize::new(most),
            cut_off: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            state: Mutex::default(),
        };
        Events { inner: Arc::new(inner) }
    }

    /// Changes how many may read; those who are here stay.
    pub fn allow(&self, most: usize) {
        self.inner.most.store(most, Relaxed);
    }

    /// A session begins to publish `stream`.
    pub fn enter(&self, stream: &str, session: SessionId) -> Publisher {
        let name: Arc<str> = stream.into();
        let mut state = self.inner.lock();
        state.streams.entry(name.clone()).or_insert_with(Stream::new).publishers += 1;
        drop(state);
        Publisher {
            events: self.clone(),
            stream: name,
            session,
        }
    }

    /// Reads a stream, of which there may be nothing yet: from now on, or from what follows `after`. `only` takes the events
    /// of one session alone.
    pub fn read(&self, stream: &str, after: Option<EventId>, only: Option<SessionId>) -> Result<Reader, NoPlace> {
        let name: Arc<str> = stream.into();
        let mut state = self.inner.lock();
        if state.closed {
            return Err(NoPlace::Closed);
        }
        if state.readers >= self.inner.most.load(Relaxed) {
            return Err(NoPlace::Full);
        }
        state.readers += 1;
        state.next_reader += 1;
        let number = state.next_reader;
        let (queue, live) = mpsc::channel(WAITING);
        let channel = state.streams.entry(name.clone()).or_insert_with(Stream::new);
        let missed = after.map_or_else(VecDeque::new, |after| channel.missed(after, only));
        channel.readers.push(Seat { number, only, queue });
        drop(state);
        Ok(Reader {
            events: self.clone(),
            stream: name,
            number,
            missed,
            live,
        })
    }

    /// Ends every reader and admits no more.
    pub fn close(&self) {
        let mut state = self.inner.lock();
        state.closed = true;
        state.streams.values_mut().for_each(|stream| stream.readers.clear());
    }

    /// The counters so far.
    pub fn stats(&self) -> Stats {
        Stats {
            readers: self.inner.lock().readers,
            cut_off: self.inner.cut_off.load(Relaxed),
            sent: self.inner.sent.load(Relaxed),
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets go of a stream that nobody uses, or at least remembers it as one of a few.
    fn retire(&mut self, name: &Arc<str>) {
        let Some(stream) = self.streams.get(name).filter(|stream| stream.is_idle()) else {
            return;
        };
        // Readers who wait for streams that never come must not crowd out what others may resume.
        if stream.kept.is_empty() {
            self.streams.remove(name);
            return;
        }
        self.idle.retain(|known| known != name);
        self.idle.push_back(name.clone());
        while self.idle.len() > IDLE_STREAMS {
            let Some(oldest) = self.idle.pop_front() else { return };
            if self.streams.get(&oldest).is_some_and(Stream::is_idle) {
                self.streams.remove(&oldest);
            }
        }
    }
}

/// A session's way to its stream's readers.
pub struct Publisher {
    events: Events,
    stream: Arc<str>,
    session: SessionId,
}

impl Publisher {
    /// Tells the readers, and remembers it for those who resume. Never waits.
    pub fn publish(&self, name: &'static str, json: &str) {
        let inner = &self.events.inner;
        let mut state = inner.lock();
        let Some(stream) = state.streams.get_mut(&self.stream) else {
            return;
        };
        stream.last += 1;
        let event = Event {
            id: EventId {
                epoch: stream.epoch,
                number: stream.last,
            },
            name,
            session: self.session,
            json: json.into(),
        };
        let mut gone = 0;
        stream.readers.retain(|seat| {
            if seat.only.is_some_and(|only| only != self.session) {
                return true;
            }
            let told = seat.queue.try_send(event.clone()).is_ok();
            inner.sent.fetch_add(u64::from(told), Relaxed);
            gone += u64::from(!told);
            told
        });
        inner.cut_off.fetch_add(gone, Relaxed);
        stream.keep(event);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let mut state = self.events.inner.lock();
        if let Some(stream) = state.streams.get_mut(&self.stream) {
            stream.publishers -= 1;
        }
        state.retire(&self.stream);
    }
}

/// One who reads a stream.
pub struct Reader {
    events: Events,
    stream: Arc<str>,
    number: u64,
    missed: VecDeque<Event>,
    live: mpsc::Receiver<Event>,
}

impl Reader {
    /// The next event; `None` when this reader was too slow, or the server stops.
    pub async fn next(&mut self) -> Option<Event> {
        match self.missed.pop_front() {
            Some(event) => Some(event),
            None => self.live.recv().await,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.events.inner.lock();
        state.readers -= 1;
        if let Some(stream) = state.streams.get_mut(&self.stream) {
            stream.readers.retain(|seat| seat.number != self.number);
        }
        state.retire(&self.stream);
    }
}

#[cfg(test)]
mod tests;
