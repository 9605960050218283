//! The routes, with a real ingest behind them.

use std::sync::Mutex;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, header};
use tower::ServiceExt;

use super::*;
use crate::ingest::tests::client::{Client, Got, PATIENCE, Probe, start};
use crate::recognisers::Wishes;

/// Lets everyone in but `nobody` and, when it is busy, `busy`.
#[derive(Default)]
struct Lobby {
    entered: Mutex<Vec<String>>,
    heard: Mutex<Vec<std::sync::mpsc::Receiver<Got>>>,
}

impl Door for Lobby {
    fn open(&self, guest: &Guest, _: SessionId, _: Reply) -> Result<Box<dyn Peer>, Refusal> {
        match guest.stream.as_str() {
            "nobody" => {
                return Err(Refusal::NotFound {
                    detail: "there is no such stream".into(),
                });
            }
            "busy" => {
                return Err(Refusal::Busy {
                    retry_after: 7,
                    detail: "no recogniser is free".into(),
                });
            }
            stream => self.entered.lock().expect("sound").push(stream.to_owned()),
        }
        let (probe, heard) = Probe::new();
        self.heard.lock().expect("sound").push(heard);
        Ok(Box::new(probe))
    }
}

struct Answered {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answered {
    fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("text"))
            .unwrap_or_default()
    }
}

async fn ask(app: &Router, method: Method, path: &str, content_type: &str, body: impl Into<Body>) -> Answered {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, content_type);
    let response = app
        .clone()
        .oneshot(request.body(body.into()).expect("a request"))
        .await
        .expect("an answer");
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    let body = String::from_utf8(body.to_vec()).expect("text");
    Answered {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
    }
}

async fn post_offer(app: &Router, stream: &str, offer: &str) -> Answered {
    ask(
        app,
        Method::POST,
        &format!("/whip/{stream}"),
        "application/sdp",
        offer.to_owned(),
    )
    .await
}

fn assert_problem(answer: &Answered, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/problem+json");
    let document: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(document["status"], status);
    assert!(
        document["detail"].as_str().is_some_and(|detail| detail.len() > 20),
        "{document}"
    );
}

fn house(config: impl FnOnce(&mut crate::ingest::Config)) -> (Router, Arc<Lobby>, Ingest, String) {
    let (ingest, clock) = start(config);
    let lobby = Arc::new(Lobby::default());
    let (_, offer) = Client::new(clock);
    let access = Access::new(Rules::default(), clock);
    (router(ingest.clone(), access, lobby.clone()), lobby, ingest, offer)
}

#[tokio::test]
async fn an_offer_is_answered_looked_at_and_deleted() {
    let (app, lobby, ingest, offer) = house(|config| config.public_address = Some([203, 0, 113, 9].into()));
    let answer = post_offer(&app, "me", &offer).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/sdp");
    let tag = answer.header(header::ETAG);
    assert!(tag.len() > 4 && tag.starts_with('"') && tag.ends_with('"'));
    assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    assert!(
        answer
            .header(header::ACCESS_CONTROL_EXPOSE_HEADERS)
            .contains("Location")
    );
    let place = answer.header(header::LOCATION).to_owned();
    assert!(place.starts_with("/whip/me/") && place.len() == "/whip/me/".len() + 32);

    let sdp = &answer.body;
    for line in [
        "a=recvonly",
        "a=ice-lite",
        "a=rtcp-mux",
        "a=rtcp-mux-only",
        "a=group:BUNDLE",
    ] {
        assert!(sdp.contains(line), "{line} is missing in {sdp}");
    }
    assert!(!sdp.contains("a=sendrecv") && !sdp.contains("a=sendonly"));
    assert!(sdp.contains("transport-cc") && sdp.contains("nack pli") && sdp.contains("rtx/90000"));
    assert!(sdp.contains("useinbandfec=1") && sdp.contains(";x-google-start-bitrate=2000"));
    let port = ingest.local_address().port();
    for address in ["203.0.113.9", "127.0.0.1"] {
        assert!(
            sdp.contains(&format!("{address} {port} typ host")),
            "{address} is missing in {sdp}"
        );
    }
    assert_eq!(*lobby.entered.lock().expect("sound"), ["me"]);

    let look = ask(&app, Method::GET, &place, "", "").await;
    assert_eq!((look.status, look.body.as_str()), (204, ""));
    assert_eq!(ask(&app, Method::DELETE, &place, "", "").await.status, 200);
    let heard = lobby.heard.lock().expect("sound").remove(0);
    assert!(matches!(
        heard.recv_timeout(PATIENCE),
        Ok(Got::Left(crate::ingest::Left::Dismissed))
    ));
    assert_problem(&ask(&app, Method::DELETE, &place, "", "").await, 404);
    assert_problem(&ask(&app, Method::GET, &place, "", "").await, 404);
}

