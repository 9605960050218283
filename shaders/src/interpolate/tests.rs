use hearsight_core::media::Block;

mod beyond;
mod full;

use super::*;
use crate::maker::{self, Maker};
use crate::rig::{device_or_skip, plane, random_picture};
use crate::{Device, Texture};

/// A picture of the luma that `luma` gives for every place, and chroma that changes with it.
fn rendered(width: u32, height: u32, luma: impl Fn(f64, f64) -> f64) -> Picture<Planes> {
    let sheet = |columns: u32, rows: u32, side: f64| {
        let places = (0..rows).flat_map(|y| (0..columns).map(move |x| (f64::from(x) * side, f64::from(y) * side)));
        let bytes = places
            .map(|(x, y)| luma(x, y).round().clamp(16.0, 235.0) as u8)
            .collect();
        plane(bytes, columns as usize)
    };
    let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
    let (y, u, v) = (
        sheet(width, height, 1.0),
        sheet(columns, rows, 2.0),
        sheet(columns, rows, 2.0),
    );
    let pixels = Planes { y, u, v };
    Picture { width, height, pixels }
}

fn texture(x: f64, y: f64) -> f64 {
    let broad = (x * 0.021 + y * 0.013).sin() + (y * 0.027 - x * 0.009).sin();
    let middle = (x * 0.11 + y * 0.05).sin() + (x * 0.043 - y * 0.13).sin() + (x * 0.19 + (y * 0.17).sin()).sin();
    126.0 + broad * 22.0 + middle * 20.0
}

/// Blocks of 16 × 16 over the whole picture with the motion that `motion` gives at their middles, in quarters of a pixel,
/// as a coder finds it: a tenth of the blocks without a vector, and a twentieth with a wrong one.
fn field(width: u32, height: u32, seed: u64, motion: impl Fn(f64, f64) -> (f64, f64)) -> MotionField {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut blocks = Vec::new();
    for y in (0..height as i16).step_by(16) {
        for x in (0..width as i16).step_by(16) {
            let (mut dx, mut dy) = motion(f64::from(x) + 7.5, f64::from(y) + 7.5);
            match random.u8(..20) {
                0 | 1 => continue,
                2 => (dx, dy) = (random.f64() * 30.0 - 15.0, random.f64() * 30.0 - 15.0),
                _ => {}
            }
            let [dx, dy] = [dx, dy].map(|part| -(part * 4.0).round() as f32 / 4.0);
            let (width, height, reference) = (16, 16, -1);
            blocks.push(Block {
                x,
                y,
                width,
                height,
                reference,
                dx,
                dy,
            });
        }
    }
    MotionField { blocks: blocks.into() }
}

fn luma(picture: &Picture<Planes>) -> Vec<u8> {
    let rows = (0..picture.height as usize).filter_map(|y| picture.pixels.y.row(y, picture.width as usize));
    rows.flatten().copied().collect()
}

/// Of all three planes together, in dB.
fn psnr(made: &Picture<Planes>, truth: &Picture<Planes>) -> f64 {
    let (made, truth) = (concatenated(made), concatenated(truth));
    let squares = made.iter().zip(&truth).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
    10.0 * (255.0_f64.powi(2) / (squares.sum::<f64>() / made.len() as f64).max(1e-6)).log10()
}

/// What is between two pictures of `scene`, at time 0 and 1, and how near it comes to the true one and to a blend's.
fn rebuilt(scene: impl Fn(f64, f64, f64) -> f64, motion: impl Fn(f64, f64) -> (f64, f64), at: f32) -> (f64, f64) {
    let (width, height) = (240, 136);
    let [earlier, later, truth] =
        [0.0, 1.0, f64::from(at)].map(|time| rendered(width, height, |x, y| scene(time, x, y)));
    let motion = Motion::new(&field(width, height, 7, motion), (width, height));
    let (earlier, later) = (&earlier, &later);
    let pair = Pair {
        earlier,
        later,
        before: Some(&motion),
        motion: &motion,
    };
    let made = make(pair, at, Rung::Vectors).unwrap();
    assert_eq!((made.rung, made.held), (Rung::Vectors, None));
    let blend = make(pair, at, Rung::Blend).unwrap();
    assert_eq!(blend.rung, Rung::Blend);
    (psnr(&made.picture, &truth), psnr(&blend.picture, &truth))
}

