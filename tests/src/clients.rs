//! Clients by other authors against the real server: three WebRTC stacks that share no code with ours or with each other, and
//! a WHIP client that is not ours. What is said into each of them comes back as words.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::rig::root;
use crate::rig::server::Server;
use crate::rig::sound::Sound;

const SAID: &str = "good morning and welcome to this house. we can hear what people say.";
/// How long a client may wait for words, in seconds: on a busy machine a sentence may be lost, and is said again.
const PATIENCE: &str = "60";
/// How long a client may run at all, in seconds: two such waits, and half a minute for a browser to start.
const LIMIT: &str = "150";

/// The sentence, `times` over, with silence around it.
fn recording(path: &Path, times: usize) -> anyhow::Result<()> {
    let speech = Sound::speech(SAID)?;
    let quiet = Sound::silence(speech.rate, 1_000);
    let said = (0..times).fold(quiet.clone(), |said, _| said.then(&speech).then(&quiet));
    said.write(path)
}

/// Runs a client of `tests/clients` with `interpreter` against a server of its own, with the sentence as its microphone;
/// answers with the JSON that it prints.
fn publish(interpreter: &str, client: &str, times: usize) -> anyhow::Result<Value> {
    let folder = tempfile::tempdir()?;
    let microphone = folder.path().join("microphone.wav");
    recording(&microphone, times)?;
    let server = Server::start(&[])?;
    let deps = std::env::var_os("HEARSIGHT_DEPS").map_or_else(|| root().join(".deps"), Into::into);
    // What the client bounds by itself ends before.
    let output = Command::new("timeout")
        .args(["--kill-after=5", LIMIT, interpreter])
        .env("PYTHONPATH", deps.join("aiortc"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(root().join("tests/clients").join(client))
        .arg(format!("{}whip/{client}", server.page))
        .arg(&microphone)
        .arg(PATIENCE)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{client} can't be run"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{client}: {text}");
    ensure!(output.status.success(), "{client} failed: {}", output.status);
    serde_json::from_str(text.lines().last().context("the client said nothing")?).context("it did not end with JSON")
}

/// Half of the words that were said must be among those that came: far beyond chance, and within the recogniser's power.
fn understood(words: &Value) {
    let heard: Vec<&str> = words.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let said: Vec<&str> = SAID.split([' ', '.']).filter(|word| !word.is_empty()).collect();
    // Clients leave after some six to eight words; those must be right.
    let right = heard.iter().filter(|word| said.contains(word)).count();
    assert!(heard.len() >= 6 && right * 2 >= heard.len(), "{heard:?}");
}

#[test]
fn aiortc_is_heard_and_seen() {
    let seen = publish("python3", "publish_aiortc.py", 10).unwrap();
    understood(&seen["words"]);
    assert_eq!(seen["pictures"], json!([[640, 360]]));
    assert_eq!(seen["goodbye"], 200);
}

#[test]
fn werift_is_heard_and_seen() {
    let seen = publish("node", "publish_werift.mjs", 10).unwrap();
    understood(&seen["words"]);
    assert_eq!(seen["pictures"], json!(["640x360"]));
    assert_eq!(seen["goodbye"], 200);
}

#[test]
fn captions_go_on_when_whip_whep_in_a_browser_restarts_ice() {
    // The fake microphone loops its file.
    let seen = publish("node", "publish_chromium.mjs", 1).unwrap();
    for half in ["before", "after"] {
        understood(&seen[half]["words"]);
        assert_eq!(seen[half]["pictures"][0], json!([640, 360]), "{half}");
    }
    assert_ne!(seen["before"]["name"], seen["after"]["name"], "ICE was not restarted");
    assert_eq!(seen["after"]["state"], "connected");
    assert_eq!(seen["after"]["gone"], 404, "the session outlives its goodbye");
}
