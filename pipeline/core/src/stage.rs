//! The one verb: a stage is stepped with a moment and a signal, and puts what follows into its outbox.

use thiserror::Error;

use crate::media::Request;
use crate::schedule::Strain;
use crate::stamped::Stamped;
use crate::time::{Moment, Span};

/// Why something was dropped: the whole vocabulary, and the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lost {
    /// A newer one made it worthless.
    Replaced,
    /// It waited longer than its link allows, or belongs before what was already taken.
    TooOld,
    /// It would have been, or was, later than its deadline.
    TooLate,
    /// There was no room or no licence for it: admission, quotas, epochs gone by.
    Refused,
    /// It never arrived, or what arrived cannot be decoded.
    Undecodable,
}

impl Lost {
    /// Every reason.
    pub const ALL: [Lost; 5] = [
        Lost::Replaced,
        Lost::TooOld,
        Lost::TooLate,
        Lost::Refused,
        Lost::Undecodable,
    ];

    /// The name on the wire and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Lost::Replaced => "replaced",
            Lost::TooOld => "too_old",
            Lost::TooLate => "too_late",
            Lost::Refused => "refused",
            Lost::Undecodable => "undecodable",
        }
    }
}

/// A hole in what follows: which stage lost it, why, and how many units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The node before or in which it was lost.
    pub stage: &'static str,
    /// Why.
    pub why: Lost,
    /// How many units.
    pub count: u32,
}

/// Why a session's epoch was bumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The person spoke over the answer.
    BargeIn,
    /// What was queued is no longer wanted: another place in the stream, another question.
    Seek,
}

/// What reaches a stage.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal<T> {
    /// A unit.
    Item(Stamped<T>),
    /// Units are missing here.
    Gap(Gap),
    /// The moment asked for with [`Wake::At`] has come, and no unit waits: a stage looks at `now` in every step.
    Timer,
    /// Forget what is under way; what was queued is already gone.
    Flush(Why),
    /// Nothing follows. Whatever is held back must come out now.
    End,
}

/// When a stage wants to be stepped again without a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Only when something comes.
    OnSignal,
    /// At this moment at the latest, with [`Signal::Timer`].
    At(Moment),
}

/// What an engine says when it can't go on. A bad item is neither: it is a loss and a gap.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// State was lost and rebuilt; the next signal finds a fresh engine. Announced downstream as a gap.
    #[error("state was lost and rebuilt: {0}")]
    Reset(String),
    /// It will not work again in this session.
    #[error("stopped for good: {0}")]
    Dead(String),
}

/// Quick pure work, stepped on the session's own task: microseconds, no wait, no thread, no clock.
pub trait Stage: Send {
    /// What comes in.
    type In;
    /// What goes out.
    type Out;
    /// Takes one signal, at `now`.
    fn step(&mut self, now: Moment, signal: Signal<Self::In>, out: &mut Outbox<Self::Out>) -> Wake;
    /// How much later than its input a result comes by the nature of the work: window, hangover, look-ahead.
    fn delay(&self) -> Span {
        Span::ZERO
    }
}

/// Slow stateful work on an engine thread. One `run` is one bounded slice.
pub trait Engine: Send {
    /// What comes in.
    type In;
    /// What goes out.
    type Out;
    /// Takes one signal, at `now`; returns within [`Engine::slice`].
    fn run(&mut self, now: Moment, signal: Signal<Self::In>, out: &mut Outbox<Self::Out>) -> Result<Wake, Fault>;
    /// The longest slice, declared; benches print the measured p99.9 over it.
    fn slice(&self) -> Span;
    /// As for [`Stage::delay`].
    fn delay(&self) -> Span {
        Span::ZERO
    }
    /// Hears how long its last slice took, measured live or modelled in simulation.
    fn took(&mut self, _cost: Span) {}
    /// In which of its configurations it works now (a size, a rung): what it takes is learnt for each by itself, and 0 is the
    /// first.
    fn variant(&self) -> u8 {
        0
    }
}

