"""The ledger: every finished row, appended as it finishes, so that a killed run loses next to nothing.

It is in ``.vidsieve/<output name>/`` beside the output: one file of JSON lines per rank. Every rank reads
all of them, so a run may resume with another number of ranks. A line is keyed by the config (stage, version,
options, weights) and by the row (its cells, size and time of its file): change either, and the row is
processed again. Of a file at an address the line has the version, so that the server can be asked for it.
Vectors are in a binary file beside it, written before the line that says where.

A row that is processed again is struck out first: should the line with its new outcome be lost, the old one
does not count. Which lines are damaged, and which of two counts, is decided in `tools.stage.ledger.files`.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tools.base.disk import (
    ALWAYS,
    cannot_write,
    disk_error,
    sync,
    sync_names,
    sync_open,
    system_message,
    writing,
)
from tools.base.locks import take
from tools.base.versions import Version
from tools.errors import MediaError, UserError
from tools.stage.estimate.costs import file_state
from tools.stage.ledger.compaction import compact
from tools.stage.ledger.files import LedgerFiles, VectorPlace, sealed
from tools.stage.outcomes import Outcome
from tools.stage.stage import VECTOR, Row, Stage

_SYNC_SECONDS = 5.0  # a power loss costs the rows that finished since
_LOCK_TRIES = 10  # a tenth of a second apart: `is_running` of another rank has the lock for a moment
_UNPACKED = 10_000  # outcomes that are looked at together


def stage_config(stage: Stage) -> dict[str, Any]:
    """Everything that decides the values, apart from the rows themselves."""
    return {"stage": stage.name, "version": stage.version, "config": stage.config()}


def digest(value: Any) -> str:
    """Short fingerprint of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:24]


def digest_outcomes(outcomes: Iterable[Outcome]) -> str:
    """Fingerprint of the outcomes of rows, in their order."""
    whole = hashlib.sha256()
    for outcome in outcomes:
        value = str(outcome) if isinstance(outcome, MediaError) else outcome
        whole.update(json.dumps(value, sort_keys=True).encode() + b"\n")
    return whole.hexdigest()


def row_key(row: Row, file: list[int] | None = None) -> str:
    """Fingerprint of a row: the cells that its stage reads, and size and time of its file.

    Args:
        row: The cells.
        file: See `tools.stage.estimate.costs.file_state`, where that is known.
    """
    return digest([row, file_state(row.get("path")) if file is None else file])


