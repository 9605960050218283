use super::*;

fn session(number: u32) -> SessionId {
    SessionId::parse(&format!("{number:032x}")).unwrap()
}

fn now(reader: &mut Reader) -> Vec<String> {
    let mut got: Vec<String> = reader.missed.drain(..).map(|event| event.json.to_string()).collect();
    while let Ok(event) = reader.live.try_recv() {
        got.push(event.json.to_string());
    }
    got
}

#[test]
fn ids_are_read_as_they_are_written() {
    let id = EventId { epoch: 7, number: 42 };
    assert_eq!(EventId::parse(&id.to_string()), Some(id));
    for text in ["", "-", "1", "x-1", "1-x", "100000000-1", "1-99999999999999999999"] {
        assert_eq!(EventId::parse(text), None, "{text}");
    }
}

#[test]
fn a_reader_that_resumes_gets_each_event_once_and_word_of_what_is_forgotten() {
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let events = Events::new(4);
        let publisher = events.enter("me", session(1));
        let mut seen: u64 = 0;
        let mut after = None;
        let mut published: u64 = 0;
        for _ in 0..6 {
            let mut reader = events.read("me", after, None).unwrap();
            let missed = published - seen;
            let forgotten = if after.is_some() {
                missed.saturating_sub(KEPT as u64)
            } else {
                missed
            };
            let burst = random.u64(0..WAITING as u64);
            for _ in 0..burst {
                published += 1;
                publisher.publish("lost", &published.to_string());
            }
            let mut got = now(&mut reader);
            if forgotten > 0 && after.is_some() {
                let lost: serde_json::Value = serde_json::from_str(&got.remove(0)).unwrap();
                assert_eq!(
                    (&lost["type"], &lost["count"]),
                    (&"lost".into(), &forgotten.into()),
                    "seed {seed}"
                );
            }
            let wanted: Vec<String> = (seen + forgotten + 1..=published).map(|n| n.to_string()).collect();
            assert_eq!(got, wanted, "seed {seed}");
            seen = published;
            after = Some(EventId {
                epoch: events.inner.lock().streams["me"].epoch,
                number: seen,
            });
            drop(reader);
            for _ in 0..random.u64(0..2 * KEPT as u64) {
                published += 1;
                publisher.publish("lost", &published.to_string());
            }
        }
    }
}

#[test]
fn a_slow_reader_is_cut_off_and_the_others_are_not() {
    let events = Events::new(2);
    let publisher = events.enter("me", session(1));
    let mut slow = events.read("me", None, None).unwrap();
    let mut quick = events.read("me", None, None).unwrap();
    for number in 0..=WAITING {
        publisher.publish("words.final", &number.to_string());
        assert_eq!(now(&mut quick), [number.to_string()]);
    }
    assert_eq!(now(&mut slow).len(), WAITING);
    assert!(slow.live.is_closed(), "its stream ends");
    assert_eq!(events.stats().cut_off, 1);
    assert!(!quick.live.is_closed());
}

#[test]
fn places_are_bounded_and_given_back_and_none_is_left_after_the_end() {
    let events = Events::new(1);
    let first = events.read("me", None, None).unwrap();
    assert_eq!(events.read("other", None, None).err(), Some(NoPlace::Full));
    drop(first);
    let second = events.read("other", None, None).unwrap();
    events.close();
    assert!(second.live.is_closed());
    assert_eq!(events.read("me", None, None).err(), Some(NoPlace::Closed));
    drop(second);
    assert_eq!(events.stats().readers, 0);
}

#[test]
fn one_session_is_read_alone_and_a_former_life_of_a_stream_is_told_apart() {
    let events = Events::new(4);
    let (one, two) = (events.enter("me", session(1)), events.enter("me", session(2)));
    let mut only = events.read("me", None, Some(session(2))).unwrap();
    one.publish("words.final", "one");
    two.publish("words.final", "two");
    assert_eq!(now(&mut only), ["two"]);
    let former = EventId {
        epoch: !events.inner.lock().streams["me"].epoch,
        number: 900,
    };
    let mut back = events.read("me", Some(former), None).unwrap();
    assert_eq!(now(&mut back), ["one", "two"]);
}

#[test]
fn streams_that_nobody_uses_are_forgotten_but_for_a_few() {
    let events = Events::new(4);
    for number in 0..3 * IDLE_STREAMS {
        let publisher = events.enter(&number.to_string(), session(1));
        publisher.publish("words.final", &"x".repeat(100_000));
        publisher.publish("words.final", &"x".repeat(100_000));
        publisher.publish("words.final", &"x".repeat(100_000));
    }
    let state = events.inner.lock();
    assert_eq!((state.streams.len(), state.idle.len()), (IDLE_STREAMS, IDLE_STREAMS));
    assert!(
        state
            .streams
            .values()
            .all(|stream| stream.bytes <= KEPT_BYTES && stream.kept.len() == 2)
    );
}
