//! An edge is a decision: every link is bounded and says what it keeps. A push never waits, and every loss is counted
//! and announced to the reader as a [`Gap`] in its place.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::media::Flow;
use crate::meter::Meter;
use crate::stage::{Gap, Lost, Signal};
use crate::stamped::Stamped;
use crate::time::{Moment, Span};

/// No link holds more entries than this, whatever it keeps: the bound on memory under floods of tiny units.
const MOST: usize = 512;

/// What a link keeps when its reader falls behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Only the newest: a newer one makes an older one worthless.
    Latest,
    /// What has waited no longer than this; the oldest go first, and reading takes up again at an entry point.
    Recent(Span),
    /// Everything, up to this many; past that the reader has lost its place and all that waits is dropped.
    Every(usize),
}

impl Keep {
    /// The longest that a unit waits in such a link before a reader whose slices take `slice`.
    pub fn longest_wait(self, slice: Span) -> Span {
        match self {
            Keep::Latest => slice,
            Keep::Recent(span) => span,
            Keep::Every(count) => slice * count as i64,
        }
    }
}

/// When a signal was pushed, and under which epoch.
#[derive(Clone, Copy)]
struct Since {
    pushed: Moment,
    epoch: u32,
}

/// Signals in the order of pushing. What is known about each lies beside it, not around it: so a signal is copied once
/// on its way in and once on its way out.
struct Entries<T> {
    signals: VecDeque<Signal<T>>,
    since: VecDeque<Since>,
}

impl<T> Entries<T> {
    fn push(&mut self, since: Since, signal: Signal<T>) {
        self.signals.push_back(signal);
        self.since.push_back(since);
    }
    fn pop(&mut self) -> Option<Signal<T>> {
        self.since.pop_front();
        self.signals.pop_front()
    }
    /// The first signal, when it is a unit, and how long it has been there.
    fn first_unit(&self) -> Option<(&Stamped<T>, Since)> {
        match (self.signals.front()?, self.since.front()?) {
            (Signal::Item(unit), since) => Some((unit, *since)),
            _ => None,
        }
    }
    fn len(&self) -> usize {
        self.signals.len()
    }
    fn is_empty(&self) -> bool {
        self.signals.is_empty()
    }
}

struct Queue<T> {
    /// Losses before the first entry, one for each stage and reason.
    holes: Vec<Gap>,
    entries: Entries<T>,
    items: usize,
    /// The most there ever were.
    deepest: usize,
    /// Something that later units refer to is gone: drop until an entry point.
    broken: bool,
    /// Writers that have not ended.
    writers: usize,
    ended: bool,
}

/// A bounded queue between its writers, of which there is mostly one, and one reader.
pub struct Link<T> {
    into: &'static str,
    keep: Keep,
    meter: Meter,
    queue: Mutex<Queue<T>>,
}

impl<T: Flow> Link<T> {
    /// A link into the stage called `into`, which losses are counted against.
    pub fn new(into: &'static str, keep: Keep, meter: Meter) -> Link<T> {
        let queue = Queue {
            holes: Vec::new(),
            entries: Entries {
                signals: VecDeque::new(),
                since: VecDeque::new(),
            },
            items: 0,
            deepest: 0,
            broken: false,
            writers: 1,
            ended: false,
        };
        Link {
            into,
            keep,
            meter,
            queue: Mutex::new(queue),
        }
    }

    /// One more writes to it: it ends when all of them have.
    pub fn add_writer(&self) {
        self.lock().writers += 1;
    }

    /// Adds a signal under the session's present `epoch`. Never waits; may lose what the link does not keep.
    #[inline]
    pub fn push(&self, now: Moment, epoch: u32, signal: Signal<T>) {
        let mut queue = self.lock();
        if queue.ended {
            return;
        }
        match &signal {
            Signal::Item(item) => {
                self.make_room(&mut queue, now);
                if queue.broken && !item.item.entry() {
                    return self.refuse(&mut queue, now, epoch);
                }
                queue.broken = false;
                queue.items += 1;
            }
            Signal::Gap(gap) => {
                if let Some(Signal::Gap(last)) = queue.entries.signals.back_mut()
                    && (last.stage, last.why) == (gap.stage, gap.why)
                {
                    last.count = last.count.saturating_add(gap.count);
                    return;
                }
            }
            Signal::End => {
                queue.writers = queue.writers.saturating_sub(1);
                if queue.writers > 0 {
                    return;
                }
                queue.ended = true;
            }
            // Flushing travels by epoch, timers by the host: neither is queued.
            Signal::Timer | Signal::Flush(_) => return,
        }
        queue.entries.push(Since { pushed: now, epoch }, signal);
        while queue.entries.len() > MOST {
            self.drop_front(&mut queue, Lost::TooOld);
        }
        if queue.items > queue.deepest {
            queue.deepest = queue.items;
            self.meter.depth(self.into, queue.items);
        }
    }

    /// Takes the next signal. Units that waited too long or belong to an epoch before `epoch` are lost instead.
    #[inline]
    pub fn pop(&self, now: Moment, epoch: u32) -> Option<Signal<T>> {
        self.pop_in_time(now, epoch, Span::MAX)
    }

