//! WebRTC-HTTP ingestion (RFC 9725): an offer is posted and answered; the session is a resource that can be deleted.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, Extension, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::problem::Problem;
use super::{Door, Guest};
use crate::ingest::{Ingest, SessionId};

const SDP: &str = "application/sdp";
const EXPOSED: &str = "Location, ETag, Link, Accept-Post, Retry-After, WWW-Authenticate";

#[derive(Clone)]
struct Whip {
    ingest: Ingest,
    door: Arc<dyn Door>,
}

pub(super) fn routes(ingest: Ingest, door: Arc<dyn Door>) -> Router {
    Router::new()
        .route(
            "/whip/{stream}",
            post(publish).options(endpoint_options).fallback(not_here),
        )
        .route(
            "/whip/{stream}/{id}",
            get(look).delete(end).options(session_options).fallback(not_here),
        )
        .layer(middleware::from_fn(cross_origin))
        .with_state(Whip { ingest, door })
}

async fn publish(
    State(whip): State<Whip>,
    Path(stream): Path<String>,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    check_stream(&stream)?;
    check_type(&headers)?;
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "an offer has at most 64 KiB: offer fewer codecs and candidates",
        ),
        status => Problem::new(status, "the body did not arrive whole: send it again"),
    })?;
    let offer = String::from_utf8(body.to_vec()).map_err(|_| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "SDP is UTF-8 text and this is not: send the offer's sdp",
        )
    })?;
    let place = stream.clone();
    let guest = Guest {
        stream,
        user: None,
        address: from.map(|Extension(ConnectInfo(address))| address.ip().to_canonical()),
    };
    // Negotiation costs milliseconds and waits for the ingest thread.
    let answered =
        tokio::task::spawn_blocking(move || whip.ingest.offer(&offer, |id, reply| whip.door.open(&guest, id, reply)));
    let answer = answered
        .await
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the offer could not be handled"))??;
    let created = [
        (header::CONTENT_TYPE, SDP.to_owned()),
        (header::LOCATION, format!("/whip/{place}/{}", answer.id)),
        (header::ETAG, format!("\"{}\"", answer.ice_generation)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((StatusCode::CREATED, created, answer.sdp).into_response())
}

async fn look(State(whip): State<Whip>, Path((_, id)): Path<(String, String)>) -> Result<StatusCode, Problem> {
    match SessionId::parse(&id) {
        Some(id) if whip.ingest.has(id) => Ok(StatusCode::NO_CONTENT),
        _ => Err(gone()),
    }
}

async fn end(State(whip): State<Whip>, Path((_, id)): Path<(String, String)>) -> Result<StatusCode, Problem> {
    match SessionId::parse(&id) {
        Some(id) if whip.ingest.close(id) => Ok(StatusCode::OK),
        _ => Err(gone()),
    }
}

async fn endpoint_options() -> Response {
    options("POST, OPTIONS")
}

async fn session_options() -> Response {
    options("GET, DELETE, OPTIONS")
}

fn options(allowed: &'static str) -> Response {
    let headers = [
        (header::ALLOW, allowed),
        (HeaderName::from_static("accept-post"), SDP),
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "POST, GET, PATCH, DELETE, OPTIONS",
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, If-Match",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

async fn not_here() -> Response {
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "POST an SDP offer to /whip/{stream}; DELETE the session resource named by Location",
    );
    let mut response = problem.into_response();
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("POST, GET, DELETE, OPTIONS"));
    response
}

/// Pages of other origins may publish here: whoever may is decided by what they know, not by where they come from.
async fn cross_origin(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    response
}

fn check_stream(stream: &str) -> Result<(), Problem> {
    let good = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-' | b'~');
    if (1..=128).contains(&stream.len()) && stream.bytes().all(good) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::NOT_FOUND,
        "a stream's name has 1 to 128 letters, digits, dots, dashes, underscores or tildes",
    ))
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let essence = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    match essence {
        Some(essence) if essence.eq_ignore_ascii_case(SDP) => Ok(()),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "POST the offer with Content-Type: application/sdp",
        )),
    }
}

fn gone() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "there is no such session, or it has ended: POST a new offer to begin another",
    )
}
