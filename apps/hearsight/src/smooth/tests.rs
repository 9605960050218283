//! Whole films, made by another program of content whose motion is known, made smooth and read again.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hearsight_codecs::container::Rate;
use hearsight_core::media::Decoded;
use hearsight_core::stage::{Engine, Outbox, Signal};
use hearsight_core::time::{MediaTime, Moment};

use super::options::{Place, Progress as Shown};
use super::*;

const SIZE: (usize, usize) = (192, 112);
/// Of the film that has every picture.
const FPS: i64 = 50;
const FRAMES: i64 = 61;

/// A texture that moves by 5.5 pixels to the right and 2 down, and a bar that moves the other way.
fn luma(frame: i64, x: usize, y: usize) -> u8 {
    let time = frame as f64;
    let texture = |x: f64, y: f64| {
        let waves = (x * 0.11 + y * 0.05).sin() + (x * 0.043 - y * 0.13).sin() + (x * 0.31 + (y * 0.27).sin()).sin();
        126.0 + waves * 30.0
    };
    let bar = x as f64 + 4.0 * time;
    let level = match (60..84).contains(&y) && bar.rem_euclid(160.0) < 48.0 {
        true => texture(bar * 1.7, y as f64 * 2.0) + 40.0,
        false => texture(x as f64 - 5.5 * time, y as f64 - 2.0 * time),
    };
    level.clamp(16.0, 235.0) as u8
}

/// Encodes pictures `frames` of the content, at `fps`, with a tone.
fn film(path: &Path, frames: &[i64], fps: i64, coding: &[&str]) -> PathBuf {
    let (width, height) = SIZE;
    let size = format!("{width}x{height}");
    let mut child = Command::new("ffmpeg")
        .args([
            "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", &size,
        ])
        .args(["-r", &fps.to_string(), "-i", "-"])
        .args(["-f", "lavfi", "-i", "aevalsrc='0.4*sin(2*PI*330*t)':s=48000:d=1.2"])
        .args(["-c:v", "libx264", "-pix_fmt", "yuv420p", "-threads", "1"])
        .args(coding)
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("the ffmpeg command; `make setup` installs it");
    let mut feed = child.stdin.take().expect("piped");
    for frame in frames {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let mut picture: Vec<u8> = places.map(|(x, y)| luma(*frame, x, y)).collect();
        picture.resize(width * height * 3 / 2, 128);
        feed.write_all(&picture).expect("ffmpeg reads");
    }
    drop(feed);
    assert!(child.wait().expect("ffmpeg ends").success());
    path.to_path_buf()
}

/// Every second picture, encoded as `coding` says.
fn half(folder: &Path, name: &str, coding: &[&str]) -> PathBuf {
    let frames: Vec<i64> = (0..FRAMES).step_by(2).collect();
    film(&folder.join(name), &frames, FPS / 2, coding)
}

/// All of them, hardly any worse than they were.
fn whole(folder: &Path) -> PathBuf {
    let frames: Vec<i64> = (0..FRAMES).collect();
    film(
        &folder.join("truth.mp4"),
        &frames,
        FPS,
        &["-crf", "6", "-preset", "veryfast", "-an"],
    )
}

const PLAIN: &[&str] = &["-preset", "veryfast", "-crf", "18", "-bf", "0", "-c:a", "aac"];
const REORDERED: &[&str] = &["-crf", "18", "-bf", "3", "-b_strategy", "0", "-c:a", "aac"];

fn options(input: &Path, output: &Path) -> Options {
    Options {
        input: input.to_path_buf(),
        output: output.to_path_buf(),
        pace: Pace::Times(2),
        quality: Quality::Vectors,
        place: Place::Cpu,
        crf: 18,
        preset: "ultrafast".into(),
        existing: Existing::Kept,
        progress: Shown::Quiet,
        summary: Telling::Json,
        reference: None,
    }
}

fn smooth(options: &Options) -> Result<Summary, SmoothError> {
    run(options, Clock::new(), &Arc::new(AtomicBool::new(false)))
}

