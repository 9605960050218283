//! A small network as a straight-line program of convolutions, and how it is read from a file.
//!
//! Tensor 0 is what the network looks at; layer i makes tensor i + 1; the last one is the answer. A file of it, in
//! little-endian order: `HSRN`, the version 1, how many channels tensor 0 has, how many layers there are; then for each layer
//! six numbers of 32 bits (kind, activation, the tensor it reads, the tensor that is added or 0xFFFFFFFF, channels in,
//! channels out), the largest input as a float of 32 bits, the weights as floats of 16 bits by output, input, row and column,
//! filled up to a multiple of four bytes, and the biases as floats of 32 bits.

pub mod device;

use std::sync::OnceLock;

use crate::conv::{self, Ordered, Tensor};
use crate::features::CHANNELS;
use crate::packed;

/// Channels of the answer: of each cell 16 of luma, row by row, then 4 of blue-difference and 4 of red-difference chroma.
pub const ANSWER: usize = 24;

/// More layers, channels and halvings than any network for this purpose has: they bound what a hostile file can ask for.
const MOST_LAYERS: usize = 64;
const MOST_CHANNELS: usize = 256;
const DEEPEST: u32 = 4;

/// What a layer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Convolution of 3 × 3.
    Same,
    /// Convolution of 3 × 3, at every second place of every second row: half the size, rounded up.
    Halve,
    /// Transposed convolution of 2 × 2 with a stride of 2: twice the size, cropped to that of its level.
    Double,
    /// Convolution of 1 × 1.
    Mix,
}

impl Kind {
    /// Weights for one input and one output.
    pub fn taps(self) -> usize {
        match self {
            Kind::Same | Kind::Halve => 9,
            Kind::Double => 4,
            Kind::Mix => 1,
        }
    }
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// What it does.
    pub kind: Kind,
    /// The least value that it puts out: 0 where negative ones are cut off (ReLU).
    pub floor: f32,
    /// The tensor that it reads.
    pub from: usize,
    /// The tensor that is added before negative values are cut off.
    pub add: Option<usize>,
    /// Channels of what it reads.
    pub inputs: usize,
    /// Channels that it makes.
    pub outputs: usize,
    /// The largest absolute value that it reads, but for a few.
    pub reach: f32,
    /// By output, input, row and column.
    pub weights: Vec<f32>,
    /// One for each output.
    pub biases: Vec<f32>,
}

/// A network that is known to be whole: every layer reads what is there and fits its neighbours.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    layers: Vec<Layer>,
    /// Of each tensor, its channels, and how often its sides were halved.
    tensors: Vec<(usize, u32)>,
}

