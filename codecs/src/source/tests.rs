//! Sources against files that another program makes.

use std::path::{Path, PathBuf};
use std::process::Command;

use hearsight_core::media::{Pcm, Picture, Planes};

use super::*;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Span = Span::from_secs(30);
const WAIT: Span = Span::from_millis(100);
/// A flash and a beep begin at every whole second.
const SECONDS: i64 = 3;

/// Writes three seconds of black and silence, with a white picture and a beep at every whole second.
fn clapper(folder: &Path, name: &str, coding: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let picture = format!(
        "color=c=black:s=320x180:r=25:d={SECONDS},drawbox=c=white:t=fill:enable='lt(mod(t\\,1)\\,0.03)',format=yuv420p"
    );
    let sound = format!("aevalsrc='0.5*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.05)':s=48000:d={SECONDS}");
    let made = Command::new("ffmpeg")
        .args([
            "-v", "error", "-y", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound,
        ])
        .args(coding)
        .arg(&path)
        .status()
        .expect("the ffmpeg command; `make setup` installs it");
    assert!(made.success(), "ffmpeg makes {name}");
    path
}

fn config(path: &Path) -> SourceConfig {
    SourceConfig {
        origin: Origin::Address(format!("file://{}", path.display())),
        size: None,
        fps: 30,
        rounds: Rounds::Once,
        start: Span::ZERO,
        patience: PATIENCE,
    }
}

fn brightness(picture: &Picture<Planes>) -> u64 {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let rows = (0..height).map(|y| picture.pixels.y.row(y, width).expect("a whole plane"));
    rows.flatten().map(|luma| u64::from(*luma)).sum::<u64>() / (width * height) as u64
}

/// Where the sound begins in a frame, if it does.
fn onset(frame: &Frame<Pcm>) -> Option<MediaTime> {
    let loud = frame.item.samples.iter().position(|sample| sample.abs() > 0.1)?;
    Some(frame.at + Span::from_samples(loud as i64, frame.item.rate))
}

/// Pulls until the end, or until `most` frames came.
fn pull_all<T>(
    most: usize,
    mut pull: impl FnMut() -> Result<Pulled<T>, SourceError>,
) -> Result<Vec<Frame<T>>, SourceError> {
    let mut frames = Vec::new();
    let mut idle = Span::ZERO;
    while frames.len() < most {
        match pull()? {
            Pulled::Frame(frame) => frames.push(frame),
            Pulled::Waiting => {
                idle += WAIT;
                assert!(idle < PATIENCE * 10, "nothing comes, and no end");
            }
            Pulled::End => break,
        }
    }
    Ok(frames)
}

/// Pulls both lanes at once, as they must be; gives the moments of flashes and of beeps.
fn flashes_and_beeps(source: &mut Source, rounds: usize) -> (Vec<MediaTime>, Vec<MediaTime>) {
    let (mut pictures, mut sound) = (
        source.take_pictures().expect("pictures"),
        source.take_sound().expect("sound"),
    );
    std::thread::scope(|scope| {
        let seen = scope.spawn(move || pull_all(75 * rounds, || pictures.pull(WAIT)).expect("pictures to the end"));
        let heard = scope.spawn(move || pull_all(150 * rounds, || sound.pull(WAIT)).expect("sound to the end"));
        let seen = seen.join().expect("no panic");
        let heard = heard.join().expect("no panic");
        for pair in seen.windows(2) {
            assert!(pair[0].at < pair[1].at, "pictures go on in time");
        }
        let flashes = seen
            .iter()
            .filter(|frame| brightness(&frame.item) > 150)
            .map(|frame| frame.at);
        let mut beeps: Vec<MediaTime> = Vec::new();
        for at in heard.iter().filter_map(onset) {
            if beeps.last().is_none_or(|last| at - *last > Span::from_millis(300)) {
                beeps.push(at);
            }
        }
        (flashes.collect(), beeps)
    })
}

const MP4: &[&str] = &["-c:v", "libx264", "-c:a", "aac"];

