//! Recordings as the recogniser is given them: 16 kHz mono, with a room's hush around them.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use symphonia::core::audio::SampleBuffer;
use symphonia::core::codecs::DecoderOptions;
use symphonia::core::errors::Error;
use symphonia::core::formats::FormatOptions;
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use symphonia::core::probe::Hint;

/// Samples per second.
pub(crate) const RATE: usize = 16_000;

/// Hush before an utterance, in samples: the detector must not be handed an onset as its first sample.
pub(crate) const BEFORE: usize = RATE / 2;
/// Hush after it, in samples: long enough to end the segment.
const AFTER: usize = 2 * RATE;

/// The file's sound at 16 kHz, channels averaged.
pub(crate) fn load(path: &Path) -> Result<Vec<f32>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hint = Hint::new();
    if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
        hint.with_extension(extension);
    }
    let stream = MediaSourceStream::new(Box::new(file), Default::default());
    let probed = symphonia::default::get_probe().format(
        &hint,
        stream,
        &FormatOptions::default(),
        &MetadataOptions::default(),
    )?;
    let mut format = probed.format;
    let track = format.default_track().context("no sound in it")?;
    let (id, parameters) = (track.id, track.codec_params.clone());
    let mut decoder = symphonia::default::get_codecs().make(&parameters, &DecoderOptions::default())?;
    let (mut samples, mut rate) = (Vec::new(), parameters.sample_rate.unwrap_or(RATE as u32));
    loop {
        let packet = match format.next_packet() {
            Ok(packet) => packet,
            Err(Error::IoError(_)) => break,
            Err(why) => return Err(why.into()),
        };
        if packet.track_id() != id {
            continue;
        }
        let decoded = decoder.decode(&packet)?;
        let spec = *decoded.spec();
        rate = spec.rate;
        let mut buffer = SampleBuffer::<f32>::new(decoded.capacity() as u64, spec);
        buffer.copy_interleaved_ref(decoded);
        let channels = spec.channels.count().max(1);
        let mix = |frame: &[f32]| frame.iter().sum::<f32>() / channels as f32;
        samples.extend(buffer.samples().chunks_exact(channels).map(mix));
    }
    Ok(resample(&samples, rate as usize))
}

/// To 16 kHz by a windowed sinc of 16 zero crossings: measuring needs no speed.
pub(crate) fn resample(samples: &[f32], rate: usize) -> Vec<f32> {
    if rate == RATE || rate == 0 {
        return samples.to_vec();
    }
    let step = rate as f64 / RATE as f64;
    let cutoff = (1.0 / step).min(1.0);
    let reach = 16.0 / cutoff;
    let kernel = |x: f64| {
        let window = 0.5 + 0.5 * (std::f64::consts::PI * x / reach).cos();
        let phase = std::f64::consts::PI * x * cutoff;
        let sinc = if phase.abs() < 1e-9 { 1.0 } else { phase.sin() / phase };
        window * sinc * cutoff
    };
    let count = (samples.len() as f64 / step) as usize;
    let value = |place: usize| {
        let centre = place as f64 * step;
        let first = (centre - reach).ceil().max(0.0) as usize;
        let last = ((centre + reach).floor() as usize).min(samples.len().saturating_sub(1));
        (first..=last)
            .map(|i| f64::from(samples[i]) * kernel(i as f64 - centre))
            .sum::<f64>() as f32
    };
    (0..count).map(value).collect()
}

/// The recording with faint noise (−74 dB below full scale, seeded) before and after it.
pub(crate) fn hushed(samples: &[f32]) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut hush = |count: usize| (0..count).map(|_| (random.f32() - 0.5) * 7e-4).collect::<Vec<_>>();
    let mut all = hush(BEFORE);
    all.extend_from_slice(samples);
    all.extend(hush(AFTER));
    all
}
