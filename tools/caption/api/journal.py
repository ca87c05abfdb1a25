"""Answers, stored as they arrive, so that no answer is paid for twice after a killed run.

The ledger of a stage is written batch by batch; a batch of requests may take minutes. The journal is in the
same folder, one file per rank, and is read by all ranks. The files are removed when all ranks are done, since
another rank may need answers in them. The lock of the ledger, which is opened first, keeps two processes from
writing one journal.
"""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.base.disk import cannot_write, sync_names, sync_open
from tools.base.locks import holding
from tools.base.log import LOG
from tools.caption.api.answers import Answer
from tools.caption.api.usage import Usage
from tools.errors import MediaError
from tools.stage.ledger.files import sealed, unsealed

_RUN = "answers.run"
_RUN_BYTES = 16
_SYNC_SECONDS = 5.0  # answers of so long may be lost with the power


class Journal:
    """Answers of this run, and of earlier runs that were not completed.

    Args:
        folder: Folder of the journals of one output; created if missing.
        rank: Rank of this process, which appends to its own file.

    Attributes:
        earlier: Tokens of the answers of earlier runs in the file of this rank.
        run: Name of this run and of those that resume it, until the journals are removed; of all ranks.

    Raises:
        UserError: The folder cannot be written.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self._path = folder / f"answers{rank}.jsonl"
        self._positions: dict[str, tuple[Path, int]] = {}
        self._counts: Counter[str] = Counter()
        self.earlier = Usage()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self._end_torn_line()
            self.run = _run_name(folder / _RUN)
        except OSError as error:
            raise cannot_write(self._path, error, "the answers") from None
        self._begin = os.fstat(self._file).st_size
        self._synced, self._has_name = time.monotonic(), False
        for path in sorted(folder.glob("answers*.jsonl")):
            self._read(path)

    def find(self, key: str) -> Answer | MediaError | None:
        """The answer to a request, or why there is none; None when it was not sent."""
        if key not in self._positions:
            return None
        path, start = self._positions[key]
        try:
            with path.open("rb") as file:
                file.seek(start)
                return _outcome(unsealed(file.readline()))
        except (OSError, ValueError, KeyError, TypeError):  # removed or damaged since it was read
            return None

    def count(self, key: str) -> int:
        """How often a request has been answered."""
        return self._counts[key]

    def is_earlier(self, key: str) -> bool:
        """Whether a request was answered before this run."""
        path, start = self._positions.get(key, (self._path, self._begin))
        return path != self._path or start < self._begin

    def add(self, key: str, answer: Answer | MediaError, usage: Usage) -> None:
        """Store an answer, or why there is none although it was paid for, at once.

        Raises:
            UserError: The disk is full, for example.
        """
        line: dict[str, Any] = {"question": key, "usage": [usage.prompt, usage.completion, usage.unknown]}
        if isinstance(answer, MediaError):
            line["failure"] = answer.message
        else:
            line.update(text=answer.text, finish=answer.finish, thoughts=answer.reasoning)
        start = os.fstat(self._file).st_size
        self._write(sealed(line))
        self._positions[key] = (self._path, start)
        self._counts[key] += 1

    def forget(self, keys: Iterable[str]) -> None:
        """Take answers for not given: they are those of other requests.

        Raises:
            UserError: The disk is full, for example.
        """
        gone = [key for key in keys if self._positions.pop(key, None)]
        self._write(b"".join(sealed({"question": key, "forgotten": True}) for key in gone))

    def close(self) -> None:
        """Close this rank's file.

        Raises:
            UserError: The disk is full, for example.
        """
        try:
            self._sync()
        except OSError as error:
            raise cannot_write(self._path, error, "the answers") from None
        finally:
            os.close(self._file)

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._file, data) :]
            if time.monotonic() - self._synced >= _SYNC_SECONDS:
                self._sync()
        except OSError as error:
            raise cannot_write(self._path, error, "the answers") from None

    def _sync(self) -> None:
        """Write the answers through to the disk, and once the name of their file."""
        sync_open(self._file)
        if not self._has_name:
            sync_names(list(self._path.parents)[:3])  # of the output, its state and all states
            self._has_name = True
        self._synced = time.monotonic()

    def _end_torn_line(self) -> None:
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def _take(self, line: dict[str, Any], path: Path, start: int) -> None:
        if line.get("forgotten"):
            self._positions.pop(line["question"], None)
            return
        usage = Usage(*line["usage"])
        self._positions[line["question"]] = (path, start)
        self._counts[line["question"]] += 1
        if path == self._path:
            self.earlier += usage

    def _read(self, path: Path) -> None:
        start = damaged = 0
        with path.open("rb") as file:
            for data in file:
                try:
                    line = unsealed(data)
                    self._take(line, path, start)
                except (ValueError, KeyError, TypeError):
                    damaged += 1
                start += len(data)
        if damaged:
            LOG.warning("%s: %d damaged lines; their requests are sent again", path, damaged)


def _run_name(path: Path) -> str:
    """The name of the run in a file, which the first rank writes."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    with holding(file):
        name = os.pread(file, 2 * _RUN_BYTES, 0)
        if len(name) < 2 * _RUN_BYTES:  # a new file, or its writer was killed
            name = secrets.token_hex(_RUN_BYTES).encode()
            os.pwrite(file, name, 0)
        return name.decode("ascii", errors="replace")


def _outcome(line: dict[str, Any]) -> Answer | MediaError:
    if "failure" in line:
        return MediaError("server", "", line["failure"])
    return Answer(line["text"], line["finish"], Usage(), line["thoughts"])


def remove_journals(folder: Path) -> None:
    """Remove the journals of an output whose ledgers have all their answers.

    Args:
        folder: Folder of the journals.
    """
    for path in (*folder.glob("answers*.jsonl"), folder / _RUN):
        path.unlink(missing_ok=True)
