//! The most bits worth sending: the published rule made to live. It learns how readability rises with the rate, comes down
//! from where a picture opened it, tries to come down further now and then, goes back where that was too far, and gives
//! way to congestion control alone where understanding says nothing.

use super::{Curve, ENOUGH, TIERS, cheapest, readability_at, rule};
use crate::media::Readability;
use crate::time::{Moment, Span};

/// Without word from understanding for so long, the cap is off: it must never starve what nobody watches over.
pub const SILENCE: Span = Span::from_secs(3);
/// From one try to send less to the next, where the last one went well; doubled after each that did not.
const REST: Span = Span::from_secs(4);
/// The longest rest between two tries.
const LONGEST_REST: Span = Span::from_secs(64);
/// A try sends this share of what was enough.
const LESS: f64 = 0.85;
/// Readability beyond this is more than enough: less is tried soon, and by more.
const PLENTY: f32 = 0.9;
/// A step up where the curve knows none is at least this.
const MORE: f64 = 1.5;
/// One reading that falls short by more than this is believed by itself; by less, with what was learnt before.
const DOUBTFUL: f32 = 0.05;
/// A sender does what it is told within this time, on any path worth sending pictures over.
const FOLLOWS: Span = Span::from_secs(2);
/// Pictures are not sent at less, in bits per second: the first of the published tiers.
pub const LEAST: u32 = TIERS[0];
/// At less nothing moves: what is sent then is what is left to an encoder that has nothing to say.
const STILL: u32 = 100_000;
/// A picture that was drawn too poorly is drawn anew so long after more bits were granted for it: the sender knows by then.
const REDRAWN: Span = Span::from_millis(500);
/// Fewer pictures than this share of what came before: the encoder leaves them out because the cap is too low for it.
const SPARSE: f32 = 0.6;
/// So many times as much is sent then,
const FULLER: f64 = 2.0;
/// so often in a row; after that, fewer pictures are what there is.
const FULLER_TRIES: u32 = 3;
/// Word from understanding counts at most so often: a reader gives two a second, a flood more.
const APART: Span = Span::from_millis(50);
/// What was seen longer ago says nothing of now.
const STALE: Span = Span::from_secs(5);

/// What a question is about, as far as its need for bits goes: what was learnt for one kind helps the next of its kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nobody asks: whatever text there is.
    #[default]
    Reading,
    /// What something says.
    Text,
    /// How many there are.
    Count,
    /// What something looks like: its colour, its shape.
    Look,
    /// Where something is.
    Place,
    /// Anything else.
    Other,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 6] = [
        Kind::Reading,
        Kind::Text,
        Kind::Count,
        Kind::Look,
        Kind::Place,
        Kind::Other,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Reading => "reading",
            Kind::Text => "text",
            Kind::Count => "count",
            Kind::Look => "look",
            Kind::Place => "place",
            Kind::Other => "other",
        }
    }
}

/// Why the cap is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing was said yet: the cap is off.
    Start,
    /// Understanding has gone silent: the cap is off.
    Silent,
    /// Another scene: the cap is off until something was read in it.
    Scene,
    /// What is sent is enough.
    Enough,
    /// It is not enough: more.
    More,
    /// A little less is tried.
    Probe,
    /// Less was tried, and was not enough.
    Back,
    /// Nothing is there to be read: a little less each time, down to the first tier.
    Nothing,
    /// Nothing moves, so that nothing is sent anyway.
    Still,
    /// With less the encoder leaves pictures out.
    Pictures,
    /// The network allows less than the cap.
    Congestion,
}

impl Reason {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Start => "start",
            Reason::Silent => "silent",
            Reason::Scene => "scene",
            Reason::Enough => "enough",
            Reason::More => "more",
            Reason::Probe => "probe",
            Reason::Back => "back",
            Reason::Nothing => "nothing",
            Reason::Still => "still",
            Reason::Pictures => "pictures",
            Reason::Congestion => "congestion",
        }
    }
}

/// What understanding says of one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// For what it was looked at.
    pub kind: Kind,
    /// How well it could be read; none where nothing was there to be read.
    pub readability: Option<Readability>,
    /// The rate at which it came, in bits per second.
    pub rate: u32,
    /// When it was captured.
    pub seen: Moment,
}

/// What to send at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The cap in bits per second; none: congestion control alone.
    pub cap: Option<u32>,
    /// Why.
    pub reason: Reason,
}

impl Decision {
    /// What to send at where the network allows `allowed` bits per second: never more.
    pub fn rate(&self, allowed: u32) -> u32 {
        self.cap.map_or(allowed, |cap| cap.min(allowed))
    }
}

