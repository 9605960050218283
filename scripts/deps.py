"""Fetches, builds and verifies the libraries, models and sample talk that Hearsight loads at run time.

    python3 scripts/deps.py DESTINATION          what `make run` needs
    python3 scripts/deps.py DESTINATION test     also what `make test` needs
    python3 scripts/deps.py DESTINATION bench    also what benches compare with

Every part has a stamp: the hash of everything it is made from. A part is made again when its stamp differs, or when a
file of it no longer matches DESTINATION/manifest.sha256 (so a damaged file is repaired). A part is built beside its
place and renamed into it, so an interrupted run leaves no half of anything. Standard library only.
"""

import hashlib
import inspect
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
MANIFEST = "manifest.sha256"
# Wheel platforms by the machine names that Python reports.
WHEEL_PLATFORMS = {"x86_64": "manylinux_2_28_x86_64", "aarch64": "manylinux_2_28_aarch64"}
# More than three times what a slow link needs; a silent hang must end.
PIP_LIMIT_S = 1800


def say(text):
    print(f"setup: {text}", flush=True)


def fail(text):
    print(f"setup: {text}", file=sys.stderr, flush=True)
    sys.exit(1)


def sha256_of_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def run(command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        fail(f"this command failed with status {done.returncode}: {' '.join(map(str, command))}")


def requirement(name):
    """The pinned lines of one package in requirements.txt, hashes included."""
    text = (HERE / "requirements.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if line.startswith(f"{name}=="):
            return re.sub(r"\s+", " ", line).strip()
    fail(f"scripts/requirements.txt does not name {name}")


def fetch(name, into, *selection, environment=None):
    """Downloads one pinned file with pip, which verifies its hash; returns its path."""
    pinned = into / f"{name}.txt"
    pinned.write_text(requirement(name) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    command += ["--no-deps", "--require-hashes", "--retries", "5", "--dest", str(into), *selection]
    run([*command, "-r", str(pinned)], env={**os.environ, **(environment or {})}, timeout=PIP_LIMIT_S)
    stem = name.replace("-", "_")
    found = [p for p in into.iterdir() if p.name.replace("-", "_").startswith(stem) and p.suffix in (".whl", ".gz")]
    if len(found) != 1:
        fail(f"pip was to leave one file of {name} and left {len(found)}")
    return found[0]


def take(wheel, member_pattern, target):
    """Copies the one member whose name matches out of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if re.fullmatch(member_pattern, n)]
        if len(names) != 1:
            fail(f"{wheel.name} was to hold one {member_pattern} and holds {len(names)}")
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(names[0]) as source, open(target, "wb") as copy:
            shutil.copyfileobj(source, copy)


def make_onnxruntime(place, scratch):
    machine = platform.machine()
    if machine not in WHEEL_PLATFORMS:
        fail(f"there is no ONNX Runtime for '{machine}' here: an x86-64 (or 64-bit Arm) Linux machine is needed")
    target = ["--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11"]
    wheel = fetch("onnxruntime", scratch, *target, "--platform", WHEEL_PLATFORMS[machine])
    take(wheel, r"onnxruntime/capi/libonnxruntime\.so\.[0-9.]+", place / "libonnxruntime.so")


def make_silero(place, scratch):
    wheel = fetch("silero-vad", scratch, "--only-binary=:all:")
    name = "silero_vad_16k_op15.onnx"
    take(wheel, rf"silero_vad/data/{re.escape(name)}", place / name)


def make_ocr(place, scratch):
    wheel = fetch("rapidocr-onnxruntime", scratch, "--only-binary=:all:")
    names = {"detect": "ch_PP-OCRv4_det_infer", "recognise": "ch_PP-OCRv4_rec_infer", "turn": "ch_ppocr_mobile_v2.0_cls_infer"}
    for ours, theirs in names.items():
        take(wheel, rf"rapidocr_onnxruntime/models/{re.escape(theirs)}\.onnx", place / f"{ours}.onnx")


# pip asks the build back end of a source distribution for its metadata even when it only downloads, and would install
# that back end, unpinned, to do so. This one answers the question and does nothing else.
BACK_END = '''
import pathlib
def get_requires_for_build_wheel(config_settings=None):
    return []
def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    folder = pathlib.Path(metadata_directory, "{name}-{version}.dist-info")
    folder.mkdir()
    folder.joinpath("METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return folder.name
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    raise SystemExit("only metadata is offered")
'''


def make_pocketsphinx(place, scratch):
    version = requirement("pocketsphinx").split("==")[1].split()[0]
    back_end = scratch / "back_end" / "scikit_build_core"
    back_end.mkdir(parents=True)
    (back_end / "__init__.py").touch()
    text = BACK_END.format(name="pocketsphinx", version=version)
    (back_end / "build.py").write_text(text, encoding="utf-8")
    selection = ["--no-binary", "pocketsphinx", "--no-build-isolation"]
    sdist = fetch("pocketsphinx", scratch, *selection, environment={"PYTHONPATH": str(back_end.parent)})

    with tarfile.open(sdist) as archive:
        archive.extractall(scratch, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    source, build = scratch / f"pocketsphinx-{version}", scratch / "build"
    say("building PocketSphinx with CMake")
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF", "-DBUILD_GSTREAMER=OFF"]
    # Position independent, to link into Rust executables; no link-time optimisation, whose objects rustc cannot read.
    options += ["-DCMAKE_POSITION_INDEPENDENT_CODE=ON", "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF"]
    run(["cmake", "-S", str(source), "-B", str(build), *options], stdout=subprocess.DEVNULL)
    run(["cmake", "--build", str(build), "--target", "pocketsphinx", "--parallel", str(os.cpu_count() or 1)])

    shutil.copytree(source / "include", place / "include")
    generated = build / "config.h"
    if generated.exists():
        shutil.copy(generated, place / "include" / "config.h")
    for template in place.glob("include/**/*.in"):
        template.unlink()
    for header in build.glob("include/**/*.h"):
        target = place / "include" / header.relative_to(build / "include")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(header, target)
    (place / "lib").mkdir()
    shutil.copy(next(build.rglob("libpocketsphinx.a")), place / "lib")
    models = place / "model" / "en-us"
    models.mkdir(parents=True)
    shutil.copytree(source / "model" / "en-us" / "en-us", models / "en-us")
    for name in ("cmudict-en-us.dict", "en-us.lm.bin"):
        shutil.copy(source / "model" / "en-us" / name, models)
    shutil.copy(source / "LICENSE", place)


def make_talk(place, _scratch):
    run([sys.executable, str(HERE / "talk.py"), str(HERE / "talk.txt"), str(place)])


def install_packages(place, pinned):
    """Python packages with all that they need, into a folder of their own: the system's packages stay as they are."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    command += ["--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-compile", "--retries", "5"]
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    run([*command, "--target", str(place), "-r", str(HERE / pinned)], env=environment, timeout=PIP_LIMIT_S)


def make_aiortc(place, _scratch):
    install_packages(place, "clients.txt")


def make_rapidocr(place, _scratch):
    install_packages(place, "benches.txt")


PARTS = {
    "onnxruntime": ("fetching ONNX Runtime (18 MB)", make_onnxruntime, []),
    "silero": ("fetching the Silero voice detector", make_silero, []),
    "ocr": ("fetching the models of the reader (15 MB)", make_ocr, []),
    "pocketsphinx": ("fetching PocketSphinx and its English model (34 MB)", make_pocketsphinx, []),
    "talk": ("speaking the sample talk with flite", make_talk, ["talk.py", "talk.txt"]),
    "aiortc": ("fetching a WebRTC client by other authors (42 MB)", make_aiortc, ["clients.txt"]),
    "rapidocr": ("fetching a reader of text by other authors (130 MB)", make_rapidocr, ["benches.txt"]),
}
# Parts that not every purpose needs.
FOR_TESTS = {"aiortc"}
FOR_BENCHES = {"rapidocr"}


def stamp_of(part):
    """The hash of all that a part is made from: its recipe, its pinned package, its files, the machine."""
    digest = hashlib.sha256()
    digest.update(inspect.getsource(PARTS[part][1]).encode())
    for name in PARTS[part][2]:
        digest.update((HERE / name).read_bytes())
    if not PARTS[part][2]:
        digest.update(requirement({"silero": "silero-vad", "ocr": "rapidocr-onnxruntime"}.get(part, part)).encode())
    digest.update(platform.machine().encode())
    return digest.hexdigest()


def read_manifest(root):
    """Path to hash, of every file that an earlier run installed."""
    path, entries = root / MANIFEST, {}
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            digest, _, name = line.partition("  ")
            if name:
                entries[name] = digest
    return entries


def write_manifest(root, entries):
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(entries.items()))
    draft = root / f".{MANIFEST}.new"
    draft.write_text(text, encoding="utf-8")
    draft.replace(root / MANIFEST)


def what_is_wrong(root, part, entries):
    """Why a part must be made (again), or None when it is whole."""
    stamp = root / part / ".stamp"
    mine = {n: d for n, d in entries.items() if n.startswith(f"{part}/")}
    if not (root / part).is_dir():
        return "not there yet"
    if not stamp.exists() or stamp.read_text(encoding="utf-8", errors="replace") != stamp_of(part) or not mine:
        return "made from other inputs"
    for name, digest in mine.items():
        if not (root / name).is_file():
            return f"{name} is missing"
        if sha256_of_file(root / name) != digest:
            return f"{name} is damaged"
    return None


def install(root, part, entries):
    title, recipe, _ = PARTS[part]
    say(title)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f".{part}-", dir=root) as scratch:
        place = Path(scratch) / "place" / part
        place.mkdir(parents=True)
        (Path(scratch) / "work").mkdir()
        recipe(place, Path(scratch) / "work")
        (place / ".stamp").write_text(stamp_of(part), encoding="utf-8")
        if (root / part).exists():
            (root / part).replace(Path(scratch) / "old")
        place.replace(root / part)
    for name in [n for n in entries if n.startswith(f"{part}/")]:
        del entries[name]
    for path in (root / part).rglob("*"):
        if path.is_file():
            entries[path.relative_to(root).as_posix()] = sha256_of_file(path)
    write_manifest(root, entries)
    say(f"{part} ready ({time.monotonic() - started:.0f} s)")


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["run"], ["test"], ["bench"]):
        fail("usage: python3 scripts/deps.py DESTINATION [test|bench]")
    purpose = sys.argv[2] if len(sys.argv) == 3 else "run"
    root = Path(sys.argv[1]).resolve()
    root.mkdir(parents=True, exist_ok=True)
    entries, made = read_manifest(root), 0
    for part in PARTS:
        if (part in FOR_TESTS and purpose == "run") or (part in FOR_BENCHES and purpose != "bench"):
            continue
        wrong = what_is_wrong(root, part, entries)
        if wrong:
            if wrong != "not there yet":
                say(f"{part}: {wrong}; making it again")
            install(root, part, entries)
            made += 1
    if not made:
        say(f"libraries and models present and whole in {root.name}")


if __name__ == "__main__":
    main()
