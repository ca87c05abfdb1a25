"""Whose a name is, in a folder of files that several tables may be made into: the first one's.

A list beside the folder tells which tables have files in it. Each table keeps, beside its ledger, the names
that it has taken there: for each the source, and a fingerprint of what is made of it. A name that another
table has taken is not given to other things: they get a name with digits. Tables that make the same of the
same source share a name, and none of them replaces what stands there.

A table counts as long as it, or a part of it, is there; one that has not been written yet (its run is at
work, or was killed) counts, too.
"""

from __future__ import annotations

import dataclasses
import fcntl
import functools
import glob
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from tools.base.addresses import local_path
from tools.base.disk import cannot_write
from tools.errors import UserError
from tools.stage.shards import STATE_FOLDER
from tools.table import shorten, split_part, table_extension, table_stem

_NAMES = "names.jsonl"
_LEVELS = 3  # the name itself, with digits of the source, with digits of source and table


@dataclasses.dataclass(frozen=True)
class Wish:
    """A name that a row would like to have for its files.

    Attributes:
        name: Path below the folder, without what tells it apart.
        source: The file that they are made of.
        made: Fingerprints of what is made. Two rows make the same when those agree that both have.
    """

    name: str
    source: str
    made: tuple[str, ...]

    def absolute(self) -> Wish:
        """With the source by the name that it has from anywhere."""
        return Wish(self.name, absolute(self.source), self.made)


@dataclasses.dataclass(frozen=True)
class Grant:
    """The name that a row gets.

    Attributes:
        digits: What is put behind the stem; empty when it gets the name it wished for.
    """

    digits: str


@dataclasses.dataclass(frozen=True)
class _Taken:
    source: str
    made: tuple[str, ...]

    def agrees(self, wish: Wish) -> bool:
        same = all(one == other for one, other in zip(self.made, wish.made, strict=False))
        return same and self.source == wish.source


class Names:
    """The names that a table has in a folder.

    Args:
        folder: The folder.
        table: The table that is going to be written, without a rank's part.
        listed: Name of the list of tables, in the folder; None for `list_beside`.
    """

    def __init__(self, folder: str | Path, table: Path, *, listed: str | None = None) -> None:
        self._folder = Path(folder)
        self._table = _absolute_path(table)
        self._list = Path(folder, listed) if listed else list_beside(self._folder)
        self._wishes: Sequence[Wish | None] = ()
        self._named: Callable[[str, str], str] = with_digits
        self._grants: list[Grant | None] = []
        self._seen: list[tuple[object, ...]] = []

    def grant(
        self, wishes: Sequence[Wish | None], named: Callable[[str, str], str] | None = None
    ) -> list[Grant | None]:
        """Decide on names. Nothing is written yet: see `take`.

        Args:
            wishes: One for each row of the table; None for a row that makes no file.
            named: Gives what a wish is called with some digits; by default they stand before the extension.

        Raises:
            UserError: A name cannot be told apart.
        """
        self._wishes, self._named = [wish and wish.absolute() for wish in wishes], named or with_digits
        self._seen = self._state()
        self._grants = self._decide()
        return self._grants

    def take(self) -> None:
        """Note the names that were granted; the folder must be there.

        Raises:
            UserError: Another run has taken one of the names meanwhile, or the note cannot be written.
        """
        try:
            with self._locked():
                if self._seen != self._state():
                    before, self._grants = self._grants, self._decide()
                    if [g and g.digits for g in before] != [g and g.digits for g in self._grants]:
                        message = "another run has just taken names there; run it again"
                        raise UserError(f"{self._folder}: {message}")
                self._write()
        except OSError as error:
            raise cannot_write(self._folder, error, "the list of its files") from None
        names_of_others.cache_clear()

    def of_others(self) -> set[str]:
        """The names in the folder that other tables have taken."""
        return set(self._others())

    def _state(self) -> list[tuple[object, ...]]:
        """What decisions depend on: the tables in the folder, whether they are alive, and their notes."""
        tables = listed_tables(self._list) | {self._table}
        return sorted((str(table), is_alive(table), _changed(_notes(table))) for table in tables)

    def _decide(self) -> list[Grant | None]:
        own = self._own()
        others = self._others()
        return [wish and self._choose(wish, own, others) for wish in self._wishes]

    def _choose(self, wish: Wish, own: dict[str, _Taken], others: dict[str, list[_Taken]]) -> Grant:
        free: list[Grant] = []
        for level in range(_LEVELS if own or others else 1):
            digits = self._digits(wish, level)
            name = self._named(wish.name, digits)
            if not all(holder.agrees(wish) for holder in others.get(name, ())):
                continue
            free.append(Grant(digits))
            mine = own.get(name)
            if not own or (mine is not None and mine.source == wish.source):
                return free[-1]  # names stay while they can: finished rows are known by them
        if not free:
            raise UserError(f"{self._folder}: {wish.name} of {wish.source} cannot be told apart")
        return free[0]

    def _digits(self, wish: Wish, level: int) -> str:
        if not level:
            return ""
        what = wish.source + (f"\n{self._table}" if level > 1 else "")
        return hashlib.sha256(what.encode(errors="surrogatepass")).hexdigest()[:10]

    def _own(self) -> dict[str, _Taken]:
        home, taken = _read(self._table)
        moved = home is not None and home != self._home() and not Path(home).is_dir()
        return taken if home == self._home() or moved else {}

    def _others(self) -> dict[str, list[_Taken]]:
        others: dict[str, list[_Taken]] = {}
        for table in listed_tables(self._list) - {self._table}:
            if not is_alive(table):
                continue
            home, taken = _read(table)
            if home == self._home():
                for name, what in taken.items():
                    others.setdefault(name, []).append(what)
        return others

    def _home(self) -> str:
        return str(self._folder.resolve())

    def _write(self) -> None:
        lines = [json.dumps({"folder": self._home()})]
        for wish, grant in zip(self._wishes, self._grants, strict=True):
            if wish is not None and grant is not None:
                name = self._named(wish.name, grant.digits)
                lines.append(json.dumps([name, wish.source, " ".join(wish.made)]))
        text = "\n".join(dict.fromkeys(lines)) + "\n"
        notes = _notes(self._table)
        # A note that is younger than the receipts says that the run goes on: see `is_alive`.
        if not _is_there(self._table) or not notes.is_file() or notes.read_text(encoding="ascii") != text:
            notes.parent.mkdir(parents=True, exist_ok=True)
            temporary = notes.with_name(f".{_NAMES}.{os.getpid()}.tmp")
            temporary.write_text(text, encoding="ascii")
            temporary.replace(notes)
        remember_table(self._list, self._table)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other runs from taking names in the folder."""
        self._list.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._list, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)


@functools.cache
def names_of_others(folder: str, table: Path, listed: str | None = None) -> frozenset[str]:
    """The names that other tables have in a folder, looked up once in a process."""
    return frozenset(Names(folder, table, listed=listed).of_others())


def with_digits(name: str, digits: str) -> str:
    """A path with digits before its extension."""
    return with_stem(name, lambda stem: tell_apart(stem, digits)) if digits else name


def with_stem(path: str, change: Callable[[str], str]) -> str:
    """A path with another stem; a text that is no path is no error."""
    below, slash, name = path.rpartition("/")
    suffix = PurePosixPath(name).suffix
    return f"{below}{slash}{change(name.removesuffix(suffix))}{suffix}"


def tell_apart(stem: str, digits: str) -> str:
    """A stem with digits behind it, short enough for a file's name."""
    return shorten(f"{stem}_{digits}") if digits else stem


