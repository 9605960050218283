//! A network in whole numbers of 8 bits: a quarter of the memory, and products of four at a time.
//!
//! A number stands for itself times a scale: one for each tensor, from the largest value that was seen there in training, and
//! one for each output of a layer's weights, from its largest weight. Sums are exact, in 32 bits.

use crate::conv::Tensor;
use crate::network::{Layer, Network};

/// The largest number; the least is its negative.
pub(crate) const LARGEST: f32 = 127.0;

/// Of each tensor, what 1 stands for. All features lie within ±1; a tensor that is only added may reach as far as any.
pub(crate) fn scales(network: &Network) -> Vec<f32> {
    let layers = network.layers();
    let farthest = layers.iter().map(|layer| layer.reach).fold(1.0, f32::max);
    let reach = |tensor: usize| match tensor {
        0 => 1.0,
        _ => {
            let readers = layers.iter().filter(|layer| layer.from == tensor);
            readers.map(|layer| layer.reach).reduce(f32::max).unwrap_or(farthest)
        }
    };
    (0..=layers.len()).map(|tensor| reach(tensor) / LARGEST).collect()
}

/// The weights of each output in whole numbers, and what 1 stands for in each output.
pub(crate) fn rounded(layer: &Layer) -> (Vec<f32>, Vec<f32>) {
    let length = layer.inputs * layer.kind.taps();
    let scale = |weights: &[f32]| {
        let largest = weights
            .iter()
            .fold(0.0_f32, |largest, weight| largest.max(weight.abs()));
        if largest > 0.0 { largest / LARGEST } else { 1.0 }
    };
    let scales: Vec<f32> = layer.weights.chunks_exact(length).map(scale).collect();
    let weights = layer.weights.chunks_exact(length).zip(&scales);
    let whole =
        weights.flat_map(|(weights, scale)| weights.iter().map(move |weight| (weight / scale).round_ties_even()));
    (whole.collect(), scales)
}

/// A layer whose weights are what their whole numbers stand for.
pub(crate) fn rounded_layer(layer: &Layer) -> Layer {
    let (mut weights, scales) = rounded(layer);
    let length = layer.inputs * layer.kind.taps();
    for (weights, scale) in weights.chunks_exact_mut(length).zip(scales) {
        weights.iter_mut().for_each(|weight| *weight *= scale);
    }
    Layer {
        weights,
        ..layer.clone()
    }
}

/// What is left of a tensor in 8 bits of this scale.
pub fn reference(tensor: &mut Tensor, scale: f32) {
    for value in tensor.values_mut() {
        *value = (*value / scale).round_ties_even().clamp(-LARGEST - 1.0, LARGEST) * scale;
    }
}
