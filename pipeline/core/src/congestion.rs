//! How much the path takes: a controller for senders, from what the receiver says of every packet (transport-wide congestion
//! control, draft-holmer-rmcat-transport-wide-cc-extensions-01).
//!
//! After Google's (draft-ietf-rmcat-gcc-02, with the trendline filter of libwebrtc): packets that wait ever longer mean that a
//! queue grows, and less is sent before it overflows. Three things are ours. What stands in the queue is drained and not
//! only kept from growing. A receiver that falls silent is sent less and less, because on a mobile link that is how an
//! outage begins. And a rate that was known to fit is gone back to quickly, because it is also how an outage ends. Knows no
//! clock and no socket. Start at [`Controller::heard`].

mod trend;

use std::collections::VecDeque;

use crate::time::{Moment, Span};
use trend::{Trend, Usage};

/// A share of what arrives is sent after a queue was seen to grow: the rest of the link drains it (draft, section 4.4).
const BACK_OFF: f64 = 0.85;
/// However little arrives, at least this share of the rate before stays: the next word is a moment away.
const SHOCK: f64 = 0.6;
/// What arrives is measured over so long: several pictures, less than a second.
const WINDOW: Span = Span::from_millis(500);
/// The shortest way is remembered for so long: routes change, clocks drift.
const BASE: Span = Span::from_secs(15);
/// What stands in the queue longer than this is drained.
const STANDING: Span = Span::from_millis(60);
/// At this much standing, half is sent.
const HALVED: Span = Span::from_millis(300);
/// A queue that is gone again sooner was a pause of the link, as mobile ones have them, and is drained without a lasting back-off.
const LASTING: Span = Span::from_millis(150);
/// Without word for so long, and with packets out, less is sent; feedback comes every 50 to 100 ms.
const SILENCE: Span = Span::from_millis(250);
/// Losses beyond this share are congestion (draft, section 5); below, chance.
const LOSSY: f64 = 0.10;
/// Losses beyond this are congestion even where nothing waits: a queue too short to be seen.
const DROWNED: f64 = 0.30;
/// Beyond this many times what arrives the target is a guess.
const GUESS: f64 = 1.5;
/// Packets whose fate is open, at most; beyond it the oldest are forgotten.
const OPEN: usize = 4_096;

/// What became of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// When it left here.
    pub sent: Moment,
    /// Its bytes on the wire.
    pub bytes: usize,
    /// When it arrived, on the receiver's clock, whose zero does not matter; none when it did not.
    pub arrived: Option<Span>,
}

/// Within what the target stays, and where it begins; bits per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Before anything was heard.
    pub start: u32,
    /// Never less.
    pub least: u32,
    /// Never more.
    pub most: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            start: 300_000,
            least: 50_000,
            most: 20_000_000,
        }
    }
}

/// One path's controller.
#[derive(Clone, Debug)]
pub struct Controller {
    limits: Limits,
    trend: Trend,
    rate: f64,
    /// What arrived in the last [`WINDOW`]: when, here, we heard of it, and bytes.
    arrived: VecDeque<(Span, usize)>,
    base: Base,
    standing: Span,
    /// What the link was seen to carry when it was last too little.
    capacity: Option<f64>,
    losses: Losses,
    grown: Option<Moment>,
    /// Since when packets wait.
    stood: Option<Moment>,
    backed_off: Option<Moment>,
    heard: Option<Moment>,
    /// Sent since the newest packet that was heard of.
    open: VecDeque<Moment>,
}

impl Controller {
    /// A controller of a path of which nothing is known.
    pub fn new(limits: Limits) -> Controller {
        Controller {
            limits,
            trend: Trend::default(),
            rate: f64::from(limits.start.clamp(limits.least, limits.most)),
            arrived: VecDeque::new(),
            base: Base::default(),
            standing: Span::ZERO,
            capacity: None,
            losses: Losses::default(),
            grown: None,
            stood: None,
            backed_off: None,
            heard: None,
            open: VecDeque::new(),
        }
    }

    /// A packet left at `now`.
    pub fn sent(&mut self, now: Moment) {
        if self.open.len() == OPEN {
            self.open.pop_front();
        }
        self.open.push_back(now);
    }

    /// Takes what the receiver said of packets, in the order in which they were sent.
    pub fn heard(&mut self, now: Moment, fates: &[Fate]) {
        let Some(last) = fates.last() else { return };
        self.heard = Some(now);
        while self.open.front().is_some_and(|sent| *sent <= last.sent) {
            self.open.pop_front();
        }
        let mut usage = self.trend.usage();
        let mut shortest = None;
        for fate in fates {
            self.losses.take(fate.sent, fate.arrived.is_none());
            let Some(arrived) = fate.arrived else { continue };
            self.arrived.push_back((arrived, fate.bytes));
            let way = arrived - (fate.sent - Moment::ZERO);
            self.base.take(fate.sent, way);
            shortest = Some(shortest.map_or(way, |shortest: Span| shortest.min(way)));
            usage = self.trend.take(fate.sent, arrived).unwrap_or(usage);
        }
        if let Some(shortest) = shortest {
            self.standing = (shortest - self.base.shortest(shortest)).max(Span::ZERO);
        }
        let arriving = self.arriving();
        self.steer(now, usage, arriving);
        self.rate = self
            .rate
            .clamp(f64::from(self.limits.least), f64::from(self.limits.most));
    }

