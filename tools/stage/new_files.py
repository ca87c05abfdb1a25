"""One new file of a row: written under another name, and never over what the row's table has not made."""

from __future__ import annotations

import dataclasses
import filecmp
import functools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tools.base.disk import disk_error
from tools.errors import MediaError
from tools.media.writing.output_files import move_finished, unfinished_file
from tools.stage.owners import names_of_others, state_of

_MADE = "made.jsonl"


@contextmanager
def new_file(
    place: Path, source: str, *, overwrite: bool = False, made: Made | None = None, name: str = ""
) -> Iterator[Path]:
    """Give a temporary name to write to; when the block ends well, move the file into place.

    A file that stands there already is left alone if it has the same bytes (a run was killed before it had
    noted the row).

    Args:
        place: Final name.
        source: What the file is made of, for errors.
        overwrite: Replace a file with other bytes.
        made: What was made for the table; with it only such a file is replaced.
        name: The name that the row has taken in the folder.

    Yields:
        A name in the same folder.

    Raises:
        MediaError: encode: another file is in the way.
        DiskError: The disk refuses.
    """
    try:
        if place.is_dir():
            raise MediaError("encode", source, f"{place} is a folder")
        if _same(place, source):
            raise MediaError("encode", source, "the new file would overwrite it; choose another folder")
        with unfinished_file(place) as new:
            yield new
            if os.path.lexists(place):
                if place.exists() and filecmp.cmp(new, place, shallow=False):
                    return
                own = made is None or (place.exists() and made.is_own(place, name))
                if not (overwrite and own):
                    raise _in_the_way(place, source, own=own)
            if made is not None:
                made.note(new, place)
            try:
                move_finished(new, place, replace=overwrite and os.path.lexists(place))
            except FileExistsError:  # of another run that was at work at the same time
                if not filecmp.cmp(new, place, shallow=False):
                    raise _in_the_way(place, source, own=False) from None
    except OSError as error:
        raise disk_error(place, error) or MediaError(
            "encode", source, f"{place}: {error.strerror or error}"
        ) from None


def _same(place: Path, source: str) -> bool:
    with suppress(OSError):  # there need not be either
        return place.samefile(source)
    return False


def _in_the_way(place: Path, source: str, *, own: bool) -> MediaError:
    way_out = "--overwrite replaces it" if own else "move it away, or choose another folder"
    return MediaError("encode", source, f"{place}: another file is there; {way_out}")


@dataclasses.dataclass(frozen=True)
class Made:
    """The files that a table's rows were made into, noted just before they move into place.

    So a file that is in the way can be told from one that somebody else has put there.

    Attributes:
        folder: The folder of the files.
        table: The table.
    """

    folder: str
    table: Path

    def note(self, part: Path, place: Path) -> None:
        """Note a file.

        Args:
            part: The file, finished, under the name that it was written to.
            place: Its place.

        Raises:
            OSError: The note cannot be written.
        """
        status = part.stat()
        line = json.dumps([str(place.absolute()), status.st_size, status.st_mtime_ns]) + "\n"
        file = os.open(self._list(), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            os.write(file, line.encode("ascii"))
        finally:
            os.close(file)

    def is_own(self, place: Path, name: str) -> bool:
        """Whether a file that stands there was made for this table, and for no other one.

        Args:
            place: The file.
            name: The name that its row has taken in the folder.
        """
        status = place.stat()
        known = (str(place.absolute()), status.st_size, status.st_mtime_ns) in _made(self._list())
        return known and name not in names_of_others(self.folder, self.table)

    def _list(self) -> Path:
        return state_of(self.table) / _MADE


def _made(listed: Path) -> frozenset[tuple[str, int, int]]:
    """What stands in the list; read again when it has grown."""
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
