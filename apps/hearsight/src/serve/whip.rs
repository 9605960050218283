//! WebRTC-HTTP ingestion (RFC 9725): an offer is posted and answered; the session is a resource that can be changed and
//! deleted. `docs/whip.md` lists the requirements, each with its test.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hearsight_models::asr::{Hints, whisper};

use super::access::{Access, Price};
use super::problem::Problem;
use super::resource::{self, House, SDP, address_of, broken, check_stream, check_type, text};
use super::{Door, Errand, Guest};
use crate::config::RecogniserKind;
use crate::ingest::{Ingest, OfferError, Refusal, SessionId};
use crate::recognisers::Wishes;

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
    RawQuery(query): RawQuery,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let address = address_of(from);
    house.access.charge(address, Price::Offer)?;
    check_stream(&stream)?;
    let user = house.access.publisher(&headers, &stream)?;
    check_type(&headers, SDP, "accept-post")?;
    let wishes = wishes(query.as_deref().unwrap_or_default())?;
    let offer = text(body)?;
    let (place, who) = (stream.clone(), user.clone());
    let guest = Guest {
        stream,
        user,
        address,
        errand: house.errand,
        wishes,
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

/// How a session wants to be heard, as the query of its address says. What is not known is passed over: clients and proxies add
/// what they like.
fn wishes(query: &str) -> Result<Wishes, Problem> {
    let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, detail);
    let (mut wishes, mut hints) = (Wishes::default(), Vec::new());
    let mut address = reqwest::Url::parse("http://here/").map_err(|_| broken())?;
    address.set_query(Some(query));
    for (key, value) in address.query_pairs() {
        match key.as_ref() {
            "recogniser" => {
                let kind = RecogniserKind::parse(&value);
                let kind =
                    kind.ok_or_else(|| bad("there is no such recogniser: ask for pocketsphinx, moonshine or whisper"))?;
                wishes.recogniser = Some(kind);
            }
            "language" => {
                let language = whisper::language(&value);
                let language = language
                    .ok_or_else(|| bad("there is no such language: write its code, such as language=en, or auto"))?;
                wishes.language = Some(language);
            }
            "hint" => hints.push(value.into_owned()),
            _ => {}
        }
    }
    wishes.hints = Hints::new(hints.iter().map(String::as_str))
        .ok_or_else(|| bad("these hints can't be taken: at most 64, of at most 48 characters each"))?;
    Ok(wishes)
}

/// Where this session, and no other that has its name, is watched: a preview of it (RFC 6903 section 3).
fn view_of(stream: &str, id: SessionId) -> Option<HeaderValue> {
    format!("</whep/{stream}?of={id}>; rel=\"preview\"").try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_session_wishes_for_is_read_from_its_address_and_nonsense_is_refused() {
        let read = |query: &str| wishes(query).map_err(|problem| problem.into_response().status());
        assert_eq!(read("").unwrap(), Wishes::default());
        assert_eq!(
            read("tracking=1&%ff&=&hint=").unwrap(),
            Wishes::default(),
            "passed over"
        );
        let all = read("recogniser=whisper&language=de&hint=Frau%20Zwick&hint=Hearsight").unwrap();
        assert_eq!(all.recogniser, Some(RecogniserKind::Whisper));
        assert_eq!(all.language, Some("de"));
        assert_eq!(all.hints.iter().collect::<Vec<_>>(), ["Frau Zwick", "Hearsight"]);
        let many = "hint=a".repeat(2) + &(0..70).map(|n| format!("&hint={n}")).collect::<String>();
        let long = format!("hint={}", "x".repeat(49));
        for nonsense in [
            "recogniser=auto",
            "language=klingon",
            "language=d%00e",
            "hint=a%00b",
            &many,
            &long,
        ] {
            assert_eq!(read(nonsense).unwrap_err(), StatusCode::BAD_REQUEST, "{nonsense}");
        }
    }
}
