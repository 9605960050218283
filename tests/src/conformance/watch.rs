//! WHEP (draft-ietf-wish-whep-03): `docs/whep.md` lists the requirements, each with its test.

use super::{Answer, FRAGMENT, House, OFFER, SDP};

/// What a browser that watches offers: the same, the other way round.
fn player() -> String {
    OFFER.replace("a=sendonly", "a=recvonly")
}

/// A view that every server shows.
const ME: &str = "/whep/me?view=received";

impl House {
    async fn watch(&self, path: &str, offer: &str, headers: &[(&str, &str)]) -> Answer {
        let headers = [&[("content-type", SDP)], headers].concat();
        self.ask("POST", path, &headers, offer).await
    }
}

#[tokio::test]
async fn a_viewer_gets_a_session_of_its_own_that_only_sends() {
    let house = House::open(&[]);
    house.session("me", &[]).await;
    let created = house.watch(ME, &player(), &[]).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(
        (created.header("content-type"), created.header("cache-control")),
        (SDP, "no-store")
    );
    assert!(created.header("etag").starts_with('"') && created.header("etag").len() > 4);
    let session = created.header("location").to_owned();
    assert!(session.starts_with("/whep/me/"), "{session}");
    let count = |line: &str| created.body.lines().filter(|other| *other == line).count();
    // The picture is sent, sound is not, and nothing is received.
    assert_eq!(
        (count("a=sendonly"), count("a=inactive"), count("a=recvonly")),
        (1, 1, 0),
        "{}",
        created.body
    );
    assert_eq!((count("a=setup:passive"), count("a=ice-lite")), (3, 1));
    assert!(created.body.contains("a=group:BUNDLE 0 1 2") && created.body.contains(" typ host"));
    assert!(
        created.body.contains("profile-level-id=42e01f"),
        "constrained baseline: {}",
        created.body
    );
    assert_eq!(house.ask("GET", &session, &[], "").await.status, 204);
    assert_eq!(house.ask("DELETE", &session, &[], "").await.status, 200);
    house.ask("DELETE", &session, &[], "").await.refuses(404);
    house.ask("GET", &session, &[], "").await.refuses(404);
}

#[tokio::test]
async fn without_a_publisher_a_viewer_is_told_when_to_ask_again() {
    let house = House::open(&[]);
    let nobody = house.watch(ME, &player(), &[]).await;
    assert_eq!(nobody.refuses(409).header("retry-after"), "2");
    let (session, _) = house.session("me", &[]).await;
    let id = session.rsplit('/').next().expect("a name").to_owned();
    assert_eq!(house.watch(ME, &player(), &[]).await.status, 201);
    for none in [String::from("0123"), "0".repeat(32), format!("{id}0")] {
        let path = format!("{ME}&of={none}");
        house.watch(&path, &player(), &[]).await.refuses(409);
    }
    // Another stream's session is not shown under this name.
    house.session("other", &[]).await;
    house
        .watch(&format!("/whep/other?view=received&of={id}"), &player(), &[])
        .await
        .refuses(409);
    house
        .watch("/whep/me?view=upside-down", &player(), &[])
        .await
        .refuses(404);
    assert_eq!(house.ask("DELETE", &session, &[], "").await.status, 200);
}

#[tokio::test]
async fn a_publisher_is_told_where_its_own_session_and_no_other_is_watched() {
    let house = House::open(&[]);
    let created = [house.post("me", OFFER, &[]).await, house.post("me", OFFER, &[]).await];
    for created in &created {
        let id = created
            .header("location")
            .rsplit('/')
            .next()
            .expect("a name")
            .to_owned();
        let links = created
            .headers
            .get_all("link")
            .iter()
            .map(|link| link.to_str().expect("text"));
        let views: Vec<&str> = links.filter(|link| link.ends_with("rel=\"preview\"")).collect();
        assert_eq!(views, [format!("</whep/me?of={id}>; rel=\"preview\"")]);
        assert_eq!(house.watch(&format!("{ME}&of={id}"), &player(), &[]).await.status, 201);
    }
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused() {
    let house = House::open(&[]);
    house.session("me", &[]).await;
    let refused = house
        .ask("POST", ME, &[("content-type", "application/json")], &player())
        .await;
    assert_eq!(refused.refuses(415).header("accept-post"), SDP);
    for malformed in ["", "hello", &player().replace("a=fingerprint", "a=finger")] {
        house.watch(ME, malformed, &[]).await.refuses(400);
    }
    house.watch(ME, &"v=0\r\n".repeat(20_000), &[]).await.refuses(413);
    let unsupported = [
        OFFER.to_owned(),
        player().replace("H264/90000", "VP8/90000"),
        player().replace("packetization-mode=1", "packetization-mode=0"),
        player()[..player().find("m=video").expect("a picture")].replace("BUNDLE 0 1 2", "BUNDLE 0"),
    ];
    for offer in unsupported {
        house.watch(ME, &offer, &[]).await.refuses(422);
    }
    house.watch("/whep/no%20such", &player(), &[]).await.refuses(404);
}

#[tokio::test]
async fn methods_without_a_meaning_are_not_allowed_for_viewers_either() {
    let house = House::open(&[]);
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE"] {
        let refused = house.ask(method, "/whep/me", &[], "").await;
        assert_eq!(
            (refused.status, refused.header("allow")),
            (405, "POST, OPTIONS"),
            "{method}"
        );
    }
    let options = house.ask("OPTIONS", "/whep/me", &[], "").await;
    assert_eq!((options.status, options.header("accept-post")), (200, SDP));
    assert_eq!(options.header("access-control-allow-origin"), "*");
    house.session("me", &[]).await;
    let session = house.watch(ME, &player(), &[]).await.header("location").to_owned();
    let options = house.ask("OPTIONS", &session, &[], "").await;
    assert_eq!((options.status, options.header("accept-patch")), (200, FRAGMENT));
    for method in ["POST", "PUT"] {
        let refused = house.ask(method, &session, &[("content-type", SDP)], &player()).await;
        assert_eq!(
            refused.refuses(405).header("allow"),
            "GET, HEAD, PATCH, DELETE, OPTIONS"
        );
    }
}

