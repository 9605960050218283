//! The whole way with real coders: a moving scene is coded, decoded, shown at twice its rate, and coded again.

use hearsight_codecs::encode::{H264Config, H264Encoder, Preset};
use hearsight_codecs::h264;

use super::*;
use crate::demo::scene::Scene;
use crate::watch::Next;

const FPS: u32 = 30;
const PICTURES: i64 = 45;

fn sizes() -> (u32, u32) {
    (320, 180)
}

/// What a sender's coder and our decoder make of a scene.
fn decoded(scene: &Scene) -> Vec<Event> {
    let (width, height) = sizes();
    let mut encoder = H264Encoder::new(H264Config {
        width,
        height,
        fps: FPS,
        bitrate: 1_500_000,
        gop: 300,
        preset: Preset::Superfast,
    })
    .expect("libx264");
    let mut decoder = h264::Decoder::new(h264::Config::default()).expect("libavcodec");
    let mut events = Vec::new();
    for n in 0..PICTURES {
        let into = Span::from_samples(n, FPS);
        let (at, came) = (MediaTime::ZERO + into, Moment::from_millis(20) + into);
        let packet = encoder.encode(&scene.picture(at)).expect("it is coded");
        let mut out = Outbox::default();
        decoder
            .run(came, Signal::Item(Stamped::new(at, came, packet)), &mut out)
            .expect("no fault");
        events.extend(out.drain().map(|signal| (came, signal)));
    }
    events
}

/// Mean square difference of luma.
fn error(one: &Picture<Planes>, other: &Picture<Planes>) -> f64 {
    let (width, height) = (one.width as usize, one.height as usize);
    let mut sum = 0.0;
    for y in 0..height {
        let rows = one.pixels.y.row(y, width).zip(other.pixels.y.row(y, width));
        let (a, b) = rows.expect("both hold their pictures");
        sum += a
            .iter()
            .zip(b)
            .map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2))
            .sum::<f64>();
    }
    sum / (width * height) as f64
}

#[test]
fn made_pictures_are_nearer_to_the_truth_than_those_held() {
    let (width, height) = sizes();
    let scene = Scene::new(width, height, Span::from_secs(10)).expect("a scene");
    let seen = Watched::new(STYLE).play(decoded(&scene), nothing);
    assert_eq!(count(&seen, Origin::Received), PICTURES as usize);
    let (mut made, mut held, mut moments) = (0.0, 0.0, 0);
    let mut before: Option<&Picture<Planes>> = None;
    for (_, unit) in &seen {
        let picture = unit.item.picture.as_ref();
        if let (Some(picture), Some(before), Origin::Made) = (picture, before, unit.item.origin) {
            let truth = scene.picture(unit.at);
            made += error(picture, &truth);
            held += error(before, &truth);
            moments += 1;
        }
        before = picture.filter(|_| unit.item.origin == Origin::Received).or(before);
    }
    assert!(moments >= PICTURES - 5, "{moments} made");
    assert!(
        made < held * 0.7,
        "error {:.1} made, {:.1} held",
        made / moments as f64,
        held / moments as f64
    );
}

#[test]
fn what_is_shown_is_coded_once_and_begins_with_a_key_picture_for_whoever_comes() {
    let (width, height) = sizes();
    let scene = Scene::new(width, height, Span::from_secs(10)).expect("a scene");
    let seen = Watched::new(STYLE).play(decoded(&scene), nothing);
    let screen = Screen::default();
    let sit = || screen.sit(Asked::Session, Box::new(|| {})).expect("it goes on");
    let (first, mut late) = (sit(), None);
    let mut coder = Coder::new(1_000_000, screen.clone(), Effort::default());
    let mut decoders = [(); 2].map(|()| h264::Decoder::new(h264::Config::default()).expect("libavcodec"));
    let mut shown = [0; 2];
    for (number, (now, unit)) in seen.iter().enumerate() {
        if number == PICTURES as usize {
            late = Some(sit());
        }
        let mut out = Outbox::default();
        coder.run(*now, Signal::Item(unit.clone()), &mut out).expect("no fault");
        for signal in out.drain() {
            let Signal::Item(packet) = signal else {
                panic!("nothing is lost: {signal:?}")
            };
            screen.put(packet);
        }
        for (viewer, seat) in [Some(&first), late.as_ref()].into_iter().enumerate() {
            while let Some(Next::Unit(packet)) = seat.map(crate::watch::Seat::take) {
                let mut pictures = Outbox::default();
                decoders[viewer]
                    .run(*now, Signal::Item(packet), &mut pictures)
                    .expect("no fault");
                shown[viewer] += pictures
                    .drain()
                    .filter(|signal| matches!(signal, Signal::Item(_)))
                    .count();
            }
        }
    }
    let pictures = seen.iter().filter(|(_, unit)| unit.item.picture.is_some()).count();
    assert_eq!(shown[0], pictures);
    assert!(
        shown[1] + PICTURES as usize >= pictures - 4,
        "who came half-way saw {} of {pictures}",
        shown[1]
    );
}
