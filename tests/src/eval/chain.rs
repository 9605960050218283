//! The product's chain, detector and recogniser, over one recording. Waiting is virtual: packets of 20 ms arrive when they were
//! spoken. Work is real: what a slice took is added, and what comes meanwhile queues.

use std::time::Instant;

use anyhow::{Result, anyhow};
use hearsight_core::media::{Pcm, Voice, Word, Words};
use hearsight_core::stage::{Engine, Outbox, Signal, Wake};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::asr::{Heard, Hypothesis, pocketsphinx, whisper};
use hearsight_models::vad::{Config, Listener, Silero};

use super::sound::RATE;

/// Samples in a packet: 20 ms, what browsers send.
const PACKET: usize = RATE / 50;

/// What came out, and when.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Units of words, each with the moment at which it was there.
    pub(crate) words: Vec<(Moment, Stamped<Words>)>,
    /// Ends of phrases: when they were told, and the end of speech that they tell.
    pub(crate) rests: Vec<(Moment, MediaTime)>,
    /// Ends of segments, likewise.
    pub(crate) ends: Vec<(Moment, MediaTime)>,
    /// Work, of the detector and of the recogniser.
    pub(crate) work: (Span, Span),
    /// Each slice of the recogniser.
    pub(crate) slices: Vec<Span>,
    /// Units lost, faults included.
    pub(crate) lost: u32,
}

/// How the work of a slice is measured.
#[derive(Clone, Debug)]
pub(crate) enum Stopwatch {
    /// By the clock on the wall: right on a machine that does nothing else.
    Wall,
    /// By the processor time of this thread and of the worker with this process id (`/proc/…/schedstat`): right on any.
    Processor(Option<u32>),
}

impl Stopwatch {
    #[allow(clippy::disallowed_methods, reason = "a bench measures")]
    fn time<T>(&self, work: impl FnOnce() -> T) -> (T, Span) {
        match self {
            Stopwatch::Wall => {
                let begin = Instant::now();
                let done = work();
                (done, Span::from_duration(begin.elapsed()))
            }
            Stopwatch::Processor(worker) => {
                let spent = || ran("thread-self") + worker.map_or(Span::ZERO, |pid| ran(&pid.to_string()));
                let begin = spent();
                let done = work();
                (done, (spent() - begin).max(Span::ZERO))
            }
        }
    }
}

/// The processor time of a task so far.
fn ran(task: &str) -> Span {
    let text = std::fs::read_to_string(format!("/proc/{task}/schedstat")).unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Span::from_nanos(nanos.unwrap_or(0))
}

/// Runs the chain over `samples`. The moment 0 is that of the first sample.
pub(crate) fn run<E: Engine<In = Voice, Out = Words>>(
    silero: Silero,
    hearing: &mut E,
    samples: &[f32],
    watch: &Stopwatch,
) -> Result<Run> {
    let mut run = Run::default();
    let voices = listen(silero, samples, watch, &mut run)?;
    hear(hearing, voices, watch, &mut run);
    Ok(run)
}

fn listen(silero: Silero, samples: &[f32], watch: &Stopwatch, run: &mut Run) -> Result<Vec<(Moment, Signal<Voice>)>> {
    let mut listener = Listener::new(silero, Config::default());
    let (mut voices, mut out, mut free) = (Vec::new(), Outbox::default(), Moment::ZERO);
    for (place, packet) in samples.chunks(PACKET).enumerate() {
        let start = Span::from_samples((place * PACKET) as i64, RATE as u32);
        let pcm = Pcm {
            rate: RATE as u32,
            samples: packet.into(),
        };
        let arrival = Moment::ZERO + start + pcm.span();
        let mut unit = Stamped::new(MediaTime::ZERO + start, Moment::ZERO + start, pcm);
        unit.trail.stamp(Mark::Decoded, arrival);
        let begin = arrival.max(free);
        let (done, took) = watch.time(|| listener.run(begin, Signal::Item(unit), &mut out));
        done.map_err(|why| anyhow!("{why}"))?;
        free = begin + took;
        run.work.0 += took;
        voices.extend(out.drain().map(|signal| (free, signal)));
    }
    listener
        .run(free, Signal::End, &mut out)
        .map_err(|why| anyhow!("{why}"))?;
    voices.extend(out.drain().map(|signal| (free, signal)));
    Ok(voices)
}

