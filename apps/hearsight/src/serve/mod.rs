//! What HTTP offers: WHIP, WHEP, the page, events, and to operators how the server is.
//!
//! Knows axum, TLS and certificates. Must not know what sessions do: that is behind [`Door`]. Start at [`run`]; the
//! routes without a socket are [`router`].

mod access;
mod ask;
mod certificate;
mod connections;
mod events;
mod ice_servers;
mod limits;
mod operations;
mod page;
mod problem;
mod resource;
mod tokens;
mod whep;
mod whip;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::get;
use axum_server::Handle;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::config;
use crate::ingest::{Ingest, MAX_SDP, Peer, Refusal, Reply, SessionId};
use crate::operate::Operate;
use crate::recognisers::Wishes;
use crate::session::Said;
use crate::watch::{Asked, NotShown, Screen, View};

pub use access::{Access, Rules};
pub use certificate::{CertificateError, Fit, Shown, verify};
use connections::Limit;
pub use ice_servers::{IceServers, Login};
pub use limits::Limits;
pub use operations::Operations;
use problem::Problem;
pub use tokens::{Created, Tokens, TokensError, create as create_token};

/// How long a request may take from its first byte to the end of its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a request's header may take to arrive, and a TLS handshake.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long running requests get when the server stops.
const GRACE: Duration = Duration::from_secs(3);

/// Who asks to come in, as far as HTTP knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// The stream that is to be published or watched.
    pub stream: String,
    /// Whose token was shown; none where tokens are not asked for.
    pub user: Option<Arc<str>>,
    /// From where; none only in tests without a socket.
    pub address: Option<IpAddr>,
    /// What for.
    pub errand: Errand,
    /// How it wants to be heard.
    pub wishes: Wishes,
}

/// What a client comes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// To be heard and seen, by WHIP.
    Publish,
    /// To see a view of a stream, by WHEP.
    Watch,
}

impl Errand {
    /// The protocol, which its addresses begin with.
    const fn protocol(self) -> &'static str {
        match self {
            Errand::Publish => "whip",
            Errand::Watch => "whep",
        }
    }
}

/// Where sessions are taken in: the application behind the HTTP door.
pub trait Door: Send + Sync + 'static {
    /// A client publishes a stream. Returns who hears and sees it, or why it may not.
    fn open(&self, guest: &Guest, id: SessionId, reply: Reply) -> Result<Box<dyn Peer>, Refusal>;
    /// A client watches a view of a stream, or of one session of it. Returns where it is shown, or why it is not.
    fn watch(&self, stream: &str, of: Option<SessionId>, view: View) -> Result<(Screen, Asked), NotShown> {
        let _ = (stream, of, view);
        Err(NotShown::NoPublisher)
    }
    /// A session's client ended it: nobody more is let in to watch it, though it may take a while to go.
    fn ended(&self, id: SessionId) {
        let _ = id;
    }
    /// Somebody asks what a session's picture shows. Returns where the answer is heard, or why there is none.
    fn ask(&self, id: SessionId, text: &str) -> Result<mpsc::Receiver<Said>, NotAsked> {
        let _ = (id, text);
        Err(NotAsked::Gone)
    }
}

/// Why a question is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAsked {
    /// The session is over.
    Gone,
    /// As `answer.none` has it: the reason's name, and what to do.
    Refused(&'static str, String),
}

/// Where to listen, and with which certificate.
#[derive(Clone, Debug)]
pub struct Config {
    /// Served as plain HTTP if it is a loopback address, and as HTTPS if not: browsers give cameras to secure pages only.
    pub http: Option<SocketAddr>,
    /// Served as HTTPS whatever the address.
    pub https: Option<SocketAddr>,
    /// The certificate for HTTPS.
    pub certificate: Certificate,
    /// The address under which the world reaches us: named in a self-made certificate.
    pub public_address: Option<IpAddr>,
    /// Connections at a time, on each listener; more wait in the kernel.
    pub max_connections: usize,
}

