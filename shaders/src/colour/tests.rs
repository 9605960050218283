use super::*;
use crate::UploadError;
use crate::rig::{device_or_skip, plane, random_picture};

/// One colour all over.
fn plain(width: u32, height: u32, [y, u, v]: [u8; 3]) -> Picture<Planes> {
    let (columns, rows) = (width.div_ceil(2) as usize, height.div_ceil(2) as usize);
    let full = vec![y; width as usize * height as usize];
    Picture {
        width,
        height,
        pixels: Planes {
            y: plane(full, width as usize),
            u: plane(vec![u; columns * rows], columns),
            v: plane(vec![v; columns * rows], columns),
        },
    }
}

fn assert_within(step: u8, found: &[u8], expected: &[u8], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let (pixel, channel) = (at / 4, at % 4);
        assert!(
            found.abs_diff(*expected) <= step,
            "{what}: pixel {pixel}, channel {channel}: {found}, not {expected}"
        );
    }
}

const NAMED: [[u8; 3]; 8] = [
    [255, 255, 255],
    [255, 255, 0],
    [0, 255, 255],
    [0, 255, 0],
    [255, 0, 255],
    [255, 0, 0],
    [0, 0, 255],
    [0, 0, 0],
];

/// Published codes of the 100 % colour bars (white, yellow, cyan, green, magenta, red, blue, black), rounded to 8 bits.
#[test]
fn colour_bars_come_out_as_themselves() {
    let bt601 = [
        [235, 128, 128],
        [210, 16, 146],
        [170, 166, 16],
        [145, 54, 34],
        [106, 202, 222],
        [81, 90, 240],
        [41, 240, 110],
        [16, 128, 128],
    ];
    let bt709 = [
        [235, 128, 128],
        [219, 16, 138],
        [188, 154, 16],
        [173, 42, 26],
        [78, 214, 230],
        [63, 102, 240],
        [32, 240, 118],
        [16, 128, 128],
    ];
    for (matrix, bars) in [(Matrix::Bt601, bt601), (Matrix::Bt709, bt709)] {
        for (bar, [r, g, b]) in bars.into_iter().zip(NAMED) {
            let made = reference(&plain(3, 3, bar), Colour::new(matrix, Range::Limited)).unwrap();
            // A code of chroma is worth up to 2.1 codes of blue, and bars are rounded to whole codes.
            assert_within(2, &made, &[r, g, b, 255].repeat(9), &format!("{matrix:?} {bar:?}"));
        }
    }
}

/// The definition of E'Y, E'Cb and E'Cr and their quantisation, the other way round than the reference computes.
#[test]
fn what_is_encoded_by_the_standard_comes_back() {
    let mut random = fastrand::Rng::with_seed(601_709);
    for colour in Colour::ALL {
        let (kr, kb) = colour.weights();
        let (black, luma, chroma) = colour.levels();
        for _ in 0..500 {
            let rgb: [u8; 3] = std::array::from_fn(|_| random.u8(..));
            let [r, g, b] = rgb.map(|code| f64::from(code) / 255.0);
            let y = kr * r + (1.0 - kr - kb) * g + kb * b;
            let (cb, cr) = ((b - y) / (2.0 * (1.0 - kb)), (r - y) / (2.0 * (1.0 - kr)));
            let codes = [luma * y + black, chroma * cb + 128.0, chroma * cr + 128.0];
            let picture = plain(1, 1, codes.map(|code| code.round().clamp(0.0, 255.0) as u8));
            let made = reference(&picture, colour).unwrap();
            let expected = [rgb[0], rgb[1], rgb[2], 255];
            assert_within(2, &made, &expected, &format!("{colour:?} {rgb:?}"));
        }
    }
}

/// A chroma plane that rises evenly is met exactly where luma pixels lie, except beyond its outermost samples.
#[test]
fn chroma_lies_left_and_half_way_between_rows() {
    let bytes: Vec<u8> = (0..8 * 8).map(|at| (8 * (at % 8) + 16 * (at / 8)) as u8).collect();
    let sheet = Sheet {
        bytes: &bytes,
        stride: 8,
        columns: 8,
        rows: 8,
    };
    for row in 1..15 {
        for column in 0..15 {
            let expected = 8.0 * (column as f64 / 2.0) + 16.0 * (row as f64 / 2.0 - 0.25);
            assert_eq!(chroma_at(&sheet, column, row), expected, "{column}, {row}");
        }
    }
    assert_eq!(chroma_at(&sheet, 15, 1), chroma_at(&sheet, 14, 1));
    assert_eq!(chroma_at(&sheet, 0, 0), 0.0);
    assert_eq!(chroma_at(&sheet, 0, 15), 16.0 * 7.0);
}

