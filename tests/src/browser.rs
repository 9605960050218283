//! The real browser against the real server: what a person says into the fake microphone stands on the page.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::rig::server::Server;
use crate::rig::sound::Sound;
use crate::rig::{artefacts, browser, root};

const SAID: &str = "good morning and welcome to this house. we can hear what people say.";

/// The fake devices' files, made anew in `folder`: speech with silence around it (the fake microphone loops its file), and
/// five seconds of the project's own moving scene.
fn devices(folder: &std::path::Path) -> anyhow::Result<(String, String)> {
    let speech = Sound::speech(SAID)?;
    let quiet = Sound::silence(speech.rate, 1_500);
    let microphone = folder.join("microphone.wav");
    quiet.clone().then(&speech).then(&quiet).write(&microphone)?;
    let camera = folder.join("camera.y4m");
    hearsight::demo::fake::write_y4m(&camera, 2.0, (1280, 720), 30)?;
    Ok((microphone.display().to_string(), camera.display().to_string()))
}

fn words(text: &str) -> Vec<String> {
    let letters: String = text
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || c.is_whitespace())
        .collect();
    letters.split_whitespace().map(str::to_owned).collect()
}

/// Checks what every visit must satisfy, and prints what it saw.
fn sound_visit(seen: &Value) {
    println!("seen: {seen}");
    assert_eq!(seen["complaints"], json!([]), "the page complained");
    assert_eq!(seen["gave_up"], Value::Null);
    assert_eq!(seen["error"], Value::Null);
}

#[test]
fn what_is_spoken_stands_on_the_page_with_its_latency_and_the_picture_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (microphone, camera) = devices(folder.path()).unwrap();
    let server = Server::start(&[]).unwrap();
    let screenshot = artefacts().unwrap().join("page.png");
    let seen = browser::visit(&json!({
        "url": format!("{}?autostart=1", server.page),
        "microphone": microphone, "camera": camera,
        "words": 2 * words(SAID).len(), "timeout_ms": 90_000, "screenshot": screenshot,
    }))
    .unwrap();
    sound_visit(&seen);

    // Two rounds of the loop: each word that was said may be heard in any of them.
    let finals: String = seen["finals"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect::<Vec<_>>()
        .join(" ");
    let heard = words(&finals);
    let said = words(SAID);
    let found = said.iter().filter(|word| heard.contains(word)).count();
    assert!(found * 2 >= said.len(), "{found} of {} words in {finals:?}", said.len());
    assert!(
        seen["partials"].as_u64().unwrap() > 0,
        "no provisional caption was seen"
    );
    assert!(
        seen["speaking"].as_u64().unwrap() > 0,
        "the speaking indicator never lit"
    );
    assert!(seen["recogniser"].as_str().unwrap().contains("PocketSphinx"));

    let segments = seen["segments"].as_array().unwrap();
    let names: Vec<_> = segments.iter().filter_map(|segment| segment["name"].as_str()).collect();
    assert_eq!(
        names,
        ["network", "jitter", "decode", "vad", "recognise", "deliver", "show"]
    );
    let sum: i64 = segments.iter().filter_map(|segment| segment["us"].as_i64()).sum();
    assert_eq!(
        Some(sum),
        seen["felt"].as_str().and_then(|felt| felt.parse().ok()),
        "the segments are not what was felt"
    );

    assert_eq!(seen["widest"], 1280, "the resolution that was asked for");
}