/// The cap of one session.
#[derive(Clone, Debug)]
pub struct Cap {
    kind: Kind,
    curves: [Curve; Kind::ALL.len()],
    /// None while it is off.
    cap: Option<u32>,
    reason: Reason,
    /// From when on pictures show what came of the last change.
    changed: Moment,
    /// The lowest rate known to be enough for this scene.
    good: Option<u32>,
    heard: Option<Moment>,
    newest: Option<Moment>,
    scene: Option<Moment>,
    rest: Span,
    /// Since when a still picture that could not be read waits to be drawn anew.
    poor: Option<Moment>,
    /// The most pictures a second that came, how often in a row more was sent for the sake of them, and the least that had
    /// the encoder send them, with when that was found.
    full: f32,
    fuller: u32,
    floor: Option<(Moment, u32)>,
    refused: u64,
}

impl Default for Cap {
    fn default() -> Cap {
        Cap {
            kind: Kind::default(),
            curves: [Curve::default(); Kind::ALL.len()],
            cap: None,
            reason: Reason::Start,
            changed: Moment::from_nanos(i64::MIN),
            good: None,
            heard: None,
            newest: None,
            scene: None,
            rest: REST,
            poor: None,
            full: 0.0,
            fuller: 0,
            floor: None,
            refused: 0,
        }
    }
}

impl Cap {
    /// What is looked for from now on. What was learnt for another question of its kind says at once what it needs.
    pub fn ask(&mut self, now: Moment, kind: Kind) {
        if self.kind == kind {
            return;
        }
        self.kind = kind;
        self.good = None;
        if self.cap.is_some() {
            self.rest = REST;
            let need = cheapest(self.curve().points(), ENOUGH);
            self.set(now, need, Reason::More);
        }
    }

    /// Another scene came up at `now`: the cap is off until something was read in it, and what was learnt is doubted.
    pub fn scene(&mut self, now: Moment) {
        self.scene = Some(now);
        self.curves.iter_mut().for_each(Curve::doubt);
        self.good = None;
        self.rest = REST;
        if self.heard.is_some() {
            self.set(now, None, Reason::Scene);
        }
    }

    /// Takes what understanding says. False, and counted, where it makes no sense: it was seen in the future, long ago or
    /// before what was told last, came at no rate at all or sooner after the last than any reader works.
    pub fn learn(&mut self, now: Moment, evidence: Evidence) -> bool {
        let Evidence {
            kind,
            readability,
            rate,
            seen,
        } = evidence;
        let replayed = self.newest.is_some_and(|newest| seen <= newest);
        let flood = self.heard.is_some_and(|heard| now - heard < APART);
        if replayed || flood || rate == 0 || seen > now || now - seen > STALE {
            self.refused += 1;
            return false;
        }
        self.newest = Some(seen);
        self.heard = Some(now);
        let Some(readability) = readability else {
            self.nothing(now, kind, seen);
            return true;
        };
        if self.scene.is_none_or(|scene| seen >= scene) {
            if rate < STILL {
                self.stands(now, kind, seen, readability.get());
                return true;
            }
            self.curves[kind as usize].learn(rate, readability);
            if kind == self.kind && seen >= self.changed {
                self.judge(now, rate, readability.get());
            }
        }
        true
    }

    /// Understanding is at work and has nothing new to say: the picture stands as it stood.
    pub fn still(&mut self, now: Moment) {
        if let Some(heard) = &mut self.heard {
            *heard = (*heard).max(now - APART);
        }
        if self.cap.is_none() {
            self.reason = Reason::Still;
        }
    }

    /// So many pictures a second came lately. Where a cap has the encoder leave some out, more is sent, and for a while no less.
    pub fn paced(&mut self, now: Moment, pace: f32) {
        self.full = self.full.max(if pace.is_finite() { pace } else { 0.0 });
        let sparse = pace < SPARSE * self.full;
        let Some(cap) = self.cap.filter(|_| sparse) else {
            self.fuller = 0;
            return;
        };
        if self.fuller > 0 && now - self.changed < FOLLOWS {
            return;
        }
        if self.fuller == FULLER_TRIES {
            // It is not for want of bits.
            (self.full, self.fuller, self.floor) = (pace, 0, None);
            return;
        }
        self.fuller += 1;
        let more = scaled(cap, FULLER).min(TIERS[TIERS.len() - 1].max(cap));
        self.floor = Some((now, more));
        self.set(now, Some(more), Reason::Pictures);
    }

    /// What to send at, at `now`, where the network allows `allowed` bits per second.
    pub fn decide(&mut self, now: Moment, allowed: u32) -> Decision {
        if self.heard.is_some_and(|heard| now - heard > SILENCE) && self.reason != Reason::Silent {
            self.good = None;
            self.set(now, None, Reason::Silent);
        }
        let congested = self.cap.is_some_and(|cap| cap > allowed);
        Decision {
            cap: self.cap,
            reason: if congested { Reason::Congestion } else { self.reason },
        }
    }

