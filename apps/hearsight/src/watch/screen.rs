//! One view of one session, and the places before it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearsight_core::media::{Flow, Packet};
use hearsight_core::stage::Lost;
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{Moment, Span};

use super::Counters;

/// Units that may wait for one viewer: a second of the fastest view. Whoever takes them takes them at once, unless it is
/// overwhelmed.
const MAX_WAITING: usize = 60;

/// Their bytes.
const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;

/// Between two wishes that are passed on: a round trip and the time to make a keyframe. It bounds what viewers who wish
/// again and again cost everybody else.
const KEY_INTERVAL: Span = Span::from_millis(500);

/// The same for one viewer's decoder, which may ask many times for what is on its way.
const WISH_INTERVAL: Span = Span::from_secs(1);

/// No viewer, however poor its path, gets the makers below this many bits per second: others watch the same coding.
const LEAST_RATE: u32 = 150_000;

/// Tells a viewer's thread that something waits in its seat. Called under a lock: it must not block, nor touch the seat.
pub type Bell = Box<dyn Fn() + Send + Sync>;

/// One view of one session. Clones share it.
#[derive(Clone)]
pub struct Screen {
    shared: Arc<Shared>,
}

struct Shared {
    counters: Arc<Counters>,
    /// Read by makers for every unit, so outside the lock.
    seats: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    places: BTreeMap<u64, Place>,
    next: u64,
    key_wished: bool,
    key_passed_on: Option<Moment>,
    ended: bool,
}

/// What a viewer asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Whatever is published under a stream's name: when another session takes the name, this view is over.
    Stream,
    /// One session, as long as it lasts.
    Session,
}

/// What waits for one viewer.
struct Place {
    bell: Bell,
    asked: Asked,
    waiting: VecDeque<Stamped<Packet>>,
    bytes: usize,
    /// It has what the next unit builds on.
    entered: bool,
    /// It had so once: what it misses from now on is lost.
    began: bool,
    rate: Option<u32>,
    /// It takes nothing for now.
    at_rest: bool,
    wished: Option<Moment>,
    ended: bool,
}

/// What a seat has for its viewer.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// The next unit.
    Unit(Stamped<Packet>),
    /// Nothing yet: the bell rings when there is.
    Nothing,
    /// The view is over, or goes on elsewhere.
    Ended,
}

impl Default for Screen {
    fn default() -> Screen {
        Screen::new(Arc::default())
    }
}

impl Screen {
    pub(super) fn new(counters: Arc<Counters>) -> Screen {
        Screen {
            shared: Arc::new(Shared {
                counters,
                seats: AtomicUsize::new(0),
                state: Mutex::default(),
            }),
        }
    }

    /// Shows a unit to everybody who watches. A viewer who has fallen behind loses what waited for it, and goes on with the
    /// next keyframe.
    pub fn put(&self, unit: Stamped<Packet>) {
        if !self.watched() {
            return;
        }
        let mut state = self.shared.lock();
        let State { places, key_wished, .. } = &mut *state;
        if unit.item.entry() {
            *key_wished = false;
        }
        for place in places.values_mut() {
            *key_wished |= place.put(&unit, &self.shared.counters);
        }
    }

    /// Whether anybody watches. Where nobody does, nothing needs to be made.
    pub fn watched(&self) -> bool {
        self.shared.seats.load(Relaxed) > 0
    }

    /// Whether somebody needs a keyframe, who has not been answered by one since. True at most once in half a second.
    pub fn take_key_wish(&self, now: Moment) -> bool {
        if !self.watched() {
            return false;
        }
        let mut state = self.shared.lock();
        let recent = state.key_passed_on.is_some_and(|before| now < before + KEY_INTERVAL);
        if recent || !state.key_wished {
            return false;
        }
        state.key_wished = false;
        state.key_passed_on = Some(now);
        self.shared.counters.key_wishes.fetch_add(1, Relaxed);
        true
    }

    /// The bits per second that the viewer with the poorest path can take, as far as known; never below 150 kbit/s.
    pub fn rate(&self) -> Option<u32> {
        let state = self.shared.lock();
        let least = state.places.values().filter_map(|place| place.rate).min();
        least.map(|rate| rate.max(LEAST_RATE))
    }

    /// The view is over: viewers are told, and nobody more may sit down.
    pub fn end(&self) {
        let mut state = self.shared.lock();
        state.ended = true;
        state.places.values_mut().for_each(Place::end);
    }

    /// Another session took the stream's name: those who asked for the stream are told.
    pub(super) fn hand_over(&self) {
        let mut state = self.shared.lock();
        let places = state.places.values_mut();
        places.filter(|place| place.asked == Asked::Stream).for_each(Place::end);
    }

