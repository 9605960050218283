//! One session: detector and recogniser over hours of sound, in virtual time, the work of each by the processor's clock.

use anyhow::{Result, anyhow};
use hearsight_core::media::{Pcm, Voice, Word, Words};
use hearsight_core::stage::{Engine, Outbox, Signal, Wake};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::asr::{Hearing, Recogniser};
use hearsight_models::vad::{Config, Listener, Silero};

/// 20 ms, what browsers send.
const PACKET: usize = 320;

/// Seconds of processor time for a second of sound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) detector: f64,
    pub(crate) recogniser: f64,
}

pub(crate) struct Session {
    listener: Listener<Silero>,
    hearing: Hearing<Box<dyn Recogniser>>,
    worker: Option<u32>,
    /// Samples heard so far.
    place: usize,
    random: fastrand::Rng,
    slices: Vec<f64>,
    words: usize,
    lost: u32,
    /// Where the talk under way began, and its words so far, each with its place in it.
    began: MediaTime,
    heard: Vec<Place>,
}

/// A word, and how long after the beginning of the talk it begins, in seconds.
pub(crate) type Place = (String, f64);

/// What came of a stretch of sound.
#[derive(Default)]
struct Work {
    detector: f64,
    recogniser: f64,
}

impl Session {
    /// `worker` is the process of the recogniser, where it has one.
    pub(crate) fn new(recogniser: Box<dyn Recogniser>, silero: Silero, worker: Option<u32>) -> Session {
        Session {
            listener: Listener::new(silero, Config::default()),
            hearing: Hearing::new(recogniser),
            worker,
            place: 0,
            random: fastrand::Rng::with_seed(1),
            slices: Vec::new(),
            words: 0,
            lost: 0,
            began: MediaTime::ZERO,
            heard: Vec::new(),
        }
    }

    /// Hears what is said; answers with what a second of it cost.
    pub(crate) fn say(&mut self, talk: &[f32]) -> Result<Cost> {
        self.began = MediaTime::ZERO + Span::from_samples(self.place as i64, 16_000);
        self.heard.clear();
        let work = self.hear(talk)?;
        let seconds = talk.len() as f64 / 16_000.0;
        Ok(Cost {
            detector: work.detector / seconds,
            recogniser: work.recogniser / seconds,
        })
    }

    /// Faint noise for so long: a room in which nobody speaks.
    pub(crate) fn hush(&mut self, span: Span) -> Result<()> {
        let mut rest = span.samples(16_000).max(0) as usize;
        while rest > 0 {
            let samples = rest.min(16_000);
            let hush: Vec<f32> = (0..samples).map(|_| (self.random.f32() - 0.5) * 7e-4).collect();
            self.hear(&hush)?;
            rest -= samples;
        }
        Ok(())
    }

    /// The longest slice of the recogniser but for one in a thousand, and the one that it declares, in seconds.
    pub(crate) fn slices(&mut self) -> (f64, f64) {
        self.slices.sort_by(f64::total_cmp);
        let place = (self.slices.len().saturating_sub(1)) * 999 / 1000;
        let declared = self.hearing.slice().nanos() as f64 / 1e9;
        (self.slices.get(place).copied().unwrap_or(0.0), declared)
    }

    /// The words since the talk began.
    pub(crate) fn heard(&self) -> &[Place] {
        &self.heard
    }

    pub(crate) fn words(&self) -> usize {
        self.words
    }

    pub(crate) fn lost(&self) -> u32 {
        self.lost
    }

    fn hear(&mut self, sound: &[f32]) -> Result<Work> {
        let mut work = Work::default();
        let mut voices = Outbox::default();
        for packet in sound.chunks(PACKET) {
            let start = Span::from_samples(self.place as i64, 16_000);
            self.place += packet.len();
            let pcm = Pcm {
                rate: 16_000,
                samples: packet.into(),
            };
            let now = Moment::ZERO + start + pcm.span();
            let mut unit = Stamped::new(MediaTime::ZERO + start, Moment::ZERO + start, pcm);
            unit.trail.stamp(Mark::Decoded, now);
            let began = ran("thread-self");
            let heard = self.listener.run(now, Signal::Item(unit), &mut voices);
            work.detector += ran("thread-self") - began;
            heard.map_err(|why| anyhow!("{why}"))?;
            for voice in voices.drain() {
                self.recognise(now, voice, &mut work);
            }
        }
        Ok(work)
    }

    fn recognise(&mut self, now: Moment, voice: Signal<Voice>, work: &mut Work) {
        let mut signal = Some(voice);
        let mut out = Outbox::default();
        while let Some(next) = signal.take() {
            let spent = || ran("thread-self") + self.worker.map_or(0.0, |pid| ran(&pid.to_string()));
            let began = spent();
            let wake = self.hearing.run(now, next, &mut out);
            let took = spent() - began;
            self.slices.push(took);
            work.recogniser += took;
            match wake {
                // What is due at once; what is due later comes with the next sound.
                Ok(Wake::At(at)) if at <= now => signal = Some(Signal::Timer),
                Ok(_) => {}
                Err(_) => self.lost += 1,
            }
            for said in out.drain() {
                self.count(&said);
            }
        }
    }

    fn count(&mut self, said: &Signal<Words>) {
        match said {
            Signal::Item(unit) if unit.item.settled => {
                self.words += unit.item.words.len();
                let place = |word: &Word| {
                    let after = word.start - self.began;
                    (word.text.to_string(), after.nanos() as f64 / 1e9)
                };
                let places: Vec<Place> = unit.item.words.iter().map(place).collect();
                self.heard.extend(places);
            }
            Signal::Gap(gap) => self.lost += gap.count,
            _ => {}
        }
    }
}

/// Seconds for which a task was on a processor so far.
fn ran(task: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{task}/schedstat")).unwrap_or_default();
    let nanos: Option<f64> = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    nanos.unwrap_or(0.0) / 1e9
}
