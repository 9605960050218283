//! One node of a graph: a stage or engine between its link and its readers.

use std::sync::{Arc, OnceLock};

use crate::epoch::Epoch;
use crate::link::Link;
use crate::media::{Flow, Request};
use crate::meter::Meter;
use crate::schedule::{Gauge, Phase};
use crate::stage::{Engine, Fault, Lost, Outbox, Signal, Stage, Wake};
use crate::stamped::Mark;
use crate::time::{Moment, Span};

/// The readers of one outlet: a list that only grows, so that a push takes no lock. Whoever joined last is handed a signal first.
pub(crate) struct Fan<T> {
    link: OnceLock<Arc<Link<T>>>,
    others: OnceLock<Box<Fan<T>>>,
}

impl<T> Default for Fan<T> {
    fn default() -> Fan<T> {
        Fan {
            link: OnceLock::new(),
            others: OnceLock::new(),
        }
    }
}

impl<T: Flow> Fan<T> {
    pub(crate) fn join(&self, link: Arc<Link<T>>) {
        if let Err(link) = self.link.set(link) {
            self.others.get_or_init(Box::default).join(link);
        }
    }
}

impl<T: Flow> Fan<T> {
    /// How many signals every reader has room for; `None` when nobody reads.
    pub(crate) fn room(&self) -> Option<usize> {
        let link = self.link.get()?;
        let others = self.others.get().and_then(|others| others.room());
        Some(link.room().min(others.unwrap_or(usize::MAX)))
    }
}

impl<T: Flow + Clone> Fan<T> {
    #[inline]
    pub(crate) fn push(&self, now: Moment, epoch: u32, signal: Signal<T>) {
        let Some(link) = self.link.get() else { return };
        if let Some(others) = self.others.get() {
            others.push(now, epoch, signal.clone());
        }
        link.push(now, epoch, signal);
    }
}

/// What a node needs of its graph.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) mark: Option<Mark>,
    pub(crate) meter: Meter,
    pub(crate) epoch: Arc<Epoch>,
    pub(crate) upstream: Arc<dyn Fn(Request) + Send + Sync>,
    /// That of the machine, once a host has taken the graph in.
    pub(crate) gauge: Arc<OnceLock<Gauge>>,
}

/// What a node would do next.
pub(crate) struct Next {
    /// When what it works on was captured; `None` before the first unit.
    pub(crate) born: Option<Moment>,
    /// Until when its link keeps that.
    pub(crate) kept: Moment,
    pub(crate) phase: Phase,
    pub(crate) variant: u8,
}

/// What a node is working on.
struct Errand {
    born: Option<Moment>,
    phase: Phase,
    variant: u8,
    /// What its slices took so far.
    spent: Span,
    /// It had a result, or needs no slice any more.
    done: bool,
    /// It had a result, and goes on.
    told: bool,
}

/// A node whose types are forgotten: what a host sees of it.
pub(crate) trait Job: Send {
    fn due(&self, now: Moment) -> bool;
    fn timer(&self) -> Option<Moment>;
    /// One step; units older than `patience` are dropped instead.
    fn run(&mut self, now: Moment, patience: Span) -> Option<Span>;
    fn next_up(&self) -> Next;
    fn deliver(&mut self, now: Moment);
    /// As `deliver`, as far as every reader has room; the rest stays here, before anything newer.
    fn deliver_within_room(&mut self, now: Moment);
    /// Whether something was put out that is not delivered.
    fn holds(&self) -> bool;
    /// Whether every reader has room for a signal.
    fn has_room(&self) -> bool;
    /// Hears what a slice took; answers with what all slices of a unit did, once it is done.
    fn took(&mut self, cost: Span) -> Option<(Phase, u8, Span)>;
    fn kill(&mut self, now: Moment);
    fn ended(&self) -> bool;
}

pub(crate) struct Node<E: Engine> {
    work: Work,
    engine: E,
    link: Arc<Link<E::In>>,
    fan: Arc<Fan<E::Out>>,
    out: Outbox<E::Out>,
    timer: Option<Moment>,
    /// The last epoch that the engine was told of.
    epoch: u32,
    /// Nothing more comes to it.
    last: bool,
    ended: bool,
    /// Its readers know: they count the ends of those who write to them.
    told_end: bool,
    errand: Errand,
}

impl<E: Engine> Node<E>
where
    E::In: Flow,
    E::Out: Flow + Clone,
{
    pub(crate) fn new(work: Work, engine: E, link: Arc<Link<E::In>>, fan: Arc<Fan<E::Out>>) -> Node<E> {
        let epoch = work.epoch.number();
        Node {
            work,
            engine,
            link,
            fan,
            out: Outbox::default(),
            timer: None,
            epoch,
            last: false,
            ended: false,
            told_end: false,
            errand: Errand {
                born: None,
                phase: Phase::First,
                variant: 0,
                spent: Span::ZERO,
                done: false,
                told: false,
            },
        }
    }

    #[inline]
    fn next(&mut self, now: Moment, patience: Span) -> Option<Signal<E::In>> {
        let epoch = self.work.epoch.number();
        if epoch != self.epoch {
            self.epoch = epoch;
            return Some(Signal::Flush(self.work.epoch.why()));
        }
        // Units first: what waits grows old, and whoever sees a unit sees the time as well.
        let waiting = self.link.pop_in_time(now, epoch, patience);
        if waiting.is_none() && self.timer.is_some_and(|timer| timer <= now) {
            self.timer = None;
            return Some(Signal::Timer);
        }
        waiting
    }
}

