"""A stage as a Daft class: rows come in batches, and each has its values or the reason why it has none.

The class only calls `tools.stage.session.Session`, as commands do: so the values are the same.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from tools.base.terminal import one_line
from tools.errors import DiskError, MediaError, UserError
from tools.integrations.daft.packages import import_daft
from tools.integrations.daft.resources import Workers
from tools.media.fetching.sources import Source
from tools.stage.ledger import stage_config
from tools.stage.outcomes import Outcome, error_text
from tools.stage.remote_files import fetch_options
from tools.stage.run_options import RunOptions
from tools.stage.session import Session
from tools.stage.spec import StageSpec
from tools.stage.stage import FAILURES, REMARKS

if TYPE_CHECKING:
    import daft

ERROR = "error"
"""Field of a struct of values: ``kind: message`` of what failed, a line for each; null when nothing did."""

FORMAT = "format"
"""Cell that says what the bytes of ``path`` are (``mp4``), where ``path`` is bytes."""


_PATHS = (str, os.PathLike, bytes, bytearray, memoryview)


@dataclass
class StageWorker:
    """What an actor does: keep a stage set up and its decoding workers running, from one batch to the next.

    Stage and session are created at the first batch, in the actor; a pickled worker has neither.

    Attributes:
        spec: The stage.
        names: Which cell of a row each column of a batch is.
        options: How a batch is run.
        folder: Where relative paths begin: the current folder of the process that starts the run.
        actors: Actors that share a machine, and its cores.
    """

    spec: StageSpec
    names: tuple[str, ...]
    options: RunOptions = field(default_factory=RunOptions)
    folder: str = field(default_factory=os.getcwd)
    actors: int = 1

    def __post_init__(self) -> None:
        self._session: Session | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_session": None}

    def outcomes(self, columns: Sequence[Sequence[Any]]) -> list[Outcome]:
        """Run the stage over a batch.

        Args:
            columns: The cells of each of `names`.

        Returns:
            For each row its values, or why it has none.

        Raises:
            UserError: The run as a whole is impossible: weights are missing on this machine, for example.
        """
        rows = (dict(zip(self.names, cells, strict=True)) for cells in zip(*columns, strict=True))
        return self.session.map_rows([self._located(row) for row in rows])

    @property
    def session(self) -> Session:
        """The stage, set up."""
        if self._session is None:
            if self.actors > 1:  # as torchrun sets it, see tools.media.workers.pool.usable_cores
                os.environ["LOCAL_WORLD_SIZE"] = str(self.actors)
            self._session = Session(self.spec.make(), self.options, fetch=fetch_options(self.options))
            self._session.setup()
        return self._session

    def config(self) -> str:
        """What decides the values on this machine, as JSON: weights, options, precision."""
        return json.dumps(stage_config(self.session.stage), sort_keys=True, default=str)

    def _located(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row whose path means the same here as where it was written; NaN is none, as in pandas."""
        kind = row.pop(FORMAT, None)
        path = row.get("path")
        if isinstance(path, float) and math.isnan(path):
            path = None
        if path is not None and not isinstance(path, _PATHS):
            raise UserError(
                f"the column of videos holds a {type(path).__name__} ({one_line(repr(path))[:40]}), "
                "but is for paths or bytes"
            )
        if isinstance(path, str) and path.strip() and "://" not in path and not path.startswith("data:"):
            path = os.path.join(self.folder, path)  # noqa: PTH118  a Path would change the text
        if path is not None and (kind or not isinstance(path, str)):
            path = Source(path, kind or "mp4")
        return {**row, "path": path}


