//! Holds the tree to its own rules: which crate may know which, how long a file may be, what may not be left behind.
//!
//! Every rule is a function from the tree to a list of violations, so that one run names them all.
#![cfg(test)]

mod source;

use std::path::Path;

use source::{File, Function, code_of, functions_of, mentions, tree};

/// Each of our crates, and those of ours that it may depend on: three floors, every arrow points down.
const ARROWS: [(&str, &[&str]); 7] = [
    ("hearsight-core", &[]),
    ("hearsight-live", &["hearsight-core"]),
    ("hearsight-codecs", &["hearsight-core"]),
    ("hearsight-models", &["hearsight-core"]),
    ("hearsight-shaders", &["hearsight-core"]),
    (
        "hearsight",
        &[
            "hearsight-core",
            "hearsight-live",
            "hearsight-codecs",
            "hearsight-models",
            "hearsight-shaders",
        ],
    ),
    (
        "hearsight-tests",
        &[
            "hearsight-core",
            "hearsight-live",
            "hearsight-codecs",
            "hearsight-models",
            "hearsight-shaders",
            "hearsight",
        ],
    ),
];

/// Crates of others that only some of ours may name, with the reason.
const KEPT_TO: [(&str, &[&str], &str); 16] = [
    (
        "serde",
        &["hearsight"],
        "only the wire, the settings, the tokens, the tape, the talk's text and what is kept of models are serialised",
    ),
    (
        "tokio",
        &["hearsight-live", "hearsight", "hearsight-tests"],
        "a stage has no await: hosts have",
    ),
    (
        "wgpu",
        &["hearsight-shaders"],
        "where memory lives is in the type, and uploads are visible stages",
    ),
    (
        "str0m",
        &["hearsight", "hearsight-tests"],
        "the wire is the roof's; benches load it with callers of their own",
    ),
    ("webrtc", &["hearsight"], "the wire is the roof's"),
    (
        "ffmpeg-next",
        &["hearsight-codecs", "hearsight-tests"],
        "codecs are behind one room's door; a bench compares with the bare decoder",
    ),
    ("opus", &["hearsight-codecs"], "codecs are behind one room's door"),
    (
        "gstreamer",
        &["hearsight-codecs", "hearsight-tests"],
        "files and cameras come in behind the codecs' door; a bench compares our links with its queue",
    ),
    ("cpal", &["hearsight"], "the microphone is the roof's"),
    ("alsa", &["hearsight"], "the microphone is the roof's"),
    ("ringbuf", &["hearsight"], "between a callback and the rest"),
    ("ort", &["hearsight-models"], "models are behind one room's door"),
    (
        "fast_image_resize",
        &["hearsight-codecs", "hearsight-models"],
        "pictures are scaled where a model wants them so, or a coder has few bits",
    ),
    ("tokenizers", &["hearsight-models"], "models are behind one room's door"),
    ("whisper-rs", &["hearsight-models"], "models are behind one room's door"),
    ("axum", &["hearsight"], "the wire is the roof's"),
];

/// Names that only some folders of our sources may use, with the reason.
const SPOKEN_IN: [(&str, &[&str], &str); 6] = [
    (
        "str0m",
        &["apps/hearsight/src/ingest", "tests/src/rig/callers"],
        "behind one seam, so that it can be replaced",
    ),
    (
        "webrtc",
        &["apps/hearsight/src/send"],
        "behind one seam; the two stacks never meet in one room",
    ),
    (
        "cpal",
        &["apps/hearsight/src/listen/cards"],
        "behind one seam: a script of a sound system stands in for it",
    ),
    (
        "ringbuf",
        &["apps/hearsight/src/listen/ring"],
        "between a callback and the rest, nowhere else",
    ),
    (
        "serde",
        &[
            "apps/hearsight/src/wire",
            "apps/hearsight/src/serve/problem",
            "apps/hearsight/src/serve/tokens",
            "apps/hearsight/src/config",
            "apps/hearsight/src/tape",
            "apps/hearsight/src/demo/talk",
            "apps/hearsight/src/model_store",
            "tests/src",
        ],
        "only the wire, the settings, the tokens, the tape, the talk's text and what is kept of models are serialised",
    ),
    ("wgpu", &["shaders/src"], "where memory lives is in the type"),
];

