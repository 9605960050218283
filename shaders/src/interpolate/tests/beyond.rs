//! Pictures after the last one, and what the device says about those it makes.

use super::*;

type Scene<'a> = &'a dyn Fn(f64, f64, f64) -> f64;

/// How near the picture `by` intervals after the later one comes to the true one, and how near the later one itself.
fn foretold(scene: Scene<'_>, motion: impl Fn(f64, f64) -> (f64, f64), by: f32) -> (f64, f64) {
    let (width, height) = (240, 136);
    let [earlier, later, truth] =
        [0.0, 1.0, 1.0 + f64::from(by)].map(|time| rendered(width, height, |x, y| scene(time, x, y)));
    let motion = Motion::new(&field(width, height, 11, motion), (width, height));
    let pair = Pair {
        earlier: &earlier,
        later: &later,
        before: Some(&motion),
        motion: &motion,
    };
    let made = extrapolate(pair, by, Rung::Vectors).unwrap();
    assert_eq!((made.rung, made.held), (Rung::Vectors, None));
    let full = extrapolate(pair, by, Rung::Full).unwrap();
    assert_eq!(concatenated(&full.picture), concatenated(&made.picture));
    (psnr(&made.picture, &truth), psnr(&later, &truth))
}

#[test]
fn what_moves_goes_on() {
    let scene: Scene<'_> = &|time, x, y| texture(x - 6.5 * time, y + 3.0 * time);
    for (by, floor) in [(0.25, 34.0), (0.5, 32.0), (1.0, 30.0)] {
        assert_golden("onward", foretold(scene, |_, _| (6.5, -3.0), by), floor);
    }
}

#[test]
fn what_is_uncovered_is_filled() {
    let inside = |time: f64, x: f64, y: f64| (x - 80.0 - 8.0 * time).hypot(y - 68.0) < 40.0;
    let scene: Scene<'_> = &|time, x, y| {
        if inside(time, x, y) {
            255.0 - texture(1.3 * (x - 8.0 * time), 1.3 * y)
        } else {
            texture(x + 4.0 * time, y)
        }
    };
    let motion = |x: f64, y: f64| if inside(1.0, x, y) { (8.0, 0.0) } else { (-4.0, 0.0) };
    assert_golden("uncovered", foretold(scene, motion, 0.5), 22.0);
}

#[test]
fn where_nothing_leads_on_the_last_picture_is_held() {
    let size @ (width, height) = (240, 136);
    let scene = rendered(width, height, texture);
    let moved = rendered(width, height, |x, y| texture(x - 3.0, y));
    let other = rendered(width, height, |x, y| 255.0 - texture(y * 3.0 + 700.0, x * 2.0));
    let small = rendered(32, 136, texture);
    let moving = Motion::new(&field(width, height, 1, |_, _| (3.0, 0.0)), size);
    let none = Motion::new(&MotionField::default(), size);
    let earlier = &scene;
    let held = |later: &Picture<Planes>, motion: &Motion, by, rung| {
        let pair = Pair {
            earlier,
            later,
            before: None,
            motion,
        };
        let made = extrapolate(pair, by, rung).unwrap();
        assert_eq!(made.rung, Rung::Hold);
        assert_eq!(concatenated(&made.picture), concatenated(later));
        made.held
    };
    assert_eq!(held(&moved, &none, 0.5, Rung::Vectors), Some(Held::Unled));
    assert_eq!(held(&scene, &moving, 0.5, Rung::Vectors), Some(Held::Repeated));
    assert_eq!(held(&other, &moving, 0.5, Rung::Vectors), Some(Held::Cut));
    assert_eq!(held(&small, &moving, 0.5, Rung::Vectors), Some(Held::Resized));
    assert_eq!(held(&moved, &moving, 0.5, Rung::Blend), None);
    for by in [0.0, -1.0, f32::NAN] {
        assert_eq!(held(&moved, &moving, by, Rung::Vectors), None);
    }
}

