//! The steps of [`crate::interpolate`] on the device: pixels stay there from their upload to the picture that is made.

use hearsight_core::media::{MotionField, Picture};

use crate::device::{Device, DeviceError, Home};
use crate::grid::{CELL, cells, covered, most_blocks, tells, vector_from_block};
use crate::interpolate::{self, CUT, Held, Plan, Rung, SAME};
pub use crate::kernel::Cost;
use crate::kernel::{Kernel, Pass, storage};
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
pub type Pair<'a> = interpolate::Pair<'a, Texture, Motion>;

/// A picture on the device, what it cost, and how it came about.
#[derive(Clone, Debug)]
pub struct Made {
    /// The picture; under way.
    pub picture: Picture<Texture>,
    /// How it is made, unless the verdict is that it is held.
    pub rung: Rung,
    /// What it cost.
    pub cost: Cost,
    /// Whether it is held.
    pub verdict: Verdict,
}

/// What is found over all of a pair: known at once, or by the device when it gets there.
#[derive(Clone, Debug)]
pub struct Verdict(Finding);

#[derive(Clone, Debug)]
enum Finding {
    Known(Option<Held>),
    /// What compare.wgsl finds over the whole picture, and what it is held against.
    Pending {
        sums: wgpu::Buffer,
        cut: u32,
        home: Home,
    },
}

impl Verdict {
    /// Why the picture is held, where that was not asked for. Waits for the device and reads eight bytes back, unless it was
    /// known before.
    pub fn read(&self, device: &Device) -> Result<Option<Held>, DeviceError> {
        let (sums, cut, home) = match &self.0 {
            Finding::Known(held) => return Ok(*held),
            Finding::Pending { sums, cut, home } => (sums, *cut, *home),
        };
        device.owns("verdict", home)?;
        let found = texture::read_buffer(device, sums)?;
        let found: Vec<u32> = found
            .as_chunks()
            .0
            .iter()
            .map(|word| u32::from_le_bytes(*word))
            .collect();
        Ok(match found[..] {
            // As blend.wgsl judges it.
            [_, still] if still <= SAME => Some(Held::Repeated),
            [least, _] if least > cut => Some(Held::Cut),
            _ => None,
        })
    }
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
            let mut pass = Pass::begin(gpu, queue);
            let grid = || storage(gpu, (columns * rows * 4) as u64);
            let (owner, raw, voted, along, soft) = (grid(), grid(), grid(), grid(), grid());
            let (columns, rows) = (columns as u32, rows as u32);
            let count = (blocks.len() / 16) as u32;
            let listed = pass.list(&blocks);
            let shape = pass.uniform(&[columns, rows, count, 0]);
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
            let (cost, commands) = pass.finish();
            ((raw, soft, cost), Some(commands))
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

    /// Makes the picture at `at`, 0 being the earlier and 1 the later; under way on return. What [`interpolate::make`] holds
    /// is held here too, by the device itself. What is held before it has looked costs nothing.
    pub fn make(&self, device: &Device, pair: Pair<'_>, at: f32, rung: Rung) -> Result<Made, DeviceError> {
        self.make_at(device, pair, Split::new(at), rung)
    }

    /// Makes the picture that is likely to follow the later one after `by` intervals, 0..1, as [`interpolate::extrapolate`]
    /// does; under way on return.
    pub fn extrapolate(&self, device: &Device, pair: Pair<'_>, by: f32, rung: Rung) -> Result<Made, DeviceError> {
        self.make_at(device, pair, Split::beyond(by), rung)
    }

