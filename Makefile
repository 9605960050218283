# The few commands of Hearsight; `make` alone lists them. Continuous integration calls these and nothing else.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules
SHELL := /bin/sh

# Where set-up installs, and where the build and the program look for it.
DEPS ?= .deps
export DEPS
export HEARSIGHT_DEPS := $(abspath $(DEPS))
# Unix seconds at which this command began: the demo measures its first caption from here.
export HEARSIGHT_STARTED := $(shell date +%s)
export CARGO_TERM_PROGRESS_WHEN ?= auto
# The browser tests use the system's browser; nothing is to be downloaded by npm's install hooks.
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD := 1

# Vulkan in software complains at every start without one.
export XDG_RUNTIME_DIR := $(or $(XDG_RUNTIME_DIR),$(abspath artefacts))

TARGET := $(or $(CARGO_TARGET_DIR),target)
took = echo "make $@: done in $$(( $$(date +%s) - $(HEARSIGHT_STARTED) )) s"

.PHONY: help setup setup-test setup-bench web run test check eval bench-latency bench-graph bench-ingest bench-interpolation bench-seeing bench-hearing bench-allocation bench-softening bench-deadlines soak hostile fuzz clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install system packages, libraries, models and the sample talk (quick when they are there)
	@echo "setup: looking at what \`make run\` needs"
	@scripts/setup.sh
	@$(took)

setup-test:
	@echo "setup: looking at what \`make test\` needs"
	@scripts/setup.sh test

setup-bench:
	@echo "setup: looking at what the benches need"
	@scripts/setup.sh bench

# The recogniser that `make run` tries to pull, for a minute at most; without it captions come from the embedded one.
RECOGNISER := moonshine-streaming-tiny
# `--workspace` chooses the same features as the tests do, so that neither command rebuilds what the other built.
run: setup web ## build, play the sample talk through a real WebRTC connection, then keep serving the page
	@echo "run: building hearsight (optimised; several minutes the first time)"
	@cargo build --release --locked --workspace --bin hearsight
	@$(TARGET)/release/hearsight models pull --within 60 $(RECOGNISER) || echo "run: captions come from the embedded PocketSphinx"
	@$(TARGET)/release/hearsight demo

test: setup-test web tests/clients/node_modules/.installed ## run every test: the client's, the engine's and those in a real browser
	@mkdir -p artefacts
	@echo "test: the TypeScript client"
	@cd web-client && npm test && npm run --silent test:browser
	@echo "test: the engine (optimised; the first build takes several minutes)"
	@cargo build --release --locked --workspace --bins
	@cargo test --release --locked --workspace
	@$(took)

web: web-client/dist/.built ## build the page and the TypeScript client

