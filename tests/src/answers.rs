//! Questions about the picture through the whole house: typed into the page of a real browser, and posted over HTTP, to engines of
//! every kind.

use std::path::Path;

use serde_json::{Value, json};

use crate::rig::chat::Chat;
use crate::rig::server::Server;
use crate::rig::sound::Sound;
use crate::rig::{artefacts, browser, coded, root};
use crate::scenes::{Family, Fonts, SIZE, Scene, Split};

const SHOW: &str = "What does the camera <b>show</b>?";

/// Asks about the moving scene in the page, with `http` once more over HTTP, and answers with what a person would have seen.
fn visit(server: &Server, http: Value, screenshot: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let camera = folder.path().join("camera.y4m");
    hearsight::demo::fake::write_y4m(&camera, 2.0, (640, 360), 15).unwrap();
    asked(server, &camera, SHOW, http, screenshot)
}

/// The same of what a camera's file shows.
fn asked(server: &Server, camera: &Path, question: &str, http: Value, screenshot: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let microphone = folder.path().join("quiet.wav");
    Sound::silence(16_000, 1_000).write(&microphone).unwrap();
    let seen = browser::visit(&json!({
        "url": format!("{}?autostart=1", server.page), "microphone": microphone, "camera": camera, "finals": 0,
        "ask": question, "ask_http": http, "timeout_ms": 60_000,
        "screenshot": artefacts().unwrap().join(screenshot),
    }))
    .unwrap();
    println!("seen: {seen}");
    assert_eq!(
        (&seen["gave_up"], &seen["complaints"], &seen["error"]),
        (&Value::Null, &json!([]), &Value::Null)
    );
    seen
}

#[test]
fn a_typed_question_and_a_posted_one_are_answered_by_a_server_that_is_shown_the_picture() {
    let chat = Chat::start(&["It", " shows", " a", " <i>scene</i>", "."]).unwrap();
    let base = chat.base();
    let arguments = [
        "--ask-engine",
        "remote",
        "--ask-url",
        &base,
        "--ask-remote-model",
        "m",
        "--ask-deadline-ms",
        "20000",
    ];
    let server = Server::start(&arguments).unwrap();
    let seen = visit(&server, json!("And now?"), "answer.png");
    let [http, typed] = &seen["answers"].as_array().unwrap()[..] else {
        panic!("two questions on the page");
    };
    assert_eq!(
        (&typed["state"], &typed["answer"]),
        (&json!("said"), &json!("It shows a <i>scene</i>."))
    );
    assert_eq!(typed["question"], "What does the camera <b>show</b>?");
    let facts = typed["facts"].as_str().unwrap();
    assert!(
        facts.starts_with("78 % sure · looked at a picture ") && facts.contains(" s old"),
        "{facts}"
    );
    assert!(facts.contains("took "), "{facts}");
    assert_eq!(
        (&http["question"], &http["state"]),
        (&json!("And now?"), &json!("said"))
    );
    assert!(
        seen["answerer"].as_str().unwrap().starts_with("remote: m."),
        "{}",
        seen["answerer"]
    );
    assert!(
        seen["answer_latency"].as_str().unwrap().ends_with("ms"),
        "{}",
        seen["answer_latency"]
    );

    check_stream(seen["posted"].as_str().unwrap());
    let requests = chat.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    let asked = &requests[0]["messages"][1]["content"];
    assert_eq!(asked[1]["text"], "What does the camera <b>show</b>?");
    let picture = asked[0]["image_url"]["url"].as_str().unwrap();
    assert!(
        picture.starts_with("data:image/jpeg;base64,/9j/") && picture.len() > 4_000,
        "{} bytes",
        picture.len()
    );
    assert!(requests[0]["max_tokens"].as_u64().unwrap() <= 96);
}