def absolute(source: str) -> str:
    """A source by the name that it has from anywhere; links are not followed."""
    source = local_path(source)
    return source if "://" in source else os.path.abspath(source)  # noqa: PTH100  a path would lose //


def list_beside(folder: Path) -> Path:
    """The list of the tables that have files in a folder, one a line.

    It stands beside the folder, in which there are only the files then; within, where nothing can be written
    beside it.
    """
    folder = folder.resolve()
    state = folder.parent / STATE_FOLDER
    inside = folder / f"{STATE_FOLDER}.tables"
    if inside.exists() or not os.access(state if state.is_dir() else folder.parent, os.W_OK):
        return inside
    return state / f"{folder.name}.tables"


def listed_tables(listed: Path) -> set[Path]:
    """The tables in the list of a folder."""
    try:
        lines = listed.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except (FileNotFoundError, NotADirectoryError):
        return set()
    return {Path(json.loads(line) if line.startswith('"') else line) for line in lines if line}


def remember_table(listed: Path, table: Path) -> None:
    """Put a table on the list of a folder."""
    table = _absolute_path(table)
    if table not in listed_tables(listed):
        line = json.dumps(str(table)) if {"\n", "\r"} & set(str(table)) else table
        with listed.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{line}\n")


def is_alive(table: Path) -> bool:
    """Whether a table is there, a part of it, or a run that has not written it yet."""
    if _is_there(table):
        return True
    try:
        since = _notes(table).stat().st_mtime_ns
    except OSError:
        return False
    state = _notes(table).parent
    written = [file.stat().st_mtime_ns for file in state.glob("*.receipt.json")]
    return max(written, default=-1) < since


def parts_of(table: Path) -> list[Path]:
    """A table, or the parts of it that ranks have written."""
    if table.is_file():
        return [table]
    pattern = f"{glob.escape(table_stem(table))}_part*{table_extension(table)}"
    return [part for part in table.parent.glob(pattern) if split_part(part) is not None]


def _is_there(table: Path) -> bool:
    return bool(parts_of(table))


def _absolute_path(table: Path) -> Path:
    return table.parent.resolve() / table.name


def _changed(path: Path) -> int:
    """When a file was changed, nanoseconds; 0 for none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _notes(table: Path) -> Path:
    return state_of(table) / _NAMES


def state_of(table: Path) -> Path:
    """The folder that keeps what is known of a table's rows."""
    return table.parent / STATE_FOLDER / table.name


def _read(table: Path) -> tuple[str | None, dict[str, _Taken]]:
    """The folder in which a table has names, and the names."""
    try:
        lines = _notes(table).read_text(encoding="ascii").splitlines()
        home = json.loads(lines[0])["folder"]
        rows = [json.loads(line) for line in lines[1:]]
        return home, {name: _Taken(source, tuple(made.split())) for name, source, made in rows}
    except (OSError, ValueError, LookupError, TypeError):  # no note, or one that was damaged
        return None, {}