fn hear<E: Engine<In = Voice, Out = Words>>(
    hearing: &mut E,
    voices: Vec<(Moment, Signal<Voice>)>,
    watch: &Stopwatch,
    run: &mut Run,
) {
    let (mut out, mut free) = (Outbox::default(), Moment::ZERO);
    let mut voices = voices.into_iter().peekable();
    let mut wake = Wake::OnSignal;
    while let Some((arrival, _)) = voices.peek() {
        // A timer that is due goes first only while nothing waits, as in the live host.
        let timer = matches!(wake, Wake::At(at) if at.max(free) < *arrival);
        let (begin, signal) = match voices.next_if(|_| !timer) {
            Some((arrival, signal)) => (arrival.max(free), signal),
            None => (free, Signal::Timer),
        };
        if let Signal::Item(unit) = &signal {
            match unit.item {
                Voice::Rested => run.rests.push((begin, unit.at)),
                Voice::Ended => run.ends.push((begin, unit.at)),
                _ => {}
            }
        }
        let (done, took) = watch.time(|| hearing.run(begin, signal, &mut out));
        free = begin + took;
        run.work.1 += took;
        run.slices.push(took);
        wake = done.unwrap_or_else(|_| {
            run.lost += 1;
            Wake::OnSignal
        });
        for signal in out.drain() {
            match signal {
                Signal::Item(unit) => run.words.push((free, unit)),
                Signal::Gap(gap) => run.lost += gap.count,
                _ => {}
            }
        }
    }
}

/// A recogniser in its authors' own driver.
pub(crate) trait Alone {
    /// Samples that it takes at a time; fewer at the end of a stream.
    fn frame(&self) -> usize;
    /// How long after speech it ends a phrase, in sound.
    fn after(&self) -> Span;
    fn begin(&mut self) -> Result<(), String>;
    fn hear(&mut self, frame: &[f32]) -> Result<Option<Hypothesis>, String>;
    fn finish(&mut self) -> Result<Option<Hypothesis>, String>;
}

impl Alone for pocketsphinx::own::Own {
    fn frame(&self) -> usize {
        pocketsphinx::own::FRAME
    }
    fn after(&self) -> Span {
        pocketsphinx::own::WINDOW
    }
    fn begin(&mut self) -> Result<(), String> {
        self.begin()
    }
    fn hear(&mut self, frame: &[f32]) -> Result<Option<Hypothesis>, String> {
        // What is left at the end of a stream is no frame, and the program drops it.
        match frame.len() {
            pocketsphinx::own::FRAME => self.hear(frame),
            _ => Ok(None),
        }
    }
    fn finish(&mut self) -> Result<Option<Hypothesis>, String> {
        self.finish()
    }
}

impl Alone for whisper::own::Own {
    fn frame(&self) -> usize {
        whisper::own::FRAME
    }
    fn after(&self) -> Span {
        Span::ZERO
    }
    fn begin(&mut self) -> Result<(), String> {
        self.begin();
        Ok(())
    }
    fn hear(&mut self, frame: &[f32]) -> Result<Option<Hypothesis>, String> {
        self.hear(frame)
    }
    fn finish(&mut self) -> Result<Option<Hypothesis>, String> {
        Ok(self.finish())
    }
}

/// A recogniser in its own driver over `samples`, on the same clocks. Provisional words are not asked for.
pub(crate) fn alone(own: &mut impl Alone, samples: &[f32], watch: &Stopwatch) -> Result<Run> {
    let mut run = Run::default();
    let mut free = Moment::ZERO;
    let mut heard = 0;
    own.begin().map_err(|why| anyhow!(why))?;
    for frame in samples.chunks(own.frame()).map(Some).chain([None]) {
        heard += frame.map_or(0, <[f32]>::len);
        let arrival = Moment::ZERO + Span::from_samples(heard as i64, RATE as u32);
        let begin = arrival.max(free);
        let (done, took) = watch.time(|| match frame {
            Some(frame) => own.hear(frame),
            None => own.finish(),
        });
        free = begin + took;
        run.work.1 += took;
        run.slices.push(took);
        let Some(hypothesis) = done.map_err(|why| anyhow!(why))? else {
            continue;
        };
        let spoken = MediaTime::ZERO + (arrival - Moment::ZERO) - own.after();
        run.rests.push((begin, spoken));
        run.ends.push((begin, spoken));
        let words = settled(run.words.len() as u32, hypothesis);
        run.words.push((free, Stamped::new(spoken, begin, words)));
    }
    Ok(run)
}

fn settled(segment: u32, hypothesis: Hypothesis) -> Words {
    let word = |heard: &Heard| Word {
        text: heard.text.clone(),
        start: MediaTime::ZERO + heard.start,
        end: MediaTime::ZERO + heard.end,
        stability: 1.0,
        certainty: heard.certainty,
    };
    Words {
        segment,
        words: hypothesis.words.iter().map(word).collect(),
        settled: true,
    }
}
