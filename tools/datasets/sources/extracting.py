"""Write videos that lie in other files into a folder: once, whole, and never over a file that is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from tools.base.disk import make_folder, system_message
from tools.base.terminal import counted
from tools.errors import MediaError, UserError
from tools.media.writing.output_files import remove_unfinished, safe_join

_BLOCK = 1 << 20  # bytes


class Readable(Protocol):
    """What content is read from."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, no more than ``size``; empty at the end."""
        ...


class Extraction:
    """The folder that videos are extracted into.

    Args:
        folder: What ``--extract`` names.
        kind: The source, for the error.

    Attributes:
        written: How many files were written.
        kept: How many were there already, with the same content.

    Raises:
        UserError: No folder was named, or it cannot be made.
    """

    def __init__(self, folder: str | None, kind: str) -> None:
        if folder is None:
            raise UserError(
                f"convert {kind}: the videos lie in other files; name a folder for them: --extract DIR"
            )
        make_folder(folder, "--extract")
        self._folder = folder
        self._cleared: set[Path] = set()
        self.written = self.kept = 0

    def put(self, content: Readable, size: int, name: str, source: str | Path) -> Path:
        """Write a file, unless it is there already.

        Args:
            content: It is read to its end, a block at a time.
            size: Its bytes, as its container says.
            name: Path below the folder, from others: it is checked.
            source: What it is made from, for errors.

        Returns:
            The file.

        Raises:
            MediaError: bad_value: no file can have this name, or it would not be in the folder; encode:
                another file is there; empty: there are no bytes.
            DiskError: The disk refuses.
        """
        from tools.stage.names.new_files import new_file

        if not _is_text(name):
            raise MediaError("bad_value", source, f"the name {name!a} is no UTF-8 text")
        path = safe_join(self._folder, name, source, create=True)
        if path.parent not in self._cleared:
            self._cleared.add(path.parent)
            remove_unfinished(path.parent, lambda name: name.endswith(path.suffix))
        if not size:
            raise MediaError("empty", source, f"{name} has no bytes")
        if path.is_file() and path.stat().st_size == size and _same(content, path, source):
            self.kept += 1
            return path
        if os.path.lexists(path):
            raise MediaError("encode", source, f"{path}: another file is there; choose another --extract DIR")
        with new_file(path, str(source)) as new, new.open("wb") as file:
            done = 0
            while block := _read(content, source):
                done += file.write(block)
            if done != size:
                raise MediaError("unreadable", source, f"{name} ends after {done} of {size} bytes")
        self.written += 1
        return path

    def notes(self) -> list[str]:
        """A line for the user about what was written."""
        kept = f", {self.kept} were there already" if self.kept else ""
        return [f"{counted(self.written, 'file')} written to {self._folder}{kept}"]


def _read(content: Readable, source: str | Path) -> bytes:
    """The next block; what fails here is the source, not the disk that is written to."""
    try:
        return content.read(_BLOCK)
    except OSError as error:
        raise MediaError("unreadable", source, f"cannot be read: {system_message(error)}") from None


def _same(content: Readable, path: Path, source: str | Path) -> bool:
    """Whether a file has this content; both are read up to the first difference."""
    with path.open("rb") as there:
        while True:
            block, other = _read(content, source), there.read(_BLOCK)
            if block != other:
                return False
            if not block:
                return True


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
