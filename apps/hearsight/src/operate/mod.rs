//! What operators need: figures, readiness, settings that change while the server runs, and a look before it starts.
//!
//! Knows every part of the server that has figures or can be changed. Must not know HTTP. Start at [`Operate`].

pub mod check;
pub mod metrics;
mod process;
pub mod reload;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::http::{Method, StatusCode};

use crate::config::Strangers;
use crate::ingest::Ingest;
use crate::kit::Kit;
use crate::session::{Sessions, Told};

/// The server as operators see it, from before its models are loaded until after its last session.
#[derive(Default)]
pub struct Operate {
    inside: OnceLock<Inside>,
    strangers_welcome: AtomicBool,
    answers: Mutex<BTreeMap<Answer, u64>>,
    reloads: AtomicU64,
    refused_reloads: AtomicU64,
}

/// What there is once the server has started.
pub struct Inside {
    /// The sessions' transport.
    pub ingest: Ingest,
    /// The sessions.
    pub sessions: Arc<Sessions>,
    /// The engines.
    pub kit: Arc<Kit>,
    /// Who is told.
    pub told: Told,
    /// Sessions at a time.
    pub max_sessions: usize,
}

/// What an HTTP answer is counted under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    route: String,
    method: &'static str,
    status: u16,
}

impl Operate {
    /// The server has started.
    pub fn started(&self, inside: Inside) {
        // A second start of the same server does not happen.
        let _ = self.inside.set(inside);
    }

    /// Whether sessions are taken, or every reason why not.
    pub fn ready(&self) -> Result<(), Vec<String>> {
        let Some(inside) = self.inside.get() else {
            return Err(vec!["the server is starting: its models are being loaded".into()]);
        };
        let mut reasons = Vec::new();
        if inside.sessions.is_leaving() {
            reasons.push("the server is stopping: running sessions are waited for".to_owned());
        }
        let (open, most) = (inside.ingest.stats().open, inside.max_sessions);
        if open >= most {
            reasons.push(format!("all {most} places are taken: limits.sessions"));
        }
        if let Some(pool) = inside.kit.pool()
            && pool.crew().taken >= pool.most()
        {
            reasons.push(format!("all {} recognisers are taken: recognise.workers", pool.most()));
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    /// An HTTP request was answered. `route` is the pattern, of which there are few.
    pub fn answered(&self, route: &str, method: &Method, status: StatusCode) {
        let answer = Answer {
            route: route.to_owned(),
            method: known(method),
            status: status.as_u16(),
        };
        *self.answers().entry(answer).or_default() += 1;
    }

    /// Who may read events where no token is asked for.
    pub fn strangers(&self) -> Strangers {
        match self.strangers_welcome.load(Relaxed) {
            true => Strangers::Welcome,
            false => Strangers::Refused,
        }
    }

    /// Changes who may.
    pub fn treat_strangers(&self, as_: Strangers) {
        self.strangers_welcome.store(as_ == Strangers::Welcome, Relaxed);
    }

    /// Who is told of events, once the server has started.
    pub fn told(&self) -> Option<&Told> {
        self.inside.get().map(|inside| &inside.told)
    }

    fn answers(&self) -> MutexGuard<'_, BTreeMap<Answer, u64>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The method, if it is one of the few that matter: a client may invent others without end.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "PUT" => "PUT",
        _ => "other",
    }
}
