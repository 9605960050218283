//! Settings that change while the server runs, without a session noticing.
//!
//! The settings file, and the files it names, are looked at once a second and on SIGHUP. Looking is chosen over being
//! notified: editors replace files, Kubernetes swaps links above them, network folders notify nobody, and a look at five
//! files costs nothing. A change that can't be taken changes nothing, and says why.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Operate;
use crate::app;
use crate::config::{self, Config, IceLogin, Loaded};
use crate::serve::{Access, Certificate, CertificateError, Fit, Rules, Shown};
use crate::session::Told;
use crate::telemetry::Telemetry;
use crate::webhook::{BadSecret, Target};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// The keys that take effect at once; the others do at the next start.
pub const LIVE: [&str; 22] = [
    "listen.certificate",
    "listen.key",
    "limits.sessions_per_user",
    "limits.sessions_per_address",
    "limits.viewers_per_user",
    "limits.viewers_per_address",
    "limits.offers_per_minute",
    "limits.connections_per_address",
    "access.tokens",
    "access.elsewhere",
    "ice.servers",
    "ice.username",
    "ice.credential",
    "ice.secret",
    "ice.lifetime_s",
    "log.level",
    "operate.drain_s",
    "events.readers",
    "events.without_token",
    "webhook.url",
    "webhook.secret",
    "webhook.events",
];

/// What can be changed while it is in use.
pub struct Holders {
    /// The log's level.
    pub telemetry: Telemetry,
    /// The certificate, where HTTPS is served.
    pub certificate: Option<Shown>,
    /// Who may come in.
    pub access: Arc<Access>,
    /// Readers and webhooks.
    pub told: Told,
    /// Who may read.
    pub operate: Arc<Operate>,
    /// Seconds for running sessions at the end.
    pub drain_s: Arc<AtomicU64>,
}

/// Why a change is not taken.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    #[error(transparent)]
    Rules(#[from] app::StartError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Secret(#[from] BadSecret),
}

/// What a change needs to have at hand before anything is changed.
struct Prepared {
    rules: Rules,
    certificate: Option<Fit>,
    webhook: Option<Target>,
}

impl Holders {
    fn prepare(&self, config: &Config) -> Result<Prepared, NotTaken> {
        let certificate = self
            .certificate
            .as_ref()
            .map(|shown| shown.prepare(&Certificate::from(&config.listen)));
        let webhook = config.webhook.as_ref().map(Target::open);
        Ok(Prepared {
            rules: app::rules(config)?,
            certificate: certificate.transpose()?,
            webhook: webhook.transpose()?,
        })
    }

    fn apply(&self, config: &Config, prepared: Prepared) {
        if let (Some(shown), Some(fit)) = (&self.certificate, prepared.certificate) {
            shown.show(fit);
        }
        self.access.replace(prepared.rules);
        self.told.webhooks.replace(prepared.webhook);
        self.told.events.allow(config.events.readers);
        self.operate.treat_strangers(config.events.without_token);
        self.drain_s.store(config.operate.drain.as_secs(), Relaxed);
        self.telemetry.set_level(config.log.level);
    }
}

/// What the watching thread is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Look,
    End,
}

/// Watches the settings on a thread of its own, until dropped.
pub struct Watch {
    orders: SyncSender<Order>,
    thread: Option<JoinHandle<()>>,
}

/// Asks for a look at once, changed or not.
#[derive(Clone)]
pub struct Asker(SyncSender<Order>);

impl Asker {
    /// Never waits: a look that is asked for already will do.
    pub fn ask(&self) {
        let _ = self.0.try_send(Order::Look);
    }
}

impl Watch {
    /// Starts watching what `loaded` came from; `args` are the program's.
    pub fn start(args: Vec<OsString>, loaded: Loaded, holders: Holders) -> std::io::Result<Watch> {
        let (orders, taken) = sync_channel(1);
        let mut watcher = Watcher {
            seen: stamps(&loaded),
            args,
            loaded,
            holders,
        };
        let thread = std::thread::Builder::new()
            .name("settings".into())
            .spawn(move || watcher.run(&taken))?;
        Ok(Watch {
            orders,
            thread: Some(thread),
        })
    }