/// Pictures in the order of showing, with their times, and packets of sound.
fn read(path: &Path) -> (Vec<(MediaTime, Decoded)>, usize) {
    let mut reader = Reader::open(path).unwrap();
    let mut decoder = film_decoder().unwrap();
    let (mut out, mut sound) = (Outbox::default(), 0);
    while let Some(unit) = reader.next() {
        match unit {
            Unit::Picture(unit) => drop(decoder.run(Moment::ZERO, Signal::Item(unit), &mut out).unwrap()),
            Unit::Passenger(_) => sound += 1,
        }
    }
    decoder.run(Moment::ZERO, Signal::End, &mut out).unwrap();
    let pictures = out.drain().filter_map(|signal| match signal {
        Signal::Item(item) => Some((item.at, item.item)),
        _ => None,
    });
    (pictures.collect(), sound)
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn twice_the_pictures_evenly_spaced_nearer_the_truth_than_a_blend() {
    let folder = tempfile::tempdir().unwrap();
    let truth = whole(folder.path());
    for (name, coding) in [
        ("plain.mp4", PLAIN),
        ("reordered.mp4", REORDERED),
        ("reordered.mkv", REORDERED),
    ] {
        let input = half(folder.path(), name, coding);
        let output = folder.path().join(format!("smooth-{name}"));
        let mut options = options(&input, &output);
        options.reference = Some(truth.clone());
        let summary = smooth(&options).unwrap();
        assert_eq!(summary.counts.all(), FRAMES as u64, "{name}: {summary:?}");
        assert_eq!(
            (summary.counts.kept, summary.met.pictures, summary.lost),
            (31, 31, 0),
            "{name}"
        );
        assert!(summary.counts.made >= 29, "{name}: {summary:?}");
        let (pictures, sound) = read(&output);
        assert_eq!(pictures.len() as i64, FRAMES, "{name}");
        assert_eq!(sound, read(&input).1, "{name}: every packet of sound");
        for (number, pair) in pictures.windows(2).enumerate() {
            let step = pair[1].0 - pair[0].0;
            assert!(
                (step - Span::from_millis(1_000 / FPS)).nanos().abs() < 1_000_001,
                "{name} {number}: {step:?}"
            );
        }
        options.quality = Quality::Blend;
        options.existing = Existing::Replaced;
        let blend = smooth(&options).unwrap();
        let (ours, theirs) = (summary.likeness.unwrap(), blend.likeness.unwrap());
        assert_eq!((ours.pictures, theirs.pictures), (30, 30), "{name}");
        println!(
            "{name}: {:.2} dB along the vectors, {:.2} dB blended",
            ours.psnr(),
            theirs.psnr()
        );
        assert!(
            ours.psnr() > theirs.psnr() + 3.0,
            "{name}: {} against {}",
            ours.psnr(),
            theirs.psnr()
        );
        assert!(ours.ssim() > theirs.ssim(), "{name}");
    }
}

#[test]
fn the_films_own_pictures_are_its_own_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let input = half(folder.path(), "in.mp4", REORDERED);
    let mut options = options(&input, &folder.path().join("out.mkv"));
    // Lossless, so that what went into the encoder can be seen.
    options.crf = 0;
    smooth(&options).unwrap();
    let (given, made) = (read(&input).0, read(&options.output).0);
    for (number, (_, decoded)) in given.iter().enumerate() {
        let again = &made[number * 2].1.picture;
        for row in 0..SIZE.1 {
            let line = |picture: &hearsight_core::media::Picture<hearsight_core::media::Planes>| {
                picture.pixels.y.row(row, SIZE.0).expect("a whole plane").to_vec()
            };
            assert_eq!(line(again), line(&decoded.picture), "picture {number}, row {row}");
        }
    }
}

#[test]
fn any_rate_and_uneven_times() {
    let folder = tempfile::tempdir().unwrap();
    let input = half(folder.path(), "in.mp4", PLAIN);
    let mut wanted = options(&input, &folder.path().join("sixty.mp4"));
    wanted.pace = Pace::Rate(Rate::new(60, 1).unwrap());
    let summary = smooth(&wanted).unwrap();
    let (pictures, _) = read(&wanted.output);
    assert_eq!(pictures.len() as u64, summary.counts.all());
    for (number, (at, _)) in (0..).zip(&pictures) {
        let off = *at - (MediaTime::ZERO + Rate::new(60, 1).unwrap().place(number));
        assert!(off.nanos().abs() < 100_000, "picture {number}: {off:?}");
    }
    let uneven = [PLAIN, &["-vf", "setpts='(N+0.4*mod(N,3))/25/TB'", "-vsync", "vfr"]].concat();
    let input = half(folder.path(), "uneven.mp4", &uneven);
    let mut wanted = options(&input, &folder.path().join("three.mp4"));
    wanted.pace = Pace::Times(3);
    smooth(&wanted).unwrap();
    let times = |path: &Path| read(path).0.iter().map(|(at, _)| *at).collect::<Vec<_>>();
    let (given, made) = (times(&input), times(&wanted.output));
    assert_eq!(made.len(), 3 * given.len() - 2);
    for (number, at) in given.iter().enumerate() {
        assert!((made[3 * number] - *at).nanos().abs() < 50_000, "{number}: {at:?}");
    }
    assert!(made.is_sorted());
}

