//! Films without a network: what a seat receives.

use hearsight_codecs::h264::{Config as DecoderConfig, Decoder};
use hearsight_codecs::source::Frame;
use hearsight_core::allocate::Map;
use hearsight_core::media::Plane;
use hearsight_core::stage::{Engine, Outbox, Signal};
use hearsight_core::time::Moment;

use super::*;

/// Grey pictures and quiet sound of a tiny film; ends after `most` frames.
struct Tiny {
    next: i64,
    most: i64,
    fails: bool,
}

impl Tiny {
    fn reel(most: i64) -> Tiny {
        Tiny {
            next: 0,
            most,
            fails: false,
        }
    }

    fn frame<T>(&mut self, step: Span, item: impl FnOnce(i64) -> T) -> Result<Pulled<T>, SourceError> {
        if self.next == self.most {
            let failed = Err(SourceError::Unplayable("torn".into()));
            return if self.fails { failed } else { Ok(Pulled::End) };
        }
        let at = MediaTime::ZERO + step * self.next;
        self.next += 1;
        let (age, item) = (Span::ZERO, item(self.next));
        Ok(Pulled::Frame(Frame { at, age, item }))
    }
}

impl Reel<Picture<Planes>> for Tiny {
    fn pull(&mut self, _: MediaTime) -> Result<Pulled<Picture<Planes>>, SourceError> {
        self.frame(Span::from_millis(10), |n| {
            let plane = |side: usize| Plane {
                bytes: Arc::new(vec![(n * 3) as u8; side * side]),
                stride: side,
            };
            Picture {
                width: 32,
                height: 32,
                pixels: Planes {
                    y: plane(32),
                    u: plane(16),
                    v: plane(16),
                },
            }
        })
    }
}

impl Reel<Pcm> for Tiny {
    fn pull(&mut self, _: MediaTime) -> Result<Pulled<Pcm>, SourceError> {
        self.frame(Span::from_millis(20), |_| Pcm {
            rate: 48_000,
            samples: [0.0; 960].into(),
        })
    }
}

const CODING: Coding = Coding {
    fps: 100,
    bitrate: 500_000,
};

fn film(pictures: Option<Tiny>, sound: Option<Tiny>) -> Arc<Film> {
    let reels = Reels {
        pictures: pictures.map(|reel| Box::new(reel) as _),
        sound: sound.map(|reel| Box::new(reel) as _),
        tempo: Tempo::Paced,
    };
    Film::start(reels, CODING, Clock::new()).unwrap()
}

