//! ICE after the offer: restarts, changes of address, consent.

use super::*;

fn patch(ingest: &Ingest, id: SessionId, condition: &Condition, fragment: &str) -> Result<Patched, PatchError> {
    ingest.patch(id, condition, &Fragment::parse(fragment).expect("a fragment"))
}

/// Restarts ICE; answers with the new entity tag.
fn restart(ingest: &Ingest, id: SessionId, client: &mut Client) -> String {
    let asked = client.restart();
    let Ok(Patched::Restarted {
        fragment,
        ice_generation,
    }) = patch(ingest, id, &Condition::Any, &asked)
    else {
        panic!("not restarted")
    };
    let candidates = fragment.lines().filter(|line| line.starts_with("a=candidate:"));
    assert_eq!(candidates.count(), 1, "{fragment}");
    assert!(fragment.contains("a=ice-lite") && fragment.contains(&format!("a=ice-ufrag:{ice_generation}\r\n")));
    client.restarted(&fragment);
    ice_generation
}

/// Speaks from `at` on until what it says is heard; answers with the media time reached.
fn speak_until_heard(client: &mut Client, got: &Receiver<Got>, mut at: Span, mark: u8) -> Span {
    let clock = Clock::new();
    loop {
        client.say(at, &sound(mark));
        at += Span::from_millis(20);
        let heard = |got: Got| matches!(got, Got::Packet(unit) if *unit.item.payload == sound(mark)[..]);
        if got.try_iter().any(heard) {
            return at;
        }
        assert!(
            clock.now() < hearsight_core::time::Moment::ZERO + Span::from_secs(20),
            "not heard"
        );
        client.pump();
    }
}

#[test]
fn a_session_survives_restarts_of_ice_and_its_packets_go_on() {
    let (ingest, clock) = start(|_| {});
    let (mut client, id, reply, got) = Client::connect(&ingest, clock);
    let mut at = speak_until_heard(&mut client, &got, Span::ZERO, 1);
    let mut tags = vec![];
    for round in 2..6 {
        tags.push(restart(&ingest, id, &mut client));
        at = speak_until_heard(&mut client, &got, at, round);
        // The way back, too: messages reach the client over the same association.
        let before = client.messages.len();
        reply.send(format!("round {round}")).expect("room");
        client.until(|c| c.messages.len() > before);
    }
    tags.dedup();
    assert_eq!(tags.len(), 4, "each generation has a tag of its own");
    let stats = ingest.stats();
    assert_eq!((stats.open, stats.panics, stats.sessions[0].missing), (1, 0, 0));
}

#[test]
fn a_session_survives_a_change_of_address_with_a_restart() {
    let (ingest, clock) = start(|_| {});
    let (mut client, id, reply, got) = Client::connect(&ingest, clock);
    let mut at = speak_until_heard(&mut client, &got, Span::ZERO, 1);
    for round in 2..5 {
        client.move_away();
        restart(&ingest, id, &mut client);
        at = speak_until_heard(&mut client, &got, at, round);
        let before = client.messages.len();
        reply.send(format!("round {round}")).expect("room");
        client.until(|c| c.messages.len() > before);
    }
    assert_eq!(ingest.stats().open, 1);
}

#[test]
fn a_restart_that_is_refused_leaves_the_session_as_it_was() {
    let (ingest, clock) = start(|_| {});
    let (mut client, id, _, got) = Client::connect(&ingest, clock);
    let mut at = speak_until_heard(&mut client, &got, Span::ZERO, 1);
    let fresh = "a=ice-ufrag:fresh\r\na=ice-pwd:0123456789012345678901\r\n";
    let stale = Condition::OneOf(vec!["stale".into()]);
    assert_eq!(patch(&ingest, id, &stale, fresh), Err(PatchError::Stale));
    at = speak_until_heard(&mut client, &got, at, 2);
    let unknown = SessionId::random().expect("randomness");
    assert_eq!(patch(&ingest, unknown, &Condition::Any, fresh), Err(PatchError::Gone));
    let candidate = "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    assert_eq!(patch(&ingest, id, &Condition::Any, candidate), Ok(Patched::Noted));
    speak_until_heard(&mut client, &got, at, 3);
}

#[test]
fn who_restarts_and_does_not_follow_is_heard_until_consent_expires() {
    let (ingest, clock) = start(|config| config.consent_timeout = Span::from_secs(2));
    let (mut client, id, _, got) = Client::connect(&ingest, clock);
    let fresh = "a=ice-ufrag:fresh\r\na=ice-pwd:0123456789012345678901\r\n";
    assert!(matches!(
        patch(&ingest, id, &Condition::Any, fresh),
        Ok(Patched::Restarted { .. })
    ));
    speak_until_heard(&mut client, &got, Span::ZERO, 1);
    assert_eq!(until_left(&mut client, &got), Left::Silent);
}

#[test]
fn media_without_checks_is_no_consent() {
    let (ingest, clock) = start(|config| config.consent_timeout = Span::from_secs(1));
    let (mut client, _, reply, got) = Client::connect(&ingest, clock);
    client.no_checks = true;
    assert_eq!(until_left(&mut client, &got), Left::Silent);
    let received = client.received;
    assert_eq!(reply.send("hello".into()), Err(Full));
    client.say(Span::from_secs(60), &sound(1));
    ingest.shutdown();
    client.pump();
    assert_eq!(client.received, received, "not even a goodbye is sent to it");
}

/// Speaks until the session ends.
fn until_left(client: &mut Client, got: &Receiver<Got>) -> Left {
    let clock = Clock::new();
    loop {
        client.say(clock.now() - hearsight_core::time::Moment::ZERO, &sound(1));
        match got.recv_timeout(std::time::Duration::from_millis(20)) {
            Ok(Got::Left(why)) => return why,
            _ => assert!(
                clock.now() < hearsight_core::time::Moment::ZERO + Span::from_secs(20),
                "it goes on"
            ),
        }
        client.pump();
    }
}
