"""Operators of LAS's shape as Daft functions, with the call that LAS's documents show.

Such an operator is a class: made with keyword arguments, its ``transform`` takes columns as arrays and gives
an array, and ``return_type()`` is the array's Arrow type.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tools.errors import UserError
from tools.integrations.daft.packages import import_daft
from tools.integrations.daft.resources import Workers, check_resources, share_of_a_machine

if TYPE_CHECKING:
    from daft import Expression


def las_udf(
    operator: type,
    construct_args: Mapping[str, Any] | None = None,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    memory_bytes: int | None = None,
    batch_size: int | None = None,
    concurrency: int | None = None,
    use_process: bool | None = None,
    *,
    method: str = "transform",
    return_type: Any = None,
) -> Callable[..., Expression]:
    """Make a Daft function of an operator.

    As in ``las_udf(VideoQualityScore, construct_args={"prompt": "quality"}, num_gpus=1)(col("video_path"))``.
    The operator is made in the workers, once in each. Its columns may be given by position or by name:
    ``(video_binaries=col("bytes"), video_formats=col("format"))``.

    Args:
        operator: The class. It must be importable by name on all nodes, or be defined in the script.
        construct_args: Arguments that it is made with.
        num_cpus: CPUs of each worker; 1 by default.
        num_gpus: GPUs of each worker, or a fraction of one; none by default.
        memory_bytes: Memory of each worker, reckoned up before the run; Daft's functions do not reserve it.
        batch_size: Rows of a call; by default what Daft has loaded, at most a few thousand.
        concurrency: Workers; 1 by default.
        use_process: Whether each runs in a separate process; by default it does.
        method: Method that takes the columns: ``detail`` of `tools.operators.VideoQualityScore` gives a
            struct with the score of each frame and the reason of a null.
        return_type: Arrow type of the method's result; by default that of the operator's static method
            ``return_type`` (for another method than ``transform``, ``<method>_type``).

    Returns:
        What is called with expressions, and gives one.

    Raises:
        UserError: Daft is not installed; arguments are wrong; the cluster (or this machine) has not what the
            workers take.
    """
    daft = import_daft()
    arguments = dict(construct_args or {})
    check = getattr(operator, "check", None)
    if callable(check):
        check(**arguments)
    workers = Workers(num_gpus or 0, concurrency or 1, batch_size or 1, 1, num_cpus)
    check_resources(workers, memory=memory_bytes or 0)
    dtype = daft.DataType.from_arrow_type(return_type or _return_type(operator, method))

    @daft.cls(
        cpus=workers.cpus_each,
        gpus=workers.gpus,
        use_process=True if use_process is None else use_process,
        max_concurrency=workers.concurrency,
        name_override=operator.__name__,
    )
    class LasUdf:
        def __init__(self, worker: _Worker) -> None:
            self._worker = worker

        @daft.method.batch(return_dtype=dtype, batch_size=batch_size)
        def __call__(self, *columns: Any, **named: Any) -> Any:
            arrays = [column.to_arrow() for column in columns]
            result = self._worker(arrays, {name: column.to_arrow() for name, column in named.items()})
            return daft.Series.from_arrow(result).cast(dtype)

    return LasUdf(_Worker(operator, arguments, method, share_of_a_machine(workers)))


@dataclass
class _Worker:
    """Keeps the operator, which is made at the first batch; one that travels has none."""

    operator: type
    arguments: dict[str, Any]
    method: str
    actors: int
    folder: str = field(default_factory=os.getcwd)

    def __post_init__(self) -> None:
        self._made: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_made": None}

    def __call__(self, columns: list[Any], named: dict[str, Any]) -> Any:
        if self._made is None:
            with suppress(OSError):  # relative paths begin where they were written
                os.chdir(self.folder)
            if self.actors > 1:  # as torchrun sets it, see tools.media.workers.pool.usable_cores
                os.environ["LOCAL_WORLD_SIZE"] = str(self.actors)
            self._made = self.operator(**self.arguments)
        return getattr(self._made, self.method)(*columns, **named)


def _return_type(operator: type, method: str) -> Any:
    name = "return_type" if method == "transform" else f"{method}_type"
    teller = getattr(operator, name, None)
    if not hasattr(operator, method) or teller is None:
        raise UserError(
            f"{operator.__name__}: has no {method}() or no {name}(); say return_type for the latter"
        )
    return teller() if callable(teller) else teller
