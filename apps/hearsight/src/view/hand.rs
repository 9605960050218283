//! Who makes pictures: the CPU, or a graphics processor where there is one.

use std::sync::Arc;

use hearsight_core::media::{Decoded, MotionField, Picture, Plane, Planes};
use hearsight_shaders::interpolate::{self, Pair, Rung};
use hearsight_shaders::maker::{self, Maker};
use hearsight_shaders::{Device, DeviceError, Kind, PlanesError, Texture, UploadError};
use thiserror::Error;

/// A graphics processor with all that is needed to make pictures on it; shared by all sessions.
#[derive(Clone)]
pub struct Bench(Arc<(Device, Maker)>);

impl Bench {
    /// Opens the fastest graphics processor. Drivers that compute on the CPU are passed over: the CPU's own path is faster
    /// by an order of magnitude. Errors: one line on why there is none.
    pub fn open() -> Result<Bench, String> {
        let device = Device::open().map_err(|problem| problem.to_string())?;
        if device.kind() == Kind::Software {
            return Err(format!("{} computes on the CPU", device.name()));
        }
        Bench::with(device).map_err(|problem| problem.to_string())
    }

    /// On this device, whatever it is.
    pub fn with(device: Device) -> Result<Bench, DeviceError> {
        let maker = Maker::new(&device)?;
        Ok(Bench(Arc::new((device, maker))))
    }

    /// The device's name as its driver tells it.
    pub fn name(&self) -> &str {
        self.0.0.name()
    }
}

/// What makes the pictures of one view.
#[derive(Clone)]
pub enum Hand {
    /// This processor, one thread.
    Cpu,
    /// A graphics processor.
    Device(Bench),
}

/// Why a picture was not made.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    /// A parent's planes do not hold it.
    #[error(transparent)]
    Planes(#[from] PlanesError),
    /// The graphics processor failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl From<UploadError> for Trouble {
    fn from(problem: UploadError) -> Trouble {
        match problem {
            UploadError::Planes(problem) => problem.into(),
            UploadError::Device(problem) => problem.into(),
        }
    }
}

/// Which picture, seen from two neighbouring ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    /// Between both, 0 being the earlier and 1 the later.
    Between(f32),
    /// After the later one, by so many intervals.
    Beyond(f32),
}

/// A picture that others are made of. What making them needs is laid out when it is first needed, and kept.
pub(super) struct Parent {
    pub(super) picture: Picture<Planes>,
    field: MotionField,
    /// Its vectors refer to the picture that came before it.
    pub(super) joined: bool,
    motion: Option<interpolate::Motion>,
    uploaded: Option<(Picture<Texture>, maker::Motion)>,
}

impl Parent {
    pub(super) fn new(decoded: Decoded, joined: bool) -> Parent {
        let Decoded { picture, motion, .. } = decoded;
        Parent {
            picture,
            field: motion,
            joined,
            motion: None,
            uploaded: None,
        }
    }

    pub(super) fn pixels(&self) -> u64 {
        u64::from(self.picture.width) * u64::from(self.picture.height)
    }

    fn lay_out(&mut self) {
        let size = (self.picture.width, self.picture.height);
        self.motion
            .get_or_insert_with(|| interpolate::Motion::new(&self.field, size));
    }

    fn upload(&mut self, bench: &Bench) -> Result<&(Picture<Texture>, maker::Motion), Trouble> {
        let uploaded = match self.uploaded.take() {
            Some(uploaded) => uploaded,
            None => {
                let (device, maker) = &*bench.0;
                let size = (self.picture.width, self.picture.height);
                let picture = Texture::upload(device, &self.picture)?;
                let (motion, _) = maker.motion(device, &self.field, size)?;
                (picture, motion)
            }
        };
        Ok(self.uploaded.insert(uploaded))
    }
}

impl Hand {
    /// Makes one picture as well as `rung` says; none where the one before is to be held.
    pub(super) fn make(
        &self,
        earlier: &mut Parent,
        later: &mut Parent,
        place: Place,
        rung: Rung,
    ) -> Result<Option<Picture<Planes>>, Trouble> {
        match self {
            Hand::Cpu => on_cpu(earlier, later, place, rung),
            Hand::Device(bench) => on_device(bench, earlier, later, place, rung),
        }
    }
}

fn on_cpu(
    earlier: &mut Parent,
    later: &mut Parent,
    place: Place,
    rung: Rung,
) -> Result<Option<Picture<Planes>>, Trouble> {
    // A blend looks at no vectors, and laying them out is a good part of the work.
    let unmoved = interpolate::Motion::new(&MotionField::default(), (1, 1));
    if rung < Rung::Blend {
        earlier.lay_out();
        later.lay_out();
    }
    let pair = Pair {
        earlier: &earlier.picture,
        later: &later.picture,
        before: earlier.motion.as_ref().filter(|_| earlier.joined),
        motion: later.motion.as_ref().unwrap_or(&unmoved),
    };
    let made = match place {
        Place::Between(at) => interpolate::make(pair, at, rung),
        Place::Beyond(by) => interpolate::extrapolate(pair, by, rung),
    }?;
    Ok(Some(made.picture).filter(|_| made.rung != Rung::Hold))
}

fn on_device(
    bench: &Bench,
    earlier: &mut Parent,
    later: &mut Parent,
    place: Place,
    rung: Rung,
) -> Result<Option<Picture<Planes>>, Trouble> {
    let (device, maker) = &*bench.0;
    let joined = earlier.joined;
    let (before, moved_before) = earlier.upload(bench)?;
    let (after, motion) = later.upload(bench)?;
    let pair = Pair {
        earlier: before,
        later: after,
        before: Some(moved_before).filter(|_| joined),
        motion,
    };
    let made = match place {
        Place::Between(at) => maker.make(device, pair, at, rung),
        Place::Beyond(by) => maker.extrapolate(device, pair, by, rung),
    }?;
    if made.rung == Rung::Hold || made.verdict.read(device)?.is_some() {
        return Ok(None);
    }
    let planes = made.picture.pixels.read(device)?;
    let (width, height) = (made.picture.width, made.picture.height);
    let [y, u, v] = planes.map(Arc::new);
    let plane = |bytes, columns: u32| Plane {
        bytes,
        stride: columns as usize,
    };
    let half = width.div_ceil(2);
    let pixels = Planes {
        y: plane(y, width),
        u: plane(u, half),
        v: plane(v, half),
    };
    Ok(Some(Picture { width, height, pixels }))
}
