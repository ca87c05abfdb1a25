"""Temporary folders that are removed even if their process is killed: by the next process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

from tools.base.disk import writing

_PREFIX = "vidsieve-"
_LOCKED_AFTER = 60  # seconds; a newer folder may not be locked yet


class TemporaryFolder:
    """A folder of this process. Folders of killed processes are removed when the next one is created.

    Args:
        base: The folder to create it in.

    Attributes:
        path: The folder.

    Raises:
        DiskError: It cannot be created.
    """

    def __init__(self, base: str | Path) -> None:
        _remove_leftovers(Path(base))
        with writing(base):
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
            # Locked until this process ends, in whatever way, to show others that the folder is in use.
            self._lock = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR)
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove the folder and its contents."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _remove_leftovers(base: Path) -> None:
    for folder in base.glob(f"{_PREFIX}*"):
        try:
            if time.time() - folder.stat().st_mtime < _LOCKED_AFTER:
                continue
            lock = os.open(folder / "lock", os.O_RDWR)
        except FileNotFoundError:  # killed before it was locked, or being removed by another process
            with contextlib.suppress(OSError):
                folder.rmdir()
            continue
        except OSError:  # another user's
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            pass  # its owner is alive
        finally:
            os.close(lock)
