//! How a session's picture is shown at a higher rate.

use hearsight_shaders::interpolate::Rung;

/// How a session's picture is shown at a higher rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// How many times as many pictures as come.
    pub times: u32,
    /// Pictures a second, at most.
    pub max_fps: u32,
    /// Bits per second.
    pub bitrate: u32,
    /// The best way in which pictures are made.
    pub best: Rung,
    /// What makes them.
    pub device: MadeOn,
}

/// What makes pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeOn {
    /// A graphics processor where there is one, else this one.
    Best,
    /// This processor.
    Cpu,
    /// A graphics processor; without one the server does not start.
    Gpu,
}
