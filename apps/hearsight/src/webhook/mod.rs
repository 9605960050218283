//! Events for those who are called: each is posted as JSON, signed, and posted again until it is taken.
//!
//! Knows one address, one bounded queue and one task. Must not know what the events mean. Whoever posts never waits: when
//! the queue is full the oldest is dropped and counted. Start at [`Webhooks`].

mod sign;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hearsight_core::time::Span;
use hearsight_live::clock::Clock;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::config;
use crate::wire::notice::Posted;

pub use sign::{BadSecret, Secret};

/// Events that may wait: some minutes of a busy server.
const WAITING: usize = 1024;
/// How long one attempt may take, from the name's look-up to the answer's status.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Attempts for one event: with [`Backoff::default`] about ten minutes.
const ATTEMPTS: u32 = 12;
/// How long the last events may take when the server stops.
const FAREWELL: Duration = Duration::from_secs(3);

/// How long to wait between attempts: doubling from the first to the longest, each shortened at random by up to a half so
/// that many servers don't knock at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Span,
    /// At most.
    pub longest: Span,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff {
            first: Span::from_secs(1),
            longest: Span::from_secs(60),
        }
    }
}

impl Backoff {
    fn after(&self, failures: u32, random: &mut fastrand::Rng) -> Span {
        let doubled = self.first * (1_i64 << failures.saturating_sub(1).min(20));
        let full = doubled.min(self.longest).micros();
        Span::from_micros(full - random.i64(0..=full / 2))
    }
}

/// Where events go, and which.
#[derive(Debug)]
pub struct Target {
    url: reqwest::Url,
    secret: Secret,
    events: Vec<String>,
}

impl Target {
    /// Reads the secret that the settings name.
    pub fn open(config: &config::Webhook) -> Result<Target, BadSecret> {
        Ok(Target {
            url: config.url.clone(),
            secret: Secret::read(&config.secret)?,
            events: config.events.clone(),
        })
    }
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events that were taken.
    pub delivered: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Events given up after the last attempt, or at the end.
    pub given_up: u64,
    /// Events dropped because too many waited.
    pub dropped: u64,
    /// Events that wait.
    pub waiting: usize,
}

/// Posts events. Clones share the queue; one task empties it until [`Webhooks::finish`].
#[derive(Clone)]
pub struct Webhooks {
    inner: Arc<Inner>,
}

struct Inner {
    client: reqwest::Client,
    clock: Clock,
    backoff: Backoff,
    state: Mutex<State>,
    changed: Notify,
    delivered: AtomicU64,
    failures: AtomicU64,
    given_up: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    target: Option<Arc<Target>>,
    queue: VecDeque<Letter>,
    task: Option<JoinHandle<()>>,
    closing: bool,
}

#[derive(Clone)]
struct Letter {
    id: String,
    body: Arc<str>,
}

