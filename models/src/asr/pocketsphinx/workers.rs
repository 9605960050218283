//! A worker process as its parent sees it.

use std::io::{BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use hearsight_core::time::Span;

use super::protocol::{Reply, Request, read};
use crate::asr::aside::processor_time;

/// Requests that a worker may have before it at once: a second of sound, which its pipe holds.
pub(super) const MOST_UNANSWERED: usize = 12;

/// What a worker process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Which process.
    pub pid: u32,
    /// Resident bytes, shared pages counted whole.
    pub resident: u64,
    /// Resident bytes, shared pages divided among those that share them; none where the system does not say.
    pub proportional: Option<u64>,
}

impl Memory {
    /// Asks the system; none when the process is gone or the system has no `/proc`.
    pub fn of(pid: u32) -> Option<Memory> {
        let resident = field(&format!("/proc/{pid}/status"), "VmRSS:")?;
        Some(Memory {
            pid,
            resident,
            proportional: field(&format!("/proc/{pid}/smaps_rollup"), "Pss:"),
        })
    }
}

fn field(path: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace()
        .next()?
        .parse::<u64>()
        .ok()
        .map(|kilobytes| kilobytes * 1024)
}

/// The last bytes of a worker's standard error, for the message of its death.
const LOG: usize = 512;

/// One worker process; killed when dropped.
pub(super) struct Worker {
    child: Child,
    input: ChildStdin,
    replies: Receiver<Result<Reply, String>>,
    log: Arc<Mutex<Vec<u8>>>,
}

impl Worker {
    /// Starts the process and waits until its model is loaded, `limit` at most. The error is one line for people.
    pub(super) fn start(mut command: Command, limit: Span) -> Result<Worker, String> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|why| format!("the recogniser's worker cannot be started: {why}"))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = pipes else {
            end(&mut child);
            return Err("the recogniser's worker has no pipes".to_owned());
        };
        // One reply per request: a worker that says more is not to be trusted and is not listened to.
        let (sender, replies) = sync_channel(MOST_UNANSWERED + 1);
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = log.clone();
        let threads = thread::Builder::new()
            .name("hs-asr-replies".to_owned())
            .spawn(move || listen(output, &sender))
            .and_then(|_| {
                thread::Builder::new()
                    .name("hs-asr-log".to_owned())
                    .spawn(move || drain(errors, &kept))
            });
        if let Err(why) = threads {
            end(&mut child);
            return Err(format!("no thread for the recogniser's worker: {why}"));
        }
        let mut worker = Worker {
            child,
            input,
            replies,
            log,
        };
        match worker.reply(limit)? {
            Reply::Ready => Ok(worker),
            _ => Err("the recogniser's worker does not keep to the protocol".to_owned()),
        }
    }
    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
    /// What it has taken of processors.
    pub(super) fn processor_time(&self) -> Span {
        processor_time(self.pid())
    }
    /// Whether it still runs.
    pub(super) fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
    /// Asks and waits for the answer, `limit` at most. After an error the worker is of no use.
    pub(super) fn ask(&mut self, request: &Request, limit: Span) -> Result<Reply, String> {
        if self.replies.try_recv().is_ok() {
            return Err("the recogniser's worker speaks without being asked".to_owned());
        }
        self.tell(request)?;
        self.reply(limit)
    }
    /// Asks, and leaves the answer to [`Worker::answer`]; [`MOST_UNANSWERED`] times at most.
    pub(super) fn tell(&mut self, request: &Request) -> Result<(), String> {
        request.write(&mut self.input).map_err(|_| self.last_words("ended"))
    }
    /// The next answer, if it comes within `limit`.
    pub(super) fn answer(&mut self, limit: Span) -> Result<Option<Reply>, String> {
        match self.replies.recv_timeout(limit.to_duration()) {
            Ok(Ok(Reply::Failed(why)) | Err(why)) => Err(why),
            Ok(Ok(reply)) => Ok(Some(reply)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(self.last_words("ended")),
        }
    }

    fn reply(&mut self, limit: Span) -> Result<Reply, String> {
        self.answer(limit)?.ok_or_else(|| self.last_words("does not answer"))
    }

    fn last_words(&self, what: &str) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&log);
        match text.lines().rev().find(|line| !line.trim().is_empty()) {
            Some(line) => format!("the recogniser's worker {what}: {}", line.trim()),
            None => format!("the recogniser's worker {what}"),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A worker holds nothing worth saving: it is killed, and waited for so that no zombie stays.
fn end(child: &mut Child) {
    // An error means that it has already ended.
    let _ = child.kill();
    let _ = child.wait();
}

fn listen(output: impl Read, to: &SyncSender<Result<Reply, String>>) {
    let mut output = BufReader::new(output);
    loop {
        let reply = match read(&mut output, Reply::parse) {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => return,
            Err(why) => Err(format!("the recogniser's worker does not keep to the protocol: {why}")),
        };
        let last = reply.is_err();
        // Full means unasked-for messages; disconnected means that the worker was given up.
        if to.try_send(reply).is_err() || last {
            return;
        }
    }
}

fn drain(mut errors: impl Read, to: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 512];
    while let Ok(count) = errors.read(&mut buffer) {
        if count == 0 {
            return;
        }
        let mut log = to.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(&buffer[..count]);
        let excess = log.len().saturating_sub(LOG);
        log.drain(..excess);
    }
}
