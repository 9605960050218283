//! The live loop against a real client on loopback.

use std::net::UdpSocket;
use std::sync::mpsc::Receiver;
use std::time::UNIX_EPOCH;

use hearsight_core::media::{Codec, Packet, Request};
use hearsight_core::stamped::{Mark, Stamped};
use hearsight_core::time::Span;

use super::*;
use client::{Client, Got, PATIENCE, Probe, start};

pub(crate) mod client;
mod restart;
mod watching;

fn next_packet(got: &Receiver<Got>, codec: Codec) -> Stamped<Packet> {
    loop {
        match got.recv_timeout(PATIENCE) {
            Ok(Got::Packet(unit)) if unit.item.codec == codec => return unit,
            Ok(Got::Left(why)) => panic!("the session ended: {why:?}"),
            Ok(_) => {}
            Err(_) => panic!("no packet came"),
        }
    }
}

fn sound(i: u8) -> Vec<u8> {
    vec![0xfc, i, 3, 4, 5]
}

/// An access unit in Annex B format, without emulated start codes.
fn picture(key: bool, bytes: usize, seed: u8) -> Vec<u8> {
    let filling = || (0..bytes).map(|i| (i as u8).wrapping_mul(7).wrapping_add(seed) | 1);
    let mut unit = Vec::new();
    if key {
        unit.extend([0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0x95, 0, 0, 0, 1, 0x68, 0xce, 0x3c]);
    }
    unit.extend([0, 0, 0, 1, if key { 0x65 } else { 0x41 }]);
    unit.extend(filling());
    unit
}

#[test]
fn sound_and_pictures_arrive_whole_in_order_and_stamped() {
    let (ingest, clock) = start(|_| {});
    let (mut client, id, _reply, got) = Client::connect(&ingest, clock);
    let mut last = None;
    for i in 0..100u8 {
        let at = Span::from_millis(20) * i64::from(i);
        client.say(at, &sound(i));
        let unit = next_packet(&got, Codec::Opus);
        assert_eq!(&*unit.item.payload, sound(i));
        assert!(unit.item.key && unit.item.missing == 0);
        assert_eq!(
            unit.trail.at(Mark::Arrived),
            None,
            "no clock measurement, so the network's share is unknown"
        );
        let released = unit.trail.at(Mark::Released).expect("released");
        assert!(unit.born <= released && released <= clock.now());
        if let Some(last) = last.replace(unit.at) {
            assert_eq!(unit.at - last, Span::from_millis(20));
        }
    }
    for i in 0..20u8 {
        let at = Span::from_millis(33) * i64::from(i);
        let sent = picture(i % 10 == 0, 5_000, i);
        client.show(at, &sent);
        let unit = next_packet(&got, Codec::H264);
        assert_eq!(unit.item.key, i % 10 == 0);
        assert_eq!(&*unit.item.payload, sent, "Annex B, as it was");
    }
    let stats = ingest.stats();
    assert_eq!((stats.open, stats.connecting, stats.panics), (1, 0, 0));
    let session = stats.sessions.first().expect("listed");
    assert_eq!((session.id, session.units, session.missing), (id, 120, 0));
    assert!(session.received_bytes > 100_000 && session.sent_bytes > 0);
}

#[test]
fn births_are_captures_once_the_clock_is_measured_and_the_sender_has_reported() {
    let (ingest, clock) = start(|_| {});
    let (mut client, _, reply, got) = Client::connect(&ingest, clock);
    #[allow(clippy::disallowed_methods, reason = "the client's wall clock")]
    let unix = std::time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let offset = clock.now() - hearsight_core::time::Moment::ZERO - Span::from_duration(unix);
    reply.clock_offset(offset, Span::from_micros(100));
    let begun = clock.now();
    for i in 0..10_000i64 {
        // Media time is the clock here, as in a real sender.
        client.say(clock.now() - begun, &sound(1));
        let unit = next_packet(&got, Codec::Opus);
        assert!(i < 9_999 && clock.now() - begun < Span::from_secs(20), "never measured");
        let Some(arrived) = unit.trail.at(Mark::Arrived) else {
            continue;
        };
        assert!(unit.born <= arrived && arrived - unit.born < Span::from_secs(2));
        let parts: Span = unit.trail.segments(unit.born).map(|(_, span)| span).sum();
        assert_eq!(unit.born + parts, unit.trail.at(Mark::Released).expect("released"));
        break;
    }
}

