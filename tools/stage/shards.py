"""The rows of this rank: RANK and WORLD_SIZE decide, as `torchrun` sets them; no process group."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tools.errors import UserError
from tools.table import failures_path, part_path

RANKS_PER_SHARD = "VIDSIEVE_RANKS_PER_SHARD"
"""Environment variable: number of neighbouring ranks that share one shard, and a model; 1 by default."""

STATE_FOLDER = ".vidsieve"
"""Hidden folder beside an output with its ledger and receipts."""


@dataclass(frozen=True)
class Shard:
    """One rank of several.

    Which rows of a table it processes follows from how long they are, see `tools.stage.dealing`; rows of
    which nothing is known go to the ranks in turn.

    Attributes:
        rank: Number of this rank, from 0.
        world: How many ranks there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def alone(self) -> bool:
        """Whether there is only one rank; then the output has no part number."""
        return self.world == 1

    @property
    def label(self) -> str:
        """``rank/world``, the cell of the column ``_part``."""
        return f"{self.rank}/{self.world}"

    def rows(self, total: int) -> range:
        """Numbers of this rank's rows where ``total`` rows are dealt out in turn."""
        return range(self.rank, total, self.world)

    def output(self, output: Path) -> Path:
        """Where this rank writes its rows of ``output``."""
        return output if self.alone else part_path(output, self.rank)

    def failures(self, output: Path) -> Path:
        """Where this rank lists the failures of ``output``."""
        return failures_path(output, None if self.alone else self.rank)


def current_shard() -> Shard:
    """This process's shard, from the environment; that of several ranks where `RANKS_PER_SHARD` says so.

    Raises:
        UserError: RANK and WORLD_SIZE do not go together.
    """
    rank, world = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    try:
        shard = Shard(int(rank), int(world))
        together = int(os.environ.get(RANKS_PER_SHARD, "1"))
    except ValueError:
        raise UserError(f"RANK={rank} WORLD_SIZE={world}: both must be whole numbers") from None
    if not 0 <= shard.rank < shard.world:
        raise UserError(f"RANK={rank} WORLD_SIZE={world}: RANK must lie between 0 and WORLD_SIZE - 1")
    if together < 1 or shard.world % together:
        raise UserError(f"{RANKS_PER_SHARD}={together}: does not divide WORLD_SIZE={world}")
    return Shard(shard.rank // together, shard.world // together)


def state_of(table: Path) -> Path:
    """The folder with the ledger of a table."""
    return table.parent / STATE_FOLDER / table.name
