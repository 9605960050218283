//! One layer of a network.

use pulp::{Arch, NullaryFnOnce};

use crate::features::{CHANNELS, Features};
use crate::network::{Kind, Layer};

/// Outputs that are summed side by side.
const LANES: usize = 16;

/// Places that are summed side by side: with [`LANES`], as many sums as registers of 256 bits hold.
const PLACES: usize = 5;

/// Values by place and channel: rows from the top, all channels of a place next to each other, and a border of one place
/// with zeros all round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    /// Places in a row.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
    /// Values at a place.
    pub channels: usize,
    values: Vec<f32>,
}

impl Tensor {
    /// Zeros.
    pub fn new(columns: usize, rows: usize, channels: usize) -> Self {
        Self {
            columns,
            rows,
            channels,
            values: vec![0.0; (columns + 2) * (rows + 2) * channels],
        }
    }

    /// What the network looks at.
    pub fn of(features: &Features) -> Self {
        let mut tensor = Self::new(features.columns, features.rows, CHANNELS);
        let plane = features.columns * features.rows;
        for row in 0..features.rows {
            for (channel, values) in features.values.chunks_exact(plane.max(1)).enumerate() {
                let line = &values[row * features.columns..][..features.columns];
                let first = tensor.start(1, row + 1);
                let places = tensor.values[first..].chunks_exact_mut(CHANNELS);
                for (place, value) in places.zip(line) {
                    place[channel] = *value;
                }
            }
        }
        tensor
    }

    /// The values at a place.
    pub fn at(&self, column: usize, row: usize) -> &[f32] {
        let start = self.start(column + 1, row + 1);
        &self.values[start..start + self.channels]
    }

    /// The values at a place, to be written.
    pub fn at_mut(&mut self, column: usize, row: usize) -> &mut [f32] {
        let start = self.start(column + 1, row + 1);
        &mut self.values[start..start + self.channels]
    }

    /// All of them; zeros in the border must stay zeros.
    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Where a place begins, counted from the border.
    fn start(&self, column: usize, row: usize) -> usize {
        (row * (self.columns + 2) + column) * self.channels
    }
}

/// A layer whose weights lie in the order in which they are used.
#[derive(Debug)]
pub struct Ordered {
    kind: Kind,
    floor: f32,
    outputs: usize,
    /// For each sixteen outputs (of a transposed convolution: of each of its four places): by row, column and input.
    blocks: Vec<Vec<[f32; LANES]>>,
    biases: Vec<[f32; LANES]>,
}

impl Ordered {
    /// Puts a layer's weights in order.
    pub fn new(layer: &Layer) -> Self {
        let (taps, inputs, outputs) = (layer.kind.taps(), layer.inputs, layer.outputs);
        // The places of a transposed convolution do not overlap: each is a convolution of 1 × 1 of its own.
        let groups: Vec<Vec<usize>> = match layer.kind {
            Kind::Double => (0..4).map(|tap| vec![tap]).collect(),
            _ => vec![(0..taps).collect()],
        };
        let mut blocks = Vec::new();
        for taps_of_group in &groups {
            for first in (0..outputs).step_by(LANES) {
                let weight = |tap: usize, input: usize, output: usize| {
                    let row = layer.weights[output * inputs * taps..].get(input * taps + tap);
                    row.copied().unwrap_or_default()
                };
                let places = taps_of_group
                    .iter()
                    .flat_map(|&tap| (0..inputs).map(move |input| (tap, input)));
                let lanes = |(tap, input)| {
                    let one = |lane: usize| (first + lane < outputs).then(|| weight(tap, input, first + lane));
                    std::array::from_fn(|lane| one(lane).unwrap_or_default())
                };
                blocks.push(places.map(lanes).collect());
            }
        }
        let lanes =
            |first: usize| std::array::from_fn(|lane| layer.biases.get(first + lane).copied().unwrap_or_default());
        Self {
            kind: layer.kind,
            floor: layer.floor,
            outputs,
            blocks,
            biases: (0..outputs).step_by(LANES).map(lanes).collect(),
        }
    }
}

