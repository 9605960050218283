//! Compute kernels and the passes that run them.

/// One entry point, compiled.
#[derive(Debug)]
pub(crate) struct Kernel {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

impl Kernel {
    pub(crate) fn new(gpu: &wgpu::Device, module: &wgpu::ShaderModule, entry: &'static str) -> Self {
        let pipeline = gpu.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(entry),
            layout: None,
            module,
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        Self {
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

/// Kernels and copies in the order in which the device is to run them, each after the one before it.
pub(crate) struct Pass<'a> {
    gpu: &'a wgpu::Device,
    queue: &'a wgpu::Queue,
    encoder: wgpu::CommandEncoder,
    cost: Cost,
}

impl<'a> Pass<'a> {
    pub(crate) fn begin(gpu: &'a wgpu::Device, queue: &'a wgpu::Queue) -> Self {
        Self {
            gpu,
            queue,
            encoder: gpu.create_command_encoder(&wgpu::CommandEncoderDescriptor::default()),
            cost: Cost::default(),
        }
    }

    /// Numbers that every invocation of a kernel is given.
    pub(crate) fn uniform(&mut self, numbers: &[u32]) -> wgpu::Buffer {
        self.cost.bytes += size_of_val(numbers) as u64;
        uniform(self.gpu, self.queue, numbers)
    }

    /// A list that kernels read: some bytes, a multiple of four.
    pub(crate) fn list(&mut self, bytes: &[u8]) -> wgpu::Buffer {
        self.cost.bytes += bytes.len() as u64;
        // An empty list still needs something to be bound.
        let buffer = storage(self.gpu, bytes.len().max(16) as u64);
        self.queue.write_buffer(&buffer, 0, bytes);
        buffer
    }

    /// Runs a kernel, whose workgroups are 8 × 8, over so many columns and rows.
    pub(crate) fn run(
        &mut self,
        kernel: &Kernel,
        buffers: &[(u32, &wgpu::Buffer)],
        textures: &[(u32, &wgpu::Texture)],
        (columns, rows): (u32, u32),
    ) {
        self.run_groups(kernel, buffers, textures, (columns.div_ceil(8), rows.div_ceil(8)));
    }

    /// Runs a kernel with so many workgroups. Each binding is a number and what is bound there.
    pub(crate) fn run_groups(
        &mut self,
        kernel: &Kernel,
        buffers: &[(u32, &wgpu::Buffer)],
        textures: &[(u32, &wgpu::Texture)],
        (across, down): (u32, u32),
    ) {
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
        let mut pass = self.encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&kernel.pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(across, down, 1);
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

    /// What it costs, and all of it.
    pub(crate) fn finish(self) -> (Cost, wgpu::CommandBuffer) {
        (self.cost, self.encoder.finish())
    }
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
