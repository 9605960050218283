//! Recorded noise under speech, and what the setting `hearing.denoise` makes of it.

use anyhow::Result;
use hearsight_codecs::hearing::Ear;
use hearsight_codecs::resample::To16k;
use hearsight_core::media::Pcm;
use hearsight_core::stage::{Outbox, Signal, Stage};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};

use super::material::Recording;
use super::sound::RATE;

/// All of these recordings, each as loud as the others, one after another.
pub(crate) fn loads(recordings: &[Recording]) -> Result<Vec<f32>> {
    let mut all = Vec::new();
    for recording in recordings {
        let samples = recording.load()?;
        let loud = level(&samples).max(1e-6);
        all.extend(samples.iter().map(|sample| sample / loud));
    }
    Ok(all)
}

/// Lays `noise` under `given`, so many decibels fainter than `speech`; another stretch of it for each recording.
pub(crate) fn lay_under(given: &mut [f32], speech: &[f32], noise: &[f32], decibels: f32) {
    let gain = level(speech) / level(noise).max(1e-6) * 10f32.powf(-decibels / 20.0);
    let start = speech.len() * 7919 % noise.len().max(1);
    for (sample, noise) in given.iter_mut().zip(noise.iter().cycle().skip(start)) {
        *sample = (*sample + gain * noise).clamp(-1.0, 1.0);
    }
}

/// The root of the mean square.
fn level(samples: &[f32]) -> f32 {
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (sum / samples.len().max(1) as f64).sqrt() as f32
}

/// What the setting `hearing.denoise` makes of it, in packets of 20 ms.
pub(crate) fn denoised(samples: &[f32]) -> Result<Vec<f32>> {
    const THRICE: usize = 3 * RATE;
    let mut ear = Ear::new(To16k::new()?, true);
    let (mut out, mut at) = (Outbox::default(), MediaTime::ZERO);
    for packet in thrice(samples).chunks(THRICE / 50) {
        let pcm = Pcm {
            rate: THRICE as u32,
            samples: packet.into(),
        };
        let span = pcm.span();
        ear.step(
            Moment::ZERO,
            Signal::Item(Stamped::new(at, Moment::ZERO, pcm)),
            &mut out,
        );
        at += span;
    }
    ear.step(Moment::ZERO, Signal::End, &mut out);
    let mut clean = Vec::with_capacity(samples.len());
    for signal in out.drain() {
        if let Signal::Item(sound) = signal {
            // Where it stood, whatever the filters did at the beginning.
            let place = (sound.at - MediaTime::ZERO).max(Span::ZERO).samples(RATE as u32) as usize;
            clean.resize(place.max(clean.len()), 0.0);
            clean.extend_from_slice(&sound.item.samples);
        }
    }
    clean.resize(samples.len(), 0.0);
    Ok(clean)
}

/// At three times the rate, by a windowed sinc of 16 zero crossings.
fn thrice(samples: &[f32]) -> Vec<f32> {
    const REACH: i64 = 16;
    let kernel = |x: f64| {
        let window = 0.5 + 0.5 * (std::f64::consts::PI * x / REACH as f64).cos();
        let phase = std::f64::consts::PI * x;
        if phase.abs() < 1e-9 {
            1.0
        } else {
            window * phase.sin() / phase
        }
    };
    // The same weights for every third sample.
    let weights: Vec<Vec<f32>> = (0..3)
        .map(|third| {
            (1 - REACH..=REACH)
                .map(|off| kernel(off as f64 - third as f64 / 3.0) as f32)
                .collect()
        })
        .collect();
    let value = |number: usize| {
        let (place, third) = ((number / 3) as i64, number % 3);
        let sample = |off: i64| {
            usize::try_from(place + off)
                .ok()
                .and_then(|at| samples.get(at))
                .unwrap_or(&0.0)
        };
        (1 - REACH..=REACH)
            .zip(&weights[third])
            .map(|(off, weight)| sample(off) * weight)
            .sum()
    };
    (0..3 * samples.len()).map(value).collect()
}
