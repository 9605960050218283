//! What the command line asks for, and what is known of a configuration besides its values.

use super::*;

#[test]
fn each_subcommand_is_understood_and_a_worker_reads_no_settings() {
    let bad = || around(&[("HEARSIGHT_LISTEN_HTPP", "x")], None);
    let worker = load_within(["hearsight", "recognise-worker", "model"], bad())
        .unwrap()
        .command;
    assert_eq!(worker, Command::RecogniseWorker(PathBuf::from("model")));
    assert!(load_within(["hearsight", "demo"], bad()).is_err());
    assert_eq!(
        load_within(["hearsight", "demo"], around(&[], None)).unwrap().command,
        Command::Demo
    );
    assert_eq!(
        load_within(["hearsight", "serve"], around(&[], None)).unwrap().command,
        Command::Serve
    );
    assert!(matches!(
        load_within(["hearsight"], around(&[], None)),
        Err(ConfigError::Usage(_))
    ));
    let token = load_within(["hearsight", "token", "me", "--streams", "a,b*", "--watch", "c"], bad())
        .unwrap()
        .command;
    let streams = vec!["a".into(), "b*".into()];
    assert_eq!(
        token,
        Command::Token {
            user: "me".into(),
            streams,
            watch: vec!["c".into()],
        }
    );
    let Err(ConfigError::Usage(help)) = load_within(["hearsight", "serve", "--help"], around(&[], None)) else {
        panic!("help is asked for")
    };
    let help = help.to_string();
    assert!(
        help.contains("--listen-http") && help.contains("HEARSIGHT_LISTEN_HTTP") && help.contains("[listen]"),
        "{help}"
    );
}

#[test]
fn smoothing_a_film_reads_no_settings() {
    let bad = around(&[("HEARSIGHT_LISTEN_HTPP", "x")], None);
    let asked = load_within(["hearsight", "smooth", "in.mp4", "out.mp4"], bad).unwrap();
    let Command::Smooth(options) = asked.command else {
        panic!("a film is to be made smooth")
    };
    assert_eq!((options.input, options.output), ("in.mp4".into(), "out.mp4".into()));
    let nothing = load_within(["hearsight", "smooth", "in.mp4"], around(&[], None));
    assert!(matches!(nothing, Err(ConfigError::Usage(_))));
}

#[test]
fn a_check_is_for_people_or_for_machines() {
    let asked = |args: &[&str]| load_within(args, around(&[], None)).unwrap().command;
    assert_eq!(asked(&["hearsight", "check"]), Command::Check(Report::People));
    assert_eq!(
        asked(&["hearsight", "check", "--json"]),
        Command::Check(Report::Machines)
    );
}

#[test]
fn changed_keys_are_named_and_the_files_to_watch_are_known() {
    let folder = Folder::new("changed");
    let path = folder.file("[limits]\nsessions = 3\n");
    let load = |named: &Path| {
        load_within(
            ["hearsight", "serve", "--config", named.to_str().unwrap()],
            around(&[], None),
        )
    };
    let before = load(&path).unwrap();
    assert_eq!(before.files, std::slice::from_ref(&path));
    folder.file("[limits]\nsessions = 4\n[log]\nlevel = \"debug\"\n");
    let after = load(&path).unwrap();
    assert_eq!(after.changed(&before), ["limits.sessions", "log.level"]);
    assert_eq!(after.changed(&after), [""; 0]);
}

#[test]
fn the_state_folder_follows_the_service_manager_then_the_user() {
    let state = |variables: &[(&str, &str)]| loaded(&[], around(variables, None)).unwrap().0.listen.state;
    let home = ("HOME", "/h");
    assert_eq!(state(&[home]), PathBuf::from("/h/.local/state/hearsight"));
    assert_eq!(state(&[home, ("XDG_STATE_HOME", "/x")]), PathBuf::from("/x/hearsight"));
    assert_eq!(
        state(&[home, ("STATE_DIRECTORY", "/s"), ("XDG_STATE_HOME", "/x")]),
        PathBuf::from("/s")
    );
}

#[test]
fn listening_has_a_short_flag_for_its_microphone_and_says_what_it_prints_for() {
    let asked = |flags: &[&str]| {
        let loaded = load_within(["hearsight", "listen"].iter().chain(flags), around(&[], None)).unwrap();
        let Loaded { config, command, .. } = loaded;
        (config.microphone.device, command)
    };
    assert_eq!(asked(&[]), (String::new(), Command::Listen(Captions::Live)));
    assert_eq!(
        asked(&["--device", "desk", "--json"]),
        ("desk".into(), Command::Listen(Captions::Json))
    );
    assert_eq!(asked(&["--microphone-device", "desk"]).0, "desk");
    assert_eq!(asked(&["--devices"]).1, Command::Microphones);
    let serve = ["hearsight", "serve", "--device", "desk"];
    assert!(matches!(
        load_within(serve, around(&[], None)),
        Err(ConfigError::Usage(_))
    ));
}