    /// Bits per second to send at, at `now`.
    pub fn target(&self, now: Moment) -> u32 {
        let mut target = self.rate;
        if self.standing > STANDING {
            let over = (self.standing - STANDING).secs_f64() / (HALVED - STANDING).secs_f64();
            target *= (1.0 - over / 2.0).max(0.25);
        }
        let waits = self
            .open
            .front()
            .zip(self.heard)
            .map(|(sent, heard)| now - heard.max(*sent));
        if let Some(waits) = waits.filter(|waits| *waits > SILENCE) {
            target *= 0.5_f64.powf(waits.secs_f64() / SILENCE.secs_f64());
        }
        (target as u32).clamp(self.limits.least, self.limits.most)
    }

    /// How long what arrives now has waited in queues.
    pub fn standing(&self) -> Span {
        self.standing
    }

    /// The share of packets lost lately, 0..1.
    pub fn loss(&self) -> f64 {
        self.losses.share()
    }

    /// Bits per second that arrive; none before there is a measure.
    fn arriving(&mut self) -> Option<f64> {
        let newest = self.arrived.iter().map(|(arrived, _)| *arrived).max()?;
        while self
            .arrived
            .front()
            .is_some_and(|(arrived, _)| newest - *arrived > WINDOW)
        {
            self.arrived.pop_front();
        }
        let oldest = self.arrived.front().map(|(arrived, _)| *arrived)?;
        let span = newest - oldest;
        // The first packet is where the time begins that the others took.
        let bytes: usize = self.arrived.iter().skip(1).map(|(_, bytes)| *bytes).sum();
        (span > WINDOW / 4).then(|| bytes as f64 * 8.0 / span.secs_f64())
    }

    fn steer(&mut self, now: Moment, usage: Usage, arriving: Option<f64>) {
        let since = self.grown.map_or(Span::from_millis(50), |grown| now - grown);
        let seconds = since.secs_f64().clamp(0.0, 0.5);
        self.grown = Some(now);
        let rested = self
            .backed_off
            .is_none_or(|backed| now - backed > Span::from_millis(300));
        let loss = self.losses.share();
        let drowning = (loss > LOSSY && self.standing > STANDING / 2) || loss > DROWNED;
        let waiting = self.standing > STANDING / 2;
        self.stood = self.stood.filter(|_| waiting).or(waiting.then_some(now));
        let lasting = self.stood.is_some_and(|since| now - since >= LASTING);
        let grows = usage == Usage::Over || self.standing > STANDING;
        if (lasting && grows) || drowning {
            let Some(arriving) = arriving.filter(|_| rested) else {
                return;
            };
            let back = if drowning { 1.0 - loss / 2.0 } else { BACK_OFF };
            // In an outage next to nothing arrives, which says nothing of the link before and after it.
            let least = self.rate * SHOCK;
            let carried = arriving.max(least);
            self.capacity = Some(self.capacity.map_or(carried, |known| known * 0.5 + carried * 0.5));
            self.rate = (arriving * BACK_OFF).min(self.rate * back).max(least);
            self.backed_off = Some(now);
            self.losses.forget();
            return;
        }
        if usage != Usage::Normal || waiting || !rested {
            return;
        }
        let growth = match self.capacity {
            // Nothing was ever too much: double every second and a half.
            None => 1.6_f64.powf(seconds),
            Some(capacity) if self.rate < capacity * BACK_OFF => 1.6_f64.powf(seconds),
            // Near what was too much once, with care.
            Some(capacity) if self.rate < capacity * 1.2 => 1.0 + (0.04 + 40_000.0 / self.rate) * seconds,
            Some(_) => 1.25_f64.powf(seconds),
        };
        let grown = self.rate * growth;
        // What nobody sends proves nothing; what was proven before stays.
        let guess = arriving.map_or(self.rate, |arriving| arriving * GUESS + 20_000.0);
        self.rate = grown.min(guess).max(self.rate);
    }
}

/// The shortest way of late, in two spans of time of which one is always whole.
#[derive(Clone, Copy, Debug, Default)]
struct Base {
    began: Option<Moment>,
    before: Option<Span>,
    now: Option<Span>,
}

impl Base {
    fn take(&mut self, sent: Moment, way: Span) {
        if self.began.is_none_or(|began| sent - began > BASE) {
            (self.began, self.before, self.now) = (Some(sent), self.now, None);
        }
        self.now = Some(self.now.map_or(way, |shortest| shortest.min(way)));
    }

    fn shortest(&self, otherwise: Span) -> Span {
        [self.before, self.now].into_iter().flatten().min().unwrap_or(otherwise)
    }
}

/// Which packets of the last second were lost.
#[derive(Clone, Debug, Default)]
struct Losses {
    fates: VecDeque<(Moment, bool)>,
}

impl Losses {
    fn take(&mut self, sent: Moment, lost: bool) {
        self.fates.push_back((sent, lost));
        while self.fates.len() > OPEN
            || self
                .fates
                .front()
                .is_some_and(|(old, _)| sent - *old > Span::from_secs(1))
        {
            self.fates.pop_front();
        }
    }

    fn share(&self) -> f64 {
        // A loss among few packets is no share yet.
        if self.fates.len() < 20 {
            return 0.0;
        }
        let lost = self.fates.iter().filter(|(_, lost)| *lost).count();
        lost as f64 / self.fates.len() as f64
    }

    fn forget(&mut self) {
        self.fates.clear();
    }
}

#[cfg(test)]
mod tests;
