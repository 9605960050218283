//! Makes pictures between two others, on the CPU or on a device: one face for both.

use std::sync::Arc;

use hearsight_core::media::{MotionField, Picture, Plane, Planes};
use hearsight_shaders::interpolate::{self, Made, Rung};
use hearsight_shaders::{Device, DeviceError, Kind, OpenError, PlanesError, Texture, UploadError, maker};
use thiserror::Error;

use super::options::Place;

/// Why no picture is made.
#[derive(Debug, Error)]
pub enum MakeError {
    /// There is no device.
    #[error("{0}; --device cpu needs none")]
    NoDevice(#[from] OpenError),
    /// The device does not do it.
    #[error("{0}; --device cpu needs none")]
    Device(#[from] DeviceError),
    /// The decoder's planes are not whole.
    #[error(transparent)]
    Planes(#[from] PlanesError),
}

impl From<UploadError> for MakeError {
    fn from(error: UploadError) -> MakeError {
        match error {
            UploadError::Planes(error) => MakeError::Planes(error),
            UploadError::Device(error) => MakeError::Device(error),
        }
    }
}

/// Bytes that crossed between the CPU's memory and the device's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crossed {
    /// To the device: pictures, each once, and their vectors.
    pub up: u64,
    /// Back: the pictures that were made.
    pub back: u64,
}

/// One of two neighbours, where it is needed.
pub struct Side {
    picture: Picture<Planes>,
    texture: Option<Picture<Texture>>,
}

/// Motion of one interval, where it is needed.
pub enum Motion {
    /// For the CPU.
    Here(interpolate::Motion),
    /// For the device.
    There(maker::Motion),
}

/// The CPU, or a device with its kernels.
pub enum Maker {
    /// The CPU.
    Here,
    /// A device.
    There(Box<There>),
}

/// A device and what it runs.
pub struct There {
    device: Device,
    kernels: maker::Maker,
    back: u64,
}

impl Maker {
    /// Chooses. Errors: a device was asked for, and there is none.
    pub fn open(place: Place) -> Result<Maker, MakeError> {
        let device = match place {
            Place::Cpu => return Ok(Maker::Here),
            Place::Device => Device::open()?,
            Place::Best => match Device::open() {
                Ok(device) if device.kind() == Kind::Hardware => device,
                Ok(_) | Err(_) => return Ok(Maker::Here),
            },
        };
        let kernels = maker::Maker::new(&device)?;
        let back = 0;
        Ok(Maker::There(Box::new(There { device, kernels, back })))
    }

    /// What works, for people.
    pub fn name(&self) -> String {
        match self {
            Maker::Here => "the CPU".into(),
            Maker::There(there) => there.device.name().to_owned(),
        }
    }

    /// What crossed over so far.
    pub fn crossed(&self) -> Crossed {
        match self {
            Maker::Here => Crossed::default(),
            Maker::There(there) => Crossed {
                up: there.device.uploaded(),
                back: there.back,
            },
        }
    }

    /// Takes a picture in.
    pub fn side(&self, picture: &Picture<Planes>) -> Result<Side, MakeError> {
        let texture = match self {
            Maker::Here => None,
            Maker::There(there) => Some(Texture::upload(&there.device, picture)?),
        };
        Ok(Side {
            picture: picture.clone(),
            texture,
        })
    }

    /// Lays out the vectors that lead to a picture of so many pixels.
    pub fn motion(&self, field: &MotionField, size: (u32, u32)) -> Result<Motion, MakeError> {
        Ok(match self {
            Maker::Here => Motion::Here(interpolate::Motion::new(field, size)),
            Maker::There(there) => Motion::There(there.kernels.motion(&there.device, field, size)?.0),
        })
    }

    /// The picture at `way`, 0 being the earlier and 1 the later; `before` led to the earlier one.
    pub fn make(
        &mut self,
        [earlier, later]: [&Side; 2],
        before: Option<&Motion>,
        motion: &Motion,
        way: f32,
        rung: Rung,
    ) -> Result<Made, MakeError> {
        let there = match self {
            Maker::Here => return here([earlier, later], before, motion, way, rung),
            Maker::There(there) => there,
        };
        let (Some(from), Some(to), Motion::There(motion)) = (&earlier.texture, &later.texture, motion) else {
            return Err(DeviceError::Foreign("picture").into());
        };
        let pair = maker::Pair {
            earlier: from,
            later: to,
            before: before.and_then(Motion::there),
            motion,
        };
        let made = there.kernels.make(&there.device, pair, way, rung)?;
        there.back += made.picture.pixels.bytes();
        let (width, height) = (made.picture.width, made.picture.height);
        let planes = made.picture.pixels.read(&there.device)?;
        let held = made.verdict.read(&there.device)?;
        let rung = if held.is_some() { Rung::Hold } else { made.rung };
        let picture = picture_from_planes(planes, (width, height));
        Ok(Made { picture, rung, held })
    }
}

impl Motion {
    fn here(&self) -> Option<&interpolate::Motion> {
        match self {
            Motion::Here(motion) => Some(motion),
            Motion::There(_) => None,
        }
    }

    fn there(&self) -> Option<&maker::Motion> {
        match self {
            Motion::Here(_) => None,
            Motion::There(motion) => Some(motion),
        }
    }
}

fn here(
    [earlier, later]: [&Side; 2],
    before: Option<&Motion>,
    motion: &Motion,
    way: f32,
    rung: Rung,
) -> Result<Made, MakeError> {
    let motion = motion.here().ok_or(DeviceError::Foreign("motion"))?;
    let pair = interpolate::Pair {
        earlier: &earlier.picture,
        later: &later.picture,
        before: before.and_then(Motion::here),
        motion,
    };
    Ok(interpolate::make(pair, way, rung)?)
}

fn picture_from_planes([y, u, v]: [Vec<u8>; 3], (width, height): (u32, u32)) -> Picture<Planes> {
    let plane = |bytes, stride: u32| Plane {
        bytes: Arc::new(bytes),
        stride: stride as usize,
    };
    let half = width.div_ceil(2);
    let pixels = Planes {
        y: plane(y, width),
        u: plane(u, half),
        v: plane(v, half),
    };
    Picture { width, height, pixels }
}
