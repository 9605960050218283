//! A scripted sound system in virtual time: microphones that go, come back at another rate, fall silent, stumble and drift,
//! and a reader that stands still.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;

/// The sound system from outside: what the tests pull and plug.
#[derive(Default)]
struct Desk {
    plugged: Option<u32>,
    open: Option<(Tap, Alarm, u32)>,
    attempts: Vec<Moment>,
    now: Moment,
}

#[derive(Clone, Default)]
struct Script(Rc<RefCell<Desk>>);

/// Takes the tap away when it is dropped, as a sound card's stream does.
struct Playing(Script);

impl Drop for Playing {
    fn drop(&mut self) {
        self.0.0.borrow_mut().open = None;
    }
}

impl Microphones for Script {
    type Stream = Playing;
    fn open(&mut self, tap: Tap, alarm: Alarm) -> Result<(Playing, Format), NoMicrophone> {
        let mut desk = self.0.borrow_mut();
        let now = desk.now;
        desk.attempts.push(now);
        let rate = desk.plugged.ok_or(NoMicrophone {
            problem: "nothing is plugged in".into(),
        })?;
        desk.open = Some((tap, alarm, rate));
        let format = Format {
            name: "script".into(),
            rate,
            channels: 1,
        };
        Ok((Playing(self.clone()), format))
    }
}

const RATES: [u32; 5] = [48_000, 44_100, 16_000, 96_000, 8_000];

/// What one run saw.
#[derive(Default)]
struct Seen {
    sounds: Vec<(Moment, Stamped<Pcm>)>,
    gaps: Vec<(usize, Gap)>,
    gone: usize,
    opened: usize,
    poured: u64,
}

/// What happens to the microphone, drawn from a seed.
struct Life {
    random: fastrand::Rng,
    script: Script,
    capture: Capture<Script>,
    now: Moment,
    ppm: f64,
    seen: Seen,
}

impl Life {
    fn new(seed: u64) -> Life {
        let mut random = fastrand::Rng::with_seed(seed);
        let script = Script::default();
        script.0.borrow_mut().plugged = Some(RATES[random.usize(0..RATES.len())]);
        let ppm = random.f64() * 1_000.0 - 500.0;
        let (capture, _) = Capture::open(script.clone(), Moment::ZERO).unwrap();
        Life {
            random,
            script,
            capture,
            now: Moment::ZERO,
            ppm,
            seen: Seen::default(),
        }
    }

    /// Ten milliseconds of the card: a portion, whose capture it misjudges by up to `jitter`.
    fn portion(&mut self, jitter: Span) {
        self.now += Span::from_millis(10);
        let late = Span::from_nanos(self.random.i64(0..=jitter.nanos()));
        let mut desk = self.script.0.borrow_mut();
        desk.now = self.now;
        if let Some((tap, _, rate)) = &mut desk.open {
            let truth = f64::from(*rate) * 0.01 * (1.0 + self.ppm * 1e-6) + self.random.f64();
            let frames = truth as usize;
            let born = self.now - Span::from_samples(frames as i64, *rate) - late;
            tap.pour((0..frames).map(|_| 0.25), born, self.now);
            self.seen.poured += frames as u64;
        }
    }

    fn step(&mut self) {
        self.script.0.borrow_mut().now = self.now;
        let (now, seen) = (self.now, &mut self.seen);
        self.capture.step(now, &mut |news| match news {
            News::Opened(_) => seen.opened += 1,
            News::Gone(_) => seen.gone += 1,
            News::Gap(gap) => seen.gaps.push((seen.sounds.len(), gap)),
            News::Sound(sound) => seen.sounds.push((now, sound)),
        });
    }

    fn plug(&mut self, rate: Option<u32>) {
        self.script.0.borrow_mut().plugged = rate;
    }

    fn alarm(&self) -> Option<Alarm> {
        self.script.0.borrow().open.as_ref().map(|(_, alarm, _)| alarm.clone())
    }

    fn live(&mut self, spans: usize, jitter: Span) {
        for _ in 0..spans {
            self.portion(jitter);
            self.step();
        }
    }

    /// One thing that can happen.
    fn happen(&mut self) {
        match self.random.u8(0..6) {
            // Unplugged, perhaps for some seconds, and back with another rate.
            0 => {
                self.plug(None);
                if let Some(alarm) = self.alarm() {
                    alarm.ended(Ended::Unplugged);
                }
                let away = self.random.usize(1..400);
                self.live(away, Span::ZERO);
                let rate = RATES[self.random.usize(0..RATES.len())];
                self.plug(Some(rate));
            }
            // Its format changes under it.
            1 => {
                let rate = RATES[self.random.usize(0..RATES.len())];
                self.plug(Some(rate));
                if let Some(alarm) = self.alarm() {
                    alarm.ended(Ended::Changed);
                }
            }
            // The reader stands still, for longer than the ring holds or not.
            2 => (0..self.random.usize(1..250)).for_each(|_| self.portion(Span::ZERO)),
            // The card stumbles.
            3 => {
                if let Some(alarm) = self.alarm() {
                    alarm.torn();
                }
                self.now += Span::from_millis(self.random.i64(0..80));
            }
            // The machine sleeps, or the card says nothing.
            4 => {
                for _ in 0..self.random.usize(1..400) {
                    self.now += Span::from_millis(10);
                    self.step();
                }
            }
            _ => {
                let (spans, jitter) = (self.random.usize(10..200), self.random.i64(0..30));
                self.live(spans, Span::from_millis(jitter));
            }
        }
    }
}

