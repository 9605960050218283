//! Every key: documented, and set alike by the file, the environment and a flag.

use std::collections::BTreeSet;

use hearsight_shaders::interpolate::Rung;

use super::*;
use crate::config::settings::keys;

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
        ("hearing.recogniser", text("whisper")),
        ("hearing.final", text("moonshine")),
        ("hearing.also", "[\"pocketsphinx\"]".into()),
        ("hearing.moonshine", text("./m")),
        ("hearing.whisper", text("whisper-tiny")),
        ("hearing.language", text("de")),
        ("hearing.hints", "[\"Hearsight\"]".into()),
        ("hearing.threads", "2".into()),
        ("hearing.runs", "3".into()),
        ("hearing.denoise", "true".into()),
        ("seeing.reader", "false".into()),
        ("seeing.threads", "3".into()),
        ("seeing.pictures", "2".into()),
        ("seeing.per_second", "4".into()),
    ];
    all.extend(ask::others_of_ask(pem));
    all.extend([
        ("engine.threads", "2".into()),
        ("engine.admission", text("always")),
        ("view.enabled", "true".into()),
        ("view.rate", "3".into()),
        ("view.max_fps", "90".into()),
        ("view.bitrate", "900".into()),
        ("view.quality", text("blend")),
        ("view.device", text("cpu")),
        ("allocate.mode", text("cap+regions")),
        ("allocate.most", "125".into()),
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

/// What [`others`] make of [hearing].
fn other_hearing() -> Hearing {
    Hearing {
        recogniser: Some(RecogniserKind::Whisper),
        last: Some(RecogniserKind::Moonshine),
        also: vec![RecogniserKind::PocketSphinx],
        moonshine: Place::Path("./m".into()),
        whisper: Place::Pulled("whisper-tiny".into()),
        language: "de".into(),
        hints: hearsight_models::asr::Hints::new(["Hearsight"]).unwrap(),
        threads: NonZeroUsize::new(2).unwrap(),
        runs: NonZeroUsize::new(3).unwrap(),
        denoise: true,
    }
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
        by_file.hearing == other_hearing(),
        by_file.assets.ocr == Path::new("e") && by_file.seeing.reader.is_none(),
        by_file.ask.as_ref().is_some_and(ask::is_other),
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
    assert_eq!(differences, [true; 26]);
}
