"""Groups of processes under torchrun that share a model, and their messages.

The rows are dealt out to ``dp_size`` groups of ``tp_size`` neighbouring ranks. The first rank of a group
reads frames, keeps the ledger and writes; the others only compute their part of the model.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tools.errors import UserError
from tools.options import check_options, option
from tools.options.values import Whole
from tools.stage.shards import RANKS_PER_SHARD

_TIMEOUT = timedelta(days=7)  # a group waits while its first rank decodes; torchrun ends orphans
_LOAD, _STOP = "load", "stop"


@dataclass(frozen=True)
class GroupSizes:
    """Options of the groups.

    Raises:
        UserError: A value that is not supported.
    """

    dp_size: int | None = option(
        None,
        "groups that share the rows",
        Whole(1),
        shown="as many as there are processes for",
        none=True,
        everyday=False,
    )
    tp_size: int = option(
        1,
        "processes that share one model; N times --dp-size is the number of processes",
        Whole(1),
        everyday=False,
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class Layout:
    """The groups, and the position of this process.

    Attributes:
        dp_size: Groups that share the rows.
        tp_size: Processes of each group, which share the model.
        rank: Number of this process among all, from 0.
    """

    dp_size: int
    tp_size: int
    rank: int

    @property
    def dp_rank(self) -> int:
        """Number of this process's group."""
        return self.rank // self.tp_size

    @property
    def tp_rank(self) -> int:
        """Number of this process in its group; 0 leads."""
        return self.rank % self.tp_size


def find_layout(sizes: GroupSizes) -> Layout:
    """The position of this process, from RANK and WORLD_SIZE; each group gets one shard of the table.

    Raises:
        UserError: ``dp_size`` times ``tp_size`` is not the number of processes.
    """
    dp_size, tp_size = sizes.dp_size, sizes.tp_size
    try:
        rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    except ValueError:
        raise UserError("RANK and WORLD_SIZE must be whole numbers") from None
    groups = max(1, world // tp_size) if dp_size is None else dp_size
    if groups * tp_size != world:
        need = groups * tp_size
        raise UserError(
            f"--dp-size {groups} x --tp-size {tp_size}: work for {need} processes, there are {world}; "
            f"start it with torchrun --nproc_per_node {need} --standalone -m tools.caption.caption_llava"
        )
    os.environ[RANKS_PER_SHARD] = str(tp_size)
    return Layout(groups, tp_size, rank)


class Group:
    """The processes that share one model. The first sends, the others `follow`.

    Args:
        layout: The position of this process; its group has more than one process.
        device: ``cpu`` or ``cuda:N``, of this process.

    Raises:
        UserError: The processes cannot connect.
    """

    def __init__(self, layout: Layout, device: str) -> None:
        import torch.distributed as dist
        from torch.distributed.distributed_c10d import PrefixStore
        from torch.distributed.rendezvous import rendezvous

        self.size = layout.tp_size
        self.leads = layout.tp_rank == 0
        try:
            store, _, _ = next(rendezvous("env://", timeout=_TIMEOUT))
            dist.init_process_group(
                "gloo" if device == "cpu" else "cpu:gloo,cuda:nccl",
                store=PrefixStore(f"captions/{layout.dp_rank}", store),
                rank=layout.tp_rank,
                world_size=layout.tp_size,
                timeout=_TIMEOUT,
            )
        except (ValueError, RuntimeError) as error:
            raise UserError(f"--tp-size {self.size}: the processes cannot connect: {error}") from None

    def load(self) -> None:
        """Let all processes of the group load the model."""
        self.send(_LOAD)

    def send(self, message: Any) -> None:
        """Send a batch to the other processes."""
        self._broadcast([message])

    def close(self) -> None:
        """Stop the other processes, and leave the group."""
        import torch.distributed as dist

        if self.leads:
            self.send(_STOP)
        dist.destroy_process_group()

    def follow(self, load: Callable[[], Callable[[Any], object]]) -> None:
        """Compute each batch that the first process sends, until it stops.

        Args:
            load: Loads the model; returns the function for a batch.
        """
        compute: Callable[[Any], object] | None = None
        while True:
            box = [None]
            self._broadcast(box)
            message = box[0]
            if isinstance(message, str) and message == _STOP:
                return
            if isinstance(message, str) and message == _LOAD:
                compute = load()
            elif compute is not None:
                compute(message)

    def _broadcast(self, box: list[Any]) -> None:
        import torch
        import torch.distributed as dist

        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
