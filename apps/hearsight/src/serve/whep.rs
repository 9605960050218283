//! WebRTC-HTTP egress (draft-ietf-wish-whep): a session's picture is watched. `docs/whep.md` lists the requirements, each
//! with its test.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;

use super::access::{Access, Price};
use super::problem::Problem;
use super::resource::{self, House, SDP, address_of, broken, check_stream, check_type, text};
use super::{Door, Errand, Guest};
use crate::ingest::{Ingest, SessionId, Watching};
use crate::recognisers::Wishes;
use crate::watch::{NotShown, View};

/// Seconds after which it may be worth asking again for a stream that nobody publishes.
const RETRY_AFTER: u32 = 2;

pub(super) fn routes(ingest: Ingest, access: Arc<Access>, door: Arc<dyn Door>) -> Router {
    let house = House {
        ingest,
        access,
        door,
        errand: Errand::Watch,
    };
    resource::routes(house, post(watch))
}

/// What is to be watched, as the query of the address says.
struct Asked {
    view: View,
    /// A session, if it has to be this one; its name is a secret of whoever publishes it.
    of: Option<SessionId>,
}

async fn watch(
    State(house): State<House>,
    Path(stream): Path<String>,
    RawQuery(query): RawQuery,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let address = address_of(from);
    house.access.charge(address, Price::Offer)?;
    check_stream(&stream)?;
    let user = house.access.viewer(&headers, &stream)?;
    check_type(&headers, SDP, "accept-post")?;
    let Asked { view, of } = Asked::read(query.as_deref().unwrap_or_default())?;
    let offer = text(body)?;
    let (screen, asked) = house.door.watch(&stream, of, view)?;
    let (place, who) = (stream.clone(), user.clone());
    let guest = Guest {
        stream,
        user,
        address,
        errand: house.errand,
        wishes: Wishes::default(),
    };
    let House { ingest, access, .. } = house.clone();
    // Negotiation costs milliseconds and waits for the ingest thread.
    let answered = tokio::task::spawn_blocking(move || {
        ingest.watch(&offer, |id| {
            let place = Box::new(access.seat(id, &guest)?);
            Ok(Watching { screen, asked, place })
        })
    });
    let answer = answered.await.map_err(|_| broken())??;
    Ok(resource::created(&house, &place, who.as_deref(), answer))
}

impl Asked {
    fn read(query: &str) -> Result<Asked, Problem> {
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let view = match value("view") {
            None => View::Smooth,
            Some(name) => View::parse(name).ok_or_else(|| {
                let detail = "there is no such view: ask for view=smooth or view=received";
                Problem::new(StatusCode::NOT_FOUND, detail)
            })?,
        };
        let of = match value("of") {
            None => None,
            // What is no session's name names no session.
            Some(id) => Some(SessionId::parse(id).ok_or(NotShown::NoPublisher)?),
        };
        Ok(Asked { view, of })
    }
}

impl From<NotShown> for Problem {
    fn from(error: NotShown) -> Problem {
        match error {
            NotShown::NoPublisher => {
                Problem::new(StatusCode::CONFLICT, format!("{error}: try again when somebody does"))
                    .retry_after(RETRY_AFTER)
            }
            NotShown::NoView(_) => Problem::new(
                StatusCode::NOT_FOUND,
                format!("{error}: ask for another, or turn it on"),
            ),
            NotShown::Leaving => Problem::busy(format!("{error}: try again when it has started anew"), 10),
        }
    }
}
