//! With the tiny models that the recognisers themselves are tested with.

use std::path::Path;

use hearsight_core::time::MediaTime;
use hearsight_models::asr::Hypothesis;
use hearsight_models::files::Files;

use super::*;
use crate::config::{Config, load};

const TINY: &str = "moonshine-streaming-tiny";

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../models/tests/fixtures")
        .join(path)
}

fn runtime() -> Runtime {
    let deps = std::env::var_os("HEARSIGHT_DEPS").map_or_else(|| fixture("../../../.deps"), PathBuf::from);
    Runtime::open(&Files::under(&deps).onnxruntime).expect("`make setup` installs it")
}

/// The defaults with these flags, and a folder of models.
fn config(folder: &Path, flags: &[&str]) -> Config {
    let models = format!("--models-folder={}", folder.display());
    let file = folder.join("none.toml");
    std::fs::write(&file, "").unwrap();
    let file = format!("--config={}", file.display());
    let args = ["hearsight", "serve", &file, &models]
        .into_iter()
        .chain(flags.iter().copied());
    load(args).expect("these are good").config
}

fn found(config: &Config) -> Where<'_> {
    crate::app::recognisers_of(config)
}

/// Lays a model into the folder as if it had been pulled: whole, and not locked.
fn lay(folder: &Path) {
    let home = folder.join(TINY);
    std::fs::create_dir_all(&home).unwrap();
    for file in std::fs::read_dir(fixture("moonshine/whole")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), home.join(file.file_name())).unwrap();
    }
}

fn nobody() -> Command {
    Command::new("/does/not/exist")
}

#[test]
fn the_best_that_is_here_and_whole_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &[]);
    let chosen = || best(found(&config), &runtime()).map(|(kind, opened)| (kind, opened.is_some()));
    assert_eq!(chosen().unwrap(), (Kind::PocketSphinx, false), "nothing was pulled");
    lay(folder.path());
    assert_eq!(chosen().unwrap(), (Kind::PocketSphinx, false), "nobody vouches for it");
    let named = open_moonshine(found(&config), &runtime())
        .err()
        .expect("refused")
        .to_string();
    assert!(
        named.contains("hearing.moonshine") && named.contains("models verify"),
        "{named}"
    );
    model_store::command::open(&config.models).verify(TINY).unwrap();
    assert_eq!(chosen().unwrap(), (Kind::Moonshine, true));
    let told = check(found(&config), &runtime()).unwrap();
    assert_eq!(told.text, format!("words come from {TINY}"));
    assert!(!told.processes, "nobody needs PocketSphinx's processes");
    // One byte is enough.
    let file = folder.path().join(TINY).join("decoder_kv.ort");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(chosen().unwrap(), (Kind::PocketSphinx, false), "it is damaged");
    let named = open_moonshine(found(&config), &runtime())
        .err()
        .expect("refused")
        .to_string();
    assert!(named.contains("decoder_kv.ort is damaged"), "{named}");
}

#[test]
fn a_session_gets_what_it_asks_for_where_that_is_offered() {
    let folder = tempfile::tempdir().unwrap();
    let moonshine = format!("--hearing-moonshine={}", fixture("moonshine/streaming").display());
    let whisper = format!("--hearing-whisper={}", fixture("whisper/tiny.bin").display());
    let flags = ["--hearing-recogniser=moonshine", &moonshine, &whisper];
    let alone = config(folder.path(), &flags);
    let recognisers = Recognisers::open(found(&alone), &runtime(), nobody).unwrap();
    assert!(recognisers.pool().is_none(), "no process that nobody needs");
    let none = Wishes::default();
    assert_eq!(recognisers.announced(&none).name, "Moonshine streaming");
    assert_eq!(recognisers.take(&none).unwrap().name(), "streaming");
    let asked = Wishes {
        recogniser: Some(Kind::Whisper),
        ..Wishes::default()
    };
    match recognisers.take(&asked).map(drop) {
        Err(Refusal::NotFound { detail }) => assert!(detail.contains("ask for moonshine"), "{detail}"),
        other => panic!("{other:?}"),
    }
    let cascade = [&flags[..], &["--hearing-final=whisper", "--hearing-also=whisper"]].concat();
    let both = config(folder.path(), &cascade);
    let recognisers = Recognisers::open(found(&both), &runtime(), nobody).unwrap();
    assert_eq!(
        recognisers.announced(&none).name,
        "Moonshine streaming, then Whisper tiny"
    );
    assert_eq!(recognisers.announced(&asked).name, "Whisper tiny");
    let mut taken = recognisers.take(&none).unwrap();
    taken.begin(MediaTime::ZERO).unwrap();
    taken.hear(&[0.0; 16_000]).unwrap();
    let last: Hypothesis = taken.finish().expect("both end, within their limits");
    assert_eq!(last.sure, last.words.len());
}

#[test]
fn a_recogniser_that_is_named_and_missing_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    for (flag, setting) in [
        ("--hearing-recogniser=moonshine", "hearing.moonshine"),
        ("--hearing-final=whisper", "hearing.whisper"),
    ] {
        let config = config(folder.path(), &[flag]);
        let told = check(found(&config), &runtime()).expect_err("missing").to_string();
        assert!(
            told.contains(setting) && told.contains("hearsight models pull"),
            "{told}"
        );
    }
}

#[test]
fn make_run_pulls_the_model_that_is_the_default() {
    let makefile = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Makefile")).unwrap();
    assert!(makefile.contains(&format!("\nRECOGNISER := {TINY}\n")));
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(config(folder.path(), &[]).hearing.moonshine, Place::Pulled(TINY.into()));
    assert!(model_store::manifest::models().iter().any(|model| model.name == TINY));
}
