"""Hand results from a worker process to its parent: large arrays as files in shared memory, the rest pickled.

Arrays in a pipe are copied in small pieces on both sides. Files are used rather than mapped segments, because
writing to a full shared-memory disk then is an error that can be answered (the pipe takes the array), and not
a signal that kills the worker.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import shutil
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple

_SMALL = 64 * 1024  # bytes; below this a pipe is as fast
_PREFIX = "vidsieve-"
_UNFINISHED = "unfinished-"  # and the number of the process that writes it
_SETTLED = 60  # seconds; a folder younger than this may not have its lock yet


class Parcel(NamedTuple):
    """A pickled result; its large buffers lie one after the other in a file, if there is one."""

    pickled: bytes
    file: str = ""
    sizes: tuple[int, ...] = ()


def pack(result: Any, folder: str) -> Parcel:
    """In the worker: pickle a result, its large arrays into a file.

    Args:
        result: Anything that pickles.
        folder: `Handover.folder` of the parent.

    Returns:
        The parcel; without a file when the result is small or there is no room in the folder.
    """
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(result, protocol=5, buffer_callback=buffers.append)
    views = [buffer.raw() for buffer in buffers]
    if not views:
        return Parcel(pickled)
    if sum(view.nbytes for view in views) < _SMALL:
        return Parcel(pickle.dumps(result, protocol=5))
    unfinished = Path(folder) / f"{_UNFINISHED}{os.getpid()}"
    finished = Path(folder) / f"parcel-{uuid.uuid4().hex}"
    try:
        with unfinished.open("wb", buffering=0) as file:
            for view in views:
                done = 0
                while done < view.nbytes:
                    done += file.write(view[done:])
        unfinished.rename(finished)
    except OSError:  # the shared-memory disk is full, or the folder is gone
        with contextlib.suppress(OSError):
            unfinished.unlink()
        return Parcel(pickle.dumps(result, protocol=5))
    return Parcel(pickled, str(finished), tuple(view.nbytes for view in views))


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

    def unpack(self, packed: Parcel) -> Any:
        """Get back what a worker packed."""
        if not packed.file:
            return pickle.loads(packed.pickled)
        buffers = []
        with Path(packed.file).open("rb", buffering=0) as file:
            for size in packed.sizes:
                buffer = bytearray(size)
                view = memoryview(buffer)
                done = 0
                while done < size:
                    read = file.readinto(view[done:])
                    if not read:
                        raise OSError(f"{packed.file}: ends too early")
                    done += read
                buffers.append(buffer)
        Path(packed.file).unlink()
        return pickle.loads(packed.pickled, buffers=buffers)

    def sweep(self) -> None:
        """Remove what workers that were killed had begun to write."""
        for file in Path(self.folder).glob(f"{_UNFINISHED}*"):
            if not process_exists(int(file.name.removeprefix(_UNFINISHED))):
                file.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


def process_exists(pid: int) -> bool:
    """Whether there is a process of this number on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _shared_memory() -> str:
    folder = "/dev/shm"
    return folder if os.access(folder, os.W_OK | os.X_OK) else tempfile.gettempdir()


def _remove_leftovers(base: str) -> None:
    for folder in Path(base).glob(f"{_PREFIX}*"):
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
