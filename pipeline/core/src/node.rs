//! One node of a graph: a stage or engine between its link and its readers.

use std::sync::{Arc, OnceLock};

use crate::epoch::Epoch;
use crate::link::Link;
use crate::media::{Flow, Request};
use crate::meter::Meter;
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
}

/// A node whose types are forgotten: what a host sees of it.
pub(crate) trait Job: Send {
    fn due(&self, now: Moment) -> bool;
    fn timer(&self) -> Option<Moment>;
    fn run(&mut self, now: Moment) -> Option<Span>;
    fn deliver(&mut self, now: Moment);
    /// As `deliver`, as far as every reader has room; the rest stays here, before anything newer.
    fn deliver_within_room(&mut self, now: Moment);
    /// Whether something was put out that is not delivered.
    fn holds(&self) -> bool;
    /// Whether every reader has room for a signal.
    fn has_room(&self) -> bool;
    fn took(&mut self, cost: Span);
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
    ended: bool,
    /// Its readers know: they count the ends of those who write to them.
    told_end: bool,
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
            ended: false,
            told_end: false,
        }
    }

    #[inline]
    fn next(&mut self, now: Moment) -> Option<Signal<E::In>> {
        let epoch = self.work.epoch.number();
        if epoch != self.epoch {
            self.epoch = epoch;
            return Some(Signal::Flush(self.work.epoch.why()));
        }
        // Units first: what waits grows old, and whoever sees a unit sees the time as well.
        let waiting = self.link.pop(now, epoch);
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

    fn run(&mut self, now: Moment) -> Option<Span> {
        if self.ended {
            return None;
        }
        let signal = self.next(now)?;
        let last = matches!(signal, Signal::End);
        match self.engine.run(now, signal, &mut self.out) {
            Ok(Wake::At(moment)) => self.timer = Some(moment),
            Ok(Wake::OnSignal) => self.timer = None,
            Err(Fault::Reset(_)) => self.out.lose(Lost::Undecodable, 1),
            Err(Fault::Dead(_)) => {
                self.out.lose(Lost::Undecodable, 1);
                self.ended = true;
            }
        }
        self.ended |= last;
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

    fn took(&mut self, cost: Span) {
        self.engine.took(cost);
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