    fn make_at(&self, device: &Device, pair: Pair<'_>, split: Split, rung: Rung) -> Result<Made, DeviceError> {
        device.owns("kernel", self.home)?;
        for picture in [pair.earlier, pair.later] {
            device.owns("picture", picture.pixels.home)?;
        }
        for motion in [Some(pair.motion), pair.before].into_iter().flatten() {
            device.owns("motion", motion.home)?;
        }
        // The memory's own size: the fields of a picture are anyone's to write.
        let sizes @ [size, _] = [pair.earlier, pair.later].map(|picture| picture.pixels.size());
        let plan = pair.plan(sizes, split, rung, |motion| motion.size == size && motion.tells);
        let (rung, motion, before) = match plan {
            Plan::Hold(held) => {
                return Ok(Made {
                    picture: pair.nearer(split).clone(),
                    rung: Rung::Hold,
                    cost: Cost::default(),
                    verdict: Verdict(Finding::Known(held)),
                });
            }
            Plan::Blend => (Rung::Blend, None, None),
            Plan::Along { before, motion } => (Rung::Vectors, Some(motion), before),
        };
        let ((picture, verdict, cost), _) = device.submit(|gpu, queue| {
            let scene = Scene {
                maker: self,
                gpu,
                pair: [&pair.earlier.pixels, &pair.later.pixels],
                size,
                split: split.later() as u32,
            };
            let mut pass = Pass::begin(gpu, queue);
            let (picture, verdict) = scene.record(&mut pass, motion, before);
            let (cost, commands) = pass.finish();
            ((picture, verdict, cost), Some(commands))
        })?;
        device.count_upload(cost.bytes);
        Ok(Made {
            picture,
            rung,
            cost,
            verdict,
        })
    }
}

/// What a pair's steps look at.
struct Scene<'a> {
    maker: &'a Maker,
    gpu: &'a wgpu::Device,
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
        pass: &mut Pass<'_>,
        motion: Option<&Motion>,
        before: Option<&Motion>,
    ) -> (Picture<Texture>, Verdict) {
        // Without vectors everything stands still, which is a blend.
        let rest = self.room(self.cells(), 4);
        let [raw, soft] = motion.map_or([&rest, &rest], |motion| [&motion.raw, &motion.soft]);
        let grids = self.choose(pass, raw, soft);
        let past = before.map_or(&rest, |before| &before.soft);
        let mixing = self.weigh(pass, &grids, past, before.is_some());
        let y = self.mix(pass, &mixing, self.pair.map(|picture| &picture.y), self.cells());
        let [u, v] = [0, 1].map(|plane| {
            let planes = self
                .pair
                .map(|picture| if plane == 0 { &picture.u } else { &picture.v });
            self.warp(pass, &grids.chroma, planes, self.blocks(), &mixing.ways);
            self.mix(pass, &mixing, planes, self.blocks())
        });
        let home = self.maker.home;
        let pixels = Texture { y, u, v, home };
        let (width, height) = self.size;
        let verdict = Verdict(Finding::Pending {
            sums: mixing.verdict,
            cut: self.cut(),
            home,
        });
        (Picture { width, height, pixels }, verdict)
    }

    /// The sum of the least differences above which the scene was cut.
    fn cut(&self) -> u32 {
        (CUT * self.size.0 as f32 * self.size.1 as f32) as u32
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

    fn choose(&self, pass: &mut Pass<'_>, raw: &wgpu::Buffer, soft: &wgpu::Buffer) -> Grids {
        let ((columns, rows), (wide, high)) = (self.cells(), self.blocks());
        let maker = self.maker;
        let [by_blocks, taken, chosen, chroma_chosen, chroma_soft] =
            std::array::from_fn(|_| self.room((wide, high), 4));
        let fine = self.room((columns, rows), 4);
        let luma = self.pair.map(|picture| &picture.y);
        let halve = pass.uniform(&[wide, high, columns, rows]);
        let buffers = [(0, &halve), (1, soft), (2, &by_blocks)];
        pass.run(&maker.halve, &buffers, &[], (wide, high));
        let choose = pass.uniform(&[wide, high, self.split, columns, rows, 0, 0, 0]);
        let buffers = [(0, &choose), (1, raw), (2, &by_blocks), (3, &taken)];
        pass.run(&maker.choose, &buffers, &[(4, luma[0]), (5, luma[1])], (wide, high));
        let same = pass.uniform(&[wide, high, wide, high]);
        let buffers = [(0, &same), (1, &taken), (2, &chosen)];
        pass.run(&maker.median, &buffers, &[], (wide, high));
        let double = pass.uniform(&[columns, rows, wide, high]);
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
        let shape = pass.uniform(&[columns, rows, self.split, u32::from(past_known)]);
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
        let shape = pass.uniform(&[columns, rows, self.split, 0]);
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
        let cut = self.cut();
        let weighed = self.cells();
        let covered = if weighed == (columns, rows) { 1 } else { 2 };
        let shape = pass.uniform(&[columns, rows, self.split, stride, weighed.0, weighed.1, covered, cut]);
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
