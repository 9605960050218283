//! The steps of [`crate::interpolate`] on the device: pixels stay there from their upload to the picture that is made.

use hearsight_core::media::{MotionField, Picture};

use crate::device::{Device, DeviceError, Home};
use crate::grid::{CELL, cells, covered, most_blocks, tells, vector_from_block};
use crate::interpolate::{CUT, Rung};
use crate::kernel::{Kernel, Pass, storage, uniform};
use crate::split::Split;
use crate::texture::{self, Texture};

/// The decoder's motion on one picture, laid out in the device's memory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Motion {
    size: (u32, u32),
    raw: wgpu::Buffer,
    soft: wgpu::Buffer,
    tells: bool,
    home: Home,
}

/// Two neighbouring pictures on the device, and what is known of motion on each.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The picture before.
    pub earlier: &'a Picture<Texture>,
    /// The picture after.
    pub later: &'a Picture<Texture>,
    /// Motion that led to the earlier picture; none at the start, or after a loss.
    pub before: Option<&'a Motion>,
    /// Motion that led from the earlier picture to the later one.
    pub motion: &'a Motion,
}

/// What making something cost the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Kernels that were started.
    pub dispatches: u32,
    /// Bytes that crossed over to the device.
    pub bytes: u64,
}

/// The kernels, compiled for one device. Holds no picture: it may be used from any thread, for any size.
#[derive(Debug)]
pub struct Maker {
    home: Home,
    claim: Kernel,
    lay: Kernel,
    median: Kernel,
    across: Kernel,
    down: Kernel,
    halve: Kernel,
    double: Kernel,
    shrink: Kernel,
    choose: Kernel,
    warp: Kernel,
    sum: Kernel,
    weigh: Kernel,
    blend: Kernel,
}

/// Cells in a row and rows of them, for a kernel.
type Size = (u32, u32);

impl Maker {
    /// Compiles them; some tens of milliseconds, and some hundreds where the device is the CPU.
    pub fn new(device: &Device) -> Result<Self, DeviceError> {
        let home = device.home();
        device.attempt(|device, _| {
            let fill = device.create_shader_module(wgpu::include_wgsl!("fill.wgsl"));
            let median = device.create_shader_module(wgpu::include_wgsl!("median.wgsl"));
            let smooth = device.create_shader_module(wgpu::include_wgsl!("smooth.wgsl"));
            let resize = device.create_shader_module(wgpu::include_wgsl!("resize.wgsl"));
            let choose = device.create_shader_module(wgpu::include_wgsl!("choose.wgsl"));
            let warp = device.create_shader_module(wgpu::include_wgsl!("warp.wgsl"));
            let compare = device.create_shader_module(wgpu::include_wgsl!("compare.wgsl"));
            let blend = device.create_shader_module(wgpu::include_wgsl!("blend.wgsl"));
            Self {
                home,
                claim: Kernel::new(device, &fill, "claim"),
                lay: Kernel::new(device, &fill, "lay"),
                median: Kernel::new(device, &median, "main"),
                across: Kernel::new(device, &smooth, "across"),
                down: Kernel::new(device, &smooth, "down"),
                halve: Kernel::new(device, &resize, "halve"),
                double: Kernel::new(device, &resize, "double"),
                shrink: Kernel::new(device, &resize, "shrink"),
                choose: Kernel::new(device, &choose, "main"),
                warp: Kernel::new(device, &warp, "main"),
                sum: Kernel::new(device, &compare, "sum"),
                weigh: Kernel::new(device, &compare, "weigh"),
                blend: Kernel::new(device, &blend, "main"),
            }
        })
    }

