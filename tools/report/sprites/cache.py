"""Sprites kept in one SQLite file for all tables of a folder, so that the next report need not draw them.

One file for a folder, not for a table: the steps of a chain list the same clips. What is kept of a file has a
key made of its path, size, modification time and how it was drawn; a changed file has another key, and what
was not used for longest is dropped when the cache is full. Nothing in it is trusted: every entry has a
checksum. A cache that cannot be used is no failure, but one line of the log.

One process at a time opens the file, under a lock of its own, for a moment each. So a damaged file can be
replaced with no other process at it, which SQLite's own locks do not allow.
"""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tools.base.disk import system_message
from tools.base.locks import take
from tools.base.log import LOG
from tools.errors import FAILURE_KINDS, MediaError

if TYPE_CHECKING:
    import sqlite3

NAME = "sprites.sqlite"
"""Name of the file, in the folder of the toolkit's own files beside the table."""
MOST_BYTES = 256 * 2**20
"""Size that the file may have: some 30,000 sprites."""

_OURS = 0x76735350  # application id in the header of the file: "vsSP"
_HEADER, _MAGIC, _ID_AT = 100, b"SQLite format 3\x00", 68  # sqlite.org/fileformat.html, 1.3
_TABLE = "CREATE TABLE sprites (key TEXT PRIMARY KEY, entry BLOB NOT NULL, used INTEGER NOT NULL)"
_LOCK_SECONDS = 10.0
_USED_STEP = 3600  # seconds: an entry that was used within them is not written again for that
_AT_ONCE = 500  # parameters of one statement; SQLite allows 999 in old builds
_KEPT = 0.75  # of the size, when entries are dropped

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Sprite:
    """Frames of a clip side by side in one JPEG.

    Attributes:
        jpeg: The file; the picture is ``frames * width`` by ``height`` pixels.
        frames: Number of frames, from left to right in the order of time.
        width: Of one frame in pixels.
        height: In pixels.
    """

    jpeg: bytes = dataclasses.field(repr=False)
    frames: int
    width: int
    height: int


Entry = Sprite | MediaError
"""The sprite of a file, or why it has none; the path of a failure is not kept."""


class _Foreign(Exception):
    """The file was made by another program."""


class _Damaged(Exception):
    """The file is a cache of sprites that cannot be read, or was made by another version."""


