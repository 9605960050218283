//! Sound at 48 kHz in, 16 kHz out: what voice detectors and recognisers hear.

use hearsight_core::media::Pcm;
use hearsight_core::stage::{Lost, Outbox, Signal, Stage, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{
    Async, FixedAsync, Indexing, ResampleResult, Resampler, ResamplerConstructionError, SincInterpolationParameters,
    SincInterpolationType, WindowFunction,
};

/// Samples per second that go in.
pub const RATE_IN: u32 = 48_000;

/// Samples per second that come out.
pub const RATE_OUT: u32 = 16_000;

/// Input samples taken at a time, 2.5 ms: every Opus packet is a multiple of it, so nothing waits for a next packet.
const CHUNK: usize = 120;

/// Points of the windowed sinc: 2 ms to either side, flat to 6.5 kHz, where speech models stop listening.
const POINTS: usize = 192;

/// The most sound taken in one unit; an Opus packet holds 120 ms.
const LONGEST: usize = RATE_IN as usize;

/// How far a unit's time may be from where the one before ended and still follow on it.
const TOLERANCE: Span = Span::from_millis(8);

/// Resamples from 48 to 16 kHz, passing 16 kHz through. The filter's delay is taken off the media time of what comes
/// out: a sample stands where it stood. What the filter holds back comes out at a gap and at the end.
pub struct To16k {
    filter: Async<f32>,
    /// Input that does not fill a chunk yet.
    rest: Vec<f32>,
    run: Option<Run>,
    chunk: Vec<f32>,
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

impl To16k {
    /// Designs the filter. Errors: none but the library's own refusal of constants.
    pub fn new() -> Result<To16k, ResamplerConstructionError> {
        let parameters = SincInterpolationParameters::new(POINTS, WindowFunction::BlackmanHarris2)
            // At a third of the rate every output sample falls on an input sample: nothing to interpolate.
            .interpolation(SincInterpolationType::Nearest)
            .oversampling_factor(2);
        let ratio = f64::from(RATE_OUT) / f64::from(RATE_IN);
        let filter = Async::new_sinc(ratio, 1.0, &parameters, CHUNK, 1, FixedAsync::Input)?;
        let chunk = vec![0.0; filter.output_frames_max()];
        Ok(To16k {
            filter,
            rest: Vec::new(),
            run: None,
            chunk,
        })
    }

    fn take(&mut self, sound: Stamped<Pcm>, out: &mut Outbox<Pcm>) {
        let samples = &sound.item.samples;
        if sound.item.rate == RATE_OUT {
            self.finish_run(out);
            out.put(sound);
            return;
        }
        if sound.item.rate != RATE_IN || samples.len() > LONGEST {
            self.finish_run(out);
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

    /// Filters all whole chunks that are there and puts the result as one unit.
    fn filter_rest(&mut self, out: &mut Outbox<Pcm>) {
        let Some(run) = &mut self.run else {
            return;
        };
        let delay = self.filter.output_delay() as i64;
        let first = run.made.max(delay);
        let mut made = Vec::with_capacity(self.rest.len() / 3 + POINTS);
        for chunk in self.rest.chunks_exact(CHUNK) {
            match filtered(&mut self.filter, chunk, &mut self.chunk) {
                Ok(length) => made.extend_from_slice(&self.chunk[..length]),
                Err(error) => tracing::debug!(%error, "resampling failed"),
            }
        }
        self.rest.drain(..self.rest.len() / CHUNK * CHUNK);
        let skipped = usize::try_from(first - run.made).unwrap_or(0).min(made.len());
        run.made += made.len() as i64;
        // All input so far ends at `next`, and output number `first` stands `delay` earlier than its count says.
        let at = run.next - Span::from_samples(run.taken, RATE_IN) + Span::from_samples(first - delay, RATE_OUT);
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
            let delay = self.filter.output_delay() as i64;
            let given = (run.made - delay).max(0);
            let owed = run.taken * i64::from(RATE_OUT) / i64::from(RATE_IN) - given;
            let owed = usize::try_from(owed).unwrap_or(0);
            let silence = owed * 3 + 2 * POINTS;
            let padded = (self.rest.len() + silence).next_multiple_of(CHUNK);
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
        self.filter.reset();
    }
}

fn filtered(filter: &mut Async<f32>, chunk: &[f32], made: &mut [f32]) -> ResampleResult<usize> {
    let (Ok(input), Ok(mut output)) = (
        SequentialSlice::new(chunk, 1, chunk.len()),
        SequentialSlice::new_mut(made, 1, made.len()),
    ) else {
        return Ok(0);
    };
    let (_, length) = filter.process_into_buffer(&input, &mut output, None::<&Indexing>)?;
    Ok(length)
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

    /// What the filter must have heard beyond a sample before it lets it go: half its length and one chunk's rounding.
    fn delay(&self) -> Span {
        Span::from_samples((POINTS + 4) as i64, RATE_IN)
    }
}
