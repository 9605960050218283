//! Warm worker processes, bounded in number, for sessions to take and give back.

use std::collections::HashSet;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use hearsight_core::time::Span;
use thiserror::Error;

use super::session::PocketSphinx;
use super::workers::{Memory, Worker};

/// How many workers there may be, and how long is waited for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Workers altogether, at most: each holds about 100 MB, almost all of it its own, and up to 120 in use.
    pub most: usize,
    /// Warm workers kept for whoever comes next, and for one that must be replaced; up to twice as many of those that come
    /// back.
    pub spare: usize,
    /// Loading the model takes half a second; a busy machine needs more.
    pub start: Span,
    /// How long a portion of sound may keep a slice waiting for its words. Past it the words come with a later portion, and
    /// the sound that arrives meanwhile is taken.
    pub patience: Span,
    /// No answer for so long, and a worker is given up. Far above a slice, so that a busy machine kills nobody.
    pub reply: Span,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            most: 8,
            spare: 1,
            start: Span::from_secs(20),
            patience: Span::from_millis(40),
            reply: Span::from_secs(3),
        }
    }
}

/// The workers of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crew {
    /// Ready for whoever comes next.
    pub idle: usize,
    /// Loading their model.
    pub starting: usize,
    /// At work for a session.
    pub taken: usize,
}

/// Why no worker can be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// As many as allowed are taken.
    #[error("all {0} recognisers are taken; raise the limit or try again later")]
    Full(usize),
    /// None is warm at this moment; one is being started.
    #[error("the recogniser is being started")]
    Starting,
    /// Workers cannot be started. One line that names the file and the repair where a file is the reason.
    #[error("{0}")]
    Broken(String),
}

/// Makes the command that starts a worker: a process that runs [`super::worker::main`].
type Factory = dyn Fn() -> Command + Send + Sync;

/// A pool of workers. Clones share it; with the last of them, and the last recogniser taken, the workers end.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    command: Box<Factory>,
    config: Config,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Worker>,
    starting: usize,
    taken: HashSet<u32>,
    broken: Option<String>,
}

impl State {
    fn all(&self) -> usize {
        self.idle.len() + self.starting + self.taken.len()
    }
}

impl Pool {
    /// A pool whose workers `command` starts. The first spare ones are started at once, in the background.
    pub fn new(command: impl Fn() -> Command + Send + Sync + 'static, config: Config) -> Pool {
        let inner = Inner {
            command: Box::new(command),
            config,
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        let pool = Pool { inner: Arc::new(inner) };
        let mut state = pool.state();
        pool.restock(&mut state);
        drop(state);
        pool
    }
    /// A recogniser for one session. Waits for a worker to start, [`Config::start`] at most.
    pub fn take(&self) -> Result<PocketSphinx, Refused> {
        let mut state = self.state();
        // An earlier failure is no reason not to try: the file may have been repaired.
        state.broken = None;
        state.idle.retain_mut(Worker::alive);
        self.restock(&mut state);
        let limit = self.inner.config.start.to_duration();
        let waiting = |state: &mut State| state.idle.is_empty() && state.starting > 0;
        let (state, _) = self
            .inner
            .changed
            .wait_timeout_while(state, limit, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        let worker = self.grab(state)?;
        Ok(PocketSphinx::new(self.clone(), worker))
    }
    /// What each worker holds.
    pub fn memory(&self) -> Vec<Memory> {
        let state = self.state();
        let pids: Vec<u32> = state
            .idle
            .iter()
            .map(Worker::pid)
            .chain(state.taken.iter().copied())
            .collect();
        drop(state);
        pids.into_iter().filter_map(Memory::of).collect()
    }
    /// How many workers there are, and at what.
    pub fn crew(&self) -> Crew {
        let state = self.state();
        Crew {
            idle: state.idle.len(),
            starting: state.starting,
            taken: state.taken.len(),
        }
    }
    /// How many sessions can have a recogniser at the same time.
    pub fn most(&self) -> usize {
        self.inner.config.most
    }

    /// A warm worker, at once or not at all.
    pub(super) fn grab_warm(&self) -> Result<Worker, Refused> {
        let mut state = self.state();
        state.idle.retain_mut(Worker::alive);
        self.restock(&mut state);
        self.grab(state)
    }
    /// A worker comes back from its session, in step and alive. It is kept while fewer than twice the spare ones are idle
    /// or on their way: so a rush of people does not hold its memory for ever, and a steady coming and going starts no
    /// processes.
    pub(super) fn give_back(&self, worker: Worker) {
        let mut state = self.state();
        if state.idle.len() + state.starting >= 2 * self.inner.config.spare.max(1) {
            drop(state);
            return self.discard(worker);
        }
        state.taken.remove(&worker.pid());
        state.idle.push(worker);
        drop(state);
        self.inner.changed.notify_all();
    }
    /// A worker is of no use any more.
    pub(super) fn discard(&self, worker: Worker) {
        let pid = worker.pid();
        drop(worker);
        let mut state = self.state();
        state.taken.remove(&pid);
        self.restock(&mut state);
    }
    /// How long to wait for an answer.
    pub(super) fn reply_limit(&self) -> Span {
        self.inner.config.reply
    }
    pub(super) fn patience(&self) -> Span {
        self.inner.config.patience
    }

    fn grab(&self, mut state: MutexGuard<'_, State>) -> Result<Worker, Refused> {
        if let Some(worker) = state.idle.pop() {
            state.taken.insert(worker.pid());
            self.restock(&mut state);
            return Ok(worker);
        }
        if let Some(why) = &state.broken {
            return Err(Refused::Broken(why.clone()));
        }
        self.restock(&mut state);
        if state.starting == 0 {
            Err(Refused::Full(self.inner.config.most))
        } else {
            Err(Refused::Starting)
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts what is missing to the wanted number of spare workers.
    fn restock(&self, state: &mut State) {
        let config = &self.inner.config;
        let wanted = config.spare.max(1);
        while state.broken.is_none() && state.idle.len() + state.starting < wanted && state.all() < config.most {
            let inner = self.inner.clone();
            let started = thread::Builder::new()
                .name("hs-asr-start".to_owned())
                .spawn(move || inner.start_one());
            match started {
                Ok(_) => state.starting += 1,
                Err(why) => state.broken = Some(format!("no thread to start a recogniser: {why}")),
            }
        }
    }
}

impl Inner {
    fn start_one(&self) {
        let worker = Worker::start((self.command)(), self.config.start);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.starting -= 1;
        match worker {
            Ok(worker) => state.idle.push(worker),
            Err(why) => {
                tracing::error!(stage = "recognise", "{why}");
                state.broken = Some(why);
            }
        }
        drop(state);
        self.changed.notify_all();
    }
}
