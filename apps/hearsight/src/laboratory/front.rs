//! A front for HTTP, so that senders need not know of the shaper: it hands every request on to the server, and writes the
//! shaper's own address in place of the server's into the candidates of the answers (RFC 8839 section 5.1).

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use reqwest::{Client, Url, redirect};

/// The largest request and answer: an offer is a few kilobytes, the page's script a few hundred.
const MOST_BYTES: usize = 4 << 20;
/// A server that has not answered by then is gone.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the front knows.
#[derive(Clone)]
pub(super) struct Front {
    client: Client,
    server: Url,
    media: SocketAddr,
    found: Arc<OnceLock<SocketAddr>>,
}

impl Front {
    /// Stands before `server`; media is sent to `media` instead, and `found` learns where the server wanted it.
    pub(super) fn new(server: Url, media: SocketAddr, found: Arc<OnceLock<SocketAddr>>) -> reqwest::Result<Front> {
        let client = Client::builder()
            .timeout(PATIENCE)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Front {
            client,
            server,
            media,
            found,
        })
    }

    /// Everything that is asked of it.
    pub(super) fn router(self) -> Router {
        Router::new().fallback(hand_on).with_state(self)
    }

    /// The answer with our candidate in place of the server's.
    fn rewritten(&self, sdp: &str) -> String {
        let mut told = String::with_capacity(sdp.len());
        for line in sdp.split_inclusive('\n') {
            let words: Vec<&str> = line.split(' ').collect();
            match &words[..] {
                [first, part, transport, rank, address, port, rest @ ..]
                    if first.starts_with("a=candidate:") && transport.eq_ignore_ascii_case("udp") =>
                {
                    if let (Ok(address), Ok(port)) = (address.parse(), port.parse()) {
                        // One UDP port serves all sessions.
                        let _ = self.found.set(SocketAddr::new(address, port));
                    }
                    let (ip, port) = (self.media.ip(), self.media.port());
                    let rest = rest.join(" ");
                    told.push_str(&format!("{first} {part} {transport} {rank} {ip} {port} {rest}"));
                }
                _ => told.push_str(line),
            }
        }
        told
    }
}

/// Hands a request on, and its answer back. What can't be handed on is a bad gateway.
async fn hand_on(State(front): State<Front>, request: Request) -> Response {
    match exchange(&front, request).await {
        Ok(response) => response,
        Err(status) => status.into_response(),
    }
}

async fn exchange(front: &Front, request: Request) -> Result<Response, StatusCode> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MOST_BYTES)
        .await
        .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = front.server.join(path).map_err(|_| StatusCode::BAD_REQUEST)?;
    if url.origin() != front.server.origin() {
        return Err(StatusCode::BAD_REQUEST);
    }
    let asked = front
        .client
        .request(parts.method, url)
        .headers(passed(&parts.headers))
        .body(body);
    let mut answer = asked.send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let (status, headers) = (answer.status(), passed(answer.headers()));
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|_| StatusCode::BAD_GATEWAY)? {
        if bytes.len() + chunk.len() > MOST_BYTES {
            return Err(StatusCode::BAD_GATEWAY);
        }
        bytes.extend_from_slice(&chunk);
    }
    // Answers, and what follows an ICE restart (RFC 8840).
    let of_sdp = |kind: &HeaderValue| {
        let kind = kind.as_bytes();
        kind.starts_with(b"application/sdp") || kind.starts_with(b"application/trickle-ice-sdpfrag")
    };
    if headers.get(header::CONTENT_TYPE).is_some_and(of_sdp) {
        bytes = front.rewritten(&String::from_utf8_lossy(&bytes)).into_bytes();
    }
    let mut response = Response::new(Body::from(bytes));
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    Ok(response)
}

/// Headers that concern the message and not the connection (RFC 9110 section 7.6.1); lengths are counted anew.
fn passed(headers: &HeaderMap) -> HeaderMap {
    const OURS: [HeaderName; 8] = [
        header::CONNECTION,
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::ACCEPT_ENCODING,
    ];
    let mut passed = headers.clone();
    for name in OURS {
        passed.remove(name);
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_lead_to_the_shaper_and_all_else_stays() {
        let found = Arc::new(OnceLock::new());
        let media = SocketAddr::from(([127, 0, 0, 1], 7_000));
        let server = Url::parse("http://127.0.0.1:1/").expect("an address");
        let front = Front::new(server, media, found.clone()).expect("a client");
        let sdp = "v=0\r\na=candidate:1 1 UDP 2130706431 10.0.0.9 9000 typ host\r\na=candidate:2 1 tcp 1 10.0.0.9 9 typ host\r\na=x\r\n";
        let told = front.rewritten(sdp);
        assert_eq!(
            told,
            sdp.replace("10.0.0.9 9000", "127.0.0.1 7000"),
            "the address and the port of UDP alone"
        );
        assert_eq!(found.get(), Some(&SocketAddr::from(([10, 0, 0, 9], 9_000))));
        for odd in [
            "",
            "a=candidate:",
            "a=candidate:1 1 udp",
            "a=candidate:1 1 udp 1 x y z\r\n",
            "\u{fffd}\n",
        ] {
            front.rewritten(odd);
        }
        assert_eq!(found.get().map(SocketAddr::port), Some(9_000), "odd ones teach nothing");
    }
}
