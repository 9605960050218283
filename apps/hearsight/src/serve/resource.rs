//! A WebRTC session as a resource of HTTP: what publishing (RFC 9725) and watching have in common, from the answer to an
//! offer to the goodbye.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, Extension, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use super::access::{Access, Price};
use super::problem::Problem;
use super::tokens::is_of_stream_name;
use super::{Door, Errand};
use crate::ingest::{Answer, Condition, Fragment, Ingest, PatchError, Patched};

pub(super) const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
const ENDPOINT_METHODS: &str = "POST, OPTIONS";
const SESSION_METHODS: &str = "GET, HEAD, PATCH, DELETE, OPTIONS";
const EXPOSED: &str = "Location, ETag, Link, Accept-Post, Accept-Patch, Retry-After, WWW-Authenticate";

/// What requests need.
#[derive(Clone)]
pub(super) struct House {
    pub(super) ingest: Ingest,
    pub(super) access: Arc<Access>,
    pub(super) door: Arc<dyn Door>,
    /// What its sessions are for: it names the addresses, too.
    pub(super) errand: Errand,
}

/// The endpoint, to which `begin` posts offers, and the sessions.
pub(super) fn routes(house: House, begin: MethodRouter<House>) -> Router {
    let name = house.errand.protocol();
    let endpoint = begin.options(endpoint_options).fallback(not_at_endpoint);
    let session = get(look)
        .patch(change)
        .delete(end)
        .options(session_options)
        .fallback(not_at_session);
    Router::new()
        .route(&format!("/{name}/{{stream}}"), endpoint)
        .route(&format!("/{name}/{{stream}}/{{id}}"), session)
        .layer(middleware::from_fn(cross_origin))
        .with_state(house)
}