#[test]
fn messages_go_both_ways_and_those_from_before_the_opening_are_kept() {
    let (ingest, clock) = start(|_| {});
    let (mut client, offer) = Client::new(clock);
    let (probe, got) = Probe::new();
    let mut mine = None;
    let answer = ingest
        .offer(&offer, |_, reply| {
            reply.send("first".into()).expect("room");
            mine = Some(reply);
            Ok(Box::new(probe))
        })
        .expect("accepted");
    client.accept(&answer.sdp);
    let reply = mine.expect("opened");
    for i in 0..200 {
        reply.send(format!("{i}")).expect("room");
    }
    client.until(|c| c.messages.len() == 201);
    assert_eq!(client.messages[0], "first");
    assert!(
        client.messages[1..]
            .iter()
            .enumerate()
            .all(|(i, text)| *text == i.to_string())
    );
    client.tell("hello");
    client.tell(&"x".repeat(MAX_MESSAGE));
    let mut texts = Vec::new();
    client.until(|_| {
        texts.extend(got.try_iter().filter_map(|got| match got {
            Got::Message(text) => Some(text),
            _ => None,
        }));
        texts.len() >= 2
    });
    assert_eq!(texts[0], "hello");
    assert!(texts[1].len() == MAX_MESSAGE && texts[1].bytes().all(|b| b == b'x'));
}

#[test]
fn a_mailbox_is_bounded_and_closes_with_its_session() {
    let (ingest, clock) = start(|_| {});
    let (_client, offer) = Client::new(clock);
    let (probe, got) = Probe::new();
    let mut mine = None;
    let answer = ingest.offer(&offer, |_, reply| {
        mine = Some(reply);
        Ok(Box::new(probe))
    });
    let id = answer.expect("accepted").id;
    let reply = mine.expect("opened");
    let taken = (0..10_000).filter(|_| reply.send("x".repeat(1024)).is_ok()).count();
    assert_eq!(taken, 512, "nobody takes them: the rest is refused");
    assert!(ingest.has(id) && ingest.close(id) && !ingest.close(id));
    assert!(matches!(got.recv_timeout(PATIENCE), Ok(Got::Left(Left::Dismissed))));
    assert_eq!(reply.send("late".into()), Err(Full));
}

#[test]
fn a_client_that_closes_or_is_dismissed_leaves_nothing_behind() {
    let (ingest, clock) = start(|_| {});
    for round in 0..4 {
        let (mut client, id, _, got) = Client::connect(&ingest, clock);
        let why = if round % 2 == 0 {
            client.close();
            Left::Closed
        } else {
            assert!(ingest.close(id));
            client.until(|c| c.closed);
            Left::Dismissed
        };
        let left = std::iter::from_fn(|| got.recv_timeout(PATIENCE).ok()).find_map(|got| match got {
            Got::Left(why) => Some(why),
            _ => None,
        });
        assert_eq!(left, Some(why));
    }
    ingest.shutdown();
    let stats = ingest.stats();
    assert_eq!((stats.open, stats.connecting, stats.sessions.len()), (0, 0, 0));
}

#[test]
fn a_keyframe_is_asked_for_on_joining_on_request_and_after_a_loss() {
    let (ingest, clock) = start(|_| {});
    let (mut client, _, reply, got) = Client::connect(&ingest, clock);
    client.show(Span::ZERO, &picture(false, 100, 1));
    client.until(|c| c.keyframes_wanted == 1);
    client.show(Span::from_millis(33), &picture(true, 100, 2));
    while !next_packet(&got, Codec::H264).item.key {}
    reply.request(Request::Keyframe);
    client.until(|c| c.keyframes_wanted == 2);
    client.show(Span::from_millis(66), &picture(true, 100, 3));
    assert!(next_packet(&got, Codec::H264).item.key);
}

#[test]
fn a_lost_packet_of_a_picture_is_asked_for_again_and_the_picture_is_whole() {
    let (ingest, clock) = start(|_| {});
    let (mut client, _, _, got) = Client::connect(&ingest, clock);
    client.show(Span::ZERO, &picture(true, 5_000, 1));
    assert_eq!(next_packet(&got, Codec::H264).item.missing, 0);
    client.drop_next = 1;
    let sent = picture(false, 5_000, 2);
    client.show(Span::from_millis(33), &sent);
    let mut whole = None;
    client.until(|_| {
        whole = whole.take().or_else(|| {
            got.try_iter().find_map(|got| match got {
                Got::Packet(unit) => Some(unit.item),
                _ => None,
            })
        });
        whole.is_some()
    });
    let whole = whole.expect("repaired");
    assert_eq!((&*whole.payload, whole.missing), (&sent[..], 0));
}

#[test]
fn missing_sound_is_counted_and_waited_for_no_longer_than_declared() {
    let (ingest, clock) = start(|_| {});
    let (mut client, _, _, got) = Client::connect(&ingest, clock);
    client.say(Span::ZERO, &sound(0));
    assert_eq!(next_packet(&got, Codec::Opus).item.missing, 0);
    client.drop_next = 3;
    for i in 1..=3 {
        client.say(Span::from_millis(20) * i, &sound(9));
    }
    client.say(Span::from_millis(80), &sound(4));
    let unit = next_packet(&got, Codec::Opus);
    assert_eq!((&*unit.item.payload, unit.item.missing), (&sound(4)[..], 3));
}