#[tokio::test]
async fn options_say_what_is_accepted() {
    let (app, ..) = house(|_| {});
    for path in ["/whip/me", "/whip/me/0123"] {
        let answer = ask(&app, Method::OPTIONS, path, "", "").await;
        assert_eq!(answer.status, 200);
        assert!(answer.header(header::ACCESS_CONTROL_ALLOW_HEADERS).contains("If-Match"));
        assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
        assert_eq!(answer.header(header::LINK), "");
    }
    let endpoint = ask(&app, Method::OPTIONS, "/whip/me", "", "").await;
    assert_eq!(endpoint.header("accept-post"), "application/sdp");
    let session = ask(&app, Method::OPTIONS, "/whip/me/0123", "", "").await;
    assert_eq!(session.header("accept-patch"), "application/trickle-ice-sdpfrag");
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_with_a_reason() {
    let (app, lobby, ingest, offer) = house(|_| {});
    let wrong = ask(&app, Method::POST, "/whip/me", "application/json", offer.clone()).await;
    assert_problem(&wrong, 415);
    assert_problem(&post_offer(&app, "me", "").await, 400);
    assert_problem(&post_offer(&app, "me", "hello").await, 400);
    assert_problem(&post_offer(&app, "me", &"v=0\r\n".repeat(20_000)).await, 413);
    let bytes = ask(&app, Method::POST, "/whip/me", "application/sdp", vec![0xff, 0xfe]).await;
    assert_problem(&bytes, 400);
    for broken in ["a=fingerprint", "a=ice-ufrag", "a=ice-pwd"] {
        let without: String = offer
            .lines()
            .filter(|l| !l.starts_with(broken))
            .map(|l| format!("{l}\r\n"))
            .collect();
        assert_problem(&post_offer(&app, "me", &without).await, 400);
    }
    let no_codec = offer.replace("H264/90000", "VP7/90000");
    assert_problem(&post_offer(&app, "me", &no_codec).await, 422);
    let no_profile = offer.replace("profile-level-id=4", "profile-level-id=f");
    assert_problem(&post_offer(&app, "me", &no_profile).await, 422);
    let no_sound = offer.replace("opus/48000", "speex/48000");
    assert_problem(&post_offer(&app, "me", &no_sound).await, 422);
    assert_problem(
        &post_offer(&app, "me", &offer.replace("a=sendonly", "a=recvonly")).await,
        422,
    );
    let only_data = format!(
        "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{}",
        &offer[offer.find("m=application").expect("data")..]
    );
    assert_problem(&post_offer(&app, "me", &only_data).await, 422);
    assert_problem(&post_offer(&app, "no%20such", &offer).await, 404);
    assert_problem(&post_offer(&app, "nobody", &offer).await, 404);
    let busy = post_offer(&app, "busy", &offer).await;
    assert_problem(&busy, 503);
    assert_eq!(busy.header(header::RETRY_AFTER), "7");
    assert_problem(
        &ask(&app, Method::PUT, "/whip/me", "application/sdp", offer.clone()).await,
        405,
    );
    assert_problem(&ask(&app, Method::PUT, "/whip/me/0", "", "").await, 405);
    assert_problem(&ask(&app, Method::POST, "/healthz", "", "").await, 405);
    assert_problem(&ask(&app, Method::GET, "/no/such/file", "", "").await, 404);
    assert_problem(&ask(&app, Method::DELETE, "/whip/me/../../etc", "", "").await, 404);
    assert!(lobby.entered.lock().expect("sound").is_empty(), "nobody came in");
    assert_eq!(ingest.stats().open, 0, "and no place is held");
}

#[tokio::test]
async fn mutated_offers_never_break_anything() {
    let (app, _, ingest, offer) = house(|config| (config.max_sessions, config.max_connecting) = (10_000, 10_000));
    let lines: Vec<&str> = offer.lines().collect();
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..100 {
        let mut mutated: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        for _ in 0..random.usize(1..5) {
            let at = random.usize(..mutated.len());
            match random.u32(..4) {
                0 => drop(mutated.remove(at)),
                1 => mutated.insert(random.usize(..mutated.len()), mutated[at].clone()),
                2 => {
                    let line = &mut mutated[at];
                    line.truncate(random.usize(..=line.len()));
                }
                _ => mutated[at].push_str(&random.u64(..).to_string()),
            }
        }
        let answer = post_offer(&app, "me", &mutated.join("\r\n")).await;
        assert!(
            matches!(answer.status, 201 | 400 | 422),
            "{}: {}",
            answer.status,
            answer.body
        );
    }
    assert_eq!(ingest.stats().panics, 0);
    assert_eq!(post_offer(&app, "me", &offer).await.status, 201);
}

#[tokio::test]
async fn a_full_house_says_when_to_come_back() {
    let (app, _, _ingest, offer) = house(|config| config.max_sessions = 1);
    assert_eq!(post_offer(&app, "one", &offer).await.status, 201);
    let full = post_offer(&app, "two", &offer).await;
    assert_problem(&full, 503);
    assert!(full.header(header::RETRY_AFTER).parse::<u32>().is_ok());
}

#[tokio::test]
async fn other_rules_come_into_force_while_serving_and_sessions_stay() {
    let (ingest, clock) = start(|_| {});
    let access = Access::new(Rules::default(), clock);
    let app = router(ingest.clone(), access.clone(), Arc::new(Lobby::default()));
    let (_, offer) = Client::new(clock);
    let created = post_offer(&app, "me", &offer).await;
    assert_eq!(created.status, 201);
    let place = created.header(header::LOCATION).to_owned();
    access.replace(Rules {
        tokens: Some(Tokens::default()),
        ..Rules::default()
    });
    assert_problem(&post_offer(&app, "me", &offer).await, 401);
    assert_problem(&ask(&app, Method::DELETE, &place, "", "").await, 401);
    assert_eq!(ingest.stats().open, 1, "who is there stays");
    ingest.set_max_sessions(1);
    access.replace(Rules {
        elsewhere: Some("https://other.example".into()),
        ..Rules::default()
    });
    let sent = post_offer(&app, "me", &offer).await;
    assert_eq!(
        (sent.status, sent.header(header::LOCATION)),
        (307, "https://other.example/whip/me")
    );
    assert_eq!(ask(&app, Method::DELETE, &place, "", "").await.status, 200);
}

#[tokio::test]
async fn places_are_given_back_when_the_door_refuses_and_when_a_session_ends_by_itself() {
    let (ingest, clock) = start(|_| {});
    let limits = Limits {
        sessions_per_address: std::num::NonZeroUsize::new(1),
        ..Limits::default()
    };
    let access = Access::new(
        Rules {
            limits,
            ..Rules::default()
        },
        clock,
    );
    let guest = |stream: &str| Guest {
        stream: stream.into(),
        user: None,
        address: Some([10, 0, 0, 1].into()),
        errand: Errand::Publish,
        wishes: Wishes::default(),
    };
    let lobby = Lobby::default();
    let offer_as = |stream: &str| {
        let (client, offer) = Client::new(clock);
        let door = |id, reply| access.admit(id, &guest(stream), || lobby.open(&guest(stream), id, reply));
        (ingest.offer(&offer, door), client)
    };
    assert!(offer_as("busy").0.is_err() && offer_as("nobody").0.is_err());
    let (answer, mut client) = offer_as("one");
    client.accept(&answer.expect("a place").sdp);
    client.until(|c| c.connected && c.open);
    assert!(matches!(
        offer_as("two").0,
        Err(crate::ingest::OfferError::Refused(Refusal::TooMany { .. }))
    ));
    client.close();
    let heard = lobby.heard.lock().expect("sound").remove(0);
    let left = |got: Got| matches!(got, Got::Left(_));
    assert!(std::iter::from_fn(|| heard.recv_timeout(PATIENCE).ok()).any(left));
    // The thread has ended, so it has dropped the session.
    ingest.shutdown();
    assert!(
        access
            .admit(SessionId::random().expect("randomness"), &guest("two"), || Ok(
                Box::new(Probe::new().0)
            ))
            .is_ok()
    );
}

#[tokio::test]
async fn a_sendrecv_offer_is_answered_recvonly() {
    let (app, _, _ingest, offer) = house(|_| {});
    let answer = post_offer(&app, "me", &offer.replace("a=sendonly", "a=sendrecv")).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.body.matches("a=recvonly").count(), 2);
}