#[test]
fn flash_and_beep_lie_together_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let formats: [(&str, &[&str]); 4] = [
        ("clapper.mp4", MP4),
        ("clapper.mkv", &["-c:v", "libx264", "-c:a", "libopus"]),
        ("clapper.webm", &["-c:v", "libvpx", "-b:v", "1M", "-c:a", "libvorbis"]),
        ("clapper.avi", &["-c:v", "mjpeg", "-c:a", "pcm_s16le"]),
    ];
    for (name, coding) in formats {
        let mut source = Source::open(&config(&clapper(folder.path(), name, coding))).unwrap();
        assert!(!source.is_live());
        let (flashes, beeps) = flashes_and_beeps(&mut source, 1);
        assert_eq!((flashes.len(), beeps.len()), (3, 3), "{name}: {flashes:?} {beeps:?}");
        for (n, (flash, beep)) in flashes.iter().zip(&beeps).enumerate() {
            let apart = (*flash - *beep).nanos().abs();
            assert!(apart < 40_000_000, "{name}: {apart} ns apart");
            let off = (*flash - MediaTime::from_millis(1_000 * n as i64)).nanos().abs();
            assert!(off < 60_000_000, "{name}: the flash is {off} ns off");
        }
    }
}

#[test]
fn played_again_the_timeline_goes_on_and_both_lanes_stay_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = clapper(folder.path(), "clapper.mkv", &["-c:v", "libx264", "-c:a", "libopus"]);
    let mut config = config(&path);
    config.rounds = Rounds::Endless;
    let mut source = Source::open(&config).unwrap();
    let (flashes, beeps) = flashes_and_beeps(&mut source, 3);
    assert!(flashes.len() >= 8 && beeps.len() >= 8, "{flashes:?} {beeps:?}");
    for (flash, beep) in flashes.iter().zip(&beeps) {
        assert!((*flash - *beep).nanos().abs() < 40_000_000, "{flash:?} {beep:?}");
    }
}

#[test]
fn it_begins_where_it_is_told_in_the_size_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&clapper(folder.path(), "clapper.mp4", MP4));
    config.start = Span::from_millis(1_500);
    config.size = Some((160, 120));
    config.fps = 10;
    let mut source = Source::open(&config).unwrap();
    drop(source.take_sound());
    let mut pictures = source.take_pictures().expect("pictures");
    let frames = pull_all(1_000, || pictures.pull(WAIT)).unwrap();
    assert!((12..=17).contains(&frames.len()), "{} pictures in 1.5 s", frames.len());
    assert!(frames[0].at < MediaTime::from_millis(150), "{:?}", frames[0].at);
    assert!(
        frames
            .iter()
            .all(|frame| (frame.item.width, frame.item.height) == (160, 120))
    );
    assert_eq!(
        pictures.pull(WAIT).map(|pulled| matches!(pulled, Pulled::End)),
        Ok(true)
    );
}

#[test]
fn sound_alone_is_enough_and_nothing_at_all_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = Source::open(&config(&clapper(folder.path(), "a.wav", &["-map", "1:a"]))).unwrap();
    assert!(source.take_pictures().is_none());
    let mut sound = source.take_sound().expect("sound");
    let frames = pull_all(1_000, || sound.pull(WAIT)).unwrap();
    assert_eq!(frames.len() as i64, SECONDS * 50);
    assert!(frames.iter().all(|frame| frame.item.samples.len() == 960));

    let text = folder.path().join("text.txt");
    std::fs::write(&text, "this is no film. ".repeat(1_000)).unwrap();
    let refused = Source::open(&config(&text)).err();
    assert!(matches!(refused, Some(SourceError::Unplayable(_))), "{refused:?}");
    let nowhere = Source::open(&config(Path::new("/nowhere/film.mp4"))).err();
    assert!(matches!(nowhere, Some(SourceError::Unplayable(_))), "{nowhere:?}");
    let mut camera = config(&text);
    camera.origin = Origin::Camera("/nowhere/video0".into());
    assert!(matches!(Source::open(&camera).err(), Some(SourceError::Unplayable(_))));
}

/// A film whose coding nobody knows.
#[test]
fn a_missing_decoder_is_named_with_its_package() {
    let folder = tempfile::tempdir().unwrap();
    let path = clapper(folder.path(), "clapper.mkv", &["-map", "0:v", "-c:v", "libvpx"]);
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes
        .windows(5)
        .position(|name| name == b"V_VP8")
        .expect("Matroska's name");
    bytes[place..place + 5].copy_from_slice(b"V_QQ8");
    std::fs::write(&path, bytes).unwrap();
    let missing = Source::open(&config(&path)).err().expect("it can't be decoded");
    assert!(matches!(missing, SourceError::Missing { .. }), "{missing:?}");
    let told = missing.to_string();
    assert!(
        told.contains("install gstreamer1.0-") && told.contains("make setup"),
        "{told}"
    );
    assert_eq!(missing_plugins(), [], "`make setup` installs everything");
}

