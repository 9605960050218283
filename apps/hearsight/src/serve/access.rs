//! Who may come in, how many at a time, and what they are told of the way: one set of rules, replaced while serving.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use hearsight_core::media::Packet;
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{Moment, Span};
use hearsight_live::clock::Clock;

use super::certificate::unix_now;
use super::ice_servers::IceServers;
use super::limits::{Allowances, Guests, Limits, Neighbour, Place, locked};
use super::problem::Problem;
use super::tokens::{Token, Tokens};
use super::{Errand, Guest};
use crate::ingest::{Left, Peer, Refusal, SessionId};

/// What is allowed, and what is told.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The tokens that are good; none: nobody is asked for one.
    pub tokens: Option<Tokens>,
    /// How much each may take.
    pub limits: Limits,
    /// STUN and TURN servers for clients.
    pub ice: IceServers,
    /// Where clients are sent when every place is taken: scheme and host, without a slash at the end.
    pub elsewhere: Option<String>,
}

/// The rules in force, and who is there under them.
pub struct Access {
    clock: Clock,
    rules: RwLock<Arc<Rules>>,
    allowances: Mutex<Allowances>,
    guests: Arc<Guests>,
}

/// What a request costs, in tenths of an offer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Price {
    /// A negotiation, or a guess at a token.
    Offer = 10,
    /// A change to a session.
    Change = 1,
}

impl Access {
    /// Begins with `rules`.
    pub fn new(rules: Rules, clock: Clock) -> Arc<Access> {
        Arc::new(Access {
            clock,
            rules: RwLock::new(Arc::new(rules)),
            allowances: Mutex::default(),
            guests: Arc::default(),
        })
    }

    /// Puts other rules in force. Sessions that are there stay, and count under them.
    pub fn replace(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// The rules in force.
    pub(super) fn rules(&self) -> Arc<Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the price of a request from the allowance of its address.
    pub(super) fn charge(&self, from: Option<IpAddr>, price: Price) -> Result<(), Problem> {
        let (Some(from), Some(most)) = (from, self.rules().limits.offers_per_minute) else {
            return Ok(());
        };
        let spent = locked(&self.allowances).spend(self.clock.now(), Neighbour::of(from), most, price as i64);
        spent.map_err(|wait: Span| {
            let seconds = wait.to_duration().as_secs() as u32 + 1;
            let detail = format!("at most {most} offers in a minute are taken from one address: wait {seconds} s");
            Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds)
        })
    }

    /// Who asks; none where nobody is asked for a token.
    pub(super) fn user(&self, headers: &HeaderMap) -> Result<Option<Arc<str>>, Problem> {
        let rules = self.rules();
        let token = rules.token(headers)?;
        Ok(token.map(|token| token.user.clone()))
    }

    /// Who asks to publish a stream, if their token is for it.
    pub(super) fn publisher(&self, headers: &HeaderMap, stream: &str) -> Result<Option<Arc<str>>, Problem> {
        let rules = self.rules();
        let token = rules.token(headers)?;
        if token.is_some_and(|token| !token.may_publish(stream)) {
            let detail = "this token is not for this stream: publish one of yours, or ask for another token";
            return Err(out_of_scope(detail));
        }
        Ok(token.map(|token| token.user.clone()))
    }

    /// Who asks to watch a stream, if their token is for it: one that may publish it, or one for watching it.
    pub(super) fn viewer(&self, headers: &HeaderMap, stream: &str) -> Result<Option<Arc<str>>, Problem> {
        let rules = self.rules();
        let token = rules.token(headers)?;
        if token.is_some_and(|token| !token.may_watch(stream)) {
            let detail = "this token is not for watching this stream: watch one of yours, or ask for another token";
            return Err(out_of_scope(detail));
        }
        Ok(token.map(|token| token.user.clone()))
    }

    /// The session that a request names, if it is the asker's and begun for this errand. To others there is none.
    pub(super) fn session(
        &self,
        headers: &HeaderMap,
        errand: Errand,
        stream: &str,
        id: &str,
    ) -> Result<SessionId, Problem> {
        let asker = self.user(headers)?;
        let asked_for = self.rules().tokens.is_some();
        let id = SessionId::parse(id).filter(|id| {
            let guest = self.guests.get(*id);
            guest.is_some_and(|guest| {
                guest.errand == errand && guest.stream == stream && (!asked_for || guest.user == asker)
            })
        });
        id.ok_or_else(gone)
    }

    /// Takes a place for a session; `peer`, made after it, holds it until the session is over.
    pub(super) fn admit(
        &self,
        id: SessionId,
        guest: &Guest,
        peer: impl FnOnce() -> Result<Box<dyn Peer>, Refusal>,
    ) -> Result<Box<dyn Peer>, Refusal> {
        let place = self.guests.enter(id, guest, &self.rules().limits)?;
        Ok(Box::new(Seated {
            peer: peer()?,
            _place: place,
        }))
    }

    /// Takes a place for a viewer.
    pub(super) fn seat(&self, id: SessionId, guest: &Guest) -> Result<Place, Refusal> {
        self.guests.enter(id, guest, &self.rules().limits)
    }

    /// The `Link` values that tell a user of the ICE servers.
    pub(super) fn ice_links(&self, user: Option<&str>) -> Vec<HeaderValue> {
        self.rules().ice.links(user, unix_now())
    }

    /// A session is over as far as its client can tell.
    pub(super) fn left(&self, id: SessionId) {
        self.guests.leave(id);
    }
}

impl Rules {
    /// The entry of the token that is shown; none where nobody is asked for one.
    fn token(&self, headers: &HeaderMap) -> Result<Option<&Token>, Problem> {
        let Some(tokens) = &self.tokens else {
            return Ok(None);
        };
        let detail = "send the token that the operator gave you, as Authorization: Bearer";
        let Some(shown) = bearer(headers) else {
            return Err(challenge(
                StatusCode::UNAUTHORIZED,
                detail,
                "Bearer realm=\"hearsight\"",
            ));
        };
        match tokens.find(shown) {
            Some(token) => Ok(Some(token)),
            None => {
                let detail = "this token is not known here: ask the operator for another";
                Err(challenge(
                    StatusCode::UNAUTHORIZED,
                    detail,
                    "Bearer realm=\"hearsight\", error=\"invalid_token\"",
                ))
            }
        }
    }
}

/// The token of `Authorization: Bearer` (RFC 6750 section 2.1); of several such headers none counts.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else {
        return None;
    };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A refusal that says what to show (RFC 6750 section 3).
fn challenge(status: StatusCode, detail: &str, text: &'static str) -> Problem {
    Problem::new(status, detail).with(header::WWW_AUTHENTICATE, HeaderValue::from_static(text))
}

fn out_of_scope(detail: &str) -> Problem {
    challenge(
        StatusCode::FORBIDDEN,
        detail,
        "Bearer realm=\"hearsight\", error=\"insufficient_scope\"",
    )
}

fn gone() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "there is no such session, or it has ended: POST a new offer to begin another",
    )
}

/// A peer that holds its session's place.
struct Seated {
    peer: Box<dyn Peer>,
    _place: Place,
}

impl Peer for Seated {
    fn opened(&mut self, now: Moment) {
        self.peer.opened(now);
    }
    fn packet(&mut self, unit: Stamped<Packet>) {
        self.peer.packet(unit);
    }
    fn message(&mut self, now: Moment, text: &str) {
        self.peer.message(now, text);
    }
    fn left(&mut self, why: Left) {
        self.peer.left(why);
    }
}
