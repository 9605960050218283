use std::path::PathBuf;

use super::settings::DEFAULTS;
use super::*;

mod ask;
mod commands;
mod every_key;
mod values;

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