async fn all(receiver: &mut Receiver<Stamped<Packet>>) -> Vec<Stamped<Packet>> {
    let mut units = Vec::new();
    while let Ok(unit) = receiver.recv().await {
        units.push(unit);
    }
    units
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_film_is_shown_whole_in_time_and_in_step() {
    let film = film(Some(Tiny::reel(60)), Some(Tiny::reel(30)));
    let (_ticket, mut seat) = film.watch();
    let (seen, heard) = tokio::join!(all(&mut seat.pictures), all(&mut seat.sound));
    assert_eq!((seen.len(), heard.len()), (60, 30));
    assert!(seen[0].item.key, "it can be entered at its start");
    let zero = seen[0].born - (seen[0].at - MediaTime::ZERO);
    for unit in seen.iter().chain(&heard) {
        // Sound and pictures were captured on one timeline, whenever they were encoded.
        assert_eq!(unit.born - zero, unit.at - MediaTime::ZERO);
    }
    film.finish().unwrap();
    // Whoever comes later finds it over.
    let (_late, mut seat) = film.watch();
    assert!(all(&mut seat.pictures).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_held_while_nobody_watches() {
    let film = film(Some(Tiny::reel(i64::MAX)), None);
    let (ticket, mut seat) = film.watch();
    let before = seat.pictures.recv().await.unwrap();
    drop(ticket);
    drop(seat);
    let held = film.playhead.position();
    assert_eq!(held, None, "it stands still");
    let (_ticket, mut seat) = film.watch();
    let after = seat.pictures.recv().await.unwrap();
    // What was encoded in the moment of leaving is lost; the time of standing still is not played.
    assert!(
        after.at - before.at < Span::from_millis(500),
        "{:?}",
        after.at - before.at
    );
    assert!(
        after.born - before.born > after.at - before.at,
        "the capture moved by the break"
    );
    film.finish().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wishes_are_granted_to_all_and_not_too_often() {
    let film = film(Some(Tiny::reel(150)), None);
    let (ticket, mut seat) = film.watch();
    let (other, mut others) = film.watch();
    let mut keys = Vec::new();
    loop {
        let Ok(unit) = seat.pictures.recv().await else { break };
        ticket.request(Request::Keyframe);
        other.request(Request::Keyframe);
        if unit.item.key {
            keys.push(unit.at);
        }
    }
    assert!(keys.len() >= 2, "{keys:?}");
    assert!(keys.len() <= 5, "a keyframe for every wish: {keys:?}");
    let also: Vec<MediaTime> = all(&mut others.pictures).await.iter().map(|unit| unit.at).collect();
    assert!(also.len() <= WAITING, "who does not listen piles up nothing");
    film.finish().unwrap();
}

#[test]
fn the_tightest_cap_counts_while_its_owner_watches() {
    let film = film(None, None);
    let (wide, _seat) = film.watch();
    let (narrow, _other) = film.watch();
    wide.request(Request::Cap(900_000));
    narrow.request(Request::Cap(300_000));
    assert_eq!(lock(&film.audience).wish().cap, 300_000);
    drop(narrow);
    assert_eq!(lock(&film.audience).wish().cap, 900_000);
    drop(wide);
    assert_eq!(lock(&film.audience).wish().cap, u32::MAX);
    film.finish().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_reel_ends_both_strands_and_is_told() {
    let torn = Tiny {
        next: 0,
        most: 3,
        fails: true,
    };
    let film = film(Some(torn), Some(Tiny::reel(i64::MAX)));
    let (_ticket, mut seat) = film.watch();
    let (seen, _) = tokio::join!(all(&mut seat.pictures), all(&mut seat.sound));
    assert_eq!(seen.len(), 3);
    assert!(matches!(
        film.finish(),
        Err(FilmError::Source(SourceError::Unplayable(_)))
    ));
}

#[test]
fn the_tightest_cap_holds_for_all_and_a_map_for_one_alone() {
    let film = film(Some(Tiny::reel(i64::MAX)), None);
    let (one, _) = film.watch();
    let (map, slot) = (Map::new(&[3; 720]), Some(Span::from_millis(500)));
    one.want(Wanted {
        cap: Some(400_000),
        map: map.clone(),
        slot,
    });
    one.path(Some(900_000), 0.0);
    let wish = || lock(&film.audience).wish();
    assert_eq!((wish().cap, wish().map, wish().fps), (400_000, map, Some(5.0)));
    // Where six packets of ten are lost, pictures must come more often.
    one.path(Some(300_000), 0.6);
    assert_eq!(wish().cap, 300_000);
    assert!(wish().fps.is_some_and(|fps| fps > 60.0));
    let (other, _) = film.watch();
    assert_eq!((wish().cap, wish().map, wish().fps), (300_000, None, None));
    other.path(None, 0.0);
    drop(one);
    assert_eq!(wish().cap, u32::MAX);
    drop(other);
}

/// Snow: as hard to code as anything.
struct Snow {
    next: i64,
    random: fastrand::Rng,
}

const SNOW: (usize, usize) = (320, 240);

impl Reel<Picture<Planes>> for Snow {
    fn pull(&mut self, _: MediaTime) -> Result<Pulled<Picture<Planes>>, SourceError> {
        let at = MediaTime::ZERO + Span::from_millis(10) * self.next;
        self.next += 1;
        let mut plane = |(width, height): (usize, usize)| Plane {
            bytes: Arc::new((0..width * height).map(|_| self.random.u8(..)).collect::<Vec<u8>>()),
            stride: width,
        };
        let item = Picture {
            width: SNOW.0 as u32,
            height: SNOW.1 as u32,
            pixels: Planes {
                y: plane(SNOW),
                u: plane((SNOW.0 / 2, SNOW.1 / 2)),
                v: plane((SNOW.0 / 2, SNOW.1 / 2)),
            },
        };
        Ok(Pulled::Frame(Frame {
            at,
            age: Span::ZERO,
            item,
        }))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_bits_are_short_pictures_get_smaller_and_where_small_print_is_read_whole_again() {
    let random = fastrand::Rng::with_seed(3);
    let reels = Reels {
        pictures: Some(Box::new(Snow { next: 0, random })),
        sound: None,
        tempo: Tempo::Paced,
    };
    let film = Film::start(reels, CODING, Clock::new()).unwrap();
    let (ticket, mut seat) = film.watch();
    let mut decoder = Decoder::new(DecoderConfig::default()).unwrap();
    let mut widths = Vec::new();
    while let Ok(unit) = seat.pictures.recv().await {
        if unit.at > MediaTime::from_millis(20_000) {
            break;
        }
        let (key, mut out) = (unit.item.key, Outbox::default());
        decoder.run(Moment::ZERO, Signal::Item(unit), &mut out).unwrap();
        for signal in out.drain() {
            let Signal::Item(decoded) = signal else {
                panic!("every picture can be decoded")
            };
            let width = decoded.item.picture.width as usize;
            if widths.last() != Some(&width) {
                assert!(key, "another size begins with a key picture");
                widths.push(width);
            }
        }
        match widths.as_slice() {
            [_, .., last] if *last == SNOW.0 => break,
            [_, _, ..] => ticket.want(Wanted {
                map: Map::new(&[3; 720]),
                ..Wanted::default()
            }),
            _ => {}
        }
    }
    assert!(widths.len() >= 3 && widths[1] < SNOW.0, "{widths:?}");
    assert_eq!(widths.last(), Some(&SNOW.0), "{widths:?}");
    film.finish().unwrap_or_default();
}
