//! The same steps on the device: what they cost there.

use std::sync::Arc;

use anyhow::Result;
use hearsight_core::media::{Block, MotionField, Picture, Plane, Planes};
use hearsight_live::clock::Clock;
use hearsight_shaders::interpolate::Rung;
use hearsight_shaders::maker::{Maker, Pair};
use hearsight_shaders::{Device, Kind, Texture};
use serde_json::{Map, Value, json};

/// What was found.
#[derive(Default)]
pub(crate) struct OnDevice {
    pub(crate) adapter: Option<String>,
    /// Milliseconds per made picture, for the last line; null without a graphics processor.
    pub(crate) gpu_ms: Value,
    /// Kernels started per picture: laying out its motion, and making it.
    pub(crate) dispatches: Option<u32>,
    /// Bytes that go up per received picture: its planes and its vectors.
    pub(crate) bytes: Option<u64>,
}

const SIZE: (u32, u32) = (1920, 1080);
/// Pictures that are made in a row; the device is waited for once, at their end.
const PICTURES: u32 = 20;

pub(crate) fn measure(notes: &mut Map<String, Value>) -> Result<OnDevice> {
    notes.insert("gpu_roof_share".into(), "not measured".into());
    let device = match Device::open() {
        Ok(device) => device,
        Err(problem) => {
            notes.insert("gpu_ms_1080p".into(), problem.to_string().into());
            return Ok(OnDevice::default());
        }
    };
    let maker = Maker::new(&device)?;
    let earlier = Texture::upload(&device, &picture(0))?;
    let before = device.uploaded();
    let later = Texture::upload(&device, &picture(6))?;
    let field = field();
    let (motion, laid) = maker.motion(&device, &field, SIZE)?;
    let bytes = device.uploaded() - before;
    let pair = Pair {
        earlier: &earlier,
        later: &later,
        before: Some(&motion),
        motion: &motion,
    };
    // The first one pays for what drivers put off.
    let made = maker.make(&device, pair, 0.5, Rung::Vectors)?;
    made.picture.pixels.read(&device)?;
    let ms = time(&device, &maker, pair, &field)?;
    println!(
        "{}: {ms:.2} ms per made picture of 1920×1080, {} + {} dispatches, {bytes} bytes up per received picture",
        device.name(),
        laid.dispatches,
        made.cost.dispatches
    );
    let gpu_ms = match device.kind() {
        Kind::Hardware => json!({ "vectors": ms, "full": null }),
        Kind::Software => {
            let why = format!("no graphics processor; {} took {ms:.1} ms on the CPU", device.name());
            notes.insert("gpu_ms_1080p".into(), why.into());
            Value::Null
        }
    };
    Ok(OnDevice {
        adapter: Some(device.name().to_owned()),
        gpu_ms,
        dispatches: Some(laid.dispatches + made.cost.dispatches),
        bytes: Some(bytes),
    })
}

/// Milliseconds per picture, its motion laid out anew each time.
fn time(device: &Device, maker: &Maker, pair: Pair<'_>, field: &MotionField) -> Result<f64> {
    let clock = Clock::new();
    let began = clock.now();
    let mut last = None;
    for _ in 0..PICTURES {
        let (motion, _) = maker.motion(device, field, SIZE)?;
        let pair = Pair {
            motion: &motion,
            ..pair
        };
        last = Some(maker.make(device, pair, 0.5, Rung::Vectors)?.picture);
    }
    if let Some(picture) = last {
        picture.pixels.read(device)?;
    }
    Ok((clock.now() - began).to_duration().as_secs_f64() * 1e3 / f64::from(PICTURES))
}

/// A pattern moved to the right by so many pixels.
fn picture(moved: u32) -> Picture<Planes> {
    let (width, height) = SIZE;
    let plane = |columns: u32, rows: u32| {
        let places = (0..rows).flat_map(|y| (0..columns).map(move |x| (x + 4096 - moved, y)));
        let bytes: Vec<u8> = places.map(|(x, y)| (((x * 7) ^ (y * 3)) % 160 + 40) as u8).collect();
        Plane {
            bytes: Arc::new(bytes),
            stride: columns as usize,
        }
    };
    let pixels = Planes {
        y: plane(width, height),
        u: plane(width / 2, height / 2),
        v: plane(width / 2, height / 2),
    };
    Picture { width, height, pixels }
}

/// Blocks of 16 × 16, each moved a little otherwise.
fn field() -> MotionField {
    let places = (0..SIZE.1 as i16)
        .step_by(16)
        .flat_map(|y| (0..SIZE.0 as i16).step_by(16).map(move |x| (x, y)));
    let block = |(x, y): (i16, i16)| Block {
        x,
        y,
        width: 16,
        height: 16,
        reference: -1,
        dx: -6.0 + f32::from((x + y) / 16 % 3) * 0.25,
        dy: 0.0,
    };
    MotionField {
        blocks: places.map(block).collect(),
    }
}
