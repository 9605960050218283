//! The real browser, driven by `tests/browser/drive.mjs`.

use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::root;

/// Opens the page as `wish` says and answers with what a person would have seen. `drive.mjs` documents both; it bounds its
/// own time by `timeout_ms`.
pub fn visit(wish: &Value) -> anyhow::Result<Value> {
    let output = Command::new("node")
        .arg(root().join("tests/browser/drive.mjs"))
        .arg(wish.to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("node is not installed")?;
    ensure!(
        output.status.success(),
        "the browser's driver failed: {}",
        output.status
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().context("the browser's driver said nothing")?;
    serde_json::from_str(last).context("the browser's driver did not end with JSON")
}
