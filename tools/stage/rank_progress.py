"""The progress of all ranks of one machine: each writes its counts to a small file beside the ledger."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tools.stage.shards import RANKS_PER_SHARD, Shard


class Count(NamedTuple):
    """The progress of a rank.

    Attributes:
        rows: Rows that it has to process.
        done: Those that are finished.
        failed: Those of them that failed.
    """

    rows: int
    done: int = 0
    failed: int = 0


class RankProgress:
    """Counts of the ranks that one `torchrun` started on this machine, for the progress bar alone.

    Args:
        folder: Folder of the output's ledger.
        shard: This rank's share.
    """

    def __init__(self, folder: Path, shard: Shard) -> None:
        self._folder = folder
        self._shard = shard
        # The launcher is the parent of all its ranks on this machine. Without one, ranks of a run cannot be
        # distinguished from those of another.
        self._run = f"{os.environ.get('TORCHELASTIC_RUN_ID', '')} {os.getppid()}"
        # Rank 0 shows the bar; the ranks of its machine are the first ones.
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "0")) // int(os.environ.get(RANKS_PER_SHARD, "1"))
        self._here = range(min(here, shard.world))
        self._together = not shard.alone and shard.rank in self._here
        self._published: Count | None = None
        self._saw_first = False

    def publish(self, count: Count) -> None:
        """Write the count of this rank, for the others."""
        self._saw_first |= self._together and self._file(0).exists()
        if self._together and count != self._published:
            self._published = count
            with suppress(OSError):
                temporary = self._file(self._shard.rank).with_suffix(".new")
                temporary.write_text(json.dumps([self._run, *count]))
                temporary.replace(self._file(self._shard.rank))

    def others(self) -> dict[int, Count]:
        """The counts of the other ranks, of those that have published any."""
        if not self._together:
            return {}
        ranks = (rank for rank in self._here if rank != self._shard.rank)
        return {rank: count for rank in ranks if (count := self._read(rank))}

    def label(self, others: dict[int, Count]) -> str:
        """The ranks whose counts are known: ``8 ranks``, ``5 of 8 ranks``, ``rank 0 of 8``."""
        if not others:
            return f"rank {self._shard.rank} of {self._shard.world}"
        known = len(others) + 1
        return f"{known} ranks" if known == self._shard.world else f"{known} of {self._shard.world} ranks"

    def remove_files(self) -> None:
        """Remove files that are not read again: rank 0 all, others their own if rank 0 has ended."""
        if not self._together:
            return
        first = self._shard.rank == 0
        with suppress(OSError):
            if first or (self._saw_first and not self._file(0).exists()):
                self._file(self._shard.rank).unlink(missing_ok=True)
            for rank, count in self.others().items() if first else ():
                if count.done >= count.rows:
                    self._file(rank).unlink(missing_ok=True)

    def _file(self, rank: int) -> Path:
        return self._folder / f"rank{rank}.progress"

    def _read(self, rank: int) -> Count | None:
        try:
            run, rows, done, failed = json.loads(self._file(rank).read_text())
        except (OSError, ValueError, TypeError):
            return None
        return Count(rows, done, failed) if run == self._run else None
