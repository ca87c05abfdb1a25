"""The ledger: every finished row, appended as it finishes, so that a killed run loses next to nothing.

It lies in ``.vidsieve/<output name>/`` beside the output: one file of JSON lines per rank. Every rank reads
all of them, so a run may go on with another number of ranks. A line is keyed by what was asked (stage,
version, options, weights) and by the row (its cells, size and time of its file): change either, and the row
is done anew. Vectors lie in a binary file beside it, and are there before the line that says where.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tools.errors import MediaError, UserError
from tools.stage.stage import VECTOR, Row, Stage

Outcome = dict[str, Any] | MediaError
"""What became of a row: its values, or why there are none."""

_LOCK_TRIES = 10  # a tenth of a second apart


def ask_of(stage: Stage) -> dict[str, Any]:
    """Everything that decides the values, apart from the rows themselves."""
    return {"stage": stage.name, "version": stage.version, "asked": stage.asked()}


def digest(value: Any) -> str:
    """Short fingerprint of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:24]


def digest_outcomes(outcomes: Iterable[Outcome]) -> str:
    """Fingerprint of what became of rows, in their order."""
    whole = hashlib.sha256()
    for outcome in outcomes:
        value = str(outcome) if isinstance(outcome, MediaError) else outcome
        whole.update(json.dumps(value, sort_keys=True).encode() + b"\n")
    return whole.hexdigest()


def row_key(row: Row) -> str:
    """Fingerprint of a row: the cells that its stage reads, and size and time of its file."""
    try:
        status = Path(row["path"]).stat()
        file = [status.st_size, status.st_mtime_ns]
    except (OSError, ValueError, TypeError, KeyError):  # no file, or a stage that reads none
        file = []
    return digest([row, file])


class Ledger:
    """Finished rows of one output; a context manager that holds the lock of this rank's file.

    Args:
        folder: Folder of the output's ledger files; made if missing.
        rank: Whose file is appended to.
        ask: See `ask_of`.
        keys: Rows that are of interest; others are not kept in memory.
        look_only: Only read what is there: no file is made, and none is locked.

    Attributes:
        outcomes: What became of each finished row, by its key; without its vector.

    Raises:
        UserError: Another process is writing this rank's file, or the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        rank: int,
        ask: dict[str, Any],
        keys: Container[str],
        *,
        look_only: bool = False,
    ) -> None:
        self._ask = digest(ask)
        self._path = folder / f"rank{rank}.jsonl"
        self._file = -1 if look_only else self._open()
        if not look_only:
            self._end_torn_line()
        self.outcomes: dict[str, Outcome] = {}
        self._vectors: dict[str, tuple[Path, int, int] | None] = {}  # file, first byte, numbers
        self._written: dict[str, int] = {}
        for path in sorted(folder.glob("rank*.jsonl")):
            self._read(path, keys)
        self._written.clear()
        self._drop_lost_vectors()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file >= 0:
            os.close(self._file)

    def add(self, finished: Iterable[tuple[str, Outcome]]) -> None:
        """Append rows. One write for all of them, so that a kill leaves at most one torn line.

        Raises:
            UserError: The disk is full, for example.
        """
        lines = []
        now = time.time_ns()
        finished = self._put_vectors_aside(list(finished))
        for key, outcome in finished:
            self.outcomes[key] = outcome
            line: dict[str, Any] = {"ask": self._ask, "row": key, "at": now}
            if isinstance(outcome, MediaError):
                line["failure"] = [outcome.kind, outcome.path, outcome.message]
            else:
                line["values"] = outcome
            if key in self._vectors:
                place = self._vectors[key]
                line["vector"] = place and [place[0].name, *place[1:]]
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
        data = "".join(lines).encode(errors="surrogatepass")
        try:
            _write_all(self._file, data)
        except OSError as error:
            raise _cannot_write(self._path, error) from None

    def _drop_lost_vectors(self) -> None:
        """Forget vectors whose file is gone or was cut short."""
        sizes = {path: path.stat().st_size for path in self._path.parent.glob("rank*.vectors")}
        for key, place in list(self._vectors.items()):
            if place and sizes.get(place[0], 0) < place[1] + 4 * place[2]:
                del self._vectors[key]

    def has_vector(self, key: str) -> bool:
        """Whether the vector of a finished row is known, or that it has none."""
        return key in self._vectors

    def vector(self, key: str) -> np.ndarray | None:
        """The vector of a finished row: float32; None when it has none."""
        place = self._vectors.get(key)
        if place is None:
            return None
        path, start, count = place
        return np.fromfile(path, np.float32, count, offset=start)

    def _put_vectors_aside(self, finished: list[tuple[str, Outcome]]) -> list[tuple[str, Outcome]]:
        """Append the vectors of rows to their file, and give the rows without them."""
        rows: list[tuple[str, Outcome]] = []
        parts: list[bytes] = []
        path = self._path.with_suffix(".vectors")
        start = path.stat().st_size if path.exists() else 0
        for key, outcome in finished:
            self._vectors.pop(key, None)
            if not isinstance(outcome, MediaError) and VECTOR in outcome:
                vector = outcome[VECTOR]
                self._vectors[key] = None if vector is None else (path, start, len(vector))
                if vector is not None:
                    parts.append(vector.astype("<f4").tobytes())
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
                raise _cannot_write(path, error) from None
        return rows

    def forget(self, keys: Iterable[str]) -> None:
        """Drop rows that are to be done again."""
        for key in keys:
            self.outcomes.pop(key, None)
            self._vectors.pop(key, None)

    def _open(self) -> int:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise _cannot_write(self._path, error) from None
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
            except BlockingIOError:  # `at_work` of another rank holds it for a moment
                time.sleep(0.1)
            except OSError:  # a file system without locks
                return file
        os.close(file)
        raise UserError(f"{self._path.parent.name}: the same command is running already ({self._path.stem})")

    def _end_torn_line(self) -> None:
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def _read(self, path: Path, keys: Container[str]) -> None:
        with path.open("rb") as file:
            for data in file:
                try:
                    line = json.loads(data)
                    if line["ask"] == self._ask and line["row"] in keys:
                        self._keep(line)
                except (ValueError, KeyError, TypeError):
                    continue  # torn by a kill

    def _keep(self, line: dict[str, Any]) -> None:
        """Take a line, if it is later than what another rank's file had for the row."""
        key, written = line["row"], line["at"]
        if written < self._written.get(key, 0):
            return
        outcome = MediaError(*line["failure"]) if "failure" in line else line["values"]
        self.outcomes[key], self._written[key] = outcome, written
        self._vectors.pop(key, None)
        if "vector" in line:
            place = line["vector"]
            self._vectors[key] = place and (self._path.parent / place[0], place[1], place[2])


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def at_work(folder: Path, rank: int) -> bool:
    """Whether a process works on the rows of this rank now."""
    try:
        file = os.open(folder / f"rank{rank}.jsonl", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(file)
    return False


def _cannot_write(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot write the ledger: {error.strerror or error}")
