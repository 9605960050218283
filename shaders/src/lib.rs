//! Kernels for the GPU, each held to a reference on the CPU: one kernel is `name.wgsl`, `name.rs` and the reference in it.
//!
//! Knows `wgpu`, pictures and the standards that say what their samples mean. Must not know any codec, model, socket or
//! clock, nor decide when to run: callers step it. Memory is in the type: a `Picture<Planes>` lies in CPU memory, a
//! `Picture<Texture>` and a `Picture<Rgba>` on the device, and only [`Texture::upload`], [`Texture::read`] and
//! [`Rgba::read`] cross over. Start at [`Device::open`], then [`colour::Convert`].
//!
//! Pictures between others are made by [`interpolate::make`] on the CPU and by [`maker::Maker`] on the device, by the same
//! steps: start at [`interpolate`]. Where the device is a software one ([`Kind::Software`]), the CPU's own is the faster.
#![forbid(unsafe_code)]

pub mod agree;
pub mod blend;
pub mod colour;
pub mod compare;
pub mod conv;
mod device;
pub mod features;
pub mod fill;
pub mod grid;
pub mod interpolate;
pub mod interval;
mod kernel;
pub mod maker;
pub mod measure;
pub mod median;
pub mod network;
pub mod packed;
pub mod padded;
mod planes;
pub mod project;
pub mod pyramid;
pub mod recipe;
pub mod residual;
pub mod resize;
#[cfg(test)]
mod rig;
pub mod roof;
pub mod seek;
pub mod smooth;
pub mod split;
mod texture;
#[cfg(test)]
mod validate;
pub mod warp;
mod wide;

pub use device::{Device, DeviceError, Kind, LARGEST, OpenError};
pub use planes::PlanesError;
pub use texture::{Rgba, Texture, UploadError};