#[test]
fn the_kernel_equals_its_reference() {
    let Some(device) = device_or_skip("the colour kernel") else {
        return;
    };
    let convert = Convert::new(&device).unwrap();
    let mut random = fastrand::Rng::with_seed(420);
    let edges = [
        (1, 1),
        (1, 2),
        (2, 1),
        (2, 2),
        (3, 3),
        (8, 8),
        (9, 7),
        (1, 35),
        (67, 1),
        (66, 34),
        (67, 35),
    ];
    let sizes: Vec<(u32, u32)> = (0..30).map(|_| (random.u32(1..=67), random.u32(1..=35))).collect();
    for (width, height) in edges.into_iter().chain(sizes) {
        let picture = random_picture(&mut random, width, height);
        let uploaded = Texture::upload(&device, &picture).unwrap();
        for colour in Colour::ALL {
            let made = convert.run(&device, &uploaded, colour).unwrap();
            assert_eq!((made.width, made.height), (width, height));
            let found = made.pixels.read(&device).unwrap();
            let expected = reference(&picture, colour).unwrap();
            assert_within(1, &found, &expected, &format!("{width} × {height}, {colour:?}"));
        }
    }
}

#[test]
fn bytes_uploaded_are_counted_without_padding() {
    let Some(device) = device_or_skip("the count of uploaded bytes") else {
        return;
    };
    let mut random = fastrand::Rng::with_seed(8);
    let mut sum = 0;
    for (width, height, samples) in [(1, 1, 3), (4, 4, 24), (67, 35, 67 * 35 + 2 * 34 * 18)] {
        let uploaded = Texture::upload(&device, &random_picture(&mut random, width, height)).unwrap();
        assert_eq!(uploaded.pixels.bytes(), samples);
        sum += samples;
        assert_eq!(device.uploaded(), sum);
    }
}

/// Each damage to a sound picture of 6 × 6, and the error that it is to make.
fn damaged() -> Vec<(Picture<Planes>, PlanesError)> {
    let sound = || plain(6, 6, [50, 100, 150]);
    let mut all = Vec::new();
    let mut damage = |change: &dyn Fn(&mut Picture<Planes>), problem| {
        let mut picture = sound();
        change(&mut picture);
        all.push((picture, problem));
    };
    let short = |plane, bytes, needed| PlanesError::Short { plane, bytes, needed };
    damage(&|it| it.pixels.y = plane(vec![0; 35], 6), short("y", 35, 36));
    damage(&|it| it.pixels.u = plane(vec![0; 8], 3), short("u", 8, 9));
    damage(&|it| it.pixels.v = plane(vec![], 3), short("v", 0, 9));
    damage(&|it| it.pixels.v = plane(vec![0; 9], 4), short("v", 9, 11));
    let stride = |plane, stride, columns| PlanesError::Stride { plane, stride, columns };
    damage(&|it| it.pixels.y.stride = 5, stride("y", 5, 6));
    damage(&|it| it.pixels.u.stride = 0, stride("u", 0, 3));
    damage(&|it| it.pixels.v.stride = usize::MAX, stride("v", usize::MAX, 3));
    damage(&|it| it.width = 0, PlanesError::Empty { width: 0, height: 6 });
    damage(&|it| it.height = 0, PlanesError::Empty { width: 6, height: 0 });
    damage(&|it| it.width = 7, stride("y", 6, 7));
    damage(&|it| it.height = 7, short("y", 36, 42));
    let (width, height) = (6, u32::MAX);
    damage(&|it| it.height = u32::MAX, PlanesError::TooLarge { width, height });
    all
}

#[test]
fn planes_that_are_not_the_picture_are_refused_on_the_cpu() {
    for (picture, problem) in damaged() {
        assert_eq!(reference(&picture, Colour::default()), Err(problem));
    }
}

#[test]
fn planes_that_are_not_the_picture_are_refused_on_the_device() {
    let Some(device) = device_or_skip("refusing damaged planes") else {
        return;
    };
    for (picture, problem) in damaged() {
        match Texture::upload(&device, &picture) {
            Err(UploadError::Planes(found)) => assert_eq!(found, problem),
            other => panic!("{other:?}, not {problem:?}"),
        }
    }
    assert_eq!(device.uploaded(), 0);
    assert!(Texture::upload(&device, &plain(6, 6, [50, 100, 150])).is_ok());
}

/// A single row has no next one: whatever its stride says, it is read.
#[test]
fn the_stride_of_a_single_row_means_nothing() {
    let Some(device) = device_or_skip("single rows") else {
        return;
    };
    for stride in [0, 1, usize::MAX] {
        let mut picture = plain(5, 1, [50, 100, 150]);
        picture.pixels.y.stride = stride;
        let expected = reference(&plain(5, 1, [50, 100, 150]), Colour::default());
        assert_eq!(reference(&picture, Colour::default()), expected);
        assert!(Texture::upload(&device, &picture).is_ok());
    }
}
