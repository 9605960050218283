//! A network in the device's memory, layer by layer.

use crate::device::Device;
use crate::kernel::{Kernel, Pass, filled, uniform};
use crate::network::{Kind, Layer, MOST_CHANNELS, Network, to_half};
use crate::packed;

/// Outputs that a workgroup of conv.wgsl makes, and the channels of a slice.
const BLOCK: usize = 32;
const SLICE: usize = 4;

/// Places that it makes of them, across and down.
const PLACES: (u32, u32) = (16, 8);

/// In which numbers a network runs on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32 bits throughout: what every device has.
    F32,
    /// 16 bits for what is stored and multiplied, 32 for sums over more than four channels. Where the device has them.
    F16,
    /// Whole numbers of 8 bits for what is stored and multiplied, 32 for sums. Every device has them, some much faster.
    Int8,
}

impl Precision {
    /// All of them.
    pub const ALL: [Precision; 3] = [Precision::F32, Precision::F16, Precision::Int8];

    /// The best that a device has: half as much to move, and as good to the eye.
    pub fn of(device: &Device) -> Self {
        if device.has_half() {
            Precision::F16
        } else {
            Precision::F32
        }
    }

    /// Bytes of a number.
    pub(crate) fn bytes(self) -> u64 {
        match self {
            Precision::F32 => 4,
            Precision::F16 => 2,
            Precision::Int8 => 1,
        }
    }

    /// In what the answer is.
    pub(crate) fn of_answer(self) -> Self {
        match self {
            Precision::Int8 => Precision::F32,
            other => other,
        }
    }

    /// A kernel in this precision, from its text in 32 bits: what differs are the names that it gives to its types.
    pub(crate) fn source(self, text: &str) -> String {
        match self {
            Precision::F32 => text.to_owned(),
            Precision::F16 => {
                let halves = text.replace("alias Four = vec4<f32>;", "alias Four = vec4<f16>;");
                let halves = halves.replace("alias Square = mat4x4<f32>;", "alias Square = mat4x4<f16>;");
                format!("enable f16;\n{halves}")
            }
            Precision::Int8 => {
                let bytes = text.replace("alias Four = vec4<f32>;", "alias Four = u32;");
                bytes.replace("= Four(value);", "= pack4xI8(vec4<i32>(round(value * 127.0)));")
            }
        }
    }
}

/// The layers with their weights, and the kernels that run them.
#[derive(Debug)]
pub(crate) struct Loaded {
    network: Network,
    precision: Precision,
    layers: Vec<Weights>,
    /// Of each tensor, what 1 stands for in 8 bits.
    scales: Vec<f32>,
    same: Kernel,
    halve: Kernel,
    mix: Kernel,
    double: Kernel,
    /// The last layer's, whose answer is read by others.
    last: Kernel,
}

#[derive(Debug)]
struct Weights {
    weights: wgpu::Buffer,
    /// Biases, and in 8 bits what the sums stand for.
    levels: wgpu::Buffer,
    /// Each 32 outputs are a layer of workgroups.
    blocks: u32,
}

impl Loaded {
    pub(crate) fn new(gpu: &wgpu::Device, queue: &wgpu::Queue, network: &Network, precision: Precision) -> Self {
        let (label, source) = match precision {
            Precision::Int8 => ("packed.wgsl", include_str!("../packed.wgsl").to_owned()),
            _ => ("conv.wgsl", precision.source(include_str!("../conv.wgsl"))),
        };
        let module = gpu.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(label),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let kernel = |kind: Kind, answer: bool| {
            let (name, side, stride, spread) = match kind {
                Kind::Same => ("conv 3×3", 3.0, 1.0, 1.0),
                Kind::Halve => ("conv 3×3 halving", 3.0, 2.0, 1.0),
                Kind::Mix => ("conv 1×1", 1.0, 1.0, 1.0),
                Kind::Double => ("conv 2×2 doubling", 1.0, 1.0, 2.0),
            };
            let mut constants = vec![("SIDE", side), ("STRIDE", stride), ("SPREAD", spread)];
            if answer && precision == Precision::Int8 {
                constants.push(("ANSWER", 1.0));
            }
            Kernel::with(gpu, &module, (name, "main"), &constants)
        };
        let scales = packed::scales(network);
        let load = |layer: &Layer| {
            let levels = levels(layer, scales[layer.from]);
            let length = if precision == Precision::Int8 {
                levels.len()
            } else {
                MOST_CHANNELS
            };
            Weights {
                weights: filled(gpu, queue, &weights(layer, precision)),
                levels: uniform(gpu, queue, &levels[..length]),
                blocks: spread(layer).div_ceil(BLOCK) as u32,
            }
        };
        Self {
            layers: network.layers().iter().map(load).collect(),
            same: kernel(Kind::Same, false),
            halve: kernel(Kind::Halve, false),
            mix: kernel(Kind::Mix, false),
            double: kernel(Kind::Double, false),
            last: kernel(network.layers().last().map_or(Kind::Mix, |layer| layer.kind), true),
            network: network.clone(),
            precision,
            scales,
        }
    }

    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// Bytes of a tensor, where tensor 0 has so many places.
    pub(crate) fn bytes(&self, tensor: usize, size: (usize, usize)) -> u64 {
        let (columns, rows) = self.network.size(tensor, size);
        let channels = match tensor.checked_sub(1) {
            None => self.network.channels(),
            Some(layer) => self.network.layers()[layer].outputs,
        };
        let precision = if tensor == self.layers.len() {
            self.precision.of_answer()
        } else {
            self.precision
        };
        (columns * rows * channels.next_multiple_of(SLICE)) as u64 * precision.bytes()
    }