    /// A seat from which everything is seen from the next keyframe on; none when the view is over.
    pub fn sit(&self, asked: Asked, bell: Bell) -> Option<Seat> {
        let mut state = self.shared.lock();
        if state.ended {
            return None;
        }
        let number = state.next;
        state.next += 1;
        state.key_wished = true;
        let place = Place {
            bell,
            asked,
            waiting: VecDeque::new(),
            bytes: 0,
            entered: false,
            began: false,
            rate: None,
            at_rest: false,
            wished: None,
            ended: false,
        };
        state.places.insert(number, place);
        self.shared.seats.store(state.places.len(), Relaxed);
        self.shared.counters.viewers.fetch_add(1, Relaxed);
        let screen = self.clone();
        Some(Seat { screen, number })
    }
}

#[cfg(test)]
impl Screen {
    pub(super) fn counters(&self) -> Arc<Counters> {
        self.shared.counters.clone()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Queues a unit. True when a keyframe is needed for the viewer to go on.
    fn put(&mut self, unit: &Stamped<Packet>, counters: &Counters) -> bool {
        let packet = &unit.item;
        if self.ended || self.at_rest {
            counters.lose(Lost::TooLate, u64::from(self.at_rest));
            return false;
        }
        if packet.entry() {
            (self.entered, self.began) = (true, true);
        } else if packet.missing > 0 && self.entered {
            // What it builds on never came: the viewer's decoder would show what is not there.
            self.entered = false;
        }
        if !self.entered {
            counters.lose(Lost::Undecodable, u64::from(self.began));
            return true;
        }
        if self.waiting.len() >= MAX_WAITING || self.bytes + packet.payload.len() > MAX_WAITING_BYTES {
            counters.lose(Lost::Replaced, self.waiting.len() as u64);
            self.waiting.clear();
            self.bytes = 0;
            if !packet.entry() {
                counters.lose(Lost::Replaced, 1);
                self.entered = false;
                return true;
            }
        }
        self.bytes += packet.payload.len();
        self.waiting.push_back(unit.clone());
        if self.waiting.len() == 1 {
            (self.bell)();
        }
        false
    }

    /// Loses the unit that was taken last and whatever waits.
    fn lose(&mut self, why: Lost, counters: &Counters) {
        counters.lose(why, 1 + self.waiting.len() as u64);
        self.waiting.clear();
        self.bytes = 0;
        self.entered = false;
    }

    fn end(&mut self) {
        self.ended = true;
        self.waiting.clear();
        self.bytes = 0;
        (self.bell)();
    }
}

/// A viewer's place before a screen; given up when dropped.
pub struct Seat {
    screen: Screen,
    number: u64,
}

impl Seat {
    /// The oldest unit that waits.
    pub fn take(&self) -> Next {
        self.with(|place, counters| {
            if place.ended {
                return Next::Ended;
            }
            let Some(unit) = place.waiting.pop_front() else {
                return Next::Nothing;
            };
            let bytes = unit.item.payload.len();
            place.bytes -= bytes;
            counters.units.fetch_add(1, Relaxed);
            counters.bytes.fetch_add(bytes as u64, Relaxed);
            Next::Unit(unit)
        })
        .unwrap_or(Next::Ended)
    }

    /// The viewer's decoder needs a keyframe (PLI or FIR). Of one viewer's wishes, one in a second counts.
    pub fn wish_key(&self, now: Moment) {
        let mut state = self.screen.shared.lock();
        let Some(place) = state.places.get_mut(&self.number) else {
            return;
        };
        if place.wished.is_none_or(|before| now >= before + WISH_INTERVAL) {
            place.wished = Some(now);
            state.key_wished = true;
        }
    }

    /// The viewer's path takes so many bits per second.
    pub fn set_rate(&self, bits: u32) {
        self.with(|place, _| place.rate = Some(bits));
    }

    /// The unit that was taken can't be sent; the viewer goes on with the next keyframe.
    pub fn lose(&self, why: Lost) {
        self.with(|place, counters| place.lose(why, counters));
        self.screen.shared.lock().key_wished = true;
    }

    /// The unit that was taken can't be sent, nor anything else before the viewer [comes back](Self::come_back).
    pub fn rest(&self, why: Lost) {
        self.with(|place, counters| {
            place.lose(why, counters);
            place.at_rest = true;
        });
    }

    /// After a rest, the viewer goes on with the next keyframe.
    pub fn come_back(&self) {
        self.with(|place, _| place.at_rest = false);
        self.screen.shared.lock().key_wished = true;
    }

    fn with<T>(&self, act: impl FnOnce(&mut Place, &Counters) -> T) -> Option<T> {
        let shared = &self.screen.shared;
        let mut state = shared.lock();
        let place = state.places.get_mut(&self.number)?;
        Some(act(place, &shared.counters))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let shared = &self.screen.shared;
        let mut state = shared.lock();
        if state.places.remove(&self.number).is_some() {
            shared.counters.viewers.fetch_sub(1, Relaxed);
        }
        shared.seats.store(state.places.len(), Relaxed);
    }
}
