"""The files of a ledger: how a record becomes a line, and which line counts for a row.

Nothing in them is trusted. A line ends with a checksum of the rest, and one whose checksum differs is
ignored. Of two lines about a row the later one counts. Which that is follows from their order in a file, and
between files from the number of the run that wrote them: clocks go back, and those of two machines differ.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Container, MutableMapping
from pathlib import Path
from typing import Any

from tools.base.locks import is_locked
from tools.base.versions import Version
from tools.errors import MediaError
from tools.stage.ledger.packed_outcomes import PackedOutcomes
from tools.stage.ledger.row_keys import RowKeys, RowValues

VectorPlace = tuple[Path, int, int, int]
"""Where a vector is: file, first byte, numbers, checksum of its bytes."""

CHECKSUM = b', "crc32": "'
"""What precedes the checksum of a record."""

_SEAL = len(CHECKSUM) + len('00000000"}\n')


class LedgerFiles:
    """The content of the files of a ledger.

    Args:
        own: File of this rank, which no other process writes.
        config: Fingerprint of the config.
        keys: Rows of this run.

    Attributes:
        outcomes: What became of rows.
        versions: Of rows whose file is at an address, which version that was.
        vectors: Where their vectors are; None for a row that has none.
        last_run: Highest number of a run.
        damaged: How many lines of each file cannot be used.
        reported: How many of these have been reported to the user.

    Raises:
        OSError: A file cannot be read.
    """

    def __init__(self, own: Path, config: str, keys: Container[str]) -> None:
        self._own = own
        self._config = config
        self._keys = keys
        all_keys = keys if isinstance(keys, RowKeys) else None
        self.outcomes = PackedOutcomes(all_keys)
        self.vectors: dict[str, VectorPlace | None] = {}
        self.versions: dict[str, Version] = {}
        self.last_run = 0
        self.damaged: dict[str, int] = {}
        self.reported: dict[str, int] = {}
        # Run and file of the line that counts for a row.
        self._latest: MutableMapping[str, tuple[int, Path]] = {} if all_keys is None else RowValues(all_keys)
        self._position: tuple[int, Path] = (0, own)  # of the current line: one object for many lines
        files = ((_rank_of(path), path) for path in own.parent.glob("rank*.jsonl"))
        for rank, path in sorted((rank, path) for rank, path in files if rank is not None):
            self._read(rank, path)

    def _read(self, rank: int, path: Path) -> None:
        with path.open("rb") as file:
            for data in file:
                try:
                    self._take(unsealed(data), path)
                except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
                    if not self._is_growing(data, rank, path):
                        self.damaged[path.name] = self.damaged.get(path.name, 0) + 1

    def _is_growing(self, data: bytes, rank: int, path: Path) -> bool:
        """Whether another rank is about to write the rest of a line."""
        return not data.endswith(b"\n") and path != self._own and is_running(path.parent, rank)

    def _take(self, line: dict[str, Any], path: Path) -> None:
        """Take a line, if it is later than the known line of its row.

        Raises:
            ValueError: Or another error: it cannot be used.
        """
        run = int(line["run"])
        self.last_run = max(self.last_run, run)
        if "told" in line:
            self.reported = {str(name): int(count) for name, count in line["told"].items()}
            return
        key = line["row"]
        if line["ask"] != self._config or key not in self._keys:
            return
        if self._position != (run, path):
            self._position = run, path
        if (latest := self._latest.get(key)) is not None:
            is_other = path != latest[1] and isinstance(self.outcomes.get(key), dict)
            if run < latest[0] or (run == latest[0] and is_other):
                return
            self.outcomes.pop(key, None)
            self.vectors.pop(key, None)
            self.versions.pop(key, None)
        self._latest[key] = self._position
        if "again" in line:
            return
        if "file" in line:
            self.versions[key] = Version.from_json(line["file"])
        if "failure" in line:
            self.outcomes[key] = MediaError(*map(_text, line["failure"]))
            return
        values = line["values"]
        if not isinstance(values, dict):
            raise TypeError("no values")
        if "vector" in line:
            self.vectors[key] = line["vector"] and _vector_place(path.parent, *line["vector"])
        self.outcomes[key] = values


def _rank_of(path: Path) -> int | None:
    """Whose file it is."""
    rank = path.stem.removeprefix("rank")
    return int(rank) if rank.isdecimal() else None


def _vector_place(folder: Path, name: str, start: int, count: int, checksum: int) -> VectorPlace:
    if _rank_of(Path(name)) is None or Path(name).name != name or min(start, count) < 0:
        raise ValueError(f"{name}: not the file of a vector")
    return folder / name, int(start), int(count), int(checksum)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def sealed(line: dict[str, Any]) -> bytes:
    """A record as a line that ends with the checksum of everything before it."""
    body = json.dumps(line, ensure_ascii=False).encode(errors="surrogatepass")[:-1]
    return b'%b%b%08x"}\n' % (body, CHECKSUM, zlib.crc32(body))


def unsealed(data: bytes) -> dict[str, Any]:
    """The record in a line.

    Raises:
        ValueError: The line is damaged, or has no checksum.
    """
    end = len(data) - _SEAL
    if data[end:] != b'%b%08x"}\n' % (CHECKSUM, zlib.crc32(memoryview(data)[: max(0, end)])):
        raise ValueError("damaged")
    return json.loads(data)


def is_running(folder: Path, rank: int) -> bool:
    """Whether a process is processing the rows of this rank now."""
    return is_locked(folder / f"rank{rank}.jsonl") is True
