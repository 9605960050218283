//! The steps of [`crate::interpolate`] on the device: pixels stay there from their upload to the picture that is made.

use hearsight_core::media::{MotionField, Picture};

use crate::device::{Device, DeviceError, Home};
use crate::grid::{BLOCK, blocks, cells, covered, most_blocks, tells, vector_from_block};
use crate::interpolate::{self, Held, Plan, Rung, SAME};
pub use crate::kernel::{Cost, Step};
use crate::kernel::{Kernel, Pass, Rooms, storage, with_times};
use crate::network::device::Loaded;
pub use crate::network::device::Precision;
use crate::network::{Network, Ready};
use crate::split::Split;
use crate::texture::{self, Texture};
use scene::Scene;

mod scene;
mod search;

/// The decoder's motion on one picture, laid out in the device's memory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Motion {
    size: (u32, u32),
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

/// The kernels, compiled for one device, and the residual network. Holds no picture, but the memory in which the last ones
/// were made: it may be used from any thread, for any size.
#[derive(Debug)]
pub struct Maker {
    home: Home,
    rooms: Rooms,
    network: Loaded,
    claim: Kernel,
    lay: Kernel,
    median: Kernel,
    across: Kernel,
    down: Kernel,
    halve: Kernel,
    shrink: Kernel,
    first: Kernel,
    next: Kernel,
    seek: Kernel,
    agree: Kernel,
    project: Kernel,
    warp: Kernel,
    sum: Kernel,
    weigh: Kernel,
    blend: Kernel,
    look_at_luma: Kernel,
    look_at_chroma: Kernel,
    look_at_motion: Kernel,
    add_to_luma: Kernel,
    add_to_chroma: Kernel,
}

impl Maker {
    /// Compiles them; some tens of milliseconds, and some hundreds where the device is the CPU. The network runs in the best
    /// numbers that the device has.
    pub fn new(device: &Device) -> Result<Self, DeviceError> {
        Self::with(device, Precision::of(device))
    }

    /// Compiles them, the network to be run in these numbers. Errors: the device does not have them.
    pub fn with(device: &Device, precision: Precision) -> Result<Self, DeviceError> {
        Self::of(device, Ready::built_in().network(), precision)
    }