fn lived(seed: u64) -> Life {
    let mut life = Life::new(seed);
    for _ in 0..25 {
        life.happen();
        life.live(5, Span::ZERO);
    }
    // Whatever happened: within a second and a little it is back, and heard.
    life.live(500, Span::ZERO);
    life
}

#[test]
fn captions_get_one_timeline_whatever_happens_to_the_microphone() {
    for seed in 0..200 {
        let life = lived(seed);
        let mut end: Option<(MediaTime, Moment)> = None;
        for (place, (now, sound)) in life.seen.sounds.iter().enumerate() {
            let slack = sound.item.span() / 100;
            let gaps = life.seen.gaps.iter().filter(|(before, _)| *before == place).count();
            if let Some((at, born)) = end {
                assert!(
                    sound.at >= at - slack && sound.born >= born - slack,
                    "seed {seed}: backwards"
                );
                assert!(
                    gaps > 0 || sound.at - at <= slack,
                    "seed {seed}: a hole of {} without a word",
                    sound.at - at
                );
            }
            assert!(
                sound.born <= *now + super::super::card_clock::RESYNC,
                "seed {seed}: born in the future"
            );
            assert_eq!(sound.at - MediaTime::ZERO, sound.born - life.seen.sounds[0].1.born);
            end = Some((sound.at + sound.item.span(), sound.born + sound.item.span()));
        }
        assert!(life.capture.open.is_some(), "seed {seed}: it did not come back");
        let last = life.seen.sounds.last().unwrap().0;
        assert!(
            life.now - last <= Span::from_millis(20),
            "seed {seed}: deaf since {last:?}"
        );
    }
}

#[test]
fn a_microphone_that_is_gone_is_told_once_and_looked_for_every_second() {
    for seed in 0..100 {
        let mut life = Life::new(seed);
        life.live(50, Span::ZERO);
        life.plug(None);
        life.alarm().unwrap().ended(Ended::Unplugged);
        let seconds = life.random.usize(2..30);
        life.live(seconds * 100, Span::ZERO);
        let rate = RATES[life.random.usize(0..RATES.len())];
        life.plug(Some(rate));
        life.live(150, Span::ZERO);
        assert_eq!((life.seen.gone, life.seen.opened), (1, 1), "seed {seed}");
        let attempts = &life.script.0.borrow().attempts;
        assert!(
            attempts.len() <= seconds + 3,
            "seed {seed}: {} attempts",
            attempts.len()
        );
        assert!(
            attempts.windows(2).all(|pair| pair[1] - pair[0] >= RETRY),
            "seed {seed}: it is not left alone between"
        );
        assert_eq!(life.seen.sounds.last().unwrap().1.item.rate, rate);
        assert_eq!(life.seen.gaps.len(), 1, "seed {seed}: {:?}", life.seen.gaps);
    }
}

#[test]
fn every_frame_of_an_open_microphone_is_heard_or_counted() {
    for seed in 0..100 {
        let mut life = Life::new(seed);
        let rate = life.script.0.borrow().plugged.unwrap();
        for _ in 0..20 {
            let still = life.random.usize(1..1_000);
            (0..still).for_each(|_| life.portion(Span::ZERO));
            life.live(20, Span::ZERO);
        }
        let heard: u64 = life
            .seen
            .sounds
            .iter()
            .map(|(_, sound)| sound.item.samples.len() as u64)
            .sum();
        let units: u64 = life.seen.gaps.iter().map(|(_, gap)| u64::from(gap.count)).sum();
        let missing = life.seen.poured - heard;
        // Begun units count whole.
        let counted = Span::from_millis(10 * units as i64).samples(rate) as u64;
        let most = counted.abs_diff(missing);
        let slack = Span::from_millis(10 * life.seen.gaps.len() as i64 + 10).samples(rate) as u64;
        assert!(most <= slack, "seed {seed}: {missing} missing, {counted} counted");
        assert!(
            life.seen.gaps.iter().all(|(_, gap)| gap.why == Lost::TooOld),
            "seed {seed}"
        );
    }
}

#[test]
fn the_first_failure_is_an_answer_and_not_a_wait() {
    let script = Script::default();
    let refused = Capture::open(script, Moment::ZERO).err().unwrap();
    assert_eq!(refused.to_string(), "no microphone: nothing is plugged in");
}
