//! The same steps on the device: what they cost there.

use anyhow::Result;
use hearsight_shaders::interpolate::Rung;
use hearsight_shaders::maker::{Maker, Pair, Precision};
use hearsight_shaders::measure::{self, Report, SIZE};
use hearsight_shaders::{Device, Kind, Texture};
use serde_json::{Map, Value, json};

/// What was found.
#[derive(Default)]
pub(crate) struct OnDevice {
    pub(crate) adapter: Option<String>,
    /// Milliseconds per made picture and the share of what binds it, for the last line; null without a graphics processor.
    pub(crate) gpu_ms: Value,
    pub(crate) roof_share: Value,
    /// Kernels started per picture, without and with the network: laying out its motion, and making it.
    pub(crate) dispatches: Value,
    /// Bytes that go up per received picture, its planes and its vectors, and per made one.
    pub(crate) bytes: Option<u64>,
    /// Bytes of the device's memory that are kept between pictures.
    pub(crate) memory: Option<u64>,
}

pub(crate) fn measure(notes: &mut Map<String, Value>) -> Result<OnDevice> {
    let device = match Device::open() {
        Ok(device) => device,
        Err(problem) => {
            for key in ["gpu_ms_1080p", "gpu_roof_share"] {
                notes.insert(key.into(), problem.to_string().into());
            }
            return Ok(OnDevice::default());
        }
    };
    let maker = Maker::new(&device)?;
    let bytes = bytes(&device, &maker)?;
    println!(
        "{}: {bytes} bytes up per received picture of 1920×1080 and the one made before it",
        device.name()
    );
    let mut found = OnDevice {
        adapter: Some(device.name().to_owned()),
        bytes: Some(bytes),
        ..OnDevice::default()
    };
    if !device.has_time_stamps() {
        for key in ["gpu_ms_1080p", "gpu_roof_share"] {
            notes.insert(key.into(), format!("{} has no time stamps", device.name()).into());
        }
        return Ok(found);
    }
    let mut report = |rung, precision| -> Result<Report> {
        let maker = Maker::with(&device, precision)?;
        let report = measure::picture(&device, &maker, rung)?;
        println!("{rung:?} in {precision:?}: {report}");
        found.memory = Some(maker.memory());
        Ok(report)
    };
    let vectors = report(Rung::Vectors, maker.precision())?;
    let full = report(Rung::Full, maker.precision())?;
    if device.kind() == Kind::Hardware && maker.precision() != Precision::F32 {
        report(Rung::Full, Precision::F32)?;
    }
    found.dispatches = json!({ "vectors": vectors.steps.len(), "full": full.steps.len() });
    let ms = json!({ "vectors": vectors.seconds * 1e3, "full": full.seconds * 1e3 });
    match device.kind() {
        Kind::Hardware => {
            (found.gpu_ms, found.roof_share) = (ms, full.share().into());
            let share = vectors.share();
            notes.insert(
                "gpu_roof_share".into(),
                format!("with the network; without it {share:.3}").into(),
            );
        }
        Kind::Software => {
            let why = format!("no graphics processor; {} took {ms} ms on the CPU", device.name());
            notes.insert("gpu_ms_1080p".into(), why.into());
            notes.insert("gpu_roof_share".into(), "no graphics processor".into());
        }
    }
    Ok(found)
}

/// What goes up for a received picture, its motion, and the picture made before it.
fn bytes(device: &Device, maker: &Maker) -> Result<u64> {
    let earlier = Texture::upload(device, &measure::moved_by(0))?;
    let before = device.uploaded();
    let later = Texture::upload(device, &measure::moved_by(6))?;
    let (motion, _) = maker.motion(device, &measure::field(), SIZE)?;
    let pair = Pair {
        earlier: &earlier,
        later: &later,
        before: Some(&motion),
        motion: &motion,
    };
    maker.make(device, pair, 0.5, Rung::Vectors)?;
    Ok(device.uploaded() - before)
}
