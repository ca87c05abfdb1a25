"""Locks on files that several processes use; a lock ends with its process, in whatever way."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.base.disk import cannot_write, system_message
from tools.errors import MediaError, UserError

_AGAIN = 0.1  # seconds until a lock is tried again
_NEVER = threading.Event()


class Lock:
    """A lock on a file; it ends with the process, in whatever way."""

    def __init__(self, file: int) -> None:
        self.file = file

    @property
    def is_held(self) -> bool:
        """Whether there was a file to lock."""
        return self.file >= 0

    def share(self) -> None:
        """Let others use the file, too, but not remove it."""
        fcntl.flock(self.file, fcntl.LOCK_SH)

    @contextmanager
    def taken_over(self) -> Iterator[None]:
        """Hold the lock until the end of another block."""
        file, self.file = self.file, -1
        try:
            yield
        finally:
            os.close(file)


@contextmanager
def locked(
    path: Path, address: str, cancelled: threading.Event | None, *, alone: bool = False
) -> Iterator[Lock]:
    """Lock a file, once nobody has it locked for himself.

    Args:
        path: The file.
        address: Whose file it is.
        cancelled: Ends the waiting when set.
        alone: Nobody else may lock it, and it is created if it is not there.

    Yields:
        The lock, which is not held if there is no such file.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND if alone else os.O_RDONLY
    lock = Lock(-1)
    try:
        while True:
            try:
                lock.file = os.open(path, flags, 0o666)
            except FileNotFoundError:
                if alone:
                    raise cannot_write(path, FileNotFoundError(errno.ENOENT, "")) from None
                break
            except OSError as error:
                raise cannot_write(path, error) from None
            if _flock(lock.file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH):
                # It may have been renamed or removed before the lock was there.
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(lock.file), path.stat()):
                        break
            os.close(lock.file)
            lock.file = -1
            if (cancelled or _NEVER).wait(_AGAIN):
                raise MediaError("network", address, "the run has ended")
        yield lock
    finally:
        if lock.file >= 0:
            os.close(lock.file)


def lock_alone(file: int) -> bool:
    """Lock an open file for this process alone; whether that was possible at once.

    Raises:
        UserError: The file system has no locks.
    """
    return _flock(file, fcntl.LOCK_EX)


def _flock(file: int, how: int) -> bool:
    """Lock a file unless somebody has it locked already.

    Raises:
        UserError: The file system has no locks.
    """
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise UserError(
            f"--cache: the file system has no locks ({system_message(error)}); choose another folder"
        ) from None
    return True