fn assert_golden(what: &str, (made, blend): (f64, f64), floor: f64) {
    assert!(made >= floor, "{what}: {made:.1} dB, where it was {floor} or more");
    assert!(made > blend + 3.0, "{what}: {made:.1} dB, a blend has {blend:.1}");
}

#[test]
fn a_translation_is_met_at_any_time() {
    for at in [0.25, 0.5, 0.8] {
        let scene = |time, x, y| texture(x - 6.5 * time, y + 3.0 * time);
        assert_golden("translation", rebuilt(scene, |_, _| (6.5, -3.0), at), 38.0);
    }
}

#[test]
fn a_rotation_is_met() {
    let turned = |angle: f64, x: f64, y: f64| {
        let (sin, cos) = angle.sin_cos();
        let (x, y) = (x - 120.0, y - 68.0);
        (cos * x + sin * y, cos * y - sin * x)
    };
    let scene = |time: f64, x: f64, y: f64| {
        let (x, y) = turned(0.05 * time, x, y);
        texture(x + 300.0, y + 200.0)
    };
    // The later picture is asked where its content was.
    let motion = |x: f64, y: f64| {
        let (was_x, was_y) = turned(0.05, x, y);
        (x - 120.0 - was_x, y - 68.0 - was_y)
    };
    assert_golden("rotation", rebuilt(scene, motion, 0.5), 36.0);
}

#[test]
fn what_hides_and_what_is_hidden_are_kept_apart() {
    let inside = |time: f64, x: f64, y: f64| (x - 80.0 - 8.0 * time).hypot(y - 68.0) < 40.0;
    let scene = |time: f64, x: f64, y: f64| {
        if inside(time, x, y) {
            255.0 - texture(1.3 * (x - 8.0 * time), 1.3 * y)
        } else {
            texture(x + 4.0 * time, y)
        }
    };
    let motion = |x: f64, y: f64| if inside(1.0, x, y) { (8.0, 0.0) } else { (-4.0, 0.0) };
    assert_golden("occlusion", rebuilt(scene, motion, 0.5), 26.0);
}

/// Letters over a moving ground stay what they are: their own pixels are hardly touched.
#[test]
fn what_stands_still_stays_sharp() {
    let letter = |x: f64, y: f64| (40.0..200.0).contains(&x) && (90.0..106.0).contains(&y) && (x as i32 % 12) < 4;
    let scene = |time: f64, x: f64, y: f64| {
        if letter(x, y) {
            235.0
        } else {
            texture(x - 8.0 * time, y)
        }
    };
    let (width, height) = (240, 136);
    let [earlier, later] = [0.0, 1.0].map(|time| rendered(width, height, |x, y| scene(time, x, y)));
    let still = |_: f64, y: f64| {
        if (80.0..112.0).contains(&y) {
            (0.0, 0.0)
        } else {
            (8.0, 0.0)
        }
    };
    let motion = Motion::new(&field(width, height, 3, still), (width, height));
    let (earlier, later) = (&earlier, &later);
    let pair = Pair {
        earlier,
        later,
        before: None,
        motion: &motion,
    };
    let made = luma(&make(pair, 0.5, Rung::Vectors).unwrap().picture);
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let strokes = places.filter(|(x, y)| letter(f64::from(*x), f64::from(*y)));
    let mut off: Vec<u8> = strokes
        .map(|(x, y)| made[(y * width + x) as usize].abs_diff(235))
        .collect();
    off.sort_unstable();
    assert!(
        off[off.len() * 9 / 10] <= 12,
        "nine of ten are off by up to {}",
        off[off.len() * 9 / 10]
    );
}

/// A field of anything at all.
fn hostile(random: &mut fastrand::Rng) -> MotionField {
    let number = |random: &mut fastrand::Rng| match random.u8(..8) {
        0 => f32::NAN,
        1 => f32::INFINITY,
        2 => f32::MIN,
        3 => 0.0,
        4 => 512.0,
        5 => f32::from_bits(random.u32(..)),
        _ => random.f32() * 64.0 - 32.0,
    };
    let blocks = (0..random.usize(..400)).map(|_| {
        let anywhere = random.bool();
        let place = |random: &mut fastrand::Rng| if anywhere { random.i16(..) } else { random.i16(-20..100) };
        Block {
            x: place(random),
            y: place(random),
            width: random.u8(..),
            height: random.u8(..),
            reference: random.i8(..),
            dx: number(random),
            dy: number(random),
        }
    });
    MotionField {
        blocks: blocks.collect(),
    }
}