#[tokio::test]
async fn the_page_comes_with_its_policy() {
    let (app, ..) = house(|_| {});
    let page = ask(&app, Method::GET, "/", "", "").await;
    assert_eq!(page.status, 200);
    assert!(page.header(header::CONTENT_TYPE).starts_with("text/html"));
    assert!(
        page.header(header::CONTENT_SECURITY_POLICY)
            .contains("default-src 'self'")
    );
    assert_eq!(page.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    assert_eq!(ask(&app, Method::GET, "/healthz", "", "").await.body, "ok\n");
}

#[tokio::test]
async fn listeners_are_bound_answer_and_stop() {
    let (ingest, clock) = start(|_| {});
    let access = Access::new(Rules::default(), clock);
    let state = std::env::temp_dir().join(format!("hearsight-serve-{}", std::process::id()));
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = Config {
        http: Some(loopback),
        https: Some(loopback),
        certificate: Certificate::Own { state: state.clone() },
        public_address: None,
        max_connections: 8,
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = run(
        config,
        ingest,
        access,
        Arc::new(Lobby::default()),
        Arc::default(),
        async move {
            let _ = stopped.await;
        },
    );
    let serving = serving.await.expect("served");
    let secure: Vec<bool> = serving.listeners.iter().map(|listener| listener.secure).collect();
    assert_eq!(secure, [false, true]);
    let plain = get_healthz(serving.listeners[0].address).await;
    assert!(plain.starts_with("HTTP/1.1 200") && plain.ends_with("ok\n"), "{plain}");
    let not_tls = get_healthz(serving.listeners[1].address).await;
    assert!(!not_tls.contains("200"), "no plain answer on the secure port");
    assert!(state.join("key.pem").exists());
    stop.send(()).expect("still there");
    serving.stopped().await.expect("stopped");
    std::fs::remove_dir_all(state).expect("removed");
}

async fn get_healthz(address: SocketAddr) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = Vec::new();
    // A TLS server may reset the connection: what it said before is what counts.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let (ingest, clock) = start(|_| {});
    let access = Access::new(Rules::default(), clock);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("an address");
    let config = Config {
        http: Some(address),
        https: None,
        certificate: Certificate::Own { state: PathBuf::new() },
        public_address: None,
        max_connections: 8,
    };
    let never = std::future::pending();
    let error = run(
        config,
        ingest,
        access,
        Arc::new(Lobby::default()),
        Arc::default(),
        never,
    )
    .await
    .expect_err("in use");
    assert!(error.to_string().contains(&address.to_string()));
}