#[test]
fn a_sign_before_the_camera_is_read_on_the_page_with_a_box_around_it() {
    let folder = tempfile::tempdir().unwrap();
    let (microphone, _) = devices(folder.path()).unwrap();
    let camera = folder.path().join("sign.y4m");
    // 640×480 drawn larger in the middle of a wider picture.
    let drawn = Command::new("ffmpeg")
        .args(["-v", "error", "-loop", "1", "-t", "1", "-r", "15", "-i"])
        .arg(root().join("models/tests/fixtures/reading/coloured.png"))
        .args(["-vf", "scale=960:720,pad=1280:720:160:0", "-pix_fmt", "yuv420p"])
        .arg(&camera)
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(drawn.success());
    let server = Server::start(&[]).unwrap();
    let seen = browser::visit(&json!({
        "url": format!("{}?autostart=1", server.page), "microphone": microphone, "camera": camera,
        "finals": 0, "readings": 2, "timeout_ms": 120_000, "screenshot": artefacts().unwrap().join("sign.png"),
    }))
    .unwrap();
    sound_visit(&seen);
    let reading = &seen["reading"];
    let said = ["PLATFORM 7", "Trains to Hull"];
    // Its text stands where the picture has it, in a view that is mirrored.
    let places = [(313.5, 175.0, 419.0), (257.0, 289.0, 316.0)];
    for (text, (x, y, width)) in said.iter().zip(places) {
        let same = |other: &Value| {
            other
                .as_str()
                .is_some_and(|other| other.replace(' ', "") == text.replace(' ', ""))
        };
        assert!(
            reading["lines"].as_array().unwrap().iter().any(same),
            "{text}: {reading}"
        );
        assert!(
            reading["spoken"].as_array().unwrap().iter().any(same),
            "{text}: {reading}"
        );
        let boxes = reading["boxes"].as_array().unwrap();
        let around = boxes.iter().find(|around| same(&around["text"])).expect("a box");
        let there = |name: &str, expected: f64| (around[name].as_f64().unwrap() - expected).abs() < 0.03;
        let across = 1.0 - (160.0 + 1.5 * x) / 1280.0;
        assert!(there("x", across) && there("y", 1.5 * y / 720.0), "{text}: {around}");
        assert!(there("width", 1.5 * width / 1280.0), "{text}: {around}");
    }
    assert!(
        reading["note"].as_str().unwrap().starts_with("Readability"),
        "{reading}"
    );
}

#[test]
fn a_session_is_taken_to_another_way_and_its_captions_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (microphone, camera) = devices(folder.path()).unwrap();
    let server = Server::start(&[]).unwrap();
    let seen = browser::visit(&json!({
        "url": format!("{}?autostart=1", server.page), "microphone": microphone, "camera": camera, "restart": true,
        "words": 2 * words(SAID).len(), "timeout_ms": 90_000, "screenshot": artefacts().unwrap().join("restart.png"),
    }))
    .unwrap();
    sound_visit(&seen);
    // The first caption set the restart off, and the others came after it, in the same session.
    let states = seen["states"].as_array().unwrap();
    assert!(
        states.ends_with(&[json!("live"), json!("resuming"), json!("live")]),
        "{states:?}"
    );
    assert!(!states.contains(&json!("reconnecting")), "{states:?}");
    assert!(seen["finals"].as_array().unwrap().len() > 1, "captions went on");
}

#[test]
fn ones_own_picture_is_watched_as_it_was_received() {
    let folder = tempfile::tempdir().unwrap();
    let (microphone, camera) = devices(folder.path()).unwrap();
    let server = Server::start(&[]).unwrap();
    let seen = browser::visit(&json!({
        "url": format!("{}?autostart=1", server.page), "microphone": microphone, "camera": camera,
        "views": { "received": 90 }, "timeout_ms": 90_000, "screenshot": artefacts().unwrap().join("views.png"),
    }))
    .unwrap();
    println!("seen: {seen}");
    assert_eq!((&seen["gave_up"], &seen["error"]), (&Value::Null, &Value::Null));
    assert_eq!(seen["smooth"]["on"], "true", "the switch was turned by keyboard");
    assert_eq!(seen["views"]["received"]["size"], json!([1280, 720]));
    assert!(seen["views"]["received"]["pictures"].as_u64().unwrap() >= 90);
    assert!(seen["views"]["received"]["rate"].as_str().unwrap().contains("fps"));
}

#[test]
fn a_refused_permission_is_explained() {
    let server = Server::start(&[]).unwrap();
    let seen = browser::visit(&json!({
        "url": format!("{}?autostart=1", server.page), "refuse": true, "timeout_ms": 60_000,
        "screenshot": artefacts().unwrap().join("refused.png"),
    }))
    .unwrap();
    println!("seen: {seen}");
    assert_eq!(seen["gave_up"], Value::Null);
    let told = seen["error"].as_str().unwrap().to_lowercase();
    assert!(
        told.contains("permission") || told.contains("allow"),
        "{told:?} does not say what to do"
    );
}
