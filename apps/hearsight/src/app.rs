//! The server put together: engines, sessions, ingest and HTTP, started in that order and stopped in the other.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hearsight_core::time::Span;
use hearsight_live::clock::Clock;
use hearsight_live::host::Host;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::ask::{self, Answers};
use crate::budget;
use crate::config::{Config, IceLogin};
use crate::events::Events;
use crate::ingest::{self, Ingest};
use crate::kit::{Kit, KitError};
use crate::operate::reload::Holders;
use crate::operate::{Inside, Operate};
use crate::recognisers::Where;
use crate::serve::{
    self, Access, Certificate, IceServers, Limits, Listener, Login, Operations, Rules, ServeError, Serving, Tokens,
    TokensError,
};
use crate::session::{Sessions, Staff, Told};
use crate::tape::Recorder;
use crate::telemetry::Telemetry;
use crate::view::{self, Views};
use crate::watch::{Screens, View};
use crate::webhook::{Backoff, BadSecret, Target, Webhooks};
use crate::wiring::Rooms;

/// Connections over which one session's or viewer's page, offer and goodbye may come, and some to spare; readers of events come on top.
const CONNECTIONS_PER_SESSION: usize = 8;
/// How long before the end of their session clients are told of it.
const WARNING: Duration = Duration::from_secs(1);
/// How long sessions that were told to end may take: the host takes them down after five seconds.
const FAREWELL: Duration = Duration::from_secs(6);

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
    /// Pictures can't be shown as the settings ask for.
    #[error(transparent)]
    View(#[from] view::OpenError),
    /// Whoever is to answer questions can't be asked.
    #[error(transparent)]
    Ask(#[from] ask::OpenError),
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
    /// The webhook can't sign.
    #[error(transparent)]
    WebhookSecret(#[from] BadSecret),
    /// The webhook can't call.
    #[error("the webhook's HTTP client can't be made: {0}")]
    Webhook(#[source] reqwest::Error),
}

/// How a server is asked to stop: each later one is more urgent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// It is not.
    #[default]
    Not,
    /// Nobody else comes in; those who are here may finish, for as long as the settings say.
    Drained,
    /// Whoever is here is not waited for.
    Now,
}

/// A running server.
pub struct Server {
    /// Its clock.
    pub clock: Clock,
    /// Its listeners.
    pub listeners: Vec<Listener>,
    access: Arc<Access>,
    ingest: Ingest,
    serving: Serving,
    operations: Option<Operations>,
    operate: Arc<Operate>,
    told: Told,
    drain_s: Arc<AtomicU64>,
}

impl Server {
    /// Waits until the server was asked to stop, let its sessions finish, and everything is let go.
    pub async fn stopped(self) -> std::io::Result<()> {
        let stopped = self.serving.stopped().await;
        self.ingest.shutdown();
        match self.operations {
            Some(operations) => stopped.and(operations.stop().await),
            None => stopped,
        }
    }

    /// The address of the page, the one that gives a camera first.
    pub fn page(&self) -> String {
        let Some(listener) = self.listeners.first() else {
            return String::new();
        };
        let scheme = if listener.secure { "https" } else { "http" };
        format!("{scheme}://{}/", listener.address)
    }

    /// Where operators look, if anywhere.
    pub fn operations(&self) -> Option<String> {
        let operations = self.operations.as_ref()?;
        Some(format!("http://{}/", operations.address))
    }

    /// What of it can be changed while it runs.
    pub fn holders(&self, telemetry: Telemetry) -> Holders {
        Holders {
            telemetry,
            certificate: self.serving.certificate.clone(),
            access: self.access.clone(),
            told: self.told.clone(),
            operate: self.operate.clone(),
            drain_s: self.drain_s.clone(),
        }
    }
}

/// Starts a server that runs until `stop` says otherwise. Must be called on a tokio runtime.
pub async fn start(config: &Config, stop: watch::Receiver<Stop>) -> Result<Server, StartError> {
    let clock = Clock::new();
    let operate = Arc::new(Operate::default());
    operate.treat_strangers(config.events.without_token);
    let operations = config.operate.listen;
    let operations = operations.map(|address| Operations::start(address, operate.clone(), clock));
    let operations = operations.transpose()?;
    let told = told(config, clock)?;

    let (kit, host) = tokio::task::block_in_place(|| engines(config, clock))?;
    let kit = Arc::new(kit);
    let sessions = Arc::new(sessions(config, host, &kit, &told)?);
    let ingest = ingest(config, clock)?;
    let http = serve::Config {
        http: config.listen.http,
        https: config.listen.https,
        certificate: Certificate::from(&config.listen),
        public_address: config.listen.public_address,
        max_connections: (config.limits.sessions + config.limits.viewers) * CONNECTIONS_PER_SESSION
            + config.events.readers,
    };
    let (down, go_down) = oneshot::channel::<()>();
    let go_down = async {
        // A drain that panics must not keep the server up.
        let _ = go_down.await;
    };
    let access = Access::new(rules(config)?, clock);
    warn_if_open(config);
    let door = sessions.clone();
    let serving = serve::run(http, ingest.clone(), access.clone(), door, operate.clone(), go_down).await?;
    operate.started(Inside {
        ingest: ingest.clone(),
        sessions: sessions.clone(),
        kit,
        told: told.clone(),
        max_sessions: config.limits.sessions,
    });
    let drain_s = Arc::new(AtomicU64::new(config.operate.drain.as_secs()));
    let drain = Drain {
        stop,
        sessions,
        told: told.clone(),
        drain_s: drain_s.clone(),
    };
    tokio::spawn(async move {
        drain.run().await;
        let _ = down.send(());
    });
    Ok(Server {
        clock,
        listeners: serving.listeners.clone(),
        access,
        ingest,
        serving,
        operations,
        operate,
        told,
        drain_s,
    })
}

/// The end of a server, up to the moment when nobody is here.
struct Drain {
    stop: watch::Receiver<Stop>,
    sessions: Arc<Sessions>,
    told: Told,
    drain_s: Arc<AtomicU64>,
}

impl Drain {
    async fn run(mut self) {
        // Without a sender nobody can ask any more: that is a reason to stop, too.
        let _ = self.stop.wait_for(|stop| *stop >= Stop::Drained).await;
        crate::operate::reload::announce(&[sd_notify::NotifyState::Stopping]);
        self.sessions.leave();
        let limit = Duration::from_secs(self.drain_s.load(Relaxed));
        tracing::info!(seconds = limit.as_secs(), "stopping: running sessions are waited for");
        if !self.empty_within(limit).await {
            // Word of the end must reach the client before the end does: the two travel on different ways.
            self.sessions.warn();
            self.empty_within(WARNING).await;
            self.sessions.dismiss();
            self.empty_within(FAREWELL).await;
        }
        self.told.events.close();
        self.told.webhooks.finish().await;
    }

    /// Whether everybody has left in time; whoever is in a hurry does not wait.
    async fn empty_within(&mut self, limit: Duration) -> bool {
        tokio::select! {
            done = timeout(limit, self.sessions.empty()) => done.is_ok(),
            _ = self.stop.wait_for(|stop| *stop == Stop::Now) => false,
        }
    }
}

fn told(config: &Config, clock: Clock) -> Result<Told, StartError> {
    let target = config.webhook.as_ref().map(Target::open).transpose()?;
    let webhooks = Webhooks::start(target, Backoff::default(), clock).map_err(StartError::Webhook)?;
    let events = Events::new(config.events.readers);
    Ok(Told { events, webhooks })
}

/// Who answers questions about the picture, if anybody.
fn answers(config: &Config, clock: Clock) -> Result<Option<Answers>, ask::OpenError> {
    let runtime = Handle::current();
    let open = |settings| Answers::open(settings, &config.assets.onnxruntime, &runtime, clock);
    config.ask.as_ref().map(open).transpose()
}

/// Makes the command that starts a recogniser process: this program again.
pub fn worker_command(config: &Config) -> std::io::Result<impl Fn() -> Command + Send + Sync + 'static> {
    let program = std::env::current_exe()?;
    let model = config.assets.pocketsphinx.clone();
    Ok(move || worker(&program, &model))
}

fn sessions(config: &Config, host: Host, kit: &Arc<Kit>, told: &Told) -> Result<Sessions, StartError> {
    let answers = tokio::task::block_in_place(|| answers(config, host.clock()))?;
    let tape = config
        .log
        .tape
        .as_deref()
        .map(|path| open_tape(path, host.clock()))
        .transpose()?;
    let kit = kit.clone();
    let views = config.view.as_ref().map(Views::open).transpose()?;
    let shown: &[View] = match views {
        Some(_) => &View::ALL,
        None => &[View::Received],
    };
    Ok(Sessions::new(
        host,
        Staff {
            answerer: answers.as_ref().map(Answers::answerer),
        },
        Box::new(move |guest| {
            let answering = answers.as_ref();
            let rooms = Rooms {
                answering: answering.map(|answers| answers.answering(guest.user.as_ref(), guest.address)),
                ..kit.rooms(&guest.wishes)?
            };
            Ok((rooms, kit.recogniser(&guest.wishes)))
        }),
        told.clone(),
        Screens::new(shown),
        views,
        tape.map(|tape| (tape, threads(config))),
    )
    .allocating(config.allocate))
}

fn ingest(config: &Config, clock: Clock) -> Result<Ingest, StartError> {
    let mut media = ingest::Config::new(config.listen.udp);
    media.public_address = config.listen.public_address;
    media.max_sessions = config.limits.sessions;
    media.max_viewers = config.limits.viewers;
    media.connect_timeout = Span::from_duration(config.limits.connect);
    media.reorder = budget::JITTER_WAIT;
    let address = config.listen.udp;
    Ingest::start(media, clock).map_err(|source| StartError::Udp { address, source })
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
            viewers_per_user: limits.viewers_per_user,
            viewers_per_address: limits.viewers_per_address,
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

/// Where recognisers are found.
pub(crate) fn recognisers_of(config: &Config) -> Where<'_> {
    Where {
        hearing: &config.hearing,
        assets: &config.assets,
        recognise: &config.recognise,
        models: &config.models,
    }
}

/// Opens what the settings name, and starts the threads that it runs on.
pub(crate) fn engines(config: &Config, clock: Clock) -> Result<(Kit, Host), StartError> {
    let worker = worker_command(config).map_err(StartError::System)?;
    let kit = Kit::open(recognisers_of(config), &config.seeing, threads(config), worker)?;
    let host = Host::start(clock, threads(config)).map_err(StartError::System)?;
    host.set_admission(config.engine.admission);
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
    // Ctrl-C is for us: sessions that finish need their recognisers.
    command.process_group(0);
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