    /// Lays out the vectors of a picture of so many pixels; under way on return. Takes any field. 5 dispatches.
    pub fn motion(
        &self,
        device: &Device,
        field: &MotionField,
        size: (u32, u32),
    ) -> Result<(Motion, Cost), DeviceError> {
        device.owns("kernel", self.home)?;
        let (columns, rows) = cells(size);
        let blocks = blocks_of(field, columns, rows);
        let ((raw, soft, cost), _) = device.submit(|gpu, queue| {
            let grid = || storage(gpu, (columns * rows * 4) as u64);
            let (owner, raw, voted, along, soft) = (grid(), grid(), grid(), grid(), grid());
            let (columns, rows) = (columns as u32, rows as u32);
            let count = (blocks.len() / 16) as u32;
            let listed = list(gpu, queue, &blocks);
            let shape = uniform(gpu, queue, &[columns, rows, count, 0]);
            let mut pass = Pass::begin(gpu);
            // Runs in rows of 64 × 64: a row of groups has its limit too.
            let groups = (count.div_ceil(64).clamp(1, 64), count.div_ceil(64 * 64).max(1));
            pass.run_groups(&self.claim, &[(0, &shape), (1, &listed), (2, &owner)], &[], groups);
            let whole = (columns, rows);
            pass.run(
                &self.lay,
                &[(0, &shape), (1, &listed), (2, &owner), (3, &raw)],
                &[],
                whole,
            );
            pass.run(&self.median, &[(0, &shape), (1, &raw), (2, &voted)], &[], whole);
            pass.run(&self.across, &[(0, &shape), (1, &voted), (2, &along)], &[], whole);
            pass.run(&self.down, &[(0, &shape), (1, &along), (2, &soft)], &[], whole);
            let (dispatches, commands) = pass.finish();
            let bytes = blocks.len() as u64;
            ((raw, soft, Cost { dispatches, bytes }), Some(commands))
        })?;
        device.count_upload(cost.bytes);
        let motion = Motion {
            size,
            raw,
            soft,
            tells: tells(field),
            home: self.home,
        };
        Ok((motion, cost))
    }

    /// Makes the picture at `at`, 0 being the earlier and 1 the later; under way on return. What [`crate::interpolate::make`]
    /// holds is held here too, by the device itself. `Hold`, the ends, and pictures that differ in size cost nothing.
    pub fn make(
        &self,
        device: &Device,
        pair: Pair<'_>,
        at: f32,
        rung: Rung,
    ) -> Result<(Picture<Texture>, Cost), DeviceError> {
        device.owns("kernel", self.home)?;
        for picture in [pair.earlier, pair.later] {
            device.owns("picture", picture.pixels.home)?;
        }
        for motion in [Some(pair.motion), pair.before].into_iter().flatten() {
            device.owns("motion", motion.home)?;
        }
        let split = Split::new(at);
        // The memory's own size: the fields of a picture are anyone's to write.
        let (size, other) = (pair.earlier.pixels.size(), pair.later.pixels.size());
        if rung == Rung::Hold || split.later() == 0 || split.later() == Split::WHOLE || size != other {
            let nearer = if split.later() * 2 > Split::WHOLE {
                pair.later
            } else {
                pair.earlier
            };
            return Ok((nearer.clone(), Cost::default()));
        }
        let fits = |motion: &&Motion| motion.size == size && motion.tells && rung == Rung::Vectors;
        let before = pair.before.filter(fits);
        let motion = Some(pair.motion).filter(fits).or(before);
        let (made, _) = device.submit(|gpu, queue| {
            let scene = Scene {
                maker: self,
                gpu,
                queue,
                pair: [&pair.earlier.pixels, &pair.later.pixels],
                size,
                split: split.later() as u32,
            };
            let ([y, u, v], dispatches, commands) = scene.record(motion, before);
            let home = self.home;
            let pixels = Texture { y, u, v, home };
            let (width, height) = size;
            let picture = Picture { width, height, pixels };
            ((picture, Cost { dispatches, bytes: 0 }), Some(commands))
        })?;
        Ok(made)
    }
}

/// What a pair's steps look at.
struct Scene<'a> {
    maker: &'a Maker,
    gpu: &'a wgpu::Device,
    queue: &'a wgpu::Queue,
    pair: [&'a Texture; 2],
    size: (u32, u32),
    split: u32,
}

/// Motion on its grids: by blocks for chroma, whose vectors are half as long, and by cells for luma.
struct Grids {
    /// Chosen and smoothed, by cells.
    luma: [wgpu::Buffer; 2],
    /// Chosen and smoothed, by blocks.
    chroma: [wgpu::Buffer; 2],
}