/// Why a file is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It begins otherwise.
    #[error("this is not a file of a network: it must begin with HSRN and version 1")]
    Foreign,
    /// It ends too soon.
    #[error("the file ends within {0}: it is cut off")]
    Short(&'static str),
    /// It goes on after its last layer.
    #[error("{0} bytes follow the last layer: the file is damaged")]
    Long(usize),
    /// What a layer says of itself cannot be.
    #[error("layer {layer}: {problem}")]
    Layer {
        /// Its number, from 0.
        layer: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// It was trained on other features.
    #[error("it looks at {0} numbers for each cell, where there are {CHANNELS}: it belongs to another version")]
    Channels(usize),
    /// The network as a whole cannot be.
    #[error("{0}")]
    Whole(&'static str),
}

impl Network {
    /// Reads a file. Takes any bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, NetworkError> {
        let mut rest = bytes;
        if take(&mut rest, 4) != Some(b"HSRN") || number(&mut rest) != Some(1) {
            return Err(NetworkError::Foreign);
        }
        let [channels, count] = numbers(&mut rest).ok_or(NetworkError::Short("the head"))?;
        if channels == 0 || channels > MOST_CHANNELS {
            return Err(NetworkError::Whole("tensor 0 must have 1 to 256 channels"));
        }
        if count == 0 || count > MOST_LAYERS {
            return Err(NetworkError::Whole("there must be 1 to 64 layers"));
        }
        let mut network = Self {
            layers: Vec::new(),
            tensors: vec![(channels, 0)],
        };
        for number in 0..count {
            let layer = layer(&mut rest, number)?;
            let made = network
                .fit(&layer)
                .map_err(|problem| NetworkError::Layer { layer: number, problem })?;
            network.layers.push(layer);
            network.tensors.push(made);
        }
        if !rest.is_empty() {
            return Err(NetworkError::Long(rest.len()));
        }
        if network.tensors.last() != Some(&(ANSWER, 0)) {
            return Err(NetworkError::Whole(
                "the last layer must make 24 channels for each cell",
            ));
        }
        Ok(network)
    }

    /// The same, where it looks at what [`crate::features`] gives.
    pub fn for_pictures(self) -> Result<Self, NetworkError> {
        match self.channels() {
            CHANNELS => Ok(self),
            other => Err(NetworkError::Channels(other)),
        }
    }

    /// Its layers, in the order in which they run.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Channels of what it looks at.
    pub fn channels(&self) -> usize {
        self.tensors[0].0
    }

    /// How many weights and biases it has.
    pub fn parameters(&self) -> usize {
        self.layers
            .iter()
            .map(|layer| layer.weights.len() + layer.biases.len())
            .sum()
    }

    /// Columns and rows of a tensor, where tensor 0 has so many.
    pub fn size(&self, tensor: usize, (columns, rows): (usize, usize)) -> (usize, usize) {
        // Halving n times, rounded up each time, is dividing by 2^n, rounded up.
        let side = 1 << self.tensors[tensor].1;
        (columns.div_ceil(side), rows.div_ceil(side))
    }

    /// Multiplications, each with an addition, for so many cells.
    pub fn multiplications(&self, size: (usize, usize)) -> u64 {
        (0..self.layers.len())
            .map(|layer| self.multiplications_of(layer, size))
            .sum()
    }

    pub(crate) fn multiplications_of(&self, number: usize, size: (usize, usize)) -> u64 {
        let layer = &self.layers[number];
        // A transposed convolution asks one of its taps for each place that it makes.
        let taps = if layer.kind == Kind::Double {
            1
        } else {
            layer.kind.taps()
        };
        let (columns, rows) = self.size(number + 1, size);
        (columns * rows * taps * layer.inputs * layer.outputs) as u64
    }

    /// The layer after which nobody reads a tensor any more.
    pub(crate) fn last_reader(&self, tensor: usize) -> Option<usize> {
        let reads = |layer: &Layer| layer.from == tensor || layer.add == Some(tensor);
        self.layers.iter().rposition(reads)
    }

    /// What the layer makes: channels and halvings.
    fn fit(&self, layer: &Layer) -> Result<(usize, u32), &'static str> {
        let &(channels, depth) = self
            .tensors
            .get(layer.from)
            .ok_or("it reads a tensor that is not there yet")?;
        if channels != layer.inputs {
            return Err("it reads another number of channels than its tensor has");
        }
        let depth = match layer.kind {
            Kind::Same | Kind::Mix => depth,
            Kind::Halve if depth < DEEPEST => depth + 1,
            Kind::Halve => return Err("it halves what was halved four times"),
            Kind::Double => depth.checked_sub(1).ok_or("it doubles what was never halved")?,
        };
        let made = (layer.outputs, depth);
        if let Some(add) = layer.add {
            let added = self.tensors.get(add).ok_or("it adds a tensor that is not there yet")?;
            if *added != made {
                return Err("it adds a tensor of another shape than it makes");
            }
        }
        Ok(made)
    }
}

/// A network that is ready to run on the CPU.
#[derive(Debug)]
pub struct Ready {
    network: Network,
    layers: Vec<Ordered>,
    /// Where tensors are to be what 8 bits hold of them: of each, what 1 stands for.
    scales: Option<Vec<f32>>,
}

impl Ready {
    /// Puts the weights in the order in which they are used.
    pub fn new(network: Network) -> Self {
        let layers = network.layers.iter().map(Ordered::new).collect();
        Self {
            network,
            layers,
            scales: None,
        }
    }

    /// The same, as it is in 8 bits ([`crate::packed`]): for comparison, as the CPU gains nothing by it.
    pub fn packed(network: Network) -> Self {
        let ordered = |layer: &Layer| Ordered::new(&packed::rounded_layer(layer));
        let layers = network.layers.iter().map(ordered).collect();
        let scales = Some(packed::scales(&network));
        Self {
            network,
            layers,
            scales,
        }
    }

