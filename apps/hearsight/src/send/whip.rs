//! The two requests of WHIP (RFC 9725): an offer in, an answer and a resource out; and the end of the resource.

use std::net::IpAddr;
use std::time::Duration;

use hearsight_core::time::Span;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, Client, Response, StatusCode, Url, redirect};

use super::{Config, DialError, Trust};

/// An answer is a few kilobytes; more is a server gone wrong.
const MAX_BODY: usize = 64 * 1024;
/// A proxy or two may redirect (RFC 9725 section 4.5); more is a loop.
const MAX_REDIRECTS: usize = 3;

/// One HTTP client for one WHIP endpoint.
pub(super) struct Endpoint {
    client: Client,
    url: Url,
    bearer: Option<String>,
}

/// What the server made of our offer.
pub(super) struct Created {
    /// The answer, SDP.
    pub(super) answer: String,
    /// What to delete at the end.
    pub(super) resource: Option<Url>,
}

impl Endpoint {
    /// Checks the address and prepares the client.
    pub(super) fn new(config: &Config) -> Result<Endpoint, DialError> {
        let url = Url::parse(&config.url).map_err(|error| DialError::Address(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(DialError::Address(
                "a WHIP address begins with http:// or https:// and a host".into(),
            ));
        }
        let mut builder = Client::builder()
            .timeout(config.timeout.to_duration())
            .connect_timeout(config.timeout.to_duration())
            .redirect(redirect::Policy::limited(MAX_REDIRECTS))
            .pool_max_idle_per_host(0);
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        match &config.trust {
            Trust::SelfSignedOnLoopback if is_loopback(&url) => {
                builder = builder
                    .tls_danger_accept_invalid_certs(true)
                    .redirect(redirect::Policy::custom(stay_on_loopback));
            }
            Trust::Certificates(pem) => {
                let certificates = Certificate::from_pem_bundle(pem).ok().filter(|list| !list.is_empty());
                let unusable = || DialError::Address("the certificate to trust is not a PEM certificate".into());
                builder = builder.tls_certs_merge(certificates.ok_or_else(unusable)?);
            }
            Trust::System | Trust::SelfSignedOnLoopback => {}
        }
        let client = builder.build().map_err(|error| DialError::Address(error.to_string()))?;
        Ok(Endpoint {
            client,
            url,
            bearer: config.bearer.clone(),
        })
    }

    /// Host and port, for finding the way there.
    pub(super) fn authority(&self) -> (String, u16) {
        let host = self
            .url
            .host_str()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_owned();
        (host, self.url.port_or_known_default().unwrap_or(443))
    }

    /// Posts the offer.
    pub(super) async fn create(&self, offer: String) -> Result<Created, DialError> {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/sdp")
            .body(offer);
        let response = self.authorised(request).send().await.map_err(unreachable)?;
        let (status, at) = (response.status(), response.url().clone());
        let resource = response
            .headers()
            .get(LOCATION)
            .and_then(|value| at.join(value.to_str().ok()?).ok());
        let retry_after = retry_after(response.headers());
        let body = bounded(response).await?;
        if status != StatusCode::CREATED {
            return Err(DialError::Refused {
                status: status.as_u16(),
                detail: detail(&body),
                retry_after,
            });
        }
        let answer = String::from_utf8(body).map_err(|_| DialError::Answer("not text".into()))?;
        Ok(Created { answer, resource })
    }

    /// Ends the session; a server that has gone already is no error.
    pub(super) async fn delete(&self, resource: &Url, within: Duration) {
        let request = self.client.delete(resource.clone()).timeout(within);
        if let Err(error) = self.authorised(request).send().await {
            tracing::debug!(error = %error.without_url(), "the WHIP session could not be deleted");
        }
    }

    fn authorised(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.bearer {
            Some(bearer) => request.header(AUTHORIZATION, format!("Bearer {bearer}")),
            None => request,
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
    })
}

/// Off the loopback nothing vouches for a server whose certificate was not looked at.
fn stay_on_loopback(attempt: redirect::Attempt<'_>) -> redirect::Action {
    if attempt.previous().len() <= MAX_REDIRECTS && is_loopback(attempt.url()) {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

/// Retry-After in seconds (RFC 9110 section 10.2.3); one that is a date counts as none.
fn retry_after(headers: &HeaderMap) -> Option<Span> {
    let seconds: u32 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Span::from_secs(i64::from(seconds)))
}

fn unreachable(error: reqwest::Error) -> DialError {
    if error.is_timeout() {
        return DialError::TimedOut("the server's answer");
    }
    // The outer error only says "error sending request"; the innermost cause says why.
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    DialError::Unreachable(cause.to_string())
}

async fn bounded(mut response: Response) -> Result<Vec<u8>, DialError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(DialError::Answer(format!("longer than {MAX_BODY} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a problem document (RFC 9457) says, or the start of whatever came instead.
fn detail(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let problem: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let said = problem.as_ref().and_then(|problem| {
        let text = |key: &str| problem.get(key).and_then(serde_json::Value::as_str);
        text("detail").or_else(|| text("title"))
    });
    let line: String = said
        .unwrap_or(&text)
        .chars()
        .filter(|c| !c.is_control())
        .take(300)
        .collect();
    if line.is_empty() {
        "no reason given".into()
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> Config {
        Config {
            url: url.into(),
            ..Config::default()
        }
    }

    #[test]
    fn addresses_that_are_not_http_are_refused() {
        for url in ["", "ftp://a/b", "127.0.0.1:80/whip", "http://", "data:text/plain,x"] {
            assert!(
                matches!(Endpoint::new(&config(url)), Err(DialError::Address(_))),
                "{url}"
            );
        }
        assert!(Endpoint::new(&config("http://127.0.0.1:1/whip/a")).is_ok());
    }

    #[test]
    fn the_time_to_try_again_is_read_in_seconds() {
        let read = |text: &str| {
            let value = text.parse().expect("a header");
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
        };
        assert_eq!(read("0"), Some(Span::ZERO));
        assert_eq!(read(" 120 "), Some(Span::from_secs(120)));
        for odd in ["", "-1", "1.5", "99999999999", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(read(odd), None, "{odd}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn a_file_that_is_no_certificate_is_refused() {
        for pem in [
            &b""[..],
            b"hello",
            b"-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n",
        ] {
            let config = Config {
                trust: Trust::Certificates(pem.to_vec()),
                ..config("https://127.0.0.1:1/whip/a")
            };
            assert!(matches!(Endpoint::new(&config), Err(DialError::Address(_))));
        }
    }

    #[test]
    fn only_loopback_is_loopback() {
        let is = |url: &str| is_loopback(&Url::parse(url).expect("an address"));
        assert!(is("https://localhost/") && is("https://127.0.0.9/") && is("https://[::1]:8443/"));
        assert!(!is("https://localhost.example/") && !is("https://10.0.0.1/") && !is("https://[2001:db8::1]/"));
    }

    #[test]
    fn the_reason_of_a_refusal_is_found_and_bounded() {
        assert_eq!(detail(br#"{"title":"t","detail":"send H.264"}"#), "send H.264");
        assert_eq!(detail(br#"{"title":"t"}"#), "t");
        assert_eq!(detail(b""), "no reason given");
        assert_eq!(detail(&[b'x'; 5_000]).len(), 300);
        assert_eq!(detail(b"a\x1b[31mb"), "a[31mb", "control codes don't reach a terminal");
    }
}
