//! `hearsight publish` against `hearsight serve`, as two programs: what a file says comes back as captions.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::rig::root;
use crate::rig::server::{Server, program};
use crate::rig::sound::Sound;

const SAID: &str = "good morning and welcome to this house. we can hear what people say.";

/// Runs `hearsight publish` to its end; every line of its output, and whether it went well.
fn publish(arguments: &[&str]) -> (Vec<Value>, bool) {
    let output = Command::new(program().unwrap())
        .args(["publish", "--json"])
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    println!("{text}");
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (lines.collect(), output.status.success())
}

fn of<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

#[test]
fn what_a_file_says_comes_back_as_captions() {
    let folder = tempfile::tempdir().unwrap();
    let speech = Sound::speech(SAID).unwrap();
    let quiet = Sound::silence(speech.rate, 1_500);
    let file = folder.path().join("said.wav");
    quiet.clone().then(&speech).then(&quiet).write(&file).unwrap();
    let server = Server::start(&[]).unwrap();
    let to = format!("{}whip/said", server.page);
    let (lines, well) = publish(&[file.to_str().unwrap(), "--to", &to, "--captions", "--for", "60"]);
    assert!(well, "it went wrong");
    let captions = of(&lines, "caption");
    let heard: String = captions
        .iter()
        .filter_map(|line| line["text"].as_str())
        .collect::<Vec<_>>()
        .join(" ");
    let said = SAID.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    let found = said.filter(|word| heard.split(' ').any(|one| one == *word)).count();
    assert!(found >= 4, "{found} words in {heard:?}");
    let summary = of(&lines, "summary")[0];
    assert_eq!(
        (summary["failed"].as_u64(), summary["copies"].as_u64()),
        (Some(0), Some(1))
    );
}

#[test]
fn many_copies_of_the_pattern_are_sent_and_the_server_stays_well() {
    let server = Server::start(&["--recognise-workers", "1"]).unwrap();
    let to = format!("{}whip/load", server.page);
    // One recogniser: the others are told that the server is full, and give up after a few tries.
    let (lines, well) = publish(&[
        "test",
        "--to",
        &to,
        "--copies",
        "3",
        "--size",
        "320x180",
        "--for",
        "4",
        "--retries",
        "1",
    ]);
    let summary = of(&lines, "summary")[0];
    let each = summary["each"].as_array().unwrap();
    let served = each.iter().filter(|copy| copy["connections"] == 1).count();
    assert_eq!(served, 1, "{summary}");
    assert_eq!(well, summary["failed"] == 0);
    // It is free again at once: every connection said goodbye.
    let to = format!("{}whip/after", server.page);
    let (lines, well) = publish(&["test", "--to", &to, "--size", "320x180", "--for", "2", "--retries", "3"]);
    assert!(well, "{lines:?}");
}
