"""Locks on files between processes (``flock``); a lock ends with its process, in whatever way."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_AGAIN = 0.05  # seconds until a lock is tried again


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


def take(file: int, patience: float = 0.0) -> bool:
    """Lock an open file, unless another process has it locked for so long.

    A file system without locks keeps nobody away.

    Args:
        file: Its descriptor; closing it ends the lock.
        patience: Seconds to wait for the other process.

    Returns:
        Whether nobody else has the lock.
    """
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(min(_AGAIN, patience))
        except OSError:  # a file system without locks
            return True
        else:
            return True


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
