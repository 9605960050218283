use super::*;
use crate::conv;
use crate::conv::Tensor;

/// A layer of a file: its six numbers; weights and biases are drawn.
pub(crate) type Head = [u32; 6];

const NONE: u32 = u32::MAX;

/// A network of three levels with every kind of layer, and tensors that are added.
pub(crate) const HEADS: [Head; 9] = [
    [3, 1, 0, NONE, 10, 12],
    [0, 1, 1, NONE, 12, 12],
    [1, 1, 2, NONE, 12, 20],
    [1, 1, 3, NONE, 20, 36],
    [0, 0, 4, 4, 36, 36],
    [2, 1, 5, 3, 36, 20],
    [2, 0, 6, 2, 20, 12],
    [0, 1, 7, 1, 12, 12],
    [0, 0, 8, NONE, 12, ANSWER as u32],
];

/// A file with drawn weights.
pub(crate) fn file(channels: u32, heads: &[Head], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = b"HSRN".to_vec();
    for word in [1, channels, heads.len() as u32] {
        bytes.extend(word.to_le_bytes());
    }
    for head in heads {
        let [kind, _, _, _, inputs, outputs] = *head;
        bytes.extend(head.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(4.0_f32.to_le_bytes());
        let taps = [9, 9, 4, 1][kind as usize % 4];
        let size = 1.5 / ((inputs * if kind == 2 { 1 } else { taps }) as f32).sqrt();
        let mut count = 0;
        for _ in 0..inputs * outputs * taps {
            bytes.extend(to_half((random.f32() - 0.5) * 2.0 * size).to_le_bytes());
            count += 1;
        }
        if count % 2 == 1 {
            bytes.extend([0; 2]);
        }
        for _ in 0..outputs {
            bytes.extend((random.f32() * 0.2 - 0.1).to_le_bytes());
        }
    }
    bytes
}

/// A tensor of values of a few hundredths to one.
pub(crate) fn drawn(random: &mut fastrand::Rng, (columns, rows): (usize, usize), channels: usize) -> Tensor {
    let mut tensor = Tensor::new(columns, rows, channels);
    for row in 0..rows {
        for column in 0..columns {
            for value in tensor.at_mut(column, row) {
                *value = random.f32() * 2.0 - 1.0;
            }
        }
    }
    tensor
}

/// The value at a place, or zero beyond the edges.
fn at(tensor: &Tensor, column: i64, row: i64, channel: usize) -> f64 {
    let inside = (0..tensor.columns as i64).contains(&column) && (0..tensor.rows as i64).contains(&row);
    if inside {
        f64::from(tensor.at(column as usize, row as usize)[channel])
    } else {
        0.0
    }
}

/// One value of a layer's answer, as the words of its kind have it.
fn by_definition(layer: &Layer, from: &Tensor, add: Option<&Tensor>, (column, row): (i64, i64), output: usize) -> f64 {
    let weight = |input: usize, tap: i64| {
        let index = (output * layer.inputs + input) * layer.kind.taps() + tap as usize;
        f64::from(layer.weights[index])
    };
    let mut sum = f64::from(layer.biases[output]);
    for input in 0..layer.inputs {
        let window = |stride: i64| {
            let taps = (0..9).map(move |tap| (tap, stride * column + tap % 3 - 1, stride * row + tap / 3 - 1));
            taps.map(|(tap, x, y)| weight(input, tap) * at(from, x, y, input))
                .sum::<f64>()
        };
        sum += match layer.kind {
            Kind::Same => window(1),
            Kind::Halve => window(2),
            Kind::Double => weight(input, row % 2 * 2 + column % 2) * at(from, column / 2, row / 2, input),
            Kind::Mix => weight(input, 0) * at(from, column, row, input),
        };
    }
    sum += add.map_or(0.0, |add| at(add, column, row, output));
    sum.max(f64::from(layer.floor))
}

#[test]
fn every_kind_of_layer_is_what_its_words_say() {
    for seed in 0..12 {
        let mut random = fastrand::Rng::with_seed(seed);
        let network = Network::parse(&file(10, &HEADS, &mut random)).unwrap();
        let size = (random.usize(1..24), random.usize(1..14));
        for (number, layer) in network.layers().iter().enumerate() {
            let (source, target) = (network.size(layer.from, size), network.size(number + 1, size));
            let from = drawn(&mut random, source, layer.inputs);
            let add = layer.add.map(|_| drawn(&mut random, target, layer.outputs));
            let mut made = Tensor::new(target.0, target.1, layer.outputs);
            conv::reference(&Ordered::new(layer), &from, add.as_ref(), &mut made);
            for (row, column) in (0..target.1).flat_map(|row| (0..target.0).map(move |column| (row, column))) {
                for (output, found) in made.at(column, row).iter().enumerate() {
                    let place = (column as i64, row as i64);
                    let expected = by_definition(layer, &from, add.as_ref(), place, output);
                    let off = (f64::from(*found) - expected).abs();
                    assert!(
                        off < 1e-4,
                        "seed {seed}, layer {number}, {place:?}: {found} is not {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn halves_are_read_and_written_as_the_standard_says() {
    for (half, value) in [
        (0x0000, 0.0),
        (0x3c00, 1.0),
        (0xc000, -2.0),
        (0x7bff, 65504.0),
        (0x0001, 5.960_464_5e-8),
        (0x3555, 0.333_251_95),
    ] {
        assert_eq!((from_half(half), to_half(value)), (value, half));
    }
    assert!(from_half(0x7c00).is_infinite() && from_half(0x7e00).is_nan());
    for half in (0..0x7c00).chain(0x8000..0xfc00) {
        assert_eq!(to_half(from_half(half)), half);
    }
    assert_eq!(
        (to_half(1.0 / 3.0), to_half(1e9), to_half(2049.0)),
        (0x3555, 0x7bff, 0x6800)
    );
}

#[test]
fn a_network_answers_for_any_size() {
    let mut random = fastrand::Rng::with_seed(1);
    let network = Network::parse(&file(10, &HEADS, &mut random)).unwrap();
    let ready = Ready::new(network);
    for size in [(1, 1), (2, 1), (3, 5), (17, 9), (24, 16)] {
        let answer = ready.answer(drawn(&mut random, size, 10));
        assert_eq!((answer.columns, answer.rows, answer.channels), (size.0, size.1, ANSWER));
        let values = (0..size.1).flat_map(|row| (0..size.0).map(move |column| (column, row)));
        assert!(values.flat_map(|(x, y)| answer.at(x, y)).all(|value| value.is_finite()));
    }
}

#[test]
fn the_one_that_is_built_in_can_be_read() {
    let network = Ready::built_in().network();
    assert!(network.parameters() <= 300_000, "{} parameters", network.parameters());
}

#[test]
fn a_damaged_file_is_refused_with_a_reason() {
    let mut random = fastrand::Rng::with_seed(2);
    let good = file(10, &HEADS, &mut random);
    for length in (0..200).chain((200..good.len()).step_by(997)) {
        assert!(Network::parse(&good[..length]).is_err(), "cut at {length}");
    }
    let mut long = good.clone();
    long.push(0);
    assert_eq!(Network::parse(&long), Err(NetworkError::Long(1)));
    for seed in 0..600 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut broken = good.clone();
        for _ in 0..random.usize(1..4) {
            // Most of a file is weights, which may be anything: its heads are more interesting.
            let place = if random.bool() {
                random.usize(..60)
            } else {
                random.usize(..broken.len())
            };
            broken[place] = random.u8(..);
        }
        if let Ok(network) = Network::parse(&broken) {
            let count = network.layers().len();
            assert_eq!(network.size(count, (5, 3)), (5, 3), "seed {seed}");
        }
    }
}

#[test]
fn layers_that_do_not_fit_are_refused() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut parse = |change: &dyn Fn(&mut [Head; 9])| {
        let mut heads = HEADS;
        change(&mut heads);
        Network::parse(&file(10, &heads, &mut random)).map(drop)
    };
    assert_eq!(parse(&|_| ()), Ok(()));
    type Change<'a> = &'a dyn Fn(&mut [Head; 9]);
    let changes: [Change<'_>; 6] = [
        &|heads| heads[3][2] = 9,
        &|heads| heads[3][2] = 2,
        &|heads| heads[4][3] = 3,
        &|heads| heads[4][1] = 2,
        &|heads| heads[0][4] = 11,
        &|heads| heads[8][5] = 25,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(parse(change).is_err(), "change {number}");
    }
    let twice = [[2, 0, 0, NONE, 10, ANSWER as u32]];
    assert!(Network::parse(&file(10, &twice, &mut random)).is_err());
}
