//! The server put together: engines, sessions, ingest and HTTP, started in that order and stopped in the other.

use std::future::Future;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use hearsight_core::time::Span;
use hearsight_live::clock::Clock;
use hearsight_live::host::Host;
use thiserror::Error;

use crate::budget;
use crate::config::{Config, IceLogin};
use crate::ingest::{self, Ingest};
use crate::kit::{Kit, KitError};
use crate::serve::{
    self, Access, Certificate, IceServers, Limits, Listener, Login, Rules, ServeError, Serving, Tokens, TokensError,
};
use crate::session::Sessions;
use crate::tape::Recorder;

/// Connections over which one session's page, offer and goodbye may come, and some to spare.
const CONNECTIONS_PER_SESSION: usize = 8;

/// The longest file of one secret that is read.
const MAX_SECRET: u64 = 4096;

/// Why the server does not start. Each message says what to do.
#[derive(Debug, Error)]
pub enum StartError {
    /// The engines can't be opened.
    #[error(transparent)]
    Kit(#[from] KitError),
    /// Threads can't be started, or the program's own file can't be found.
    #[error("the system refuses what the server needs: {0}")]
    System(#[source] std::io::Error),
    /// The media socket can't be bound.
    #[error("can't use UDP {address} for media: {source}; choose another with --listen-udp, or stop what uses it")]
    Udp {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// HTTP can't be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The tokens can't be used.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// A file that holds a secret can't be read.
    #[error("can't read {}, which {field} names: {source}", path.display())]
    Secret {
        /// The setting.
        field: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The tape can't be written.
    #[error("can't write the tape {path}: {source}; choose another file with --log-tape")]
    Tape {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
}

/// A running server.
pub struct Server {
    /// Its clock.
    pub clock: Clock,
    /// Its listeners.
    pub listeners: Vec<Listener>,
    /// Who may come in: the rules can be replaced while it serves.
    pub access: Arc<Access>,
    ingest: Ingest,
    serving: Serving,
}

impl Server {
    /// Waits until `shutdown` came and everything is let go.
    pub async fn stopped(self) -> std::io::Result<()> {
        let stopped = self.serving.stopped().await;
        self.ingest.shutdown();
        stopped
    }

    /// The address of the page, the one that gives a camera first.
    pub fn page(&self) -> String {
        let Some(listener) = self.listeners.first() else {
            return String::new();
        };
        let scheme = if listener.secure { "https" } else { "http" };
        format!("{scheme}://{}/", listener.address)
    }
}

/// Starts a server that runs until `shutdown` completes. Must be called on a tokio runtime.
pub async fn start(config: &Config, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<Server, StartError> {
    let clock = Clock::new();
    let (kit, host) = engines(config, clock)?;
    let threads = threads(config);
    let tape = config
        .log
        .tape
        .as_deref()
        .map(|path| open_tape(path, clock))
        .transpose()?;
    let sessions = Sessions::new(
        host,
        kit.recogniser(),
        Box::new(move || kit.rooms()),
        tape.map(|tape| (tape, threads)),
    );

    let mut media = ingest::Config::new(config.listen.udp);
    media.public_address = config.listen.public_address;
    media.max_sessions = config.limits.sessions;
    media.connect_timeout = Span::from_duration(config.limits.connect);
    media.reorder = budget::JITTER_WAIT;
    let address = config.listen.udp;
    let ingest = Ingest::start(media, clock).map_err(|source| StartError::Udp { address, source })?;

    let certificate = match &config.listen.certificate {
        Some((chain, key)) => Certificate::Given {
            chain: chain.clone(),
            key: key.clone(),
        },
        None => Certificate::Own {
            state: config.listen.state.clone(),
        },
    };
    let http = serve::Config {
        http: config.listen.http,
        https: config.listen.https,
        certificate,
        public_address: config.listen.public_address,
        max_connections: config.limits.sessions * CONNECTIONS_PER_SESSION,
    };
    let access = Access::new(rules(config)?, clock);
    warn_if_open(config);
    let serving = serve::run(http, ingest.clone(), access.clone(), Arc::new(sessions), shutdown).await?;
    Ok(Server {
        clock,
        access,
        listeners: serving.listeners.clone(),
        ingest,
        serving,
    })
}

/// The rules of access that the settings make, with the files that they name. Read anew, they can replace those in force.
pub fn rules(config: &Config) -> Result<Rules, StartError> {
    let limits = &config.limits;
    let tokens = config.access.tokens.as_deref().map(Tokens::read).transpose()?;
    let login = match &config.ice.login {
        IceLogin::None => Login::None,
        IceLogin::Password { username, credential } => Login::Password {
            username: username.clone(),
            credential: secret("ice.credential", credential)?,
        },
        IceLogin::Secret { secret: path, lifetime } => Login::Secret {
            secret: secret("ice.secret", path)?.into_bytes(),
            lifetime: *lifetime,
        },
    };
    Ok(Rules {
        tokens,
        limits: Limits {
            sessions_per_user: limits.sessions_per_user,
            sessions_per_address: limits.sessions_per_address,
            offers_per_minute: limits.offers_per_minute,
            connections_per_address: limits.connections_per_address,
        },
        ice: IceServers {
            servers: config.ice.servers.clone(),
            login,
        },
        elsewhere: config.access.elsewhere.clone(),
    })
}

/// The first line of a file, which holds a secret.
fn secret(field: &'static str, path: &Path) -> Result<String, StartError> {
    let read = || {
        let mut text = String::new();
        std::fs::File::open(path)?.take(MAX_SECRET).read_to_string(&mut text)?;
        let line = text.lines().next().unwrap_or_default().trim().to_owned();
        match line.is_empty() || line.contains(char::is_control) {
            true => Err(std::io::Error::other("it should hold one line of text")),
            false => Ok(line),
        }
    };
    read().map_err(|source| StartError::Secret {
        field,
        path: path.to_path_buf(),
        source,
    })
}

fn warn_if_open(config: &Config) {
    let beyond = config.listen.https.is_some_and(|address| !address.ip().is_loopback());
    if beyond && config.access.tokens.is_none() {
        tracing::warn!("whoever reaches this server may publish to it: set access.tokens to ask for tokens");
    }
}

/// Opens what the settings name, and starts the threads that it runs on.
pub(crate) fn engines(config: &Config, clock: Clock) -> Result<(Kit, Host), StartError> {
    let program = std::env::current_exe().map_err(StartError::System)?;
    let model = config.assets.pocketsphinx.clone();
    let kit = Kit::open(&config.assets, &config.recognise, move || worker(&program, &model))?;
    let host = Host::start(clock, threads(config)).map_err(StartError::System)?;
    Ok((kit, host))
}

/// Completes on Ctrl-C and on SIGTERM.
pub async fn asked_to_stop() {
    let interrupted = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! { _ = interrupted => {}, _ = terminated.recv() => {} }
        }
        Err(_) => {
            let _ = interrupted.await;
        }
    }
}

fn worker(program: &Path, model: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("recognise-worker").arg(model);
    command
}

fn open_tape(path: &Path, clock: Clock) -> Result<Recorder, StartError> {
    Recorder::create(path, clock).map_err(|source| StartError::Tape {
        path: path.display().to_string(),
        source,
    })
}

/// Of the engines.
fn threads(config: &Config) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    config.engine.threads.map_or_else(cores, std::num::NonZero::get)
}
