//! Callers that send, each at its moment, as many as wanted.

use std::sync::Arc;

use anyhow::Result;
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;
use hearsight_tests::rig::callers::{Callers, Number};
use hearsight_tests::rig::material::Track;

use crate::server::Server;

/// The longest that connecting may take on a busy machine.
pub(crate) const PATIENCE: Span = Span::from_secs(20);

/// Units that may be sent after their moment; those before them are left out.
const MOST_BEHIND: usize = 3;

/// Sends two tracks from each caller in real time.
pub(crate) struct Load {
    pub(crate) callers: Callers,
    clock: Clock,
    senders: Vec<Sender>,
}

struct Sender {
    number: Number,
    start: Moment,
    sound: Track,
    picture: Track,
    said: usize,
    shown: usize,
}

impl Load {
    pub(crate) fn new(clock: Clock) -> Result<Load> {
        Ok(Load {
            callers: Callers::new(clock)?,
            clock,
            senders: Vec::new(),
        })
    }

    /// Connects one more to a measured server, and begins to send `after` from now.
    pub(crate) fn join(&mut self, server: &mut Server, after: Span, tracks: (&Track, &Track)) -> Result<()> {
        let (number, offer) = self.callers.dial()?;
        let answer = server.answer(&offer)?;
        self.callers.accept(number, &answer)?;
        let started = self.clock.now();
        // Whoever is already sending goes on meanwhile.
        while self.callers.caller(number)?.connected.is_none() {
            anyhow::ensure!(self.clock.now() - started < PATIENCE, "a caller waits in vain");
            self.step(self.clock.now() + Span::from_millis(5))?;
        }
        self.begin(number, after, tracks);
        Ok(())
    }

    /// Lets a connected caller send, `after` from now.
    pub(crate) fn begin(&mut self, number: Number, after: Span, (sound, picture): (&Track, &Track)) {
        self.senders.push(Sender {
            number,
            start: self.clock.now() + after,
            sound: sound.clone(),
            picture: picture.clone(),
            said: 0,
            shown: 0,
        });
    }

    /// How many callers there are.
    pub(crate) fn count(&self) -> usize {
        self.senders.len()
    }

    /// Lets everyone begin now, each `apart` from the one before.
    pub(crate) fn start_all(&mut self, apart: Span) {
        let now = self.clock.now();
        for (n, sender) in self.senders.iter_mut().enumerate() {
            sender.start = now + apart * n as i64;
        }
    }

    /// Sends what is due until `span` has passed. Answers with the RTP packets that left.
    pub(crate) fn run(&mut self, span: Span) -> Result<u64> {
        let before = self.packets()?;
        let end = self.clock.now() + span;
        while self.clock.now() < end {
            self.step(end)?;
        }
        Ok(self.packets()? - before)
    }

    fn packets(&mut self) -> Result<u64> {
        let numbers: Vec<Number> = self.senders.iter().map(|sender| sender.number).collect();
        numbers
            .into_iter()
            .map(|number| Ok(self.callers.caller(number)?.packets))
            .sum()
    }

    /// Sends what is due, then waits for the next of it, at most until `end`.
    fn step(&mut self, end: Moment) -> Result<()> {
        let mut next = end;
        for sender in &mut self.senders {
            let now = self.clock.now();
            // A machine that can't keep up sends less, not later: a call has no past.
            sender.said = sender
                .said
                .max(sender.sound.count(now - sender.start).saturating_sub(MOST_BEHIND));
            sender.shown = sender
                .shown
                .max(sender.picture.count(now - sender.start).saturating_sub(MOST_BEHIND));
            while sender.start + sender.sound.due(sender.said) <= now {
                let at = sender.sound.due(sender.said);
                self.callers.say(sender.number, at, sender.sound.unit(sender.said))?;
                sender.said += 1;
            }
            while sender.start + sender.picture.due(sender.shown) <= now {
                let at = sender.picture.due(sender.shown);
                self.callers
                    .show(sender.number, at, sender.picture.unit(sender.shown))?;
                sender.shown += 1;
            }
            next = next
                .min(sender.start + sender.sound.due(sender.said))
                .min(sender.start + sender.picture.due(sender.shown));
        }
        self.callers.turn(next)
    }
}

/// 50 packets of sound and 25 pictures of 10 packets each second: 300 packets, 2.3 Mbit/s. Nobody decodes them.
pub(crate) fn dummies() -> (Track, Track) {
    let mut random = fastrand::Rng::with_seed(7);
    let mut bytes = |length: usize| -> Vec<u8> { (0..length).map(|_| random.u8(1..)).collect() };
    let sound: Vec<Arc<[u8]>> = (0..10).map(|_| bytes(120).into()).collect();
    let pictures = (0..10).map(|_| {
        // A slice of a picture that refers to others (ITU-T H.264 table 7-1, type 1).
        let mut unit = vec![0, 0, 0, 1, 0x41];
        unit.extend(bytes(11_000));
        Arc::<[u8]>::from(unit)
    });
    let track = |millis: i64, units: Vec<Arc<[u8]>>| Track {
        interval: Span::from_millis(millis),
        units: units.into(),
    };
    (track(20, sound), track(40, pictures.collect()))
}
