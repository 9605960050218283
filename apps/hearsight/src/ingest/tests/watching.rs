//! Viewers on loopback: pictures go out to them as they were put on the screen, and their wishes come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use hearsight_core::media::Packet;
use hearsight_core::time::MediaTime;
use str0m::media::KeyframeRequestKind;

use super::*;

/// Counts the viewers that are there.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

struct Cinema {
    ingest: Ingest,
    clock: Clock,
    screen: Screen,
    viewers: Arc<AtomicUsize>,
    /// What was put on the screen, in order.
    shown: Vec<Vec<u8>>,
}

impl Cinema {
    fn open() -> Cinema {
        let (ingest, clock) = start(|config| config.max_viewers = 3);
        Cinema {
            ingest,
            clock,
            screen: Screen::default(),
            viewers: Arc::default(),
            shown: Vec::new(),
        }
    }

    fn watching(&self) -> Watching {
        self.viewers.fetch_add(1, Relaxed);
        Watching {
            screen: self.screen.clone(),
            asked: Asked::Session,
            place: Box::new(Place(self.viewers.clone())),
        }
    }

    /// A viewer whose connection stands.
    fn viewer(&self) -> (Client, Answer) {
        let (mut client, offer) = Client::watching(self.clock);
        let answer = self.ingest.watch(&offer, |_| Ok(self.watching())).expect("accepted");
        client.accept(&answer.sdp);
        client.until(|c| c.connected && c.open);
        (client, answer)
    }

    /// Puts the next picture on the screen, 40 ms of media time after the last: a keyframe where one is wished for. Then the
    /// viewers take what comes for as long as a path of 1 Mbit/s needs for it.
    fn show(&mut self, viewers: &mut [&mut Client]) {
        let now = self.clock.now();
        let key = self.screen.take_key_wish(now);
        let number = self.shown.len();
        let bytes = picture(key, 2_000, number as u8);
        let packet = Packet {
            codec: Codec::H264,
            payload: bytes.clone().into(),
            key,
            missing: 0,
        };
        let at = MediaTime::from_millis(40 * number as i64);
        self.shown.push(bytes);
        self.screen.put(Stamped::new(at, now, packet));
        while self.clock.now() < now + Span::from_millis(20) {
            viewers.iter_mut().for_each(|viewer| viewer.pump());
        }
    }

    /// Which of the pictures a viewer got; panics where one is none of them.
    fn numbers(&self, viewer: &Client) -> Vec<usize> {
        let mut next = 0;
        let number = |got: &[u8]| {
            let ahead = self.shown[next..].iter().position(|sent| *sent == got);
            next += ahead.expect("whole, as it was, and in order") + 1;
            next - 1
        };
        viewer.shown.iter().map(|shown| &shown.data[..]).map(number).collect()
    }

    /// Shows pictures until the viewer has got what it wants.
    fn show_until(&mut self, viewer: &mut Client, done: impl Fn(&Client) -> bool) {
        for _ in 0..1_000 {
            if done(viewer) {
                return;
            }
            self.show(&mut [viewer]);
        }
        panic!("1000 pictures were shown in vain");
    }
}

#[test]
fn every_viewer_gets_every_picture_whole_from_a_keyframe_on() {
    let mut cinema = Cinema::open();
    assert!(!cinema.screen.watched());
    let (mut one, answer) = cinema.viewer();
    assert_eq!(answer.sdp.matches("a=sendonly").count(), 1, "{}", answer.sdp);
    assert_eq!(answer.sdp.matches("a=inactive").count(), 1, "{}", answer.sdp);
    assert!(cinema.screen.watched());
    cinema.show_until(&mut one, |c| !c.shown.is_empty());
    let (mut late, _) = cinema.viewer();
    cinema.show_until(&mut late, |c| !c.shown.is_empty());
    for viewer in [&mut one, &mut late] {
        assert!(viewer.shown[0].is_keyframe(), "a decoder can begin with it");
    }
    let before = [one.shown.len(), late.shown.len()];
    (0..50).for_each(|_| cinema.show(&mut [&mut one, &mut late]));
    for (viewer, before) in [&mut one, &mut late].into_iter().zip(before) {
        cinema.show_until(viewer, |c| c.shown.len() >= before + 50);
        let numbers = cinema.numbers(viewer);
        for (two, got) in numbers.windows(2).zip(viewer.shown.windows(2)) {
            // A path that is too narrow for a while, as a busy machine's may be, costs pictures up to a keyframe, and no others.
            assert!(two[1] == two[0] + 1 || got[1].is_keyframe(), "{numbers:?}");
            let ticks = got[1].time.numer() - got[0].time.numer();
            assert_eq!(ticks, 3_600 * (two[1] - two[0]) as u64, "40 ms of media time each");
        }
    }
    assert_eq!((cinema.ingest.stats().viewers, cinema.ingest.stats().open), (2, 0));
}

