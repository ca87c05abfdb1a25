"""Segments of shared memory that processes leave behind."""

from __future__ import annotations

import time
from pathlib import Path

_FOLDER = Path("/dev/shm")
_PATIENCE = 5.0  # seconds that another process may keep a segment


def segments() -> set[str]:
    """Names of the segments."""
    return {path.name for path in _FOLDER.iterdir()} if _FOLDER.is_dir() else set()


def left(before: set[str], ignored: tuple[str, ...] = ()) -> set[str]:
    """Segments that were not there before and that no process uses, also not in a few seconds.

    Args:
        before: What `segments` found.
        ignored: Beginnings of names that do not count.
    """
    until = time.monotonic() + _PATIENCE
    while found := {name for name in segments() - before if _is_left(name, ignored)}:
        if time.monotonic() > until:
            break
        time.sleep(0.2)
    return found


def _is_left(name: str, ignored: tuple[str, ...]) -> bool:
    return not name.startswith(ignored) and not _is_used(_FOLDER / name)


def _is_used(path: Path) -> bool:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if str(path) in (entry / "maps").read_text():
                    return True
            except OSError:
                continue
    return False
