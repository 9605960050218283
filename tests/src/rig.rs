//! What tests and benches of the real thing need: the built server as its own process, speech, a browser.

pub mod browser;
pub mod callers;
pub mod chat;
pub mod coded;
pub mod material;
pub mod process;
pub mod pulse;
pub mod server;
pub mod shaped;
pub mod soak;
pub mod sound;
pub mod talk;
pub mod units;
pub mod whip;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// The checkout.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where what people may want to look at is kept; made when missing.
pub fn artefacts() -> std::io::Result<PathBuf> {
    let folder = root().join("artefacts");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// What a benchmark says of the machine: cores, and the GPU adapter it used.
pub fn machine() -> Value {
    json!({ "cores": std::thread::available_parallelism().map_or(0, usize::from), "adapter": null })
}

/// The commit that is measured, shortened; `unknown` outside a checkout.
pub fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let text = output.ok().filter(|output| output.status.success());
    text.map_or_else(
        || "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
