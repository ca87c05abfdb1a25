"""The CPU: its cores and instruction sets."""

from __future__ import annotations

import functools
import os
from pathlib import Path


def allowed_cores() -> int:
    """Cores that this process may run on; all of them where the system does not restrict any (macOS)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