    /// For SIGHUP.
    pub fn asker(&self) -> Asker {
        Asker(self.orders.clone())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Waits for a look under way; an error means that the thread is gone.
        let _ = self.orders.send(Order::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What of a file tells that it was changed.
type Stamp = (PathBuf, Option<(i64, i64, u64, u64, u64)>);

struct Watcher {
    args: Vec<OsString>,
    loaded: Loaded,
    holders: Holders,
    seen: Vec<Stamp>,
}

impl Watcher {
    fn run(&mut self, orders: &Receiver<Order>) {
        loop {
            match orders.recv_timeout(LOOK) {
                Ok(Order::Look) => self.reload(),
                Err(RecvTimeoutError::Timeout) if stamps(&self.loaded) != self.seen => self.reload(),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn reload(&mut self) {
        announce(&[sd_notify::NotifyState::Reloading]);
        // Before the files are read: what changes meanwhile is seen at the next look.
        self.seen = stamps(&self.loaded);
        let taken = self.take();
        let operate = &self.holders.operate;
        let counted = if taken.is_ok() {
            &operate.reloads
        } else {
            &operate.refused_reloads
        };
        // Before anybody reads of it: whoever then looks finds it counted.
        counted.fetch_add(1, Relaxed);
        match taken {
            Ok(changed) => changed.tell(),
            Err(problem) => tracing::error!(stage = "settings", "nothing is changed: {problem}"),
        }
        announce(&[sd_notify::NotifyState::Ready]);
    }

    fn take(&mut self) -> Result<Changed, NotTaken> {
        let fresh = config::load(&self.args)?;
        let prepared = self.holders.prepare(&fresh.config)?;
        self.holders.apply(&fresh.config, prepared);
        let changed = fresh.changed(&self.loaded);
        let (live, later) = changed.into_iter().partition(|key| LIVE.contains(&key.as_str()));
        self.loaded = fresh;
        self.seen = stamps(&self.loaded);
        Ok(Changed { live, later })
    }
}

/// The keys that a change was in.
struct Changed {
    /// Those that took effect.
    live: Vec<String>,
    /// Those that do at the next start.
    later: Vec<String>,
}

impl Changed {
    fn tell(&self) {
        tracing::info!(
            stage = "settings",
            changed = self.live.join(", "),
            "settings read again"
        );
        if !self.later.is_empty() {
            tracing::warn!(
                stage = "settings",
                "{} changed: takes effect at the next start",
                self.later.join(", ")
            );
        }
    }
}

/// Tells systemd, where it started us and listens.
pub fn announce(states: &[sd_notify::NotifyState<'_>]) {
    let mut states = states.to_vec();
    if states
        .iter()
        .any(|state| matches!(state, sd_notify::NotifyState::Reloading))
    {
        states.extend(sd_notify::NotifyState::monotonic_usec_now());
    }
    if let Err(problem) = sd_notify::notify(&states) {
        tracing::warn!(%problem, "systemd can't be told");
    }
}

fn stamps(loaded: &Loaded) -> Vec<Stamp> {
    let config = &loaded.config;
    let pair = config.listen.certificate.iter().flat_map(|(chain, key)| [chain, key]);
    let secret = config.webhook.iter().map(|webhook| &webhook.secret);
    let login = match &config.ice.login {
        IceLogin::None => None,
        IceLogin::Password { credential, .. } => Some(credential),
        IceLogin::Secret { secret, .. } => Some(secret),
    };
    let tokens = config.access.tokens.iter();
    let files = loaded.files.iter().chain(pair).chain(secret).chain(tokens).chain(login);
    files.map(|path| (path.clone(), stamp(path))).collect()
}

/// Of the file that a path leads to now, through whatever links.
fn stamp(path: &Path) -> Option<(i64, i64, u64, u64, u64)> {
    let about = std::fs::metadata(path).ok()?;
    Some((
        about.mtime(),
        about.mtime_nsec(),
        about.size(),
        about.ino(),
        about.dev(),
    ))
}
