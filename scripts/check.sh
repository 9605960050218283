#!/bin/sh
# Formatting, lints, licences, types and documentation; every warning is an error. Called by `make check`.
set -eu
cd "$(dirname "$0")/.."

tools=${DEPS:-.deps}/tools
deny_version=0.20.2

echo "check: formatting"
cargo fmt --all --check

echo "check: lints (clippy)"
# In the profile of `make test`, so that what it built for the build itself is used again.
cargo clippy --release --locked --workspace --all-targets -- -D warnings

if ! "$tools/bin/cargo-deny" --version 2>/dev/null | grep -qx "cargo-deny $deny_version"; then
    echo "check: building cargo-deny $deny_version into $tools (once; some minutes)"
    # Its own build folder, so that building the tool leaves nothing in the project's.
    CARGO_TARGET_DIR="$tools/build" cargo install --locked --root "$tools" --version "$deny_version" cargo-deny
    rm -rf "$tools/build"
fi
echo "check: licences, bans and sources (cargo-deny; advisories need a database from the network and are skipped)"
"$tools/bin/cargo-deny" --locked check --hide-inclusion-graph bans licenses sources

echo "check: the TypeScript client (types and lint)"
(cd web-client && npm run --silent check)

echo "check: documentation"
RUSTDOCFLAGS=-Dwarnings cargo doc --release --locked --no-deps --workspace
