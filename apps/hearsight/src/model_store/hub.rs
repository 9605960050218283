//! What is asked of a hub: which files a repository has, and the bytes of one. Follows redirects itself, because a token is
//! for the hub alone.

use std::time::Duration;

use hearsight_core::time::Span;
use hearsight_live::clock::Clock;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, LINK, LOCATION, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde::Deserialize;

use super::StoreError;
use super::digest::{Digest, GIT_BYTES, SHA256_BYTES, is_hex};
use super::manifest::{Model, Wanted};
use crate::config::{self, is_loopback};
use crate::patience::Patience;

/// A hub redirects once, to where large files are kept; a renamed repository once more.
const MAX_REDIRECTS: usize = 5;
/// A page of a listing; a thousand files take a quarter of it.
const MAX_PAGE: usize = 4 << 20;
/// Pages of a listing.
const MAX_PAGES: usize = 16;
/// A token is one line.
const MAX_TOKEN: u64 = 4096;

/// How patient we are with a hub.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// For a connection.
    pub connect: Duration,
    /// For the next bytes of an answer.
    pub idle: Duration,
    /// A download as a whole may be this slow, in bytes per second; one that is slower is begun again where it was.
    pub slowest: u64,
    /// The first wait before another try.
    pub first_wait: Span,
    /// Tries in a row that bring nothing.
    pub retries: u32,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner {
            connect: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            slowest: 4096,
            first_wait: Span::from_secs(1),
            retries: 6,
        }
    }
}

impl Manner {
    /// Of somebody who has so much time and does without otherwise: one try, and a connection within seconds.
    pub fn hasty(within: Duration) -> Manner {
        let connect = Duration::from_secs(5).min(within);
        Manner {
            connect,
            idle: within,
            retries: 0,
            ..Manner::default()
        }
    }
}

/// Why an answer is not to be had.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may be had later: why, and after how long where the hub says so.
    Passing(String, Option<Span>),
    /// It won't.
    Final(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Final(error)
    }
}

/// A file as the hub has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) size: u64,
    pub(super) digest: Digest,
}

/// One entry of the hub's listing (`GET /api/models/OWNER/NAME/tree/REVISION`).
#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    oid: String,
    lfs: Option<LargeFile>,
}

/// What it says of a file in large file storage.
#[derive(Deserialize)]
struct LargeFile {
    oid: String,
    size: u64,
}

/// A hub, or a mirror that answers alike.
pub struct Hub {
    client: Client,
    base: Url,
    token: Option<HeaderValue>,
    pub(super) manner: Manner,
    pub(super) clock: Clock,
}

impl Hub {
    /// Prepares the client; reads the token.
    pub fn new(models: &config::Models, manner: Manner, clock: Clock) -> Result<Hub, StoreError> {
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(manner.connect)
            .read_timeout(manner.idle)
            .user_agent(concat!("hearsight/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&models.hub) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|problem| StoreError::Hub {
            hub: host(&models.hub),
            problem: brief(&problem),
        })?;
        let token = models.token.as_deref().map(read_token).transpose()?;
        Ok(Hub {
            client,
            base: models.hub.clone(),
            token,
            manner,
            clock,
        })
    }

    /// For messages.
    pub(super) fn name(&self) -> String {
        host(&self.base)
    }

    /// Tries in a row, with waits in between.
    pub(super) fn patience(&self) -> Patience {
        let mut seed = [0; 8];
        // Without randomness the waits are merely predictable.
        let _ = getrandom::fill(&mut seed);
        Patience::beginning(
            self.manner.first_wait,
            Some(self.manner.retries),
            u64::from_ne_bytes(seed),
        )
    }

    /// Waits before another try.
    pub(super) async fn pause(&self, wait: Span) {
        let until = self.clock.instant_from_moment(self.clock.now() + wait);
        tokio::time::sleep_until(until.into()).await;
    }

