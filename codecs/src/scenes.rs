//! Pictures and sounds that the tests make.

use std::sync::Arc;

use hearsight_core::media::{Picture, Plane, Planes};

/// A picture with the luma that `luma` gives for every place, and grey chroma.
pub(crate) fn picture(width: u32, height: u32, luma: impl Fn(i32, i32) -> u8) -> Picture<Planes> {
    let y = (0..height as i32).flat_map(|y| (0..width as i32).map(move |x| (x, y)));
    let y: Vec<u8> = y.map(|(x, y)| luma(x, y)).collect();
    let (columns, rows) = (width.div_ceil(2) as usize, height.div_ceil(2) as usize);
    let plane = |bytes: Vec<u8>, stride: usize| Plane {
        bytes: Arc::new(bytes),
        stride,
    };
    let grey = vec![128; columns * rows];
    let pixels = Planes {
        y: plane(y, width as usize),
        u: plane(grey.clone(), columns),
        v: plane(grey, columns),
    };
    Picture { width, height, pixels }
}

/// Smooth texture without a period below the picture's size: every block of it is found again elsewhere only where it
/// moved to.
pub(crate) fn texture(x: i32, y: i32) -> u8 {
    let (x, y) = (f64::from(x), f64::from(y));
    let waves = (x * 0.11 + y * 0.05).sin() + (x * 0.043 - y * 0.13).sin() + (x * 0.19 + (y * 0.17).sin()).sin();
    (126.0 + waves * 30.0) as u8
}

/// Peak signal-to-noise ratio of the luma, in dB.
pub(crate) fn psnr(a: &Picture<Planes>, b: &Picture<Planes>) -> f64 {
    let mut sum = 0u64;
    for y in 0..a.height as usize {
        let a = a.pixels.y.row(y, a.width as usize).expect("row");
        let b = b.pixels.y.row(y, b.width as usize).expect("row");
        sum += a
            .iter()
            .zip(b)
            .map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2))
            .sum::<u64>();
    }
    let mean = sum as f64 / f64::from(a.width * a.height);
    10.0 * (255.0f64.powi(2) / mean.max(1e-9)).log10()
}

/// Something like a voice: a gliding pitch with overtones and syllables, −1..1, at `rate`.
pub(crate) fn voice(samples: usize, rate: u32) -> Vec<f32> {
    let mut phase = 0.0f64;
    let sample = |i: usize| {
        let t = i as f64 / f64::from(rate);
        phase += std::f64::consts::TAU * (140.0 + 30.0 * (t * 2.1).sin()) / f64::from(rate);
        let tone: f64 = (1..12).map(|k| (phase * f64::from(k)).sin() / f64::from(k)).sum();
        let syllables = 0.55 + 0.45 * (t * 2.0 * std::f64::consts::TAU).sin();
        (tone * syllables * 0.25) as f32
    };
    (0..samples).map(sample).collect()
}

/// Signal-to-noise ratio of `heard` against `said`, in dB.
pub(crate) fn snr(said: &[f32], heard: &[f32]) -> f64 {
    let power = |samples: &mut dyn Iterator<Item = f32>| samples.map(|s| f64::from(s).powi(2)).sum::<f64>();
    let noise = power(&mut said.iter().zip(heard).map(|(a, b)| a - b));
    10.0 * (power(&mut said.iter().copied()) / noise.max(1e-12)).log10()
}
