//! Screens under random viewers: nobody sees a picture whose reference it missed, and nobody is held up by another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use hearsight_core::media::{Codec, Packet};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};

use super::*;
use crate::ingest::SessionId;

/// The n-th picture, its number in its payload.
fn picture(n: u32, key: bool, missing: u32, padding: usize) -> Stamped<Packet> {
    let mut payload = n.to_be_bytes().to_vec();
    payload.resize(4 + padding, 0);
    let packet = Packet {
        codec: Codec::H264,
        payload: payload.into(),
        key,
        missing,
    };
    let at = i64::from(n) * 33;
    Stamped::new(MediaTime::from_millis(at), Moment::from_millis(at), packet)
}

fn number(unit: &Stamped<Packet>) -> u32 {
    u32::from_be_bytes(unit.item.payload[..4].try_into().unwrap())
}

fn silent() -> Bell {
    Box::new(|| {})
}

struct Viewer {
    seat: Seat,
    rings: Arc<AtomicUsize>,
    /// How often, out of 8, it takes what there is.
    eagerness: u8,
    seen: Vec<u32>,
    /// While its path takes nothing.
    rests_until: Option<u32>,
    sat_at: u32,
}

impl Viewer {
    fn new(screen: &Screen, eagerness: u8, sat_at: u32) -> Viewer {
        let rings = Arc::new(AtomicUsize::new(0));
        let bell = rings.clone();
        let bell: Bell = Box::new(move || {
            bell.fetch_add(1, Relaxed);
        });
        Viewer {
            seat: screen.sit(Asked::Session, bell).expect("the view goes on"),
            rings,
            eagerness,
            seen: Vec::new(),
            rests_until: None,
            sat_at,
        }
    }

    fn take_all(&mut self) {
        while let Next::Unit(unit) = self.seat.take() {
            self.seen.push(number(&unit));
        }
    }

    /// What a path that is too narrow does: the unit that was taken is not sent, nor what comes in the next two seconds.
    fn strain(&mut self, n: u32) {
        match self.rests_until {
            None if matches!(self.seat.take(), Next::Unit(_)) => {
                self.seat.rest(Lost::TooLate);
                self.rests_until = Some(n + 60);
            }
            Some(until) if n >= until => {
                self.seat.come_back();
                self.rests_until = None;
            }
            _ => {}
        }
    }
}

#[test]
fn viewers_see_unbroken_stretches_from_keyframes_and_the_slow_never_harm_the_quick() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let screen = Screen::default();
        let mut viewers: Vec<Viewer> = Vec::new();
        let (mut keys, mut broken) = (Vec::new(), Vec::new());
        let padding = [0, 200_000][random.usize(..2)];
        for n in 0..600 {
            if random.u8(..60) == 0 {
                viewers.push(Viewer::new(&screen, [8, 8, 3, 0][random.usize(..4)], n));
            }
            let now = Moment::from_millis(i64::from(n) * 33);
            let (key, missing) = (screen.take_key_wish(now), u32::from(random.u8(..80) == 0));
            keys.extend(key.then_some(n));
            broken.extend((missing > 0 && !key).then_some(n));
            screen.put(picture(n, key, missing, padding));
            for viewer in &mut viewers {
                if random.u8(..8) < viewer.eagerness {
                    viewer.take_all();
                }
                if viewer.eagerness == 3 && (viewer.rests_until.is_some() || random.u8(..30) == 0) {
                    viewer.strain(n);
                }
            }
        }
        for viewer in &mut viewers {
            viewer.take_all();
            let starts = viewer
                .seen
                .windows(2)
                .filter(|two| two[1] != two[0] + 1)
                .map(|two| two[1]);
            for start in starts.chain(viewer.seen.first().copied()) {
                assert!(
                    keys.contains(&start),
                    "seed {seed}: a viewer begins at {start}, no keyframe"
                );
            }
            let seen_broken = viewer.seen.iter().find(|n| broken.contains(n));
            assert_eq!(seen_broken, None, "seed {seed}: what it builds on is missing");
            assert!(viewer.seen.is_empty() || viewer.rings.load(Relaxed) > 0);
            // Half a second of pictures passes between two keyframes at most, with another wish under way.
            if viewer.eagerness == 8 && viewer.sat_at < 500 {
                let first = viewer.seen[0];
                assert!(
                    first <= viewer.sat_at + 17,
                    "seed {seed}: sat {}, saw {first}",
                    viewer.sat_at
                );
                let lost = (first..600).filter(|n| !viewer.seen.contains(n)).count();
                assert!(lost <= 17 * broken.len(), "seed {seed}: the quick lost {lost}");
            }
        }
    }
}

