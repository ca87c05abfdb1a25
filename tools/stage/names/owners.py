"""Names of files in a folder to which the runs of several tables write: each name belongs to one table.

A list beside the folder has the tables with files in it (`tools.stage.names.folder_tables`). Each table
keeps, beside its ledger, the names that it has reserved there: for each the source, and a fingerprint of what
is made of it. A name that another table has reserved is not used for other content: that gets a name with
digits. Tables that make the same of the same source share a name, and none of them replaces the file.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.base.addresses import absolute
from tools.base.disk import cannot_write
from tools.base.locks import holding
from tools.base.temporary_files import write_whole
from tools.errors import UserError
from tools.stage.names.file_stems import with_digits
from tools.stage.names.folder_tables import (
    RECEIPTS,
    absolute_table,
    is_alive,
    list_beside,
    listed_tables,
    names_file,
    parts_of,
    receipts_of,
    remember_table,
)

_LEVELS = 3  # the name itself, with digits of the source, with digits of source and table


@dataclasses.dataclass(frozen=True)
class NameRequest:
    """The name that a row asks for its files.

    Attributes:
        name: Path below the folder, without digits.
        source: The file that they are made from.
        made: Fingerprints of what is made. Two rows make the same when those agree that both have.
    """

    name: str
    source: str
    made: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _Reserved:
    """A name that a table has reserved: for which source, and for what is made of it."""

    source: str
    made: tuple[str, ...]

    def agrees(self, request: NameRequest) -> bool:
        same = all(one == other for one, other in zip(self.made, request.made, strict=False))
        return same and self.source == request.source


class FileNames:
    """The names that a table has in a folder.

    Args:
        folder: The folder.
        table: The table that will be written, without a rank's part.
        listed: Name of the list of tables, in the folder; None for `list_beside`.
    """

    def __init__(self, folder: str | Path, table: Path, *, listed: str | None = None) -> None:
        self._folder = Path(folder)
        self._table = absolute_table(table)
        self._list = Path(folder, listed) if listed else list_beside(self._folder)
        self._requests: Sequence[NameRequest | None] = ()
        self._named: Callable[[str, str], str] = with_digits
        self._digits: list[str | None] = []
        self._seen: list[tuple[object, ...]] = []
        self._threads = 1

    def choose(
        self, requests: Sequence[NameRequest | None], named: Callable[[str, str], str] | None = None
    ) -> list[str | None]:
        """Choose names. Nothing is written yet: see `reserve`.

        Args:
            requests: One for each row of the table; None for a row that makes no file.
            named: Returns a requested name with digits; by default they are put before the extension.

        Returns:
            For each row the digits that its name gets: empty where it gets the name that it asks for, None
            where it makes no file.

        Raises:
            UserError: A name cannot be told apart from others.
        """
        self._requests = [r and dataclasses.replace(r, source=absolute(r.source)) for r in requests]
        self._named = named or with_digits
        self._seen = self._state()
        self._digits = self._choose_all()
        return self._digits

    def kept_threads(self, threads: int) -> int:
        """The threads of each encoder; call it after `choose`.

        The bytes of H.264 and HEVC depend on their number. A run that resumes with another number of workers,
        or on another machine, uses as many as the run that made the first files.

        Args:
            threads: How many a run would use that begins now.
        """
        header, own = _read(self._table)
        kept = header.get("threads")
        made = zip(self._requests, self._digits, strict=True)
        if isinstance(kept, int) and kept > 0 and header.get("folder") == self._absolute():
            for request, digits in made:
                known = None if request is None else own.get(self._named(request.name, digits or ""))
                if known is not None and request is not None and known.agrees(request):
                    threads = kept
                    break
        self._threads = threads
        return threads

    def reserve(self) -> None:
        """Write down the names that were chosen; the folder must exist.

        Raises:
            UserError: Another run has reserved one of the names meanwhile, or they cannot be written down.
        """
        try:
            with self._locked():
                if self._seen != self._state():
                    before, self._digits = self._digits, self._choose_all()
                    if before != self._digits:
                        message = "another run has just taken names there; run it again"
                        raise UserError(f"{self._folder}: {message}")
                self._write()
        except OSError as error:
            raise cannot_write(self._folder, error, "the list of its files") from None
        names_of_others.cache_clear()

    def of_others(self) -> set[str]:
        """The names in the folder that other tables have reserved."""
        return set(self._others())

    def _state(self) -> list[tuple[object, ...]]:
        """What the choice depends on: the tables in the folder, whether they count, and their names there."""
        tables = listed_tables(self._list) | {self._table}
        return sorted((str(table), is_alive(table), _changed(names_file(table))) for table in tables)

    def _choose_all(self) -> list[str | None]:
        own = self._own()
        others = self._others()
        return [None if r is None else self._choose(r, own, others) for r in self._requests]

    def _choose(
        self, request: NameRequest, own: dict[str, _Reserved], others: dict[str, list[_Reserved]]
    ) -> str:
        free: list[str] = []
        for level in range(_LEVELS if own or others else 1):
            digits = self._digits_at(level, request)
            name = self._named(request.name, digits)
            if not all(other.agrees(request) for other in others.get(name, ())):
                continue
            free.append(digits)
            mine = own.get(name)
            if not own or (mine is not None and mine.source == request.source):
                return digits  # names are kept while they can be: finished rows are known by them
        if not free:
            raise UserError(f"{self._folder}: {request.name} of {request.source} cannot be told apart")
        return free[0]

    def _digits_at(self, level: int, request: NameRequest) -> str:
        if not level:
            return ""
        what = request.source + (f"\n{self._table}" if level > 1 else "")
        return hashlib.sha256(what.encode(errors="surrogatepass")).hexdigest()[:10]

    def _own(self) -> dict[str, _Reserved]:
        header, reserved = _read(self._table)
        folder = header.get("folder")
        moved = folder is not None and folder != self._absolute() and not Path(folder).is_dir()
        return reserved if folder == self._absolute() or moved else {}

    def _others(self) -> dict[str, list[_Reserved]]:
        others: dict[str, list[_Reserved]] = {}
        for table in listed_tables(self._list) - {self._table}:
            if not is_alive(table):
                continue
            header, reserved = _read(table)
            if header.get("folder") == self._absolute():
                for name, what in reserved.items():
                    others.setdefault(name, []).append(what)
        return others

    def _absolute(self) -> str:
        return str(self._folder.resolve())

    def _write(self) -> None:
        header = {"folder": self._absolute(), "threads": self._threads}
        lines = []
        for request, digits in zip(self._requests, self._digits, strict=True):
            if request is not None and digits is not None:
                name = self._named(request.name, digits)
                lines.append(json.dumps([name, request.source, " ".join(request.made)]))
        lines = list(dict.fromkeys(lines))
        file = names_file(self._table)
        written = _lines(file)
        if (
            not parts_of(self._table)
            or not written
            or (_without_receipts(written[0]), written[1:]) != (header, lines)
        ):
            file.parent.mkdir(parents=True, exist_ok=True)
            header[RECEIPTS] = receipts_of(self._table)  # see `is_alive`
            write_whole(file, "".join(f"{line}\n" for line in (json.dumps(header), *lines)).encode("ascii"))
        remember_table(self._list, self._table)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other runs from reserving names in the folder."""
        self._list.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._list, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        with holding(file):
            yield


@functools.cache
def names_of_others(folder: str, table: Path, listed: str | None = None) -> frozenset[str]:
    """The names that other tables have reserved in a folder, read once in a process."""
    return frozenset(FileNames(folder, table, listed=listed).of_others())


def _changed(path: Path) -> int:
    """When a file was changed, nanoseconds; 0 for none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _lines(file: Path) -> list[str]:
    """The lines of a file of names; none where it cannot be read."""
    try:
        return file.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return []


def _without_receipts(line: str) -> Any:
    try:
        return {name: value for name, value in json.loads(line).items() if name != RECEIPTS}
    except (ValueError, AttributeError):
        return None


def _read(table: Path) -> tuple[dict[str, Any], dict[str, _Reserved]]:
    """What a table has written down: its folder and the threads of an encoder; and the names."""
    try:
        lines = names_file(table).read_text(encoding="ascii").splitlines()
        header = json.loads(lines[0])
        header["folder"] = str(header["folder"])
        rows = [json.loads(line) for line in lines[1:]]
        return header, {name: _Reserved(source, tuple(made.split())) for name, source, made in rows}
    except (OSError, ValueError, LookupError, TypeError):  # no such file, or a damaged one
        return {}, {}