/// What is mixed, and how.
struct Mixing {
    /// Samples along the vectors: room for luma, and used for each plane in turn.
    ways: wgpu::Buffer,
    weights: wgpu::Buffer,
    verdict: wgpu::Buffer,
}

impl Scene<'_> {
    fn record(
        &self,
        motion: Option<&Motion>,
        before: Option<&Motion>,
    ) -> ([wgpu::Texture; 3], u32, wgpu::CommandBuffer) {
        let mut pass = Pass::begin(self.gpu);
        // Without vectors everything stands still, which is a blend.
        let rest = self.room(self.cells(), 4);
        let [raw, soft] = motion.map_or([&rest, &rest], |motion| [&motion.raw, &motion.soft]);
        let grids = self.choose(&mut pass, raw, soft);
        let mixing = self.weigh(
            &mut pass,
            &grids,
            before.map_or(&rest, |before| &before.soft),
            before.is_some(),
        );
        let y = self.mix(&mut pass, &mixing, self.pair.map(|picture| &picture.y), self.cells());
        let [u, v] = [0, 1].map(|plane| {
            let planes = self
                .pair
                .map(|picture| if plane == 0 { &picture.u } else { &picture.v });
            self.warp(&mut pass, &grids.chroma, planes, self.blocks(), &mixing.ways);
            self.mix(&mut pass, &mixing, planes, self.blocks())
        });
        let (dispatches, commands) = pass.finish();
        ([y, u, v], dispatches, commands)
    }

    fn cells(&self) -> Size {
        let (columns, rows) = cells(self.size);
        (columns as u32, rows as u32)
    }

    fn blocks(&self) -> Size {
        let (columns, rows) = self.cells();
        (columns.div_ceil(2), rows.div_ceil(2))
    }

    /// Memory of so many bytes for each cell.
    fn room(&self, (columns, rows): Size, bytes: u64) -> wgpu::Buffer {
        storage(self.gpu, u64::from(columns) * u64::from(rows) * bytes)
    }

    fn shape(&self, numbers: &[u32]) -> wgpu::Buffer {
        uniform(self.gpu, self.queue, numbers)
    }

    fn choose(&self, pass: &mut Pass<'_>, raw: &wgpu::Buffer, soft: &wgpu::Buffer) -> Grids {
        let ((columns, rows), (wide, high)) = (self.cells(), self.blocks());
        let maker = self.maker;
        let [by_blocks, taken, chosen, chroma_chosen, chroma_soft] =
            std::array::from_fn(|_| self.room((wide, high), 4));
        let fine = self.room((columns, rows), 4);
        let luma = self.pair.map(|picture| &picture.y);
        let halve = self.shape(&[wide, high, columns, rows]);
        let buffers = [(0, &halve), (1, soft), (2, &by_blocks)];
        pass.run(&maker.halve, &buffers, &[], (wide, high));
        let choose = self.shape(&[wide, high, self.split, columns, rows, 0, 0, 0]);
        let buffers = [(0, &choose), (1, raw), (2, &by_blocks), (3, &taken)];
        pass.run(&maker.choose, &buffers, &[(4, luma[0]), (5, luma[1])], (wide, high));
        let same = self.shape(&[wide, high, wide, high]);
        let buffers = [(0, &same), (1, &taken), (2, &chosen)];
        pass.run(&maker.median, &buffers, &[], (wide, high));
        let double = self.shape(&[columns, rows, wide, high]);
        let buffers = [(0, &double), (1, &chosen), (2, &fine)];
        pass.run(&maker.double, &buffers, &[], (columns, rows));
        for (from, to) in [(&chosen, &chroma_chosen), (&by_blocks, &chroma_soft)] {
            pass.run(&maker.shrink, &[(0, &same), (1, from), (2, to)], &[], (wide, high));
        }
        Grids {
            luma: [fine, soft.clone()],
            chroma: [chroma_chosen, chroma_soft],
        }
    }

    fn weigh(&self, pass: &mut Pass<'_>, grids: &Grids, past: &wgpu::Buffer, past_known: bool) -> Mixing {
        let (columns, rows) = self.cells();
        let [fine, soft] = &grids.luma;
        let luma = self.pair.map(|picture| &picture.y);
        let [ways, sums, weights] = [64, 16, 16].map(|bytes| self.room((columns, rows), bytes));
        let verdict = storage(self.gpu, 8);
        self.warp(pass, &grids.luma, luma, (columns, rows), &ways);
        let shape = self.shape(&[columns, rows, self.split, u32::from(past_known)]);
        let buffers = [(0, &shape), (1, &ways), (2, fine), (3, &sums), (4, &verdict)];
        pass.run(
            &self.maker.sum,
            &buffers,
            &[(5, luma[0]), (6, luma[1])],
            (columns, rows),
        );
        let buffers = [(0, &shape), (3, &sums), (7, soft), (8, past), (9, &weights)];
        pass.run(&self.maker.weigh, &buffers, &[], (columns, rows));
        Mixing { ways, weights, verdict }
    }

    /// Moves a plane of so many cells along the chosen and the smoothed vectors.
    fn warp(
        &self,
        pass: &mut Pass<'_>,
        [chosen, smoothed]: &[wgpu::Buffer; 2],
        planes: [&wgpu::Texture; 2],
        (columns, rows): Size,
        ways: &wgpu::Buffer,
    ) {
        let shape = self.shape(&[columns, rows, self.split, 0]);
        let buffers = [(0, &shape), (1, chosen), (2, smoothed), (3, ways)];
        pass.run(
            &self.maker.warp,
            &buffers,
            &[(4, planes[0]), (5, planes[1])],
            (columns, 4 * rows),
        );
    }

    /// Mixes one plane of so many cells, and lays it into a texture.
    fn mix(
        &self,
        pass: &mut Pass<'_>,
        mixing: &Mixing,
        planes: [&wgpu::Texture; 2],
        (columns, rows): Size,
    ) -> wgpu::Texture {
        // Rows of a copy to a texture lie a multiple of 256 bytes apart.
        let stride = columns.next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT / CELL as u32);
        let made = self.room((stride, rows), (CELL * CELL) as u64);
        let cut = (CUT * self.size.0 as f32 * self.size.1 as f32) as u32;
        let weighed = self.cells();
        let covered = if weighed == (columns, rows) { 1 } else { 2 };
        let shape = self.shape(&[columns, rows, self.split, stride, weighed.0, weighed.1, covered, cut]);
        let buffers = [
            (0, &shape),
            (1, &mixing.ways),
            (2, &mixing.weights),
            (3, &mixing.verdict),
            (4, &made),
        ];
        pass.run(
            &self.maker.blend,
            &buffers,
            &[(5, planes[0]), (6, planes[1])],
            (columns, 4 * rows),
        );
        let usage =
            wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::COPY_SRC | wgpu::TextureUsages::TEXTURE_BINDING;
        let size = (planes[0].width(), planes[0].height());
        let plane = texture::create(self.gpu, size, wgpu::TextureFormat::R8Unorm, usage);
        pass.copy(&made, stride * CELL as u32, &plane);
        plane
    }
}

/// The blocks as fill.wgsl reads them: 16 bytes each.
fn blocks_of(field: &MotionField, columns: usize, rows: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in field.blocks.iter().take(most_blocks(columns, rows)) {
        let Some([x, y]) = vector_from_block(block) else {
            continue;
        };
        let (across, down) = covered(block, columns, rows);
        let range = |range: std::ops::Range<usize>| range.start as u32 | (range.end as u32) << 16;
        let vector = u32::from(x as u16) | u32::from(y as u16) << 16;
        for word in [range(across), range(down), vector, 0] {
            bytes.extend(word.to_le_bytes());
        }
    }
    bytes
}

fn list(gpu: &wgpu::Device, queue: &wgpu::Queue, bytes: &[u8]) -> wgpu::Buffer {
    // An empty field still needs something to be bound.
    let buffer = storage(gpu, bytes.len().max(16) as u64);
    queue.write_buffer(&buffer, 0, bytes);
    buffer
}