/// The posted question's own stream: taken, said in pieces, whole.
fn check_stream(stream: &str) {
    let events: Vec<_> = stream.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(
        (events[0], events[events.len() - 1]),
        ("question", "answer"),
        "{stream}"
    );
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    let data: Vec<Value> = data.map(|data| serde_json::from_str(data).unwrap()).collect();
    let pieces = data.iter().filter(|event| event["type"] == "answer.text");
    let said: String = pieces.filter_map(|event| event["text"].as_str()).collect();
    let whole = &data[data.len() - 1];
    assert_eq!(
        (said.as_str(), &whole["text"]),
        ("It shows a <i>scene</i>.", &json!(said))
    );
    assert_eq!(
        (&whole["question"], &data[0]["by"]),
        (&json!("And now?"), &json!("http"))
    );
    // None, where no newer one came since the first question: the conversation goes on about the picture that was shown.
    let pictures = whole["pictures"].as_array().unwrap();
    assert!(pictures.iter().all(|picture| picture["age_us"].as_i64().unwrap() >= 0));
}

#[test]
fn a_model_of_this_machine_answers_and_shows_where_it_looked() {
    // Tiny, with random weights: what it says is nonsense, how it is said is not.
    let model = root().join("models/tests/fixtures/vlm/large").display().to_string();
    let arguments = [
        "--ask-engine",
        "local",
        "--ask-model",
        &model,
        "--ask-deadline-ms",
        "20000",
        "--ask-tokens",
        "8",
    ];
    let server = Server::start(&arguments).unwrap();
    let seen = visit(&server, Value::Null, "looked.png");
    let answer = &seen["answers"][0];
    assert_eq!(answer["state"], "said", "{answer}");
    let facts = answer["facts"].as_str().unwrap();
    assert!(
        facts.contains(" % sure · looked at a picture ") && facts.contains("see where it looked"),
        "{facts}"
    );
    assert!(
        answer["places"].as_u64().unwrap() > 0,
        "drawn over the picture while it is looked at: {answer}"
    );
}

#[test]
fn the_model_that_comes_along_says_what_a_sign_says_and_shows_where() {
    // The first scene whose sign is large enough to be read through a camera at any rate.
    let fonts = Fonts::load().unwrap();
    let scenes = (70_000..).map(|seed| Scene::new(Family::Word, Split::Unseen, seed, &fonts));
    let scene = scenes
        .into_iter()
        .find(|scene| scene.question.letters.is_some_and(|letters| letters > 40.0))
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let camera = folder.path().join("sign.y4m");
    let mut film = format!("YUV4MPEG2 W{} H{} F15:1 Ip A1:1 C420jpeg\n", SIZE.0, SIZE.1).into_bytes();
    for at in 0..15 {
        film.extend(b"FRAME\n");
        film.extend(coded::raw(&scene.render(1.0 + at as f32 / 15.0)));
    }
    std::fs::write(&camera, film).unwrap();
    let server = Server::start(&["--ask-deadline-ms", "20000"]).unwrap();
    let seen = asked(&server, &camera, "What does the sign say?", Value::Null, "glance.png");
    assert!(
        seen["answerer"].as_str().unwrap().starts_with("glance."),
        "{}",
        seen["answerer"]
    );
    let answer = &seen["answers"][0];
    assert_eq!(answer["state"], "said", "{answer}");
    assert!(
        scene.question.is_answered_by(answer["answer"].as_str().unwrap()),
        "{answer}, not {}",
        scene.question.answer
    );
    // The view is mirrored, and shows 16 : 9 of a picture of 4 : 3.
    let [left, top, right, bottom] = scene.region(1.5).map(f64::from);
    let [top, bottom] = [top, bottom].map(|share| (share * 480.0 - 60.0) / 360.0);
    let place = &answer["place"];
    let (x, y) = (place["x"].as_f64().unwrap(), place["y"].as_f64().unwrap());
    assert!(
        (1.0 - right..1.0 - left).contains(&x) && (top..bottom).contains(&y),
        "{place}"
    );
}

#[test]
fn a_page_says_plainly_that_nobody_answers() {
    let server = Server::start(&["--ask-engine", "none"]).unwrap();
    let seen = browser::visit(&json!({
        "url": format!("{}?autostart=1", server.page), "finals": 0, "kbps": 1, "timeout_ms": 60_000,
        "screenshot": artefacts().unwrap().join("nobody.png"),
    }))
    .unwrap();
    assert_eq!(seen["gave_up"], Value::Null, "{seen}");
    let told = seen["answerer"].as_str().unwrap();
    assert!(
        told.starts_with("Nobody answers questions") && told.contains("ask.engine"),
        "{told}"
    );
    assert_eq!(seen["may_ask"], false);
}
