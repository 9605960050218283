//! Scales pictures to the last bit as Pillow does, whose rounding the models were trained on: weights in 22-bit fixed point, columns
//! first, 8 bits between (Pillow before 13, `Resample.c`). Faster scalers round weights to 16 bits, and are two levels off where a picture is
//! noisy.

use crate::vlm::picture::Rgb;

/// What weighs the pixels around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// Three lobes.
    Lanczos,
    /// Keys' cubic with a = −0.5.
    Bicubic,
    /// A triangle.
    Bilinear,
}

impl Filter {
    /// How far it reaches, in pixels of the smaller picture.
    fn reach(self) -> f64 {
        match self {
            Filter::Lanczos => 3.0,
            Filter::Bicubic => 2.0,
            Filter::Bilinear => 1.0,
        }
    }

    fn weight(self, at: f64) -> f64 {
        let sinc = |x: f64| {
            let x = x * std::f64::consts::PI;
            if x == 0.0 { 1.0 } else { x.sin() / x }
        };
        let x = at.abs();
        match self {
            Filter::Lanczos if (-3.0..3.0).contains(&at) => sinc(at) * sinc(at / 3.0),
            Filter::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Filter::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
            Filter::Bilinear if x < 1.0 => 1.0 - x,
            _ => 0.0,
        }
    }
}

/// Bits behind the point: 32, less 8 of the samples and 2 for sums beyond them.
const PRECISION: u32 = 22;
const CHANNELS: usize = 3;

/// Which samples of a line one sample of the scaled line is made of.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

fn taps(from: usize, to: usize, filter: Filter) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let reach = filter.reach() * stretch;
    (0..to)
        .map(|at| {
            let centre = (at as f64 + 0.5) * scale;
            // Truncated towards zero, as in C.
            let first = ((centre - reach + 0.5) as i64).max(0) as usize;
            let last = ((centre + reach + 0.5) as i64).clamp(0, from as i64) as usize;
            let weight = |sample: usize| filter.weight((sample as f64 - centre + 0.5) * (1.0 / stretch));
            let weights: Vec<f64> = (first..last).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            let fixed = |weight: f64| {
                let share = if sum == 0.0 { weight } else { weight * (1.0 / sum) };
                (share * f64::from(1u32 << PRECISION) + 0.5f64.copysign(share)) as i32
            };
            Taps {
                first,
                weights: weights.into_iter().map(fixed).collect(),
            }
        })
        .collect()
}

/// Sums can't wrap: the absolute weights of a sample stay far below what 32 bits hold, which a test shows.
fn level(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// `picture` at another size.
pub(super) fn scaled(picture: &Rgb, width: u32, height: u32, filter: Filter) -> Rgb {
    let narrow = (picture.width() != width).then(|| across(picture, width, filter));
    match narrow {
        Some(narrow) if narrow.height() == height => narrow,
        Some(narrow) => down(&narrow, height, filter),
        None => down(picture, height, filter),
    }
}

fn across(picture: &Rgb, width: u32, filter: Filter) -> Rgb {
    let taps = taps(picture.width() as usize, width as usize, filter);
    let mut made = Rgb::black(width, picture.height());
    let rows = picture.bytes().chunks_exact(picture.width() as usize * CHANNELS);
    let into = made.bytes_mut().chunks_exact_mut(width as usize * CHANNELS);
    for (row, into) in rows.zip(into) {
        for (pixel, Taps { first, weights }) in into.chunks_exact_mut(CHANNELS).zip(&taps) {
            let mut sums = [1i32 << (PRECISION - 1); CHANNELS];
            for (sample, weight) in row[first * CHANNELS..].chunks_exact(CHANNELS).zip(weights) {
                for (sum, sample) in sums.iter_mut().zip(sample) {
                    *sum = sum.wrapping_add(i32::from(*sample).wrapping_mul(*weight));
                }
            }
            pixel.copy_from_slice(&sums.map(level));
        }
    }
    made
}

fn down(picture: &Rgb, height: u32, filter: Filter) -> Rgb {
    let taps = taps(picture.height() as usize, height as usize, filter);
    let stride = picture.width() as usize * CHANNELS;
    let mut made = Rgb::black(picture.width(), height);
    let mut sums = vec![0i32; stride];
    for (into, Taps { first, weights }) in made.bytes_mut().chunks_exact_mut(stride).zip(&taps) {
        sums.fill(1 << (PRECISION - 1));
        for (row, weight) in picture.bytes()[first * stride..].chunks_exact(stride).zip(weights) {
            for (sum, sample) in sums.iter_mut().zip(row) {
                *sum = sum.wrapping_add(i32::from(*sample).wrapping_mul(*weight));
            }
        }
        for (into, sum) in into.iter_mut().zip(&sums) {
            *into = level(*sum);
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILTERS: [Filter; 3] = [Filter::Lanczos, Filter::Bicubic, Filter::Bilinear];

    #[test]
    fn an_even_colour_stays_what_it_is_at_any_size() {
        let mut random = fastrand::Rng::with_seed(6);
        for round in 0..60 {
            let colour = [random.u8(..), random.u8(..), random.u8(..)];
            let (width, height) = (random.u32(1..50), random.u32(1..50));
            let bytes = colour.repeat((width * height) as usize);
            let picture = Rgb::new(width, height, bytes).expect("a picture");
            let (width, height) = (random.u32(1..90), random.u32(1..90));
            let made = scaled(&picture, width, height, FILTERS[round % 3]);
            assert_eq!((made.width(), made.height()), (width, height));
            assert!(
                made.bytes().chunks_exact(3).all(|pixel| pixel == colour),
                "round {round}: {colour:?}"
            );
        }
    }

    #[test]
    fn no_sum_of_weights_can_leave_its_32_bits() {
        for filter in FILTERS {
            for (from, to) in [(1, 4096), (4096, 1), (7, 5), (2048, 512), (3, 2048)] {
                for Taps { weights, .. } in taps(from, to, filter) {
                    let most: i64 = weights.iter().map(|weight| i64::from(weight.abs()) * 255).sum();
                    assert!(
                        most + (1 << (PRECISION - 1)) <= i64::from(i32::MAX),
                        "{from} to {to}: {most}"
                    );
                }
            }
        }
    }
}