#[tokio::test]
async fn a_viewer_trickles_and_restarts_as_a_publisher_does() {
    let house = House::open(&[]);
    house.session("me", &[]).await;
    let created = house.watch(ME, &player(), &[]).await;
    let (session, tag) = (created.header("location"), created.header("etag"));
    let trickled = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
        a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n";
    house.patch(session, None, trickled).await.refuses(428);
    house.patch(session, Some("\"stale\""), trickled).await.refuses(412);
    assert_eq!(house.patch(session, Some(tag), trickled).await.status, 204);
    let restart = "a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n";
    let restarted = house.patch(session, Some("*"), restart).await;
    assert_eq!(restarted.status, 200, "{}", restarted.body);
    assert!(restarted.header("etag") != tag && restarted.body.contains("a=ice-ufrag:"));
}

#[tokio::test]
async fn a_session_is_found_under_its_own_protocol_alone() {
    let house = House::open(&[]);
    let (publishing, _) = house.session("me", &[]).await;
    let watching = house.watch(ME, &player(), &[]).await.header("location").to_owned();
    for (path, other) in [(&publishing, ("whip", "whep")), (&watching, ("whep", "whip"))] {
        let elsewhere = path.replace(other.0, other.1);
        house.ask("DELETE", &elsewhere, &[], "").await.refuses(404);
        assert_eq!(house.ask("GET", path, &[], "").await.status, 204);
    }
    // A viewer's session has no events.
    house
        .ask("GET", &format!("{watching}/events"), &[], "")
        .await
        .refuses(404);
}

#[tokio::test]
async fn floods_of_viewers_are_refused_and_nobody_who_publishes_is_harmed() {
    let house = House::open(&["--limits-viewers", "3", "--limits-viewers-per-address", "2"]);
    house.session("me", &[]).await;
    let (first, second) = (
        house.watch(ME, &player(), &[]).await,
        house.watch(ME, &player(), &[]).await,
    );
    assert_eq!((first.status, second.status), (201, 201));
    for _ in 0..5 {
        let refused = house.watch(ME, &player(), &[]).await;
        assert_ne!(refused.refuses(429).header("retry-after"), "");
    }
    let (publishing, _) = house.session("other", &[]).await;
    assert_eq!(house.ask("GET", &publishing, &[], "").await.status, 204);
    assert_eq!(house.ask("DELETE", first.header("location"), &[], "").await.status, 200);
    assert_eq!(
        house.watch(ME, &player(), &[]).await.status,
        201,
        "a place was given back"
    );
    let house = House::open(&["--limits-viewers", "1"]);
    house.session("me", &[]).await;
    assert_eq!(house.watch(ME, &player(), &[]).await.status, 201);
    assert_ne!(
        house.watch(ME, &player(), &[]).await.refuses(503).header("retry-after"),
        ""
    );
}

#[tokio::test]
async fn who_may_publish_a_stream_or_has_the_right_to_watch_it_may_watch() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let created = [
        hearsight::serve::create_token("alice", &["me".into()], &[]).expect("a token"),
        hearsight::serve::create_token("eve", &[], &["m*".into()]).expect("a token"),
        hearsight::serve::create_token("mallory", &["other".into()], &[]).expect("a token"),
    ];
    let entries: String = created.iter().map(|created| created.entry.clone()).collect();
    std::fs::write(file.path(), entries).expect("written");
    let house = House::open(&["--access-tokens", file.path().to_str().expect("text")]);
    let bearer = created.each_ref().map(|created| format!("Bearer {}", created.token));
    let [alice, eve, mallory] = bearer.each_ref().map(|token| [("authorization", token.as_str())]);
    house.session("me", &alice).await;
    house.post("me", OFFER, &eve).await.refuses(403);
    let watched = house.watch(ME, &player(), &eve).await;
    assert_eq!(watched.status, 201, "{}", watched.body);
    assert_eq!(house.watch(ME, &player(), &alice).await.status, 201);
    let refused = house.watch(ME, &player(), &mallory).await;
    assert!(
        refused
            .refuses(403)
            .header("www-authenticate")
            .contains("insufficient_scope")
    );
    assert!(
        house
            .watch(ME, &player(), &[])
            .await
            .refuses(401)
            .header("www-authenticate")
            .starts_with("Bearer")
    );
    let session = watched.header("location");
    house.ask("DELETE", session, &alice, "").await.refuses(404);
    assert_eq!(house.ask("DELETE", session, &eve, "").await.status, 200);
}

#[tokio::test]
async fn viewers_leave_with_the_session_that_they_watch() {
    let house = House::open(&["--operate-listen", "127.0.0.1:0"]);
    let (publishing, _) = house.session("me", &[]).await;
    let watching = house.watch(ME, &player(), &[]).await.header("location").to_owned();
    assert_eq!(house.ask("DELETE", &publishing, &[], "").await.status, 200);
    house.watch(ME, &player(), &[]).await.refuses(409);
    // One that never connected is not seated yet, and goes when its time to connect is up, or by itself.
    assert_eq!(house.ask("DELETE", &watching, &[], "").await.status, 200);
}
