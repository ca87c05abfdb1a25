"""Object storage for tests: a file system of fsspec over a folder, where an object appears as a whole.

As a program it runs `tools.export` and kills itself at a given write, so that a run is cut off at that place.
"""

from __future__ import annotations

import os
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

FOLDER = "VIDSIEVE_TEST_OBJECTS"
"""Environment variable with the folder that the objects are in."""


class ObjectStore(LocalFileSystem):
    """``objects://bucket/key`` is the file ``bucket/key`` in the folder that `FOLDER` names.

    Attributes:
        writes: How many objects were to be written.
        fails: Exceptions that the next writes raise, None for none.
        dies: The write at which the process is killed, and whether that is before it.
    """

    protocol = "objects"
    cachable = False
    writes = 0
    fails: list[Exception | None] = []
    dies: tuple[int, bool] = (0, True)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        folder = os.environ[FOLDER]
        path = path.removeprefix("objects://").rstrip("/")
        return path if path.startswith(folder) else f"{folder}/{path}"

    def get_file(self, rpath: str, lpath: str, **_: Any) -> None:
        Path(lpath).write_bytes(Path(self._strip_protocol(rpath)).read_bytes())

    def put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **_: Any) -> None:
        self.pipe_file(rpath, Path(lpath).read_bytes(), mode)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        kind = type(self)
        kind.writes += 1
        number, before = kind.dies
        if number == kind.writes and before:
            os.kill(os.getpid(), signal.SIGKILL)
        fault = kind.fails.pop(0) if kind.fails else None
        if fault is not None:
            raise fault
        target = Path(self._strip_protocol(path))
        bucket = Path(os.environ[FOLDER], target.relative_to(os.environ[FOLDER]).parts[0])
        if not bucket.is_dir():
            raise FileNotFoundError("the bucket does not exist")
        target.parent.mkdir(parents=True, exist_ok=True)
        if mode == "create" and target.exists():
            raise FileExistsError(str(target))
        unfinished = bucket.parent / f"{uuid.uuid4().hex}.unfinished"
        unfinished.write_bytes(value)
        unfinished.replace(target)
        if number == kind.writes:
            os.kill(os.getpid(), signal.SIGKILL)


fsspec.register_implementation("objects", ObjectStore, clobber=True)

if __name__ == "__main__":
    from tools import cli
    from tools.export.__main__ import main

    ObjectStore.dies = (int(sys.argv[1]), sys.argv[2] == "before")
    cli.run(lambda: main(sys.argv[3:]))
