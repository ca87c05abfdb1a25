"""Locks on files between processes (``flock``); a lock ends with its process, in whatever way."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def holding(file: int) -> Iterator[None]:
    """Wait for the lock of an open file, hold it, and close the file in the end.

    A file system without locks keeps nobody away.

    Args:
        file: Its descriptor.
    """
    try:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def is_locked(path: Path) -> bool | None:
    """Whether a process has the lock of a file; None where that cannot be known: no file, or no locks.

    Args:
        path: The file.
    """
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(file)
    return False