/// Cut short, bent or made up: an error or a shorter film, in bounded time.
#[test]
fn broken_files_are_errors_or_shorter_films() {
    let folder = tempfile::tempdir().unwrap();
    let whole = [
        clapper(folder.path(), "clapper.mp4", MP4),
        clapper(folder.path(), "clapper.mkv", &["-c:v", "libx264", "-c:a", "libopus"]),
        clapper(folder.path(), "clapper.ts", MP4),
    ]
    .map(|path| std::fs::read(path).unwrap());
    let broken = folder.path().join("broken");
    for seed in 0..36 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = whole[seed as usize % whole.len()].clone();
        match random.u8(..4) {
            0 => bytes.truncate(random.usize(..bytes.len())),
            1 => random.fill(&mut bytes[..200]),
            2 => bytes = std::iter::repeat_with(|| random.u8(..)).take(20_000).collect(),
            _ => {
                for _ in 0..200 {
                    let place = random.usize(..bytes.len());
                    bytes[place] = random.u8(..);
                }
            }
        }
        std::fs::write(&broken, &bytes).unwrap();
        let mut config = config(&broken);
        // Some decode to nothing at all, without an end.
        config.patience = Span::from_secs(2);
        let Ok(mut source) = Source::open(&config) else {
            continue;
        };
        let (pictures, sound) = (source.take_pictures(), source.take_sound());
        std::thread::scope(|scope| {
            // A time stamp that was bent may ask for hours: a few seconds of it are enough.
            scope.spawn(|| pictures.map(|mut lane| pull_all(200, || lane.pull(WAIT)).map(|frames| frames.len())));
            scope.spawn(|| sound.map(|mut lane| pull_all(400, || lane.pull(WAIT)).map(|frames| frames.len())));
        });
    }
}

/// Ends the program that sends when the test does.
struct Sender(std::process::Child);

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_happens_now_is_live_and_knows_its_age() {
    let port = std::net::UdpSocket::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .unwrap()
        .port();
    let address = format!("udp://127.0.0.1:{port}");
    let sends = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-re",
            "-f",
            "lavfi",
            "-i",
            "testsrc=s=320x180:r=25",
            "-f",
            "lavfi",
            "-i",
            "sine",
        ])
        .args([
            "-c:v",
            "libx264",
            "-tune",
            "zerolatency",
            "-g",
            "10",
            "-c:a",
            "aac",
            "-t",
            "60",
            "-f",
            "mpegts",
        ])
        .arg(format!("{address}?pkt_size=1316"))
        .spawn();
    let _sends = Sender(sends.expect("the ffmpeg command; `make setup` installs it"));
    let mut config = config(Path::new("/"));
    config.origin = Origin::Address(address);
    let mut source = Source::open(&config).unwrap();
    assert!(source.is_live());
    let (mut pictures, mut sound) = (source.take_pictures().unwrap(), source.take_sound().unwrap());
    let seen = pull_all(20, || pictures.pull(WAIT)).unwrap();
    let heard = pull_all(20, || sound.pull(WAIT)).unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].at < pair[1].at));
    let ages: Vec<Span> = seen
        .iter()
        .map(|frame| frame.age)
        .chain(heard.iter().map(|frame| frame.age))
        .collect();
    assert!(ages.iter().all(|age| *age < PATIENCE), "{ages:?}");
    assert!(ages.iter().any(|age| *age > Span::ZERO), "{ages:?}");
}

#[test]
fn a_source_that_is_dropped_ends_its_lanes() {
    let folder = tempfile::tempdir().unwrap();
    let path = clapper(folder.path(), "clapper.mp4", MP4);
    for pulled in 0..10 {
        let mut source = Source::open(&config(&path)).unwrap();
        let mut pictures = source.take_pictures().expect("pictures");
        let first = pull_all(pulled, || pictures.pull(WAIT)).unwrap();
        assert_eq!(first.len(), pulled);
        drop(source);
        pull_all(1_000, || pictures.pull(WAIT)).unwrap();
        // Pixels outlive the pipeline that made them.
        assert!(first.iter().all(|frame| brightness(&frame.item) < 256));
    }
}
