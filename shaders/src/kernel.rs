//! Compute kernels, the passes that run them, and the memory that they use in between.

use std::sync::{Mutex, PoisonError};

/// One entry point, compiled.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// What it is called among the steps of a picture.
    name: &'static str,
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

impl Kernel {
    pub(crate) fn new(gpu: &wgpu::Device, module: &wgpu::ShaderModule, name: &'static str, entry: &str) -> Self {
        Self::with(gpu, module, (name, entry), &[])
    }

    /// With other values of the constants that it lets be overridden.
    pub(crate) fn with(
        gpu: &wgpu::Device,
        module: &wgpu::ShaderModule,
        (name, entry): (&'static str, &str),
        constants: &[(&str, f64)],
    ) -> Self {
        let pipeline = gpu.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: None,
            module,
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants,
                // Every kernel writes what it reads of a workgroup's memory.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        Self {
            name,
            layout: pipeline.get_bind_group_layout(0),
            pipeline,
        }
    }
}

/// What making something cost the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Kernels that were started.
    pub dispatches: u32,
    /// Bytes that crossed over to the device: vectors, and the numbers that kernels are given.
    pub bytes: u64,
}

/// One kernel's run, as the device timed it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The kernel.
    pub name: &'static str,
    /// When it began and ended, in seconds from the beginning of the first.
    pub span: [f64; 2],
    /// Bytes of all that it was given and of all that it made, each counted once.
    pub bytes: u64,
    /// Multiplications, each with an addition, where there are enough of them to matter.
    pub multiplications: u64,
}

/// The time stamps of a pass, two for each step.
struct Stamps {
    set: wgpu::QuerySet,
    steps: Vec<Step>,
}

/// More steps than a picture has.
const MOST_STEPS: u32 = 128;

/// What has been recorded.
pub(crate) struct Recorded {
    pub(crate) cost: Cost,
    pub(crate) commands: wgpu::CommandBuffer,
    /// The steps without their times, and where the device writes these, in ticks of 64 bits.
    pub(crate) timed: Option<(Vec<Step>, wgpu::Buffer)>,
}

/// Memory that one picture's steps no longer need, for the next one's. For any number of threads: what a device is told to do
/// it does in order, and every kernel writes what the next one reads.
#[derive(Debug, Default)]
pub(crate) struct Rooms(Mutex<Vec<wgpu::Buffer>>);

/// More than the steps of one picture use: pictures of another size push out what is left of the last one.
const MOST_ROOMS: usize = 48;

/// More than those of a picture of 3840 × 2160 and the network in 16 bits.
const MOST_BYTES: u64 = 1 << 30;

