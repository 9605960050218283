//! `hearsight listen` on a real sound server: what is played into the microphone stands in the captions, also after the
//! microphone was pulled out and put back.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use crate::rig::pulse::{Pulse, lines};
use crate::rig::root;
use crate::rig::server::program;
use crate::rig::sound::Sound;

const SAID: &str = "good morning and welcome to this house";
/// Nothing here takes more than a few seconds, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `hearsight listen --json`. Stopped when dropped.
struct Listening {
    child: Child,
    events: Receiver<String>,
    news: Receiver<String>,
}

impl Listening {
    fn start(pulse: &Pulse) -> anyhow::Result<Listening> {
        let mut child = pulse
            .around(Command::new(program()?).args(["listen", "--json"]))
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let events = lines("events", child.stdout.take().context("no standard output")?)?;
        let news = lines("news", child.stderr.take().context("no standard error")?)?;
        Ok(Listening { child, events, news })
    }

    /// Waits for news of the microphone.
    fn until_told(&self, text: &str) -> anyhow::Result<()> {
        loop {
            let line = self
                .news
                .recv_timeout(PATIENCE)
                .with_context(|| format!("nobody said {text:?}"))?;
            println!("news: {line}");
            if line.contains(text) {
                return Ok(());
            }
        }
    }

    /// Waits for an event of which `wanted` makes something.
    fn until<T>(&self, what: &str, wanted: impl Fn(&Value) -> Option<T>) -> anyhow::Result<T> {
        loop {
            let line = self
                .events
                .recv_timeout(PATIENCE)
                .with_context(|| format!("no {what} came"))?;
            println!("event: {line}");
            let event = serde_json::from_str(&line).context("an event is not JSON")?;
            if let Some(found) = wanted(&event) {
                return Ok(found);
            }
        }
    }

    /// Waits until enough of what is said stands in final words, in however many captions.
    fn understood(&self) -> anyhow::Result<()> {
        let mut heard = BTreeSet::new();
        loop {
            let words = self.until("final words", |event| {
                let words = event["words"].as_array()?;
                let texts = words.iter().filter_map(|word| word["text"].as_str().map(str::to_owned));
                (event["type"] == "words.final").then(|| texts.collect::<Vec<_>>())
            })?;
            heard.extend(
                words
                    .into_iter()
                    .filter(|word| SAID.split(' ').any(|said| said == word)),
            );
            // The recogniser is weak and the machine may be busy: half of the words are beyond chance.
            if heard.len() * 2 >= SAID.split(' ').count() {
                return Ok(());
            }
        }
    }

    /// Ctrl-C; answers whether it ended well.
    fn interrupt(&mut self) -> anyhow::Result<bool> {
        Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status()?;
        // The pipe ends with the program.
        while self.events.recv_timeout(PATIENCE).is_ok() {}
        Ok(self.child.wait()?.success())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn captions_go_on_when_the_microphone_is_pulled_out_and_put_back() {
    let Some(pulse) = Pulse::start_or_skip("the microphone of this machine").unwrap() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let speech = folder.path().join("speech.wav");
    let sound = Sound::speech(SAID).unwrap();
    let quiet = Sound::silence(sound.rate, 700);
    let once = quiet.clone().then(&sound);
    // On a busy machine a sentence may be lost: it is said as often as somebody may wait for it.
    let often = (0..12).fold(quiet, |said, _| said.then(&once));
    often.write(&speech).unwrap();

    let plugged = pulse.plug().unwrap();
    let mut listening = Listening::start(&pulse).unwrap();
    listening
        .until_told("listening to Default Audio Device (48000 Hz)")
        .unwrap();
    let speaking = pulse.play(&speech).unwrap();
    listening.understood().unwrap();
    drop(speaking);

    pulse.unplug(&plugged).unwrap();
    listening.until_told("the microphone is gone").unwrap();
    let lost = listening.until("gap", |event| {
        (event["type"] == "lost" && event["stage"] == "microphone").then(|| event["why"].clone())
    });
    assert_eq!(lost.unwrap(), "undecodable");

    pulse.plug().unwrap();
    listening.until_told("listening to").unwrap();
    let _speaking = pulse.play(&speech).unwrap();
    listening.understood().unwrap();
    assert!(listening.interrupt().unwrap(), "it does not end well on Ctrl-C");
}

#[test]
fn microphones_are_listed_and_one_that_is_missing_is_explained() {
    let Some(pulse) = Pulse::start_or_skip("the list of microphones").unwrap() else {
        return;
    };
    pulse.plug().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(program().unwrap());
        pulse.around(command.arg("listen").args(arguments).current_dir(root()));
        command.stdin(Stdio::null()).output().unwrap()
    };
    let listed = run(&["--devices"]);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.status.success(), "{listed:?}");
    assert!(
        text.contains("default  Desk microphone  48000 Hz, 1 channels, f32"),
        "{text}"
    );

    let refused = run(&["--device", "webcam"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    assert_eq!(
        text.trim(),
        "hearsight: no microphone: none is called so; `hearsight listen --devices` lists them"
    );
}
