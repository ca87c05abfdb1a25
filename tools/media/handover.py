"""Hand results from a worker process to its parent: large arrays as files in shared memory, the rest pickled.

Arrays in a pipe are copied in small pieces on both sides. Files are used rather than mapped segments, because
writing to a full shared-memory disk then is an error that can be answered (the pipe takes the array), and not
a signal that kills the worker.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

_SMALL = 64 * 1024  # bytes; below this a pipe is as fast
_PREFIX = "vidsieve-"
_SETTLED = 60  # seconds; a folder younger than this may not have its lock yet


class Parcel(NamedTuple):
    """A pickled result; its large buffers lie one after the other in a file."""

    pickled: bytes
    file: str
    sizes: list[int]


def pack(result: Any, folder: str) -> Parcel | Any:
    """In the worker: put the large arrays of a result into a file.

    Args:
        result: Anything that pickles.
        folder: `Handover.folder` of the parent.

    Returns:
        A `Parcel`, or the result itself when it is small or there is no room in the folder.
    """
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(result, protocol=5, buffer_callback=buffers.append)
    views = [buffer.raw() for buffer in buffers]
    if sum(view.nbytes for view in views) < _SMALL:
        return result
    name = None
    try:
        handle, name = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb", buffering=0) as file:
            for view in views:
                done = 0
                while done < view.nbytes:
                    done += file.write(view[done:])
    except OSError:  # the shared-memory disk is full
        if name is not None:
            Path(name).unlink(missing_ok=True)
        return result
    return Parcel(pickled, name, [view.nbytes for view in views])


class Handover:
    """The parent's side: a folder of its own in shared memory, removed at the end.

    Folders of parents that were killed are removed by the next one.
    """

    def __init__(self) -> None:
        base = _shared_memory()
        _remove_leftovers(base)
        self.folder = tempfile.mkdtemp(prefix=_PREFIX, dir=base)
        # Held until this process ends, however it does: so others see that the folder is in use.
        self._lock = os.open(Path(self.folder) / "lock", os.O_CREAT | os.O_RDWR)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def unpack(self, packed: Any) -> Any:
        """Get back what a worker packed."""
        if not isinstance(packed, Parcel):
            return packed
        buffers = []
        with Path(packed.file).open("rb", buffering=0) as file:
            for size in packed.sizes:
                buffer = bytearray(size)
                view = memoryview(buffer)
                done = 0
                while done < size:
                    done += file.readinto(view[done:])
                buffers.append(buffer)
        Path(packed.file).unlink()
        return pickle.loads(packed.pickled, buffers=buffers)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


def _shared_memory() -> str:
    folder = "/dev/shm"
    return folder if os.access(folder, os.W_OK | os.X_OK) else tempfile.gettempdir()


def _remove_leftovers(base: str) -> None:
    for folder in Path(base).glob(f"{_PREFIX}*"):
        try:
            if time.time() - folder.stat().st_mtime < _SETTLED:
                continue
            lock = os.open(folder / "lock", os.O_RDWR)
        except OSError:  # not ours to read, or being removed by somebody else
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            pass  # its owner is alive
        finally:
            os.close(lock)
