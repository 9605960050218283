use hearsight_core::media::{Codec, Decoded, Packet, Picture, Planes, Request};
use hearsight_core::stage::{Engine, Gap, Lost, Outbox, Signal, Why};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::{MediaTime, Moment};

use super::{Config, Decoder, is_key};
use crate::encode::{H264Config, H264Encoder, Preset};
use crate::scenes::{picture, psnr, texture};

mod layers;

const TICK: i64 = 33;

fn encoder(width: u32, height: u32) -> H264Encoder {
    let config = H264Config {
        width,
        height,
        fps: 30,
        bitrate: 2_000_000,
        gop: 300,
        preset: Preset::default(),
    };
    H264Encoder::new(config).expect("libx264")
}

fn decoder() -> Decoder {
    Decoder::new(Config::default()).expect("libavcodec")
}

/// `count` units of the texture moving by (`dx`, `dy`) a picture; a key picture at every `key`.
fn stream(width: u32, height: u32, count: i32, key: i32, (dx, dy): (i32, i32)) -> Vec<Packet> {
    let mut encoder = encoder(width, height);
    let mut unit = |n: i32| {
        if n % key == 0 {
            encoder.request_key();
        }
        encoder
            .encode(&picture(width, height, |x, y| texture(x - n * dx, y - n * dy)))
            .expect("encodes")
    };
    (0..count).map(&mut unit).collect()
}

fn stamped(number: i64, packet: Packet) -> Stamped<Packet> {
    Stamped::new(
        MediaTime::from_millis(number * TICK),
        Moment::from_millis(number * TICK),
        packet,
    )
}

/// What came of some steps.
#[derive(Default)]
struct Seen {
    pictures: Vec<Stamped<Decoded>>,
    lost: u32,
    requests: usize,
    ended: bool,
}

impl Seen {
    fn step(&mut self, decoder: &mut Decoder, now: Moment, signal: Signal<Packet>) {
        let mut out = Outbox::default();
        decoder.run(now, signal, &mut out).expect("no fault");
        self.requests += out
            .requests()
            .iter()
            .filter(|request| **request == Request::Keyframe)
            .count();
        for signal in out.drain() {
            match signal {
                Signal::Item(picture) => self.pictures.push(picture),
                Signal::Gap(gap) if gap.stage.is_empty() => self.lost += gap.count,
                Signal::End => self.ended = true,
                _ => {}
            }
        }
    }

    fn item(&mut self, decoder: &mut Decoder, number: i64, packet: Packet) {
        self.step(
            decoder,
            Moment::from_millis(number * TICK),
            Signal::Item(stamped(number, packet)),
        );
    }
}

#[test]
fn what_was_encoded_is_seen_at_once_with_its_envelope() {
    let (mut encoder, mut decoder) = (encoder(322, 180), decoder());
    for n in 0..12 {
        let shown = picture(322, 180, |x, y| texture(x + 3 * n, y));
        let packet = encoder.encode(&shown).expect("encodes");
        assert_eq!(packet.key, n == 0);
        let mut seen = Seen::default();
        seen.item(&mut decoder, i64::from(n), packet);
        let [decoded] = &seen.pictures[..] else {
            panic!("one picture for one unit")
        };
        assert_eq!(decoded.at, MediaTime::from_millis(i64::from(n) * TICK));
        assert!(decoded.trail.at(Mark::Decoded).is_some());
        assert_eq!(decoded.item.key, n == 0);
        assert_eq!((decoded.item.picture.width, decoded.item.picture.height), (322, 180));
        let quality = psnr(&shown, &decoded.item.picture);
        assert!(quality > 34.0, "{quality} dB in picture {n}");
    }
}

#[test]
fn vectors_point_from_the_picture_to_where_its_content_was() {
    for (dx, dy) in [(4, 0), (-6, 0), (0, 5), (3, -2), (0, 0)] {
        let mut seen = Seen::default();
        let mut decoder = decoder();
        for (n, packet) in stream(320, 192, 6, 100, (dx, dy)).into_iter().enumerate() {
            seen.item(&mut decoder, n as i64, packet);
        }
        assert!(
            seen.pictures[0].item.motion.blocks.is_empty(),
            "an intra picture has no vectors"
        );
        let blocks = &seen.pictures[5].item.motion.blocks;
        // Content moves by (dx, dy), so the reference, in the past, lies at (−dx, −dy) from the block. Blocks at the
        // border show what was not there before.
        let inner = blocks
            .iter()
            .filter(|b| b.x >= 16 && b.y >= 16 && b.x < 288 && b.y < 160);
        let inner: Vec<_> = inner.collect();
        let right = inner
            .iter()
            .filter(|b| (b.dx + dx as f32).abs() <= 0.5 && (b.dy + dy as f32).abs() <= 0.5);
        let right = right.count();
        assert!(
            inner.len() > 50 && right * 10 > inner.len() * 9,
            "{right} of {} for ({dx}, {dy})",
            inner.len()
        );
        assert!(inner.iter().all(|b| b.reference < 0 && b.width <= 16 && b.height <= 16));
        let (aligned_x, aligned_y) = (blocks.iter().all(|b| b.x % 8 == 0), blocks.iter().all(|b| b.y % 8 == 0));
        assert!(aligned_x && aligned_y, "blocks are named by their corner");
    }
}

