//! A film on its way: frames are pulled, encoded once, each at its moment, and given to whoever watches.
//!
//! Knows encoders, pacing and [`Publisher`]s, and nothing of where frames come from: a file, a camera, a pattern and the
//! sample talk are [`Reel`]s alike. One thread makes the sound and one the pictures. A film that is not live plays while
//! somebody watches. Start at [`Film::start`].

mod ladder;
mod playhead;
mod strand;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use hearsight_codecs::encode::EncodeError;
use hearsight_codecs::source::{Pulled, SourceError};
use hearsight_core::media::{Packet, Pcm, Picture, Planes, Request};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Span};
use hearsight_live::clock::Clock;
use thiserror::Error;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, WeakSender};

use crate::allocate::Wanted;
use crate::send::{Publisher, SendError};
use playhead::Playhead;
pub use playhead::Tempo;
use strand::{PictureStrand, SoundStrand, Wish, Wishes};

/// From the first who watches to the first frame: a connection compares the clocks in between.
const LEAD: Span = Span::from_millis(500);
/// Units that wait for one who watches; beyond that he has lost the thread, and gets a keyframe.
const WAITING: usize = 64;

/// Makes frames, one after the other.
pub trait Reel<T>: Send + 'static {
    /// The next frame; waits a fraction of a second at most. Frames before `from` are late: a few may be left out, where
    /// leaving out costs less than making them.
    fn pull(&mut self, from: MediaTime) -> Result<Pulled<T>, SourceError>;
}

/// What there is to show.
pub struct Reels {
    /// Pictures, if any.
    pub pictures: Option<Box<dyn Reel<Picture<Planes>>>>,
    /// Sound in frames of 20 ms at 48 kHz, if any.
    pub sound: Option<Box<dyn Reel<Pcm>>>,
    /// Who says when frames are due.
    pub tempo: Tempo,
}

/// How it is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coding {
    /// Pictures a second, at most.
    pub fps: u32,
    /// Bits a second for the pictures, at most.
    pub bitrate: u32,
}

/// Why a film ends before its end.
#[derive(Debug, Error)]
pub enum FilmError {
    /// The frames ended badly.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// They can't be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// There are no threads for it.
    #[error("the system gives no thread for encoding: {0}")]
    Thread(#[from] std::io::Error),
    /// A thread broke down.
    #[error("a thread that encodes broke down")]
    Panicked,
}

type Outcome = Result<(), FilmError>;

/// A film that is being encoded. It ends when it is dropped.
pub struct Film {
    clock: Clock,
    playhead: Arc<Playhead>,
    wishes: Arc<Wishes>,
    audience: Mutex<Audience>,
    pictures: WeakSender<Stamped<Packet>>,
    sound: WeakSender<Stamped<Packet>>,
    threads: Mutex<Vec<JoinHandle<Outcome>>>,
}

/// Who watches, each with what he can take and wants.
#[derive(Default)]
struct Audience {
    next: u64,
    places: BTreeMap<u64, Place>,
}

/// What one who watches can take and wants.
struct Place {
    /// The receiver's own cap, and the path's, in bits per second.
    asked: u32,
    allowed: u32,
    /// The share of packets lost on the way.
    lost: f64,
    wanted: Wanted,
}

impl Film {
    /// Starts the threads; the first frames are made when somebody watches, those of a live source at once.
    pub fn start(reels: Reels, coding: Coding, clock: Clock) -> Result<Arc<Film>, FilmError> {
        let playhead = Arc::new(Playhead::new(clock, reels.tempo));
        let wishes = Arc::new(Wishes::default());
        let (pictures, _) = broadcast::channel(WAITING);
        let (sound, _) = broadcast::channel(WAITING);
        let film = Film {
            clock,
            playhead: Arc::clone(&playhead),
            wishes: Arc::clone(&wishes),
            audience: Mutex::default(),
            pictures: pictures.downgrade(),
            sound: sound.downgrade(),
            threads: Mutex::default(),
        };
        if let Some(reel) = reels.pictures {
            let strand = PictureStrand::new(reel, coding, wishes, clock, pictures);
            film.spawn("film-pictures", move |playhead| strand.run(playhead))?;
        }
        if let Some(reel) = reels.sound {
            let strand = SoundStrand::new(reel, clock, sound)?;
            film.spawn("film-sound", move |playhead| strand.run(playhead))?;
        }
        Ok(Arc::new(film))
    }

