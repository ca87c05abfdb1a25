"""New files of a row: written under a temporary name, and never over a file of another table."""

from __future__ import annotations

import dataclasses
import filecmp
import functools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tools.base.disk import disk_error, sync_names, sync_open, system_message
from tools.errors import MediaError
from tools.media.writing.output_files import move_finished, unfinished_file
from tools.stage.names.owners import names_of_others
from tools.stage.shards import state_of

_MADE = "made.jsonl"


@contextmanager
def new_file(
    path: Path, source: str, *, overwrite: bool = False, made: MadeFiles | None = None, name: str = ""
) -> Iterator[Path]:
    """Yield a temporary name to write to; when the block ends without an error, rename the file.

    An existing file is left alone if it has the same bytes (a run was killed before the row was in the
    ledger).

    Args:
        path: Final name.
        source: What the file is made from, for errors.
        overwrite: Replace a file with other bytes.
        made: The files made for the table; with it only one of these is replaced.
        name: The name that the row has reserved in the folder.

    Yields:
        A name in the same folder.

    Raises:
        MediaError: encode: another file has this name.
        DiskError: The disk refuses.
    """
    try:
        if path.is_dir():
            raise MediaError("encode", source, f"{path} is a folder")
        if is_same_file(path, source):
            raise MediaError("encode", source, "the new file would overwrite it; choose another folder")
        with unfinished_file(path) as new:
            yield new
            if os.path.lexists(path):
                if path.exists() and filecmp.cmp(new, path, shallow=False):
                    return
                own = made is None or (path.exists() and made.is_own(path, name))
                if not (overwrite and own):
                    raise _not_replaced(path, source, own=own)
            if made is not None:
                made.add(new, path)
            try:
                move_finished(new, path, replace=overwrite and os.path.lexists(path))
            except FileExistsError:  # of another run at the same time
                if not filecmp.cmp(new, path, shallow=False):
                    raise _not_replaced(path, source, own=False) from None
    except OSError as error:
        raise disk_error(path, error) or MediaError(
            "encode", source, f"{path}: {system_message(error)}"
        ) from None


def is_same_file(path: Path, source: str) -> bool:
    """Whether a path is another name of a file."""
    with suppress(OSError):  # either may be missing
        return path.samefile(source)
    return False


def _not_replaced(path: Path, source: str, *, own: bool) -> MediaError:
    way_out = "--overwrite replaces it" if own else "move it away, or choose another folder"
    return MediaError("encode", source, f"{path}: another file is there; {way_out}")


@dataclasses.dataclass(frozen=True)
class MadeFiles:
    """The list of files made for a table, each added just before it gets its final name.

    By it an existing file of the table is distinguished from one of somebody else.

    Attributes:
        folder: The folder of the files.
        table: The table.
    """

    folder: str
    table: Path

    def add(self, new: Path, path: Path) -> None:
        """Add a file to the list.

        Args:
            new: The finished file, under its temporary name.
            path: Its final name.

        Raises:
            OSError: The list cannot be written.
        """
        status = new.stat()
        line = json.dumps([str(path.absolute()), status.st_size, status.st_mtime_ns])
        listed = self._list()
        file = os.open(listed, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            is_new = not os.fstat(file).st_size
            os.write(file, f"\n{line}".encode("ascii"))  # after a torn line, too
            sync_open(file)  # before the file has its name, by which it would be taken for another owner's
            if is_new:
                sync_names(list(listed.parents)[:3])  # of the list, of the table's state and of all states
        finally:
            os.close(file)

    def is_own(self, path: Path, name: str) -> bool:
        """Whether an existing file was made for this table, and for no other one.

        Args:
            path: The file.
            name: The name that its row has reserved in the folder.
        """
        status = path.stat()
        known = (str(path.absolute()), status.st_size, status.st_mtime_ns) in _made(self._list())
        return known and name not in names_of_others(self.folder, self.table)

    def _list(self) -> Path:
        return state_of(self.table) / _MADE


def _made(listed: Path) -> frozenset[tuple[str, int, int]]:
    """The entries of a list; read again when it has grown."""
    try:
        return _read(listed, listed.stat().st_size)
    except OSError:
        return frozenset()


@functools.lru_cache(maxsize=2)
def _read(listed: Path, size: int) -> frozenset[tuple[str, int, int]]:
    found = set()
    with suppress(OSError), listed.open(encoding="ascii") as lines:
        for line in lines:
            with suppress(ValueError, TypeError):  # torn by a kill
                found.add(tuple(json.loads(line)))
    return frozenset(found)