/// What a layer makes of a tensor: `made` has the shape of its answer, and `add` too.
pub fn reference(layer: &Ordered, from: &Tensor, add: Option<&Tensor>, made: &mut Tensor) {
    struct Work<'a>(&'a Ordered, &'a Tensor, Option<&'a Tensor>, &'a mut Tensor);
    impl NullaryFnOnce for Work<'_> {
        type Output = ();
        #[inline(always)]
        fn call(self) {
            let Work(layer, from, add, made) = self;
            run(layer, from, add, made);
        }
    }
    // Compiled once for each width of registers; the processor's own is taken.
    Arch::new().dispatch(Work(layer, from, add, made));
}

#[inline(always)]
fn run(layer: &Ordered, from: &Tensor, add: Option<&Tensor>, made: &mut Tensor) {
    let blocks = layer.biases.len();
    let (columns, rows) = match layer.kind {
        Kind::Double => (from.columns, from.rows),
        _ => (made.columns, made.rows),
    };
    for row in 0..rows {
        for (number, weights) in layer.blocks.iter().enumerate() {
            let (group, block) = (number / blocks, number % blocks);
            for column in (0..columns).step_by(PLACES) {
                // Beyond the row's end the last place is summed again, and left out.
                let places = std::array::from_fn(|place| (column + place).min(columns - 1));
                let mut sums = sums(layer.kind, weights, from, row, places);
                for (place, sums) in (column..columns).zip(&mut sums) {
                    let to = match layer.kind {
                        Kind::Double => (2 * place + group % 2, 2 * row + group / 2),
                        _ => (place, row),
                    };
                    if to.0 < made.columns && to.1 < made.rows {
                        finish(
                            layer,
                            block,
                            sums,
                            add.map(|add| add.at(to.0, to.1)),
                            made.at_mut(to.0, to.1),
                        );
                    }
                }
            }
        }
    }
}

/// The sums over what some places of a row look at.
#[inline(always)]
fn sums(
    kind: Kind,
    weights: &[[f32; LANES]],
    from: &Tensor,
    row: usize,
    places: [usize; PLACES],
) -> [[f32; LANES]; PLACES] {
    // Counted from the border, a window of 3 × 3 begins where its middle is.
    let (side, stride, border) = match kind {
        Kind::Same => (3, 1, 0),
        Kind::Halve => (3, 2, 0),
        Kind::Double | Kind::Mix => (1, 1, 1),
    };
    let length = side * from.channels;
    let mut sums = [[0.0; LANES]; PLACES];
    for (line, weights) in weights.chunks_exact(length).enumerate() {
        let windows: [&[f32]; PLACES] = places.map(|place| {
            let start = from.start(place * stride + border, row * stride + line + border);
            &from.values[start..start + length]
        });
        for (at, weights) in weights.iter().enumerate() {
            for (sums, window) in sums.iter_mut().zip(windows) {
                let value = window[at];
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += value * weight;
                }
            }
        }
    }
    sums
}

/// Adds what is to be added to sixteen sums of one place, and stores them.
#[inline(always)]
fn finish(layer: &Ordered, block: usize, sums: &mut [f32; LANES], add: Option<&[f32]>, made: &mut [f32]) {
    for (sum, bias) in sums.iter_mut().zip(&layer.biases[block]) {
        *sum += bias;
    }
    let cut = block * LANES..layer.outputs.min((block + 1) * LANES);
    if let Some(add) = add {
        for (sum, add) in sums.iter_mut().zip(&add[cut.clone()]) {
            *sum += add;
        }
    }
    for (made, sum) in made[cut].iter_mut().zip(sums) {
        *made = sum.max(layer.floor);
    }
}
