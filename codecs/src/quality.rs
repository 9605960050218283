//! How near a rebuilt picture comes to the true one.

/// Peak signal-to-noise ratio of two planes of 8-bit samples, in dB; at most 100, where they are equal.
pub fn psnr(made: &[u8], truth: &[u8]) -> f64 {
    let squares = made.iter().zip(truth).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2));
    let mean = squares.sum::<u64>() as f64 / made.len().max(1) as f64;
    10.0 * (255.0_f64.powi(2) / mean.max(255.0_f64.powi(2) * 1e-10)).log10()
}

/// Structural similarity (Wang, Bovik, Sheikh and Simoncelli 2004), mean over windows of 8 × 8 that lie 4 apart.
pub fn ssim(made: &[u8], truth: &[u8], width: usize, height: usize) -> f64 {
    let (mut sum, mut windows) = (0.0, 0_u32);
    for top in (0..height.saturating_sub(7)).step_by(4) {
        for left in (0..width.saturating_sub(7)).step_by(4) {
            let rows = (top..top + 8).map(|row| row * width + left);
            let pairs = rows.flat_map(|at| made[at..at + 8].iter().zip(&truth[at..at + 8]));
            sum += window(pairs);
            windows += 1;
        }
    }
    sum / f64::from(windows.max(1))
}

fn window<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> f64 {
    let (c1, c2) = ((0.01_f64 * 255.0).powi(2), (0.03_f64 * 255.0).powi(2));
    let (mut a, mut b, mut aa, mut bb, mut ab) = (0_u32, 0_u32, 0_u32, 0_u32, 0_u32);
    for (&x, &y) in pairs {
        let (x, y) = (u32::from(x), u32::from(y));
        (a, b) = (a + x, b + y);
        (aa, bb, ab) = (aa + x * x, bb + y * y, ab + x * y);
    }
    let count = 64.0;
    let (a, b) = (f64::from(a) / count, f64::from(b) / count);
    let variance = f64::from(aa) / count - a * a + f64::from(bb) / count - b * b;
    let covariance = f64::from(ab) / count - a * b;
    (2.0 * a * b + c1) * (2.0 * covariance + c2) / ((a * a + b * b + c1) * (variance + c2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_both_measures() {
        let mut random = fastrand::Rng::with_seed(5);
        let picture: Vec<u8> = (0..64 * 48).map(|_| random.u8(10..240)).collect();
        let brighter: Vec<u8> = picture.iter().map(|code| code + 5).collect();
        let other: Vec<u8> = picture.iter().map(|_| random.u8(10..240)).collect();
        assert_eq!(psnr(&picture, &picture), 100.0);
        assert!((psnr(&picture, &brighter) - 20.0 * (255.0_f64 / 5.0).log10()).abs() < 1e-9);
        assert!((ssim(&picture, &picture, 64, 48) - 1.0).abs() < 1e-9);
        assert!(ssim(&picture, &brighter, 64, 48) > 0.99);
        assert!(ssim(&picture, &other, 64, 48).abs() < 0.1);
    }
}