#[test]
fn hostile_datagrams_harm_nobody() {
    let (ingest, clock) = start(|_| {});
    let (mut good, _, _, heard) = Client::connect(&ingest, clock);
    let (mut bad, ..) = Client::connect(&ingest, clock);
    for i in 0..20 {
        bad.say(Span::from_millis(20) * i, &sound(1));
        bad.show(Span::from_millis(20) * i, &picture(true, 3_000, 2));
    }
    let recorded = bad.sent.clone();
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut random = fastrand::Rng::with_seed(11);
    for i in 0..200u8 {
        for _ in 0..20 {
            let mut datagram = recorded[random.usize(..recorded.len())].clone();
            for _ in 0..random.usize(..8) {
                let at = random.usize(..datagram.len());
                datagram[at] = random.u8(..);
            }
            if random.u8(..4) == 0 {
                datagram.truncate(random.usize(..=datagram.len()));
            }
            // From a stranger, and from a session's own address.
            let from = if random.bool() { &stranger } else { &bad.socket };
            from.send_to(&datagram, ingest.local_address()).expect("sent");
        }
        good.say(Span::from_millis(20) * i64::from(i), &sound(i));
        assert_eq!(&*next_packet(&heard, Codec::Opus).item.payload, sound(i));
    }
    let stats = ingest.stats();
    assert_eq!(stats.panics, 0);
    assert!(stats.unroutable > 0 && stats.datagrams > 2_000);
}

#[test]
fn a_replayed_request_steals_nobodys_packets() {
    let (ingest, clock) = start(|_| {});
    let (mut good, _, _, heard) = Client::connect(&ingest, clock);
    let (bad, ..) = Client::connect(&ingest, clock);
    let requests: Vec<_> = bad.sent.iter().filter(|d| d.starts_with(&[0, 1])).cloned().collect();
    assert!(!requests.is_empty());
    for i in 0..20u8 {
        for request in &requests {
            // As if the victim's own address had sent the other session's request.
            good.socket.send_to(request, ingest.local_address()).expect("sent");
        }
        good.say(Span::from_millis(20) * i64::from(i), &sound(i));
        assert_eq!(&*next_packet(&heard, Codec::Opus).item.payload, sound(i));
    }
    assert!(
        ingest.stats().contested > 0,
        "the session answered, and did not get the address"
    );
}

#[test]
fn a_session_that_panics_ends_alone() {
    let (ingest, clock) = start(|_| {});
    let (mut good, _, _, heard) = Client::connect(&ingest, clock);
    let (mut bad, _, _, seen) = Client::connect(&ingest, clock);
    bad.tell("panic");
    let left = std::iter::from_fn(|| seen.recv_timeout(PATIENCE).ok()).find_map(|got| match got {
        Got::Left(why) => Some(why),
        _ => None,
    });
    assert_eq!(left, Some(Left::Failed));
    good.say(Span::ZERO, &sound(7));
    assert_eq!(&*next_packet(&heard, Codec::Opus).item.payload, sound(7));
    assert_eq!(ingest.stats().panics, 1);
}

#[test]
fn those_who_never_connect_or_fall_silent_are_cleaned_up() {
    let (ingest, clock) = start(|config| {
        config.connect_timeout = Span::from_millis(300);
        config.silence_timeout = Span::from_millis(500);
        config.max_connecting = 1;
    });
    let (_never, offer) = Client::new(clock);
    let (probe, got) = Probe::new();
    ingest.offer(&offer, |_, _| Ok(Box::new(probe))).expect("accepted");
    let (other, _) = Probe::new();
    assert!(matches!(
        ingest.offer(&offer, |_, _| Ok(Box::new(other))),
        Err(OfferError::Crowded(_))
    ));
    assert!(matches!(
        got.recv_timeout(PATIENCE),
        Ok(Got::Left(Left::NeverConnected))
    ));
    let (_vanishes, _, _, got) = Client::connect(&ingest, clock);
    assert!(matches!(got.recv_timeout(PATIENCE), Ok(Got::Left(Left::Silent))));
    ingest.shutdown();
    assert_eq!(ingest.stats().open, 0);
    assert!(matches!(
        ingest.offer(&offer, |_, _| Ok(Box::new(Probe::new().0))),
        Err(OfferError::Unavailable(_))
    ));
}

#[test]
fn session_names_are_read_as_they_are_written() {
    let id = SessionId::random().expect("randomness");
    assert_eq!(SessionId::parse(&id.to_string()), Some(id));
    assert_eq!(SessionId::parse("+0000000000000000000000000000001"), None);
    assert_eq!(SessionId::parse(&id.to_string()[1..]), None);
    assert!(!format!("{id:?}").contains(&id.to_string()[8..]));
}
