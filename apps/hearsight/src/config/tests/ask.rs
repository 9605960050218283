use hearsight_models::vlm::aloud::Meant;

use super::*;

/// Another valid value for every key of [ask].
pub(super) fn others_of_ask(pem: &str) -> Vec<(&'static str, String)> {
    let text = |value: &str| format!("{value:?}");
    vec![
        ("ask.engine", text("local")),
        ("ask.large", text("remote")),
        ("ask.separability", "250".into()),
        ("ask.model", text("./of/mine")),
        ("ask.threads", "2".into()),
        ("ask.url", text("https://server.example/v1")),
        ("ask.remote_model", text("m")),
        ("ask.key_file", text(pem)),
        ("ask.deadline_ms", "900".into()),
        ("ask.tokens", "7".into()),
        ("ask.pictures", "3".into()),
        ("ask.remembered", "5".into()),
        ("ask.remembered_mb", "6".into()),
        ("ask.session_tokens", "700".into()),
        ("ask.user_tokens", "800".into()),
        ("ask.aloud", text("questions")),
        ("ask.name", text("House")),
    ]
}

/// Whether every one of them took effect.
pub(super) fn is_other(ask: &Ask) -> bool {
    let Some(Answerer::Remote {
        url,
        model,
        key: Some(_),
    }) = &ask.large
    else {
        return false;
    };
    (url.as_str(), model.as_str()) == ("https://server.example/v1", "m")
        && ask.first == Answerer::Local("./of/mine".into())
        && (ask.separability, ask.threads.get(), ask.deadline.as_millis()) == (2.5, 2, 900)
        && (ask.tokens, ask.pictures, ask.remembered, ask.remembered_bytes) == (7, 3, 5, 6 << 20)
        && (ask.session_tokens, ask.user_tokens) == (700, 800)
        && ask.aloud == Some(Meant::Questions("house".into()))
}

#[test]
fn whoever_answers_is_chosen_and_found() {
    let ask = |flags: &[&str]| loaded(flags, around(&[], None)).map(|(config, _)| config.ask);
    assert_eq!(ask(&["--ask-engine", "none"]).unwrap(), None);
    let glance = ask(&["--ask-engine", "glance", "--assets-deps", "d"]).unwrap().unwrap();
    assert_eq!(glance.first, Answerer::Glance(None));
    let other = ask(&["--assets-glance", "d"]).unwrap().unwrap();
    assert_eq!((other.first, other.pictures), (Answerer::Glance(Some("d".into())), 2));
    let pulled = ask(&["--ask-engine", "local", "--models-folder", "m", "--ask-model", "x"])
        .unwrap()
        .unwrap();
    assert_eq!(
        (pulled.first, pulled.large, pulled.aloud),
        (Answerer::Local("m/x".into()), None, None)
    );
    let named = ask(&[
        "--ask-engine",
        "glance",
        "--ask-aloud",
        "named",
        "--ask-name",
        " Hey You ",
    ])
    .unwrap()
    .unwrap();
    assert_eq!(named.aloud, Some(Meant::Named("hey you".into())));
}

#[test]
fn bad_settings_of_questions_are_refused_with_field_and_remedy() {
    let url = "http://127.0.0.1:1/v1";
    for (flags, expected) in [
        (&["--ask-engine", "large"][..], "ask.engine"),
        (&["--ask-engine", "remote"], "set ask.url"),
        (&["--ask-engine", "none", "--ask-large", "local"], "ask.engine"),
        (&["--ask-engine", "local", "--ask-large", "local"], "ask.large"),
        (&["--ask-engine", "local", "--ask-large", "glance"], "ask.large"),
        (&["--ask-url", "nowhere"], "ask.url"),
        (
            &["--ask-url", "http://server.example/v1", "--ask-remote-model", "m"],
            "use https",
        ),
        (
            &[
                "--ask-url",
                "https://me:secret@server.example/v1",
                "--ask-remote-model",
                "m",
            ],
            "ask.key_file",
        ),
        (&["--ask-url", url], "ask.remote_model"),
        (&["--ask-key-file", "not/there"], "ask.key_file"),
        (&["--ask-engine", "local", "--ask-model", ""], "ask.model"),
        (&["--ask-deadline-ms", "199"], "ask.deadline_ms"),
        (&["--ask-pictures", "5"], "ask.pictures"),
        (&["--ask-aloud", "always"], "ask.aloud"),
        (&["--ask-aloud", "named", "--ask-name", " "], "ask.name"),
    ] {
        let why = refused(flags, around(&[], None));
        assert!(why.contains(expected), "{flags:?}: {why}");
    }
}
