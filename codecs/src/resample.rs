//! Sound at any rate in, 16 kHz out: what voice detectors and recognisers hear.

use std::ops::RangeInclusive;

use hearsight_core::media::Pcm;
use hearsight_core::stage::{Lost, Outbox, Signal, Stage, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{
    Async, FixedAsync, Indexing, ResampleResult, Resampler, ResamplerConstructionError, SincInterpolationParameters,
    SincInterpolationType, WindowFunction,
};

/// Samples per second that Opus decodes to, for which the filter is designed at first.
pub const RATE_IN: u32 = 48_000;

/// Samples per second that come out.
pub const RATE_OUT: u32 = 16_000;

/// Rates that are taken: from telephones to the fastest sound cards.
pub const RATES: RangeInclusive<u32> = 8_000..=192_000;

/// Input is taken in chunks of 2.5 ms: every Opus packet is a multiple of it, so nothing waits for a next packet.
const CHUNKS_A_SECOND: u32 = 400;

/// The windowed sinc reaches 2 ms to either side: flat to 6.5 kHz, where speech models stop listening.
const REACHES_A_SECOND: u32 = 500;

/// Resamples to 16 kHz, passing 16 kHz through. The filter's delay is taken off the media time of what comes out: a sample
/// stands where it stood. What the filter holds back comes out at a gap, at another rate and at the end.
pub struct To16k {
    filter: Filter,
    /// Input that does not fill a chunk yet.
    rest: Vec<f32>,
    run: Option<Run>,
    /// How long input may have to wait for its chunk to fill.
    wait: Span,
}

/// The windowed sinc for one rate.
struct Filter {
    sinc: Async<f32>,
    rate: u32,
    /// Input samples taken at a time.
    chunk: usize,
    /// Input samples to either side of one that make its output.
    reach: i64,
    made: Vec<f32>,
}

impl Filter {
    fn design(rate: u32) -> Result<Filter, ResamplerConstructionError> {
        let chunk = (rate / CHUNKS_A_SECOND) as usize;
        // The library wants a multiple of eight points.
        let points = (2 * rate / REACHES_A_SECOND).next_multiple_of(8) as usize;
        let parameters = SincInterpolationParameters::new(points, WindowFunction::BlackmanHarris2);
        let parameters = if rate.is_multiple_of(RATE_OUT) {
            // Every output sample falls on an input sample: nothing to interpolate. The filter's tables are one step of the
            // oversampling off, so the steps are small.
            parameters
                .interpolation(SincInterpolationType::Nearest)
                .oversampling_factor(64)
        } else {
            parameters
                .interpolation(SincInterpolationType::Linear)
                .oversampling_factor(128)
        };
        let ratio = f64::from(RATE_OUT) / f64::from(rate);
        let sinc = Async::new_sinc(ratio, 1.0, &parameters, chunk, 1, FixedAsync::Input)?;
        let made = vec![0.0; sinc.output_frames_max()];
        Ok(Filter {
            sinc,
            rate,
            chunk,
            reach: points as i64 / 2,
            made,
        })
    }

    /// Where output sample `number` stands, from the first input sample on: the filter steps before it makes a sample.
    fn place(&self, number: i64) -> Span {
        Span::from_samples(number + 1, RATE_OUT) - Span::from_samples(self.reach, self.rate)
    }

    /// The first output sample that does not stand before the first input sample.
    fn first(&self) -> i64 {
        (self.reach * i64::from(RATE_OUT) + i64::from(self.rate) - 1) / i64::from(self.rate) - 1
    }

    /// Filters one chunk; what it makes is at the start of `made`.
    fn filtered(&mut self, chunk: &[f32]) -> ResampleResult<usize> {
        let room = self.made.len();
        let (Ok(input), Ok(mut output)) = (
            SequentialSlice::new(chunk, 1, chunk.len()),
            SequentialSlice::new_mut(&mut self.made, 1, room),
        ) else {
            return Ok(0);
        };
        let (_, length) = self.sinc.process_into_buffer(&input, &mut output, None::<&Indexing>)?;
        Ok(length)
    }
}

/// Sound without a hole, since the filter was last empty.
struct Run {
    /// The end of the input so far.
    next: MediaTime,
    /// Input samples so far.
    taken: i64,
    /// Output samples so far, those skipped at the start included.
    made: i64,
    last: Stamped<()>,
}

/// How far a unit's time may be from where the one before ended and still follow on it.
const TOLERANCE: Span = Span::from_millis(8);

impl To16k {
    /// For sound in multiples of 2.5 ms at 48 kHz, which never waits; other sound is taken as well. Errors: none but the
    /// library's own refusal of constants.
    pub fn new() -> Result<To16k, ResamplerConstructionError> {
        Ok(To16k {
            filter: Filter::design(RATE_IN)?,
            rest: Vec::new(),
            run: None,
            wait: Span::ZERO,
        })
    }

    /// For sound of any length at any of the [`RATES`], which may wait for its chunk to fill.
    pub fn from_any() -> Result<To16k, ResamplerConstructionError> {
        Ok(To16k {
            wait: Span::from_secs(1) / i64::from(CHUNKS_A_SECOND),
            ..To16k::new()?
        })
    }

    fn take(&mut self, sound: Stamped<Pcm>, out: &mut Outbox<Pcm>) {
        let samples = &sound.item.samples;
        if sound.item.rate == RATE_OUT {
            self.finish_run(out);
            out.put(sound);
            return;
        }
        // A second is more than any unit holds.
        if !RATES.contains(&sound.item.rate) || samples.len() > sound.item.rate as usize {
            self.finish_run(out);
            out.lose(Lost::Undecodable, 1);
            return;
        }
        if sound.item.rate != self.filter.rate && !self.redesign(sound.item.rate, out) {
            out.lose(Lost::Undecodable, 1);
            return;
        }
        let torn = self.run.as_ref().is_some_and(|run| {
            let off = sound.at - run.next;
            off > TOLERANCE || off < -TOLERANCE
        });
        if torn {
            self.finish_run(out);
        }
        let envelope = sound.with(());
        let run = self.run.get_or_insert_with(|| Run {
            next: sound.at,
            taken: 0,
            made: 0,
            last: envelope.clone(),
        });
        run.next = sound.at + sound.item.span();
        run.taken += samples.len() as i64;
        run.last = envelope;
        // One sample that is no number would silence the filter for good.
        self.rest.extend(
            samples
                .iter()
                .map(|sample| if sample.is_finite() { *sample } else { 0.0 }),
        );
        self.filter_rest(out);
    }

    /// Goes over to another rate; false when there is no filter for it.
    fn redesign(&mut self, rate: u32, out: &mut Outbox<Pcm>) -> bool {
        self.finish_run(out);
        match Filter::design(rate) {
            Ok(filter) => {
                self.filter = filter;
                true
            }
            Err(error) => {
                tracing::debug!(%error, rate, "no filter for this rate");
                false
            }
        }
    }

    /// Filters all whole chunks that are there and puts the result as one unit.
    fn filter_rest(&mut self, out: &mut Outbox<Pcm>) {
        let Some(run) = &mut self.run else {
            return;
        };
        let filter = &mut self.filter;
        let first = run.made.max(filter.first());
        let mut made = Vec::new();
        for chunk in self.rest.chunks_exact(filter.chunk) {
            match filter.filtered(chunk) {
                Ok(length) => made.extend_from_slice(&filter.made[..length]),
                Err(error) => tracing::debug!(%error, "resampling failed"),
            }
        }
        self.rest.drain(..self.rest.len() / filter.chunk * filter.chunk);
        let skipped = usize::try_from(first - run.made).unwrap_or(0).min(made.len());
        run.made += made.len() as i64;
        // All input so far ends at `next`.
        let at = run.next - Span::from_samples(run.taken, filter.rate) + filter.place(first);
        if skipped < made.len() {
            let mut sound = run.last.with(Pcm {
                rate: RATE_OUT,
                samples: made[skipped..].into(),
            });
            sound.at = at;
            out.put(sound);
        }
    }

    /// Pushes out what the filter holds, and no more than went in.
    fn finish_run(&mut self, out: &mut Outbox<Pcm>) {
        if let Some(run) = &mut self.run {
            let filter = &self.filter;
            let given = (run.made - filter.first()).max(0);
            let owed = run.taken * i64::from(RATE_OUT) / i64::from(filter.rate) - given;
            let owed = usize::try_from(owed).unwrap_or(0);
            let silence = owed * filter.rate as usize / RATE_OUT as usize + 4 * filter.reach as usize;
            let padded = (self.rest.len() + silence).next_multiple_of(filter.chunk);
            self.rest.resize(padded, 0.0);
            let mut tail = Outbox::default();
            self.filter_rest(&mut tail);
            for signal in tail.drain() {
                if let Signal::Item(mut sound) = signal {
                    let kept = owed.min(sound.item.samples.len());
                    if kept > 0 {
                        sound.item.samples = sound.item.samples[..kept].into();
                        out.put(sound);
                    }
                }
            }
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.rest.clear();
        self.run = None;
        self.filter.sinc.reset();
    }
}

impl Stage for To16k {
    type In = Pcm;
    type Out = Pcm;

    fn step(&mut self, _now: Moment, signal: Signal<Pcm>, out: &mut Outbox<Pcm>) -> Wake {
        match signal {
            Signal::Item(sound) => self.take(sound, out),
            Signal::Gap(gap) => {
                self.finish_run(out);
                out.pass(gap);
            }
            Signal::Flush(_) => self.forget(),
            Signal::End => {
                self.finish_run(out);
                out.end();
            }
            Signal::Timer => {}
        }
        Wake::OnSignal
    }

    /// What the filter must have heard beyond a sample before it lets it go, and the wait for a chunk to fill.
    fn delay(&self) -> Span {
        Span::from_secs(1) / i64::from(REACHES_A_SECOND) + self.wait
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use hearsight_core::stage::Gap;

    use super::*;

    /// Feeds `samples` at 48 kHz in parts, starting at `start`; returns what comes out, with the end passed on.
    fn resampled(start: MediaTime, samples: &[f32], part: impl FnMut() -> usize) -> Vec<Stamped<Pcm>> {
        resampled_from(RATE_IN, start, samples, part)
    }

    fn resampled_from(
        rate: u32,
        start: MediaTime,
        samples: &[f32],
        mut part: impl FnMut() -> usize,
    ) -> Vec<Stamped<Pcm>> {
        let mut stage = To16k::new().expect("constants");
        let mut out = Outbox::default();
        let mut place = 0;
        while place < samples.len() {
            let end = samples.len().min(place + part().max(1));
            let at = start + Span::from_samples(place as i64, rate);
            let item = Pcm {
                rate,
                samples: samples[place..end].into(),
            };
            stage.step(
                Moment::ZERO,
                Signal::Item(Stamped::new(at, Moment::ZERO, item)),
                &mut out,
            );
            place = end;
        }
        stage.step(Moment::ZERO, Signal::End, &mut out);
        out.drain()
            .filter_map(|signal| {
                if let Signal::Item(sound) = signal {
                    Some(sound)
                } else {
                    None
                }
            })
            .collect()
    }

    fn sine(hertz: f64, rate: u32, samples: usize) -> Vec<f32> {
        (0..samples)
            .map(|i| (0.5 * (TAU * hertz * i as f64 / f64::from(rate)).sin()) as f32)
            .collect()
    }

    #[test]
    fn a_tone_comes_out_as_itself_at_its_own_time() {
        let start = MediaTime::from_millis(1234);
        let rates = [48_000, 44_100, 96_000, 32_000, 22_050, 192_000, 11_025, 8_000];
        let tones = [100.0, 440.0, 1000.0, 3000.0, 6000.0];
        let tries = rates.into_iter().flat_map(|rate| tones.map(|hertz| (rate, hertz)));
        for (rate, hertz) in tries.filter(|(rate, hertz)| *hertz < 0.35 * f64::from(*rate)) {
            let made = resampled_from(rate, start, &sine(hertz, rate, rate as usize / 5), || {
                rate as usize / 50
            });
            let span: Span = made.iter().map(|sound| sound.item.span()).sum();
            assert!(
                (span - Span::from_millis(200)).nanos().abs() < 100_000,
                "{span} of {rate} Hz"
            );
            for sound in &made {
                for (i, sample) in sound.item.samples.iter().enumerate() {
                    let t = (sound.at - start).secs_f64() + i as f64 / f64::from(RATE_OUT);
                    // The ends are where the tone is cut off.
                    if (0.006..0.194).contains(&t) {
                        let off = (f64::from(*sample) - 0.5 * (TAU * hertz * t).sin()).abs();
                        assert!(off < 0.015, "{hertz} Hz in {rate} Hz at {t} s is {off} off");
                    }
                }
            }
        }
    }

    #[test]
    fn what_16_khz_cannot_carry_is_gone() {
        for hertz in [9_500.0, 12_000.0, 20_000.0] {
            for sound in resampled(MediaTime::ZERO, &sine(hertz, RATE_IN, 9600), || 960) {
                let inner = sound.item.samples.iter().skip(40);
                let loudest = if sound.at < MediaTime::from_millis(180) {
                    inner.fold(0.0f32, |a, b| a.max(b.abs()))
                } else {
                    0.0
                };
                assert!(loudest < 0.001, "{hertz} Hz leaves {loudest}");
            }
        }
    }

    #[test]
    fn any_split_gives_the_same_sound_without_holes_and_loses_none() {
        let mut random = fastrand::Rng::with_seed(5);
        let noise: Vec<f32> = (0..7200).map(|_| random.f32() - 0.5).collect();
        let whole: Vec<f32> = resampled(MediaTime::ZERO, &noise, || 7200)
            .iter()
            .flat_map(|s| s.item.samples.to_vec())
            .collect();
        assert_eq!(whole.len(), 2400);
        for seed in 0..30 {
            let mut random = fastrand::Rng::with_seed(seed);
            let made = resampled(MediaTime::ZERO, &noise, || random.usize(1..1500));
            let mut next = MediaTime::ZERO;
            for sound in &made {
                assert!((sound.at - next).nanos().abs() < 62_500 / 2, "seed {seed}");
                next = sound.at + sound.item.span();
            }
            let parts: Vec<f32> = made.iter().flat_map(|s| s.item.samples.to_vec()).collect();
            assert_eq!(parts, whole, "seed {seed}");
        }
    }

    #[test]
    fn the_declared_delay_holds() {
        let mut stage = To16k::new().expect("constants");
        let mut out = Outbox::default();
        for n in 0..10 {
            let at = MediaTime::from_millis(n * 20);
            let item = Pcm {
                rate: RATE_IN,
                samples: vec![0.1; 960].into(),
            };
            stage.step(
                Moment::ZERO,
                Signal::Item(Stamped::new(at, Moment::ZERO, item)),
                &mut out,
            );
            let Some(Signal::Item(sound)) = out.drain().last() else {
                panic!("a unit for a unit")
            };
            let held = at + Span::from_millis(20) - (sound.at + sound.item.span());
            assert!(
                held <= stage.delay() && held + Span::from_micros(100) >= stage.delay(),
                "{held} held back"
            );
        }
    }

    #[test]
    fn jumps_gaps_and_nonsense_neither_panic_nor_leave_a_mark() {
        for seed in 0..25 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut stage = To16k::new().expect("constants");
            let mut out = Outbox::default();
            for _ in 0..30 {
                let at = MediaTime::from_millis(random.i64(-50..1000));
                let most = if random.u8(0..9) == 0 { 96_000 } else { 3000 };
                let length = random.usize(0..most);
                let rate = [RATE_IN, RATE_IN, RATE_OUT, 0, 44_100, 200_000][random.usize(0..6)];
                let loudness = [1.0, f32::NAN, f32::INFINITY, 1e30][random.usize(0..4)];
                let item = Pcm {
                    rate,
                    samples: vec![loudness; length].into(),
                };
                let signal = match random.u8(0..8) {
                    0 => Signal::Gap(Gap {
                        stage: "x",
                        why: Lost::TooOld,
                        count: 1,
                    }),
                    1 => Signal::Flush(hearsight_core::stage::Why::Seek),
                    _ => Signal::Item(Stamped::new(at, Moment::ZERO, item)),
                };
                stage.step(Moment::ZERO, signal, &mut out);
                assert!(stage.rest.len() < stage.filter.chunk);
                out.drain().for_each(drop);
            }
            stage.step(Moment::ZERO, Signal::Flush(hearsight_core::stage::Why::Seek), &mut out);
            let item = Pcm {
                rate: RATE_IN,
                samples: sine(440.0, RATE_IN, 960).into(),
            };
            stage.step(
                Moment::ZERO,
                Signal::Item(Stamped::new(MediaTime::ZERO, Moment::ZERO, item)),
                &mut out,
            );
            stage.step(Moment::ZERO, Signal::End, &mut out);
            let made: Vec<f32> = out
                .drain()
                .filter_map(|s| if let Signal::Item(s) = s { Some(s) } else { None })
                .flat_map(|s| s.item.samples.to_vec())
                .collect();
            assert_eq!(made.len(), 320);
            assert!(made.iter().all(|sample| sample.abs() < 0.6), "seed {seed}");
        }
    }
}
