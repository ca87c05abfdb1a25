"""Pass results from a worker process to its parent: large arrays as files in shared memory, the rest pickled.

Arrays in a pipe are copied in small pieces on both sides. Files are used rather than mapped segments because
writing to a full shared-memory disk is then an error that can be handled (the array goes through the pipe),
not a signal that kills the worker.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import tempfile
import uuid
from pathlib import Path
from typing import Any, NamedTuple

from tools.base.temporary_folder import TemporaryFolder

_SMALL = 64 * 1024  # bytes; below this a pipe is as fast
_UNFINISHED = "unfinished-"  # and the id of the process that writes it


class PackedResult(NamedTuple):
    """A pickled result, with its large buffers one after the other in a file, if there is one."""

    pickled: bytes
    file: str = ""
    sizes: tuple[int, ...] = ()


def pack_result(result: Any, folder: str) -> PackedResult:
    """In the worker: pickle a result, and write its large arrays to a file.

    Args:
        result: Anything that pickles.
        folder: `SharedMemory.folder` of the parent.

    Returns:
        The packed result; without a file if it is small or the folder is full.
    """
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(result, protocol=5, buffer_callback=buffers.append)
    views = [buffer.raw() for buffer in buffers]
    if not views:
        return PackedResult(pickled)
    if sum(view.nbytes for view in views) < _SMALL:
        return PackedResult(pickle.dumps(result, protocol=5))
    unfinished = Path(folder) / f"{_UNFINISHED}{os.getpid()}"
    finished = Path(folder) / f"result-{uuid.uuid4().hex}"
    try:
        with unfinished.open("wb", buffering=0) as file:
            for view in views:
                done = 0
                while done < view.nbytes:
                    done += file.write(view[done:])
        unfinished.rename(finished)
    except OSError:  # the shared-memory disk is full, or the folder was removed
        with contextlib.suppress(OSError):
            unfinished.unlink()
        return PackedResult(pickle.dumps(result, protocol=5))
    return PackedResult(pickled, str(finished), tuple(view.nbytes for view in views))


class SharedMemory:
    """The parent's side: a temporary folder in shared memory, removed by `close`."""

    def __init__(self) -> None:
        self._temporary = TemporaryFolder(_shared_memory())
        self.folder = str(self._temporary.path)

    def unpack(self, packed: PackedResult) -> Any:
        """Load a result that a worker packed, and remove its file."""
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

    def remove_unfinished(self) -> None:
        """Remove files that killed workers had begun to write."""
        for file in Path(self.folder).glob(f"{_UNFINISHED}*"):
            if not process_exists(int(file.name.removeprefix(_UNFINISHED))):
                file.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder."""
        self._temporary.close()


def process_exists(pid: int) -> bool:
    """Whether there is a process with this id on this machine."""
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
