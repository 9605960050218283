//! What operators ask over HTTP: figures, whether the server is alive, whether it takes sessions.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum_server::Handle;
use hearsight_live::clock::Clock;
use tokio::task::JoinHandle;

use super::connections::{self, Limit};
use super::problem::Problem;
use super::{Access, GRACE, Rules, ServeError, bind};
use crate::operate::{Operate, metrics};

/// Connections of operators at a time: a few scrapers and probes.
const CONNECTIONS: usize = 32;

/// Seconds after which a probe may look again.
const RETRY_AFTER: u32 = 5;

/// The operators' server. It is up before the models are, and until the last session is gone.
#[derive(Debug)]
pub struct Operations {
    /// Where it listens, with its real port.
    pub address: SocketAddr,
    handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
}

impl Operations {
    /// Binds and serves. Must be called on a tokio runtime.
    pub fn start(address: SocketAddr, operate: Arc<Operate>, clock: Clock) -> Result<Operations, ServeError> {
        let (socket, address) = bind(address)?;
        let handle = Handle::new();
        let limit = Limit::new(CONNECTIONS, Access::new(Rules::default(), clock));
        let served = connections::serve(socket, None, limit, handle.clone(), router(operate));
        let task = tokio::spawn(served);
        Ok(Operations { address, handle, task })
    }

    /// Stops, and waits for running requests, three seconds at most.
    pub async fn stop(self) -> io::Result<()> {
        self.handle.graceful_shutdown(Some(GRACE));
        self.task.await.map_err(io::Error::other)?
    }
}

/// The routes, for serving and for tests without a socket.
pub(super) fn router(operate: Arc<Operate>) -> Router {
    Router::new()
        .route("/metrics", get(figures))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(operate)
}

async fn figures(State(operate): State<Arc<Operate>>) -> Response {
    // Reading the figures of processes touches files of the system.
    match tokio::task::spawn_blocking(move || metrics::text(&operate)).await {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the figures could not be read").into_response(),
    }
}

async fn ready(State(operate): State<Arc<Operate>>) -> Response {
    match operate.ready() {
        Ok(()) => "ready\n".into_response(),
        Err(reasons) => Problem::busy(reasons.join("; "), RETRY_AFTER).into_response(),
    }
}

/// Counts every answer, and logs it without address, names of streams or query.
pub(super) async fn observe(State(operate): State<Arc<Operate>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    let status = response.status();
    operate.answered(route, &method, status);
    tracing::debug!(route, %method, status = status.as_u16(), "request");
    response
}