#[test]
fn what_cannot_be_made_smooth_is_told_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let input = half(folder.path(), "in.mp4", PLAIN);
    let output = folder.path().join("out.mp4");
    let intra = half(folder.path(), "intra.mp4", &["-g", "1", "-an"]);
    let before = files(folder.path());
    assert!(matches!(
        smooth(&options(&intra, &output)),
        Err(SmoothError::AllIntra(_))
    ));
    let other = smooth(&options(&folder.path().join("nowhere.mp4"), &output)).unwrap_err();
    assert!(
        other.to_string().contains("nowhere.mp4: there is no such file"),
        "{other}"
    );
    assert!(matches!(smooth(&options(&input, &input)), Err(SmoothError::Same)));
    assert!(matches!(smooth(&options(&input, &intra)), Err(SmoothError::Exists(_))));
    let ending = smooth(&options(&input, &folder.path().join("out.gif"))).unwrap_err();
    assert!(ending.to_string().contains(".mkv"), "{ending}");
    let nowhere = smooth(&options(&input, Path::new("/nowhere/out.mp4"))).unwrap_err();
    assert!(matches!(nowhere, SmoothError::Folder { .. }), "{nowhere}");
    let stopped = run(
        &options(&input, &output),
        Clock::new(),
        &Arc::new(AtomicBool::new(true)),
    );
    assert!(matches!(stopped, Err(SmoothError::Stopped)));
    assert_eq!(files(folder.path()), before);
    let mut blend = options(&intra, &output);
    blend.quality = Quality::Blend;
    assert_eq!(smooth(&blend).unwrap().counts.added(), 30);
    assert_eq!(files(folder.path()), before + 1);
}

#[test]
fn what_can_be_saved_of_a_damaged_film_is() {
    let folder = tempfile::tempdir().unwrap();
    let short = [REORDERED, &["-g", "10", "-an"]].concat();
    for name in ["film.mkv", "film.ts", "film.mp4"] {
        let coding = [
            &short[..],
            if name == "film.mp4" {
                &["-movflags", "+faststart"]
            } else {
                &[]
            },
        ]
        .concat();
        let input = half(folder.path(), name, &coding);
        let bytes = std::fs::read(&input).unwrap();
        let cut = folder.path().join(format!("cut-{name}"));
        std::fs::write(&cut, &bytes[..bytes.len() * 3 / 5]).unwrap();
        let summary = smooth(&options(&cut, &folder.path().join(format!("out-{name}")))).unwrap();
        let pictures = summary.met.pictures;
        assert!((8..31).contains(&pictures), "{name}: {summary:?}");
        let mut broken = bytes;
        let middle = broken.len() / 2;
        broken[middle..middle + 600].fill(0x55);
        std::fs::write(&cut, &broken).unwrap();
        let mut options = options(&cut, &folder.path().join(format!("out-{name}")));
        options.existing = Existing::Replaced;
        let summary = smooth(&options).unwrap();
        assert!(summary.lost > 0 && summary.met.pictures >= 8, "{name}: {summary:?}");
        assert_eq!(read(&options.output).0.len() as u64, summary.counts.all(), "{name}");
    }
}

#[test]
fn a_size_that_changes_in_the_middle_is_held_and_brought_to_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let coding = ["-preset", "veryfast", "-bf", "0", "-an"];
    let first = half(folder.path(), "first.264", &coding);
    let second = half(folder.path(), "second.264", &[&coding[..], &["-s", "96x64"]].concat());
    let joined = folder.path().join("joined.264");
    let bytes = [std::fs::read(first).unwrap(), std::fs::read(second).unwrap()].concat();
    std::fs::write(&joined, bytes).unwrap();
    let summary = smooth(&options(&joined, &folder.path().join("out.mp4"))).unwrap();
    assert_eq!((summary.met.pictures, summary.counts.all()), (62, 123));
    assert_eq!(summary.counts.resized, 1);
    let (pictures, _) = read(&folder.path().join("out.mp4"));
    assert!(
        pictures
            .iter()
            .all(|(_, one)| (one.picture.width as usize, one.picture.height as usize) == SIZE)
    );
}