#[test]
fn any_field_leads_somewhere() {
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let size = (random.u32(1..90), random.u32(1..70));
        let [earlier, later] = [(); 2].map(|()| random_picture(&mut random, size.0, size.1));
        let [before, motion] = [(); 2].map(|()| Motion::new(&hostile(&mut random), size));
        let pair = Pair {
            earlier: &earlier,
            later: &later,
            before: Some(&before),
            motion: &motion,
        };
        for by in [random.f32(), 1.0, 7.0, f32::INFINITY] {
            let made = extrapolate(pair, by, Rung::Vectors).unwrap();
            assert_eq!(luma(&made.picture).len(), (size.0 * size.1) as usize, "seed {seed}");
        }
    }
}

#[test]
fn the_device_goes_on_as_the_reference_does() {
    let Some(device) = device_or_skip("extrapolation") else {
        return;
    };
    let maker = Maker::new(&device).unwrap();
    for (seed, size) in (0..).zip([(96, 64), (97, 61), (5, 3), (1, 1)]) {
        let mut random = fastrand::Rng::with_seed(seed);
        let (width, height) = size;
        let fields = match seed {
            0 => [(); 2].map(|()| field(width, height, 5, |_, _| (6.0, -1.0))),
            _ => [(); 2].map(|()| hostile(&mut random)),
        };
        let pictures = [0.0, 1.0].map(|time| rendered(width, height, |x, y| texture(x - 6.0 * time, y + time)));
        let [before, motion] = fields.each_ref().map(|field| Motion::new(field, size));
        let pair = Pair {
            earlier: &pictures[0],
            later: &pictures[1],
            before: Some(&before),
            motion: &motion,
        };
        let by = random.f32();
        let expected = extrapolate(pair, by, Rung::Vectors).unwrap();
        let [earlier, later] = pictures
            .each_ref()
            .map(|picture| Texture::upload(&device, picture).unwrap());
        let [before, motion] = fields
            .each_ref()
            .map(|field| maker.motion(&device, field, size).unwrap().0);
        let pair = maker::Pair {
            earlier: &earlier,
            later: &later,
            before: Some(&before),
            motion: &motion,
        };
        let made = maker.extrapolate(&device, pair, by, Rung::Vectors).unwrap();
        assert_eq!(made.verdict.read(&device).unwrap(), expected.held, "seed {seed}");
        let found = made.picture.pixels.read(&device).unwrap().concat();
        assert_near(
            &found,
            &concatenated(&expected.picture),
            &format!("seed {seed}, {size:?}"),
        );
    }
}

#[test]
fn the_device_says_what_it_held() {
    let Some(device) = device_or_skip("the device's verdict") else {
        return;
    };
    let maker = Maker::new(&device).unwrap();
    let (width, height) = (64, 48);
    let scene = rendered(width, height, texture);
    let moved = rendered(width, height, |x, y| texture(x - 1.0, y));
    let other = rendered(width, height, |x, y| 255.0 - texture(y * 3.0 + 700.0, x * 2.0));
    let moving = field(width, height, 1, |_, _| (1.0, 0.0));
    let nothing = MotionField::default();
    for (later, field, rung, held) in [
        (&scene, &moving, Rung::Vectors, Some(Held::Repeated)),
        (&other, &moving, Rung::Vectors, Some(Held::Cut)),
        (&moved, &moving, Rung::Vectors, None),
        (&moved, &nothing, Rung::Blend, None),
    ] {
        let (_, made) = on_device(&device, &maker, [&scene, later], [field, field], (0.5, Rung::Vectors));
        assert_eq!(made.rung, rung);
        assert_eq!(made.verdict.read(&device).unwrap(), held);
    }
    let (_, made) = on_device(&device, &maker, [&scene, &other], [&moving, &moving], (0.5, Rung::Hold));
    assert_eq!((made.rung, made.verdict.read(&device).unwrap()), (Rung::Hold, None));
}
