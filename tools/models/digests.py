"""SHA-256 of files, cached while a file is unchanged."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from tools.base.temporary_files import write_whole
from tools.errors import UserError

_BLOCK = 1 << 20  # bytes


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    The result is cached in the user's cache folder with the file's size and modification time, so that large
    weights are read once and not at every start. A cache that cannot be written is ignored.

    Args:
        path: A regular file.
    """
    path = Path(path).resolve()
    stat = path.stat()
    state = [str(path), stat.st_size, stat.st_mtime_ns]
    stamp = _stamp_path(path)
    try:
        remembered = json.loads(stamp.read_text())
        if remembered["file"] == state:
            return remembered["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not cached yet, or damaged: compute and write it again
    digest = read_sha256(path)
    _remember(stamp, {"file": state, "sha256": digest})
    return digest


def combined_sha256(paths: list[Path]) -> str:
    """One SHA-256 of several files: of their names and digests, sorted by name."""
    total = hashlib.sha256()
    for path in sorted(paths, key=lambda p: p.name):
        total.update(f"{path.name}\0{file_sha256(path)}\n".encode())
    return total.hexdigest()


def read_sha256(path: str | Path) -> str:
    """SHA-256 of a file without the cache, in hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _stamp_path(path: Path) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    return Path(cache).expanduser() / "vidsieve" / "sha256" / f"{name}.json"


def _remember(stamp: Path, entry: dict[str, object]) -> None:
    with suppress(OSError, UserError):  # a read-only home costs time only
        stamp.parent.mkdir(parents=True, exist_ok=True)
        write_whole(stamp, json.dumps(entry).encode())
