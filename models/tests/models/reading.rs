//! The real reader on drawn pictures, beside what the Python package reads in them (`../fixtures/reading/make.py`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hearsight_core::gate::{Budget, Late};
use hearsight_core::media::{Picture, Plane, Planes, Point, Reading};
use hearsight_core::stage::{Engine, Outbox, Signal, Wake};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use hearsight_models::ocr::{Choice, Chosen, Config, Eyes, Model, PaddleOcr, Reader};
use hearsight_models::runtime::Runtime;

use crate::speech::files;

const BUDGET: Budget = Budget {
    outlet: "reading",
    span: Span::from_secs(3600),
    value: 2.0,
    late: Late::Shed,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reading")
}

fn eyes() -> PaddleOcr {
    let files = files();
    let runtime = Runtime::open(&files.onnxruntime).expect("installed");
    PaddleOcr::new(Arc::new(Model::open(&runtime, &files.ocr, 1, 2).expect("installed")))
}

/// A drawn picture as a decoder hands it over: planar, limited range, BT.601.
fn picture(name: &str) -> Picture<Planes> {
    let file = std::fs::File::open(folder().join(format!("{name}.png"))).expect("drawn");
    let mut reader = png::Decoder::new(std::io::BufReader::new(file))
        .read_info()
        .expect("a PNG");
    let mut bytes = vec![0; reader.output_buffer_size().expect("of sane size")];
    let info = reader.next_frame(&mut bytes).expect("a picture");
    let (width, height) = (info.width as usize, info.height as usize);
    let channels = info.color_type.samples();
    let rgb = |x: usize, y: usize| {
        let at = (y * width + x) * channels;
        let channel = |which: usize| f32::from(bytes[at + which.min(channels - 1)]);
        [channel(0), channel(1), channel(2)]
    };
    let code = |[r, g, b]: [f32; 3], weights: [f32; 3], middle: f32| {
        (middle + (r * weights[0] + g * weights[1] + b * weights[2]) / 255.0).round() as u8
    };
    let places = |width: usize, height: usize| (0..height).flat_map(move |y| (0..width).map(move |x| (x, y)));
    let luma = places(width, height).map(|(x, y)| code(rgb(x, y), [65.481, 128.553, 24.966], 16.0));
    let chroma = |weights: [f32; 3]| {
        let half = places(width / 2, height / 2);
        half.map(|(x, y)| code(rgb(2 * x, 2 * y), weights, 128.0))
            .collect::<Vec<u8>>()
    };
    let plane = |bytes: Vec<u8>, stride: usize| Plane {
        bytes: Arc::new(bytes),
        stride,
    };
    let pixels = Planes {
        y: plane(luma.collect(), width),
        u: plane(chroma([-37.797, -74.203, 112.0]), width / 2),
        v: plane(chroma([112.0, -93.786, -18.214]), width / 2),
    };
    Picture {
        width: info.width,
        height: info.height,
        pixels,
    }
}

/// The last and most complete reading of one picture; none where nothing looks like text.
fn read(eyes: &PaddleOcr, picture: Picture<Planes>) -> Option<Reading> {
    let mut reader = Reader::new(eyes.clone(), Config { budget: BUDGET });
    let chosen = Chosen {
        picture,
        choice: Choice::Changed,
    };
    let mut signal = Signal::Item(Stamped::new(MediaTime::ZERO, Moment::ZERO, chosen));
    let mut out = Outbox::default();
    while reader.run(Moment::ZERO, signal, &mut out).expect("no fault") != Wake::OnSignal {
        signal = Signal::Timer;
    }
    let readings = out.drain().filter_map(|signal| match signal {
        Signal::Item(reading) => Some(reading.item),
        _ => None,
    });
    readings.last()
}

fn rows(kind: &str, name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(folder().join("expected.tsv")).expect("written");
    let rows = text
        .lines()
        .map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    rows.filter(|row| row[0] == kind && row[1] == name).collect()
}

fn drawn(name: &str) -> Vec<String> {
    rows("drawn", name).into_iter().map(|mut row| row.remove(2)).collect()
}

fn texts(reading: &Reading) -> Vec<String> {
    reading.lines.iter().map(|line| line.text.to_string()).collect()
}