impl Webhooks {
    /// Starts the task, on the tokio runtime that this is called from.
    pub fn start(target: Option<Target>, backoff: Backoff, clock: Clock) -> Result<Webhooks, reqwest::Error> {
        let client = reqwest::Client::builder()
            // The signature is for the address that was named, not for one it points at.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ATTEMPT)
            .user_agent(concat!("hearsight/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let state = State {
            target: target.map(Arc::new),
            ..State::default()
        };
        let inner = Arc::new(Inner {
            client,
            clock,
            backoff,
            state: Mutex::new(state),
            changed: Notify::new(),
            delivered: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let task = tokio::spawn(deliver_all(inner.clone()));
        inner.lock().task = Some(task);
        Ok(Webhooks { inner })
    }

    /// Changes where events go from now on, those that wait among them; none forgets them.
    pub fn replace(&self, target: Option<Target>) {
        let mut state = self.inner.lock();
        if target.is_none() {
            self.inner.given_up.fetch_add(state.queue.len() as u64, Relaxed);
            state.queue.clear();
        }
        state.target = target.map(Arc::new);
        drop(state);
        self.inner.changed.notify_one();
    }

    /// Whether anybody wants events of this name.
    pub fn wants(&self, name: &str) -> bool {
        let state = self.inner.lock();
        let target = state.target.as_ref().filter(|_| !state.closing);
        target.is_some_and(|target| target.events.iter().any(|wanted| wanted == name))
    }

    /// Queues an event if it is wanted. Never waits: when too many do already, the oldest is dropped.
    pub fn post(&self, name: &str, data: serde_json::Value) {
        if !self.wants(name) {
            return;
        }
        let timestamp = rfc3339(unix_now());
        let posted = Posted {
            r#type: name,
            timestamp: &timestamp,
            data,
        };
        let mut random = [0; 16];
        let (Ok(body), Ok(())) = (serde_json::to_string(&posted), getrandom::fill(&mut random)) else {
            self.inner.dropped.fetch_add(1, Relaxed);
            return;
        };
        let letter = Letter {
            id: format!("msg_{:032x}", u128::from_be_bytes(random)),
            body: body.into(),
        };
        let mut state = self.inner.lock();
        if state.queue.len() == WAITING {
            state.queue.pop_front();
            self.inner.dropped.fetch_add(1, Relaxed);
        }
        state.queue.push_back(letter);
        drop(state);
        self.inner.changed.notify_one();
    }

    /// Tries each waiting event once more, some seconds at most, and ends the task.
    pub async fn finish(&self) {
        let task = {
            let mut state = self.inner.lock();
            state.closing = true;
            state.task.take()
        };
        self.inner.changed.notify_one();
        if let Some(mut task) = task
            && tokio::time::timeout(FAREWELL, &mut task).await.is_err()
        {
            task.abort();
        }
        let mut state = self.inner.lock();
        let left = std::mem::take(&mut state.queue).len();
        self.inner.given_up.fetch_add(left as u64, Relaxed);
    }

    /// The counters so far.
    pub fn stats(&self) -> Stats {
        let inner = &self.inner;
        Stats {
            delivered: inner.delivered.load(Relaxed),
            failures: inner.failures.load(Relaxed),
            given_up: inner.given_up.load(Relaxed),
            dropped: inner.dropped.load(Relaxed),
            waiting: inner.lock().queue.len(),
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closing(&self) -> bool {
        self.lock().closing
    }

    /// The oldest letter, and whom it is for.
    fn next(&self) -> Option<(Letter, Arc<Target>)> {
        let state = self.lock();
        Some((state.queue.front()?.clone(), state.target.clone()?))
    }

    /// The letter is done with, unless it was dropped meanwhile.
    fn done(&self, letter: &Letter, counter: &AtomicU64) {
        let mut state = self.lock();
        if state.queue.front().is_some_and(|front| front.id == letter.id) {
            state.queue.pop_front();
            counter.fetch_add(1, Relaxed);
        }
    }

    /// One attempt.
    async fn attempt(&self, letter: &Letter, target: &Target) -> bool {
        let timestamp = i64::try_from(unix_now().as_secs()).unwrap_or(i64::MAX);
        let request = self
            .client
            .post(target.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", &letter.id)
            .header("webhook-timestamp", timestamp)
            .header(
                "webhook-signature",
                target.secret.sign(&letter.id, timestamp, &letter.body),
            )
            .body(letter.body.to_string());
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    }

    /// Waits until the moment comes, the server stops, or the target changes.
    async fn pause(&self, failures: u32, random: &mut fastrand::Rng) {
        let until = self.clock.now() + self.backoff.after(failures, random);
        let until = tokio::time::Instant::from_std(self.clock.instant_from_moment(until));
        while !self.closing() {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                () = self.changed.notified() => {}
            }
        }
    }
}

async fn deliver_all(inner: Arc<Inner>) {
    let mut seed = [0; 8];
    // Without randomness the waits are merely predictable.
    let _ = getrandom::fill(&mut seed);
    let mut random = fastrand::Rng::with_seed(u64::from_ne_bytes(seed));
    let mut failing = (String::new(), 0);
    loop {
        let Some((letter, target)) = inner.next() else {
            if inner.closing() {
                return;
            }
            inner.changed.notified().await;
            continue;
        };
        if failing.0 != letter.id {
            failing = (letter.id.clone(), 0);
        }
        if inner.attempt(&letter, &target).await {
            inner.done(&letter, &inner.delivered);
            continue;
        }
        inner.failures.fetch_add(1, Relaxed);
        failing.1 += 1;
        if failing.1 >= ATTEMPTS || inner.closing() {
            tracing::warn!(
                stage = "webhook",
                attempts = failing.1,
                "an event is not taken and is given up"
            );
            inner.done(&letter, &inner.given_up);
        } else {
            inner.pause(failing.1, &mut random).await;
        }
    }
}

fn unix_now() -> Duration {
    #[allow(
        clippy::disallowed_methods,
        reason = "receivers compare the time of a signature with their calendar"
    )]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn rfc3339(since_1970: Duration) -> String {
    let at = time::OffsetDateTime::from(UNIX_EPOCH + since_1970);
    at.format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