    /// What is looked for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How readability rises with the rate for what is looked for now.
    pub fn curve(&self) -> &Curve {
        &self.curves[self.kind as usize]
    }

    /// How much was refused so far.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Nothing was there to be read: less, step by step, as a cautious eye looks away.
    fn nothing(&mut self, now: Moment, kind: Kind, seen: Moment) {
        if kind != self.kind || seen < self.changed {
            return;
        }
        let from = self.cap.unwrap_or(TIERS[TIERS.len() - 1]);
        self.good = None;
        self.set(now, Some(scaled(from, LESS).max(TIERS[0])), Reason::Nothing);
    }

    /// Nothing moves, and nothing is sent: the picture was drawn earlier, and the rate tells nothing of what it took. One that can
    /// be read costs nothing. One that cannot stays as poor as it is until it is drawn anew: encoders skip what stands still.
    fn stands(&mut self, now: Moment, kind: Kind, seen: Moment, readable: f32) {
        if kind != self.kind || seen < self.changed {
            return;
        }
        if self.cap.is_none() {
            self.reason = Reason::Still;
        }
        if readable >= ENOUGH - DOUBTFUL {
            return;
        }
        if let Some(cap) = self.cap {
            self.too_little(now, cap);
        }
        self.poor.get_or_insert(now);
    }

    /// Whether the sender should draw its picture anew at `now`; said once.
    pub fn take_redraw(&mut self, now: Moment) -> bool {
        self.poor.take_if(|poor| now - *poor >= REDRAWN).is_some()
    }

    /// Whether `rate` is enough, and what follows. It was sent after the last change, and could be read so well.
    fn judge(&mut self, now: Moment, rate: u32, readable: f32) {
        if self.cap.is_some_and(|cap| rate > cap / 8 * 9) && now - self.changed < FOLLOWS {
            // What was told has not reached the sender yet.
            return;
        }
        // An encoder that has nothing to say sends less than it may; one that starts a picture, more.
        let sent = self.cap.map_or(rate, |cap| cap.min(rate));
        let believed = readability_at(sent, self.curve().points());
        if readable >= ENOUGH {
            self.enough(now, rate, readable);
        } else if readable < ENOUGH - DOUBTFUL || believed < ENOUGH {
            self.too_little(now, sent);
        }
    }

    fn enough(&mut self, now: Moment, rate: u32, readable: f32) {
        self.good = Some(self.good.map_or(rate, |good| good.min(rate)).max(LEAST));
        let sent = self.cap.map_or(rate, |cap| cap.min(rate));
        let need = cheapest(self.curve().points(), ENOUGH).unwrap_or(sent).min(sent);
        let rested = now - self.changed >= self.rest;
        match self.cap {
            // Half the way down, so that what it turns out to need is never far above.
            None => self.set(now, Some(between(sent, need)), Reason::Enough),
            Some(_) if readable >= PLENTY && (self.rest == REST || now - self.changed >= self.rest / 4) => {
                self.rest = REST;
                let less = between(sent, need).min(scaled(sent, LESS)).max(LEAST);
                self.set(now, Some(less), Reason::Probe);
            }
            Some(_) if rested => self.set(now, Some(scaled(sent, LESS).max(LEAST)), Reason::Probe),
            Some(_) if self.reason == Reason::Probe => {}
            Some(_) => self.reason = Reason::Enough,
        }
    }

    fn too_little(&mut self, now: Moment, sent: u32) {
        let Some(cap) = self.cap else {
            // All that the network allows is sent already.
            return;
        };
        match self.good {
            Some(good) if good > cap => {
                self.rest = (self.rest * 2).min(LONGEST_REST);
                self.set(now, Some(good), Reason::Back);
            }
            _ => {
                self.good = None;
                let more = rule(sent, u32::MAX, self.curve().points());
                // One reading may contradict all that was learnt: then a step up, and another look.
                self.set(
                    now,
                    Some(more.max(scaled(cap, MORE)).min(TIERS[TIERS.len() - 1].max(cap))),
                    Reason::More,
                );
            }
        }
    }

    fn set(&mut self, now: Moment, cap: Option<u32>, reason: Reason) {
        let floor = self
            .floor
            .filter(|(found, _)| now - *found < LONGEST_REST)
            .map_or(0, |(_, floor)| floor);
        let held = cap.is_some_and(|cap| cap < floor);
        let cap = cap.map(|cap| cap.max(floor));
        self.reason = if held { Reason::Pictures } else { reason };
        if cap != self.cap || !held {
            (self.cap, self.changed) = (cap, now);
        }
    }
}

fn scaled(rate: u32, share: f64) -> u32 {
    (f64::from(rate) * share) as u32
}

/// The geometric mean.
fn between(one: u32, other: u32) -> u32 {
    (f64::from(one) * f64::from(other)).sqrt() as u32
}

#[cfg(test)]
mod tests;
