//! What tests and benches of the real thing need: the built server as its own process, speech, a browser.

pub mod browser;
pub mod server;
pub mod sound;

use std::path::{Path, PathBuf};

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
