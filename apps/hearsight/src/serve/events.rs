//! Events as server-sent events: of a stream, for whoever may read it, and of a session, for whoever knows its address.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Extension, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;

use super::Errand;
use super::access::{Access, Price};
use super::problem::Problem;
use super::resource::check_stream;
use crate::config::Strangers;
use crate::events::{EventId, NoPlace, Reader};
use crate::ingest::SessionId;
use crate::operate::Operate;

/// A comment is sent when nothing else was for so long, so that nobody in between takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Seconds after which a reader that found no place may ask again.
const RETRY_AFTER: u32 = 10;

#[derive(Clone)]
struct Events {
    access: Arc<Access>,
    operate: Arc<Operate>,
}

pub(super) fn routes(access: Arc<Access>, operate: Arc<Operate>) -> Router {
    Router::new()
        .route("/streams/{stream}/events", get(of_stream))
        .route("/whip/{stream}/{id}/events", get(of_session))
        .with_state(Events { access, operate })
}

/// Whoever may publish a stream may read it.
async fn of_stream(
    State(events): State<Events>,
    Path(stream): Path<String>,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    events.charge(from)?;
    check_stream(&stream)?;
    let user = events.access.publisher(&headers, &stream)?;
    if user.is_none() && events.operate.strangers() == Strangers::Refused {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "events hold what people say, and this server lets nobody read them without a token: set access.tokens, or \
             events.without_token to \"anyone\" if everyone who reaches it may",
        ));
    }
    events.read(&stream, &headers, None)
}

/// The address of a session is a secret of its publisher: whoever shows it may read the session's events.
async fn of_session(
    State(events): State<Events>,
    Path((stream, id)): Path<(String, String)>,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    events.charge(from)?;
    let id = events.access.session(&headers, Errand::Publish, &stream, &id)?;
    events.read(&stream, &headers, Some(id))
}

impl Events {
    /// Tokens and addresses are not to be guessed at leisure.
    fn charge(&self, from: Option<Extension<ConnectInfo<SocketAddr>>>) -> Result<(), Problem> {
        let from = from.map(|Extension(ConnectInfo(address))| address.ip());
        self.access.charge(from, Price::Change)
    }

    fn read(&self, stream: &str, headers: &HeaderMap, only: Option<SessionId>) -> Result<Response, Problem> {
        let told = self.operate.told().ok_or_else(|| no_place(NoPlace::Closed))?;
        let after = headers
            .get("last-event-id")
            .and_then(|id| id.to_str().ok())
            .and_then(EventId::parse);
        let reader = told.events.read(stream, after, only).map_err(no_place)?;
        let headers = [
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            // Proxies that collect answers before they pass them on are asked not to.
            (
                HeaderName::from_static("x-accel-buffering"),
                HeaderValue::from_static("no"),
            ),
        ];
        let alive = KeepAlive::new().interval(HEARTBEAT);
        Ok((headers, Sse::new(stream::unfold(reader, next)).keep_alive(alive)).into_response())
    }
}

async fn next(mut reader: Reader) -> Option<(Result<Event, Infallible>, Reader)> {
    let event = reader.next().await?;
    let sent = Event::default()
        .id(event.id.to_string())
        .event(event.name)
        .data(&event.json);
    Some((Ok(sent), reader))
}

fn no_place(why: NoPlace) -> Problem {
    Problem::busy(why.to_string(), RETRY_AFTER)
}