#[test]
fn a_seat_keeps_little_however_long_its_viewer_sleeps() {
    let screen = Screen::default();
    let asleep = screen.sit(Asked::Session, silent()).unwrap();
    let counters = screen.counters();
    for n in 0..10_000u32 {
        screen.put(picture(n, n.is_multiple_of(100), 0, 100_000));
    }
    let (mut bytes, mut units) = (0, 0);
    while let Next::Unit(unit) = asleep.take() {
        bytes += unit.item.payload.len();
        units += 1;
    }
    assert!(bytes <= 4 * 1024 * 1024 && units <= 60, "{units} units, {bytes} bytes");
    assert_eq!(
        counters.snapshot().lost.iter().sum::<u64>() + units,
        10_000,
        "every unit is accounted for"
    );
}

#[test]
fn nobody_wears_the_makers_down_with_wishes() {
    let screen = Screen::default();
    assert!(!screen.take_key_wish(Moment::ZERO), "nobody is here to wish");
    let seat = screen.sit(Asked::Session, silent()).unwrap();
    let crowd: Vec<Seat> = (0..50).map(|_| screen.sit(Asked::Session, silent()).unwrap()).collect();
    let passed_on = |wishing: &[Seat], from: i64| {
        let wishes = (from..from + 10_000).filter(|millis| {
            let now = Moment::ZERO + Span::from_millis(*millis);
            wishing.iter().for_each(|seat| seat.wish_key(now));
            screen.take_key_wish(now)
        });
        wishes.count()
    };
    assert_eq!(passed_on(&crowd[..1], 0), 10, "one viewer's wishes count once a second");
    // However many wish, and whenever.
    let together = passed_on(&crowd, 20_000);
    assert!(together <= 20, "{together}");
    drop((crowd, seat));
    // One keyframe answers everybody who waits for one.
    let (_seat, now) = (screen.sit(Asked::Session, silent()), Moment::from_millis(50_000));
    screen.put(picture(0, true, 0, 0));
    assert!(!screen.take_key_wish(now));
}

#[test]
fn the_poorest_path_sets_the_rate_within_bounds() {
    let screen = Screen::default();
    let seats: Vec<Seat> = (0..3).map(|_| screen.sit(Asked::Session, silent()).unwrap()).collect();
    assert_eq!(screen.rate(), None);
    seats[0].set_rate(3_000_000);
    seats[1].set_rate(900_000);
    assert_eq!(screen.rate(), Some(900_000));
    seats[2].set_rate(0);
    assert_eq!(screen.rate(), Some(150_000), "one viewer can't spoil it for everybody");
    drop(seats);
    assert_eq!(screen.rate(), None);
    assert!(!screen.watched());
}

fn id() -> SessionId {
    SessionId::random().unwrap()
}

#[test]
fn a_name_is_the_latest_publishers_and_goes_back() {
    let screens = Screens::new(&View::ALL);
    let missing = |of| screens.find("me", of, View::Smooth).err();
    assert_eq!(missing(None), Some(NotShown::NoPublisher));
    let (a, b) = (id(), id());
    let first = screens.enter("me", a);
    let sit = |of| {
        let (screen, asked) = screens.find("me", of, View::Smooth).expect("on the air");
        screen.sit(asked, silent()).expect("a seat")
    };
    let (by_name, by_session) = (sit(None), sit(Some(a)));
    let second = screens.enter("me", b);
    assert_eq!((by_name.take(), by_session.take()), (Next::Ended, Next::Nothing));
    let anew = sit(None);
    second.screen(View::Smooth).put(picture(7, true, 0, 0));
    assert!(matches!(anew.take(), Next::Unit(_)));
    assert_eq!(
        by_session.take(),
        Next::Nothing,
        "the other session's pictures are not mixed in"
    );
    drop(second);
    assert_eq!(
        (anew.take(), missing(Some(b))),
        (Next::Ended, Some(NotShown::NoPublisher))
    );
    first.screen(View::Smooth).put(picture(8, true, 0, 0));
    assert!(matches!(by_session.take(), Next::Unit(_)));
    assert_eq!(screens.stats(View::Smooth).viewers, 3);
    let (screen, asked) = screens.find("me", None, View::Smooth).expect("the name went back");
    drop(first);
    assert!(
        screen.sit(asked, silent()).is_none(),
        "nobody sits down before a view that is over"
    );
    drop((by_name, by_session, anew));
    assert_eq!(screens.stats(View::Smooth).viewers, 0);
    assert_eq!(missing(None), Some(NotShown::NoPublisher));
}

#[test]
fn a_view_that_the_server_does_not_show_is_refused_by_name() {
    let screens = Screens::new(&[View::Received]);
    let _on_air = screens.enter("me", id());
    assert!(screens.find("me", None, View::Received).is_ok());
    let refused = screens.find("me", None, View::Smooth).err();
    assert_eq!(refused, Some(NotShown::NoView(View::Smooth)));
    for view in View::ALL {
        assert_eq!(View::parse(view.name()), Some(view));
    }
    assert_eq!(View::parse("Smooth"), None);
}