class Ledger:
    """Finished rows of one output; a context manager that locks this rank's file.

    Args:
        folder: Folder of the output's ledger files; created if missing.
        rank: The rank whose file is appended to.
        config: See `stage_config`.
        keys: Rows of this run; others are not kept in memory.
        unfit: Returns the keys of outcomes that the stage cannot have made; those rows are processed again.
        read_only: Only read what exists: no file is created, and none is locked.

    Attributes:
        outcomes: What became of each finished row, by its key; without its vector.
        run: Number of this run; each run that writes lines has a higher one than those before it.
        versions: Of rows whose file is at an address, which version that is; to be set before a row is added.
        notice: One line about lines that cannot be used; empty when there is nothing new to report. Of
            several ranks the first one reports damaged lines.

    Raises:
        UserError: Another process is writing this rank's file, or the folder cannot be read or written.
    """

    def __init__(
        self,
        folder: Path,
        rank: int,
        config: dict[str, Any],
        keys: Container[str],
        unfit: Callable[[dict[str, Outcome]], Iterable[str]] | None = None,
        *,
        read_only: bool = False,
    ) -> None:
        self._config = digest(config)
        self._path = folder / f"rank{rank}.jsonl"
        self._file = -1 if read_only else self._open()
        try:
            found = LedgerFiles(self._path, self._config, keys)
        except OSError as error:
            why = f"{folder}: cannot read the ledger: {system_message(error)}"
            raise disk_error(folder, error, ALWAYS) or UserError(why) from None
        self.outcomes = found.outcomes
        self.versions: dict[str, Version] = found.versions
        self._vectors: dict[str, VectorPlace | None] = found.vectors
        self.run = found.last_run + 1
        self._synced, self._unsynced, self._has_name = time.monotonic(), False, False
        self._readers: dict[Path, int] = {}  # open files of vectors
        foreign = [key for part in _parts(self.outcomes) for key in unfit(part)] if unfit else []
        for key in foreign:
            self._drop(key)
        self.notice = self._report(found, len(foreign))

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if self._file >= 0 and self._unsynced:
                self._sync()
        finally:
            self._close()

    def _close(self) -> None:
        for file in (self._file, *self._readers.values()):
            if file >= 0:
                os.close(file)

    def add(self, finished: Iterable[tuple[str, Outcome]]) -> None:
        """Append rows. One write for all of them, so that a kill leaves at most one torn line.

        Raises:
            UserError: The disk is full, for example.
        """
        lines = []
        for key, outcome in self._take_vectors(list(finished)):
            self.outcomes[key] = outcome
            line: dict[str, Any] = {"ask": self._config, "row": key, "run": self.run}
            if isinstance(outcome, MediaError):
                line["failure"] = [outcome.kind, outcome.path, outcome.message]
            else:
                line["values"] = outcome
            if key in self.versions:
                line["file"] = self.versions[key]
            if key in self._vectors:
                place = self._vectors[key]
                line["vector"] = place and [place[0].name, *place[1:]]
            lines.append(line)
        self._append(lines)

    def forget(self, keys: Iterable[str]) -> None:
        """Strike out rows that are to be processed again, also for later runs."""
        known = [key for key in keys if key in self.outcomes] if self.outcomes else []
        for key in known:
            self._drop(key)
        self._append({"ask": self._config, "row": key, "run": self.run, "again": True} for key in known)

    def drop(self, keys: Iterable[str]) -> None:
        """Take rows for unfinished; the file stays as it is, until they are finished again."""
        for key in keys:
            self._drop(key)

    def has_vector(self, key: str) -> bool:
        """Whether the vector of a finished row is complete on disk, or the row is known to have none."""
        if key not in self._vectors:
            return False
        place = self._vectors[key]
        try:
            return place is None or zlib.crc32(self._vector_bytes(place)) == place[3]
        except OSError:
            return False

    def vector(self, key: str) -> np.ndarray | None:
        """The vector of a finished row: float32; None when it has none."""
        place = self._vectors.get(key)
        return None if place is None else np.frombuffer(self._vector_bytes(place), np.float32)

    def _vector_bytes(self, place: VectorPlace) -> bytes:
        """The bytes of a vector; fewer than it has where the file was cut short."""
        path, start, count, _ = place
        if path not in self._readers:
            self._readers[path] = os.open(path, os.O_RDONLY)
        return os.pread(self._readers[path], 4 * count, start)

    def _drop(self, key: str) -> None:
        self.outcomes.pop(key, None)
        self._vectors.pop(key, None)
        self.versions.pop(key, None)

    def _report(self, found: LedgerFiles, foreign: int) -> str:
        """The notice about lines that cannot be used; the first rank writes down how many it reported."""
        count = foreign
        if self._path.stem == "rank0":
            new = {name: damaged - found.reported.get(name, 0) for name, damaged in found.damaged.items()}
            count += sum(max(0, more) for more in new.values())
            if found.damaged != found.reported and self._file >= 0:
                self._append([{"run": self.run, "told": found.damaged}])
        if not count:
            return ""
        return (
            f"{self._path.parent}: lines of the ledger that cannot be used: {count} (damaged, of an older "
            "version, or with values of another stage); their rows are done again"
        )

    def _take_vectors(self, finished: list[tuple[str, Outcome]]) -> list[tuple[str, Outcome]]:
        """Append the vectors of rows to their file, and return the rows without them."""
        rows: list[tuple[str, Outcome]] = []
        parts: list[bytes] = []
        path = self._path.with_suffix(".vectors")
        start = path.stat().st_size if path.exists() else 0
        for key, outcome in finished:
            self._vectors.pop(key, None)
            if not isinstance(outcome, MediaError) and VECTOR in outcome:
                vector = outcome[VECTOR]
                self._vectors[key] = None
                if vector is not None:
                    parts.append(vector.astype("<f4").tobytes())
                    self._vectors[key] = (path, start, len(vector), zlib.crc32(parts[-1]))
                    start += len(parts[-1])
                outcome = {name: value for name, value in outcome.items() if name != VECTOR}
            rows.append((key, outcome))
        if parts:
            try:
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
                try:
                    _write_all(file, b"".join(parts))
                finally:
                    os.close(file)
            except OSError as error:
                raise cannot_write(path, error, "the ledger") from None
        return rows

    def _append(self, lines: Iterable[dict[str, Any]]) -> None:
        try:
            _write_all(self._file, b"".join(map(sealed, lines)))
            self._unsynced = True
            if time.monotonic() - self._synced >= _SYNC_SECONDS:
                self._sync()
        except OSError as error:
            raise cannot_write(self._path, error, "the ledger") from None

    def _sync(self) -> None:
        """Write what was appended through to the disk; vectors first, as lines say where they are."""
        try:
            vectors = self._path.with_suffix(".vectors")
            if vectors.exists():
                sync(vectors)
            sync_open(self._file)
            if not self._has_name:
                sync_names(list(self._path.parents)[:3])  # of the output, its state and all states
                self._has_name = True
        except OSError as error:
            raise cannot_write(self._path, error, "the ledger") from None
        self._synced, self._unsynced = time.monotonic(), False

    def _open(self) -> int:
        """The file of this rank, locked; its last line has an end, and few of its lines are replaced ones."""
        for _ in range(_LOCK_TRIES):
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            except OSError as error:
                raise cannot_write(self._path, error, "the ledger") from None
            if take(file) and _is_at(file, self._path):
                break
            os.close(file)
            time.sleep(0.1)
        else:
            name = self._path.parent.name
            raise UserError(f"{name}: the same command is running already ({self._path.stem})")
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":  # end a line that a kill has cut off
            with writing(self._path, "the ledger"):
                os.write(file, b"\n")
        return compact(self._path, file)


def _is_at(file: int, path: Path) -> bool:
    """Whether an open file is the one at a path: a compaction may have put another one there meanwhile."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except OSError:
        return False


def _parts(outcomes: Mapping[str, Outcome]) -> Iterator[dict[str, Outcome]]:
    """The same, so many at a time that they fit into memory unpacked."""
    keys = iter(outcomes)
    while part := {key: outcomes[key] for key in islice(keys, _UNPACKED)}:
        yield part


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
