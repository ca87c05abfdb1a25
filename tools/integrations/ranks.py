"""Operators under ``torchrun``: every rank does its share of the rows, and then knows all results."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from tools.errors import UserError
from tools.stage.shards import current_shard

Result = TypeVar("Result")

_PATIENCE = timedelta(days=7)  # how long a rank waits for the slowest one; torchrun ends all when one dies


def on_every_rank(work: Callable[[], Result]) -> list[Result]:
    """Do something on every rank, and exchange what came out. All ranks must call it, in the same order.

    Args:
        work: Returns this rank's result, which must pickle.

    Returns:
        The results of all shards, by number. Alone, the one result.

    Raises:
        UserError: What `work` raised, on whichever rank: none is left waiting for one that failed; or
            WORLD_SIZE is set without the rest of what `torchrun` sets.
    """
    shard = current_shard()
    if shard.alone:
        return [work()]
    try:
        mine: Any = (shard.rank, work(), None)
    except Exception as error:
        mine = (shard.rank, None, error if isinstance(error, UserError) else _as_text(error))
        failure: Exception | None = error
    else:
        failure = None
    gathered = _exchange(mine)
    if failure is not None:
        raise failure
    for rank, _, error in gathered:
        if error is not None:
            raise error if isinstance(error, UserError) else UserError(f"rank {rank} failed: {error}")
    return [result for _, result, _ in sorted(gathered, key=lambda part: part[0])]


def on_first_rank(work: Callable[[], object]) -> None:
    """Do something on rank 0 while the others wait, so that afterwards it is done for all."""
    first = current_shard().rank == 0
    on_every_rank(lambda: (work(), None)[1] if first else None)


def _as_text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _exchange(mine: Any) -> list[Any]:
    import torch.distributed as dist

    group = _group()
    gathered: list[Any] = [None] * dist.get_world_size(group)
    dist.all_gather_object(gathered, mine, group=group)
    return list({part[0]: part for part in gathered}.values())


@functools.cache
def _group() -> Any:
    """A group of all ranks that exchanges objects through main memory, whatever the script uses itself."""
    import atexit

    import torch.distributed as dist

    if dist.is_initialized():
        return dist.new_group(backend="gloo", timeout=_PATIENCE)
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise UserError(
            f"WORLD_SIZE={os.environ.get('WORLD_SIZE')}, but {' and '.join(missing)} is not set; start the "
            "script with torchrun, or unset WORLD_SIZE"
        )
    dist.init_process_group("gloo", timeout=_PATIENCE)
    atexit.register(_leave)
    return dist.group.WORLD


def _leave() -> None:
    """Let go of the group: its threads end with the last reference to it, before Python does."""
    import torch.distributed as dist

    _group.cache_clear()
    if dist.is_initialized():
        dist.destroy_process_group()
