//! A sender's pictures on their way over a recorded uplink, packet by packet, in virtual time: cut, paced, queued, lost, asked
//! for again, put together; and what the receiver says of them on its way back to whoever controls the rate.

use std::collections::{BTreeMap, VecDeque};

use super::uplink::Uplink;
use crate::congestion::{Controller, Fate};
use crate::time::{Moment, Span};

/// Payload of a packet, and what the headers of RTP, SRTP, UDP and IP add to it, in bytes.
const PAYLOAD: usize = 1_160;
const HEADERS: usize = 12 + 8 + 10 + 8 + 20;
/// The receiver tells of what came this often.
pub const FEEDBACK: Span = Span::from_millis(50);
/// Packets leave at this many times the target, so that a large picture does not burst into the queue.
const PACE: f64 = 2.0;

/// Whoever says how much may be sent.
pub trait Control {
    /// A packet left.
    fn sent(&mut self, now: Moment);
    /// The receiver said this of packets, in the order in which they left.
    fn heard(&mut self, now: Moment, fates: &[Fate]);
    /// Bits per second.
    fn target(&self, now: Moment) -> u32;
}

impl Control for Controller {
    fn sent(&mut self, now: Moment) {
        Controller::sent(self, now);
    }
    fn heard(&mut self, now: Moment, fates: &[Fate]) {
        Controller::heard(self, now, fates);
    }
    fn target(&self, now: Moment) -> u32 {
        Controller::target(self, now)
    }
}

/// A picture that can be decoded, as far as packets go: it is whole, and so are all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landed {
    /// Its number, as given to [`Flight::send`].
    pub number: u64,
    /// When it was captured.
    pub born: Moment,
    /// When it could be decoded.
    pub at: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    picture: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Flying {
    picture: u64,
    bytes: usize,
    sent: Moment,
    arrives: Option<Moment>,
}

#[derive(Debug)]
struct Picture {
    born: Moment,
    missing: usize,
    whole: Moment,
}

/// The pictures of one sender.
pub struct Flight<C> {
    uplink: Uplink,
    control: C,
    back: Span,
    pacer: VecDeque<Waiting>,
    next: Moment,
    flying: VecDeque<Flying>,
    reports: VecDeque<(Moment, Vec<Flying>)>,
    report: Moment,
    pictures: BTreeMap<u64, Picture>,
    landed: VecDeque<Landed>,
    decoded: Moment,
    sent: u64,
}

impl<C: Control> Flight<C> {
    /// A flight from `began` on, over `uplink`; what the receiver says is `back` on its way.
    pub fn new(uplink: Uplink, control: C, back: Span, began: Moment) -> Flight<C> {
        Flight {
            uplink,
            control,
            back,
            pacer: VecDeque::new(),
            next: began,
            flying: VecDeque::new(),
            reports: VecDeque::new(),
            report: began + FEEDBACK,
            pictures: BTreeMap::new(),
            landed: VecDeque::new(),
            decoded: began,
            sent: 0,
        }
    }

    /// Hands over a coded picture at `now`, captured at `born`. Numbers rise.
    pub fn send(&mut self, now: Moment, number: u64, born: Moment, bytes: usize) {
        self.run(now);
        let packets = bytes.div_ceil(PAYLOAD).max(1);
        for packet in 0..packets {
            let bytes = (bytes - (packet * PAYLOAD).min(bytes)).min(PAYLOAD) + HEADERS;
            self.pacer.push_back(Waiting { picture: number, bytes });
        }
        let picture = Picture {
            born,
            missing: packets,
            whole: now,
        };
        self.pictures.insert(number, picture);
        self.run(now);
    }

    /// Lets everything happen that happens up to `now`.
    pub fn run(&mut self, now: Moment) {
        loop {
            let leaves = self.pacer.front().map(|_| self.next);
            let reported = self.reports.front().map(|(at, _)| *at);
            let due = [leaves, reported, Some(self.report)].into_iter().flatten().min();
            match due {
                Some(at) if at <= now => {
                    if leaves == Some(at) {
                        self.leave(at);
                    } else if reported == Some(at) {
                        self.hear(at);
                    } else {
                        self.tell(at);
                    }
                }
                _ => break,
            }
        }
        // An idle pacer saves nothing up.
        self.next = self.next.max(now);
    }

    /// Takes out the pictures that could be decoded by `now`, in order.
    pub fn landed(&mut self, now: Moment) -> Vec<Landed> {
        let count = self.landed.partition_point(|landed| landed.at <= now);
        self.landed.drain(..count).collect()
    }

    /// Bits per second that may be sent at `now`.
    pub fn target(&self, now: Moment) -> u32 {
        self.control.target(now)
    }

    /// How long what waits in the pacer takes at the target: a sender leaves pictures out rather than let it grow.
    pub fn backlog(&self, now: Moment) -> Span {
        let bytes: usize = self.pacer.iter().map(|waiting| waiting.bytes).sum();
        Span::from_nanos((bytes as f64 * 8e9 / f64::from(self.control.target(now).max(1))) as i64)
    }

    /// Bytes that left so far, headers and repetitions too.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Who controls it.
    pub fn control(&self) -> &C {
        &self.control
    }

    fn leave(&mut self, now: Moment) {
        let Some(Waiting { picture, bytes }) = self.pacer.pop_front() else {
            return;
        };
        let arrives = self.uplink.send(now, bytes);
        self.control.sent(now);
        self.sent += bytes as u64;
        let pace = f64::from(self.control.target(now).max(1)) * PACE;
        self.next = now + Span::from_nanos((bytes as f64 * 8e9 / pace) as i64);
        self.flying.push_back(Flying {
            picture,
            bytes,
            sent: now,
            arrives,
        });
        if let Some(at) = arrives {
            self.arrive(picture, at);
        }
    }

    fn arrive(&mut self, picture: u64, at: Moment) {
        if let Some(picture) = self.pictures.get_mut(&picture) {
            picture.missing = picture.missing.saturating_sub(1);
            picture.whole = picture.whole.max(at);
        }
        while let Some(first) = self.pictures.first_entry().filter(|first| first.get().missing == 0) {
            let (number, picture) = first.remove_entry();
            self.decoded = self.decoded.max(picture.whole);
            let (born, at) = (picture.born, self.decoded);
            self.landed.push_back(Landed { number, born, at });
        }
    }

    /// The receiver tells of everything up to the newest packet that it has: what is missing before it is lost.
    fn tell(&mut self, now: Moment) {
        self.report = now + FEEDBACK;
        let here = |flying: &Flying| flying.arrives.is_some_and(|at| at <= now);
        let Some(newest) = self.flying.iter().rposition(here) else {
            return;
        };
        let told = self.flying.drain(..=newest).collect();
        self.reports.push_back((now + self.back, told));
    }

    fn hear(&mut self, now: Moment) {
        let Some((_, told)) = self.reports.pop_front() else {
            return;
        };
        let fates: Vec<Fate> = told
            .iter()
            .map(|flying| Fate {
                sent: flying.sent,
                bytes: flying.bytes,
                arrived: flying.arrives.map(|at| at - Moment::ZERO),
            })
            .collect();
        self.control.heard(now, &fates);
        // What was lost goes first: everything after it waits for it.
        for flying in told.into_iter().rev().filter(|flying| flying.arrives.is_none()) {
            let Flying { picture, bytes, .. } = flying;
            self.pacer.push_front(Waiting { picture, bytes });
        }
    }
}
