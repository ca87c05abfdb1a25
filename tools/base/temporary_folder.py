"""A temporary folder that goes when its owner does, at the latest when another owner comes."""

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
_SETTLED = 60  # seconds; a folder younger than this may not have its lock yet


class TemporaryFolder:
    """A folder of this process alone. Those of processes that were killed are removed by the next one.

    Args:
        base: Where it is made.

    Attributes:
        path: The folder.

    Raises:
        DiskError: It cannot be made.
    """

    def __init__(self, base: str | Path) -> None:
        _remove_leftovers(Path(base))
        with writing(base):
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
            # Held until this process ends, however it does: so others see that the folder is in use.
            self._lock = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR)
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _remove_leftovers(base: Path) -> None:
    for folder in base.glob(f"{_PREFIX}*"):
        try:
            if time.time() - folder.stat().st_mtime < _SETTLED:
                continue
            lock = os.open(folder / "lock", os.O_RDWR)
        except FileNotFoundError:  # killed before it had a lock, or being removed by somebody else
            with contextlib.suppress(OSError):
                folder.rmdir()
            continue
        except OSError:  # not ours to read
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            pass  # its owner is alive
        finally:
            os.close(lock)