/// How many letters must be changed, put in or taken out (Levenshtein).
fn errors(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let kept = corner + usize::from(letter != *other);
            corner = row[j + 1];
            row[j + 1] = kept.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[test]
fn clean_text_of_twenty_pixels_and_more_is_read_to_nineteen_letters_in_twenty() {
    let eyes = eyes();
    let (mut wrong, mut all, mut unspaced) = (0, 0, 0);
    for name in ["12", "16", "20", "24", "32", "48", "64"].map(|px| format!("clean-{px}")) {
        let reading = read(&eyes, picture(&name)).expect("there is text");
        let (said, drawn) = (texts(&reading).join("\n"), drawn(&name).join("\n"));
        let (missed, letters) = (errors(&said, &drawn), drawn.chars().count());
        let readability = reading.readability.expect("there is text").get();
        println!("{name}: {missed} of {letters} characters wrong, readability {readability:.2}");
        let no_spaces = |text: &str| text.replace(' ', "");
        if name[6..].parse::<u32>().is_ok_and(|px| px >= 20) {
            (wrong, all) = (wrong + missed, all + letters);
            unspaced += errors(&no_spaces(&said), &no_spaces(&drawn));
            assert!(readability >= 0.95, "{name}: a clean view reads 1, this {readability}");
        }
        assert!(missed * 5 < letters, "{name}: {said:?}");
    }
    let right = 1.0 - wrong as f64 / all as f64;
    println!(
        "clean text of 20 pixels and more: {:.1} % of {all} characters right",
        100.0 * right
    );
    println!("of the wrong ones, {} are spaces", wrong - unspaced);
    assert!(right >= 0.95);
}

#[test]
fn the_reader_reads_what_the_python_package_reads_where_it_reads_it() {
    let eyes = eyes();
    let (mut furthest, mut least_alike, mut lines, mut letters) = (0.0f32, 0.0f32, 0, 0);
    let mut names: Vec<_> = std::fs::read_dir(folder())
        .expect("drawn")
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".png")?.to_owned()))
        // Where letters are guessed at, a hair's breadth of the crop decides.
        .filter(|name| !name.starts_with("blurred-4"))
        .collect();
    names.sort();
    for name in names {
        let reading = read(&eyes, picture(&name));
        let ours = reading.as_ref().map_or(&[][..], |reading| &reading.lines);
        let theirs = rows("read", &name);
        assert_eq!(ours.len(), theirs.len(), "{name}: {ours:?}");
        for row in theirs {
            let places: Vec<f32> = row[3].split(' ').map(|place| place.parse().unwrap()).collect();
            let text = row[4].trim();
            let line = ours
                .iter()
                .min_by_key(|line| errors(&line.text, text))
                .expect("as many lines");
            let no_spaces = |text: &str| text.replace(' ', "");
            let differ = errors(&no_spaces(&line.text), &no_spaces(text));
            assert!(differ <= 1, "{name}: {:?} for {text:?}", line.text);
            letters += differ;
            // Ours begins where the text does, theirs at the corner that is leftmost and topmost.
            let corner = |pair: &[f32]| Point {
                x: pair[0] / 640.0,
                y: pair[1] / 480.0,
            };
            for theirs in places.chunks(2).map(corner) {
                let away = line
                    .region
                    .corners
                    .iter()
                    .map(|ours| ((ours.x - theirs.x) * 640.0).hypot((ours.y - theirs.y) * 480.0));
                furthest = furthest.max(away.fold(f32::MAX, f32::min));
            }
            let score: f32 = row[2].parse().unwrap();
            least_alike = least_alike.max((line.certainty.get() - score).abs());
            lines += 1;
        }
    }
    println!(
        "{lines} lines, {letters} letters of them different; corners within {furthest:.1} pixels, certainties within {least_alike:.3}"
    );
    // An O that looks like a nought is read either way.
    assert!(furthest < 4.0 && least_alike < 0.05 && letters <= 2);
}

#[test]
fn columns_are_read_one_after_the_other() {
    let reading = read(&eyes(), picture("columns")).expect("there is text");
    assert_eq!(texts(&reading), drawn("columns"));
}

