//! A hub on this machine, and the place where it keeps large files, on a port of its own. Each request may be answered in a
//! manner of its own.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;

/// How one request for a file's bytes is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// As RFC 9110 has it: ranges, and only of what has not changed.
    Serve,
    /// The connection breaks after so many bytes.
    Break(usize),
    /// The answer ends in good manners after so many bytes.
    End(usize),
    /// One byte is another.
    Corrupt(usize),
    /// Ranges are ignored.
    Whole,
    /// The range is refused.
    Refuse,
    /// A part comes that was not asked for.
    Astray,
    /// After so many bytes nothing comes any more.
    Stall(usize),
    /// So many bytes come besides.
    Excess(usize),
    /// This status, and after how many seconds to ask again.
    Status(u16, Option<u32>),
    /// To this address instead.
    Redirect(String),
}

/// One request that came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
}

#[derive(Default)]
struct Shelf {
    /// By path in the repository; whether it is in large file storage.
    files: BTreeMap<String, (Vec<u8>, bool)>,
    /// Sizes that the listing claims instead of the true ones.
    claims: BTreeMap<String, u64>,
    version: u32,
    acts: VecDeque<Act>,
    always: Option<Act>,
    listings: VecDeque<Act>,
    page: Option<usize>,
    hub: Vec<Seen>,
    store: Vec<Seen>,
}

/// Both servers.
#[derive(Clone)]
pub(super) struct Fake {
    shelf: Arc<Mutex<Shelf>>,
    pub(super) hub: String,
    store: String,
}

impl Fake {
    pub(super) async fn start(files: &[(&str, &[u8], bool)]) -> Fake {
        let files = files
            .iter()
            .map(|(path, bytes, large)| ((*path).to_owned(), (bytes.to_vec(), *large)));
        let shelf = Shelf {
            files: files.collect(),
            ..Shelf::default()
        };
        let (hub, store) = (bind().await, bind().await);
        let fake = Fake {
            shelf: Arc::new(Mutex::new(shelf)),
            hub: format!("http://{}", hub.local_addr().unwrap()),
            store: format!("http://{}", store.local_addr().unwrap()),
        };
        let at_hub = Router::new().fallback(answer_hub).with_state(fake.clone());
        let at_store = Router::new().fallback(answer_store).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(hub, at_hub).await });
        tokio::spawn(async move { axum::serve(store, at_store).await });
        fake
    }

    /// The next requests for bytes are answered so; then all are served.
    pub(super) fn script(&self, acts: impl IntoIterator<Item = Act>) {
        self.shelf.lock().unwrap().acts = acts.into_iter().collect();
    }
    /// All requests for bytes beyond the script are answered so.
    pub(super) fn always(&self, act: Act) {
        self.shelf.lock().unwrap().always = Some(act);
    }
    /// The next requests for listings are answered so.
    pub(super) fn listings(&self, acts: impl IntoIterator<Item = Act>) {
        self.shelf.lock().unwrap().listings = acts.into_iter().collect();
    }
    /// Listings come in pages of so many.
    pub(super) fn page(&self, entries: usize) {
        self.shelf.lock().unwrap().page = Some(entries);
    }
    /// The listing claims another size.
    pub(super) fn claim(&self, path: &str, size: u64) {
        self.shelf.lock().unwrap().claims.insert(path.to_owned(), size);
    }
    /// Another content from now on, known by another tag.
    pub(super) fn change(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut shelf = self.shelf.lock().unwrap();
        shelf.version += 1;
        change(&mut shelf.files.get_mut(path).unwrap().0);
    }
    /// Requests that came to the hub, and to where it keeps large files; forgets them.
    pub(super) fn seen(&self) -> (Vec<Seen>, Vec<Seen>) {
        let mut shelf = self.shelf.lock().unwrap();
        (std::mem::take(&mut shelf.hub), std::mem::take(&mut shelf.store))
    }
}

