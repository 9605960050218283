//! A film has one size; a picture of another, from a stream that changes in its middle, is brought to it.

use std::borrow::Cow;
use std::sync::Arc;

use hearsight_core::media::{Picture, Plane, Planes};

/// The picture at `size`, bilinear; itself where it has that size.
pub(super) fn to(picture: &Picture<Planes>, (width, height): (u32, u32)) -> Cow<'_, Picture<Planes>> {
    if (picture.width, picture.height) == (width, height) {
        return Cow::Borrowed(picture);
    }
    let halves = |(width, height): (u32, u32)| (width.div_ceil(2), height.div_ceil(2));
    let own = (picture.width, picture.height);
    let Planes { y, u, v } = &picture.pixels;
    let pixels = Planes {
        y: plane(y, own, (width, height)),
        u: plane(u, halves(own), halves((width, height))),
        v: plane(v, halves(own), halves((width, height))),
    };
    Cow::Owned(Picture { width, height, pixels })
}

fn plane(plane: &Plane, from: (u32, u32), to: (u32, u32)) -> Plane {
    let mut bytes = Vec::with_capacity(to.0 as usize * to.1 as usize);
    let across: Vec<_> = (0..to.0).map(|column| neighbours(column, to.0, from.0)).collect();
    for row in 0..to.1 {
        let (above, below, down) = neighbours(row, to.1, from.1);
        // A plane that is shorter than it says is grey where it ends.
        let line = |row: usize| plane.row(row, from.0 as usize).unwrap_or_default();
        let (above, below) = (line(above), line(below));
        let at = |line: &[u8], column: usize| u32::from(line.get(column).copied().unwrap_or(128));
        bytes.extend(across.iter().map(|&(left, right, share)| {
            let mix = |line: &[u8]| at(line, left) * (256 - share) + at(line, right) * share;
            ((mix(above) * (256 - down) + mix(below) * down + (1 << 15)) >> 16) as u8
        }));
    }
    Plane {
        bytes: Arc::new(bytes),
        stride: to.0 as usize,
    }
}

/// The two samples that a new one lies between, and the second's share in 1/256.
fn neighbours(place: u32, new: u32, old: u32) -> (usize, usize, u32) {
    let last = f64::from(old.saturating_sub(1));
    let at = ((f64::from(place) + 0.5) * f64::from(old) / f64::from(new.max(1)) - 0.5).clamp(0.0, last);
    let first = at.floor();
    let share = ((at - first) * 256.0) as u32;
    (first as usize, (first + 1.0).min(last) as usize, share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: u32, height: u32) -> Picture<Planes> {
        let plane = |width: u32, height: u32| Plane {
            bytes: Arc::new(
                (0..height)
                    .flat_map(|_| (0..width).map(move |column| (column * 200 / width) as u8))
                    .collect::<Vec<u8>>(),
            ),
            stride: width as usize,
        };
        let pixels = Planes {
            y: plane(width, height),
            u: plane(width.div_ceil(2), height.div_ceil(2)),
            v: plane(width.div_ceil(2), height.div_ceil(2)),
        };
        Picture { width, height, pixels }
    }

    #[test]
    fn a_ramp_stays_a_ramp_at_any_size() {
        let picture = ramp(64, 32);
        assert!(matches!(to(&picture, (64, 32)), Cow::Borrowed(_)));
        for size in [(128, 64), (32, 16), (50, 90), (2, 2)] {
            let other = to(&picture, size);
            assert_eq!((other.width, other.height), size);
            for row in 0..size.1 as usize {
                let line = other.pixels.y.row(row, size.0 as usize).unwrap();
                for (column, sample) in line.iter().enumerate() {
                    let meant = (column as f64 + 0.5) / f64::from(size.0) * 200.0;
                    assert!(
                        (f64::from(*sample) - meant).abs() < 5.0,
                        "{size:?} {column}: {sample} for {meant}"
                    );
                }
            }
        }
    }

    #[test]
    fn short_planes_and_single_samples_do_no_harm() {
        let mut picture = ramp(64, 32);
        picture.pixels.y.bytes = Arc::new(vec![9; 100]);
        to(&picture, (40, 40));
        to(&ramp(1, 1), (16, 16));
    }
}
