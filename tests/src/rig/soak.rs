//! A server that people come to and leave for a long time: what it holds must not grow.

use std::sync::Arc;

use anyhow::{Result, ensure};
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;

use super::callers::{Callers, Number};
use super::material::Track;
use super::process::{self, Held};
use super::server::Server;
use super::whip;

/// The longest that connecting, or coming to rest, may take on a busy machine. Threads that wait for blocking work are
/// let go after ten seconds of rest.
const PATIENCE: Span = Span::from_secs(30);

/// Threads that the runtime makes when it first needs them and keeps, whoever comes: two for reading and writing.
const MOST_IDLE_THREADS: usize = 2;

/// Recogniser processes that are kept ready, and as many of those that come back. Each takes two threads that
/// listen to it, and three pipes.
pub const WARM: usize = 2;
const THREADS_PER_WORKER: usize = 2;
const DESCRIPTORS_PER_WORKER: usize = 3;

/// What is done over and over.
pub struct Cycle {
    /// How many callers are there at a time.
    pub at_once: usize,
    /// How long each speaks.
    pub speaks: Span,
    /// What it says.
    pub talk: Track,
}

/// One caller of a cycle.
struct Speaking {
    number: Number,
    since: Option<Moment>,
    asked: Moment,
    said: usize,
}

/// Lets `count` callers come, connect, speak and leave. Errors: one that does not get in or is cut off.
pub fn cycles(server: &Server, cycle: &Cycle, count: usize) -> Result<()> {
    let clock = Clock::new();
    let mut callers = Callers::new(clock)?;
    let mut speaking: Vec<Speaking> = Vec::new();
    let mut begun = 0;
    while begun < count || !speaking.is_empty() {
        if begun < count && speaking.len() < cycle.at_once {
            let (number, offer) = callers.dial()?;
            let created = whip::post(&server.page, "soak", &offer)?;
            callers.accept(number, &created.sdp)?;
            begun += 1;
            speaking.push(Speaking {
                number,
                since: None,
                asked: clock.now(),
                said: 0,
            });
        }
        let mut still = Vec::with_capacity(speaking.len());
        for mut one in speaking {
            match speak(&mut callers, clock.now(), cycle, &mut one)? {
                true => callers.hang_up(one.number)?,
                false => still.push(one),
            }
        }
        speaking = still;
        callers.turn(clock.now() + Span::from_millis(5))?;
    }
    Ok(())
}

/// Says what is due. True when all is said.
fn speak(callers: &mut Callers, now: Moment, cycle: &Cycle, one: &mut Speaking) -> Result<bool> {
    let caller = callers.caller(one.number)?;
    ensure!(!caller.closed, "the server cut a caller off");
    let Some(since) = one.since else {
        let connected = caller.connected.is_some();
        ensure!(
            now - one.asked < PATIENCE,
            "a caller does not get in: connected is {connected}, and the channel does not open"
        );
        one.since = caller.open.then_some(now);
        return Ok(false);
    };
    while one.said < cycle.talk.count(now - since) {
        let unit: Arc<[u8]> = cycle.talk.unit(one.said);
        callers.say(one.number, cycle.talk.due(one.said), unit)?;
        one.said += 1;
    }
    Ok(now - since >= cycle.speaks)
}

/// What the server holds once it has come to rest: the same threads, descriptors and worker processes for a second and,
/// if it held `at_first` before anyone came, no more of them than then but for [`WARM`] workers more, and what each of
/// them takes. Errors: it does not come to rest.
pub fn at_rest(server: &Server, at_first: Option<Held>) -> Result<Held> {
    let clock = Clock::new();
    let mut idle = Callers::new(clock)?;
    let end = clock.now() + PATIENCE;
    let mut held = process::held(server.pid())?;
    let mut since = clock.now();
    let counts = |held: &Held| (held.threads, held.descriptors, held.children);
    loop {
        idle.turn(clock.now() + Span::from_millis(100))?;
        let now = process::held(server.pid())?;
        if counts(&now) != counts(&held) {
            since = clock.now();
        }
        held = now;
        let fits = at_first.is_none_or(|first| {
            held.threads <= first.threads + MOST_IDLE_THREADS + WARM * THREADS_PER_WORKER
                && held.descriptors <= first.descriptors + WARM * DESCRIPTORS_PER_WORKER
                && held.children <= first.children + WARM
        });
        if fits && clock.now() - since >= Span::from_secs(1) {
            return Ok(held);
        }
        ensure!(
            clock.now() < end,
            "something is left behind: the server holds {held:?}, and before anyone came {at_first:?}"
        );
    }
}

/// How much larger the memory of `after` is than that of `before`, as a share of it.
pub fn growth(before: Held, after: Held) -> f64 {
    after.resident_kb as f64 / before.resident_kb as f64 - 1.0
}