def portion(rows: int) -> int:
    """Rows that the model gets at a time, of a batch: it works on these while others are decoded."""
    return max(1, rows // 4)


def daft_type(dtype: pl.DataType | type[pl.DataType]) -> daft.DataType:
    """The Daft type for a Polars type."""
    daft = import_daft()
    return daft.DataType.from_arrow_type(pl.Series([], dtype=dtype).to_arrow().type)


def values_udf(worker: StageWorker, columns: Sequence[str], dtype: Any, workers: Workers, name: str) -> Any:
    """A Daft class that gives one column of a stage, or several as a struct with `ERROR`.

    Args:
        worker: What each actor does.
        columns: One column, and ``dtype`` is its type; or those of a struct, and ``dtype`` is the struct's.
        dtype: A Daft type.
        workers: How many actors, and what each takes.
        name: What Daft calls it in plans and on its dashboard.

    Returns:
        What is called with one expression for each of ``worker.names``.
    """

    def values(batch: Sequence[Sequence[Any]]) -> list[Any]:
        outcomes = worker.outcomes(batch)
        if not dtype.is_struct():
            return [None if isinstance(o, MediaError) else o[columns[0]] for o in outcomes]
        return [
            {**({} if isinstance(o, MediaError) else {c: o[c] for c in columns}), ERROR: error_text(o, "\n")}
            for o in outcomes
        ]

    return _daft_class(values, dtype, workers, name)


def outcomes_udf(worker: StageWorker, dtypes: dict[str, Any], workers: Workers, name: str) -> Any:
    """A Daft class that returns the whole outcome of a row, for writing tables; `outcome_of` reads it.

    A struct of ``values``; ``failures``, a list of kind and message; ``remarks``; ``config``, see
    `StageWorker.config`; and ``fatal``: why the run as a whole cannot continue, with ``disk``, whether that
    is a `DiskError`. It never raises a `UserError`, which Ray would report as a page of tracebacks.

    Args:
        worker: What each actor does.
        dtypes: The Daft types of the stage's columns.
        workers: How many actors, and what each takes.
        name: What Daft calls it.
    """
    daft = import_daft()
    text = daft.DataType.string()
    dtype = daft.DataType.struct(
        {
            "values": daft.DataType.struct(dtypes),
            "failed": daft.DataType.bool(),
            "failures": daft.DataType.list(daft.DataType.list(text)),
            "remarks": daft.DataType.list(text),
            "config": text,
            "fatal": text,
            "disk": daft.DataType.bool(),
        }
    )

    def records(batch: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        try:
            outcomes, config = worker.outcomes(batch), worker.config()
        except UserError as error:
            return [{"fatal": str(error), "disk": isinstance(error, DiskError)}] * len(batch[0])
        return [_record(outcome, config, dtypes) for outcome in outcomes]

    return _daft_class(records, dtype, workers, name)


def _record(outcome: Outcome, config: str, columns: dict[str, Any]) -> dict[str, Any]:
    if isinstance(outcome, MediaError):
        return {"failed": True, "failures": [[outcome.kind, outcome.message]], "config": config}
    return {
        "values": {name: outcome[name] for name in columns},
        "failed": False,
        "failures": [list(failure) for failure in outcome.get(FAILURES) or ()],
        "remarks": list(outcome.get(REMARKS) or ()),
        "config": config,
    }


def outcome_of(record: dict[str, Any], path: str) -> tuple[Outcome, str]:
    """The outcome in a struct of `outcomes_udf`, and the config of the machine that computed it.

    Args:
        record: The struct.
        path: The file of the row.

    Raises:
        UserError: The run as a whole cannot continue.
    """
    if record["fatal"] is not None:
        raise (DiskError if record["disk"] else UserError)(record["fatal"])
    if record["failed"]:
        ((kind, message),) = record["failures"]
        return MediaError(kind, path, message), record["config"]
    failures, remarks = record["failures"] or [], record["remarks"] or []
    return {**record["values"], FAILURES: failures, REMARKS: remarks}, record["config"]


def _daft_class(function: Any, dtype: Any, workers: Workers, name: str) -> Any:
    daft = import_daft()

    @daft.cls(
        cpus=workers.cpus_each,
        gpus=workers.gpus,
        # In a separate process: neither torch nor decoding workers run in Daft's, or in the user's script.
        use_process=True,
        max_concurrency=workers.concurrency,
        name_override=name,
    )
    class StageUdf:
        def __init__(self, function: Any) -> None:
            self._function = function

        @daft.method.batch(return_dtype=dtype, batch_size=workers.batch_size)
        def __call__(self, *columns: Any) -> Any:
            values = self._function([column.to_pylist() for column in columns])
            return daft.Series.from_pylist(values, dtype=dtype)

    return StageUdf(function)
