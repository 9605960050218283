//! Sections 4.1, 4.2, 4.4 and 4.5: the endpoint, the session and its end.

use std::collections::BTreeSet;

use super::{House, OFFER, SDP};

#[tokio::test]
async fn an_offer_makes_a_session_that_can_be_looked_at_and_ended() {
    let house = House::open(&[]);
    let created = house.post("me", OFFER, &[]).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(created.header("content-type"), SDP);
    let tag = created.header("etag");
    assert!(
        tag.len() > 4 && tag.starts_with('"') && tag.ends_with('"'),
        "strong and quoted: {tag}"
    );
    let session = created.header("location").to_owned();
    let looked = house.ask("GET", &session, &[], "").await;
    assert_eq!((looked.status, looked.body.as_str()), (204, ""));
    assert_eq!(house.ask("HEAD", &session, &[], "").await.status, 204);
    // A DELETE matches no ICE generation: the entity tag is ignored.
    let ended = house.ask("DELETE", &session, &[("if-match", "\"stale\"")], "").await;
    assert_eq!(ended.status, 200);
    house.ask("DELETE", &session, &[], "").await.refuses(404);
    house.ask("GET", &session, &[], "").await.refuses(404);
}

#[tokio::test]
async fn the_answer_only_receives_is_bundled_and_names_every_candidate() {
    let house = House::open(&[]);
    let answer = house.post("me", OFFER, &[]).await.body;
    let count = |line: &str| answer.lines().filter(|other| *other == line).count();
    assert_eq!(count("a=recvonly"), 2, "{answer}");
    assert_eq!(count("a=sendonly") + count("a=sendrecv") + count("a=inactive"), 0);
    assert_eq!(
        (count("a=rtcp-mux"), count("a=rtcp-mux-only"), count("a=setup:passive")),
        (2, 2, 3)
    );
    assert!(answer.contains("a=group:BUNDLE 0 1 2") && count("a=ice-lite") == 1 && answer.contains(" typ host"));
    let no_section_refused = answer
        .lines()
        .filter(|line| line.starts_with("m="))
        .all(|line| !line.contains(" 0 UDP"));
    assert!(no_section_refused, "{answer}");
    let both_ways = OFFER.replace("a=sendonly", "a=sendrecv");
    let answer = house.post("me", &both_ways, &[]).await;
    assert_eq!((answer.status, answer.body.matches("a=recvonly").count()), (201, 2));
    // A client that is a DTLS client only says so (section 4.4.4).
    let active = house.post("me", &OFFER.replace("actpass", "active"), &[]).await;
    assert_eq!(
        (active.status, active.body.matches("a=setup:passive").count()),
        (201, 3)
    );
}

#[tokio::test]
async fn what_cannot_be_taken_whole_is_refused_whole() {
    let house = House::open(&[]);
    let refused = house
        .ask("POST", "/whip/me", &[("content-type", "application/json")], OFFER)
        .await;
    assert_eq!(refused.refuses(415).header("accept-post"), SDP);
    house.ask("POST", "/whip/me", &[], OFFER).await.refuses(415);
    for malformed in ["", "hello", &OFFER.replace("a=fingerprint", "a=finger")] {
        house.post("me", malformed, &[]).await.refuses(400);
    }
    house.post("me", &"v=0\r\n".repeat(20_000), &[]).await.refuses(413);
    let audio = &OFFER[OFFER.find("m=audio").unwrap()..OFFER.find("m=video").unwrap()];
    let two_sounds = OFFER.replace("m=video", &format!("{}m=video", audio.replace("mid:0", "mid:9")));
    let unsupported = [
        OFFER.replace("H264/90000", "VP8/90000"),
        OFFER
            .replace("42e01f", "64001f")
            .replace("packetization-mode=1", "packetization-mode=2"),
        OFFER.replace("a=sendonly", "a=recvonly"),
        two_sounds,
    ];
    for offer in unsupported {
        house.post("me", &offer, &[]).await.refuses(422);
    }
    house.post("no%20such", OFFER, &[]).await.refuses(404);
}