/// The answer to an offer that was accepted.
pub(super) fn created(house: &House, stream: &str, user: Option<&str>, answer: Answer) -> Response {
    let headers = [
        (header::CONTENT_TYPE, SDP.to_owned()),
        (
            header::LOCATION,
            format!("/{}/{stream}/{}", house.errand.protocol(), answer.id),
        ),
        (header::ETAG, format!("\"{}\"", answer.ice_generation)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let mut response = (StatusCode::CREATED, headers, answer.sdp).into_response();
    link_ice_servers(&mut response, &house.access, user);
    response
}

fn link_ice_servers(response: &mut Response, access: &Access, user: Option<&str>) {
    for link in access.ice_links(user) {
        response.headers_mut().append(header::LINK, link);
    }
}

async fn look(
    State(house): State<House>,
    Path((stream, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let id = house.access.session(&headers, house.errand, &stream, &id)?;
    match house.ingest.has(id) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(PatchError::Gone.into()),
    }
}

/// More candidates, or a restart of ICE (section 4.3).
async fn change(
    State(house): State<House>,
    Path((stream, id)): Path<(String, String)>,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    house.access.charge(address_of(from), Price::Change)?;
    let id = house.access.session(&headers, house.errand, &stream, &id)?;
    check_type(&headers, FRAGMENT, "accept-patch")?;
    let condition = condition(&headers)?;
    let fragment = Fragment::parse(&text(body)?)?;
    // A restart waits for the ingest thread.
    let patched = tokio::task::spawn_blocking(move || house.ingest.patch(id, &condition, &fragment));
    let patched = patched.await.map_err(|_| broken())??;
    Ok(match patched {
        Patched::Noted => StatusCode::NO_CONTENT.into_response(),
        Patched::Restarted {
            fragment,
            ice_generation,
        } => {
            let headers = [
                (header::CONTENT_TYPE, FRAGMENT.to_owned()),
                (header::ETAG, format!("\"{ice_generation}\"")),
                (header::CACHE_CONTROL, "no-store".to_owned()),
            ];
            (StatusCode::OK, headers, fragment).into_response()
        }
    })
}

async fn end(
    State(house): State<House>,
    Path((stream, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let id = house.access.session(&headers, house.errand, &stream, &id)?;
    house.door.ended(id);
    house.ingest.close(id);
    house.access.left(id);
    Ok(StatusCode::OK)
}

async fn endpoint_options(State(house): State<House>, headers: HeaderMap) -> Response {
    let mut response = options(ENDPOINT_METHODS, ("accept-post", SDP));
    let preflight = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    // Nobody is asked for a token here, and credentials are told only to those who show one.
    if let (false, Ok(user)) = (preflight, house.access.user(&headers)) {
        link_ice_servers(&mut response, &house.access, user.as_deref());
    }
    response
}

async fn session_options() -> Response {
    options(SESSION_METHODS, ("accept-patch", FRAGMENT))
}

fn options(allowed: &'static str, (accepts, media_type): (&'static str, &'static str)) -> Response {
    let headers = [
        (header::ALLOW, allowed),
        (HeaderName::from_static(accepts), media_type),
        (header::ACCESS_CONTROL_ALLOW_METHODS, allowed),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, If-Match",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::OK, headers).into_response()
}

async fn not_at_endpoint(State(house): State<House>) -> Problem {
    let name = house.errand.protocol();
    let detail = format!("POST an SDP offer to /{name}/{{stream}}; the answer's Location names the session");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).with(header::ALLOW, HeaderValue::from_static(ENDPOINT_METHODS))
}

async fn not_at_session(State(house): State<House>) -> Problem {
    let name = house.errand.protocol();
    let detail = format!("a session is changed by PATCH and ended by DELETE; POST offers to /{name}/{{stream}}");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).with(header::ALLOW, HeaderValue::from_static(SESSION_METHODS))
}

/// Pages of other origins may come here: whoever may is decided by what they know, not by where they come from.
async fn cross_origin(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    response
}

pub(super) fn check_stream(stream: &str) -> Result<(), Problem> {
    if (1..=128).contains(&stream.len()) && stream.bytes().all(is_of_stream_name) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::NOT_FOUND,
        "a stream's name has 1 to 128 letters, digits, dots, dashes, underscores or tildes",
    ))
}

pub(super) fn check_type(headers: &HeaderMap, wanted: &'static str, accepts: &'static str) -> Result<(), Problem> {
    let essence = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    match essence {
        Some(essence) if essence.eq_ignore_ascii_case(wanted) => Ok(()),
        _ => {
            let problem = Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("send the body with Content-Type: {wanted}"),
            );
            Err(problem.with(HeaderName::from_static(accepts), HeaderValue::from_static(wanted)))
        }
    }
}

/// What `If-Match` asks for; some clients put the asterisk in quotes, as the example of RFC 9725 does.
fn condition(headers: &HeaderMap) -> Result<Condition, Problem> {
    let values: Vec<&str> = headers
        .get_all(header::IF_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    if values.is_empty() {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "send If-Match with the session's ETag, or with * to restart ICE whatever the ETag",
        ));
    }
    let tags = values.iter().flat_map(|value| value.split(',')).map(str::trim);
    let tags: Vec<String> = tags
        .filter(|tag| !tag.starts_with("W/"))
        .map(|tag| tag.trim_matches('"').to_owned())
        .collect();
    Ok(match tags.iter().any(|tag| tag == "*") {
        true => Condition::Any,
        false => Condition::OneOf(tags),
    })
}

pub(super) fn text(body: Result<Bytes, BytesRejection>) -> Result<String, Problem> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "an offer has at most 64 KiB: offer fewer codecs and candidates",
        ),
        status => Problem::new(status, "the body did not arrive whole: send it again"),
    })?;
    String::from_utf8(body.to_vec())
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "SDP is UTF-8 text and this is not: send SDP"))
}

pub(super) fn address_of(from: Option<Extension<ConnectInfo<SocketAddr>>>) -> Option<IpAddr> {
    from.map(|Extension(ConnectInfo(address))| address.ip().to_canonical())
}

pub(super) fn broken() -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the server could not handle this: try again, and tell its operator",
    )
}
