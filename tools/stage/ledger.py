"""The ledger: every finished row, appended as it finishes, so that a killed run loses next to nothing.

It lies in ``.vidsieve/<output name>/`` beside the output: one file of JSON lines per rank. Every rank reads
all of them, so a run may go on with another number of ranks. A line is keyed by what was asked (stage,
version, options, weights) and by the row (its cells, size and time of its file): change either, and the row
is done anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tools.errors import MediaError, UserError
from tools.stage.stage import Row, Stage

Outcome = dict[str, Any] | MediaError
"""What became of a row: its values, or why there are none."""


def ask_of(stage: Stage) -> dict[str, Any]:
    """Everything that decides the values, apart from the rows themselves."""
    return {"stage": stage.name, "version": stage.version, "asked": stage.asked()}


def digest(value: Any) -> str:
    """Short fingerprint of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:24]


def row_key(row: Row) -> str:
    """Fingerprint of a row: the cells that its stage reads, and size and time of its file."""
    try:
        status = Path(row["path"]).stat()
        file = [status.st_size, status.st_mtime_ns]
    except (OSError, ValueError, TypeError):
        file = []
    return digest([row, file])


class Ledger:
    """Finished rows of one output.

    Args:
        folder: Folder of the output's ledger files; made if missing.
        rank: Whose file is appended to.
        ask: See `ask_of`.

    Raises:
        UserError: Another process is writing this rank's file, or the folder cannot be written.
    """

    def __init__(self, folder: Path, rank: int, ask: dict[str, Any]) -> None:
        self._ask = digest(ask)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(folder / f"rank{rank}.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise UserError(f"{folder}: cannot write the ledger: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise UserError(f"{folder.name}: the same command is running already (rank {rank})") from None
        except OSError:
            pass  # a file system without locks
        self._end_torn_line()
        self.outcomes: dict[str, Outcome] = {}
        for path in sorted(folder.glob("rank*.jsonl")):
            self._read(path)

    def add(self, finished: Iterable[tuple[str, Outcome]]) -> None:
        """Append rows. One write for all of them, so that a kill leaves at most one torn line."""
        lines = []
        for key, outcome in finished:
            self.outcomes[key] = outcome
            line: dict[str, Any] = {"ask": self._ask, "row": key}
            if isinstance(outcome, MediaError):
                line["failure"] = [outcome.kind, outcome.path, outcome.message]
            else:
                line["values"] = outcome
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
        data = "".join(lines).encode(errors="surrogatepass")
        while data:
            data = data[os.write(self._file, data) :]

    def forget(self, keys: Sequence[str]) -> None:
        """Drop rows that are to be done again."""
        for key in keys:
            self.outcomes.pop(key, None)

    def close(self) -> None:
        """Close the file and let others write it."""
        os.close(self._file)

    def _end_torn_line(self) -> None:
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def _read(self, path: Path) -> None:
        for data in path.read_bytes().splitlines():
            try:
                line = json.loads(data)
                if line["ask"] != self._ask:
                    continue
                if "failure" in line:
                    self.outcomes[line["row"]] = MediaError(*line["failure"])
                else:
                    self.outcomes[line["row"]] = line["values"]
            except (ValueError, KeyError, TypeError):
                continue  # torn by a kill