impl<E: Engine> Job for Node<E>
where
    E::In: Flow,
    E::Out: Flow + Clone,
{
    fn due(&self, now: Moment) -> bool {
        let flushed = self.work.epoch.number() != self.epoch;
        !self.ended && (flushed || !self.link.is_empty() || self.timer.is_some_and(|timer| timer <= now))
    }

    fn timer(&self) -> Option<Moment> {
        self.timer.filter(|_| !self.ended)
    }

    fn next_up(&self) -> Next {
        let variant = self.engine.variant();
        match self.link.first() {
            Some((born, kept)) => Next {
                born: Some(born),
                kept,
                phase: Phase::First,
                variant,
            },
            None => Next {
                born: self.errand.born,
                kept: Moment::MAX,
                phase: self.errand.phase,
                variant,
            },
        }
    }

    fn run(&mut self, now: Moment, patience: Span) -> Option<Span> {
        if self.ended {
            return None;
        }
        let signal = self.next(now, patience)?;
        self.last |= matches!(signal, Signal::End);
        self.errand.variant = self.engine.variant();
        if let Signal::Item(unit) = &signal {
            self.errand.born = Some(unit.born);
            self.errand.phase = Phase::First;
            self.errand.spent = Span::ZERO;
        }
        if let Some(gauge) = self.work.gauge.get() {
            self.out.strain = gauge.read();
        }
        let before = self.out.signals.len();
        let ran = self.engine.run(now, signal, &mut self.out);
        let goes_on = matches!(&ran, Ok(Wake::At(moment)) if *moment <= now);
        let told = self.out.signals[before..]
            .iter()
            .any(|signal| matches!(signal, Signal::Item(_)));
        self.errand.done = told || !goes_on;
        self.errand.told = told && goes_on;
        match ran {
            Ok(Wake::At(moment)) => self.timer = Some(moment),
            Ok(Wake::OnSignal) => self.timer = None,
            Err(Fault::Reset(_)) => self.out.lose(Lost::Undecodable, 1),
            Err(Fault::Dead(_)) => {
                self.out.lose(Lost::Undecodable, 1);
                self.ended = true;
            }
        }
        // Without a timer it would linger for ever.
        let lingers = std::mem::take(&mut self.out.lingers) && self.timer.is_some();
        self.ended |= self.last && !lingers;
        if self.ended {
            self.out.end();
        }
        Some(std::mem::take(&mut self.out.spent))
    }

    fn deliver(&mut self, now: Moment) {
        self.deliver_first(self.out.signals.len(), now);
    }

    fn deliver_within_room(&mut self, now: Moment) {
        while self.holds() && self.has_room() {
            let room = self.fan.room().unwrap_or(usize::MAX);
            self.deliver_first(room.min(self.out.signals.len()), now);
        }
    }

    fn holds(&self) -> bool {
        !self.out.signals.is_empty()
    }

    fn has_room(&self) -> bool {
        self.fan.room() != Some(0)
    }

    fn took(&mut self, cost: Span) -> Option<(Phase, u8, Span)> {
        self.engine.took(cost);
        let errand = &mut self.errand;
        errand.spent += cost;
        if !errand.done {
            return None;
        }
        let learnt = (errand.phase, errand.variant, std::mem::take(&mut errand.spent));
        if errand.told {
            errand.phase = Phase::More;
        }
        Some(learnt)
    }

    fn kill(&mut self, now: Moment) {
        if !self.ended {
            self.out = Outbox::default();
            self.ended = true;
            self.out.lose(Lost::Undecodable, 1);
            self.out.end();
            self.deliver(now);
        }
    }

    fn ended(&self) -> bool {
        self.ended
    }
}

impl<E: Engine> Node<E>
where
    E::Out: Flow + Clone,
{
    /// Passes on the oldest `count` signals that were put out.
    fn deliver_first(&mut self, count: usize, now: Moment) {
        let Work {
            name,
            mark,
            meter,
            epoch,
            upstream,
            ..
        } = &self.work;
        for (why, count) in self.out.losses.drain(..) {
            meter.lost(name, why, count);
        }
        for request in self.out.requests.drain(..) {
            upstream(request);
        }
        for mut signal in self.out.signals.drain(..count) {
            match &mut signal {
                // The epoch moved on while the slice ran.
                Signal::Item(_) if epoch.number() != self.epoch => {
                    meter.lost(name, Lost::Refused, 1);
                    continue;
                }
                Signal::Item(item) => {
                    if let Some(mark) = mark {
                        item.trail.stamp(*mark, now);
                    }
                }
                Signal::Gap(gap) if gap.stage.is_empty() => gap.stage = name,
                Signal::End if std::mem::replace(&mut self.told_end, true) => continue,
                _ => {}
            }
            self.fan.push(now, self.epoch, signal);
        }
    }
}

/// A stage as an engine whose slices cost nothing.
pub(crate) struct Quick<S>(pub(crate) S);

impl<S: Stage> Engine for Quick<S> {
    type In = S::In;
    type Out = S::Out;
    #[inline]
    fn run(&mut self, now: Moment, signal: Signal<S::In>, out: &mut Outbox<S::Out>) -> Result<Wake, Fault> {
        Ok(self.0.step(now, signal, out))
    }
    fn slice(&self) -> Span {
        Span::ZERO
    }
    fn delay(&self) -> Span {
        self.0.delay()
    }
}
