//! Embeds the built page: writes a table of the files under `web-client/dist/page`, empty when it is not built.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let page = root.join("../../web-client/dist/page");
    println!("cargo::rerun-if-changed=build.rs");
    // A missing folder counts as changed: the page is embedded as soon as it is there.
    println!("cargo::rerun-if-changed={}", page.display());
    let mut files = Vec::new();
    if page.is_dir() {
        collect(&page.canonicalize()?, &mut files)?;
    }
    files.sort();
    let base = page.canonicalize().unwrap_or(page);
    let mut table = String::from("static FILES: &[File] = &[\n");
    for file in files {
        let bytes = fs::read(&file)?;
        let path = file
            .strip_prefix(&base)
            .map_err(io::Error::other)?
            .to_string_lossy()
            .replace('\\', "/");
        let tag = format!("\"{:016x}\"", fnv1a(&bytes));
        let content_type = content_type(&path);
        let from = file.to_string_lossy();
        writeln!(
            table,
            "File {{ path: {path:?}, content_type: {content_type:?}, tag: {tag:?}, bytes: include_bytes!({from:?}) }},"
        )
        .map_err(io::Error::other)?;
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("page_files.rs");
    fs::write(out, table)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// FNV-1a: the tag of a file's content.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}