#[test]
fn any_field_makes_a_picture_and_the_ends_are_the_pictures_themselves() {
    for seed in 0..150 {
        let mut random = fastrand::Rng::with_seed(seed);
        let size = (random.u32(1..90), random.u32(1..70));
        let [earlier, later] = [(); 2].map(|()| random_picture(&mut random, size.0, size.1));
        // A field made for another size counts for nothing, and does no harm.
        let other = if random.u8(..4) == 0 {
            (random.u32(1..90), random.u32(1..70))
        } else {
            size
        };
        let (before, motion) = (
            Motion::new(&hostile(&mut random), other),
            Motion::new(&hostile(&mut random), size),
        );
        for vector in motion
            .soft
            .vectors
            .iter()
            .flatten()
            .chain(before.soft.vectors.iter().flatten())
        {
            assert!(
                vector.unsigned_abs() <= crate::grid::LONGEST as u16,
                "seed {seed}: {vector}"
            );
        }
        let (pair_earlier, pair_later) = (&earlier, &later);
        let pair = Pair {
            earlier: pair_earlier,
            later: pair_later,
            before: Some(&before),
            motion: &motion,
        };
        for at in [random.f32(), f32::NAN, -3.0, f32::INFINITY, 0.5] {
            for rung in [Rung::Vectors, Rung::Blend, Rung::Hold] {
                let made = make(pair, at, rung).unwrap();
                assert_eq!((made.picture.width, made.picture.height), size, "seed {seed}");
                assert_eq!(luma(&made.picture).len(), (size.0 * size.1) as usize, "seed {seed}");
                assert!(made.rung >= rung || made.held.is_some(), "seed {seed}");
            }
        }
        for (at, end) in [(0.0, &earlier), (1.0, &later)] {
            let made = make(pair, at, Rung::Vectors).unwrap();
            assert_eq!(luma(&made.picture), luma(end), "seed {seed}");
        }
    }
}

#[test]
fn repeats_cuts_and_changes_of_size_are_held() {
    let (width, height) = (64, 48);
    let scene = rendered(width, height, texture);
    let other = rendered(width, height, |x, y| 255.0 - texture(y * 3.0 + 700.0, x * 2.0));
    let small = rendered(32, 48, texture);
    let motion = Motion::new(&field(width, height, 1, |_, _| (1.0, 0.0)), (width, height));
    let (earlier, motion) = (&scene, &motion);
    let held = |later: &Picture<Planes>, rung| {
        make(
            Pair {
                earlier,
                later,
                before: None,
                motion,
            },
            0.5,
            rung,
        )
        .unwrap()
        .held
    };
    for rung in [Rung::Vectors, Rung::Blend] {
        assert_eq!(held(&scene, rung), Some(Held::Repeated));
        assert_eq!(held(&other, rung), Some(Held::Cut));
        assert_eq!(held(&small, rung), Some(Held::Resized));
    }
    assert_eq!(held(&other, Rung::Hold), None);
}

/// Without vectors of its own a picture is taken to go on as the one before it did.
#[test]
fn a_key_picture_is_met_by_the_motion_before_it() {
    let (width, height) = (240, 136);
    let [earlier, truth, later] =
        [0.0, 0.5, 1.0].map(|time| rendered(width, height, |x, y| texture(x - 8.0 * time, y)));
    let before = Motion::new(&field(width, height, 2, |_, _| (8.0, 0.0)), (width, height));
    let none = Motion::new(&MotionField::default(), (width, height));
    let (earlier, later, motion) = (&earlier, &later, &none);
    let known = make(
        Pair {
            earlier,
            later,
            before: Some(&before),
            motion,
        },
        0.5,
        Rung::Vectors,
    )
    .unwrap();
    let unknown = make(
        Pair {
            earlier,
            later,
            before: None,
            motion,
        },
        0.5,
        Rung::Vectors,
    )
    .unwrap();
    assert_eq!((known.rung, unknown.rung), (Rung::Vectors, Rung::Blend));
    assert!(psnr(&known.picture, &truth) > 38.0);
}

