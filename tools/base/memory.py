"""Memory that this process may use: that of the machine, or what its container leaves of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def usable_memory(groups: Path = _GROUPS, own: Path = _OWN) -> int:
    """Bytes of memory, in use or not: of the machine, or of a limit of a control group, if that is less.

    Args:
        groups: Where the control groups of Linux are, of version 1 or 2.
        own: File that names those of this process.
    """
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([whole, *_limits(groups, own)])


def _limits(groups: Path, own: Path) -> Iterator[int]:
    """The limits of the groups of this process, and of those around them."""
    lines: list[str] = []
    with suppress(OSError):
        lines = own.read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = groups / "memory" if controllers else groups
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        group = root / path.lstrip("/")  # in a container, perhaps that of the host, which is not here
        for place in (group, *group.parents):
            with suppress(OSError, ValueError):  # no such file, or "max"
                yield int((place / name).read_text())
            if place == root:
                break
