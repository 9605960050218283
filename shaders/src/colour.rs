//! Planar YUV 4:2:0 to R'G'B', on the device and, as the reference, on the CPU.
//!
//! With `Kr` and `Kb` of the matrix, `Kg = 1 − Kr − Kb` and codes of 8 bits:
//!
//! - limited range: `E'Y = (Y − 16) / 219`, `E'Cb = (Cb − 128) / 224`, `E'Cr = (Cr − 128) / 224`;
//!   full range: `E'Y = Y / 255`, `E'Cb = (Cb − 128) / 255`, `E'Cr = (Cr − 128) / 255`;
//! - `E'R = E'Y + 2 (1 − Kr) E'Cr`, `E'B = E'Y + 2 (1 − Kb) E'Cb`, `E'G = (E'Y − Kr E'R − Kb E'B) / Kg`.
//!
//! Sources: Rec. ITU-R BT.601-7 section 2.5 and Rec. ITU-R BT.709-6 section 3 (matrices, limited range), Rec. ITU-T
//! H.264 E.2.1, `video_full_range_flag` and `matrix_coefficients` (full range) and figure E-1 (where chroma lies: left).
//! Results are clamped to 0..1 and rounded to the nearest code; the transfer function is left as it is.

use hearsight_core::media::{Picture, Planes};

use crate::device::{Device, DeviceError, Home};
use crate::planes::{PlanesError, Sheet, sheets};
use crate::texture::{self, Rgba, Texture};

/// How luma and colour differences were made from R'G'B'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Matrix {
    /// Rec. ITU-R BT.601: `Kr` 0.299, `Kb` 0.114.
    #[default]
    Bt601,
    /// Rec. ITU-R BT.709: `Kr` 0.2126, `Kb` 0.0722.
    Bt709,
}

/// Which codes mean black and white.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Range {
    /// Luma 16..235, chroma 16..240.
    #[default]
    Limited,
    /// All codes, 0..255.
    Full,
}

/// What the samples of a picture mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Colour {
    /// Its matrix.
    pub matrix: Matrix,
    /// Its range.
    pub range: Range,
}

impl Colour {
    /// Every colour that is known, in the order of the kernel's constants.
    pub const ALL: [Self; 4] = [
        Self::new(Matrix::Bt601, Range::Limited),
        Self::new(Matrix::Bt601, Range::Full),
        Self::new(Matrix::Bt709, Range::Limited),
        Self::new(Matrix::Bt709, Range::Full),
    ];

    /// A matrix and a range.
    pub const fn new(matrix: Matrix, range: Range) -> Self {
        Self { matrix, range }
    }

    fn index(self) -> usize {
        let matrix = match self.matrix {
            Matrix::Bt601 => 0,
            Matrix::Bt709 => 2,
        };
        matrix + usize::from(self.range == Range::Full)
    }

    /// `Kr` and `Kb`.
    fn weights(self) -> (f64, f64) {
        match self.matrix {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
        }
    }

    /// The code of black, and how many codes luma and chroma span.
    fn levels(self) -> (f64, f64, f64) {
        match self.range {
            Range::Limited => (16.0, 219.0, 224.0),
            Range::Full => (0.0, 255.0, 255.0),
        }
    }

    /// The formula above as three rows that take (Y, Cb, Cr, 1) in codes / 255 to R', G' and B'.
    fn rows(self) -> [[f32; 4]; 3] {
        let (kr, kb) = self.weights();
        let (black, luma, chroma) = self.levels();
        let kg = 1.0 - kr - kb;
        let row = |cb: f64, cr: f64| {
            let constant = -black / luma - 128.0 / chroma * (cb + cr);
            [255.0 / luma, 255.0 / chroma * cb, 255.0 / chroma * cr, constant].map(|number| number as f32)
        };
        let (red, blue) = (2.0 * (1.0 - kr), 2.0 * (1.0 - kb));
        [row(0.0, red), row(-kb * blue / kg, -kr * red / kg), row(blue, 0.0)]
    }
}

/// The kernel, compiled for one device. Holds no picture: it may be run from any thread, for any size and colour.
#[derive(Debug)]
pub struct Convert {
    home: Home,
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    /// The rows of each colour of [`Colour::ALL`].
    colours: [wgpu::Buffer; 4],
}

