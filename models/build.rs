//! Links the PocketSphinx static library that `make setup` builds.

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-env-changed=HEARSIGHT_DEPS");
    println!("cargo::rerun-if-changed=build.rs");
    let Some(deps) = std::env::var_os("HEARSIGHT_DEPS").map(PathBuf::from) else {
        println!(
            "cargo::error=HEARSIGHT_DEPS is not set: build from inside the checkout, where .cargo/config.toml sets it"
        );
        return;
    };
    let folder = deps.join("pocketsphinx/lib");
    let library = folder.join("libpocketsphinx.a");
    println!("cargo::rerun-if-changed={}", library.display());
    if !library.is_file() {
        println!(
            "cargo::error={} is missing: run `make setup`, which builds it",
            library.display()
        );
        return;
    }
    println!("cargo::rustc-link-search=native={}", folder.display());
    println!("cargo::rustc-link-lib=static=pocketsphinx");
    println!("cargo::rustc-link-lib=m");
}