/// What the ground has none of: no I/O and no clock.
const NOT_IN_CORE: [&str; 11] = [
    "std::net",
    "std::fs",
    "std::io",
    "std::env",
    "std::process",
    "std::thread",
    "Instant",
    "SystemTime",
    "println",
    "eprintln",
    "unsafe",
];

const MOST_LINES_OF_FILE: usize = 500;
const MOST_LINES_OF_FUNCTION: usize = 60;
/// Files and functions (`path::name`) that may be longer, and why.
const MAY_BE_LONGER: [(&str, &str); 0] = [];

fn refuse(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}:\n  {}", violations.join("\n  "));
}

fn rust_sources(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.extension() == "rs")
}

struct Manifest {
    folder: String,
    name: String,
    /// Of every kind: normal, for tests, for the build, for one target.
    dependencies: Vec<String>,
}

/// The members of the workspace.
fn members(files: &[File]) -> Vec<Manifest> {
    let root = manifest(files, "Cargo.toml");
    let members = root["workspace"]["members"]
        .as_array()
        .expect("the workspace lists its members");
    members
        .iter()
        .map(|member| {
            let folder = member.as_str().expect("a member is a folder").to_owned();
            let table = manifest(files, &format!("{folder}/Cargo.toml"));
            let mut dependencies = Vec::new();
            collect_dependencies(&table, &mut dependencies);
            Manifest {
                name: table["package"]["name"]
                    .as_str()
                    .expect("a package has a name")
                    .to_owned(),
                folder,
                dependencies,
            }
        })
        .collect()
}

fn manifest(files: &[File], path: &str) -> toml::Table {
    let file = files
        .iter()
        .find(|file| file.path == path)
        .unwrap_or_else(|| panic!("{path} is missing"));
    file.text.parse().unwrap_or_else(|problem| panic!("{path}: {problem}"))
}

fn collect_dependencies(table: &toml::Table, into: &mut Vec<String>) {
    for (name, value) in table {
        let Some(inner) = value.as_table() else { continue };
        match name.as_str() {
            "dependencies" | "dev-dependencies" | "build-dependencies" => {
                // A renamed dependency is still the crate that it names.
                into.extend(inner.iter().map(|(alias, detail)| {
                    let package = detail.get("package").and_then(toml::Value::as_str);
                    package.unwrap_or(alias).to_owned()
                }));
            }
            "target" => inner
                .values()
                .filter_map(toml::Value::as_table)
                .for_each(|one| collect_dependencies(one, into)),
            _ => {}
        }
    }
}

#[test]
fn arrows_point_down() {
    let members = members(&tree());
    let mut violations = Vec::new();
    for member in &members {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == member.name) else {
            violations.push(format!("{} has no floor: say in ARROWS what it may know", member.name));
            continue;
        };
        let ours = member
            .dependencies
            .iter()
            .filter(|name| ARROWS.iter().any(|(known, _)| known == name));
        let upward = ours.filter(|name| !allowed.contains(&name.as_str()));
        violations.extend(upward.map(|name| format!("{} must not depend on {name}", member.name)));
    }
    refuse("every arrow points down", &violations);
}

#[test]
fn libraries_are_kept_to_their_rooms() {
    let files = tree();
    let mut violations = Vec::new();
    for member in members(&files) {
        for (library, allowed, reason) in KEPT_TO {
            if member.dependencies.iter().any(|name| name == library) && !allowed.contains(&member.name.as_str()) {
                violations.push(format!("{} must not depend on {library}: {reason}", member.name));
            }
        }
    }
    for file in rust_sources(&files) {
        for (library, folders, reason) in SPOKEN_IN {
            if !folders.iter().any(|folder| file.path.starts_with(folder)) && mentions(&code_of(&file.text), library) {
                violations.push(format!("{} must not name {library}: {reason}", file.path));
            }
        }
    }
    refuse("libraries are kept to their rooms", &violations);
}