impl Convert {
    /// Compiles it; some milliseconds, and some tens where the device is the CPU.
    pub fn new(device: &Device) -> Result<Self, DeviceError> {
        let home = device.home();
        device.attempt(|device, queue| {
            let module = device.create_shader_module(wgpu::include_wgsl!("colour.wgsl"));
            let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some("colour"),
                layout: None,
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            });
            Self {
                home,
                layout: pipeline.get_bind_group_layout(0),
                pipeline,
                colours: Colour::ALL.map(|colour| constants(device, queue, &colour.rows())),
            }
        })
    }

    /// Makes R'G'B' of an uploaded picture of this device; under way on return.
    pub fn run(
        &self,
        device: &Device,
        picture: &Picture<Texture>,
        colour: Colour,
    ) -> Result<Picture<Rgba>, DeviceError> {
        device.owns("kernel", self.home)?;
        device.owns("picture", picture.pixels.home)?;
        // The memory's own size: the fields of a picture are anyone's to write.
        let size = (picture.pixels.y.width(), picture.pixels.y.height());
        let (texture, _) = device.submit(|device, _| self.record(device, &picture.pixels, size, colour))?;
        Ok(Picture {
            width: size.0,
            height: size.1,
            pixels: Rgba {
                texture,
                home: self.home,
            },
        })
    }

    fn record(
        &self,
        device: &wgpu::Device,
        planes: &Texture,
        size: (u32, u32),
        colour: Colour,
    ) -> (wgpu::Texture, Option<wgpu::CommandBuffer>) {
        let usage =
            wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_SRC;
        let picture = texture::create(device, size, wgpu::TextureFormat::Rgba8Unorm, usage);
        let views = [&planes.y, &planes.u, &planes.v, &picture].map(|texture| texture.create_view(&Default::default()));
        let [y, u, v, made] = &views;
        let entry = |binding, resource| wgpu::BindGroupEntry { binding, resource };
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("colour"),
            layout: &self.layout,
            entries: &[
                entry(0, wgpu::BindingResource::TextureView(y)),
                entry(1, wgpu::BindingResource::TextureView(u)),
                entry(2, wgpu::BindingResource::TextureView(v)),
                entry(3, self.colours[colour.index()].as_entire_binding()),
                entry(4, wgpu::BindingResource::TextureView(made)),
            ],
        });
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &group, &[]);
            // The kernel's workgroups are 8 × 8 pixels.
            pass.dispatch_workgroups(size.0.div_ceil(8), size.1.div_ceil(8), 1);
        }
        let commands = encoder.finish();
        (picture, Some(commands))
    }
}

/// What the kernel is held to: the same picture by the formula above, in double precision on the CPU.
/// Rows from the top, four bytes R', G', B', A per pixel, no padding.
pub fn reference(picture: &Picture<Planes>, colour: Colour) -> Result<Vec<u8>, PlanesError> {
    let [y, u, v] = sheets(picture)?;
    let (kr, kb) = colour.weights();
    let (black, luma, chroma) = colour.levels();
    let mut pixels = Vec::with_capacity(picture.width as usize * picture.height as usize * 4);
    for row in 0..i64::from(picture.height) {
        for column in 0..i64::from(picture.width) {
            let ey = (f64::from(y.at(column, row)) - black) / luma;
            let ecb = (chroma_at(&u, column, row) - 128.0) / chroma;
            let ecr = (chroma_at(&v, column, row) - 128.0) / chroma;
            let red = ey + 2.0 * (1.0 - kr) * ecr;
            let blue = ey + 2.0 * (1.0 - kb) * ecb;
            let green = (ey - kr * red - kb * blue) / (1.0 - kr - kb);
            pixels.extend([red, green, blue].map(|level| (level.clamp(0.0, 1.0) * 255.0).round() as u8));
            pixels.push(255);
        }
    }
    Ok(pixels)
}

/// Chroma where a luma pixel lies, in codes: bilinear between samples on even columns and half-way between rows, that is
/// at column / 2 and row / 2 − 1 / 4 of the chroma plane, whose edges extend outwards.
fn chroma_at(plane: &Sheet<'_>, column: i64, row: i64) -> f64 {
    let (x, y) = (column as f64 / 2.0, row as f64 / 2.0 - 0.25);
    let (left, top) = (x.floor(), y.floor());
    let (right_share, bottom_share) = (x - left, y - top);
    let (left, top) = (left as i64, top as i64);
    let line = |row| {
        let [left, right] = [left, left + 1].map(|column| f64::from(plane.at(column, row)));
        left * (1.0 - right_share) + right * right_share
    };
    line(top) * (1.0 - bottom_share) + line(top + 1) * bottom_share
}

fn constants(device: &wgpu::Device, queue: &wgpu::Queue, rows: &[[f32; 4]; 3]) -> wgpu::Buffer {
    let bytes: Vec<u8> = rows
        .as_flattened()
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("colour"),
        size: bytes.len() as u64,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    queue.write_buffer(&buffer, 0, &bytes);
    buffer
}

#[cfg(test)]
mod tests;