    /// The network that is built in: made ready once.
    pub fn built_in() -> &'static Self {
        static READY: OnceLock<Ready> = OnceLock::new();
        READY.get_or_init(|| {
            let network = Network::parse(include_bytes!("../weights/residual.bin")).and_then(Network::for_pictures);
            Self::new(network.expect("a test reads the file that is built in"))
        })
    }

    /// The network itself.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Its answer to tensor 0, which must have as many channels as it reads. Keeps no tensor longer than it is read.
    pub fn answer(&self, mut features: Tensor) -> Tensor {
        let size = (features.columns, features.rows);
        let round = |tensor: &mut Tensor, number: usize| match &self.scales {
            // The answer itself stays as it is.
            Some(scales) if number < self.layers.len() => packed::reference(tensor, scales[number]),
            _ => (),
        };
        round(&mut features, 0);
        let mut tensors = vec![Some(features)];
        for (number, (layer, ordered)) in self.network.layers.iter().zip(&self.layers).enumerate() {
            let (columns, rows) = self.network.size(number + 1, size);
            let mut made = Tensor::new(columns, rows, layer.outputs);
            let add = layer.add.and_then(|add| tensors[add].as_ref());
            if let Some(from) = &tensors[layer.from] {
                conv::reference(ordered, from, add, &mut made);
            }
            round(&mut made, number + 1);
            for read in [Some(layer.from), layer.add].into_iter().flatten() {
                if self.network.last_reader(read) == Some(number) {
                    tensors[read] = None;
                }
            }
            tensors.push(Some(made));
        }
        tensors.pop().flatten().unwrap_or_default()
    }
}

fn layer(rest: &mut &[u8], number: usize) -> Result<Layer, NetworkError> {
    let wrong = |problem| NetworkError::Layer { layer: number, problem };
    let head = numbers(rest).ok_or(NetworkError::Short("the head of a layer"))?;
    let [kind, activation, from, add, inputs, outputs] = head;
    let kind = match kind {
        0 => Kind::Same,
        1 => Kind::Halve,
        2 => Kind::Double,
        3 => Kind::Mix,
        _ => return Err(wrong("its kind must be 0 to 3")),
    };
    let floor = match activation {
        0 => f32::NEG_INFINITY,
        1 => 0.0,
        _ => return Err(wrong("its activation must be 0 or 1")),
    };
    if inputs == 0 || inputs > MOST_CHANNELS || outputs == 0 || outputs > MOST_CHANNELS {
        return Err(wrong("it must have 1 to 256 channels on either side"));
    }
    let reach = *floats(rest, 1)
        .ok_or(NetworkError::Short("the head of a layer"))?
        .first()
        .unwrap_or(&0.0);
    if !(reach > 0.0 && reach.is_finite()) {
        return Err(wrong("its largest input must be a positive number"));
    }
    let count = inputs * outputs * kind.taps();
    let halves = take(rest, count.next_multiple_of(2) * 2).ok_or(NetworkError::Short("weights"))?;
    let halves = halves.as_chunks::<2>().0.iter().take(count);
    let weights: Vec<f32> = halves.map(|half| from_half(u16::from_le_bytes(*half))).collect();
    let biases = floats(rest, outputs).ok_or(NetworkError::Short("biases"))?;
    if !weights.iter().chain(&biases).all(|weight| weight.is_finite()) {
        return Err(wrong("its weights and biases must be numbers"));
    }
    Ok(Layer {
        kind,
        floor,
        from,
        add: (add != u32::MAX as usize).then_some(add),
        inputs,
        outputs,
        reach,
        weights,
        biases,
    })
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    rest.split_off(..count)
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let bytes = take(rest, 4)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes) as usize)
}

fn numbers<const N: usize>(rest: &mut &[u8]) -> Option<[usize; N]> {
    let mut all = [0; N];
    for one in &mut all {
        *one = number(rest)?;
    }
    Some(all)
}

fn floats(rest: &mut &[u8], count: usize) -> Option<Vec<f32>> {
    let words = take(rest, count * 4)?.as_chunks().0;
    Some(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
}

/// A float of 16 bits (IEEE 754 binary16).
pub(crate) fn from_half(half: u16) -> f32 {
    let sign = if half >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(half >> 10 & 31), f32::from(half & 1023));
    sign * match exponent {
        // Those without an implied one, down to 2⁻²⁴.
        0 => fraction * 2.0_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2.0_f32.powi(exponent - 25),
    }
}

/// The nearest float of 16 bits, even where two are; at most the largest one.
pub(crate) fn to_half(value: f32) -> u16 {
    let sign = (value.to_bits() >> 16) as u16 & 0x8000;
    let size = value.abs().min(65504.0);
    if size < 2.0_f32.powi(-14) {
        return sign | (size * 2.0_f32.powi(24)).round_ties_even() as u16;
    }
    // 13 bits of the fraction go: half of them is added, less one where the last that stays is even.
    let bits = size.to_bits();
    let rounded = bits + 0xfff + (bits >> 13 & 1);
    sign | ((rounded - (112 << 23)) >> 13) as u16
}

#[cfg(test)]
pub(crate) mod tests;