async fn bind() -> tokio::net::TcpListener {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn seen(request: &Request) -> Seen {
    Seen {
        path: request.uri().to_string(),
        headers: request.headers().clone(),
    }
}

async fn answer_hub(State(fake): State<Fake>, request: Request) -> Response {
    let mut shelf = fake.shelf.lock().unwrap();
    shelf.hub.push(seen(&request));
    let path = request.uri().path().to_owned();
    if let Some(rest) = path.strip_prefix("/api/models/owner/name/tree/") {
        return match shelf.listings.pop_front() {
            Some(Act::Status(status, after)) => with_status(status, after),
            _ => listing(&shelf, rest, request.uri().query().unwrap_or_default()),
        };
    }
    let Some((_, file)) = path.split_once(&format!("/resolve/{}/", super::REVISION)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match shelf.files.get(file) {
        None => StatusCode::NOT_FOUND.into_response(),
        Some((_, true)) => {
            let to = format!("{}/{file}?signature=secret", fake.store);
            (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
        }
        Some((_, false)) => bytes(&mut shelf, file, request.headers()),
    }
}

async fn answer_store(State(fake): State<Fake>, request: Request) -> Response {
    let mut shelf = fake.shelf.lock().unwrap();
    shelf.store.push(seen(&request));
    bytes(
        &mut shelf,
        request.uri().path().trim_start_matches('/'),
        request.headers(),
    )
}

fn with_status(status: u16, after: Option<u32>) -> Response {
    let mut answer = StatusCode::from_u16(status).unwrap().into_response();
    if let Some(after) = after {
        answer.headers_mut().insert(header::RETRY_AFTER, after.into());
    }
    answer
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn listing(shelf: &Shelf, place: &str, query: &str) -> Response {
    let within = place
        .strip_prefix(super::REVISION)
        .unwrap_or("missing")
        .trim_start_matches('/');
    let entry = |(path, (bytes, large)): (&String, &(Vec<u8>, bool))| {
        let size = shelf.claims.get(path).copied().unwrap_or(bytes.len() as u64);
        let git = [format!("blob {}\0", bytes.len()).as_bytes(), bytes].concat();
        let mut entry = json!({
            "type": "file", "path": path, "size": size, "oid": hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, &git).as_ref()),
        });
        if *large {
            let oid = hex(digest(&SHA256, bytes).as_ref());
            entry["lfs"] = json!({ "oid": oid, "size": size, "pointerSize": 134 });
            entry["xetHash"] = json!("ab");
        }
        entry
    };
    let mut entries: Vec<_> = shelf
        .files
        .iter()
        .filter(|(path, _)| path.starts_with(within))
        .map(entry)
        .collect();
    entries.push(json!({ "type": "directory", "path": "onnx", "size": 0, "oid": "" }));
    let first: usize = query
        .split_once("cursor=")
        .map_or(0, |(_, cursor)| cursor.parse().unwrap());
    let page = shelf.page.unwrap_or(entries.len());
    let next = first + page;
    let more = next < entries.len();
    let part: Vec<_> = entries.into_iter().skip(first).take(page).collect();
    let mut answer = axum::Json(part).into_response();
    if more {
        let link = format!("<?recursive=true&cursor={next}>; rel=\"next\"");
        answer.headers_mut().insert(header::LINK, link.parse().unwrap());
    }
    answer
}

fn bytes(shelf: &mut Shelf, file: &str, headers: &HeaderMap) -> Response {
    let act = shelf
        .acts
        .pop_front()
        .or_else(|| shelf.always.clone())
        .unwrap_or(Act::Serve);
    let Some((content, _)) = shelf.files.get(file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut content = content.clone();
    let tag = format!("\"v{}\"", shelf.version);
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let wanted: Option<usize> = text(header::RANGE).map(|range| {
        let first = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
        first.unwrap().parse().unwrap()
    });
    let unchanged = text(header::IF_RANGE).is_none_or(|known| known == tag);
    let mut from = wanted.filter(|_| unchanged && act != Act::Whole);
    match &act {
        Act::Status(status, after) => return with_status(*status, *after),
        Act::Redirect(to) => return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to.clone())]).into_response(),
        Act::Refuse if wanted.is_some() => return StatusCode::RANGE_NOT_SATISFIABLE.into_response(),
        Act::Corrupt(at) => {
            let at = at % content.len();
            content[at] ^= 0x20;
        }
        Act::Astray => from = from.map(|from| from.saturating_sub(1)),
        Act::Excess(more) => content.extend(std::iter::repeat_n(0, *more)),
        _ => {}
    }
    let whole = content.len();
    let part = Bytes::from(content.split_off(from.unwrap_or(0).min(whole)));
    let body = match act {
        Act::Break(after) => broken(part.slice(..after.min(part.len())), After::Break),
        Act::End(after) => broken(part.slice(..after.min(part.len())), After::End),
        Act::Stall(after) => broken(part.slice(..after.min(part.len())), After::Stall),
        // Without a length, so that nothing below notices.
        Act::Excess(_) => broken(part, After::End),
        _ => Body::from(part),
    };
    let mut answer = Response::new(body);
    answer.headers_mut().insert(header::ETAG, tag.parse().unwrap());
    if let Some(from) = from {
        let range = format!("bytes {from}-{}/{whole}", whole - 1);
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        answer
            .headers_mut()
            .insert(header::CONTENT_RANGE, range.parse().unwrap());
    }
    answer
}

/// What comes after the bytes.
#[derive(Clone, Copy)]
enum After {
    Break,
    End,
    Stall,
}

fn broken(part: Bytes, after: After) -> Body {
    use futures_util::StreamExt;
    let first = stream::iter([Ok::<_, std::io::Error>(part)]);
    match after {
        After::End => Body::from_stream(first.map(|part| Ok::<_, Infallible>(part.unwrap()))),
        After::Break => {
            let broken = stream::once(async {
                // What came before goes out first.
                tokio::task::yield_now().await;
                Err(std::io::Error::other("broken, as the test wants"))
            });
            Body::from_stream(first.chain(broken))
        }
        After::Stall => Body::from_stream(first.chain(stream::pending())),
    }
}
