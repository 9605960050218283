//! Files that another program makes, read, written and broken.

use std::path::{Path, PathBuf};
use std::process::Command;

use ffmpeg_next::codec::packet::side_data::Type;
use hearsight_core::media::Decoded;
use hearsight_core::stage::{Engine, Outbox, Signal};
use hearsight_core::time::{MediaTime, Moment, Span};

use super::*;
use crate::h264::{self, Decoder};

const FRAMES: i64 = 75;

/// Three seconds of a moving pattern and a tone.
fn film(folder: &Path, name: &str, coding: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=160x96:r=25:d=3"])
        .args(["-f", "lavfi", "-i", "aevalsrc='0.5*sin(2*PI*440*t)':s=48000:d=3"])
        .args(coding)
        .arg(&path)
        .status()
        .expect("the ffmpeg command; `make setup` installs it");
    assert!(made.success(), "ffmpeg makes {name}");
    path
}

/// Three B-pictures in a row, which refer to each other.
const REORDERED: [&str; 4] = ["-c:v", "libx264", "-bf", "3"];

fn with(sound: &[&'static str]) -> Vec<&'static str> {
    REORDERED.iter().chain(sound).copied().collect()
}

type Sound = Vec<(Option<i64>, Vec<u8>)>;

/// All pictures, decoded, in the order of showing, and all packets of sound with their times.
fn read(path: &Path) -> (Vec<(MediaTime, Decoded)>, Sound) {
    let mut reader = Reader::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut decoder = Decoder::new(h264::Config::default()).unwrap();
    let (mut out, mut sound) = (Outbox::default(), Vec::new());
    while let Some(unit) = reader.next() {
        match unit {
            Unit::Picture(unit) => drop(decoder.run(Moment::ZERO, Signal::Item(unit), &mut out).unwrap()),
            Unit::Passenger(Passenger(packet)) => {
                sound.push((packet.pts(), packet.data().unwrap_or_default().to_vec()));
            }
        }
    }
    decoder.run(Moment::ZERO, Signal::End, &mut out).unwrap();
    let pictures = out.drain().filter_map(|signal| match signal {
        Signal::Item(item) => Some((item.at, item.item)),
        Signal::Gap(gap) => panic!("{gap:?}"),
        _ => None,
    });
    (pictures.collect(), sound)
}

#[test]
fn every_picture_comes_with_its_time_out_of_every_container() {
    let folder = tempfile::tempdir().unwrap();
    for (name, sound) in [
        ("film.mp4", &["-c:a", "aac"][..]),
        ("film.mov", &["-c:a", "pcm_s16le"]),
        ("film.mkv", &["-c:a", "libopus"]),
        ("film.ts", &["-c:a", "mp2"]),
    ] {
        let (pictures, sound) = read(&film(folder.path(), name, &with(sound)));
        assert_eq!(pictures.len() as i64, FRAMES, "{name}");
        assert!(sound.len() > 30, "{name}");
        let first = pictures[0].0;
        for (number, (at, _)) in (0..).zip(&pictures) {
            let off = *at - (first + Span::from_millis(40 * number));
            // A transport stream counts 90,000 a second.
            assert!(off.nanos().abs() < 12_000, "{name}: picture {number} is {off:?} off");
        }
        assert!(
            (first - MediaTime::ZERO).nanos().abs() < 100_000_000,
            "{name}: {first:?}"
        );
    }
}

#[test]
fn what_is_written_is_read_again_and_passengers_are_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let films = [
        film(
            folder.path(),
            "in.mp4",
            &with(&["-c:a", "aac", "-metadata", "title=A film"]),
        ),
        film(folder.path(), "in.mkv", &with(&["-c:a", "libopus"])),
    ];
    for (input, name) in films
        .iter()
        .flat_map(|input| ["out.mp4", "out.mov", "out.mkv"].map(|name| (input, name)))
    {
        let output = folder.path().join(name);
        let (pictures, sound) = read(input);
        let mut reader = Reader::open(input).unwrap();
        let mut writer = Writer::create(&output, &reader, &config(&reader)).unwrap();
        let [one] = writer.carried() else {
            panic!("{name}: one stream of sound")
        };
        let held = (one.codec.as_str(), name) != ("opus", "out.mov");
        assert_eq!((one.sound, one.carried), (true, held), "{name}: QuickTime has no Opus");
        let passage = writer.passage();
        while let Some(unit) = reader.next() {
            if let Unit::Passenger(passenger) = unit {
                passage.board(passenger).unwrap();
            }
        }
        for (at, decoded) in &pictures {
            writer.picture(&decoded.picture, *at, Span::from_millis(40)).unwrap();
        }
        writer.finish().unwrap();
        let (again, sound_again) = read(&output);
        let late = again[0].0 - pictures[0].0;
        let times =
            |pictures: &[(MediaTime, Decoded)], late| pictures.iter().map(|(at, _)| *at - late).collect::<Vec<_>>();
        assert_eq!(times(&again, late), times(&pictures, Span::ZERO), "{name}");
        // Times begin with the first packet that a container can tell of, and Matroska has none before zero, where the first
        // of AAC and Opus lies: to and from it everything may be moved by one packet, in step.
        let same = name == "out.mp4" && input.extension() == output.extension();
        let most = if same { Span::ZERO } else { Span::from_millis(30) };
        assert!(late.nanos().abs() <= most.nanos(), "{name}: {late:?}");
        let bytes = |sound: &Sound| sound.iter().map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>();
        assert_eq!(bytes(&sound_again), if held { bytes(&sound) } else { vec![] }, "{name}");
        if same {
            assert_eq!(sound_again, sound, "{name}: with their times");
        }
        let lasts = Reader::open(&output).unwrap().pictures().lasts.unwrap();
        assert!(
            (lasts - Span::from_secs(3)).nanos().abs() < 50_000_000,
            "{name}: {lasts:?}"
        );
    }
}

fn config(reader: &Reader) -> WriterConfig {
    WriterConfig {
        width: reader.pictures().width,
        height: reader.pictures().height,
        rate: reader.pictures().rate,
        tick: reader.tick(1),
        crf: 20,
        preset: "ultrafast".into(),
    }
}

#[test]
fn a_telephone_held_upright_stays_upright() {
    let folder = tempfile::tempdir().unwrap();
    let input = film(folder.path(), "in.mp4", &with(&["-an"]));
    turn(&input);
    let reader = Reader::open(&input).unwrap();
    let rotation = |reader: &Reader| {
        let stream = reader.input.stream(reader.video).unwrap();
        let found = stream.side_data().find(|data| data.kind() == Type::DisplayMatrix);
        found.map(|data| data.data().to_vec())
    };
    assert!(rotation(&reader).is_some(), "it is turned");
    let output = folder.path().join("out.mp4");
    let mut writer = Writer::create(&output, &reader, &config(&reader)).unwrap();
    for (at, decoded) in read(&input).0 {
        writer.picture(&decoded.picture, at, Span::from_millis(40)).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(rotation(&Reader::open(&output).unwrap()), rotation(&reader));
}

/// Writes a quarter of a turn into the header of the first track (`tkhd`, ISO/IEC 14496-12 section 8.3.2).
fn turn(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let header = bytes.windows(4).position(|name| name == b"tkhd").expect("a track");
    let one = 1_i32 << 16;
    let matrix = [0, one, 0, -one, 0, 0, 96 * one, 0, 1 << 30];
    for (place, number) in bytes[header + 44..].chunks_exact_mut(4).zip(matrix) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_no_film_of_the_sort_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let told = |path: &Path| {
        Reader::open(path)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    assert!(told(&path("nowhere.mp4")).contains("no such file"));
    assert!(told(folder.path()).contains("no such file"));
    std::fs::write(path("text.mp4"), "this is no film. ".repeat(1_000)).unwrap();
    assert!(told(&path("text.mp4")).contains("no film"));
    // A list of other files is not followed.
    let inner = film(folder.path(), "inner.mp4", &with(&["-an"]));
    let list = format!("ffconcat version 1.0\nfile '{}'\n", inner.display());
    std::fs::write(path("list.mp4"), list).unwrap();
    assert!(told(&path("list.mp4")).contains("no film"));
    let sound = film(folder.path(), "sound.mp4", &["-vn", "-c:a", "aac"]);
    assert!(told(&sound).contains("no pictures"));
    for (name, coding, why) in [
        ("other.mkv", &["-c:v", "libvpx", "-b:v", "200k"][..], "VP8"),
        ("other.avi", &["-c:v", "mjpeg"], "MJPEG"),
        ("deep.mp4", &["-c:v", "libx264", "-pix_fmt", "yuv420p10le"], "8 bits"),
        ("wide.mp4", &["-c:v", "libx264", "-pix_fmt", "yuv444p"], "4:2:0"),
        ("laced.mp4", &["-c:v", "libx264", "-flags", "+ildct+ilme"], "interlaced"),
    ] {
        let told = told(&film(folder.path(), name, coding));
        assert!(told.contains(why), "{name}: {told}");
    }
    let reader = Reader::open(&inner).unwrap();
    let wrong = Writer::create(&path("out.gif"), &reader, &config(&reader)).err();
    assert_eq!(wrong, Some(ContainerError::Ending));
    assert!(!path("out.gif").exists());
}

/// Bytes changed, cut off and moved: reading ends, with whatever can be had.
#[test]
fn broken_files_end() {
    let folder = tempfile::tempdir().unwrap();
    let films = [
        film(
            folder.path(),
            "film.mp4",
            &with(&["-c:a", "aac", "-movflags", "+faststart"]),
        ),
        film(folder.path(), "film.mkv", &with(&["-c:a", "libopus"])),
        film(folder.path(), "film.ts", &with(&["-c:a", "mp2"])),
    ];
    for (seed, path) in (0..20).flat_map(|seed| films.iter().map(move |path| (seed, path))) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = std::fs::read(path).unwrap();
        for _ in 0..random.usize(0..40) {
            let place = random.usize(0..bytes.len());
            bytes[place] = random.u8(..);
        }
        if random.bool() {
            bytes.truncate(random.usize(0..bytes.len()));
        }
        let broken = folder.path().join("broken");
        std::fs::write(&broken, &bytes).unwrap();
        let Ok(mut reader) = Reader::open(&broken) else {
            continue;
        };
        let mut units = 0;
        while reader.next().is_some() {
            units += 1;
            assert!(units < 100_000, "seed {seed}: no end");
        }
    }
}
