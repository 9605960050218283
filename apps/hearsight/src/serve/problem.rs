//! Errors as RFC 9457 problem documents: what went wrong, and what to do about it.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::ingest::{FragmentError, OfferError, PatchError, Refusal};

/// An error answer: `application/problem+json` with a `detail` for the person who reads it.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem {
            status,
            detail: detail.into(),
            headers: Vec::new(),
        }
    }
    /// Adds a header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Problem {
        self.headers.push((name, value));
        self
    }
    /// Try again after so many seconds.
    pub(super) fn retry_after(self, seconds: u32) -> Problem {
        self.with(header::RETRY_AFTER, HeaderValue::from(seconds))
    }
    /// There is no room; try again after so many seconds.
    pub(super) fn busy(detail: impl Into<String>, retry_after: u32) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(retry_after)
    }
}

impl From<OfferError> for Problem {
    fn from(error: OfferError) -> Problem {
        let text = error.to_string();
        match error {
            OfferError::Malformed(_) => Problem::new(
                StatusCode::BAD_REQUEST,
                format!("{text}; send the SDP of a WebRTC offer"),
            ),
            OfferError::Unsupported(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text),
            OfferError::Crowded(_) => Problem::busy(format!("{text}: try again a little later"), 5),
            OfferError::Refused(Refusal::Busy { retry_after, detail }) => Problem::busy(detail, retry_after),
            OfferError::Refused(Refusal::TooMany { retry_after, detail }) => {
                Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(retry_after)
            }
            OfferError::Refused(Refusal::NotFound { detail }) => Problem::new(StatusCode::NOT_FOUND, detail),
            OfferError::Unavailable(_) => Problem::busy(format!("{text}: try again a little later"), 2),
        }
    }
}

impl From<FragmentError> for Problem {
    fn from(error: FragmentError) -> Problem {
        let status = match error {
            FragmentError::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Problem::new(status, format!("the fragment can't be used: {error}"))
    }
}

impl From<PatchError> for Problem {
    fn from(error: PatchError) -> Problem {
        match error {
            PatchError::Gone => Problem::new(StatusCode::NOT_FOUND, format!("{error}: POST a new offer")),
            PatchError::Stale => Problem::new(
                StatusCode::PRECONDITION_FAILED,
                format!("{error}: use the ETag of the last answer, or restart ICE with If-Match: *"),
            ),
            PatchError::Busy => Problem::busy(format!("{error}: try again"), 1),
            PatchError::Failed => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("{error}; it goes on with the old ones"),
            ),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let document = Document {
            r#type: "about:blank",
            title,
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}