    /// Size and digest of every file of a model, in the order of the manifest.
    pub(super) async fn listing(&self, model: &Model) -> Result<Vec<Listed>, StoreError> {
        let mut patience = self.patience();
        loop {
            let (why, after) = match self.listed(model).await {
                Ok(entries) => return self.wanted(model, &entries),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(why, after)) => (why, after),
            };
            match patience.wait(after) {
                Some(wait) => self.pause(wait).await,
                None => {
                    return Err(StoreError::Unreachable {
                        hub: self.name(),
                        problem: why,
                        model: model.name.clone(),
                    });
                }
            }
        }
    }

    async fn listed(&self, model: &Model) -> Result<Vec<Entry>, Failure> {
        let mut path = vec!["api", "models"];
        path.extend(model.repository.split('/'));
        path.extend(["tree", &model.revision]);
        path.extend(model.within.split('/').filter(|part| !part.is_empty()));
        let mut next = Some(self.address(&path));
        if let Some(first) = &mut next {
            first.set_query(Some("recursive=true"));
        }
        let mut entries = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(url) = next else { return Ok(entries) };
            let answer = self.get(url.clone(), HeaderMap::new(), &model.name).await?;
            next = next_page(&url, answer.headers());
            let page = self.bounded(answer).await?;
            let page: Vec<Entry> = serde_json::from_slice(&page)
                .map_err(|_| self.broken("its listing is not what a hub answers; is it one?".into()))?;
            entries.extend(page);
        }
        Err(self.broken("its listing does not end".into()).into())
    }

    /// Picks the files of a model out of a listing, and holds what it says to what is known.
    fn wanted(&self, model: &Model, entries: &[Entry]) -> Result<Vec<Listed>, StoreError> {
        let of = |file: &Wanted| {
            let path = model.remote(file);
            let Some(entry) = entries.iter().find(|entry| entry.path == path) else {
                let (repository, revision) = (&model.repository, &model.revision);
                return Err(self.broken(format!("{repository} has no file {path} at revision {revision}")));
            };
            let listed = match &entry.lfs {
                Some(large) => Listed {
                    size: large.size,
                    digest: Digest::Sha256(large.oid.trim_start_matches("sha256:").to_owned()),
                },
                None => Listed {
                    size: entry.size,
                    digest: Digest::GitBlob(entry.oid.clone()),
                },
            };
            let is_digest = match &listed.digest {
                Digest::Sha256(hex) => is_hex(hex, SHA256_BYTES),
                Digest::GitBlob(hex) => is_hex(hex, GIT_BYTES),
            };
            if !is_digest {
                return Err(self.broken(format!("it tells no digest of {path}")));
            }
            let likely = file.about.map(|about| about / 2..=about.saturating_mul(2));
            if likely.is_some_and(|likely| !likely.contains(&listed.size)) {
                let size = listed.size;
                return Err(self.broken(format!("{path} would have {size} bytes, which can't be true of it")));
            }
            Ok(listed)
        };
        model.files.iter().map(of).collect()
    }

    /// The bytes of a file, as `headers` ask for them: 200, 206 or 416.
    pub(super) async fn file(&self, model: &Model, file: &Wanted, headers: HeaderMap) -> Result<Response, Failure> {
        let remote = model.remote(file);
        let mut path: Vec<&str> = model.repository.split('/').collect();
        path.extend(["resolve", &model.revision]);
        path.extend(remote.split('/'));
        self.get(self.address(&path), headers, &model.name).await
    }

    fn address(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Asks, and follows where the hub points: `https`, or `http` from this machine to this machine.
    async fn get(&self, mut url: Url, mut headers: HeaderMap, model: &str) -> Result<Response, Failure> {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.client.get(url.clone()).headers(headers.clone());
            if let Some(token) = self.token.as_ref().filter(|_| url.origin() == self.base.origin()) {
                request = request.header(AUTHORIZATION, token.clone());
            }
            // A read timeout begins with the answer's head; the head itself gets as long.
            let answer = tokio::time::timeout(self.manner.connect + self.manner.idle, request.send()).await;
            let answer = match answer {
                Err(_) => return Err(Failure::Passing("no answer in time".into(), None)),
                Ok(Err(problem)) => return Err(Failure::Passing(brief(&problem), None)),
                Ok(Ok(answer)) => answer,
            };
            if !is_redirect(answer.status()) {
                return self.judged(answer, model);
            }
            let to = answer
                .headers()
                .get(LOCATION)
                .and_then(|to| url.join(to.to_str().ok()?).ok());
            url = match to {
                Some(to)
                    if to.scheme() == "https" || is_loopback(&to) && is_loopback(&url) && to.scheme() == "http" =>
                {
                    to
                }
                _ => {
                    return Err(self
                        .broken("it points to where a file could be exchanged on its way".into())
                        .into());
                }
            };
        }
        Err(self.broken("its redirects don't end".into()).into())
    }

    fn judged(&self, answer: Response, model: &str) -> Result<Response, Failure> {
        let status = answer.status();
        let after = || retry_after(answer.headers());
        match status.as_u16() {
            200 | 206 | 416 => Ok(answer),
            401 | 403 => Err(Failure::Final(StoreError::NotAllowed {
                hub: self.name(),
                status: status.as_u16(),
                model: model.to_owned(),
            })),
            404 | 410 => Err(self
                .broken(format!(
                    "it does not have {model} at the revision that is pinned ({status})"
                ))
                .into()),
            408 | 425 | 429 | 500..=599 => Err(Failure::Passing(format!("it answers {status}"), after())),
            _ => Err(self.broken(format!("it answers {status}")).into()),
        }
    }

    async fn bounded(&self, mut answer: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_PAGE => body.extend_from_slice(&chunk),
                Ok(Some(_)) => return Err(self.broken("its listing is too long".into()).into()),
                Ok(None) => return Ok(body),
                Err(problem) => return Err(Failure::Passing(brief(&problem), None)),
            }
        }
    }

    pub(super) fn broken(&self, problem: String) -> StoreError {
        StoreError::Hub {
            hub: self.name(),
            problem,
        }
    }
}

/// Redirects that ask for the same request elsewhere, and 303, which asks for a GET, as ours are.
fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The page after this one (RFC 8288), if the hub has it itself.
fn next_page(url: &Url, headers: &HeaderMap) -> Option<Url> {
    let links = headers.get(LINK)?.to_str().ok()?;
    let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    let (_, after) = next.split_once('<')?;
    let (target, _) = after.split_once('>')?;
    url.join(target).ok().filter(|next| next.origin() == url.origin())
}

/// Retry-After in seconds (RFC 9110 section 10.2.3); one that is a date counts as none.
fn retry_after(headers: &HeaderMap) -> Option<Span> {
    let seconds: u32 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Span::from_secs(i64::from(seconds)))
}

/// Host and port.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The innermost cause, which is what people can do something about, without the address, which may be signed.
fn brief(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match error.is_timeout() {
        true => "no more bytes in time".into(),
        false => cause.to_string().chars().take(200).collect(),
    }
}

fn read_token(path: &std::path::Path) -> Result<HeaderValue, StoreError> {
    use std::io::Read;
    let unusable = |problem: String| StoreError::Token {
        path: path.to_path_buf(),
        problem,
    };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_TOKEN).read_to_string(&mut text))
        .map_err(|problem| unusable(problem.to_string()))?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|c| c.is_ascii_graphic()) {
        return Err(unusable("it does not hold one token on one line".into()));
    }
    let mut header =
        HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| unusable("it holds odd characters".into()))?;
    header.set_sensitive(true);
    Ok(header)
}
