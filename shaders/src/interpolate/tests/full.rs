//! Pictures with what the residual network adds.

use super::*;
use crate::features::CHANNELS;
use crate::maker::Precision;
use crate::network::tests::{HEADS, file};
use crate::network::{Network, NetworkError};

/// A network with every kind of layer, whose drawn weights change a picture a lot.
fn drawn_network(seed: u64) -> Network {
    let mut heads = HEADS;
    heads[0][4] = CHANNELS as u32;
    let bytes = file(CHANNELS as u32, &heads, &mut fastrand::Rng::with_seed(seed));
    Network::parse(&bytes).unwrap()
}

#[test]
fn the_device_corrects_as_the_reference_does() {
    let Some(device) = device_or_skip("the residual network") else {
        return;
    };
    let network = drawn_network(5);
    for precision in Precision::ALL {
        let ready = match precision {
            Precision::F16 if !device.has_half() => continue,
            Precision::Int8 => Ready::packed(network.clone()),
            _ => Ready::new(network.clone()),
        };
        let maker = Maker::of(&device, &network, precision).unwrap();
        for (seed, size) in (0..).zip([(96, 64), (97, 61), (131, 75), (34, 17), (5, 3), (1, 1)]) {
            let mut random = fastrand::Rng::with_seed(seed);
            let (width, height) = size;
            let fields = match seed % 2 {
                0 => [(); 2].map(|()| field(width, height, random.u64(..), |_, _| (5.0, -1.0))),
                _ => [(); 2].map(|()| hostile(&mut random)),
            };
            let pictures = [0.0, 1.0].map(|time| rendered(width, height, |x, y| texture(x - 5.0 * time, y + time)));
            let [before, motion] = fields.each_ref().map(|field| Motion::new(field, size));
            let at = random.f32() * 0.8 + 0.1;
            let pair = Pair {
                earlier: &pictures[0],
                later: &pictures[1],
                before: Some(&before),
                motion: &motion,
            };
            let Some((plain, features)) = examine(pair, at).unwrap() else {
                continue;
            };
            let mut planes =
                [&plain.pixels.y, &plain.pixels.u, &plain.pixels.v].map(|plane| (*plane.bytes).as_ref().to_vec());
            residual::reference(&mut planes, size, &ready.answer(Tensor::of(&features)));
            let expected = planes.concat();
            let fields = fields.each_ref();
            let (found, made) = on_device(&device, &maker, pictures.each_ref(), fields, (at, Rung::Full));
            assert_eq!(made.rung, Rung::Full);
            let changed = expected
                .iter()
                .zip(concatenated(&plain))
                .filter(|(a, b)| *a != b)
                .count();
            assert!(
                2 * changed > expected.len(),
                "{changed} of {} samples changed",
                expected.len()
            );
            assert_near(&found, &expected, &format!("{precision:?}, seed {seed}, {size:?}"));
        }
    }
}

#[test]
fn nothing_is_added_to_what_is_held() {
    let Some(device) = device_or_skip("the network on held pictures") else {
        return;
    };
    let maker = Maker::of(&device, &drawn_network(6), Precision::F32).unwrap();
    let (width, height) = (64, 48);
    let scene = rendered(width, height, texture);
    let other = rendered(width, height, |x, y| 255.0 - texture(y * 3.0 + 700.0, x * 2.0));
    let moving = field(width, height, 1, |_, _| (1.0, 0.0));
    for (later, held) in [(&scene, Held::Repeated), (&other, Held::Cut)] {
        for (at, nearer) in [(0.4, &scene), (0.6, later), (0.0, &scene), (1.0, later)] {
            let (found, made) = on_device(&device, &maker, [&scene, later], [&moving, &moving], (at, Rung::Full));
            assert_eq!(found, concatenated(nearer), "at {at}");
            let said = (made.rung == Rung::Full).then_some(held);
            assert_eq!(made.verdict.read(&device).unwrap(), said);
        }
    }
}

#[test]
fn memory_is_used_again() {
    let Some(device) = device_or_skip("the memory between pictures") else {
        return;
    };
    let maker = Maker::of(&device, &drawn_network(7), Precision::F32).unwrap();
    let pictures = [0.0, 1.0].map(|time| rendered(96, 64, |x, y| texture(x - 5.0 * time, y)));
    let moving = field(96, 64, 1, |_, _| (5.0, 0.0));
    let make = |rung| on_device(&device, &maker, pictures.each_ref(), [&moving, &moving], (0.5, rung)).0;
    let first = make(Rung::Full);
    let kept = maker.memory();
    for _ in 0..5 {
        assert_eq!(make(Rung::Full), first, "what lies in the memory must not matter");
        assert_eq!(maker.memory(), kept);
    }
    make(Rung::Vectors);
    assert_eq!((make(Rung::Full), maker.memory()), (first, kept));
}

#[test]
fn the_built_in_network_adds_to_pictures_of_any_size() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let size = (random.u32(1..70), random.u32(1..50));
        let [earlier, later] = [(); 2].map(|()| random_picture(&mut random, size.0, size.1));
        let [before, motion] = [(); 2].map(|()| Motion::new(&hostile(&mut random), size));
        let pair = Pair {
            earlier: &earlier,
            later: &later,
            before: Some(&before),
            motion: &motion,
        };
        let made = make(pair, random.f32(), Rung::Full).unwrap();
        assert_eq!(luma(&made.picture).len(), (size.0 * size.1) as usize, "seed {seed}");
        for (at, end) in [(0.0, &earlier), (1.0, &later)] {
            let made = make(pair, at, Rung::Full).unwrap();
            assert_eq!(concatenated(&made.picture), concatenated(end), "seed {seed}");
        }
    }
}

#[test]
fn a_network_that_looks_at_something_else_is_refused() {
    let bytes = file(10, &HEADS, &mut fastrand::Rng::with_seed(1));
    assert_eq!(
        Network::parse(&bytes).and_then(Network::for_pictures),
        Err(NetworkError::Channels(10))
    );
    assert!(drawn_network(1).for_pictures().is_ok());
}