    fn spawn(&self, name: &str, run: impl FnOnce(&Playhead) -> Outcome + Send + 'static) -> Outcome {
        let playhead = Arc::clone(&self.playhead);
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            let outcome = run(&playhead);
            if outcome.is_err() {
                // The other strand ends with it.
                playhead.stop();
            }
            outcome
        })?;
        lock(&self.threads).push(thread);
        Ok(())
    }

    /// A seat for one who watches from now on; it is his until the [`Ticket`] is dropped.
    pub fn watch(self: &Arc<Film>) -> (Ticket, Seat) {
        // Without a sender the film is over, and what is received is its end.
        let subscribe = |sender: &WeakSender<Stamped<Packet>>| match sender.upgrade() {
            Some(sender) => sender.subscribe(),
            None => broadcast::channel(1).1,
        };
        let seat = Seat {
            pictures: subscribe(&self.pictures),
            sound: subscribe(&self.sound),
        };
        let mut audience = lock(&self.audience);
        let number = audience.next;
        audience.next += 1;
        let place = Place {
            asked: u32::MAX,
            allowed: u32::MAX,
            lost: 0.0,
            wanted: Wanted::default(),
        };
        audience.places.insert(number, place);
        self.wishes.wish(audience.wish());
        self.playhead.play(self.clock.now() + LEAD);
        drop(audience);
        self.wishes.keyframe();
        let film = Arc::clone(self);
        (Ticket { film, number }, seat)
    }

    /// Ends it, if it has not ended, and says how it did. Waits a fraction of a second for its threads.
    pub fn finish(&self) -> Outcome {
        self.playhead.stop();
        let threads = std::mem::take(&mut *lock(&self.threads));
        let outcomes: Vec<Outcome> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Err(FilmError::Panicked)))
            .collect();
        outcomes.into_iter().collect()
    }
}

impl Drop for Film {
    fn drop(&mut self) {
        self.playhead.stop();
    }
}

/// The right to wish for something while one watches.
pub struct Ticket {
    film: Arc<Film>,
    number: u64,
}

impl Ticket {
    /// Grants what the receiver asks for: a keyframe goes to all who watch, and all get no more bits than the one who can
    /// take the fewest.
    pub fn request(&self, request: Request) {
        match request {
            Request::Keyframe => self.film.wishes.keyframe(),
            Request::Cap(bits) => self.change(|place| place.asked = bits),
            Request::Rate(_) => {}
        }
    }

    /// What the path takes, in bits per second, and the share of packets that it loses.
    pub fn path(&self, allowed: Option<u32>, lost: f64) {
        self.change(|place| (place.allowed, place.lost) = (allowed.unwrap_or(u32::MAX), lost));
    }

    /// What the server wishes.
    pub fn want(&self, wanted: Wanted) {
        self.change(|place| place.wanted = wanted);
    }

    fn change(&self, change: impl FnOnce(&mut Place)) {
        let mut audience = lock(&self.film.audience);
        if let Some(place) = audience.places.get_mut(&self.number) {
            change(place);
        }
        self.film.wishes.wish(audience.wish());
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut audience = lock(&self.film.audience);
        audience.places.remove(&self.number);
        self.film.wishes.wish(audience.wish());
        if audience.places.is_empty() {
            self.film.playhead.hold(self.film.clock.now());
        }
    }
}

impl Audience {
    /// The tightest cap holds for all; a map only where one watches, for two may look at different things; the rate of
    /// pictures is that of the worst path.
    fn wish(&self) -> Wish {
        let caps = self.places.values().map(Place::cap);
        let maps = self.places.values().map(|place| place.wanted.map.clone());
        let rate = |place: &Place| place.wanted.fps(place.lost);
        let rates: Option<Vec<f32>> = self.places.values().map(rate).collect();
        Wish {
            cap: caps.min().unwrap_or(u32::MAX),
            map: maps.take(2).reduce(|_, _| None).flatten(),
            fps: rates.and_then(|rates| rates.into_iter().reduce(f32::max)),
        }
    }
}

impl Place {
    fn cap(&self) -> u32 {
        self.asked.min(self.allowed).min(self.wanted.cap.unwrap_or(u32::MAX))
    }
}

/// Where the units arrive for one who watches.
pub struct Seat {
    pictures: Receiver<Stamped<Packet>>,
    sound: Receiver<Stamped<Packet>>,
}

impl Seat {
    /// Sends everything over `publisher` until the film is over. Errors: the connection is.
    pub async fn feed(mut self, ticket: &Ticket, publisher: &Publisher) -> Result<(), SendError> {
        // A large picture goes out over some time, which sound does not wait for.
        tokio::try_join!(
            see(&mut self.pictures, ticket, publisher),
            hear(&mut self.sound, publisher)
        )?;
        Ok(())
    }
}

async fn hear(sound: &mut Receiver<Stamped<Packet>>, publisher: &Publisher) -> Result<(), SendError> {
    loop {
        match sound.recv().await {
            Ok(unit) => publisher.audio(unit).await?,
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

async fn see(
    pictures: &mut Receiver<Stamped<Packet>>,
    ticket: &Ticket,
    publisher: &Publisher,
) -> Result<(), SendError> {
    // A decoder that starts, or has lost pictures, can do nothing with one that builds on others.
    let mut entered = false;
    loop {
        match pictures.recv().await {
            Ok(unit) => {
                entered |= unit.item.key;
                if entered {
                    publisher.video(unit).await?;
                }
                ticket.path(publisher.allowed(), publisher.lost());
            }
            Err(RecvError::Lagged(_)) => {
                entered = false;
                ticket.request(Request::Keyframe);
            }
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

/// Nobody leaves half a value behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