/// What the device makes of a pair, as planes one after the other, and what it cost.
fn on_device(
    device: &Device,
    maker: &Maker,
    [earlier, later]: [&Picture<Planes>; 2],
    [before, motion]: [&MotionField; 2],
    (at, rung): (f32, Rung),
) -> (Vec<u8>, maker::Made) {
    let size = (earlier.width, earlier.height);
    let [earlier, later] = [earlier, later].map(|picture| Texture::upload(device, picture).unwrap());
    let [before, motion] = [before, motion].map(|field| maker.motion(device, field, size).unwrap().0);
    let (earlier, later, before, motion) = (&earlier, &later, Some(&before), &motion);
    let pair = maker::Pair {
        earlier,
        later,
        before,
        motion,
    };
    let made = maker.make(device, pair, at, rung).unwrap();
    (made.picture.pixels.read(device).unwrap().concat(), made)
}

fn concatenated(picture: &Picture<Planes>) -> Vec<u8> {
    let half = (picture.width.div_ceil(2) as usize, picture.height.div_ceil(2) as usize);
    let mut all = luma(picture);
    for plane in [&picture.pixels.u, &picture.pixels.v] {
        all.extend((0..half.1).filter_map(|row| plane.row(row, half.0)).flatten());
    }
    all
}

/// Of a hundred samples, ninety-nine differ by no more than rounding.
fn assert_near(found: &[u8], expected: &[u8], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let mut off: Vec<u8> = found.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).collect();
    off.sort_unstable();
    let worst = off[(off.len() - 1) * 99 / 100];
    assert!(worst <= 1, "{what}: 99 of 100 samples are off by up to {worst}");
}

#[test]
fn the_device_makes_what_the_reference_makes() {
    let Some(device) = device_or_skip("interpolation") else {
        return;
    };
    let maker = Maker::new(&device).unwrap();
    for (seed, size) in [(96, 64), (97, 61), (131, 75), (8, 8), (5, 3), (1, 1)]
        .into_iter()
        .enumerate()
    {
        let mut random = fastrand::Rng::with_seed(seed as u64);
        let (width, height) = size;
        let speed = f64::from(random.i8(-8..8));
        let [earlier, later] =
            [0.0, 1.0].map(|time| rendered(width, height, |x, y| texture(x - speed * time, y + time)));
        let fields = if seed % 2 == 0 {
            [(); 2].map(|()| field(width, height, random.u64(..), |_, _| (speed, -1.0)))
        } else {
            [(); 2].map(|()| hostile(&mut random))
        };
        let [before, motion] = fields.each_ref().map(|field| Motion::new(field, size));
        let (at, how) = (random.f32() * 0.8 + 0.1, Rung::Vectors);
        let (found, made) = on_device(&device, &maker, [&earlier, &later], fields.each_ref(), (at, how));
        let (earlier, later, before, motion) = (&earlier, &later, Some(&before), &motion);
        let expected = make(
            Pair {
                earlier,
                later,
                before,
                motion,
            },
            at,
            how,
        )
        .unwrap();
        assert_near(
            &found,
            &concatenated(&expected.picture),
            &format!("seed {seed}, {size:?}"),
        );
        let cost = made.cost;
        assert!(cost.dispatches > 0 && (1..1000).contains(&cost.bytes), "{cost:?}");
    }
}

#[test]
fn the_device_holds_what_the_reference_holds() {
    let Some(device) = device_or_skip("holding repeats and cuts") else {
        return;
    };
    let maker = Maker::new(&device).unwrap();
    let (width, height) = (64, 48);
    let scene = rendered(width, height, texture);
    let other = rendered(width, height, |x, y| 255.0 - texture(y * 3.0 + 700.0, x * 2.0));
    let moving = field(width, height, 1, |_, _| (1.0, 0.0));
    for later in [&scene, &other] {
        for (at, nearer) in [(0.4, &scene), (0.6, later), (0.0, &scene), (1.0, later)] {
            let (found, _) = on_device(
                &device,
                &maker,
                [&scene, later],
                [&moving, &moving],
                (at, Rung::Vectors),
            );
            assert_eq!(found, concatenated(nearer), "at {at}");
        }
    }
}