impl Rooms {
    /// Bytes that are kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().iter().map(wgpu::Buffer::size).sum()
    }

    fn take(&self, bytes: u64) -> Option<wgpu::Buffer> {
        let mut rooms = self.lock();
        let place = rooms.iter().rposition(|room| room.size() == bytes)?;
        Some(rooms.remove(place))
    }

    pub(crate) fn keep(&self, room: wgpu::Buffer) {
        let mut rooms = self.lock();
        rooms.push(room);
        let sum = |rooms: &[wgpu::Buffer]| rooms.iter().map(wgpu::Buffer::size).sum::<u64>();
        while rooms.len() > MOST_ROOMS || sum(&rooms) > MOST_BYTES {
            rooms.remove(0);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<wgpu::Buffer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kernels and copies in the order in which the device is to run them, each after the one before it.
pub(crate) struct Pass<'a> {
    gpu: &'a wgpu::Device,
    queue: &'a wgpu::Queue,
    rooms: &'a Rooms,
    encoder: wgpu::CommandEncoder,
    cost: Cost,
    stamps: Option<Stamps>,
}

impl<'a> Pass<'a> {
    pub(crate) fn begin(gpu: &'a wgpu::Device, queue: &'a wgpu::Queue, rooms: &'a Rooms) -> Self {
        Self {
            gpu,
            queue,
            rooms,
            encoder: gpu.create_command_encoder(&wgpu::CommandEncoderDescriptor::default()),
            cost: Cost::default(),
            stamps: None,
        }
    }

    /// The same, and the device notes when each kernel begins and ends: where it has time stamps.
    pub(crate) fn timed(gpu: &'a wgpu::Device, queue: &'a wgpu::Queue, rooms: &'a Rooms) -> Self {
        let stamps = Stamps {
            set: gpu.create_query_set(&wgpu::QuerySetDescriptor {
                label: None,
                ty: wgpu::QueryType::Timestamp,
                count: 2 * MOST_STEPS,
            }),
            steps: Vec::new(),
        };
        Self {
            stamps: Some(stamps),
            ..Self::begin(gpu, queue, rooms)
        }
    }

    /// Memory for what one kernel makes for another; anything may lie in it.
    pub(crate) fn room(&self, bytes: u64) -> wgpu::Buffer {
        self.rooms.take(bytes).unwrap_or_else(|| storage(self.gpu, bytes))
    }

    /// Memory that is zero.
    pub(crate) fn zeros(&mut self, bytes: u64) -> wgpu::Buffer {
        let room = self.room(bytes);
        self.encoder.clear_buffer(&room, 0, None);
        room
    }

    /// Leaves memory to the next one who asks for as much: what was recorded before is done by then.
    pub(crate) fn give_back(&self, room: wgpu::Buffer) {
        self.rooms.keep(room);
    }

    /// Numbers that every invocation of a kernel is given.
    pub(crate) fn uniform(&mut self, numbers: &[u32]) -> wgpu::Buffer {
        self.cost.bytes += size_of_val(numbers) as u64;
        uniform(self.gpu, self.queue, numbers)
    }

    /// A list that kernels read: some bytes, a multiple of four.
    pub(crate) fn list(&mut self, bytes: &[u8]) -> wgpu::Buffer {
        self.cost.bytes += bytes.len() as u64;
        filled(self.gpu, self.queue, bytes)
    }

    /// Runs a kernel, whose workgroups are 8 × 8, over so many columns and rows.
    pub(crate) fn run(
        &mut self,
        kernel: &Kernel,
        buffers: &[(u32, &wgpu::Buffer)],
        textures: &[(u32, &wgpu::Texture)],
        (columns, rows): (u32, u32),
    ) {
        self.run_groups(kernel, buffers, textures, (columns.div_ceil(8), rows.div_ceil(8), 1));
    }

    /// Runs a kernel with so many workgroups. Each binding is a number and what is bound there.
    pub(crate) fn run_groups(
        &mut self,
        kernel: &Kernel,
        buffers: &[(u32, &wgpu::Buffer)],
        textures: &[(u32, &wgpu::Texture)],
        (across, down, deep): (u32, u32, u32),
    ) {
        let given = buffers.iter().map(|(_, buffer)| buffer.size());
        let seen = textures
            .iter()
            .map(|(_, it)| u64::from(it.width()) * u64::from(it.height()));
        let bytes = given.chain(seen).sum();
        let views: Vec<_> = textures
            .iter()
            .map(|(binding, texture)| (*binding, texture.create_view(&wgpu::TextureViewDescriptor::default())))
            .collect();
        let buffers = buffers.iter().map(|(binding, buffer)| wgpu::BindGroupEntry {
            binding: *binding,
            resource: buffer.as_entire_binding(),
        });
        let textures = views.iter().map(|(binding, view)| wgpu::BindGroupEntry {
            binding: *binding,
            resource: wgpu::BindingResource::TextureView(view),
        });
        let entries: Vec<_> = buffers.chain(textures).collect();
        let group = self.gpu.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &kernel.layout,
            entries: &entries,
        });
        let timestamp_writes = self.stamps.as_mut().and_then(|stamps| stamps.note(kernel.name, bytes));
        let mut pass = self.encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: None,
            timestamp_writes,
        });
        pass.set_pipeline(&kernel.pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(across, down, deep);
        self.cost.dispatches += 1;
    }

    /// Lays rows that begin `stride` bytes apart into a texture of one byte per texel.
    pub(crate) fn copy(&mut self, rows: &wgpu::Buffer, stride: u32, into: &wgpu::Texture) {
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(stride),
            rows_per_image: None,
        };
        let from = wgpu::TexelCopyBufferInfo { buffer: rows, layout };
        self.encoder
            .copy_buffer_to_texture(from, into.as_image_copy(), into.size());
    }

    /// How many multiplications the last kernel makes.
    pub(crate) fn worked(&mut self, multiplications: u64) {
        if let Some(last) = self.stamps.as_mut().and_then(|stamps| stamps.steps.last_mut()) {
            last.multiplications = multiplications;
        }
    }

    /// How many bytes of what the last kernel was given it leaves alone.
    pub(crate) fn spared(&mut self, bytes: u64) {
        if let Some(last) = self.stamps.as_mut().and_then(|stamps| stamps.steps.last_mut()) {
            last.bytes = last.bytes.saturating_sub(bytes);
        }
    }

    /// What it costs, and all of it.
    pub(crate) fn finish(mut self) -> Recorded {
        let timed = self.stamps.map(|stamps| {
            let count = 2 * stamps.steps.len() as u32;
            let ticks = self.gpu.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: u64::from(count.max(2)) * 8,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            self.encoder.resolve_query_set(&stamps.set, 0..count, &ticks, 0);
            (stamps.steps, ticks)
        });
        Recorded {
            cost: self.cost,
            commands: self.encoder.finish(),
            timed,
        }
    }
}

