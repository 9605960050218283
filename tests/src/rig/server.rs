//! The built `hearsight` program, started on free ports of the loopback interface.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context, bail};

use super::{process, root};

/// Loading models on a busy machine takes seconds; a minute means that something is wrong.
const START: Duration = Duration::from_secs(60);

/// A running server. Stopped when dropped.
pub struct Server {
    child: Child,
    /// The address of its page.
    pub page: String,
    /// Host and port of its listener for operators, where it has one.
    pub operations: Option<String>,
    lines: Receiver<String>,
    panics: Arc<AtomicUsize>,
}

impl Server {
    /// Starts `hearsight serve` with further arguments, and waits until it serves.
    pub fn start(arguments: &[&str]) -> anyhow::Result<Server> {
        Server::run("serve", arguments)
    }

    /// As [`Server::start`], for many callers who share this machine's address: what one address may take is not limited,
    /// and nobody is sent away because of what the machine has to do.
    pub fn for_a_crowd(arguments: &[&str]) -> anyhow::Result<Server> {
        let mut all = vec![
            "--limits-sessions-per-address",
            "0",
            "--limits-offers-per-minute",
            "0",
            "--limits-connections-per-address",
            "0",
            "--engine-admission",
            "always",
        ];
        all.extend(arguments);
        Server::start(&all)
    }

    /// Starts a command of the program that ends up serving.
    pub fn run(command: &str, arguments: &[&str]) -> anyhow::Result<Server> {
        let program = program()?;
        let mut child = Command::new(&program)
            .args([command, "--listen-http", "127.0.0.1:0", "--listen-udp", "127.0.0.1:0"])
            .args(arguments)
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't start {}", program.display()))?;
        let stdout = child.stdout.take().context("no standard output")?;
        let (tell, lines) = sync_channel(10_000);
        std::thread::Builder::new()
            .name("server-output".into())
            .spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if tell.try_send(line).is_err() {
                        return;
                    }
                }
            })?;
        let stderr = child.stderr.take().context("no standard error")?;
        let panics = Arc::new(AtomicUsize::new(0));
        let counted = panics.clone();
        std::thread::Builder::new()
            .name("server-complaints".into())
            .spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    counted.fetch_add(usize::from(line.contains("panicked at")), Relaxed);
                    eprintln!("{line}");
                }
            })?;
        let mut server = Server {
            child,
            page: String::new(),
            operations: None,
            lines,
            panics,
        };
        let line = server.wait_for(" Open http", START)?;
        let page = line
            .split_whitespace()
            .find(|word| word.starts_with("http"))
            .context("no address in that line")?;
        server.page = page.to_owned();
        Ok(server)
    }

    /// Waits for a line of standard output that contains `text`; answers with it.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> anyhow::Result<String> {
        loop {
            match self.lines.recv_timeout(limit) {
                Ok(line) if line.contains(text) => return Ok(line),
                Ok(line) if line.starts_with("Operators") => {
                    self.operations = line.split('/').nth(2).map(str::to_owned);
                }
                Ok(line) => println!("server: {line}"),
                Err(RecvTimeoutError::Timeout) => bail!("the server did not say {text:?} within {limit:?}"),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the server ended before it said {text:?}: {:?}", self.child.wait()?)
                }
            }
        }
    }

    /// The address of its HTTP listener.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        let host = self.page.split('/').nth(2).context("no host in the page's address")?;
        Ok(host.parse()?)
    }

    /// Panics that it has written to its standard error so far, those that it caught too.
    pub fn panics(&self) -> usize {
        self.panics.load(Relaxed)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It takes its workers along; they end with their standard input anyway.
        process::end(&mut self.child);
    }
}

/// The program that was built together with this one.
pub fn program() -> anyhow::Result<PathBuf> {
    built("hearsight")
}

/// A program or a bench of this workspace that was built together with this one.
pub fn built(name: &str) -> anyhow::Result<PathBuf> {
    let me = std::env::current_exe()?;
    let mut folders = me.ancestors().skip(1).take(2);
    let found = folders.find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file()));
    found.with_context(|| format!("{name} is not built; `make test` builds it first"))
}
