//! Clients by other authors against the real server: three WebRTC stacks that share no code with ours or with each other, and
//! a WHIP and WHEP client that is not ours. What is said into each of them comes back as words; what is published they see.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::rig::root;
use crate::rig::server::{Server, program};
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
    let endpoint = format!("{}whip/{client}", server.page);
    let microphone = microphone.to_str().context("a path that is text")?;
    run(interpreter, client, &[&endpoint, microphone, PATIENCE])
}

/// Runs a client of `tests/clients` with `interpreter` against a server of its own, to which the pattern is published;
/// answers with the JSON that it prints when it has seen so many pictures.
fn watch(interpreter: &str, client: &str, pictures: u32) -> anyhow::Result<Value> {
    let server = Server::start(&[])?;
    let publisher = Command::new(program()?)
        .args(["publish", "test", "--size", "640x360", "--json", "--for", LIMIT, "--to"])
        .arg(format!("{}whip/{client}", server.page))
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("hearsight publish can't be run")?;
    let publisher = Publisher(publisher);
    let endpoint = format!("{}whep/{client}?view=received", server.page);
    let seen = run(interpreter, client, &[&endpoint, &pictures.to_string(), PATIENCE]);
    drop(publisher);
    seen
}

/// Ended with the test, however that ends.
struct Publisher(Child);

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(interpreter: &str, client: &str, arguments: &[&str]) -> anyhow::Result<Value> {
    let deps = std::env::var_os("HEARSIGHT_DEPS").map_or_else(|| root().join(".deps"), Into::into);
    // What the client bounds by itself ends before.
    let output = Command::new("timeout")
        .args(["--kill-after=5", LIMIT, interpreter])
        .env("PYTHONPATH", deps.join("aiortc"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(root().join("tests/clients").join(client))
        .args(arguments)
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

#[test]
fn aiortc_watches_what_is_published() {
    let seen = watch("python3", "watch_aiortc.py", 60).unwrap();
    assert_eq!((&seen["pictures"], &seen["sizes"]), (&json!(60), &json!([[640, 360]])));
    assert_eq!((&seen["grows"], &seen["goodbye"]), (&json!(true), &json!(200)));
}

#[test]
fn whip_whep_in_a_browser_watches_what_is_published() {
    let seen = watch("node", "watch_chromium.mjs", 60).unwrap();
    assert!(seen["pictures"].as_u64().unwrap() >= 60, "{seen}");
    assert_eq!((&seen["size"], &seen["gone"]), (&json!([640, 360]), &json!(404)));
}
