#!/bin/sh
# Builds the readers of tests/fuzz with coverage instrumentation and lets libFuzzer look for inputs that break them. Called
# by `make fuzz`. What it learns is kept under artefacts/fuzz and taken up again; an input that breaks a reader is written
# there too and named at the end.
#   scripts/fuzz.sh SECONDS [TARGET…]    so long for each target; all of them unless some are named
set -eu
cd "$(dirname "$0")/.."

seconds=${1:-60}
[ $# -eq 0 ] || shift
if [ $# -eq 0 ]; then
    set -- $(sed -n 's|^path = "fuzz_targets/\(.*\)\.rs"|\1|p' tests/fuzz/Cargo.toml)
fi
kept=$PWD/artefacts/fuzz
eval=${HEARSIGHT_EVAL:-../shared/eval}
host=$(rustc -vV | sed -n 's/^host: //p')

# What cargo-fuzz passes on stable Rust (`cargo fuzz run -s none`); with `--target`, build scripts stay as they are.
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
 -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
export RUSTFLAGS
# The versions of the product, and libFuzzer.
cp Cargo.lock tests/fuzz/Cargo.lock
echo "fuzz: building $# readers with coverage instrumentation (several minutes the first time)"
bins=
for target; do
    bins="$bins --bin $target"
done
# shellcheck disable=SC2086
cargo build --release --manifest-path tests/fuzz/Cargo.toml --target "$host" --target-dir "$kept/target" $bins

broken=
for target; do
    echo "fuzz: $target for $seconds s"
    mkdir -p "$kept/corpus/$target" "$kept/broken/$target"
    beside=
    case $target in
    offer) beside=$eval/fuzz-seeds/sdp-corpus ;;
    stun) beside=$eval/fuzz-seeds/stun-corpus ;;
    h264) beside=$eval/h264 ;;
    esac
    [ -d "$beside" ] || beside=
    "$kept/target/$host/release/$target" -max_total_time="$seconds" -max_len=65536 -timeout=20 -rss_limit_mb=4096 \
        -print_final_stats=1 -artifact_prefix="$kept/broken/$target/" \
        "$kept/corpus/$target" "tests/fuzz/seeds/$target" $beside 2>"$kept/$target.log" || broken="$broken $target"
    grep -E '^(stat::number_of_executed_units|stat::new_units_added|stat::peak_rss_mb)|DONE' "$kept/$target.log" || true
done
if [ -n "$broken" ]; then
    echo "fuzz: broken:$broken; the inputs are in $kept/broken, what was said in $kept/*.log" >&2
    exit 1
fi
echo "fuzz: nothing broke"