WEB_SOURCES := $(shell find web-client -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

web-client/node_modules/.installed: web-client/package.json web-client/package-lock.json
	@echo "web: installing the build tools of the page with npm"
	@cd web-client && npm ci --no-audit --no-fund </dev/null
	@touch $@

tests/clients/node_modules/.installed: tests/clients/package.json tests/clients/package-lock.json
	@echo "test: installing WebRTC clients by other authors with npm"
	@cd tests/clients && npm ci --no-audit --no-fund </dev/null
	@touch $@

# Only when a source changed: the program embeds the page, and would be rebuilt for nothing.
web-client/dist/.built: web-client/node_modules/.installed $(WEB_SOURCES)
	@echo "web: building the page and the client library"
	@cd web-client && npm run --silent build
	@touch $@

check: setup web ## formatting, lints, licences, types and documentation, every warning an error
	@scripts/check.sh
	@$(took)

# The last line of their output is the result: nothing of ours may follow it.
eval: setup ## recognition over the labelled recordings beside the checkout, if any: errors and delays
	@echo "eval: building and running the recogniser over the recordings"
	@cargo run --release --locked -p hearsight-tests --bin eval -- $(ARGS)
	@$(took) >&2

bench-latency: setup-test web ## a flash and a click, felt in a real page, beside the sum of the reported segments
	@echo "bench-latency: building and running (optimised)"
	@cargo run --release --locked -p hearsight-tests --bin bench-latency -- $(ARGS)
	@$(took) >&2

bench-graph: setup ## one hop through a link, beside a tokio channel and a GStreamer queue
	@echo "bench-graph: building and running (optimised)"
	@cargo run --release --locked -p hearsight-tests --bin bench-graph -- $(ARGS)
	@$(took) >&2

bench-ingest: setup ## what a session costs beside bare decoding, how soon it stands, and how many there may be
	@echo "bench-ingest: building and running (optimised; about four minutes)"
	@cargo build --release --locked --workspace --bin hearsight
	@cargo run --release --locked -p hearsight-tests --bin bench-ingest -- $(ARGS)
	@$(took) >&2

soak: setup ## 1,000 sessions that come and go, and an hour of two that stay: nothing may be left behind
	@echo "soak: building and running (optimised; an hour and a half)"
	@cargo build --release --locked --workspace --bin hearsight
	@cargo run --release --locked -p hearsight-tests --bin soak -- $(ARGS)
	@$(took) >&2

hostile: setup-test web ## the real server under each attack: words and latency of a session that must not notice
	@echo "hostile: building and running (optimised); about seven minutes"
	@cargo build --release --locked --workspace --bins
	@cargo run --release --locked -p hearsight-tests --bin hostile -- $(ARGS)
	@$(took) >&2

# Seconds for each reader.
FUZZ_SECONDS ?= 60
fuzz: setup ## libFuzzer over every reader of bytes: FUZZ_SECONDS=60 for each, ARGS="h264 offer" for some
	@mkdir -p artefacts
	@scripts/fuzz.sh $(FUZZ_SECONDS) $(ARGS)
	@$(took)

bench-interpolation: setup-test ## rebuild dropped pictures: ours beside a blend, ffmpeg's minterpolate and the published recipe
	@echo "bench-interpolation: building and running (optimised; several minutes where real clips are present)"
	@cargo run --release --locked -p hearsight-tests --bin bench-interpolation -- $(ARGS)
	@$(took) >&2

bench-seeing: setup-bench ## what is seen of scenes at the rates of a camera, by the reader and by glance; the reader beside its Python package
	@echo "bench-seeing: building and running (optimised)"
	@cargo run --release --locked -p hearsight-tests --bin bench-seeing -- $(ARGS)
	@$(took) >&2

bench-hearing: setup ## what hearing costs a session at its beginning, after a minute and after an hour; its memory
	@echo "bench-hearing: building and running (optimised; several minutes)"
	@cargo run --release --locked -p hearsight-tests --bin bench-hearing -- $(ARGS)
	@$(took) >&2

bench-allocation: setup-test ## questions over recorded uplinks: congestion control alone beside caps, regions and rates of pictures
	@echo "bench-allocation: building and running (optimised; a quarter of an hour, with ARGS=\"--scenes 4 --traces 2\" two minutes)"
	@cargo run --release --locked -p hearsight-tests --bin bench-allocation -- $(ARGS)
	@$(took) >&2

bench-deadlines: setup ## what comes in time at up to ten times what a machine can do, ours beside other orders and a bound
	@echo "bench-deadlines: building and running (optimised; several minutes)"
	@cargo build --release --locked --workspace --bin hearsight
	@cargo run --release --locked -p hearsight-tests --bin bench-deadlines -- $(ARGS)
	@$(took) >&2

bench-softening: setup-test web ## a real Chromium behind a thin uplink: how sharp what matters is, with allocation off and on
	@echo "bench-softening: building and running (optimised; about three minutes)"
	@cargo build --release --locked --workspace --bin hearsight
	@cargo run --release --locked -p hearsight-tests --bin bench-softening -- $(ARGS)
	@$(took) >&2

clean: ## remove what was built (what set-up installed stays: delete .deps to fetch it again)
	@echo "clean: removing build outputs"
	@cargo clean
	@rm -rf web-client/dist web-client/node_modules tests/clients/node_modules artefacts
