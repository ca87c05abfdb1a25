"""The CPUs, GPUs and memory of a pool of actors, and whether the machine or the cluster has them.

Daft also starts actors that do not fit, and then waits for them: for two minutes where some fit, for ever
where they take every CPU and none is left for reading. So this is checked before.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tools.base.memory import usable_memory
from tools.errors import UserError
from tools.integrations.daft.packages import import_daft, import_ray

_FOR_READS = 1  # CPUs of a cluster that stay free for reading and for moving rows


@dataclass(frozen=True)
class Workers:
    """A pool of actors, each with the stage's model and its own decoding workers.

    Attributes:
        gpus: GPUs of each; a fraction lets several share one.
        concurrency: How many actors.
        batch_size: Rows of a call.
        num_workers: Decoding processes of each; 0 decodes in the actor itself, without guards.
        cpus: CPUs of each; by default one for each decoding process, at least one. See `cpus_each`.

    Raises:
        UserError: A value is out of range.
    """

    gpus: float = 0
    concurrency: int = 1
    batch_size: int = 256
    num_workers: int = 2
    cpus: float | None = None

    def __post_init__(self) -> None:
        for name, least in (("concurrency", 1), ("batch_size", 1), ("num_workers", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise UserError(f"Invalid {name} ({value}). It must be a whole number from {least} on.")
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise UserError(f"Invalid gpus ({self.gpus:g}). It must be a fraction of 1, or a whole number.")
        if self.cpus is not None and not 0 < self.cpus < math.inf:
            raise UserError(f"Invalid cpus ({self.cpus:g}). It must be greater than 0.")

    @property
    def cpus_each(self) -> float:
        """CPUs of each actor."""
        return max(1, self.num_workers) if self.cpus is None else self.cpus


@dataclass(frozen=True)
class Machine:
    """CPUs, GPUs and bytes of memory of one node."""

    cpus: float
    gpus: float
    memory: float = math.inf

    def room_for(self, workers: Workers, memory: float = 0) -> int:
        """How many actors fit."""
        rooms = [self.cpus / workers.cpus_each]
        if workers.gpus >= 1:
            rooms.append(self.gpus / workers.gpus)
        elif workers.gpus:  # several share a GPU, but none has pieces of two
            rooms.append(int(self.gpus) * int(1 / workers.gpus))
        if memory:
            rooms.append(self.memory / memory)
        return int(min(rooms))


def usual_cpus(num_workers: int) -> int:
    """Default CPUs of an actor: one for each decoding process; without a cluster no more than there are."""
    cpus = max(1, num_workers)
    return cpus if is_on_ray() else min(cpus, int(this_machine().cpus))


def is_on_ray() -> bool:
    """Whether Daft runs on Ray: ``daft.set_runner_ray()`` was called, or ``DAFT_RUNNER`` says so."""
    import_daft()
    from daft.runners import get_or_infer_runner_type

    return get_or_infer_runner_type() == "ray"


def machines() -> list[Machine] | None:
    """The nodes of the cluster, or this machine; None where there is no connection to the cluster yet."""
    if not is_on_ray():
        return [this_machine()]
    ray = import_ray()
    if not ray.is_initialized():
        return None
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Machine(n.get("CPU", 0), n.get("GPU", 0), n.get("memory", math.inf)) for n in nodes]


def this_machine() -> Machine:
    """The resources of this machine."""
    from tools.media.workers.pool import usable_cores

    return Machine(usable_cores(), _gpus_here(), usable_memory())


def _gpus_here() -> int:
    import torch

    return torch.cuda.device_count()


def check_resources(workers: Workers, *, memory: float = 0) -> None:
    """Check that all actors can run at a time, and that a CPU is left for reading.

    Args:
        workers: The actors.
        memory: Bytes of each; 0 for any.

    Raises:
        UserError: They cannot; says what is missing.
    """
    nodes = machines()
    if nodes is None:
        return
    if is_on_ray():
        check_cluster(workers, nodes, memory)
    else:
        check_machine(workers, nodes[0], memory)


def check_machine(workers: Workers, machine: Machine, memory: float = 0) -> None:
    """As `check_resources`, for Daft's native runner on this machine."""
    # Daft's native runner reserves no CPUs, more actors than cores only take turns; but each has to fit.
    if workers.cpus_each > machine.cpus:
        raise UserError(f"{_needs(workers)}, this machine has {machine.cpus:g}; ask for fewer")
    if workers.gpus * workers.concurrency > machine.gpus:
        raise UserError(
            f"{_needs(workers)}, this machine has {_gpus(machine.gpus)}; "
            "ask for fewer, or call daft.set_runner_ray() first where a cluster is meant"
        )
    if workers.concurrency > 1 and workers.gpus * workers.concurrency > 1:
        raise UserError(
            f"{_needs(workers)}: Daft's native runner does not deal out GPUs, all would take the first one; "
            "use Ray, which does: daft.set_runner_ray()"
        )
    if memory * workers.concurrency > machine.memory:
        raise UserError(
            f"{workers.concurrency} x {memory / 2**30:.1f} GiB are needed, this machine has "
            f"{machine.memory / 2**30:.1f} GiB"
        )


