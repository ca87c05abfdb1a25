"""What a rank is at: a small record beside the ledger, for the progress bar of all ranks and for --status.

A record is a line of JSON with a checksum. It is written over the last one in the same file, of one write, so
a reader sees a whole record or one that it can tell is none, and a kill leaves no temporary file. The ledger
has no times; from this record they are known, and from the lines that the ledger has got since, what was
finished after it was written.
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tools.stage.ledger.files import sealed, unsealed
from tools.stage.shards import RANKS_PER_SHARD, Shard

EVERY = 2.0
"""Seconds between two records of a run."""

RUNNING, FINISHED, STOPPED = "running", "finished", "stopped"
"""States in a record; one that was killed stays at ``running``."""

_LONGEST = 1 << 20  # bytes of a record that is read


class Count(NamedTuple):
    """The progress of a rank.

    Attributes:
        rows: Rows that it has to process.
        done: Those that are finished.
        failed: Those of them that failed.
        left: Seconds until all are; None where that is not known yet.
    """

    rows: int
    done: int = 0
    failed: int = 0
    left: float | None = None


class StatusFile:
    """The record of this rank, and those of the ranks that one `torchrun` started beside it.

    Args:
        folder: Folder of the output's ledger, which is locked by this process.
        shard: This rank.
        rows: Rows of this rank.
        earlier: Those that earlier runs have finished.
        failures: How often each kind is among the failures of these.
        number: A later run over the table has a higher one.
    """

    def __init__(
        self,
        folder: Path,
        shard: Shard,
        *,
        rows: int = 0,
        earlier: int = 0,
        failures: Mapping[str, int] | None = None,
        number: int = 0,
    ) -> None:
        self._folder = folder
        self._started = time.monotonic()
        self._shard = shard
        # The launcher is the parent of all its ranks on this machine. Without one, ranks of a run cannot be
        # distinguished from those of another.
        run = f"{os.environ.get('TORCHELASTIC_RUN_ID', '')} {os.getppid()}"
        # Rank 0 shows the bar; the ranks of its machine are the first ones.
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "0")) // int(os.environ.get(RANKS_PER_SHARD, "1"))
        self._here = range(min(here, shard.world))
        self.together = not shard.alone and shard.rank in self._here
        self._failures = Counter(failures or {})
        self._record: dict[str, Any] = {
            "rank": shard.rank,
            "world": shard.world,
            "node": socket.gethostname(),
            "pid": os.getpid(),
            "run": run,
            "state": RUNNING,
            "phase": "starting",
            "why": "",
            "begun": time.time(),
            "number": number,
            "ran": 0.0,
            "rows": rows,
            "earlier": earlier,
            "todo": rows - earlier,
            "done": 0,
            "failed": 0,
            "left": None,
        }

    def __enter__(self) -> StatusFile:
        self.publish()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        why = ""
        if error is not None:
            why = f"stopped by {error or 'Ctrl-C'}" if isinstance(error, KeyboardInterrupt) else str(error)
        self.publish(state=FINISHED if error is None else STOPPED, why=why)

    @property
    def was_finished(self) -> bool:
        """Whether the last run of this rank, and of as many ranks, has ended well."""
        last = read_record(self._folder, self._shard.rank)
        return last is not None and (last["state"], last["world"]) == (FINISHED, self._shard.world)

    @property
    def several(self) -> bool:
        """Whether there are other ranks."""
        return not self._shard.alone

    def failed(self, kinds: Mapping[str, int]) -> None:
        """Rows have failed, so many of each kind."""
        self._failures.update(kinds)

    def publish(self, count: Count | None = None, **changes: Any) -> None:
        """Write the record down; an error of the disk is one of the run's, which it reports itself.

        Args:
            count: The progress.
            changes: Other values of the record.
        """
        if count is not None:
            changes |= {"todo": count.rows, "done": count.done, "failed": count.failed, "left": count.left}
        self._record |= changes
        with suppress(OSError):
            ledger = (self._folder / f"rank{self._shard.rank}.jsonl").stat().st_size
            line = {**self._record, "at": time.time(), "ledger": ledger, "failures": dict(self._failures)}
            line["ran"] = time.monotonic() - self._started  # a clock may be set meanwhile
            file = os.open(_path(self._folder, self._shard.rank), os.O_WRONLY | os.O_CREAT, 0o666)
            try:
                os.pwrite(file, sealed(line), 0)
            finally:
                os.close(file)

    def others(self) -> dict[int, Count]:
        """The progress of the other ranks of this machine and this run, of those that have begun."""
        found = {}
        for rank in self._here if self.together else ():
            record = None if rank == self._shard.rank else read_record(self._folder, rank)
            if record and (record["run"], record["world"]) == (self._record["run"], self._shard.world):
                found[rank] = Count(record["todo"], record["done"], record["failed"], record["left"])
        return found

    def label(self, others: Mapping[int, Count]) -> str:
        """The ranks whose progress is known: ``8 ranks``, ``5 of 8 ranks``, ``rank 0 of 8``."""
        if not others:
            return f"rank {self._shard.rank} of {self._shard.world}"
        known = len(others) + 1
        return f"{known} ranks" if known == self._shard.world else f"{known} of {self._shard.world} ranks"


def read_record(folder: Path, rank: int) -> dict[str, Any] | None:
    """The last record of a rank; None if there is none."""
    for _ in range(3):  # it may be written just now
        try:
            with _path(folder, rank).open("rb") as file:
                return _checked(unsealed(file.readline(_LONGEST)))
        except OSError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError):
            time.sleep(0.01)
    return None


def _checked(record: dict[str, Any]) -> dict[str, Any]:
    for name in ("rank", "world", "pid", "rows", "earlier", "todo", "done", "failed", "ledger", "number"):
        record[name] = int(record[name])
    for name in ("begun", "at", "ran"):
        record[name] = float(record[name])
    record["left"] = None if record["left"] is None else float(record["left"])
    record["failures"] = {str(kind): int(count) for kind, count in record["failures"].items()}
    return record


def _path(folder: Path, rank: int) -> Path:
    return folder / f"rank{rank}.status"