#[test]
fn viewers_have_places_of_their_own_and_are_told_when_the_view_is_over() {
    let cinema = Cinema::open();
    let mut viewers: Vec<Client> = (0..3).map(|_| cinema.viewer().0).collect();
    let (_, offer) = Client::watching(cinema.clock);
    let crowded = cinema.ingest.watch(&offer, |_| Ok(cinema.watching()));
    assert!(matches!(crowded, Err(OfferError::Crowded(3))), "{crowded:?}");
    assert_eq!(cinema.viewers.load(Relaxed), 3, "the refused one holds no place");
    let publishing = Client::connect(&cinema.ingest, cinema.clock);
    // One leaves by itself.
    let mut leaving = viewers.pop().expect("three");
    leaving.close();
    // The others are told.
    cinema.screen.end();
    for viewer in &mut viewers {
        viewer.until(|c| c.closed);
    }
    leaving.until(|_| cinema.viewers.load(Relaxed) == 0);
    assert_eq!((cinema.ingest.stats().viewers, cinema.ingest.stats().open), (0, 1));
    assert!(!cinema.screen.watched());
    drop(publishing);
    // Before a view that is over nobody sits down.
    let (mut late, offer) = Client::watching(cinema.clock);
    let answer = cinema
        .ingest
        .watch(&offer, |_| Ok(cinema.watching()))
        .expect("answered");
    late.accept(&answer.sdp);
    late.until(|c| c.closed);
}

#[test]
fn a_lost_packet_is_sent_again_and_a_decoder_that_asks_gets_a_keyframe() {
    let mut cinema = Cinema::open();
    let (mut viewer, _) = cinema.viewer();
    cinema.show_until(&mut viewer, |c| c.shown.len() > 10);
    for lost in 1..4 {
        viewer.lose_next = lost;
        cinema.show(&mut [&mut viewer]);
        let bytes = cinema.shown.last().cloned().unwrap_or_default();
        cinema.show_until(&mut viewer, |c| c.shown.iter().any(|shown| *shown.data == bytes[..]));
        assert_eq!(viewer.lose_next, 0);
    }
    let keys = |c: &Client| c.shown.iter().filter(|shown| shown.is_keyframe()).count();
    let before = keys(&viewer);
    let mid = viewer.picture;
    let writer = |c: &mut Client| {
        let mut writer = c.rtc.writer(mid).expect("a writer");
        writer
            .request_keyframe(None, KeyframeRequestKind::Pli)
            .expect("negotiated");
    };
    writer(&mut viewer);
    cinema.show_until(&mut viewer, |c| keys(c) > before);
}

#[test]
fn a_viewer_restarts_ice_and_goes_on_watching() {
    let mut cinema = Cinema::open();
    let (mut viewer, answer) = cinema.viewer();
    cinema.show_until(&mut viewer, |c| c.shown.len() > 3);
    let fragment = Fragment::parse(&viewer.restart()).expect("a fragment");
    let patched = cinema
        .ingest
        .patch(answer.id, &Condition::Any, &fragment)
        .expect("restarted");
    let Patched::Restarted { fragment, .. } = patched else {
        panic!("the credentials are new");
    };
    viewer.restarted(&fragment);
    let before = viewer.shown.len();
    cinema.show_until(&mut viewer, |c| c.shown.len() > before + 20);
}

#[test]
fn offers_that_take_no_pictures_are_refused() {
    let cinema = Cinema::open();
    let (_, offer) = Client::watching(cinema.clock);
    let refused = |offer: &str| match cinema.ingest.watch(offer, |_| Ok(cinema.watching())) {
        Err(OfferError::Unsupported(why) | OfferError::Malformed(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(refused(&offer.replace("recvonly", "sendonly")).contains("recvonly"));
    assert!(refused(&offer.replace("H264/90000", "VP8/90000")).contains("H264"));
    assert!(refused(&offer.replace("packetization-mode=1", "packetization-mode=0")).contains("packetization-mode=1"));
    assert!(refused("hello").contains("v=0"));
    assert_eq!(cinema.viewers.load(Relaxed), 0);
    let sendrecv = cinema
        .ingest
        .watch(&offer.replace("recvonly", "sendrecv"), |_| Ok(cinema.watching()));
    let sdp = sendrecv.expect("a player that offers both ways is answered").sdp;
    assert!(
        sdp.contains("a=sendonly") && !sdp.contains("x-google-start-bitrate"),
        "{sdp}"
    );
}
