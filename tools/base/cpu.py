"""Instruction sets of the CPU."""

from __future__ import annotations

import functools
from pathlib import Path


@functools.cache
def cpu_flags() -> frozenset[str]:
    """Instruction sets of this machine by their names in ``/proc/cpuinfo``; empty if that is missing."""
    try:
        return read_flags(Path("/proc/cpuinfo").read_text())
    except OSError:
        return frozenset()


def read_flags(cpuinfo: str) -> frozenset[str]:
    """The flags of the first processor in the text of a ``/proc/cpuinfo``."""
    for line in cpuinfo.splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()
