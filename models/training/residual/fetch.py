"""Brings together what data.md lists: python fetch.py FOLDER [--eval FOLDER]

Makes FOLDER/videos, FOLDER/validation and FOLDER/photos. Needs git, ffmpeg and, for the photographs, apt-get and dpkg-deb (Debian
or a system like it). What lies there already is kept.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def rows():
    for line in (HERE / "data.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] in ("video", "validation", "photo", "frame"):
            yield cells[:3]


def run(*command, **more):
    return subprocess.run(command, check=True, **more)


def repository(name, into):
    folder = into / name.replace("/", "+")
    if not folder.is_dir():
        url = f"https://github.com/{name}.git"
        run("git", "clone", "-q", "--bare", "--depth", "1", "--filter=blob:none", url, folder)
    return folder


def package(name, into):
    folder = into / name
    if not folder.is_dir():
        run("apt-get", "download", name, cwd=into)
        run("dpkg-deb", "-x", next(into.glob(f"{name}_*.deb")), folder)
    return folder


def bring(source, path, target, evaluation, store):
    if source == "eval":
        data = (evaluation / "video" / path).read_bytes()
    elif "/" in source:
        data = run("git", "-C", repository(source, store), "cat-file", "blob", f"HEAD:{path}", capture_output=True).stdout
    else:
        data = next(package(source, store).rglob(path)).read_bytes()
    if path.endswith(".264"):
        # A stream alone has no times to start from.
        raw = store / Path(path).name
        raw.write_bytes(data)
        run("ffmpeg", "-v", "error", "-y", "-fflags", "+genpts", "-r", "25", "-i", raw, "-c", "copy", target)
    else:
        target.write_bytes(data)


def main():
    wanted = argparse.ArgumentParser()
    wanted.add_argument("folder", type=Path)
    wanted.add_argument("--eval", type=Path, default=HERE / "../../../../shared/eval")
    wanted = wanted.parse_args()
    folders = {kind: wanted.folder / name for kind, name in
               (("video", "videos"), ("validation", "validation"), ("photo", "photos"), ("frame", "photos"))}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as store:
        for number, (kind, source, path) in enumerate(rows()):
            if kind == "frame":
                target = folders[kind] / f"frame-{number}.png"
                seconds = path.split()[1]
                video = wanted.folder / "videos" / source
                if not target.is_file():
                    run("ffmpeg", "-v", "error", "-y", "-ss", seconds, "-i", video, "-frames:v", "1", target)
                continue
            target = folders[kind] / Path(path.replace(".264", ".mkv")).name
            if not target.is_file():
                bring(source, path, target, wanted.eval, Path(store))
                print(target)


if __name__ == "__main__":
    main()
