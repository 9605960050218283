//! The built program as operators have it: its settings in a file, its log in view, signals at hand.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use tempfile::TempDir;

use crate::rig::root;
use crate::rig::server::program;

/// Everything that is waited for comes within this, or something is wrong.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub(super) struct Subject {
    child: Child,
    folder: TempDir,
    /// The address of its page, `host:port`.
    pub(super) page: String,
    /// Of the operators' server.
    pub(super) operations: String,
    log: Receiver<String>,
    /// Every line of the log that was looked at.
    pub(super) seen: Vec<String>,
}

impl Subject {
    /// Starts a server with these settings besides free ports, and waits until it serves.
    pub(super) fn start(settings: &str) -> Subject {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("hearsight.toml"), settings).unwrap();
        let mut child = Command::new(program().unwrap())
            .args(["serve", "--listen-http", "127.0.0.1:0", "--listen-udp", "127.0.0.1:0"])
            .args(["--operate-listen", "127.0.0.1:0", "--config"])
            .arg(folder.path().join("hearsight.toml"))
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = lines("said", child.stdout.take().unwrap());
        let log = lines("log", child.stderr.take().unwrap());
        let mut subject = Subject {
            child,
            folder,
            page: String::new(),
            operations: String::new(),
            log,
            seen: Vec::new(),
        };
        while subject.page.is_empty() {
            let line = said.recv_timeout(PATIENCE).expect("it says where it serves");
            let address = |line: &str| {
                line.split("http://")
                    .nth(1)
                    .and_then(|rest| rest.split('/').next())
                    .map(str::to_owned)
            };
            if line.starts_with("Operators") {
                subject.operations = address(&line).unwrap();
            } else if line.contains("Open http") {
                subject.page = address(&line).unwrap();
            }
        }
        subject
    }

    /// Writes the settings file anew, as editors do: another file takes its place.
    pub(super) fn settle(&self, settings: &str) {
        let draft = self.path("draft");
        fs::write(&draft, settings).unwrap();
        fs::rename(draft, self.path("hearsight.toml")).unwrap();
    }

    /// A file in its folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits for a line of the log that holds `text`.
    pub(super) fn logged(&mut self, text: &str) -> String {
        loop {
            let line = self
                .log
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("no {text:?} among {:#?}", self.seen));
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Sends a signal, such as `TERM`.
    pub(super) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Its processes besides itself.
    pub(super) fn children(&self) -> Vec<u32> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let children = tasks.flat_map(|task| {
            fs::read_to_string(task.unwrap().path().join("children"))
                .unwrap_or_default()
                .split_whitespace()
                .map(|pid| pid.parse().unwrap())
                .collect::<Vec<u32>>()
        });
        children.collect()
    }

    /// Waits until it has ended; the rest of its log is then in `seen`.
    pub(super) fn ended(&mut self) -> ExitStatus {
        // The log ends with the process, and that is waited for with patience.
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return self.child.wait().unwrap(),
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("it does not end: {:#?}", self.seen),
            }
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a process is gone, given patience.
pub(super) fn is_gone(pid: u32) -> bool {
    let patience = PATIENCE.as_secs().to_string();
    let waited = Command::new("timeout")
        .args([&patience, "tail", &format!("--pid={pid}"), "-f", "/dev/null"])
        .status();
    waited.unwrap().success() && !Path::new(&format!("/proc/{pid}")).exists()
}

fn lines(name: &str, from: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, lines) = sync_channel(100_000);
    std::thread::Builder::new()
        .name(name.into())
        .spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                if tell.try_send(line).is_err() {
                    return;
                }
            }
        })
        .unwrap();
    lines
}