/// Which certificate HTTPS shows.
#[derive(Clone, Debug)]
pub enum Certificate {
    /// PEM files of a certificate chain and its key.
    Given {
        /// The chain, our certificate first.
        chain: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// Made by ourselves and kept in this directory. Browsers warn of it once.
    Own {
        /// The state directory; created when missing.
        state: PathBuf,
    },
}

impl From<&config::Listen> for Certificate {
    fn from(listen: &config::Listen) -> Certificate {
        match &listen.certificate {
            Some((chain, key)) => Certificate::Given {
                chain: chain.clone(),
                key: key.clone(),
            },
            None => Certificate::Own {
                state: listen.state.clone(),
            },
        }
    }
}

/// One listener as it turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The bound address, with its real port.
    pub address: SocketAddr,
    /// HTTPS, or plain HTTP on loopback.
    pub secure: bool,
}

/// Why serving did not begin.
#[derive(Debug, Error)]
pub enum ServeError {
    /// An address can't be bound.
    #[error("can't listen on {address}: {source}; choose another address or port, or stop what uses it")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Neither `http` nor `https` says where.
    #[error("no address to listen on: set listen.http or listen.https")]
    Nowhere,
    /// There is no usable certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A running server.
#[derive(Debug)]
pub struct Serving {
    /// The listeners: `http` first, then `https`.
    pub listeners: Vec<Listener>,
    /// The certificate of HTTPS, where there is such a listener.
    pub certificate: Option<Shown>,
    tasks: Vec<JoinHandle<io::Result<()>>>,
}

impl Serving {
    /// Waits until the server has stopped after its `shutdown` came, and every connection is closed.
    pub async fn stopped(self) -> io::Result<()> {
        for task in self.tasks {
            task.await.map_err(io::Error::other)??;
        }
        Ok(())
    }
}

/// Binds and serves until `shutdown` completes; running requests then get three seconds. `operate` counts the requests and
/// has the events.
pub async fn run(
    config: Config,
    ingest: Ingest,
    access: Arc<Access>,
    door: Arc<dyn Door>,
    operate: Arc<Operate>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Serving, ServeError> {
    let wanted = [(config.http, false), (config.https, true)];
    let wanted: Vec<_> = wanted
        .into_iter()
        .filter_map(|(at, tls)| at.map(|at| (at, tls)))
        .collect();
    if wanted.is_empty() {
        return Err(ServeError::Nowhere);
    }
    let mut bound = Vec::new();
    for (address, tls) in wanted {
        let secure = tls || !address.ip().is_loopback();
        bound.push((bind(address)?, secure));
    }
    let certificate = match bound.iter().any(|(_, secure)| *secure) {
        true => {
            let listening = bound.iter().map(|((_, address), _)| address.ip());
            let addresses = listening.chain(config.public_address).collect();
            Some(Shown::open(&config.certificate, addresses)?)
        }
        false => None,
    };
    let app = router(ingest, access.clone(), door.clone())
        .merge(ask::routes(access.clone(), door))
        .merge(events::routes(access.clone(), operate.clone()))
        .layer(middleware::from_fn_with_state(operate, operations::observe));
    let handle = Handle::new();
    let mut serving = Serving {
        listeners: Vec::new(),
        certificate,
        tasks: Vec::new(),
    };
    for ((socket, address), secure) in bound {
        let tls = serving.certificate.as_ref().filter(|_| secure).map(Shown::tls);
        let limit = Limit::new(config.max_connections, access.clone());
        let server = connections::serve(socket, tls, limit, handle.clone(), app.clone());
        serving.listeners.push(Listener { address, secure });
        serving.tasks.push(tokio::spawn(server));
    }
    tokio::spawn(async move {
        shutdown.await;
        handle.graceful_shutdown(Some(GRACE));
    });
    Ok(serving)
}

/// The routes, for serving and for tests without a socket.
pub fn router(ingest: Ingest, access: Arc<Access>, door: Arc<dyn Door>) -> Router {
    Router::new()
        .merge(whip::routes(ingest.clone(), access.clone(), door.clone()))
        .merge(whep::routes(ingest, access, door))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/", get(page::index))
        .fallback(page::file)
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this resource does not know the method: see the Allow header",
            )
        })
        .layer(DefaultBodyLimit::max(MAX_SDP))
        .layer(tower_http::timeout::TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            REQUEST_TIMEOUT,
        ))
}

fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let bound = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let local = listener.local_addr()?;
        Ok((listener, local))
    };
    bound().map_err(|source| ServeError::Bind { address, source })
}

#[cfg(test)]
mod tests;