#[test]
fn three_read_at_two_desks_what_one_reads_alone() {
    let eyes = eyes();
    let names = ["columns", "clean-24", "tilted+12"];
    let alone = names.map(|name| read(&eyes, picture(name)));
    let together = std::thread::scope(|scope| {
        let eyes = &eyes;
        let readers = names.map(|name| scope.spawn(move || read(eyes, picture(name))));
        readers.map(|reader| reader.join().expect("no panic"))
    });
    assert_eq!(together, alone);
    assert!(alone.iter().all(Option::is_some));
}

#[test]
fn a_tilted_sign_is_read_where_it_hangs_and_one_on_its_head_from_its_own_beginning() {
    let eyes = eyes();
    for name in ["tilted+12", "tilted-30", "tilted+90", "tilted+180"] {
        let reading = read(&eyes, picture(name)).expect("there is text");
        assert_eq!(texts(&reading), ["Mind the gap"], "{name}");
        let degrees: f32 = name[6..].parse().unwrap();
        let [begin, end, ..] = reading.lines[0].region.corners;
        let angle = (-(end.y - begin.y) * 480.0)
            .atan2((end.x - begin.x) * 640.0)
            .to_degrees();
        let off = (angle - degrees + 540.0).rem_euclid(360.0) - 180.0;
        assert!(off.abs() < 3.0, "{name}: the text runs at {angle} degrees");
    }
}

#[test]
fn a_blurred_sign_reads_less_and_less_and_is_never_an_empty_wall() {
    let eyes = eyes();
    let readability = |name: &str| {
        let reading = read(&eyes, picture(name));
        println!(
            "{name}: {:?}, {:?}",
            reading.as_ref().map(texts),
            reading.as_ref().map(|r| (r.unread, r.readability))
        );
        reading.and_then(|reading| reading.readability)
    };
    let signs = ["clean-24", "blurred-2", "blurred-4", "blurred-6"].map(readability);
    let values = signs.map(|sign| sign.expect("there is a sign").get());
    let [clean, soft, blurred @ ..] = values;
    assert!(
        clean > soft && blurred.iter().all(|value| soft > *value && *value > 0.0),
        "{values:?}"
    );
    assert!(blurred.iter().all(|value| *value < 0.3), "{values:?}");
    assert!(readability("wall").is_none(), "nothing to read on it");
}

#[test]
fn pictures_of_odd_sizes_are_read_or_refused_and_never_more() {
    let mut eyes = eyes();
    let whole = picture("clean-32");
    for (width, height) in [(16, 16), (17, 480), (640, 16), (639, 479), (33, 31), (640, 480)] {
        let cropped = Picture {
            width,
            height,
            pixels: whole.pixels.clone(),
        };
        let found = eyes.look(MediaTime::ZERO, &cropped, 960);
        assert!(found.is_ok(), "{width}×{height}: {found:?}");
        assert!(read(&eyes, cropped).is_none_or(|reading| reading.lines.len() <= 32));
    }
    for (width, height) in [
        (0, 480),
        (15, 480),
        (640, 481),
        (8192, 8192),
        (u32::MAX, u32::MAX),
        (641, 480),
    ] {
        let forged = Picture {
            width,
            height,
            pixels: whole.pixels.clone(),
        };
        assert!(eyes.look(MediaTime::ZERO, &forged, 960).is_err(), "{width}×{height}");
        assert!(read(&eyes, forged).is_none());
    }
}

#[test]
fn a_model_that_is_missing_or_damaged_is_named_with_the_repair() {
    let files = files();
    let runtime = Runtime::open(&files.onnxruntime).expect("installed");
    let folder = tempfile::tempdir().expect("a folder");
    let problem = Model::open(&runtime, folder.path(), 1, 1)
        .err()
        .expect("nothing is there")
        .to_string();
    assert!(
        problem.contains("recognise.onnx") && problem.contains("make setup"),
        "{problem}"
    );
    for (name, other) in [("recognise", "detect"), ("detect", "detect"), ("turn", "turn")] {
        std::fs::copy(
            files.ocr.join(format!("{other}.onnx")),
            folder.path().join(format!("{name}.onnx")),
        )
        .expect("copied");
    }
    let problem = Model::open(&runtime, folder.path(), 1, 1)
        .err()
        .expect("a detector knows no letters")
        .to_string();
    assert!(problem.contains("characters"), "{problem}");
}
