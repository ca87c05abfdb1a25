"""Which rank gets which rows, and in which order a rank processes them: longest first.

The rows of a table are dealt out from the longest to the shortest, each to the rank that has the least work
so far (longest processing time first: R. L. Graham, Bounds on multiprocessing timing anomalies, 1969). So no
rank works alone at the end, and within a rank no worker does.

A row's work is estimated (`tools.stage.estimate.costs`). Half of it is taken to be the same for all rows and
half in proportion to the estimate: the shares are then even for stages that decode whole videos, and for
those that read three frames of each.

Every rank deals for itself and must come to the same result. It does if the estimates follow from the table
alone. If they follow from files, which may change meanwhile, the first rank writes down what it has dealt.
"""

from __future__ import annotations

import heapq
import os
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from tools.base.disk import remove_quietly, writing
from tools.base.locks import holding
from tools.base.temporary_files import write_whole
from tools.stage.estimate.costs import are_known, file_sizes, row_costs
from tools.stage.shards import Shard

_UNITS = 2**31  # of the most expensive row: whole numbers, of which sums are exact
_RANKS = "<u2"
_MOST_RANKS = 2**16 - 1
_CHECKSUM = 4  # bytes


def deal(costs: np.ndarray, world: int) -> np.ndarray:
    """Deal rows out to ranks.

    Args:
        costs: What each row costs, see `tools.stage.estimate.costs.row_costs`.
        world: Number of ranks.

    Returns:
        uint16, the rank of each row. Rows of equal costs go to the ranks in turn.
    """
    units = np.rint(costs / costs.max(initial=1e-300) * _UNITS).astype(np.int64)
    work = units * len(costs) + max(1, int(units.sum()))
    ranks = np.zeros(len(costs), _RANKS)
    loads = [(0, rank) for rank in range(world)]
    for number in longest_first(costs):
        load, rank = loads[0]
        ranks[number] = rank
        heapq.heapreplace(loads, (load + int(work[number]), rank))
    return ranks


def longest_first(costs: np.ndarray) -> np.ndarray:
    """Numbers of rows, those with the highest costs first; of equal ones the first in the table."""
    return np.argsort(-costs, kind="stable")


def rows_of_rank(
    shard: Shard, table: pl.DataFrame, state: Path, name: str, *, read_only: bool
) -> Sequence[int]:
    """Numbers of the rows that a rank processes, in the order of the table.

    Args:
        shard: The rank.
        table: The whole table.
        state: Folder of the output's ledger.
        name: Fingerprint of the table.
        read_only: Write nothing down.

    Returns:
        Each number belongs to exactly one rank.

    Raises:
        UserError: The folder cannot be written.
    """
    if shard.alone or shard.world > _MOST_RANKS:
        return shard.rows(table.height)
    if are_known(table):
        ranks = deal(row_costs(table), shard.world)
    else:
        ranks = _written_down(state / f"ranks{shard.world}-{name[:16]}.dealt", shard.world, table, read_only)
    numbers = np.flatnonzero(ranks == shard.rank)
    in_turn = shard.rows(table.height)
    if np.array_equal(numbers, np.arange(in_turn.start, in_turn.stop, in_turn.step)):
        return in_turn
    return array("q", numbers.astype(np.int64).tobytes())


def _written_down(file: Path, world: int, table: pl.DataFrame, read_only: bool) -> np.ndarray:
    """What a rank of this run has dealt by the sizes of files, or what this one deals now."""
    found = _read(file, world, table.height)
    if found is not None or read_only:
        return deal(row_costs(table, file_sizes(table)), world) if found is None else found
    with writing(file, "who gets which rows"):
        file.parent.mkdir(parents=True, exist_ok=True)
    with _alone(file.with_name("dealing.lock")):
        found = _read(file, world, table.height)
        if found is None:
            found = deal(row_costs(table, file_sizes(table)), world)
            data = found.tobytes()
            write_whole(file, zlib.crc32(data).to_bytes(_CHECKSUM, "little") + data, "who gets which rows")
            for old in file.parent.glob(f"ranks{world}-*.dealt"):  # of another input, which this one replaces
                if old != file:
                    remove_quietly(old)
    return found


def _read(file: Path, world: int, rows: int) -> np.ndarray | None:
    try:
        data = file.read_bytes()
    except OSError:
        return None
    whole = len(data) == _CHECKSUM + 2 * rows
    if not whole or zlib.crc32(data[_CHECKSUM:]).to_bytes(_CHECKSUM, "little") != data[:_CHECKSUM]:
        return None
    ranks = np.frombuffer(data, _RANKS, offset=_CHECKSUM)
    return ranks if ranks.max(initial=0) < world else None


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one rank after the other through."""
    with writing(lock):
        file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    with holding(file):
        yield
