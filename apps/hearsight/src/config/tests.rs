use std::collections::BTreeSet;
use std::path::PathBuf;

use hearsight_shaders::interpolate::Rung;

use super::settings::{DEFAULTS, keys};
use super::*;

mod commands;
mod seeing;

/// A scratch folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("hearsight-config-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
    fn file(&self, text: &str) -> PathBuf {
        let path = self.0.join("hearsight.toml");
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn around(variables: &[(&str, &str)], file: Option<PathBuf>) -> Surroundings {
    let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    Surroundings {
        variables: variables.iter().map(own).collect(),
        files: file.into_iter().collect(),
    }
}

fn loaded(flags: &[&str], surroundings: Surroundings) -> Result<(Config, Command), ConfigError> {
    let loaded = load_within(["hearsight", "serve"].iter().chain(flags), surroundings)?;
    Ok((loaded.config, loaded.command))
}

fn refused(flags: &[&str], surroundings: Surroundings) -> String {
    loaded(flags, surroundings).expect_err("it must be refused").to_string()
}

/// Another valid value for every key.
fn others(pem: &str) -> Vec<(&'static str, String)> {
    let text = |value: &str| format!("{value:?}");
    let mut all = vec![
        ("listen.http", text("127.0.0.1:9000")),
        ("listen.https", text("[::1]:8443")),
        ("listen.udp", text("0.0.0.0:9001")),
        ("listen.public_address", text("203.0.113.7")),
        ("listen.certificate", text(pem)),
        ("listen.key", text(pem)),
        ("listen.state", text("kept")),
        ("limits.sessions", "3".into()),
        ("limits.sessions_per_user", "2".into()),
        ("limits.sessions_per_address", "1".into()),
        ("limits.viewers", "7".into()),
        ("limits.viewers_per_user", "6".into()),
        ("limits.viewers_per_address", "0".into()),
        ("limits.offers_per_minute", "0".into()),
        ("limits.connections_per_address", "9".into()),
        ("limits.connect_s", "5".into()),
        ("access.tokens", text(pem)),
        ("access.elsewhere", text("https://other.example")),
        ("ice.servers", "[\"stun:a.example\", \"turn:b.example\"]".into()),
        ("ice.username", text("")),
        ("ice.credential", text("")),
        ("ice.secret", text(pem)),
        ("ice.lifetime_s", "60".into()),
    ];
    all.extend(others_within(pem));
    all
}

/// Those of what works inside.
fn others_within(pem: &str) -> Vec<(&'static str, String)> {
    let text = |value: &str| format!("{value:?}");
    let mut all = vec![
        ("assets.deps", text("elsewhere")),
        ("assets.onnxruntime", text("a.so")),
        ("assets.silero", text("b.onnx")),
        ("assets.ocr", text("e")),
        ("assets.glance", text("f")),
        ("assets.pocketsphinx", text("c")),
        ("models.folder", text("weights")),
        ("models.hub", text("https://hub.example")),
        ("models.token_file", text(pem)),
        ("recognise.workers", "7".into()),
        ("recognise.warm", "2".into()),
        ("seeing.reader", "false".into()),
        ("seeing.threads", "3".into()),
        ("seeing.per_second", "4".into()),
    ];
    all.extend(seeing::others_of_ask(pem));
    all.extend([
        ("engine.threads", "2".into()),
        ("view.enabled", "true".into()),
        ("view.rate", "3".into()),
        ("view.max_fps", "90".into()),
        ("view.bitrate", "900".into()),
        ("view.quality", text("blend")),
        ("view.device", text("cpu")),
        ("log.level", text("debug")),
        ("log.format", text("json")),
        ("log.tape", text("t.tape")),
        ("microphone.device", text("desk")),
        ("operate.listen", text("127.0.0.1:9002")),
        ("operate.drain_s", "3".into()),
        ("events.readers", "5".into()),
        ("events.without_token", text("anyone")),
        ("webhook.url", text("https://example.org/x")),
        ("webhook.secret", text(pem)),
        ("webhook.events", "[\"words.final\", \"session.ended\"]".into()),
        ("demo.loops", "4".into()),
        ("demo.talk", text("d.wav")),
    ]);
    all
}

#[test]
fn every_key_is_documented_and_has_a_flag_and_a_variable_of_its_own() {
    let keys = keys();
    assert!(
        keys.iter().all(|key| key.help.len() > 20 && key.help.ends_with('.')),
        "a comment above every key"
    );
    let flags: BTreeSet<_> = keys.iter().map(Key::flag).collect();
    let variables: BTreeSet<_> = keys.iter().map(Key::variable).collect();
    assert_eq!((flags.len(), variables.len()), (keys.len(), keys.len()));
    program(&keys).debug_assert();
}

#[test]
fn every_key_is_set_alike_by_file_environment_and_flag() {
    let folder = Folder::new("alike");
    let pem = folder.0.join("cert.pem");
    std::fs::write(&pem, "").unwrap();
    let others = others(pem.to_str().unwrap());
    let documented: BTreeSet<_> = keys().iter().map(Key::dotted).collect();
    assert_eq!(
        others
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect::<BTreeSet<_>>(),
        documented
    );

    let (defaults, _) = loaded(&[], around(&[], None)).unwrap();
    let mut text = String::new();
    let (mut variables, mut flags) = (Vec::new(), Vec::new());
    for (key, (name, value)) in keys().iter().zip(&others) {
        assert_eq!(key.dotted(), *name, "the table is in the file's order");
        let bare = value.replace(['"', '[', ']'], "").replace("::1:", "[::1]:");
        text += &format!("{name} = {value}\n");
        variables.push((key.variable(), bare.clone()));
        flags.push(format!("--{}", key.flag()));
        flags.push(bare);
    }
    let by_file = loaded(&[], around(&[], Some(folder.file(&text)))).unwrap().0;
    let by_variables = loaded(
        &[],
        Surroundings {
            variables,
            files: vec![],
        },
    )
    .unwrap()
    .0;
    let by_flags = loaded(&flags.iter().map(String::as_str).collect::<Vec<_>>(), around(&[], None))
        .unwrap()
        .0;
    assert_eq!(by_file, by_variables);
    assert_eq!(by_file, by_flags);
    assert_eq!(by_file.listen.certificate, Some((pem.clone(), pem)));
    all_differ(&by_file, &defaults);
}

/// Every setting of [`others`] took effect.
fn all_differ(by_file: &Config, defaults: &Config) {
    let differences = [
        by_file.listen.http != defaults.listen.http,
        by_file.listen.https != defaults.listen.https,
        by_file.listen.udp != defaults.listen.udp,
        by_file.listen.public_address != defaults.listen.public_address,
        by_file.listen.state != defaults.listen.state,
        by_file.limits.sessions == 3 && by_file.limits.connect.as_secs() == 5,
        by_file.limits.offers_per_minute.is_none() && by_file.limits.sessions_per_user == NonZeroUsize::new(2),
        by_file.limits.sessions_per_address == NonZeroUsize::new(1),
        by_file.limits.connections_per_address == NonZeroUsize::new(9),
        by_file.access.tokens.is_some() && by_file.access.elsewhere.as_deref() == Some("https://other.example"),
        by_file.ice.servers == ["stun:a.example", "turn:b.example"],
        matches!(&by_file.ice.login, IceLogin::Secret { lifetime, .. } if lifetime.as_secs() == 60),
        by_file.assets.deps == Path::new("elsewhere") && by_file.assets.onnxruntime == Path::new("a.so"),
        by_file.assets.silero == Path::new("b.onnx") && by_file.assets.pocketsphinx == Path::new("c"),
        by_file.recognise == Recognise { workers: 7, warm: 2 },
        by_file.assets.ocr == Path::new("e") && by_file.seeing.reader.is_none(),
        by_file.ask.as_ref().is_some_and(seeing::is_other),
        by_file.engine != defaults.engine,
        by_file.view
            == Some(View {
                times: 3,
                max_fps: 90,
                bitrate: 900_000,
                best: Rung::Blend,
                device: MadeOn::Cpu,
            }),
        by_file.log
            == Log {
                level: tracing::Level::DEBUG,
                format: LogFormat::Json,
                tape: Some("t.tape".into()),
            },
        by_file.operate.listen.is_some_and(|address| address.port() == 9002),
        by_file.operate.drain.as_secs() == 3,
        by_file.events
            == Events {
                readers: 5,
                without_token: Strangers::Welcome,
            },
        by_file.webhook.as_ref().is_some_and(|webhook| {
            webhook.url.as_str() == "https://example.org/x" && webhook.events == ["words.final", "session.ended"]
        }),
        by_file.demo
            == Demo {
                loops: 4,
                talk: PathBuf::from("d.wav"),
            },
    ];
    assert_eq!(differences, [true; 25]);
}

#[test]
fn flags_override_the_environment_which_overrides_the_file() {
    let folder = Folder::new("precedence");
    let path = folder.file("[limits]\nsessions = 1\nconnect_s = 1\n[demo]\nloops = 1\n[engine]\nthreads = 1\n");
    let variables = [("HEARSIGHT_LIMITS_CONNECT_S", "2"), ("HEARSIGHT_DEMO_LOOPS", "2")];
    let (config, _) = loaded(&["--demo-loops", "3"], around(&variables, Some(path))).unwrap();
    let threads = config.engine.threads.unwrap().get();
    assert_eq!((config.limits.connect.as_secs(), config.demo.loops, threads), (2, 3, 1));
    assert_eq!(config.recognise.workers, 8, "the default");
}

#[test]
fn a_named_file_is_read_instead_of_the_one_found_and_must_exist() {
    let (found, named) = (Folder::new("found"), Folder::new("named"));
    let found = found_file(&found, 2);
    let path = found_file(&named, 5);
    let path = path.to_str().unwrap();
    let (config, _) = loaded(&["--config", path], around(&[], Some(found.clone()))).unwrap();
    assert_eq!(config.limits.sessions, 5);
    let missing = format!("{path}.missing");
    let error = refused(&["--config", &missing], around(&[], Some(found)));
    assert!(error.contains(&missing), "{error}");
}

fn found_file(folder: &Folder, sessions: u32) -> PathBuf {
    folder.file(&format!("[limits]\nsessions = {sessions}\n"))
}

#[test]
fn unknown_keys_are_refused_with_their_line_and_the_nearest_valid_one() {
    let folder = Folder::new("unknown");
    let in_file = |text: &str| refused(&[], around(&[], Some(folder.file(text))));
    let error = in_file("[listen]\nhttp = \"127.0.0.1:1\"\nhtpps = \"\"\n");
    assert!(
        error.contains("listen.htpps") && error.contains("line 3") && error.contains("listen.https?"),
        "{error}"
    );
    let error = in_file("\n[limit]\nsessions = 1\n");
    assert!(
        error.contains("unknown setting limit") && error.contains("line 2") && error.contains("limits?"),
        "{error}"
    );
    let error = in_file("sessions = 1\n");
    assert!(error.contains("unknown setting sessions"), "{error}");
    let error = in_file("[[log]]\nlevel = \"info\"\n");
    assert!(error.starts_with("log =") && error.contains("write [log]"), "{error}");
    let error = in_file("[log.level]\ndeep = 1\n");
    assert!(error.contains("log.level"), "{error}");
    let error = refused(&[], around(&[("HEARSIGHT_LISTEN_HTPP", "x")], None));
    assert!(
        error.contains("HEARSIGHT_LISTEN_HTPP") && error.contains("HEARSIGHT_LISTEN_HTTP?"),
        "{error}"
    );
    let error = refused(&[], around(&[("HEARSIGHT_LISTN_UDP", "x")], None));
    assert!(error.contains("HEARSIGHT_LISTEN_UDP?"), "{error}");
    let error = refused(&["--listen-htttp", "x"], around(&[], None));
    assert!(error.contains("--listen-http"), "{error}");
}

#[test]
fn variables_of_others_are_left_alone() {
    let others = [
        ("HEARSIGHT_SERVICE_HOST", "10.0.0.1"),
        ("HEARSIGHT_PORT", "tcp://10.0.0.1:80"),
        ("LISTEN_HTTP", "x"),
    ];
    assert!(loaded(&[], around(&others, None)).is_ok());
    assert!(
        loaded(
            &[],
            around(&[("HEARSIGHT_STARTED", "1"), ("HEARSIGHT_EVAL", "x")], None)
        )
        .is_ok()
    );
}

#[test]
fn the_folder_of_set_up_is_found_by_its_short_variable_unless_the_full_one_is_given() {
    let short = ("HEARSIGHT_DEPS", "short");
    let full = ("HEARSIGHT_ASSETS_DEPS", "full");
    let deps = |variables: &[(&str, &str)]| loaded(&[], around(variables, None)).unwrap().0.assets;
    assert_eq!(
        deps(&[short]).onnxruntime,
        PathBuf::from("short/onnxruntime/libonnxruntime.so")
    );
    assert_eq!(deps(&[short, full]).deps, PathBuf::from("full"));
    assert_eq!(deps(&[full, short]).deps, PathBuf::from("full"));
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
fn hostile_files_are_errors_and_never_panics() {
    let folder = Folder::new("hostile");
    for seed in 0..500 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = DEFAULTS.as_bytes().to_vec();
        for _ in 0..random.usize(1..8) {
            let at = random.usize(..bytes.len());
            match random.u8(..3) {
                0 => bytes[at] = random.u8(..),
                1 => drop(bytes.splice(at..at, std::iter::repeat_n(random.u8(..), random.usize(..40)))),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let path = folder.0.join("hearsight.toml");
        std::fs::write(&path, &bytes).unwrap();
        let _ = loaded(&[], around(&[], Some(path)));
    }
    let long = "#".repeat(usize::try_from(MAX_FILE_BYTES).unwrap() + 1);
    let error = refused(&[], around(&[], Some(folder.file(&long))));
    assert!(error.contains("longer than"), "{error}");
}

#[test]
fn the_settings_in_force_are_printed_as_a_file_that_gives_them_again() {
    let folder = Folder::new("printed");
    let variables = [("HEARSIGHT_LOG_LEVEL", "warn")];
    let args = ["hearsight", "config", "--demo-loops", "9"];
    let Loaded { config, command, .. } = load_within(args, around(&variables, None)).unwrap();
    let Command::Config(text) = command else {
        panic!("{command:?}")
    };
    assert!(text.contains("loops = 9 # from --demo-loops\n"), "{text}");
    assert!(text.contains("level = \"warn\" # from HEARSIGHT_LOG_LEVEL\n"), "{text}");
    assert_eq!(loaded(&[], around(&[], Some(folder.file(&text)))).unwrap().0, config);
    let plain = load_within(["hearsight", "config"], around(&[], None)).unwrap().command;
    assert_eq!(plain, Command::Config(DEFAULTS.to_owned()));
}