def check_cluster(workers: Workers, nodes: Sequence[Machine], memory: float = 0) -> None:
    """As `check_resources`, for a Ray cluster of these nodes."""
    room = sum(machine.room_for(workers, memory) for machine in nodes)
    cpus, gpus = sum(m.cpus for m in nodes), sum(m.gpus for m in nodes)
    has = f"the Ray cluster has {cpus:g} CPUs and {_gpus(gpus)} on {len(nodes)} nodes"
    if room < workers.concurrency:
        fit = "none fits" if room == 0 else f"{room} fit"
        more = f" and {memory / 2**30:.1f} GiB" if memory else ""
        raise UserError(f"{_needs(workers)}{more}, {has}: {fit}; ask for fewer or smaller ones")
    left = cpus - workers.cpus_each * workers.concurrency
    if left < _FOR_READS:
        raise UserError(
            f"{_needs(workers)}, {has}: {left:g} CPUs are left for reading, {_FOR_READS} is needed; "
            "ask for fewer workers, or fewer CPUs for each"
        )


def _needs(workers: Workers) -> str:
    takes = f"{workers.cpus_each:g} CPUs" + (f" and {_gpus(workers.gpus)}" if workers.gpus else "")
    return f"{workers.concurrency} workers with {takes} each are needed"


def _gpus(number: float) -> str:
    return "1 GPU" if number == 1 else f"{number:g} GPUs"


def spread_workers(
    *,
    gpus: float = 0,
    concurrency: int | None = None,
    cpus: float | None = None,
    num_workers: int = 16,
) -> Workers:
    """As many actors as the cluster has room for; one on this machine.

    Args:
        gpus: GPUs of each.
        concurrency: How many; by default as many as fit.
        cpus: CPUs of each; by default its part of its node.
        num_workers: Decoding processes of each, no more than its CPUs.

    Raises:
        UserError: They do not fit, see `check_resources`.
    """
    nodes = machines() or [this_machine()]
    if is_on_ray():
        share, room = fill(nodes, gpus=gpus, cpus=cpus)
    else:
        share, room = cpus or nodes[0].cpus, 1
    workers = Workers(gpus, concurrency or room, num_workers=min(num_workers, math.ceil(share)), cpus=share)
    check_resources(workers)
    return workers


def fill(nodes: Sequence[Machine], *, gpus: float = 0, cpus: float | None = None) -> tuple[float, int]:
    """How many CPUs an actor should take, so that actors leave the least of the nodes idle, and how many fit.

    One CPU of each node is left for reading.

    Args:
        nodes: The nodes.
        gpus: GPUs of each actor: then an actor for each such share; without GPUs actors that use as many
            CPUs as possible.
        cpus: CPUs of each; None to choose them.
    """
    able = [m for m in nodes if m.gpus >= gpus] or nodes
    actors = [max(1, int(m.gpus / gpus)) if gpus else 1 for m in able]
    shares = {max(1, int((m.cpus - _FOR_READS) / number)) for m, number in zip(able, actors, strict=True)}

    def room(share: float) -> int:
        spared = [dataclasses.replace(m, cpus=m.cpus - _FOR_READS) for m in able]
        return sum(machine.room_for(Workers(gpus, cpus=share)) for machine in spared)

    def worth(share: float) -> tuple[float, float]:
        return room(share) * (1 if gpus else share), share

    best = cpus or max(shares, key=worth)
    return best, max(1, room(best))


def share_of_a_machine(workers: Workers) -> int:
    """How many of the actors may run on one machine, and share its cores."""
    if not is_on_ray():
        return workers.concurrency
    rooms = [machine.room_for(workers) for machine in machines() or []]
    return max(1, min(workers.concurrency, max(rooms, default=1)))
