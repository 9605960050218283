//! The real program as operators run it: its end, its settings, its figures, its log, and whom it tells.

mod caller;
mod documents;
mod http;
mod subject;

use std::net::Ipv4Addr;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hearsight::send::DialError;
use hearsight::wire::ToClient;
use serde_json::Value;

use caller::Caller;
use http::{Events, get};
use subject::{Subject, is_gone};

fn stopping(event: &ToClient) -> bool {
    matches!(event, ToClient::Error { code, .. } if code == "server_stopping")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_while_the_server_drains_and_a_newcomer_is_refused() {
    let mut server = Subject::start("[operate]\ndrain_s = 3600\n");
    assert_eq!(get(&server.operations, "/readyz").status, 200);
    let mut caller = Caller::dial(&server.page, "me").await.unwrap();
    caller.words().await;

    server.signal("TERM");
    server.logged("running sessions are waited for");
    let ready = get(&server.operations, "/readyz");
    assert_eq!(ready.status, 503);
    assert!(
        ready.head.contains("retry-after") && ready.body.contains("stopping"),
        "{ready:?}"
    );
    assert_eq!(get(&server.operations, "/healthz").status, 200);
    let refused = Caller::dial(&server.page, "late")
        .await
        .err()
        .expect("nobody else comes in");
    assert!(matches!(refused, DialError::Refused { status: 503, .. }), "{refused}");

    // Whole sentences later, the session still is what it was.
    caller.words().await;
    caller.words().await;
    let workers = server.children();
    assert!(!workers.is_empty(), "a recogniser is at work");
    caller.hang_up().await;
    assert_eq!(server.ended().code(), Some(0), "{:#?}", server.seen);
    assert!(workers.into_iter().all(is_gone), "no worker stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_does_not_finish_is_told_and_ended() {
    let mut server = Subject::start("[operate]\ndrain_s = 0\n");
    let mut caller = Caller::dial(&server.page, "me").await.unwrap();
    caller.words().await;
    server.signal("TERM");
    assert!(caller.wait(stopping).await.is_some(), "the client is told why");
    assert_eq!(caller.wait(|_| false).await, None, "and the session ends");
    assert_eq!(server.ended().code(), Some(0), "{:#?}", server.seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_twice_does_not_wait() {
    let mut server = Subject::start("[operate]\ndrain_s = 3600\n");
    let mut caller = Caller::dial(&server.page, "me").await.unwrap();
    caller.words().await;
    server.signal("INT");
    server.logged("running sessions are waited for");
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0), "{:#?}", server.seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_change_without_a_session_noticing_and_a_broken_file_changes_nothing() {
    let mut server = Subject::start("");
    let mut caller = Caller::dial(&server.page, "me").await.unwrap();
    caller.words().await;
    assert_eq!(get(&server.page, "/streams/me/events").status, 403);

    server.settle("[events]\nwithout_token = \"anyone\"\n[engine]\nthreads = 7\n");
    let line = server.logged("settings read again");
    assert!(line.contains("events.without_token"), "{line}");
    let line = server.logged("takes effect at the next start");
    assert!(line.contains("engine.threads"), "{line}");
    Events::open(&server.page, "/streams/me/events", None).wait("words.final");

    server.settle("[events]\nwithout_token = \"nobody\"\nreaders = -1\n");
    let line = server.logged("nothing is changed");
    assert!(line.contains("events.readers") && line.contains("line 3"), "{line}");
    Events::open(&server.page, "/streams/me/events", None).wait("words.final");

    server.settle("[log]\nlevel = \"debug\"\n");
    server.logged("settings read again");
    assert_eq!(get(&server.page, "/streams/me/events").status, 403);
    server.logged("request");
    server.signal("HUP");
    server.logged("settings read again");
    // The last is counted once its line is out: the words that follow give it the time.
    caller.words().await;
    let figures = get(&server.operations, "/metrics").body;
    for line in [
        "hearsight_reloads_total{outcome=\"taken\"} 3",
        "hearsight_reloads_total{outcome=\"refused\"} 1",
    ] {
        assert!(figures.contains(line), "{line} in {figures}");
    }
    caller.hang_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn back_ends_read_what_the_client_reads_resume_where_they_were_and_are_called() {
    let (shop, posted) = http::shop();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    let key = [7_u8; 32];
    std::fs::write(&secret, format!("whsec_{}", STANDARD.encode(key))).unwrap();
    let server = Subject::start(&format!(
        "[events]\nwithout_token = \"anyone\"\n[webhook]\nurl = \"http://{}/\"\nsecret = {secret:?}\n",
        shop
    ));
    let mut reader = Events::open(&server.page, "/streams/me/events", None);
    let mut caller = Caller::dial(&server.page, "me").await.unwrap();
    let started = reader.wait("session.started");
    let heard = caller.words().await;
    let words = |event: &http::Event| -> Vec<String> {
        let words = event.data["words"].as_array().unwrap();
        words
            .iter()
            .map(|word| word["text"].as_str().unwrap().to_owned())
            .collect()
    };
    let read = loop {
        let event = reader.wait("words.final");
        if words(&event).len() > 1 {
            break event;
        }
    };
    assert_eq!(words(&read), heard);

    // A second reader resumes after the first event, and reads the same as the first did.
    let mut again = Events::open(&server.page, "/streams/me/events", Some(&started.id));
    while let Some(event) = again.next() {
        if event.id == read.id {
            assert_eq!(event, read);
            break;
        }
    }
    caller.hang_up().await;
    let ended = reader.wait("session.ended");
    assert_eq!(ended.data["session"], started.data["session"]);
    assert!(ended.data["units"].as_u64().unwrap() > 50, "{ended:?}");

    for expected in [&started, &ended] {
        let (head, body) = posted.recv_timeout(subject::PATIENCE).unwrap();
        let posted: Value = serde_json::from_str(&body).unwrap();
        let name = Value::from(expected.name.as_str());
        assert_eq!((&posted["type"], &posted["data"]), (&name, &expected.data));
        assert!(signed_with(&key, &head, &body), "{head}");
    }
}

/// Whether a post carries the signature of its body.
fn signed_with(key: &[u8], head: &str, body: &str) -> bool {
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(name)).unwrap();
        line.split_once(": ").unwrap().1.to_owned()
    };
    let signed = format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp"));
    let signature = header("webhook-signature");
    let signature = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::verify(&key, signed.as_bytes(), &signature).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_session_holds_neither_words_nor_addresses_and_its_fields_are_those_of_the_document() {
    let mut server = Subject::start("[log]\nlevel = \"debug\"\nformat = \"json\"\n[operate]\ndrain_s = 0\n");
    let mut caller = Caller::dial(&server.page, "very-private").await.unwrap();
    let mut heard = caller.words().await;
    heard.extend(caller.words().await);
    get(&server.page, "/healthz?very=private");
    caller.hang_up().await;
    let line = server.logged("session ended");
    server.signal("TERM");
    assert!(server.ended().success());

    let log = server.seen.join("\n").to_lowercase();
    for pair in heard.windows(2) {
        assert!(!log.contains(&pair.join(" ").to_lowercase()), "{pair:?} was logged");
    }
    assert!(
        !log.contains("private"),
        "names of streams and queries are not logged: {log}"
    );
    let numbers = log.split(|c: char| !c.is_ascii_digit() && c != '.');
    let addresses: Vec<&str> = numbers.filter(|word| word.parse::<Ipv4Addr>().is_ok()).collect();
    assert_eq!(addresses, [""; 0], "in {log}");
    let long = log
        .split(|c: char| !c.is_ascii_hexdigit())
        .find(|word| word.len() >= 32);
    assert_eq!(long, None, "whoever knows a session's address may end it");

    let ended: Value = serde_json::from_str(&line).unwrap();
    let fields = &ended["fields"];
    assert_eq!(fields["session"].as_str().unwrap().len(), 8);
    assert!(
        fields["units"].as_u64().unwrap() > 50 && fields["seconds"].as_f64().unwrap() > 1.0,
        "{line}"
    );
    assert!(
        fields["why"].is_string() && fields["missing"].is_u64() && fields["lost"].is_u64(),
        "{line}"
    );
    assert!(
        log.contains("\"message\":\"session started\"") && log.contains("\"route\":\"/healthz\""),
        "{log}"
    );
}

#[test]
fn a_check_finds_nothing_wrong_here_and_says_so_to_machines() {
    let program = crate::rig::server::program().unwrap();
    let ask = |more: &[&str]| {
        let mut command = std::process::Command::new(&program);
        command.args([
            "check",
            "--json",
            "--listen-http",
            "127.0.0.1:0",
            "--listen-udp",
            "127.0.0.1:0",
        ]);
        let output = command.args(more).current_dir(crate::rig::root()).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), report)
    };
    let (status, report) = ask(&[]);
    assert_eq!((status, &report["ok"]), (Some(0), &Value::Bool(true)), "{report:#}");
    let (status, report) = ask(&["--assets-silero", "/nowhere/silero.onnx"]);
    assert_eq!((status, &report["ok"]), (Some(1), &Value::Bool(false)));
    let bad: Vec<_> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["state"] == "bad")
        .collect();
    assert_eq!(bad.len(), 1, "{report:#}");
    assert_eq!(bad[0]["check"], "assets.silero");
    let (status, report) = ask(&["--limits-sessions", "many"]);
    assert_eq!(
        (status, &report["checks"][0]["check"]),
        (Some(1), &Value::from("settings"))
    );
}

#[test]
fn nobody_has_to_read_what_a_command_prints() {
    for command in [
        &["config"][..],
        &["models", "list"],
        &["simulate", "scenarios/office.toml"],
        &["listen", "--devices"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = std::process::Command::new(crate::rig::server::program().unwrap())
            .args(command)
            .current_dir(crate::rig::root())
            .stdin(std::process::Stdio::null())
            .stdout(writer)
            .stderr(std::process::Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !said.contains("panicked") && !said.contains("pipe"),
            "{command:?}: {said}"
        );
        // A machine without a sound card has none to list.
        assert!(output.status.success() || command[0] == "listen", "{command:?}: {said}");
    }
}
