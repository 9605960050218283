#!/bin/sh
# Installs what the build and the running program need: system packages by apt, then libraries and models by
# scripts/deps.py into the folder named by DEPS (.deps unless set). Safe to run at any time; quick when nothing is missing.
#   scripts/setup.sh          what `make run` needs
#   scripts/setup.sh test     also what `make test` needs: a browser, the ffmpeg command, Vulkan in software, a sound server and
#                             a WebRTC client by other authors
#   scripts/setup.sh bench    also what benches compare with: a reader of text by other authors
set -eu
cd "$(dirname "$0")/.."

purpose=${1:-run}
# cmake: PocketSphinx, Opus, whisper.cpp. clang, libclang-dev: bindings to these and to libavcodec and libavformat. flite: speaks the sample talk.
# GStreamer: files, cameras and test patterns to publish. libasound2-dev: the microphone of this machine.
packages="build-essential cmake pkg-config clang libclang-dev libavcodec-dev libavformat-dev libavutil-dev flite
 libasound2-dev libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev gstreamer1.0-plugins-base gstreamer1.0-plugins-good
 gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav"
case $purpose in
run) ;;
# The fonts are those that the scenes of the seeing benchmark are written in.
test | bench) packages="$packages chromium ffmpeg gstreamer1.0-tools mesa-vulkan-drivers libvulkan1 pulseaudio pulseaudio-utils libasound2-plugins
 fonts-dejavu-core fonts-liberation fonts-roboto-unhinted fonts-lato fonts-comic-neue fonts-crosextra-caladea fonts-hack fonts-dosis
 fonts-quicksand fonts-linuxlibertine fonts-open-sans fonts-cabin fonts-cantarell fonts-crosextra-carlito fonts-ebgaramond
 fonts-freefont-ttf" ;;
*)
    echo "setup: unknown purpose '$purpose'; say nothing, 'test' or 'bench'" >&2
    exit 2
    ;;
esac

for tool in cargo node npm python3; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        echo "setup: '$tool' is not installed. Rust 1.92 or later (rustup.rs), Node 20 or later and Python 3.8 or later are needed." >&2
        exit 1
    fi
done
if ! python3 -m pip --version >/dev/null 2>&1; then
    packages="$packages python3-pip"
fi

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

install_packages() {
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif command -v sudo >/dev/null 2>&1; then
        sudo=sudo
    else
        echo "setup: not root and no sudo. Ask an administrator for: apt-get install$missing" >&2
        exit 1
    fi
    echo "setup: installing system packages with apt:$missing"
    # `env` carries the setting through sudo, which drops the caller's environment.
    # Names that an old package index knows may be gone from the mirror, so the index is refreshed first.
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 update </dev/null
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
        install --no-install-recommends $missing </dev/null
}

if command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
    missing=
    for package in $packages; do
        installed "$package" || missing="$missing $package"
    done
    if [ -n "$missing" ]; then
        install_packages
    else
        echo "setup: system packages present"
    fi
else
    # Another distribution: its package names are not ours to guess, the tools can be looked for.
    absent=
    for tool in cc c++ cmake pkg-config clang flite; do
        command -v "$tool" >/dev/null 2>&1 || absent="$absent $tool"
    done
    for library in libavcodec libavformat libavutil; do
        pkg-config --exists "$library" 2>/dev/null || absent="$absent $library-headers"
    done
    if [ "$purpose" != run ]; then
        for tool in chromium ffmpeg; do
            command -v "$tool" >/dev/null 2>&1 || absent="$absent $tool"
        done
    fi
    if [ -n "$absent" ]; then
        echo "setup: this is not a Debian system, so nothing was installed. Please install:$absent" >&2
        echo "setup: on Debian 12 the packages are: $packages" >&2
        exit 1
    fi
    echo "setup: not a Debian system; the tools that are needed were found"
fi

exec python3 scripts/deps.py "${DEPS:-.deps}" "$purpose"
