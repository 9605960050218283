//! What the tests share: a device, or a loud word that there is none, and pictures.

use std::io::Write;
use std::sync::Arc;

use hearsight_core::media::{Picture, Plane, Planes};

use crate::Device;

/// An open device. Where there is none, says what is skipped and why, past the test harness's capture; with
/// `REQUIRE_GPU=1` that is a failure.
pub(crate) fn device_or_skip(what: &str) -> Option<Device> {
    match Device::open() {
        Ok(device) => Some(device),
        Err(problem) if std::env::var("REQUIRE_GPU").is_ok_and(|value| value == "1") => {
            panic!("REQUIRE_GPU=1, but {what} cannot be tested: {problem}")
        }
        Err(problem) => {
            let mut terminal = std::io::stderr().lock();
            writeln!(terminal, "SKIPPED: {what} is not tested: {problem}").expect("standard error is open");
            None
        }
    }
}

/// Noise in every plane and in the padding of its rows, which is up to 300 bytes; memory ends with the last sample.
pub(crate) fn random_picture(random: &mut fastrand::Rng, width: u32, height: u32) -> Picture<Planes> {
    let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
    let y = random_plane(random, width, height);
    let u = random_plane(random, columns, rows);
    let v = random_plane(random, columns, rows);
    Picture {
        width,
        height,
        pixels: Planes { y, u, v },
    }
}

fn random_plane(random: &mut fastrand::Rng, columns: u32, rows: u32) -> Plane {
    // As decoders lay rows out: without padding, a little, or to a multiple of 256, which uploads take another way.
    let stride = match random.u8(..3) {
        0 => columns as usize,
        1 => columns as usize + random.usize(1..=300),
        _ => (columns as usize).next_multiple_of(256),
    };
    let mut bytes = vec![0; stride * (rows as usize - 1) + columns as usize];
    random.fill(&mut bytes);
    plane(bytes, stride)
}

pub(crate) fn plane(bytes: Vec<u8>, stride: usize) -> Plane {
    Plane {
        bytes: Arc::new(bytes),
        stride,
    }
}
