//! Against a real server that fails, hangs, redirects, and then accepts.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PATIENCE: Duration = Duration::from_secs(20);
const QUICK: Backoff = Backoff {
    first: Span::from_millis(1),
    longest: Span::from_millis(4),
};

/// What the receiving side does with one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Fail,
    Redirect,
    HangUp,
    Accept,
}

#[derive(Clone)]
struct Shop {
    manners: Arc<Mutex<VecDeque<Manner>>>,
    got: SyncSender<(Manner, HeaderMap, String)>,
}

async fn take(State(shop): State<Shop>, headers: HeaderMap, body: String) -> Response {
    let manner = shop.manners.lock().unwrap().pop_front().unwrap_or(Manner::Accept);
    shop.got.try_send((manner, headers, body)).unwrap();
    match manner {
        Manner::Fail => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Manner::Redirect => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response(),
        // The connection breaks without an answer.
        Manner::HangUp => panic!("hangs up, as the test wants"),
        Manner::Accept => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn shop(manners: &[Manner]) -> (reqwest::Url, Receiver<(Manner, HeaderMap, String)>) {
    let (tell, got) = sync_channel(10_000);
    let shop = Shop {
        manners: Arc::new(Mutex::new(manners.iter().copied().collect())),
        got: tell,
    };
    let app = Router::new().route("/hook", post(take)).with_state(shop);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url.parse().unwrap(), got)
}

fn target(url: &reqwest::Url) -> Target {
    Target {
        url: url.clone(),
        secret: Secret::parse(SECRET).unwrap(),
        events: vec!["words.final".into()],
    }
}

fn verified(headers: &HeaderMap, body: &str) -> bool {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let timestamp = text("webhook-timestamp").parse().unwrap();
    let fresh = i64::try_from(unix_now().as_secs()).unwrap().abs_diff(timestamp) < 300;
    fresh
        && Secret::parse(SECRET)
            .unwrap()
            .sign(&text("webhook-id"), timestamp, body)
            == text("webhook-signature")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_posted_again_until_it_is_taken_signed_and_under_one_id() {
    let manners = [Manner::Fail, Manner::HangUp, Manner::Redirect, Manner::Accept];
    let (url, got) = shop(&manners).await;
    let webhooks = Webhooks::start(Some(target(&url)), QUICK, Clock::new()).unwrap();
    webhooks.post("words.final", serde_json::json!({ "stream": "me" }));
    webhooks.post("session.ended", serde_json::json!("nobody asked for it"));
    let mut ids = Vec::new();
    for manner in manners {
        let (done, headers, body) = got.recv_timeout(PATIENCE).expect("an attempt");
        assert_eq!(done, manner);
        assert!(verified(&headers, &body), "{headers:?}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (&body["type"], &body["data"]["stream"]),
            (&"words.final".into(), &"me".into())
        );
        assert!(body["timestamp"].as_str().unwrap().ends_with('Z'));
        ids.push(headers["webhook-id"].clone());
    }
    assert!(
        ids.windows(2).all(|pair| pair[0] == pair[1]),
        "receivers tell repetitions by the id"
    );
    webhooks.finish().await;
    assert!(
        got.try_recv().is_err(),
        "a redirect is not followed, and nothing is posted twice"
    );
    let stats = webhooks.stats();
    assert_eq!(
        (stats.delivered, stats.failures, stats.given_up, stats.waiting),
        (1, 3, 0, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_costs_the_oldest_events_and_no_time_at_the_end() {
    // Accepts connections into its backlog and never reads.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url: reqwest::Url = format!("http://{}/", deaf.local_addr().unwrap()).parse().unwrap();
    let webhooks = Webhooks::start(Some(target(&url)), Backoff::default(), Clock::new()).unwrap();
    for number in 0..WAITING + 10 {
        webhooks.post("words.final", number.into());
    }
    let stats = webhooks.stats();
    assert_eq!((stats.waiting, stats.dropped), (WAITING, 10));
    assert!(webhooks.inner.next().unwrap().0.body.contains("10"), "the oldest went");
    tokio::time::timeout(PATIENCE, webhooks.finish())
        .await
        .expect("in time");
    let stats = webhooks.stats();
    assert_eq!((stats.waiting, stats.delivered), (0, 0));
    assert_eq!(stats.given_up, WAITING as u64);
    webhooks.post("words.final", 0.into());
    assert_eq!(webhooks.stats().waiting, 0, "nothing is taken after the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_target_gets_what_waits_and_none_forgets_it() {
    let webhooks = Webhooks::start(None, QUICK, Clock::new()).unwrap();
    webhooks.post("words.final", 1.into());
    assert_eq!(webhooks.stats(), Stats::default(), "nobody wants it");
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    webhooks.replace(Some(target(&format!("http://{closed}/").parse().unwrap())));
    webhooks.post("words.final", 2.into());
    let (url, got) = shop(&[]).await;
    webhooks.replace(Some(target(&url)));
    let (_, _, body) = got.recv_timeout(PATIENCE).expect("an attempt");
    assert!(body.contains("\"data\":2"), "{body}");
    webhooks.replace(None);
    assert!(!webhooks.wants("words.final"));
    webhooks.finish().await;
}

#[test]
fn waits_double_up_to_the_longest_and_never_by_more_than_half_less() {
    let backoff = Backoff::default();
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        for failures in 1..100 {
            let full = (1_000_000_i64 << (failures - 1).min(20)).min(60_000_000);
            let waited = backoff.after(failures, &mut random).micros();
            assert!((full / 2..=full).contains(&waited), "seed {seed}, {failures}: {waited}");
        }
    }
}