#[tokio::test]
async fn methods_without_a_meaning_are_not_allowed_and_the_others_are_named() {
    let house = House::open(&[]);
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE"] {
        let refused = house.ask(method, "/whip/me", &[], "").await;
        assert_eq!(
            (refused.status, refused.header("allow")),
            (405, "POST, OPTIONS"),
            "{method}"
        );
    }
    let (session, _) = house.session("me", &[]).await;
    for method in ["POST", "PUT"] {
        let refused = house.ask(method, &session, &[("content-type", SDP)], OFFER).await;
        let allowed = "GET, HEAD, PATCH, DELETE, OPTIONS";
        assert_eq!(refused.refuses(405).header("allow"), allowed, "{method}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_publish_and_read_the_answer() {
    let house = House::open(&[]);
    let origin = ("origin", "https://other.example");
    let preflight = [
        origin,
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "authorization, content-type, if-match",
        ),
    ];
    for path in ["/whip/me", "/whip/me/00112233445566778899aabbccddeeff"] {
        let allowed = house.ask("OPTIONS", path, &preflight, "").await;
        assert_eq!((allowed.status, allowed.body.as_str()), (200, ""));
        assert_eq!(allowed.header("access-control-allow-origin"), "*");
        for header in ["Authorization", "Content-Type", "If-Match"] {
            assert!(
                allowed.header("access-control-allow-headers").contains(header),
                "{header}"
            );
        }
    }
    let endpoint = house.ask("OPTIONS", "/whip/me", &[origin], "").await;
    assert_eq!(endpoint.header("accept-post"), SDP);
    assert!(endpoint.header("access-control-allow-methods").contains("POST"));
    let session = house.ask("OPTIONS", "/whip/me/0", &[origin], "").await;
    assert_eq!(session.header("accept-patch"), super::FRAGMENT);
    for method in ["PATCH", "DELETE"] {
        assert!(
            session.header("access-control-allow-methods").contains(method),
            "{method}"
        );
    }
    let created = house.post("me", OFFER, &[origin]).await;
    for answer in [&created, &house.post("me", "", &[origin]).await] {
        let exposed = answer.header("access-control-expose-headers");
        for header in [
            "Location",
            "ETag",
            "Link",
            "Accept-Post",
            "Accept-Patch",
            "WWW-Authenticate",
            "Retry-After",
        ] {
            assert!(exposed.split(", ").any(|one| one == header), "{header} in {exposed}");
        }
    }
}

#[tokio::test]
async fn addresses_of_sessions_are_unguessable() {
    let house = House::open(&[]);
    let mut ids = BTreeSet::new();
    for _ in 0..6 {
        let (session, _) = house.session("me", &[]).await;
        let id = session
            .strip_prefix("/whip/me/")
            .expect("below the endpoint")
            .to_owned();
        assert!(
            id.len() == 32 && id.bytes().all(|c| c.is_ascii_hexdigit()),
            "128 bits: {id}"
        );
        house
            .ask("GET", &format!("/whip/other/{id}"), &[], "")
            .await
            .refuses(404);
        let mut near = id.clone().into_bytes();
        near[31] = if near[31] == b'0' { b'1' } else { b'0' };
        let near = String::from_utf8(near).unwrap();
        house
            .ask("DELETE", &format!("/whip/me/{near}"), &[], "")
            .await
            .refuses(404);
        assert_eq!(house.ask("DELETE", &session, &[], "").await.status, 200);
        ids.insert(id[..8].to_owned());
    }
    assert_eq!(ids.len(), 6, "no common beginning: {ids:?}");
}

#[tokio::test]
async fn a_full_server_says_when_to_come_back_or_where_else_to_go() {
    let house = House::open(&["--limits-sessions", "1"]);
    let (session, _) = house.session("one", &[]).await;
    let full = house.post("two", OFFER, &[]).await;
    assert!(
        full.refuses(503)
            .header("retry-after")
            .parse::<u32>()
            .is_ok_and(|wait| wait > 0)
    );
    assert_eq!(house.ask("DELETE", &session, &[], "").await.status, 200);
    drop(house);
    let house = House::open(&["--limits-sessions", "1", "--access-elsewhere", "https://other.example/"]);
    house.session("one", &[]).await;
    let sent = house.post("two", OFFER, &[]).await;
    assert_eq!(
        (sent.status, sent.header("location")),
        (307, "https://other.example/whip/two")
    );
}