impl Stamps {
    /// Where the next step's times go; nowhere where there are too many.
    fn note(&mut self, name: &'static str, bytes: u64) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let at = self.steps.len() as u32;
        (at < MOST_STEPS).then(|| {
            self.steps.push(Step {
                name,
                span: [0.0; 2],
                bytes,
                multiplications: 0,
            });
            wgpu::ComputePassTimestampWrites {
                query_set: &self.set,
                beginning_of_pass_write_index: Some(2 * at),
                end_of_pass_write_index: Some(2 * at + 1),
            }
        })
    }
}

/// The steps with their times, from ticks of so many nanoseconds.
pub(crate) fn with_times(mut steps: Vec<Step>, ticks: &[u8], period: f32) -> Vec<Step> {
    let ticks: Vec<u64> = ticks
        .as_chunks()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .collect();
    let first = ticks.first().copied().unwrap_or_default();
    let seconds = |tick: u64| tick.saturating_sub(first) as f64 * f64::from(period) * 1e-9;
    for (step, ends) in steps.iter_mut().zip(ticks.as_chunks::<2>().0) {
        step.span = ends.map(seconds);
    }
    steps
}

/// Memory for kernels, zero at first.
pub(crate) fn storage(gpu: &wgpu::Device, bytes: u64) -> wgpu::Buffer {
    gpu.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: bytes,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    })
}

/// Memory that holds some bytes, a multiple of four.
pub(crate) fn filled(gpu: &wgpu::Device, queue: &wgpu::Queue, bytes: &[u8]) -> wgpu::Buffer {
    // Nothing still needs something to be bound.
    let buffer = storage(gpu, bytes.len().max(16) as u64);
    queue.write_buffer(&buffer, 0, bytes);
    buffer
}

/// Numbers that every invocation of a kernel is given.
pub(crate) fn uniform(gpu: &wgpu::Device, queue: &wgpu::Queue, numbers: &[u32]) -> wgpu::Buffer {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let buffer = gpu.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: bytes.len() as u64,
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    queue.write_buffer(&buffer, 0, &bytes);
    buffer
}
