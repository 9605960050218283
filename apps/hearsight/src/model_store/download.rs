//! One file: fetched, gone on with where it broke off, and looked at as a whole before it counts.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearsight_core::time::Span;
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};

use super::StoreError;
use super::digest::{Computed, Digest};
use super::hub::{Failure, Hub, Listed};
use super::manifest::{Model, Wanted};
use super::progress::Watch;

/// A try that brought so much is forgiven: only those in a row that bring less are counted.
const WORTHWHILE: u64 = 1 << 20;
/// Wholes in pieces that may be wrong: a hub that breaks off and corrupts must not keep us for ever.
const MOST_WRONG: u32 = 3;
/// Where a download as a whole is timed, it gets so long besides.
const GRACE: Duration = Duration::from_secs(60);

/// What is fetched, and where to.
pub(super) struct Download<'a> {
    pub(super) hub: &'a Hub,
    pub(super) model: &'a Model,
    pub(super) file: &'a Wanted,
    /// What it must be.
    pub(super) meant: &'a Listed,
    /// Where it grows; its neighbour `.from` says what it is a part of.
    pub(super) part: PathBuf,
}

/// How one try ended, nothing being wrong with the connection.
enum Came {
    /// All of it, from the first byte on.
    Fresh,
    /// All of it, in more than one piece.
    Pieced,
}

