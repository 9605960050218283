//! Streams with pictures that no other refers to, and what their loss costs.

use std::cell::RefCell;
use std::sync::Arc;

use ffmpeg_next::format::Pixel;
use ffmpeg_next::{Dictionary, Packet as Coded, codec, encoder};

use super::*;

/// Units in which every second picture is one that no other refers to, as with two temporal layers.
fn layered(count: i64) -> Vec<Packet> {
    let codec = encoder::find_by_name("libx264").expect("libx264");
    let mut video = codec::Context::new_with_codec(codec)
        .encoder()
        .video()
        .expect("an encoder");
    video.set_width(320);
    video.set_height(192);
    video.set_format(Pixel::YUV420P);
    video.set_time_base((1, 30));
    video.set_gop(300);
    video.set_max_b_frames(1);
    video.set_bit_rate(1_000_000);
    let mut options = Dictionary::new();
    for (key, value) in [
        ("preset", "veryfast"),
        ("x264-params", "b-adapt=0:scenecut=0:b-pyramid=none:threads=1"),
    ] {
        options.set(key, value);
    }
    let mut encoder = video.open_with(options).expect("opened");
    let (mut units, mut unit) = (Vec::new(), Coded::empty());
    for n in 0..=count {
        if n == count {
            encoder.send_eof().expect("ends");
        } else {
            let source = picture(320, 192, |x, y| texture(x - 2 * n as i32, y));
            let mut input = crate::encode::frame_from_picture(&source, (320, 192)).expect("a frame");
            input.set_pts(Some(n));
            encoder.send_frame(&input).expect("taken");
        }
        while encoder.receive_packet(&mut unit).is_ok() {
            let payload: Arc<[u8]> = unit.data().unwrap_or_default().into();
            units.push(Packet {
                codec: Codec::H264,
                key: is_key(&payload),
                payload,
                missing: 0,
            });
        }
    }
    units
}

#[test]
fn what_no_other_picture_refers_to_is_lost_alone() {
    let units = layered(60);
    let spare = units
        .iter()
        .filter(|unit| !super::super::nal::is_reference(&unit.payload))
        .count();
    assert!(spare >= 25, "{spare} of {} may be lost", units.len());
    let shown = |lost: &dyn Fn(usize, &Packet) -> bool| {
        let (mut decoder, mut seen) = (decoder(), Seen::default());
        let mut missing = 0;
        for (n, packet) in units.iter().enumerate() {
            if lost(n, packet) {
                missing = 1;
                continue;
            }
            let packet = Packet {
                missing: std::mem::take(&mut missing),
                ..packet.clone()
            };
            seen.item(&mut decoder, n as i64, packet);
        }
        seen.step(&mut decoder, Moment::from_millis(3_000), Signal::End);
        seen
    };
    let whole = shown(&|_, _| false);
    assert_eq!((whole.pictures.len(), whole.lost, whole.requests), (60, 0, 0));
    for seed in 0..20 {
        let random = RefCell::new(fastrand::Rng::with_seed(seed));
        let some =
            |_: usize, packet: &Packet| !super::super::nal::is_reference(&packet.payload) && random.borrow_mut().bool();
        let part = shown(&some);
        assert_eq!(part.requests, 0, "seed {seed}: nothing is asked for");
        assert!(
            part.pictures.len() >= 60 - spare && part.pictures.len() < 60,
            "seed {seed}"
        );
        for one in &part.pictures {
            let same = whole
                .pictures
                .iter()
                .find(|other| other.at == one.at)
                .expect("it was shown then too");
            assert!(
                psnr(&one.item.picture, &same.item.picture) > 90.0,
                "seed {seed}: not the same at {:?}",
                one.at
            );
        }
    }
    let broken = shown(&|n, _| n == 11 || n == 12);
    assert!(broken.requests > 0, "two in a row: others refer to one of them");
}
