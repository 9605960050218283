//! What other threads say to the ingest thread: bounded, never waiting, waking it when there is something new.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearsight_core::media::Request;
use hearsight_core::time::Span;
use thiserror::Error;

use super::SessionId;
use super::ice::Generation;
use super::reactor::Command;
use super::stats::{SessionCounters, SessionStats};

/// Messages that may wait for a client, and their bytes: a few seconds of events; a client that far behind is lost.
const MAX_WAITING: usize = 512;
const MAX_WAITING_BYTES: usize = 1024 * 1024;

/// The message was not taken: too much waits for this client already, or its session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("too many messages wait for the client, or it is gone")]
pub struct Full;

/// Speaks to one client from any thread. Nothing here waits.
#[derive(Clone)]
pub struct Reply {
    mailbox: Arc<Mailbox>,
}

impl Reply {
    pub(super) fn new(mailbox: Arc<Mailbox>) -> Reply {
        Reply { mailbox }
    }
    /// Whose client this is.
    pub fn id(&self) -> SessionId {
        self.mailbox.id
    }
    /// Queues a text message for the client's data channel. Messages from before it opens are kept for it.
    pub fn send(&self, text: String) -> Result<(), Full> {
        self.mailbox.post(|waiting| {
            if waiting.over
                || waiting.texts.len() >= MAX_WAITING
                || waiting.bytes.saturating_add(text.len()) > MAX_WAITING_BYTES
            {
                return Err(Full);
            }
            waiting.bytes += text.len();
            waiting.texts.push_back(text);
            Ok(())
        })
    }
    /// Asks the client's encoder for something. Repeated requests merge; `Rate` has no RTCP message and is left to the page.
    pub fn request(&self, request: Request) {
        self.mailbox.post(|waiting| match request {
            Request::Keyframe => waiting.keyframe = true,
            Request::Cap(bits) => waiting.cap = Some(bits),
            Request::Rate(_) => {}
        });
    }
    /// Reports the client's measurement of our clock: server moment = its unix time + `offset_from_unix`, give or take `error`.
    pub fn clock_offset(&self, offset_from_unix: Span, error: Span) {
        self.mailbox
            .post(|waiting| waiting.offset = Some((offset_from_unix, error)));
    }
    /// Ends the session.
    pub fn close(&self) {
        self.mailbox.dismiss();
    }
}

/// What waits for one session.
pub(super) struct Mailbox {
    pub(super) id: SessionId,
    pub(super) counters: SessionCounters,
    /// The ICE generation in force: judged by HTTP threads, changed by the ingest thread.
    pub(super) generation: Mutex<Generation>,
    waiting: Mutex<Waiting>,
    hub: Arc<Hub>,
}

/// The contents of a mailbox.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) texts: VecDeque<String>,
    bytes: usize,
    pub(super) keyframe: bool,
    pub(super) cap: Option<u32>,
    pub(super) offset: Option<(Span, Span)>,
    pub(super) dismissed: bool,
    over: bool,
    /// The ingest thread has been told and has not looked yet.
    told: bool,
}

impl Waiting {
    /// Takes the oldest text out.
    pub(super) fn pop_text(&mut self) {
        if let Some(text) = self.texts.pop_front() {
            self.bytes -= text.len();
        }
    }
}

impl Mailbox {
    pub(super) fn new(id: SessionId, generation: Generation, hub: Arc<Hub>) -> Arc<Mailbox> {
        Arc::new(Mailbox {
            id,
            generation: Mutex::new(generation),
            counters: SessionCounters::default(),
            waiting: Mutex::default(),
            hub,
        })
    }
    /// Asks the ingest thread to look after the session.
    pub(super) fn ring(&self) {
        self.post(|_| {});
    }
    /// Asks the ingest thread to end the session.
    pub(super) fn dismiss(&self) {
        self.post(|waiting| waiting.dismissed = true);
    }
    /// Nothing more is taken.
    pub(super) fn end(&self) {
        let mut waiting = locked(&self.waiting);
        waiting.over = true;
        waiting.texts.clear();
        waiting.bytes = 0;
    }
    /// Opens the mailbox on the ingest thread.
    pub(super) fn open(&self) -> MutexGuard<'_, Waiting> {
        let mut waiting = locked(&self.waiting);
        waiting.told = false;
        waiting
    }
    fn post<T>(&self, put: impl FnOnce(&mut Waiting) -> T) -> T {
        let mut waiting = locked(&self.waiting);
        let result = put(&mut waiting);
        let tell = !waiting.told && !waiting.over;
        waiting.told = true;
        drop(waiting);
        if tell {
            self.hub.mail(self.id);
        }
        result
    }
}

/// Where the ingest thread looks when it is woken.
pub(super) struct Hub {
    waker: mio::Waker,
    stop: AtomicBool,
    mail: Mutex<Vec<SessionId>>,
    commands: Mutex<Vec<Command>>,
    sessions: Mutex<HashMap<SessionId, Arc<Mailbox>>>,
}

impl Hub {
    pub(super) fn new(waker: mio::Waker) -> Arc<Hub> {
        let stop = AtomicBool::new(false);
        Arc::new(Hub {
            waker,
            stop,
            mail: Mutex::default(),
            commands: Mutex::default(),
            sessions: Mutex::default(),
        })
    }
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
    /// Bounded by the admission of sessions: each brings one command, and restarts ICE once at a time.
    pub(super) fn command(&self, command: Command) {
        locked(&self.commands).push(command);
        self.wake();
    }
    pub(super) fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut *locked(&self.commands))
    }
    pub(super) fn take_mail(&self) -> Vec<SessionId> {
        std::mem::take(&mut *locked(&self.mail))
    }
    pub(super) fn enter(&self, mailbox: Arc<Mailbox>) {
        locked(&self.sessions).insert(mailbox.id, mailbox);
    }
    pub(super) fn leave(&self, id: SessionId) {
        locked(&self.sessions).remove(&id);
    }
    pub(super) fn has(&self, id: SessionId) -> bool {
        locked(&self.sessions).contains_key(&id)
    }
    pub(super) fn get(&self, id: SessionId) -> Option<Arc<Mailbox>> {
        locked(&self.sessions).get(&id).cloned()
    }
    pub(super) fn dismiss(&self, id: SessionId) -> bool {
        let mailbox = locked(&self.sessions).remove(&id);
        mailbox.inspect(|mailbox| mailbox.dismiss()).is_some()
    }
    pub(super) fn session_stats(&self) -> Vec<SessionStats> {
        locked(&self.sessions)
            .values()
            .map(|mailbox| mailbox.counters.snapshot(mailbox.id))
            .collect()
    }
    fn mail(&self, id: SessionId) {
        locked(&self.mail).push(id);
        self.wake();
    }
    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(stage = "ingest", %error, "the ingest thread can't be woken");
        }
    }
}

/// The lock, also after a panic elsewhere: what it guards is valid between any two statements.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