    pub(crate) fn of(device: &Device, network: &Network, precision: Precision) -> Result<Self, DeviceError> {
        let home = device.home();
        device.attempt(|device, queue| {
            let network = Loaded::new(device, queue, network, precision);
            let in_numbers = |precision: Precision, text: &str| {
                let source = wgpu::ShaderSource::Wgsl(precision.source(text).into());
                device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source })
            };
            let features = in_numbers(precision, include_str!("features.wgsl"));
            let residual = in_numbers(precision.of_answer(), include_str!("residual.wgsl"));
            let fill = device.create_shader_module(wgpu::include_wgsl!("fill.wgsl"));
            let median = device.create_shader_module(wgpu::include_wgsl!("median.wgsl"));
            let smooth = device.create_shader_module(wgpu::include_wgsl!("smooth.wgsl"));
            let resize = device.create_shader_module(wgpu::include_wgsl!("resize.wgsl"));
            let pyramid = device.create_shader_module(wgpu::include_wgsl!("pyramid.wgsl"));
            let seek = device.create_shader_module(wgpu::include_wgsl!("seek.wgsl"));
            let agree = device.create_shader_module(wgpu::include_wgsl!("agree.wgsl"));
            let project = device.create_shader_module(wgpu::include_wgsl!("project.wgsl"));
            let warp = device.create_shader_module(wgpu::include_wgsl!("warp.wgsl"));
            let compare = device.create_shader_module(wgpu::include_wgsl!("compare.wgsl"));
            let blend = device.create_shader_module(wgpu::include_wgsl!("blend.wgsl"));
            Self {
                home,
                rooms: Rooms::default(),
                network,
                look_at_luma: Kernel::new(device, &features, "features of luma", "luma"),
                look_at_chroma: Kernel::new(device, &features, "features of chroma", "chroma"),
                look_at_motion: Kernel::new(device, &features, "features of motion", "motion"),
                add_to_luma: Kernel::new(device, &residual, "residual of luma", "luma"),
                add_to_chroma: Kernel::new(device, &residual, "residual of chroma", "chroma"),
                claim: Kernel::new(device, &fill, "fill: claim", "claim"),
                lay: Kernel::new(device, &fill, "fill: lay", "lay"),
                median: Kernel::new(device, &median, "median", "main"),
                across: Kernel::new(device, &smooth, "smooth: across", "across"),
                down: Kernel::new(device, &smooth, "smooth: down", "down"),
                halve: Kernel::new(device, &resize, "resize: halve", "halve"),
                shrink: Kernel::new(device, &resize, "resize: shrink", "shrink"),
                first: Kernel::new(device, &pyramid, "pyramid: first", "first"),
                next: Kernel::new(device, &pyramid, "pyramid: next", "next"),
                seek: Kernel::new(device, &seek, "seek", "main"),
                agree: Kernel::new(device, &agree, "agree", "main"),
                project: Kernel::new(device, &project, "project", "main"),
                warp: Kernel::new(device, &warp, "warp", "main"),
                sum: Kernel::new(device, &compare, "compare: sum", "sum"),
                weigh: Kernel::new(device, &compare, "compare: weigh", "weigh"),
                blend: Kernel::new(device, &blend, "blend", "main"),
            }
        })
    }

    /// In which numbers the network runs.
    pub fn precision(&self) -> Precision {
        self.network.precision()
    }

    /// Bytes of the device's memory that are kept from picture to picture.
    pub fn memory(&self) -> u64 {
        self.rooms.bytes()
    }

    /// Lays out motion and makes a picture at `at` as [`Maker::make`] does, waits for it, and returns what it consisted of;
    /// nothing where the picture would be held at once. Errors: the device has no time stamps.
    pub fn measure(
        &self,
        device: &Device,
        pair: Pair<'_>,
        field: &MotionField,
        at: f32,
        rung: Rung,
    ) -> Result<Vec<Step>, DeviceError> {
        if !device.has_time_stamps() {
            return Err(DeviceError::Refused("it has no time stamps".into()));
        }
        let split = Split::new(at);
        let Prepared::Along(rung, _, before) = self.prepare(device, pair, split, rung)? else {
            return Ok(Vec::new());
        };
        let size = pair.earlier.pixels.size();
        let ((timed, _texture), _) = device.submit(|gpu, queue| {
            let mut pass = Pass::timed(gpu, queue, &self.rooms);
            let motion = self.lay_out(&mut pass, gpu, field, size);
            let (picture, _) = self
                .scene(gpu, pair, split, rung)
                .record(&mut pass, Some(&motion), before);
            let recorded = pass.finish();
            ((recorded.timed, picture), Some(recorded.commands))
        })?;
        let Some((steps, ticks)) = timed else {
            return Ok(Vec::new());
        };
        let ticks = texture::read_buffer(device, &ticks)?;
        Ok(with_times(steps, &ticks, device.tick()))
    }

    /// Lays out the vectors of a picture of so many pixels; under way on return. Takes any field. 5 dispatches.
    pub fn motion(
        &self,
        device: &Device,
        field: &MotionField,
        size: (u32, u32),
    ) -> Result<(Motion, Cost), DeviceError> {
        device.owns("kernel", self.home)?;
        let ((motion, cost), _) = device.submit(|gpu, queue| {
            let mut pass = Pass::begin(gpu, queue, &self.rooms);
            let motion = self.lay_out(&mut pass, gpu, field, size);
            let recorded = pass.finish();
            ((motion, recorded.cost), Some(recorded.commands))
        })?;
        device.count_upload(cost.bytes);
        Ok((motion, cost))
    }

    fn lay_out(&self, pass: &mut Pass<'_>, gpu: &wgpu::Device, field: &MotionField, size: (u32, u32)) -> Motion {
        let (columns, rows) = blocks(size);
        let blocks = blocks_of(field, size);
        let bytes = (columns * rows * 4) as u64;
        // One is handed out, four are used in between.
        let soft = storage(gpu, bytes);
        let owner = pass.zeros(bytes);
        let [raw, voted, along] = [(); 3].map(|()| pass.room(bytes));
        let whole @ (columns, rows) = (columns as u32, rows as u32);
        let count = (blocks.len() / 16) as u32;
        let listed = pass.list(&blocks);
        let shape = pass.uniform(&[columns, rows, count, 0]);
        // Runs in rows of 64 × 64: a row of groups has its limit too.
        let groups = (count.div_ceil(64).clamp(1, 64), count.div_ceil(64 * 64).max(1), 1);
        pass.run_groups(&self.claim, &[(0, &shape), (1, &listed), (2, &owner)], &[], groups);
        let buffers = [(0, &shape), (1, &listed), (2, &owner), (3, &raw)];
        pass.run(&self.lay, &buffers, &[], whole);
        pass.run(&self.median, &[(0, &shape), (1, &raw), (2, &voted)], &[], whole);
        pass.run(&self.across, &[(0, &shape), (1, &voted), (2, &along)], &[], whole);
        pass.run(&self.down, &[(0, &shape), (1, &along), (2, &soft)], &[], whole);
        [owner, raw, voted, along]
            .into_iter()
            .for_each(|room| pass.give_back(room));
        Motion {
            size,
            soft,
            tells: tells(field),
            home: self.home,
        }
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
        let (rung, motion, before) = match self.prepare(device, pair, split, rung)? {
            Prepared::Along(rung, motion, before) => (rung, motion, before),
            Prepared::Held(held) => {
                return Ok(Made {
                    picture: pair.nearer(split).clone(),
                    rung: Rung::Hold,
                    cost: Cost::default(),
                    verdict: Verdict(Finding::Known(held)),
                });
            }
        };
        let ((picture, verdict, cost), _) = device.submit(|gpu, queue| {
            let mut pass = Pass::begin(gpu, queue, &self.rooms);
            let scene = self.scene(gpu, pair, split, rung);
            let (picture, verdict) = scene.record(&mut pass, motion, before);
            let recorded = pass.finish();
            ((picture, verdict, recorded.cost), Some(recorded.commands))
        })?;
        device.count_upload(cost.bytes);
        Ok(Made {
            picture,
            rung,
            cost,
            verdict,
        })
    }

    /// What there is to be done, all of it being this device's.
    fn prepare<'a>(
        &self,
        device: &Device,
        pair: Pair<'a>,
        split: Split,
        rung: Rung,
    ) -> Result<Prepared<'a>, DeviceError> {
        device.owns("kernel", self.home)?;
        for picture in [pair.earlier, pair.later] {
            device.owns("picture", picture.pixels.home)?;
        }
        for motion in [Some(pair.motion), pair.before].into_iter().flatten() {
            device.owns("motion", motion.home)?;
        }
        // The memory's own size: the fields of a picture are anyone's to write.
        let sizes @ [size, _] = [pair.earlier, pair.later].map(|picture| picture.pixels.size());
        let has_room = self.network.largest(cells(size)) <= device.largest_room();
        let plan = pair.plan(sizes, split, rung, |motion| motion.size == size && motion.tells);
        Ok(match plan {
            Plan::Hold(held) => Prepared::Held(held),
            Plan::Blend => Prepared::Along(Rung::Blend, None, None),
            Plan::Along { before, motion, rung } => {
                // What the device has no room for is made without the network.
                let rung = if has_room { rung } else { Rung::Vectors };
                Prepared::Along(rung, Some(motion), before)
            }
        })
    }

    fn scene<'a>(&'a self, gpu: &'a wgpu::Device, pair: Pair<'a>, split: Split, rung: Rung) -> Scene<'a> {
        Scene {
            maker: self,
            gpu,
            rung,
            pair: [&pair.earlier.pixels, &pair.later.pixels],
            size: pair.earlier.pixels.size(),
            split: split.later() as u32,
        }
    }
}

/// What there is to be done for a picture.
enum Prepared<'a> {
    Held(Option<Held>),
    /// How, by which motion, and by which before it.
    Along(Rung, Option<&'a Motion>, Option<&'a Motion>),
}

/// The blocks as fill.wgsl reads them: 16 bytes each.
fn blocks_of(field: &MotionField, size: (u32, u32)) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in field.blocks.iter().take(most_blocks(size)) {
        let Some([x, y]) = vector_from_block(block) else {
            continue;
        };
        let (across, down) = covered(block, BLOCK, blocks(size));
        let range = |range: std::ops::Range<usize>| range.start as u32 | (range.end as u32) << 16;
        let vector = u32::from(x as u16) | u32::from(y as u16) << 16;
        for word in [range(across), range(down), vector, 0] {
            bytes.extend(word.to_le_bytes());
        }
    }
    bytes
}