impl Download<'_> {
    /// Fetches the file, and answers with what it is.
    pub(super) async fn run(self, watch: &mut dyn Watch) -> Result<Computed, StoreError> {
        watch.begin(self.file.saved_as(), self.meant.size);
        let mut patience = self.hub.patience();
        let mut wrong = 0;
        loop {
            let before = self.have()?;
            let (why, after) = match self.attempt(before, watch).await {
                Ok(came) => match self.judge().await? {
                    Some(computed) => {
                        watch.end();
                        return Ok(computed);
                    }
                    None => {
                        wrong += 1;
                        // Pieces may have come from different states of the hub; one whole that is wrong may be an accident.
                        if wrong > 1 && matches!(came, Came::Fresh) || wrong > MOST_WRONG {
                            return Err(self.wrong());
                        }
                        ("its digest is wrong".into(), None)
                    }
                },
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(why, after)) => (why, after),
            };
            if self.have()? >= before.saturating_add(WORTHWHILE) {
                patience.restore();
            }
            let wait = patience.wait(after).ok_or_else(|| self.unreachable(why.clone()))?;
            watch.wait(&why, wait);
            self.hub.pause(wait).await;
        }
    }

    /// How much there is that can be gone on with.
    fn have(&self) -> Result<u64, StoreError> {
        let known = std::fs::read_to_string(self.note()).unwrap_or_default();
        let ours = known.lines().next() == Some(&self.meant_line());
        match std::fs::metadata(&self.part) {
            Ok(about) if ours && about.len() <= self.meant.size => Ok(about.len()),
            Ok(_) => {
                self.discard()?;
                Ok(0)
            }
            Err(_) => Ok(0),
        }
    }

    /// Asks once for what is missing, and appends what comes.
    async fn attempt(&self, have: u64, watch: &mut dyn Watch) -> Result<Came, Failure> {
        if have == self.meant.size && have > 0 {
            return Ok(Came::Pieced);
        }
        let headers = self.asking(have);
        let answer = self.hub.file(self.model, self.file, headers).await?;
        let from = match answer.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if continues(&answer, have, self.meant.size) => have,
            status => {
                // 416, or a part that we did not ask for: what is here does not fit what is there.
                self.discard()?;
                return Err(Failure::Passing(
                    format!("it answers {status} and does not go on where it broke off"),
                    None,
                ));
            }
        };
        let room = self.meant.size - from;
        let slowest = Duration::from_secs(room / self.hub.manner.slowest.max(1));
        match tokio::time::timeout(GRACE + slowest, self.receive(answer, from, watch)).await {
            Ok(received) => received?,
            Err(_) => return Err(Failure::Passing("it is too slow".into(), None)),
        }
        Ok(if from == 0 { Came::Fresh } else { Came::Pieced })
    }

    fn asking(&self, have: u64) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if have > 0 {
            let range = HeaderValue::from_str(&format!("bytes={have}-")).expect("digits are valid in a header");
            headers.insert(RANGE, range);
            let known = std::fs::read_to_string(self.note()).unwrap_or_default();
            // A weak tag must not be used here (RFC 9110 section 13.1.5): without one, the digest tells.
            let tag = known.lines().nth(1).filter(|tag| tag.starts_with('"'));
            if let Some(Ok(tag)) = tag.map(HeaderValue::from_str) {
                headers.insert(IF_RANGE, tag);
            }
        }
        headers
    }

    async fn receive(&self, mut answer: Response, from: u64, watch: &mut dyn Watch) -> Result<(), Failure> {
        let mut file = self.opened(&answer, from).map_err(|problem| self.disk(problem))?;
        let mut have = from;
        watch.at(have);
        loop {
            let chunk = match answer.chunk().await {
                Ok(chunk) => chunk,
                Err(problem) if problem.is_timeout() => Err(Failure::Passing("no more bytes in time".into(), None))?,
                Err(_) => Err(Failure::Passing("the connection broke".into(), None))?,
            };
            let Some(chunk) = chunk else { break };
            have += chunk.len() as u64;
            if have > self.meant.size {
                self.discard()?;
                let (name, size) = (self.file.saved_as(), self.meant.size);
                return Err(self
                    .hub
                    .broken(format!("it gives more than the {size} bytes of {name}"))
                    .into());
            }
            // The command has its threads to itself, and a write is into the system's cache: nobody waits for it.
            file.write_all(&chunk).map_err(|problem| self.disk(problem))?;
            watch.at(have);
        }
        if have < self.meant.size {
            return Err(Failure::Passing("the answer ended early".into(), None));
        }
        file.sync_all().map_err(|problem| self.disk(problem).into())
    }

    /// The part, cut to where the answer begins, with a note of what it is a part of.
    fn opened(&self, answer: &Response, from: u64) -> io::Result<File> {
        if let Some(folder) = self.part.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.part)?;
        file.set_len(from)?;
        file.seek(SeekFrom::Start(from))?;
        let tag = answer
            .headers()
            .get(ETAG)
            .and_then(|tag| tag.to_str().ok())
            .unwrap_or_default();
        std::fs::write(self.note(), format!("{}\n{tag}\n", self.meant_line()))?;
        Ok(file)
    }

    /// Looks at the whole; what is wrong is thrown away.
    async fn judge(&self) -> Result<Option<Computed>, StoreError> {
        let path = self.part.clone();
        let computed = tokio::task::spawn_blocking(move || Computed::of(&path))
            .await
            .map_err(|problem| self.disk(io::Error::other(problem)))?;
        let computed = computed.map_err(|problem| self.disk(problem))?;
        let whole = computed.size == self.meant.size && computed.matches(&self.meant.digest);
        if whole {
            let _ = std::fs::remove_file(self.note());
            return Ok(Some(computed));
        }
        self.discard()?;
        Ok(None)
    }

    fn note(&self) -> PathBuf {
        let mut name = self.part.clone().into_os_string();
        name.push(".from");
        PathBuf::from(name)
    }

    fn meant_line(&self) -> String {
        let hex = match &self.meant.digest {
            Digest::Sha256(hex) | Digest::GitBlob(hex) => hex,
        };
        format!("{hex} {}", self.meant.size)
    }

    fn discard(&self) -> Result<(), StoreError> {
        for path in [&self.note(), &self.part] {
            match std::fs::remove_file(path) {
                Err(problem) if problem.kind() != io::ErrorKind::NotFound => return Err(disk(path, problem)),
                _ => {}
            }
        }
        Ok(())
    }

    fn disk(&self, problem: io::Error) -> StoreError {
        disk(&self.part, problem)
    }

    fn wrong(&self) -> StoreError {
        StoreError::Wrong {
            hub: self.hub.name(),
            file: self.file.saved_as().to_owned(),
        }
    }

    fn unreachable(&self, problem: String) -> StoreError {
        StoreError::Unreachable {
            hub: self.hub.name(),
            problem,
            model: self.model.name.clone(),
        }
    }
}

fn disk(path: &Path, problem: io::Error) -> StoreError {
    StoreError::Disk {
        path: path.to_path_buf(),
        problem,
    }
}

/// Whether a part begins where ours ends and belongs to a whole of the right size (RFC 9110 section 14.4).
fn continues(answer: &Response, have: u64, size: u64) -> bool {
    let range = answer
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|range| range.to_str().ok());
    let parsed = range.and_then(|range| {
        let (span, whole) = range.strip_prefix("bytes ")?.split_once('/')?;
        let (first, _) = span.split_once('-')?;
        Some((first.parse::<u64>().ok()?, whole.parse::<u64>().ok()))
    });
    parsed.is_some_and(|(first, whole)| first == have && whole.is_none_or(|whole| whole == size))
}

/// Waits are told in whole tenths of a second.
pub(super) fn told(wait: Span) -> String {
    format!("{:.1} s", wait.secs_f64())
}