#[test]
fn a_gap_is_asked_about_and_skipped_to_the_next_key_picture() {
    let packets = stream(320, 192, 40, 20, (2, 1));
    let (mut decoder, mut seen) = (decoder(), Seen::default());
    for (n, packet) in packets.iter().enumerate().map(|(n, packet)| (n as i64, packet.clone())) {
        if n == 7 {
            let gap = Gap {
                stage: "link",
                why: Lost::TooOld,
                count: 2,
            };
            seen.step(&mut decoder, Moment::from_millis(n * TICK), Signal::Gap(gap));
        }
        seen.item(&mut decoder, n, packet);
    }
    let at = |n: i64| MediaTime::from_millis(n * TICK);
    let shown: Vec<MediaTime> = seen.pictures.iter().map(|picture| picture.at).collect();
    assert_eq!(shown, (0..7).chain(20..40).map(at).collect::<Vec<_>>());
    // The gap's own units were counted where they were lost.
    assert_eq!(seen.lost, 13);
    // From 231 to 660 ms there is no key picture: asked at once and not before 500 ms later.
    assert_eq!(seen.requests, 1);
}

#[test]
fn a_lasting_want_of_a_key_picture_is_repeated_but_not_at_every_unit() {
    let packets = stream(64, 64, 2, 100, (1, 0));
    let (mut decoder, mut seen) = (decoder(), Seen::default());
    for n in 0..100 {
        let packet = Packet {
            payload: [&packets[1].payload[..], &[n as u8]].concat().into(),
            ..packets[1].clone()
        };
        seen.item(&mut decoder, n, packet);
    }
    assert_eq!((seen.pictures.len(), seen.lost), (0, 100));
    assert_eq!(
        seen.requests as i64,
        1 + 99 * TICK / 528,
        "every 16 units are the first 500 ms or more"
    );
}

#[test]
fn missing_units_before_a_key_picture_cost_only_themselves() {
    let packets = stream(64, 64, 8, 4, (1, 0));
    let (mut decoder, mut seen) = (decoder(), Seen::default());
    for (n, packet) in packets.into_iter().enumerate().filter(|(n, _)| *n != 3) {
        let missing = if n == 4 { 1 } else { 0 };
        seen.item(&mut decoder, n as i64, Packet { missing, ..packet });
    }
    assert_eq!((seen.pictures.len(), seen.lost, seen.requests), (7, 1, 0));
}

#[test]
fn a_flush_waits_for_a_key_picture_and_the_end_is_passed_on() {
    let packets = stream(64, 64, 12, 6, (1, 0));
    let (mut decoder, mut seen) = (decoder(), Seen::default());
    for (n, packet) in packets.into_iter().enumerate() {
        if n == 2 {
            seen.step(&mut decoder, Moment::from_millis(66), Signal::Flush(Why::Seek));
        }
        seen.item(&mut decoder, n as i64, packet);
    }
    seen.step(&mut decoder, Moment::from_millis(500), Signal::End);
    assert_eq!(
        (seen.pictures.len(), seen.lost, seen.requests, seen.ended),
        (8, 4, 1, true)
    );
}

#[test]
fn the_size_may_change_with_a_key_picture() {
    let (mut decoder, mut seen) = (decoder(), Seen::default());
    let mut n = 0;
    for (width, height) in [(320, 192), (640, 360), (160, 90)] {
        for packet in stream(width, height, 4, 100, (2, 0)) {
            seen.item(&mut decoder, n, packet);
            n += 1;
            let picture = &seen.pictures.last().expect("a picture for every unit").item.picture;
            assert_eq!((picture.width, picture.height), (width, height));
        }
    }
    assert_eq!((seen.pictures.len(), seen.lost), (12, 0));
}

