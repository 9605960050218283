//! Noise taken out of speech: RNNoise (Valin, "A Hybrid DSP/Deep Learning Approach to Real-Time Full-Band Speech Enhancement", 2018)
//! in the `nnnoiseless` crate, which carries its weights.

use hearsight_core::media::Pcm;
use hearsight_core::stage::{Outbox, Signal, Stage, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use nnnoiseless::DenoiseState;

/// Samples per second that it was trained for.
pub const RATE: u32 = 48_000;

/// Samples taken at a time: 10 ms. What comes out is as much behind.
const FRAME: usize = DenoiseState::FRAME_SIZE;

/// The network takes samples of 16 bits.
const SCALE: f32 = 32_768.0;

/// How far a unit's time may be from where the one before ended and still follow on it.
const TOLERANCE: Span = Span::from_millis(8);

/// Takes noise out of sound at 48 kHz; sound at another rate is passed on as it came. A sample stands where it stood, and comes out
/// 10 ms later, at the latest at a gap or the end.
pub struct Denoise {
    state: Box<DenoiseState<'static>>,
    /// Input that does not fill a frame yet.
    rest: Vec<f32>,
    run: Option<Run>,
}

/// Sound without a hole.
struct Run {
    /// The end of the input so far.
    next: MediaTime,
    /// Nothing of it is in the network yet: the first frame that comes out is from before it.
    fresh: bool,
    last: Stamped<()>,
}

impl Default for Denoise {
    fn default() -> Denoise {
        Denoise {
            state: DenoiseState::new(),
            rest: Vec::new(),
            run: None,
        }
    }
}

impl Denoise {
    fn take(&mut self, sound: Stamped<Pcm>, out: &mut Outbox<Pcm>) {
        // A second is more than any unit holds.
        if sound.item.rate != RATE || sound.item.samples.len() > RATE as usize {
            self.finish_run(out);
            out.put(sound);
            return;
        }
        let torn = self.run.as_ref().is_some_and(|run| {
            let off = sound.at - run.next;
            off > TOLERANCE || off < -TOLERANCE
        });
        if torn {
            self.finish_run(out);
        }
        let fresh = self.run.as_ref().is_none_or(|run| run.fresh);
        self.run = Some(Run {
            next: sound.at + sound.item.span(),
            fresh,
            last: sound.with(()),
        });
        // One sample that is no number would silence the network for good.
        let sane = |sample: &f32| {
            if sample.is_finite() {
                sample.clamp(-1.0, 1.0)
            } else {
                0.0
            }
        };
        self.rest.extend(sound.item.samples.iter().map(sane));
        let made = self.filtered();
        self.put(made, out);
    }

    /// What comes of all whole frames that are there.
    fn filtered(&mut self) -> Vec<f32> {
        let Some(run) = &mut self.run else { return Vec::new() };
        let (mut input, mut output) = ([0.0; FRAME], [0.0; FRAME]);
        let mut made = Vec::with_capacity(self.rest.len());
        for frame in self.rest.chunks_exact(FRAME) {
            for (to, from) in input.iter_mut().zip(frame) {
                *to = from * SCALE;
            }
            self.state.process_frame(&mut output, &input);
            if !std::mem::take(&mut run.fresh) {
                made.extend(output.iter().map(|sample| sample / SCALE));
            }
        }
        self.rest.drain(..self.rest.len() / FRAME * FRAME);
        made
    }

    /// Puts out what ends where the held input begins.
    fn put(&self, made: Vec<f32>, out: &mut Outbox<Pcm>) {
        let Some(run) = self.run.as_ref().filter(|_| !made.is_empty()) else {
            return;
        };
        let behind = made.len() + FRAME + self.rest.len();
        let mut sound = run.last.with(Pcm {
            rate: RATE,
            samples: made.into(),
        });
        sound.at = run.next - Span::from_samples(behind as i64, RATE);
        out.put(sound);
    }

    /// Pushes out what the network holds, and no more than went in.
    fn finish_run(&mut self, out: &mut Outbox<Pcm>) {
        let Some(run) = &self.run else { return };
        let owed = self.rest.len() + if run.fresh { 0 } else { FRAME };
        let start = run.next - Span::from_samples(owed as i64, RATE);
        self.rest.resize(self.rest.len().next_multiple_of(FRAME) + FRAME, 0.0);
        let mut made = self.filtered();
        made.truncate(owed);
        if let Some(run) = self.run.take()
            && !made.is_empty()
        {
            let mut sound = run.last.with(Pcm {
                rate: RATE,
                samples: made.into(),
            });
            sound.at = start;
            out.put(sound);
        }
    }

    fn forget(&mut self) {
        self.rest.clear();
        self.run = None;
        self.state = DenoiseState::new();
    }
}

impl Stage for Denoise {
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

    fn delay(&self) -> Span {
        Span::from_samples(FRAME as i64, RATE)
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use hearsight_core::stage::{Gap, Lost};

    use super::*;

    fn unit(at: MediaTime, samples: &[f32]) -> Signal<Pcm> {
        let pcm = Pcm {
            rate: RATE,
            samples: samples.into(),
        };
        Signal::Item(Stamped::new(at, Moment::ZERO, pcm))
    }

    /// What comes of sound that comes in units of these lengths, over and over, with each unit's time.
    fn cleaned(samples: &[f32], lengths: &[usize]) -> Vec<(MediaTime, Vec<f32>)> {
        let (mut denoise, mut out) = (Denoise::default(), Outbox::default());
        let (mut rest, mut at) = (samples, MediaTime::from_millis(5_000));
        for length in lengths.iter().cycle() {
            let (head, tail) = rest.split_at((*length).min(rest.len()));
            if head.is_empty() {
                break;
            }
            denoise.step(Moment::ZERO, unit(at, head), &mut out);
            (rest, at) = (tail, at + Span::from_samples(head.len() as i64, RATE));
        }
        denoise.step(Moment::ZERO, Signal::End, &mut out);
        out.drain()
            .filter_map(|signal| match signal {
                Signal::Item(sound) => Some((sound.at, sound.item.samples.to_vec())),
                _ => None,
            })
            .collect()
    }

    fn noise(seed: u64, count: usize) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..count).map(|_| (random.f32() - 0.5) * 0.1).collect()
    }

    #[test]
    fn as_much_comes_out_as_went_in_without_a_hole_whatever_the_units() {
        for seed in 0..40 {
            let mut random = fastrand::Rng::with_seed(seed);
            let sound = noise(seed, random.usize(1..30_000));
            let lengths: Vec<usize> = (0..5).map(|_| random.usize(1..3_000)).collect();
            let units = cleaned(&sound, &lengths);
            let mut at = MediaTime::from_millis(5_000);
            for (start, samples) in &units {
                assert!(
                    (*start - at).nanos().abs() < 30_000,
                    "seed {seed}: a hole of {}",
                    *start - at
                );
                at = *start + Span::from_samples(samples.len() as i64, RATE);
            }
            let all: Vec<f32> = units.into_iter().flat_map(|(_, samples)| samples).collect();
            assert_eq!(all.len(), sound.len(), "seed {seed}");
            let whole: Vec<f32> = cleaned(&sound, &[sound.len()])
                .into_iter()
                .flat_map(|(_, s)| s)
                .collect();
            assert_eq!(all, whole, "seed {seed}: as in one piece");
        }
    }

    #[test]
    fn the_rumble_of_a_room_goes() {
        let mut level = 0.0;
        let sound: Vec<f32> = noise(1, 3 * RATE as usize)
            .into_iter()
            .map(|step| {
                level = 0.98 * level + step / 5.0;
                level
            })
            .collect();
        let left: Vec<f32> = cleaned(&sound, &[960])
            .into_iter()
            .flat_map(|(_, samples)| samples)
            .collect();
        let power = |samples: &[f32]| samples.iter().map(|sample| f64::from(sample * sample)).sum::<f64>();
        let second = RATE as usize;
        let decibels = 10.0 * (power(&sound[second..]) / power(&left[second..])).log10();
        assert!(decibels > 20.0, "{decibels} dB less");
    }

    #[test]
    fn a_voiced_sound_stays_and_stands_where_it_stood() {
        // A vowel-like buzz of 120 Hz and its harmonics, swelling and fading as syllables do.
        let count = 2 * RATE as usize;
        let sound: Vec<f32> = (0..count)
            .map(|place| {
                let t = place as f64 / f64::from(RATE);
                let swell = (0.5 - 0.5 * (TAU * 3.0 * t).cos()).powi(2);
                let buzz: f64 = (1..30)
                    .map(|harmonic| (TAU * 120.0 * f64::from(harmonic) * t).sin() / f64::from(harmonic))
                    .sum();
                (0.2 * swell * buzz) as f32
            })
            .collect();
        let left: Vec<f32> = cleaned(&sound, &[960])
            .into_iter()
            .flat_map(|(_, samples)| samples)
            .collect();
        let (sound, left) = (&sound[RATE as usize..], &left[RATE as usize..]);
        let product = |off: usize| -> f64 {
            let pairs = sound.iter().zip(&left[off..]);
            pairs.map(|(a, b)| f64::from(a * b)).sum()
        };
        let best = (0..400).max_by(|a, b| product(*a).total_cmp(&product(*b)));
        assert!(best.is_some_and(|off| off < 20), "moved by {best:?} samples");
        let norm = |samples: &[f32]| samples.iter().map(|s| f64::from(s * s)).sum::<f64>().sqrt();
        let alike = product(0) / (norm(sound) * norm(left));
        assert!(alike > 0.7, "{alike}");
    }

    #[test]
    fn gaps_keep_their_place_and_broken_samples_and_other_rates_do_no_harm() {
        let (mut denoise, mut out) = (Denoise::default(), Outbox::default());
        denoise.step(Moment::ZERO, unit(MediaTime::ZERO, &noise(1, 960)), &mut out);
        let gap = Gap {
            stage: "sound",
            why: Lost::TooLate,
            count: 1,
        };
        denoise.step(Moment::ZERO, Signal::Gap(gap), &mut out);
        let broken = [f32::NAN, f32::INFINITY, -1e30].repeat(320);
        denoise.step(Moment::ZERO, unit(MediaTime::from_millis(500), &broken), &mut out);
        let slow = Pcm {
            rate: 8_000,
            samples: noise(2, 160).into(),
        };
        denoise.step(
            Moment::ZERO,
            Signal::Item(Stamped::new(MediaTime::from_millis(520), Moment::ZERO, slow.clone())),
            &mut out,
        );
        denoise.step(Moment::ZERO, Signal::End, &mut out);
        let mut told = Vec::new();
        for signal in out.drain() {
            match signal {
                Signal::Item(sound) => {
                    assert!(sound.item.samples.iter().all(|sample| sample.is_finite()));
                    if sound.item.rate == 8_000 {
                        assert_eq!(sound.item, slow);
                    }
                    told.push((sound.at.micros() / 1_000, sound.item.samples.len()));
                }
                Signal::Gap(_) => told.push((-1, 0)),
                _ => {}
            }
        }
        assert_eq!(told, [(0, 480), (10, 480), (-1, 0), (500, 480), (510, 480), (520, 160)]);
    }
}
