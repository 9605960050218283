//! Where damage begins: inputs that are right, our own and those that lie beside the checkout.

use std::path::{Path, PathBuf};

use super::mutate::LONGEST;
use crate::rig::root;

/// The committed seeds of a target, in order of their names.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    folder(&root().join("tests/fuzz/seeds").join(target))
}

/// Seeds of others, `HEARSIGHT_EVAL` or `shared/eval` beside the checkout: the files of its folder `name`, and of the
/// folders in it. Empty where there are none.
pub fn beside(name: &str) -> Vec<Vec<u8>> {
    let named = std::env::var_os("HEARSIGHT_EVAL").map(PathBuf::from);
    folder(&named.unwrap_or_else(|| root().join("../shared/eval")).join(name))
}

/// Every file of a folder and its folders, cut at [`LONGEST`].
pub fn folder(path: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(path) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        if path.is_dir() {
            return folder(&path);
        }
        let mut bytes = std::fs::read(&path).unwrap_or_default();
        bytes.truncate(LONGEST);
        vec![bytes]
    };
    paths.into_iter().flat_map(read).collect()
}