impl<S: Stage + ?Sized> Stage for Box<S> {
    type In = S::In;
    type Out = S::Out;
    fn step(&mut self, now: Moment, signal: Signal<S::In>, out: &mut Outbox<S::Out>) -> Wake {
        (**self).step(now, signal, out)
    }
    fn delay(&self) -> Span {
        (**self).delay()
    }
}

impl<E: Engine + ?Sized> Engine for Box<E> {
    type In = E::In;
    type Out = E::Out;
    fn run(&mut self, now: Moment, signal: Signal<E::In>, out: &mut Outbox<E::Out>) -> Result<Wake, Fault> {
        (**self).run(now, signal, out)
    }
    fn slice(&self) -> Span {
        (**self).slice()
    }
    fn delay(&self) -> Span {
        (**self).delay()
    }
    fn took(&mut self, cost: Span) {
        (**self).took(cost);
    }
    fn variant(&self) -> u8 {
        (**self).variant()
    }
}

/// What one step produced, in order. The host empties it after every step.
#[derive(Debug)]
pub struct Outbox<T> {
    pub(crate) signals: Vec<Signal<T>>,
    pub(crate) losses: Vec<(Lost, u32)>,
    pub(crate) requests: Vec<Request>,
    pub(crate) spent: Span,
    pub(crate) lingers: bool,
    pub(crate) strain: Strain,
}

impl<T> Default for Outbox<T> {
    fn default() -> Outbox<T> {
        Outbox {
            signals: Vec::new(),
            losses: Vec::new(),
            requests: Vec::new(),
            spent: Span::ZERO,
            lingers: false,
            strain: Strain::None,
        }
    }
}

impl<T> Outbox<T> {
    /// Passes a unit on.
    #[inline]
    pub fn put(&mut self, item: Stamped<T>) {
        self.signals.push(Signal::Item(item));
    }
    /// Passes on a gap that came in.
    #[inline]
    pub fn pass(&mut self, gap: Gap) {
        self.signals.push(Signal::Gap(gap));
    }
    /// Counts `count` units lost here and announces the gap downstream, under this node's name.
    pub fn lose(&mut self, why: Lost, count: u32) {
        self.losses.push((why, count));
        // The node knows its name, the stage does not: an empty name is filled in on delivery.
        self.signals.push(Signal::Gap(Gap { stage: "", why, count }));
    }
    /// Counts `count` units that were not made here, where nobody misses them in their place.
    pub fn skip(&mut self, why: Lost, count: u32) {
        self.losses.push((why, count));
    }
    /// What is to give way in this step, because the machine has too much to do. An argument of the step, as time is.
    #[inline]
    pub fn strain(&self) -> Strain {
        self.strain
    }
    /// An outbox under a strain; for tests and for stages that wrap stages.
    pub fn under(strain: Strain) -> Outbox<T> {
        Outbox {
            strain,
            ..Outbox::default()
        }
    }
    /// Sends a request back to `ingest`.
    pub fn request(&mut self, request: Request) {
        self.requests.push(request);
    }
    /// Says that nothing follows.
    pub fn end(&mut self) {
        self.signals.push(Signal::End);
    }
    /// After [`Signal::End`]: there is more to say, so this is not the last step. The next comes with the timer that the answer asks
    /// for.
    pub fn linger(&mut self) {
        self.lingers = true;
    }
    /// In simulation: this slice would have taken so long. The live host measures instead; there it is what others took of
    /// processors for the engine since its last slice, and counts where it is more.
    pub fn spend(&mut self, cost: Span) {
        self.spent += cost;
    }
    /// What was put so far; for tests and for stages that wrap stages.
    pub fn signals(&self) -> &[Signal<T>] {
        &self.signals
    }
    /// Takes out what was put so far.
    #[inline]
    pub fn drain(&mut self) -> impl Iterator<Item = Signal<T>> + '_ {
        self.signals.drain(..)
    }
    /// The requests so far, for tests.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }
}
