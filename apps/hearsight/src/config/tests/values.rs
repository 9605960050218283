//! Values: which are taken, and how those are refused that won't do.

use std::num::NonZeroUsize;

use super::*;

#[test]
fn the_reader_is_as_quick_as_it_is_asked_to_be() {
    let reader = |flags: &[&str]| loaded(flags, around(&[], None)).map(|(config, _)| config.seeing.reader);
    let told = reader(&[
        "--seeing-threads",
        "3",
        "--seeing-per-second",
        "4",
        "--seeing-pictures",
        "2",
    ])
    .unwrap()
    .unwrap();
    assert_eq!((told.threads.get(), told.per_second), (3, 4));
    assert_eq!(told.pictures.map(NonZeroUsize::get), Some(2));
    assert_eq!(reader(&[]).unwrap().unwrap().pictures, None);
    assert_eq!(reader(&["--seeing-reader", "false"]).unwrap(), None);
    for wrong in [
        ["--seeing-threads", "0"],
        ["--seeing-per-second", "11"],
        ["--seeing-pictures", "17"],
        ["--seeing-reader", "maybe"],
    ] {
        let problem = reader(&wrong).unwrap_err().to_string();
        assert!(problem.contains("seeing."), "{problem}");
    }
}

#[test]
fn bad_values_are_refused_with_field_source_and_remedy() {
    let cases: [(&[&str], &str, &str); 19] = [
        (
            &["--listen-http", "localhost"],
            "listen.http",
            "an IP address and a port",
        ),
        (&["--listen-http", "0.0.0.0:80"], "listen.http", "listen.https"),
        (&["--listen-http", ""], "listen.http", "set listen.http or listen.https"),
        (&["--listen-https", "0.0.0.0:8443"], "listen.udp", "0.0.0.0:8189"),
        (&["--listen-udp", ""], "listen.udp", "an IP address and a port"),
        (
            &["--listen-public-address", "example.org"],
            "listen.public_address",
            "without a port",
        ),
        (
            &["--listen-public-address", "0.0.0.0"],
            "listen.public_address",
            "browsers use",
        ),
        (
            &["--listen-certificate", "/does/not/exist"],
            "listen.certificate",
            "PEM file",
        ),
        (&["--webhook-url", "http://example.org/"], "webhook.url", "use https"),
        (
            &["--webhook-url", "https://example.org/"],
            "webhook.secret",
            "name the file",
        ),
        (
            &["--webhook-events", "words"],
            "webhook.events",
            "session.started, session.ended",
        ),
        (
            &["--events-without-token", "me"],
            "events.without_token",
            "nobody or anyone",
        ),
        (&["--limits-sessions", "0"], "limits.sessions", "from 1 to 1000"),
        (&["--limits-sessions", "-5"], "limits.sessions", "from 1 to 1000"),
        (&["--limits-sessions", "many"], "limits.sessions", "the default is 16"),
        (
            &["--limits-connect-s", "99999999999999999999"],
            "limits.connect_s",
            "whole number",
        ),
        (&["--recognise-warm", "9"], "recognise.warm", "raise recognise.workers"),
        (&["--log-level", "loud"], "log.level", "error, warn, info"),
        (&["--assets-deps", ""], "assets.deps", "make setup"),
    ];
    for (flags, field, remedy) in cases {
        let error = refused(flags, around(&[], None));
        assert!(error.starts_with(field) && error.contains(remedy), "{flags:?}: {error}");
    }
}

#[test]
fn values_of_the_wrong_kind_and_files_that_are_no_toml_are_refused_with_their_line() {
    let folder = Folder::new("kind");
    let error = refused(&[], around(&[], Some(folder.file("[limits]\nsessions = \"3\"\n"))));
    assert!(
        error.contains("limits.sessions") && error.contains("line 2") && error.contains("whole number"),
        "{error}"
    );
    let error = refused(&[], around(&[], Some(folder.file("[limits\n"))));
    assert!(error.contains("not valid TOML") && error.contains("line 1"), "{error}");
}

#[test]
fn bad_settings_of_access_and_ice_are_refused_with_field_and_remedy() {
    let cases: [(&[&str], &str, &str); 10] = [
        (
            &["--limits-offers-per-minute", "-1"],
            "limits.offers_per_minute",
            "from 0 to 100000",
        ),
        (
            &["--access-tokens", "/does/not/exist"],
            "access.tokens",
            "hearsight token USER",
        ),
        (
            &["--access-elsewhere", "other.example"],
            "access.elsewhere",
            "https://other.example",
        ),
        (
            &["--access-elsewhere", "ftp://other.example"],
            "access.elsewhere",
            "https://other.example",
        ),
        (&["--ice-servers", "turn:a.example"], "ice.servers", "set ice.secret"),
        (
            &["--ice-servers", "stun:a, http://b"],
            "ice.servers",
            "turns:turn.example:5349",
        ),
        (
            &["--ice-servers", "stun:a>; rel=x"],
            "ice.servers",
            "stun:stun.example:3478",
        ),
        (&["--ice-username", "me"], "ice.credential", "name the file"),
        (&["--ice-username", "a:b"], "ice.username", "no colon"),
        (
            &["--ice-secret", "/does/not/exist"],
            "ice.secret",
            "a file that holds it",
        ),
    ];
    for (flags, field, remedy) in cases {
        let error = refused(flags, around(&[], None));
        assert!(error.starts_with(field) && error.contains(remedy), "{flags:?}: {error}");
    }
}

#[test]
fn bad_settings_of_hearing_are_refused_with_field_and_remedy() {
    let many = (0..65).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let cases: [(&[&str], &str, &str); 6] = [
        (
            &["--hearing-recogniser", "same"],
            "hearing.recogniser",
            "whisper or auto",
        ),
        (&["--hearing-final", "auto"], "hearing.final", "whisper or same"),
        (&["--hearing-also", "vosk"], "hearing.also", "some of pocketsphinx"),
        (&["--hearing-language", "klingon"], "hearing.language", "such as en"),
        (&["--hearing-whisper", ""], "hearing.whisper", "hearsight models list"),
        (&["--hearing-hints", &many], "hearing.hints", "at most 64"),
    ];
    for (flags, field, remedy) in cases {
        let error = refused(flags, around(&[], None));
        assert!(error.starts_with(field) && error.contains(remedy), "{flags:?}: {error}");
    }
}
