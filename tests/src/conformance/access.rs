//! Sections 4.6 and 4.7, and what one visitor may take.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hearsight::serve::create_token;

use super::{House, OFFER};

/// A file of tokens for alice (streams `me` and `lab-…`) and bob (every stream), with what they show.
fn tokens(folder: &std::path::Path) -> (String, String, String) {
    let alice = create_token("alice", &["me".into(), "lab-*".into()], &[]).expect("a token");
    let bob = create_token("bob", &[], &[]).expect("a token");
    let path = folder.join("tokens.toml");
    std::fs::write(&path, format!("{}\n{}", alice.entry, bob.entry)).expect("written");
    let shown = |token: &str| format!("Bearer {token}");
    (path.display().to_string(), shown(&alice.token), shown(&bob.token))
}

#[tokio::test]
async fn tokens_are_asked_for_on_endpoint_and_session_and_sessions_are_their_owners() {
    let folder = tempfile::tempdir().unwrap();
    let (file, alice, bob) = tokens(folder.path());
    let house = House::open(&["--access-tokens", &file]);
    let bare = house.post("me", OFFER, &[]).await;
    assert_eq!(
        bare.refuses(401).header("www-authenticate"),
        "Bearer realm=\"hearsight\""
    );
    let unknown = "Bearer nobody-knows-this".to_owned();
    for wrong in [
        &unknown,
        &format!("{alice}0"),
        &alice.to_lowercase().replace("bearer ", "bearer x"),
    ] {
        let refused = house.post("me", OFFER, &[("authorization", wrong)]).await;
        assert!(
            refused
                .refuses(401)
                .header("www-authenticate")
                .contains("error=\"invalid_token\"")
        );
    }
    for other in ["Basic YTpi", "Bearer", ""] {
        house.post("me", OFFER, &[("authorization", other)]).await.refuses(401);
    }
    let not_hers = house.post("kitchen", OFFER, &[("authorization", &alice)]).await;
    assert!(
        not_hers
            .refuses(403)
            .header("www-authenticate")
            .contains("insufficient_scope")
    );
    let (session, tag) = house.session("lab-7", &[("authorization", &alice)]).await;
    let fragment = "m=audio 9 RTP/AVP 0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    for method in ["GET", "PATCH", "DELETE"] {
        let headers = [("content-type", super::FRAGMENT), ("if-match", tag.as_str())];
        house.ask(method, &session, &headers, fragment).await.refuses(401);
        let as_bob = [&headers[..], &[("authorization", bob.as_str())]].concat();
        house.ask(method, &session, &as_bob, fragment).await.refuses(404);
        let as_alice = [&headers[..], &[("authorization", alice.as_str())]].concat();
        let wanted = if method == "DELETE" { 200 } else { 204 };
        assert_eq!(
            house.ask(method, &session, &as_alice, fragment).await.status,
            wanted,
            "{method}"
        );
    }
    for preflight in [true, false] {
        let headers = [
            ("origin", "https://other.example"),
            ("access-control-request-method", "POST"),
        ];
        let asked = house
            .ask("OPTIONS", "/whip/me", &headers[..1 + usize::from(preflight)], "")
            .await;
        assert_eq!(asked.status, 200, "nobody is asked for a token here");
    }
}

#[tokio::test]
async fn ice_servers_are_told_to_those_who_may_publish_and_never_on_a_preflight() {
    let folder = tempfile::tempdir().unwrap();
    let (file, alice, _) = tokens(folder.path());
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "north\n").unwrap();
    let servers = "stun:stun.example:3478,turn:turn.example:3478?transport=udp";
    let house = House::open(&[
        "--access-tokens",
        &file,
        "--ice-servers",
        servers,
        "--ice-secret",
        secret.to_str().unwrap(),
    ]);
    let token = ("authorization", alice.as_str());
    let links = |answer: &super::Answer| -> Vec<String> {
        let links = answer.headers.get_all("link").iter();
        let links = links.map(|link| link.to_str().unwrap().to_owned());
        links.filter(|link| link.contains("rel=\"ice-server\"")).collect()
    };
    let created = house.post("me", OFFER, &[token]).await;
    let told = links(&created);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], "<stun:stun.example:3478>; rel=\"ice-server\"");
    assert!(told[1].starts_with("<turn:turn.example:3478?transport=udp>; rel=\"ice-server\"; username=\""));
    assert!(told[1].contains(":alice\"; credential=\"") && told[1].ends_with("; credential-type=\"password\""));
    assert_eq!(links(&house.ask("OPTIONS", "/whip/me", &[token], "").await).len(), 2);
    assert!(links(&house.ask("OPTIONS", "/whip/me", &[], "").await).is_empty());
    let preflight = [
        token,
        ("origin", "https://a.example"),
        ("access-control-request-method", "POST"),
    ];
    assert!(links(&house.ask("OPTIONS", "/whip/me", &preflight, "").await).is_empty());
    assert!(links(&house.post("me", OFFER, &[]).await).is_empty());
}

#[tokio::test]
async fn a_user_and_an_address_get_their_share_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (file, alice, bob) = tokens(folder.path());
    let limits = ["--limits-sessions-per-user", "1", "--limits-sessions-per-address", "2"];
    let house = House::open(&[&["--access-tokens", &file], &limits[..]].concat());
    let (as_alice, as_bob) = ([("authorization", alice.as_str())], [("authorization", bob.as_str())]);
    let (session, _) = house.session("me", &as_alice).await;
    let waits = |answer: &super::Answer| {
        let wait = answer.refuses(429).header("retry-after").parse::<u32>();
        assert!(wait.is_ok_and(|wait| wait > 0));
    };
    waits(&house.post("me", OFFER, &as_alice).await);
    house.session("me", &as_bob).await;
    assert_eq!(house.ask("DELETE", &session, &as_alice, "").await.status, 200);
    house.session("me", &as_alice).await;
    drop(house);
    let house = House::open(&["--limits-sessions-per-address", "1"]);
    let (session, _) = house.session("me", &[]).await;
    waits(&house.post("you", OFFER, &[]).await);
    assert_eq!(house.ask("DELETE", &session, &[], "").await.status, 200);
    house.session("you", &[]).await;
}

#[tokio::test]
async fn offers_come_at_a_bounded_rate_and_connections_in_a_bounded_number() {
    let house = House::open(&[
        "--limits-offers-per-minute",
        "3",
        "--limits-connections-per-address",
        "4",
    ]);
    // What is refused counts as well: it is what a flood is made of.
    for _ in 0..3 {
        house.post("me", "", &[]).await.refuses(400);
    }
    let refused = house.post("me", OFFER, &[]).await;
    let wait: u32 = refused.refuses(429).header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(
        house.ask("GET", "/healthz", &[], "").await.status,
        200,
        "other requests are answered"
    );

    let address = house
        .server
        .page
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let connections: Vec<TcpStream> = (0..16)
        .map(|_| TcpStream::connect(&address).expect("connected"))
        .collect();
    let answered = connections.into_iter().filter_map(|mut connection| {
        connection.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        // A connection that is closed at once may refuse the request already.
        let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n";
        let mut first = [0; 8];
        let read = connection.write_all(request).and_then(|()| connection.read(&mut first));
        matches!(read, Ok(read) if read > 0).then_some(connection)
    });
    let answered: Vec<TcpStream> = answered.collect();
    assert!((1..=4).contains(&answered.len()), "{} of 16", answered.len());
}
