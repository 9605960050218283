//! Questions about a session's picture over HTTP: one is posted, its answer streams back as server-sent events.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Extension, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::stream;
use tokio::sync::mpsc::Receiver;

use super::access::{Access, Price};
use super::problem::Problem;
use super::resource::{address_of, check_type};
use super::{Door, Errand, NotAsked};
use crate::ingest::PatchError;
use crate::session::Said;
use crate::wire::answer::MAX_QUESTION;

/// A comment is sent when nothing else was for so long, so that nobody in between takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Seconds after which whoever was refused may ask again.
const RETRY_AFTER: u32 = 5;

#[derive(Clone)]
struct Ask {
    access: Arc<Access>,
    door: Arc<dyn Door>,
}

pub(super) fn routes(access: Arc<Access>, door: Arc<dyn Door>) -> Router {
    Router::new()
        .route("/whip/{stream}/{id}/ask", post(ask))
        .layer(DefaultBodyLimit::max(MAX_QUESTION))
        .with_state(Ask { access, door })
}

/// The address of a session is a secret of its publisher: whoever shows it may ask what the session sees.
async fn ask(
    State(at): State<Ask>,
    Path((stream, id)): Path<(String, String)>,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    at.access.charge(address_of(from), Price::Change)?;
    let id = at.access.session(&headers, Errand::Publish, &stream, &id)?;
    check_type(&headers, "text/plain", "accept-post")?;
    let said = at.door.ask(id, &text(body)?).map_err(Problem::from)?;
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies that collect answers before they pass them on are asked not to.
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    let alive = KeepAlive::new().interval(HEARTBEAT);
    Ok((headers, Sse::new(stream::unfold(said, next)).keep_alive(alive)).into_response())
}

async fn next(mut said: Receiver<Said>) -> Option<(Result<Event, Infallible>, Receiver<Said>)> {
    let Said { name, json } = said.recv().await?;
    Some((Ok(Event::default().event(name).data(json)), said))
}

fn text(body: Result<Bytes, BytesRejection>) -> Result<String, Problem> {
    let unfit = || {
        let detail = format!("send the question as UTF-8 text of at most {MAX_QUESTION} bytes");
        Problem::new(StatusCode::BAD_REQUEST, detail)
    };
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!("a question has at most {MAX_QUESTION} bytes: ask a shorter one");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        }
        _ => unfit(),
    })?;
    String::from_utf8(body.to_vec()).map_err(|_| unfit())
}

impl From<NotAsked> for Problem {
    fn from(not: NotAsked) -> Problem {
        match not {
            NotAsked::Gone => PatchError::Gone.into(),
            NotAsked::Refused("crowded", words) => {
                Problem::new(StatusCode::TOO_MANY_REQUESTS, words).retry_after(RETRY_AFTER)
            }
            NotAsked::Refused("unfit", words) => Problem::new(StatusCode::BAD_REQUEST, words),
            NotAsked::Refused(_, words) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, words),
        }
    }
}