class SpriteCache:
    """Sprites kept in a folder.

    Args:
        folder: The folder; it is created when something is written.
        most_bytes: Size that the file may have.

    Attributes:
        usable: False once the cache could not be used; from then on it is empty and keeps nothing.
    """

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._path = folder / NAME
        self._most_bytes = most_bytes
        self.usable = True

    def get(self, keys: Collection[str]) -> dict[str, Entry]:
        """What is kept under these keys; keys that are not known, or whose entry is damaged, are left out."""
        if not keys or not os.path.lexists(self._path):
            return {}
        return self._use(lambda database: _read(database, list(keys))) or {}

    def put(self, entries: Mapping[str, Entry]) -> None:
        """Keep entries; those that were not used for longest are dropped where the file is too large."""
        if entries:
            self._use(lambda database: _write(database, entries, self._most_bytes))

    def _use(self, act: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Run something in one transaction; None when the cache cannot be used."""
        if not self.usable:
            return None
        try:
            import sqlite3
        except ImportError:  # a Python that was built without
            return self._give_up("this Python has no sqlite3")
        try:
            with self._locked():
                try:
                    with self._opened() as database:
                        return act(database)
                except _Damaged:
                    LOG.info("%s: is damaged, or of another version: made again", self._path)
                    for name in (NAME, f"{NAME}-journal"):
                        self._path.with_name(name).unlink(missing_ok=True)
                    with self._opened() as database:
                        return act(database)
        except _Foreign:
            return self._give_up("was not made by this program, and is left alone: move it away")
        except _Damaged:
            return self._give_up("is damaged: remove it")
        except OSError as error:
            return self._give_up(system_message(error))
        except sqlite3.Error as error:  # the disk is full, or its file system has no locks
            return self._give_up(str(error))

    def _give_up(self, why: str) -> None:
        self.usable = False
        LOG.warning("%s: sprites are not kept for the next report: %s", self._path, why)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes, and other threads, from the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if not take(lock, _LOCK_SECONDS):  # without such locks those of SQLite are left
                raise TimeoutError("another process is using it")
            yield
        finally:
            os.close(lock)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The database in a transaction, made if it is new.

        Raises:
            _Foreign: It was not made here.
            _Damaged: It was made here, and cannot be used.
        """
        import sqlite3

        self._check_is_ours()
        with closing(sqlite3.connect(self._path, timeout=_LOCK_SECONDS, isolation_level=None)) as database:
            try:
                database.execute("PRAGMA trusted_schema = OFF")
                database.execute("PRAGMA synchronous = NORMAL")
                database.execute(
                    "PRAGMA auto_vacuum = FULL"
                )  # of a new file: what is dropped makes it smaller
                database.execute("BEGIN IMMEDIATE")
                _check_schema(database)
                yield database
                database.execute("COMMIT")
            except sqlite3.DatabaseError as error:
                if type(error) is sqlite3.DatabaseError:  # "malformed"; subclasses are other troubles
                    raise _Damaged from error
                raise

    def _check_is_ours(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return
        if not stat.S_ISREG(status.st_mode):
            raise _Foreign
        with self._path.open("rb") as file:
            header = file.read(_HEADER)
        found = int.from_bytes(header[_ID_AT : _ID_AT + 4], "big")
        if header and not (header.startswith(_MAGIC) and found == _OURS):
            raise _Foreign


def _check_schema(database: sqlite3.Connection) -> None:
    """Make the table of a new file; make sure that an old one has this table, and nothing else."""
    found = [row[0] for row in database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
    if not found:
        database.execute(f"PRAGMA application_id = {_OURS}")
        database.execute(_TABLE)
    elif found != [_TABLE]:
        raise _Damaged


def _read(database: sqlite3.Connection, keys: list[str]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        marks = ",".join("?" * len(some))
        query = f"SELECT key, entry FROM sprites WHERE key IN ({marks})"  # noqa: S608 (question marks alone)
        for key, data in database.execute(query, some):
            if (entry := _unpacked(data)) is not None:
                entries[key] = entry
    now = int(time.time())
    marked = [(now, key, now - _USED_STEP) for key in entries]
    database.executemany("UPDATE sprites SET used = ? WHERE key = ? AND used < ?", marked)
    return entries


def _write(database: sqlite3.Connection, entries: Mapping[str, Entry], most_bytes: int) -> None:
    now = int(time.time())
    rows = [(key, _packed(entry), now) for key, entry in entries.items()]
    database.executemany("INSERT OR REPLACE INTO sprites VALUES (?, ?, ?)", rows)
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = database.execute("PRAGMA page_size").fetchone()
    excess = pages * page_bytes - most_bytes
    if excess <= 0:
        return
    excess += int((1 - _KEPT) * most_bytes)
    dropped = []
    for key, length in database.execute("SELECT key, length(entry) FROM sprites ORDER BY used, rowid"):
        if excess <= 0:
            break
        dropped.append((key,))
        excess -= length
    database.executemany("DELETE FROM sprites WHERE key = ?", dropped)


def _packed(entry: Entry) -> bytes:
    """An entry as bytes: checksum of the rest, a line of JSON, the JPEG."""
    if isinstance(entry, Sprite):
        head, jpeg = {"frames": entry.frames, "width": entry.width, "height": entry.height}, entry.jpeg
    else:
        head, jpeg = {"kind": entry.kind, "message": entry.message}, b""
    body = json.dumps(head).encode() + b"\n" + jpeg
    return zlib.crc32(body).to_bytes(4, "big") + body


def _unpacked(data: object) -> Entry | None:
    """The entry in bytes; None where they are damaged."""
    if not isinstance(data, bytes) or zlib.crc32(data[4:]).to_bytes(4, "big") != data[:4]:
        return None
    line, _, jpeg = data[4:].partition(b"\n")
    try:
        head = json.loads(line)
        if "kind" in head:
            known = str(head["kind"]) in FAILURE_KINDS
            return MediaError(head["kind"], "", str(head["message"])) if known else None
        frames, width, height = (int(head[name]) for name in ("frames", "width", "height"))
    except (ValueError, LookupError, TypeError):
        return None
    fits = min(frames, width, height) > 0 and jpeg.startswith(b"\xff\xd8\xff")
    return Sprite(jpeg, frames, width, height) if fits else None
