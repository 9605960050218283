//! Pictures in the device's memory, and the two ways across: up and back.

use std::sync::mpsc;

use hearsight_core::media::{Picture, Planes};

use crate::device::{Device, DeviceError, Home, PATIENCE};
use crate::planes::{PlanesError, Sheet, sheets};

/// Planar YUV 4:2:0 in the device's memory: what [`Planes`] is in the CPU's. Cheap to clone; freed with the last clone.
#[derive(Clone, Debug)]
pub struct Texture {
    /// Luma, one 8-bit sample per pixel, read as 0..1.
    pub(crate) y: wgpu::Texture,
    /// Blue-difference chroma, half size rounded up.
    pub(crate) u: wgpu::Texture,
    /// Red-difference chroma, half size rounded up.
    pub(crate) v: wgpu::Texture,
    pub(crate) home: Home,
}

/// Non-linear R'G'B' with opaque alpha, 8 bits each, in the device's memory. Cheap to clone; freed with the last clone.
#[derive(Clone, Debug)]
pub struct Rgba {
    pub(crate) texture: wgpu::Texture,
    pub(crate) home: Home,
}

/// Why a picture is not on the device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The picture's planes do not hold it; the next picture may be sound.
    #[error(transparent)]
    Planes(#[from] PlanesError),
    /// The device did not take it.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl Texture {
    /// Copies a picture of any stride and any size up to [`crate::LARGEST`] to the device. The CPU copies each sample
    /// once, into memory that the device reads; the copy to the device's own memory is under way on return.
    pub fn upload(device: &Device, picture: &Picture<Planes>) -> Result<Picture<Self>, UploadError> {
        let planes = sheets(picture)?;
        let ([y, u, v], _) = device.submit(|device, queue| {
            let textures = planes.map(|sheet| upload_sheet(device, queue, &sheet));
            (textures, None)
        })?;
        device.count_upload(planes.iter().map(Sheet::samples).sum());
        Ok(Picture {
            width: picture.width,
            height: picture.height,
            pixels: Self {
                y,
                u,
                v,
                home: device.home(),
            },
        })
    }

    /// Width and height in luma pixels.
    pub(crate) fn size(&self) -> (u32, u32) {
        (self.y.width(), self.y.height())
    }

    /// Bytes of samples, without the padding of rows: what uploading it added to [`Device::uploaded`].
    pub fn bytes(&self) -> u64 {
        let planes = [&self.y, &self.u, &self.v];
        planes
            .map(|plane| u64::from(plane.width()) * u64::from(plane.height()))
            .iter()
            .sum()
    }
}

impl Rgba {
    /// Waits for the picture and copies it back: rows from the top, four bytes R', G', B', A per pixel, no padding.
    /// Meant for tests and for stills; it stalls the device.
    pub fn read(&self, device: &Device) -> Result<Vec<u8>, DeviceError> {
        device.owns("picture", self.home)?;
        read(device, &self.texture, 4)
    }
}

impl Texture {
    /// Waits for the picture and copies it back: luma, blue-difference and red-difference samples, rows from the top, no
    /// padding. Where pictures go on in the CPU's memory, this is where they cross over; it stalls the device.
    pub fn read(&self, device: &Device) -> Result<[Vec<u8>; 3], DeviceError> {
        device.owns("picture", self.home)?;
        Ok([
            read(device, &self.y, 1)?,
            read(device, &self.u, 1)?,
            read(device, &self.v, 1)?,
        ])
    }
}

/// The texels of a texture, of so many bytes each, without the padding of rows.
fn read(device: &Device, texture: &wgpu::Texture, bytes: usize) -> Result<Vec<u8>, DeviceError> {
    let row = texture.width() as usize * bytes;
    let padded = row.next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT as usize);
    let bytes = map(device, device.submit(|device, _| copy_out(device, texture, padded))?)?;
    Ok(bytes
        .chunks_exact(padded)
        .flat_map(|line| &line[..row])
        .copied()
        .collect())
}

/// Waits for a small buffer and copies it back.
pub(crate) fn read_buffer(device: &Device, buffer: &wgpu::Buffer) -> Result<Vec<u8>, DeviceError> {
    let copy = |device: &wgpu::Device, _: &wgpu::Queue| {
        let into = readable(device, buffer.size());
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &into, 0, buffer.size());
        (into, Some(encoder.finish()))
    };
    map(device, device.submit(copy)?)
}

/// What a buffer holds once the submission is done.
fn map(device: &Device, (buffer, index): (wgpu::Buffer, wgpu::SubmissionIndex)) -> Result<Vec<u8>, DeviceError> {
    let (tell, told) = mpsc::sync_channel(1);
    device.attempt(|_, _| {
        buffer.map_async(wgpu::MapMode::Read, .., move |outcome| {
            // Nobody listens any more when the wait has failed.
            let _ = tell.send(outcome);
        });
    })?;
    device.wait(&index)?;
    // Another thread's wait may be the one that tells.
    let outcome = told
        .recv_timeout(PATIENCE)
        .map_err(|_| DeviceError::Timeout(PATIENCE))?;
    let refused = |problem: &dyn std::fmt::Display| DeviceError::Refused(format!("reading back: {problem}"));
    outcome.map_err(|problem| refused(&problem))?;
    let view = buffer.get_mapped_range(..).map_err(|problem| refused(&problem))?;
    Ok(view.to_vec())
}

/// Memory that the device copies into and the CPU reads.
fn readable(device: &wgpu::Device, size: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("read back"),
        size,
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    })
}

fn copy_out(
    device: &wgpu::Device,
    texture: &wgpu::Texture,
    padded: usize,
) -> (wgpu::Buffer, Option<wgpu::CommandBuffer>) {
    let buffer = readable(device, padded as u64 * u64::from(texture.height()));
    let layout = wgpu::TexelCopyBufferLayout {
        offset: 0,
        bytes_per_row: Some(padded as u32),
        rows_per_image: None,
    };
    let into = wgpu::TexelCopyBufferInfo {
        buffer: &buffer,
        layout,
    };
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_texture_to_buffer(texture.as_image_copy(), into, texture.size());
    let commands = encoder.finish();
    (buffer, Some(commands))
}

/// A texture of one layer, one level and one sample per texel.
pub(crate) fn create(
    device: &wgpu::Device,
    (width, height): (u32, u32),
    format: wgpu::TextureFormat,
    usage: wgpu::TextureUsages,
) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: extent(width, height),
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage,
        view_formats: &[],
    })
}

fn upload_sheet(device: &wgpu::Device, queue: &wgpu::Queue, sheet: &Sheet<'_>) -> wgpu::Texture {
    let usage = wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::COPY_SRC | wgpu::TextureUsages::TEXTURE_BINDING;
    let size = (sheet.columns, sheet.rows);
    let texture = create(device, size, wgpu::TextureFormat::R8Unorm, usage);
    let layout = wgpu::TexelCopyBufferLayout {
        offset: 0,
        // A single row has no next one, and its stride may be anything.
        bytes_per_row: (sheet.rows > 1).then_some(sheet.stride as u32),
        rows_per_image: None,
    };
    queue.write_texture(
        texture.as_image_copy(),
        sheet.bytes,
        layout,
        extent(sheet.columns, sheet.rows),
    );
    texture
}

fn extent(width: u32, height: u32) -> wgpu::Extent3d {
    wgpu::Extent3d {
        width,
        height,
        depth_or_array_layers: 1,
    }
}