#[test]
fn the_ground_has_no_clock_no_thread_and_no_socket() {
    let files = tree();
    let mut violations = Vec::new();
    for file in rust_sources(&files).filter(|file| file.path.starts_with("pipeline/core/src/")) {
        let code = code_of(&file.text).replace("forbid(unsafe_code)", "");
        let found = NOT_IN_CORE.iter().filter(|name| mentions(&code, name));
        violations.extend(found.map(|name| format!("{} must not use {name}", file.path)));
    }
    let root = files
        .iter()
        .find(|file| file.path == "pipeline/core/src/lib.rs")
        .expect("the ground has a root");
    if !root.text.contains("#![forbid(unsafe_code)]") {
        violations.push("pipeline/core/src/lib.rs must forbid unsafe code".into());
    }
    refuse("time is an argument", &violations);
}

#[test]
fn files_and_functions_fit_on_a_few_screens() {
    let files = tree();
    let longer = |name: &str| MAY_BE_LONGER.iter().any(|(known, _)| *known == name);
    let mut violations = Vec::new();
    for file in files
        .iter()
        .filter(|file| ["rs", "ts", "mjs", "py", "sh"].contains(&file.extension()))
    {
        let lines = file.text.lines().count();
        if lines > MOST_LINES_OF_FILE && !longer(&file.path) {
            violations.push(format!(
                "{} has {lines} lines, more than {MOST_LINES_OF_FILE}",
                file.path
            ));
        }
    }
    for file in rust_sources(&files) {
        for Function { name, line, lines } in functions_of(&file.text) {
            if lines > MOST_LINES_OF_FUNCTION && !longer(&format!("{}::{name}", file.path)) {
                let path = &file.path;
                violations.push(format!(
                    "{path}:{line}: {name} has {lines} lines, more than {MOST_LINES_OF_FUNCTION}"
                ));
            }
        }
    }
    refuse("files and functions are short", &violations);
}