    /// As [`Link::pop`], but units older than `patience` are lost as well: what they may lead to would come too late.
    #[inline]
    pub fn pop_in_time(&self, now: Moment, epoch: u32, patience: Span) -> Option<Signal<T>> {
        let mut queue = self.lock();
        while let Some((unit, since)) = queue.entries.first_unit() {
            if since.epoch != epoch {
                self.drop_front(&mut queue, Lost::Refused);
            } else if let Keep::Recent(span) = self.keep
                && now - since.pushed > span
            {
                self.drop_front(&mut queue, Lost::TooOld);
            } else if patience < Span::MAX && unit.age(now) > patience {
                self.drop_front(&mut queue, Lost::TooLate);
            } else {
                break;
            }
        }
        if let Some(gap) = queue.holes.pop() {
            return Some(Signal::Gap(gap));
        }
        queue.items -= usize::from(queue.entries.first_unit().is_some());
        queue.entries.pop()
    }

    /// Whether a pop would give something.
    pub fn is_empty(&self) -> bool {
        let queue = self.lock();
        queue.entries.is_empty() && queue.holes.is_empty()
    }
    /// The first unit that waits, if one does: when what it shows was captured, and until when it is kept, whatever comes after it.
    pub fn first(&self) -> Option<(Moment, Moment)> {
        let queue = self.lock();
        let mut entries = queue.entries.signals.iter().zip(&queue.entries.since);
        entries.find_map(|(signal, since)| match (signal, self.keep) {
            (Signal::Item(unit), Keep::Recent(span)) => Some((unit.born, since.pushed + span)),
            (Signal::Item(unit), _) => Some((unit.born, Moment::MAX)),
            _ => None,
        })
    }
    /// How many units wait.
    pub fn len(&self) -> usize {
        self.lock().items
    }
    /// How many signals more can be pushed before one is lost, whatever waits how long: what a host under which nothing is
    /// lost asks before it pushes.
    pub fn room(&self) -> usize {
        let queue = self.lock();
        let units = match self.keep {
            Keep::Latest => 1,
            Keep::Every(most) => most.max(1),
            // It bounds time, which stands still while such a host works: the pictures of half a second.
            Keep::Recent(_) => 16,
        };
        // A gap may have joined others as a hole; it is bounded like an entry all the same.
        units.saturating_sub(queue.items).min(MOST - queue.entries.len())
    }
    /// What it keeps.
    pub fn keep(&self) -> Keep {
        self.keep
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn make_room(&self, queue: &mut Queue<T>, now: Moment) {
        match self.keep {
            Keep::Latest => {
                while queue.items > 0 {
                    self.drop_front(queue, Lost::Replaced);
                }
            }
            Keep::Recent(span) => {
                while queue
                    .entries
                    .since
                    .front()
                    .is_some_and(|since| now - since.pushed > span)
                {
                    self.drop_front(queue, Lost::TooOld);
                }
            }
            Keep::Every(most) => {
                if queue.items >= most {
                    while queue.items > 0 {
                        self.drop_front(queue, Lost::TooOld);
                    }
                }
            }
        }
    }

    /// Drops the first entry, and with it all that can't be read without it.
    fn drop_front(&self, queue: &mut Queue<T>, why: Lost) {
        match queue.entries.signals.front() {
            None | Some(Signal::End) => return,
            Some(_) => {}
        }
        match queue.entries.pop() {
            Some(Signal::Gap(gap)) => hole(&mut queue.holes, gap),
            _ => {
                queue.items -= 1;
                self.count(queue, why);
                while queue.entries.first_unit().is_some_and(|(next, _)| !next.item.entry()) {
                    queue.entries.pop();
                    queue.items -= 1;
                    self.count(queue, why);
                }
                queue.broken = queue.entries.is_empty();
            }
        }
    }

    fn count(&self, queue: &mut Queue<T>, why: Lost) {
        self.meter.lost(self.into, why, 1);
        hole(
            &mut queue.holes,
            Gap {
                stage: self.into,
                why,
                count: 1,
            },
        );
    }

    /// Counts a unit that can't be read without what was dropped before it.
    fn refuse(&self, queue: &mut Queue<T>, now: Moment, epoch: u32) {
        self.meter.lost(self.into, Lost::TooOld, 1);
        let gap = Gap {
            stage: self.into,
            why: Lost::TooOld,
            count: 1,
        };
        match queue.entries.signals.back_mut() {
            Some(Signal::Gap(last)) if (last.stage, last.why) == (gap.stage, gap.why) => {
                last.count = last.count.saturating_add(1);
            }
            Some(_) => queue.entries.push(Since { pushed: now, epoch }, Signal::Gap(gap)),
            None => hole(&mut queue.holes, gap),
        }
    }
}

fn hole(holes: &mut Vec<Gap>, gap: Gap) {
    match holes
        .iter_mut()
        .find(|known| (known.stage, known.why) == (gap.stage, gap.why))
    {
        Some(known) => known.count = known.count.saturating_add(gap.count),
        None => holes.push(gap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MediaTime;

    #[derive(Clone, Debug, PartialEq)]
    struct Unit {
        number: u32,
        key: bool,
    }
    impl Flow for Unit {
        fn entry(&self) -> bool {
            self.key
        }
    }

    fn unit(number: u32, key: bool) -> Signal<Unit> {
        Signal::Item(Stamped::new(MediaTime::ZERO, Moment::ZERO, Unit { number, key }))
    }

    fn drain(link: &Link<Unit>, now: Moment) -> (Vec<u32>, u32) {
        let (mut units, mut lost) = (Vec::new(), 0);
        while let Some(signal) = link.pop(now, 0) {
            match signal {
                Signal::Item(item) => units.push(item.item.number),
                Signal::Gap(gap) => lost += gap.count,
                _ => {}
            }
        }
        (units, lost)
    }

    #[test]
    fn whatever_is_pushed_is_read_or_announced_and_counted_and_order_holds() {
        for seed in 0..500 {
            let mut random = fastrand::Rng::with_seed(seed);
            let keep = [Keep::Latest, Keep::Recent(Span::from_millis(20)), Keep::Every(5)][seed as usize % 3];
            let meter = Meter::default();
            let link = Link::new("reader", keep, meter.clone());
            let (mut now, mut read, mut lost, mut pushed) = (Moment::ZERO, Vec::new(), 0, 0);
            for _ in 0..300 {
                now += Span::from_millis(random.i64(0..8));
                if random.u8(0..10) < 7 {
                    link.push(now, 0, unit(pushed, random.u8(0..4) == 0));
                    pushed += 1;
                } else {
                    let (units, gaps) = drain(&link, now);
                    read.extend(units);
                    lost += gaps;
                }
                if let Keep::Every(most) = keep {
                    assert!(link.len() <= most);
                }
            }
            let (units, gaps) = drain(&link, now);
            read.extend(units);
            lost += gaps;
            assert_eq!(read.len() as u32 + lost, pushed, "seed {seed}");
            assert!(read.is_sorted(), "seed {seed}");
            assert_eq!(meter.tally().lost.values().sum::<u64>(), u64::from(lost), "seed {seed}");
        }
    }

    #[test]
    fn no_unit_is_read_after_waiting_longer_than_the_link_allows() {
        let link = Link::new("reader", Keep::Recent(Span::from_millis(50)), Meter::default());
        for i in 0..20 {
            link.push(Moment::from_millis(i64::from(i) * 10), 0, unit(i, true));
        }
        let (units, lost) = drain(&link, Moment::from_millis(200));
        assert_eq!(units, [15, 16, 17, 18, 19]);
        assert_eq!(lost, 15);
    }

    #[test]
    fn what_several_write_ends_when_the_last_of_them_has() {
        let link = Link::new("reader", Keep::Every(8), Meter::default());
        link.add_writer();
        link.push(Moment::ZERO, 0, Signal::End);
        link.push(Moment::ZERO, 0, unit(1, true));
        assert!(matches!(link.pop(Moment::ZERO, 0), Some(Signal::Item(_))));
        link.push(Moment::ZERO, 0, Signal::End);
        link.push(Moment::ZERO, 0, unit(2, true));
        assert_eq!(link.pop(Moment::ZERO, 0), Some(Signal::End));
        assert_eq!(link.pop(Moment::ZERO, 0), None);
    }

    #[test]
    fn a_group_of_pictures_is_never_entered_in_its_middle() {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let link = Link::new("decode", Keep::Recent(Span::from_millis(30)), Meter::default());
            let (mut now, mut whole) = (Moment::ZERO, false);
            for number in 0..200 {
                now += Span::from_millis(random.i64(0..20));
                link.push(now, 0, unit(number, number % 10 == 0));
                while random.bool() {
                    match link.pop(now, 0) {
                        Some(Signal::Item(item)) => {
                            assert!(item.item.key || whole, "seed {seed}: {} after a loss", item.item.number);
                            whole = true;
                        }
                        Some(Signal::Gap(_)) => whole = false,
                        _ => break,
                    }
                }
            }
        }
    }

    #[test]
    fn a_new_epoch_drops_what_was_queued_and_the_end_survives_floods() {
        let link = Link::new("reader", Keep::Recent(Span::MAX), Meter::default());
        link.push(Moment::ZERO, 0, unit(1, true));
        link.push(Moment::ZERO, 1, unit(2, true));
        assert!(matches!(
            link.pop(Moment::ZERO, 1),
            Some(Signal::Gap(Gap {
                why: Lost::Refused,
                count: 1,
                ..
            }))
        ));
        assert!(matches!(link.pop(Moment::ZERO, 1), Some(Signal::Item(item)) if item.item.number == 2));
        for number in 0..10_000 {
            link.push(Moment::ZERO, 1, unit(number, true));
        }
        assert!(link.len() <= MOST);
        link.push(Moment::ZERO, 1, Signal::End);
        link.push(Moment::ZERO, 1, unit(0, true));
        let mut last = None;
        while let Some(signal) = link.pop(Moment::ZERO, 1) {
            last = Some(signal);
        }
        assert_eq!(last, Some(Signal::End));
    }
}