    /// The largest tensor's bytes.
    pub(crate) fn largest(&self, size: (usize, usize)) -> u64 {
        let tensors = 0..=self.layers.len();
        tensors.map(|tensor| self.bytes(tensor, size)).max().unwrap_or(0)
    }

    /// Runs all layers. What is read no more is given back for others to use; the answer is to be given back too.
    pub(crate) fn answer(&self, pass: &mut Pass<'_>, features: wgpu::Buffer, size: (usize, usize)) -> wgpu::Buffer {
        let mut tensors = vec![Some(features)];
        for (number, layer) in self.network.layers().iter().enumerate() {
            let made = pass.room(self.bytes(number + 1, size));
            if let Some(from) = &tensors[layer.from] {
                let add = layer.add.and_then(|add| tensors[add].as_ref());
                self.run(pass, number, [from, add.unwrap_or(from), &made], size);
            }
            for read in [Some(layer.from), layer.add].into_iter().flatten() {
                if self.network.last_reader(read) == Some(number)
                    && let Some(done) = tensors[read].take()
                {
                    pass.give_back(done);
                }
            }
            tensors.push(Some(made));
        }
        let answer = tensors.pop().flatten();
        // Tensors that nobody reads.
        tensors.into_iter().flatten().for_each(|idle| pass.give_back(idle));
        answer.unwrap_or_else(|| pass.room(self.bytes(self.layers.len(), size)))
    }

    fn run(&self, pass: &mut Pass<'_>, number: usize, [from, add, made]: [&wgpu::Buffer; 3], size: (usize, usize)) {
        let layer = &self.network.layers()[number];
        let weights = &self.layers[number];
        let (source, target) = (self.network.size(layer.from, size), self.network.size(number + 1, size));
        let kernel = match layer.kind {
            _ if number + 1 == self.layers.len() => &self.last,
            Kind::Same => &self.same,
            Kind::Halve => &self.halve,
            Kind::Mix => &self.mix,
            Kind::Double => &self.double,
        };
        let shape = pass.uniform(&[
            source.0 as u32,
            source.1 as u32,
            target.0 as u32,
            target.1 as u32,
            layer.inputs.div_ceil(SLICE) as u32,
            layer.outputs.div_ceil(SLICE) as u32,
            u32::from(layer.add.is_some()),
            u32::from(layer.floor == 0.0),
            self.scales[layer.add.unwrap_or(0)].to_bits(),
            self.scales[number + 1].recip().to_bits(),
            0,
            0,
        ]);
        let buffers = [
            (0, &shape),
            (1, from),
            (2, &weights.weights),
            (3, &weights.levels),
            (4, add),
            (5, made),
        ];
        let (columns, rows) = if layer.kind == Kind::Double { source } else { target };
        let groups = (
            (columns as u32).div_ceil(PLACES.0),
            (rows as u32).div_ceil(PLACES.1),
            weights.blocks,
        );
        pass.run_groups(kernel, &buffers, &[], groups);
        pass.worked(self.network.multiplications_of(number, size));
    }
}

/// Outputs of a layer as conv.wgsl counts them: in whole slices, and those of a transposed convolution once for each of the
/// places that it makes.
fn spread(layer: &Layer) -> usize {
    let places = if layer.kind == Kind::Double { 4 } else { 1 };
    places * layer.outputs.next_multiple_of(SLICE)
}

/// In the order of conv.wgsl: block of outputs, slice of inputs, tap, input, output. In that of packed.wgsl the inputs come
/// last.
fn weights(layer: &Layer, precision: Precision) -> Vec<u8> {
    let (places, taps) = match layer.kind {
        Kind::Double => (4, 1),
        _ => (1, layer.kind.taps()),
    };
    let outputs = layer.outputs.next_multiple_of(SLICE);
    let (whole, _) = packed::rounded(layer);
    let all = if precision == Precision::Int8 {
        &whole
    } else {
        &layer.weights
    };
    let weight = |output: usize, input: usize, tap: usize| {
        let (place, output) = (output / outputs, output % outputs);
        if place >= places || output >= layer.outputs || input >= layer.inputs {
            return 0.0;
        }
        all[(output * layer.inputs + input) * layer.kind.taps() + place * taps + tap]
    };
    let mut bytes = Vec::new();
    for first in (0..spread(layer)).step_by(BLOCK) {
        for slice in (0..layer.inputs).step_by(SLICE) {
            for tap in 0..taps {
                for at in 0..SLICE * BLOCK {
                    let (input, output) = match precision {
                        Precision::Int8 => (at % SLICE, at / SLICE),
                        _ => (at / BLOCK, at % BLOCK),
                    };
                    let value = weight(first + output, slice + input, tap);
                    match precision {
                        Precision::F32 => bytes.extend(value.to_le_bytes()),
                        Precision::F16 => bytes.extend(to_half(value).to_le_bytes()),
                        Precision::Int8 => bytes.extend((value as i8).to_le_bytes()),
                    }
                }
            }
        }
    }
    bytes
}

/// Biases, and then what a sum of whole numbers stands for in each output: as bits, with as many as there may be of each.
fn levels(layer: &Layer, scale: f32) -> [u32; 2 * MOST_CHANNELS] {
    let (_, scales) = packed::rounded(layer);
    std::array::from_fn(|at| {
        let level = match at.checked_sub(MOST_CHANNELS) {
            None => layer.biases.get(at).copied(),
            Some(at) => scales.get(at).map(|of_weights| of_weights * scale),
        };
        level.unwrap_or_default().to_bits()
    })
}