#[test]
fn what_is_too_large_or_of_another_kind_is_refused_and_what_fits_goes_on() {
    let config = Config {
        long_side: 320,
        short_side: 192,
        max_unit: 50_000,
        ..Config::default()
    };
    let (mut decoder, mut seen) = (Decoder::new(config).expect("libavcodec"), Seen::default());
    for (n, (width, height)) in [(1280, 720), (640, 96), (320, 192), (192, 320)].into_iter().enumerate() {
        let mut packets = stream(width, height, 1, 100, (0, 0));
        seen.item(&mut decoder, n as i64, packets.remove(0));
    }
    assert_eq!((seen.pictures.len(), seen.lost), (2, 2));
    let unit = |codec, length: usize| Packet {
        codec,
        payload: vec![0; length].into(),
        key: true,
        missing: 0,
    };
    seen.item(&mut decoder, 4, unit(Codec::H264, 50_001));
    seen.item(&mut decoder, 5, unit(Codec::H264, 0));
    seen.item(&mut decoder, 6, unit(Codec::Opus, 10));
    assert_eq!((seen.pictures.len(), seen.lost), (2, 5));
    seen.item(&mut decoder, 7, stream(320, 192, 1, 1, (0, 0)).remove(0));
    assert_eq!((seen.pictures.len(), seen.lost), (3, 5));
}

#[test]
fn a_truncated_unit_is_lost_not_concealed() {
    let packets = stream(320, 192, 6, 100, (5, 3));
    for keep in [0.3, 0.6, 0.9] {
        let (mut decoder, mut seen) = (decoder(), Seen::default());
        for (n, packet) in packets.iter().take(4).enumerate() {
            let mut packet = packet.clone();
            if n == 2 {
                packet.payload = packet.payload[..(packet.payload.len() as f64 * keep) as usize].into();
            }
            seen.item(&mut decoder, n as i64, packet);
        }
        assert_eq!((seen.pictures.len(), seen.lost), (2, 2), "with {keep} of it");
    }
}

/// Damages `packet` as a hostile or broken path would; `None` when it is gone.
fn damaged(random: &mut fastrand::Rng, packet: &Packet) -> Option<Packet> {
    let mut payload = packet.payload.to_vec();
    match random.u8(0..5) {
        0 => return None,
        1 => payload.truncate(random.usize(0..payload.len())),
        2 => (0..random.usize(1..30)).for_each(|_| {
            let place = random.usize(0..payload.len());
            payload[place] ^= 1 << random.u8(0..8);
        }),
        3 => payload.iter_mut().for_each(|byte| *byte = random.u8(..)),
        _ => {
            let place = random.usize(0..payload.len());
            payload.splice(place..place, [0, 0, 1, random.u8(..), random.u8(..)]);
        }
    }
    Some(Packet {
        payload: payload.into(),
        ..packet.clone()
    })
}

#[test]
fn whatever_is_lost_or_broken_is_counted_and_the_next_key_picture_mends_it() {
    let packets = stream(160, 96, 30, 10, (2, 1));
    for seed in 0..150 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut decoder, mut seen) = (decoder(), Seen::default());
        let (mut fed, mut missing, mut without) = (0, 0, 0);
        for (n, packet) in packets.iter().enumerate() {
            // The last ten arrive as they were sent.
            let harm = n < 20 && random.u8(0..4) == 0;
            let Some(mut packet) = (if harm {
                damaged(&mut random, packet)
            } else {
                Some(packet.clone())
            }) else {
                missing += 1;
                continue;
            };
            packet.missing = std::mem::take(&mut missing);
            fed += 1 + packet.missing;
            let twice = random.u8(0..6) == 0;
            fed += u32::from(twice);
            without += u32::from(!packet.payload.is_empty() && !super::nal::has_picture(&packet.payload))
                * (1 + u32::from(twice));
            for _ in 0..=u8::from(twice) {
                seen.item(&mut decoder, n as i64, packet.clone());
            }
            assert!(decoder.pending.len() < super::decoder::MOST_PENDING, "seed {seed}");
        }
        seen.step(&mut decoder, Moment::from_millis(2000), Signal::End);
        let counted = seen.pictures.len() as u32 + seen.lost;
        // A unit without a picture in it is nothing to lose, though it may be counted when it breaks what goes before.
        assert!(
            counted <= fed && counted + without >= fed,
            "seed {seed}: {counted} of {fed}, {without} without"
        );
        let mended = seen
            .pictures
            .iter()
            .filter(|picture| picture.at >= MediaTime::from_millis(20 * TICK))
            .count();
        assert_eq!(mended, 10, "seed {seed}");
    }
}

