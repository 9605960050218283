//! The end of a line: where ages are measured, and what is late is counted and, where its budget says so, shed.

use crate::gate::{Budget, Late};
use crate::media::Flow;
use crate::meter::Meter;
use crate::stage::{Lost, Outbox, Signal, Stage, Wake};
use crate::stamped::Mark;
use crate::time::Moment;

/// The end of the line: what a session does with what reaches it.
pub trait Sink<T>: Send {
    /// Under which budget an item leaves; `None` when it is not an answer to anyone.
    fn budget(&self, item: &T) -> Option<Budget>;
    /// Takes a signal, at `now`; an item is stamped [`Mark::Sent`] with it.
    fn take(&mut self, now: Moment, signal: Signal<T>);
}

/// A sink that hands everything to a closure, without budget. For tests and for plain listeners.
impl<T, F: FnMut(Moment, Signal<T>) + Send> Sink<T> for F {
    fn budget(&self, _: &T) -> Option<Budget> {
        None
    }
    fn take(&mut self, now: Moment, signal: Signal<T>) {
        self(now, signal);
    }
}

/// Nothing flows out of a sink.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Nothing {}
impl Flow for Nothing {}

/// A sink as a stage: measures ages, counts and sheds what is late.
pub(crate) struct SinkStage<T, S> {
    sink: S,
    meter: Meter,
    takes: std::marker::PhantomData<fn(T)>,
}

impl<T, S> SinkStage<T, S> {
    pub(crate) fn new(sink: S, meter: Meter) -> SinkStage<T, S> {
        SinkStage {
            sink,
            meter,
            takes: std::marker::PhantomData,
        }
    }
}

impl<T, S: Sink<T>> Stage for SinkStage<T, S> {
    type In = T;
    type Out = Nothing;
    fn step(&mut self, now: Moment, signal: Signal<T>, _: &mut Outbox<Nothing>) -> Wake {
        let Signal::Item(item) = signal else {
            self.sink.take(now, signal);
            return Wake::OnSignal;
        };
        if let Some(budget) = self.sink.budget(&item.item) {
            let age = item.age(now);
            if age > budget.span {
                self.meter.lost(budget.outlet, Lost::TooLate, 1);
                if budget.late == Late::Shed {
                    return Wake::OnSignal;
                }
            }
            self.meter.age(budget.outlet, age);
        }
        let mut item = item;
        item.trail.stamp(Mark::Sent, now);
        self.sink.take(now, Signal::Item(item));
        Wake::OnSignal
    }
}
