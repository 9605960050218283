//! A sound server of its own: PulseAudio with a null sink, whose monitor is a microphone that hears what is played into it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

/// Starting and playing a sentence take seconds; a minute means that something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);
/// The sink, and by its monitor the microphone.
const SINK: &str = "desk";

/// A running sound server with nothing plugged in. Stopped when dropped.
pub struct Pulse {
    child: Child,
    folder: tempfile::TempDir,
}

impl Pulse {
    /// Starts one. Where PulseAudio is not installed, says what is skipped and why, past the test harness's capture; with
    /// `REQUIRE_PULSE=1` that is a failure.
    pub fn start_or_skip(what: &str) -> anyhow::Result<Option<Pulse>> {
        let missing = ["pulseaudio", "pactl", "pacat"]
            .into_iter()
            .find(|tool| Command::new(tool).arg("--version").output().is_err());
        let Some(missing) = missing else {
            return Pulse::start().map(Some);
        };
        if std::env::var("REQUIRE_PULSE").is_ok_and(|value| value == "1") {
            bail!("REQUIRE_PULSE=1, but {what} can't be tested: {missing} is not installed");
        }
        let mut terminal = std::io::stderr().lock();
        writeln!(
            terminal,
            "SKIPPED: {what} is not tested: {missing} is not installed; `make test` installs it on Debian"
        )?;
        Ok(None)
    }

    fn start() -> anyhow::Result<Pulse> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("asound.conf"), asound(folder.path()))?;
        let socket = socket(folder.path());
        let mut child = around(&mut Command::new("pulseaudio"), folder.path())
            .args(["--daemonize=no", "-n", "--exit-idle-time=-1", "--use-pid-file=no"])
            .args(["--disable-shm=yes", "--log-level=info", "-L"])
            .arg(format!(
                "module-native-protocol-unix socket={} auth-anonymous=1",
                socket.display()
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("can't start pulseaudio")?;
        let stderr = child.stderr.take().context("no standard error")?;
        let pulse = Pulse { child, folder };
        let lines = lines("pulseaudio-log", stderr)?;
        loop {
            let line = lines.recv_timeout(PATIENCE).context("pulseaudio did not start")?;
            if line.contains("Daemon startup complete") {
                return Ok(pulse);
            }
        }
    }

    /// Makes `command` use this sound server, also through ALSA.
    pub fn around<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        around(command, self.folder.path())
    }

    /// Plugs the microphone in; answers with what unplugs it.
    pub fn plug(&self) -> anyhow::Result<String> {
        // At the rate that is asked of it: PulseAudio's null sink stands still for seconds when it has to change its rate.
        let module = ["load-module", "module-null-sink", "rate=48000", "channels=1"];
        self.pactl(&[&module[..], &[&format!("sink_name={SINK}")]].concat())
    }

    /// Unplugs what [`Pulse::plug`] plugged in.
    pub fn unplug(&self, plugged: &str) -> anyhow::Result<()> {
        self.pactl(&["unload-module", plugged]).map(drop)
    }

    /// Plays a WAV file into the microphone, in real time, until it is over or the handle is dropped.
    pub fn play(&self, path: &Path) -> anyhow::Result<Playing> {
        let player = self
            .around(&mut Command::new("pacat"))
            .args(["--playback", "--file-format=wav", &format!("--device={SINK}")])
            .arg(path)
            .env("PULSE_LATENCY_MSEC", "20")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Playing(player))
    }

    fn pactl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self
            .around(&mut Command::new("pactl"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        ensure!(output.status.success(), "pactl {arguments:?} failed: {output:?}");
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is playing. Stopped when dropped.
pub struct Playing(Child);

impl Drop for Playing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("native")
}

/// The default device of ALSA is the monitor of the sink, and nothing else.
fn asound(folder: &Path) -> String {
    let hint = "hint { show on description \"Desk microphone\" }";
    let server = socket(folder);
    format!(
        "pcm.!default {{ type pulse server \"unix:{}\" device \"{SINK}.monitor\" {hint} }}\n",
        server.display()
    )
}

fn around<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    command
        .env("HOME", folder)
        .env("XDG_RUNTIME_DIR", folder)
        .env("PULSE_RUNTIME_PATH", folder)
        .env("PULSE_SERVER", format!("unix:{}", socket(folder).display()))
        .env("ALSA_CONFIG_PATH", folder.join("asound.conf"))
        .env("ALSA_CONFIG_DIR", folder)
}

/// The lines of a pipe, read by a thread that ends with it. What nobody takes is dropped after the first ten thousand.
pub fn lines(name: &str, pipe: impl std::io::Read + Send + 'static) -> anyhow::Result<Receiver<String>> {
    let (tell, lines) = sync_channel(10_000);
    std::thread::Builder::new().name(name.into()).spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // The pipe is read to its end all the same: its writer must not wait.
            let _ = tell.try_send(line);
        }
    })?;
    Ok(lines)
}
