//! The demo page, embedded in the binary.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// One embedded file.
struct File {
    path: &'static str,
    content_type: &'static str,
    /// Changes with the content.
    tag: &'static str,
    bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// Only what the page itself brings may run in it; its sound and pictures may be shown from memory.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
                      media-src 'self' blob: mediastream:; worker-src 'self' blob:; connect-src 'self'; object-src 'none'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What is shown when the binary was built without the page.
const MISSING: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Hearsight</title>\
<body style=\"font:16px system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem\"><h1>The page is not built in</h1>\
<p>The server runs, and takes WHIP publishers at <code>/whip/{stream}</code>. For this page, run <code>make web</code> \
and build the server again.</p>";

pub(super) async fn index(headers: HeaderMap) -> Response {
    match find("index.html") {
        Some(file) => answer(file, &headers),
        None => with_policy((
            StatusCode::OK,
            [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
            MISSING,
        )),
    }
}

pub(super) async fn file(request: Request) -> Response {
    let readable = matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.uri().path().trim_start_matches('/');
    match find(path).filter(|_| readable) {
        Some(file) => answer(file, request.headers()),
        None => Problem::new(
            StatusCode::NOT_FOUND,
            "there is nothing here: the page is at /, WHIP at /whip/{stream}",
        )
        .into_response(),
    }
}

fn find(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

fn answer(file: &'static File, headers: &HeaderMap) -> Response {
    // Browsers ask again each time, and get 304 while nothing changed: a new server never meets an old page.
    let common = [(header::ETAG, file.tag), (header::CACHE_CONTROL, "no-cache")];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    if known.is_some_and(|tags| {
        tags.split(',')
            .any(|tag| tag.trim().trim_start_matches("W/") == file.tag)
    }) {
        return with_policy((StatusCode::NOT_MODIFIED, common));
    }
    with_policy((
        StatusCode::OK,
        common,
        [(header::CONTENT_TYPE, file.content_type)],
        file.bytes,
    ))
}

fn with_policy(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    let headers = response.headers_mut();
    let policy = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(self), microphone=(self)",
        ),
    ];
    for (name, value) in policy {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