fn planes_of(picture: &Picture<Planes>) -> Vec<u8> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let Planes { y, u, v } = &picture.pixels;
    let rows = |plane: &hearsight_core::media::Plane, columns: usize, rows: usize| -> Vec<u8> {
        (0..rows)
            .flat_map(|row| plane.row(row, columns).expect("row").to_vec())
            .collect()
    };
    [
        rows(y, width, height),
        rows(u, width / 2, height / 2),
        rows(v, width / 2, height / 2),
    ]
    .concat()
}

/// The pictures that the reference command makes of a file, as raw 4:2:0.
fn reference(path: &std::path::Path) -> Vec<u8> {
    let command = std::process::Command::new("ffmpeg")
        .args(["-loglevel", "quiet", "-nostdin", "-f", "h264", "-i"])
        .arg(path)
        .args(["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
        .output();
    command.expect("the ffmpeg command; `make setup` installs it").stdout
}

/// Ours of the same units.
fn ours(units: impl IntoIterator<Item = Packet>) -> Vec<u8> {
    let (mut decoder, mut seen) = (decoder(), Seen::default());
    for (n, packet) in units.into_iter().enumerate() {
        seen.item(&mut decoder, n as i64, packet);
    }
    seen.step(&mut decoder, Moment::ZERO, Signal::End);
    assert_eq!(seen.lost, 0);
    seen.pictures
        .iter()
        .flat_map(|picture| planes_of(&picture.item.picture))
        .collect()
}

#[test]
fn pictures_are_bit_for_bit_those_of_the_reference_command() {
    let packets = stream(322, 178, 25, 10, (3, 2));
    assert!(
        packets
            .iter()
            .enumerate()
            .all(|(n, packet)| is_key(&packet.payload) == (n % 10 == 0))
    );
    let path = std::env::temp_dir().join(format!("hearsight-codecs-{}.h264", std::process::id()));
    let bytes: Vec<u8> = packets.iter().flat_map(|packet| packet.payload.to_vec()).collect();
    std::fs::write(&path, bytes).expect("writes");
    let reference = reference(&path);
    std::fs::remove_file(&path).expect("removes");
    let ours = ours(packets);
    assert_eq!(ours.len(), reference.len());
    assert!(ours == reference, "pictures differ");
}

/// Cuts a byte stream into access units: a new one begins with parameter sets, a delimiter, or the first slice of a
/// picture, once the unit before has a slice (ITU-T H.264 section 7.4.1.2.3, as far as these streams need it).
fn units_from_stream(bytes: &[u8]) -> Vec<Packet> {
    let starts: Vec<usize> = (0..bytes.len().saturating_sub(4))
        .filter(|&i| bytes[i..i + 3] == [0, 0, 1])
        .collect();
    let (mut units, mut whole): (Vec<Vec<u8>>, bool) = (Vec::new(), true);
    for (index, &start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(bytes.len());
        let kind = bytes[start + 3] & 0x1f;
        let slice = (1..=5).contains(&kind);
        if whole && ((6..=9).contains(&kind) || slice && bytes[start + 4] & 0x80 != 0) {
            units.push(Vec::new());
            whole = false;
        }
        whole |= slice;
        if let Some(unit) = units.last_mut() {
            unit.extend(&bytes[start..end]);
        }
    }
    let packet = |unit: Vec<u8>| Packet {
        codec: Codec::H264,
        key: is_key(&unit),
        payload: unit.into(),
        missing: 0,
    };
    units.into_iter().map(packet).collect()
}

#[test]
fn conformance_streams_decode_bit_for_bit_where_they_are_present() {
    let eval = std::env::var("HEARSIGHT_EVAL").unwrap_or_else(|_| "../../shared/eval".into());
    let names = [
        "BA_MW_D",
        "BAMQ1_JVC_C",
        "MIDR_MW_D",
        "MPS_MW_A",
        "MR2_TANDBERG_E",
        "NRF_MW_E",
        "SVA_CL1_E",
    ];
    for name in names {
        let path = std::path::Path::new(&eval)
            .join("h264")
            .join(name)
            .with_extension("264");
        let Ok(bytes) = std::fs::read(&path) else {
            eprintln!("skipped: no {}", path.display());
            continue;
        };
        assert!(ours(units_from_stream(&bytes)) == reference(&path), "{name} differs");
    }
}