#[test]
fn nothing_is_left_unfinished() {
    // In halves, so that this file does not find itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("HA", "CK"),
    ];
    let calls = [
        concat!("to", "do!("),
        concat!("unimpl", "emented!("),
        concat!("#[ig", "nore"),
    ];
    let skips = [
        concat!("test.", "skip("),
        concat!("it.", "skip("),
        concat!("test.", "only("),
        concat!("@ts-ig", "nore"),
    ];
    let mut violations = Vec::new();
    for file in tree() {
        for (number, line) in file.text.lines().enumerate() {
            let marked = marks.iter().any(|mark| mentions(line, mark));
            let called = calls.iter().chain(&skips).any(|call| line.contains(call));
            if marked || called {
                violations.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    refuse("nothing is left unfinished, skipped or ignored", &violations);
}

#[test]
fn nothing_sleeps_and_hopes() {
    let sleeps = [
        concat!("thread::", "sleep"),
        concat!("time::", "sleep("),
        concat!("waitFor", "Timeout("),
    ];
    let mut violations = Vec::new();
    for file in tree()
        .iter()
        .filter(|file| ["rs", "ts", "mjs"].contains(&file.extension()))
    {
        for (number, line) in file.text.lines().enumerate() {
            if sleeps.iter().any(|sleep| line.contains(sleep)) {
                violations.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    refuse("wait for the event itself, with a timeout", &violations);
}

#[test]
fn every_crate_root_says_what_it_is_and_where_to_start() {
    let files = tree();
    let mut violations = Vec::new();
    for member in members(&files) {
        let path = format!("{}/src/lib.rs", member.folder);
        let Some(root) = files.iter().find(|file| file.path == path) else {
            continue;
        };
        let lines = root.text.lines().map_while(|line| line.strip_prefix("//!"));
        let doc = lines.map(str::trim).collect::<Vec<_>>().join(" ");
        for part in ["Knows", "ust not know", "Start at"] {
            if !doc.contains(part) {
                violations.push(format!("{path}: its documentation lacks \"{part} …\""));
            }
        }
        if doc.find("Knows").is_none_or(|at| at < 20) {
            violations.push(format!("{path}: its documentation must begin with what the crate is"));
        }
    }
    refuse(
        "a crate root says what it is, what it knows, what it must not know, and where to start",
        &violations,
    );
}

#[test]
fn the_documents_know_every_crate() {
    let files = tree();
    let mut violations = Vec::new();
    for name in ["README.md", "ARCHITECTURE.md"] {
        let Some(document) = files.iter().find(|file| file.path == name) else {
            violations.push(format!("{name} is missing"));
            continue;
        };
        for member in members(&files) {
            // The folder, the package, or how the text calls a library of ours.
            if !document.text.contains(&member.folder) && !mentions(&document.text, &member.name) {
                violations.push(format!("{name} does not mention {} ({})", member.name, member.folder));
            }
        }
    }
    refuse("the documents know every crate", &violations);
}

#[test]
fn nothing_names_the_machine_or_the_registry_it_was_made_with() {
    let homes = [
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/Us", "ers/"),
        concat!("/wo", "rk/"),
        concat!("C:\\", "Users"),
    ];
    let registries = [
        concat!("pypi", ".org"),
        concat!("pythonhosted", ".org"),
        concat!("npmjs", ".org"),
        concat!("npmjs", ".com"),
        concat!("yarnpkg", ".com"),
        concat!("index.crates", ".io"),
        concat!("static.crates", ".io"),
        concat!("arti", "factory"),
    ];
    let mut violations = Vec::new();
    for file in tree() {
        for (number, line) in file.text.lines().enumerate() {
            // `./work/` and `a/home/` are relative.
            let home = homes.iter().any(|home| {
                line.match_indices(home)
                    .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~}".contains(c)))
            });
            if home || registries.iter().any(|host| line.contains(host)) {
                violations.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    refuse("no registry host and no path of one machine", &violations);
}

#[test]
fn locked_versions_come_from_the_default_registries() {
    let files = tree();
    let lock = manifest(&files, "Cargo.lock");
    let packages = lock["package"].as_array().expect("the lock lists packages");
    let foreign = packages.iter().filter(|package| {
        let source = package.get("source").and_then(toml::Value::as_str);
        source.is_some_and(|source| source != "registry+https://github.com/rust-lang/crates.io-index")
    });
    let mut violations: Vec<String> = foreign
        .map(|package| format!("Cargo.lock: {}", package["name"]))
        .collect();
    for file in files.iter().filter(|file| file.path.ends_with("package-lock.json")) {
        let resolved = file
            .text
            .lines()
            .filter(|line| line.contains("\"resolved\": \"http"))
            .count();
        if resolved > 0 {
            violations.push(format!("{}: {resolved} entries name a registry", file.path));
        }
    }
    refuse("whoever builds chooses the registry", &violations);
}

#[test]
fn what_continuous_integration_runs_is_what_people_run() {
    let files = tree();
    let run = files
        .iter()
        .find(|file| file.path == ".ci/run")
        .expect(".ci/run is there");
    assert!(run.text.contains("make test"), "it runs the tests");
    for target in [
        "setup",
        "run",
        "test",
        "check",
        "web",
        "eval",
        "bench-latency",
        "bench-graph",
        "bench-ingest",
        "bench-hearing",
        "soak",
        "hostile",
        "fuzz",
        "clean",
        "help",
    ] {
        let makefile = files
            .iter()
            .find(|file| file.path == "Makefile")
            .expect("the Makefile is there");
        assert!(makefile.text.contains(&format!("\n{target}:")), "make {target}");
    }
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("../LICENSE-MIT").exists());
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("../LICENSE-APACHE").exists());
}
