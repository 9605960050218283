//! WebRTC-HTTP ingestion (RFC 9725): an offer is posted and answered; the session is a resource that can be changed and
//! deleted. `docs/whip.md` lists the requirements, each with its test.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::access::{Access, Price};
use super::problem::Problem;
use super::resource::{self, House, SDP, address_of, broken, check_stream, check_type, text};
use super::{Door, Errand, Guest};
use crate::ingest::{Ingest, OfferError, Refusal, SessionId};

pub(super) fn routes(ingest: Ingest, access: Arc<Access>, door: Arc<dyn Door>) -> Router {
    let house = House {
        ingest,
        access,
        door,
        errand: Errand::Publish,
    };
    resource::routes(house, post(publish))
}

async fn publish(
    State(house): State<House>,
    Path(stream): Path<String>,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let address = address_of(from);
    house.access.charge(address, Price::Offer)?;
    check_stream(&stream)?;
    let user = house.access.publisher(&headers, &stream)?;
    check_type(&headers, SDP, "accept-post")?;
    let offer = text(body)?;
    let (place, who) = (stream.clone(), user.clone());
    let guest = Guest {
        stream,
        user,
        address,
        errand: house.errand,
    };
    let within = house.clone();
    // Negotiation costs milliseconds and waits for the ingest thread.
    let answered = tokio::task::spawn_blocking(move || {
        let House {
            ingest, access, door, ..
        } = within;
        ingest.offer(&offer, |id, reply| {
            access.admit(id, &guest, || door.open(&guest, id, reply))
        })
    });
    match answered.await.map_err(|_| broken())? {
        Ok(answer) => {
            let view = view_of(&place, answer.id);
            let mut response = resource::created(&house, &place, who.as_deref(), answer);
            response.headers_mut().extend(view.map(|view| (header::LINK, view)));
            Ok(response)
        }
        Err(OfferError::Crowded(_) | OfferError::Refused(Refusal::Busy { .. }))
            if let Some(elsewhere) = &house.access.rules().elsewhere =>
        {
            let there = [(header::LOCATION, format!("{elsewhere}/whip/{place}"))];
            Ok((StatusCode::TEMPORARY_REDIRECT, there).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// Where this session, and no other that has its name, is watched: a preview of it (RFC 6903 section 3).
fn view_of(stream: &str, id: SessionId) -> Option<HeaderValue> {
    format!("</whep/{stream}?of={id}>; rel=\"preview\"").try_into().ok()
}
