"""Run a stage over a table on Daft, on this machine or on a Ray cluster, into a folder of Parquet parts."""

from __future__ import annotations

import dataclasses
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tools.base.addresses import is_address
from tools.base.log import LOG
from tools.base.packages import how_to_install
from tools.errors import PASSING_KINDS, DiskError, MediaError, UserError, VidsieveError
from tools.integrations.daft.connection import connect
from tools.integrations.daft.packages import import_daft
from tools.integrations.daft.parts import Layout, Parts, state_place
from tools.integrations.daft.places import Folder, local_table
from tools.integrations.daft.resources import Workers, share_of_a_machine, spread_workers
from tools.integrations.daft.stage_udf import StageWorker, daft_type, outcomes_udf, portion, value_columns
from tools.stage.engine import RunOptions
from tools.stage.failures import write_failures
from tools.stage.ledger import stage_config
from tools.stage.ledger_files import Outcome
from tools.stage.output import Counts, Provenance, digest_file
from tools.stage.progress import Progress
from tools.stage.readiness import make_ready
from tools.stage.runner import RunResult, read_input
from tools.stage.shards import current_shard
from tools.stage.spec import StageSpec
from tools.stage.stage import FAILURES, REMARKS, Stage
from tools.table import failures_path, output_path, table_extension
from tools.table.formats.types import contract_types

_ATTEMPTS = 3  # without a finished part, before a run that breaks off is given up
_LARGEST_PART = 1000  # rows
_PARTS_PER_WORKER = 4  # at least, where there are rows enough: so none waits long for the last one
_NUMBER = "__row"


@dataclass(frozen=True)
class DaftOptions:
    """Where and on what a stage is run; nothing here changes a value.

    Attributes:
        ray: Address of a Ray cluster (``10.0.0.1:6379``), ``auto`` for the one that this machine belongs to,
            ``local`` to start one here; None for Daft's own runner on this machine.
        gpus: GPUs of each worker.
        concurrency: How many workers, each with a model; by default as many as there is room for.
        cpus: CPUs of each worker; by default its part of its node.
        part_rows: Rows of a part of the output; by default what gives each worker several, at most 1000.
    """

    ray: str | None = None
    gpus: float = 0
    concurrency: int | None = None
    cpus: float | None = None
    part_rows: int | None = None


def run_on_daft(
    stage: Stage,
    meta: str | Path,
    *,
    output: str | Path | None = None,
    options: RunOptions | None = None,
    where: DaftOptions | None = None,
) -> RunResult:
    """Run a stage over the rows of a table, and write a folder of Parquet parts.

    The values are those of `tools.stage.runner.run_stage`. Each part has the input's columns, the stage's,
    one with what failed (`error_column`), and the columns ``_row`` and ``_part`` by
    which ``datautil`` merges them. Parts appear as they are finished. After a kill, or after the loss of the
    cluster, the same call goes on with those that are missing; a lost node costs what it was at.

    Args:
        stage: What to do with each row.
        meta: The table, on this machine or in object storage (``s3://...``).
        output: The folder to write, likewise; by default ``<stem><suffix>.parquet`` beside ``meta``. What
            failed is listed beside it, in ``<stem><suffix>.failures.csv``.
        options: How to run.
        where: Where to run.

    Returns:
        What was done.

    Raises:
        UserError: As `run_stage`; Daft or Ray is not installed, there is no such cluster, or it has not what
            is asked for.
    """
    begun = time.monotonic()
    options, where = options or RunOptions(), where or DaftOptions()
    _check_stage(stage)
    import_daft()
    target = _target(stage, meta, output)
    with local_table(meta) as file:
        table = read_input(stage, meta, file=file)
        make_ready(stage)
        provenance = Provenance(stage_config(stage), digest_file(file), "", 0, options.on_error)
    connect(where.ray)
    workers = _workers(where, options)
    parts = Parts(Folder(target), Folder(state_place(target)), provenance)
    layout = parts.clear_the_way(_layout(table.height, where, workers), overwrite=options.overwrite)
    parts.drop_failed(PASSING_KINDS | options.retried_kinds)
    standing = parts.done()
    todo = [part for part in range(layout.parts) if part not in standing]
    if todo:
        _Run(stage, table, parts, layout, options, where).finish(todo)
    seconds = time.monotonic() - begun
    return dataclasses.replace(_result(target, parts, layout, standing, todo), seconds=seconds)


def _check_stage(stage: Stage) -> None:
    """Only what turns a row into values can be done anywhere."""
    if stage.vector_file:
        raise UserError("--save-embeddings: not with --engine daft, whose workers share no file")
    if not current_shard().alone:
        raise UserError("--engine daft: is no command for torchrun; Daft deals out the rows itself")
    if stage.one_to_many:
        raise UserError(f"stage {stage.name}: makes several rows of one; --engine daft is for scores")


def _target(stage: Stage, meta: str | Path, output: str | Path | None) -> str:
    if output is not None:
        return str(output).rstrip("/")
    if not is_address(meta):
        return str(output_path(meta, stage.suffix, format="parquet"))
    folder, _, name = str(meta).partition("?")[0].rpartition("/")
    if str(meta).startswith(("http://", "https://")):
        raise UserError(f"{meta}: nothing can be written there; say --output")
    return f"{folder}/{name.removesuffix(table_extension(name))}{stage.suffix}.parquet"


def _workers(where: DaftOptions, options: RunOptions, *, after_a_loss: bool = False) -> Workers:
    """The actors of a run; after a loss as many of them as still fit."""
    share = {"gpus": where.gpus, "cpus": where.cpus, "num_workers": options.num_workers}
    if not after_a_loss:
        return spread_workers(concurrency=where.concurrency, **share)
    fitting = spread_workers(**share)
    wanted = where.concurrency or fitting.concurrency
    return dataclasses.replace(fitting, concurrency=min(wanted, fitting.concurrency))


def _layout(rows: int, where: DaftOptions, workers: Workers) -> Layout:
    share = -(-rows // (_PARTS_PER_WORKER * workers.concurrency))
    return Layout(rows, where.part_rows or min(_LARGEST_PART, share))


class _Run:
    """The work on parts that are missing."""

    def __init__(
        self,
        stage: Stage,
        table: pl.DataFrame,
        parts: Parts,
        layout: Layout,
        options: RunOptions,
        where: DaftOptions,
    ) -> None:
        self._stage = stage
        self._parts = parts
        self._layout = layout
        self._options = options
        self._where = where
        self._table = contract_types(table.lazy()).collect()
        planned = stage.plan(table)
        self._names = tuple(
            n for n in (*stage.required_columns, *stage.optional_columns) if n in planned.columns
        )
        self._rows = planned.select(self._names).with_row_index(_NUMBER)
        self._missing: set[int] = set()
        self._lost = False

    def finish(self, todo: Sequence[int]) -> None:
        """Compute and write parts; what breaks off is begun again with those that are still missing."""
        self._missing = set(todo)
        rows = sum(len(self._layout.rows_of(part)) for part in todo)
        failures = 0
        with Progress(rows, self._stage.name, shown=self._options.progress) as progress:
            while self._missing:
                before = len(self._missing)
                try:
                    self._attempt(progress)
                    trouble = "rows did not come back"
                except VidsieveError:
                    raise
                except Exception as error:  # nobody tells which ones a lost node causes
                    _refuse_missing_module(error)
                    trouble = f"{type(error).__name__}: {_first_line(error)}"
                if not self._missing:
                    return
                failures = failures + 1 if len(self._missing) == before else 0
                if failures == _ATTEMPTS:
                    raise UserError(
                        f"the run broke off {failures} times without finishing a part ({trouble}); "
                        "parts that are finished are kept, the same command goes on with the rest"
                    )
                self._lost = True
                missing = len(self._missing)
                LOG.warning("workers were lost; going on with %d parts (%s)", missing, trouble)

    def _attempt(self, progress: Progress) -> None:
        arrived: dict[int, dict[int, Outcome]] = {}
        for number, outcome in self._outcomes(sorted(self._missing)):
            part = number // self._layout.part_rows
            if part not in self._missing:  # came twice: its worker was lost after it had answered
                continue
            rows = arrived.setdefault(part, {})
            rows[number] = outcome
            if len(rows) == len(self._layout.rows_of(part)):
                self._write(part, [rows[n] for n in self._layout.rows_of(part)])
                progress.count([(str(n), outcome) for n, outcome in arrived.pop(part).items()])
                self._missing.remove(part)

    def _write(self, part: int, outcomes: list[Outcome]) -> None:
        numbers = self._layout.rows_of(part)
        frame = self._table[numbers.start : numbers.stop]
        self._parts.write(part, frame, self._stage, outcomes, drop=self._options.on_error == "drop")

    def _outcomes(self, parts: Sequence[int]) -> Iterator[tuple[int, Outcome]]:
        """Let the workers compute parts; yield rows as they come, by their numbers."""
        daft = import_daft()
        workers = _workers(self._where, self._options, after_a_loss=self._lost)
        worker = StageWorker(
            StageSpec.of(self._stage),
            self._names,
            self._session_options(workers),
            actors=share_of_a_machine(workers),
        )
        dtypes = {name: daft_type(dtype) for name, dtype in value_columns(self._stage).items()}
        workers = dataclasses.replace(workers, batch_size=self._layout.part_rows)
        score = outcomes_udf(worker, dtypes, workers, self._stage.name)
        slices = (self._layout.rows_of(part) for part in parts)
        frame = daft.from_arrow([self._rows[s.start : s.stop].to_arrow() for s in slices])
        found = frame.select(daft.col(_NUMBER), score(*map(daft.col, self._names)).alias("outcome"))
        for batch in found.to_arrow_iter(results_buffer_size=workers.concurrency + 1):
            for number, told in zip(*(batch.column(i).to_pylist() for i in range(2)), strict=True):
                yield number, self._understood(number, told)

    def _session_options(self, workers: Workers) -> RunOptions:
        options = self._options
        return RunOptions(
            batch_size=min(options.batch_size, portion(self._layout.part_rows)),
            num_workers=workers.num_workers,
            timeout=options.timeout,
            memory_gb=options.memory_gb,
            progress=False,
        )

    def _understood(self, number: int, told: dict[str, Any]) -> Outcome:
        """An outcome as a worker told it."""
        if told["fatal"] is not None:
            raise (DiskError if told["disk"] else UserError)(told["fatal"])
        self._parts.agree(told["config"])
        if told["failed"]:
            ((kind, message),) = told["failures"]
            path = self._rows["path"][number] if "path" in self._names else ""
            return MediaError(kind, str(path or ""), message)
        return {**told["values"], FAILURES: told["failures"] or [], REMARKS: told["remarks"] or []}


def _refuse_missing_module(error: Exception) -> None:
    """Say what no further attempt can change."""
    if missing := re.search(r"ModuleNotFoundError: No module named [\\'\"]*([\w.]+)", str(error)):
        raise UserError(
            f"the workers cannot import {missing[1]}: {how_to_install(missing[1])} on every node"
        ) from error


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), "").strip()[:200]


def _result(target: str, parts: Parts, layout: Layout, standing: set[int], todo: Sequence[int]) -> RunResult:
    said = [parts.said(part) for part in range(layout.parts)]
    failures = [failure for one in said for failure in one.failures]
    remarks: Counter[str] = Counter()
    for one in said:
        remarks.update(one.remarks)
    failed = sum(one.failed for one in said)
    return RunResult(
        target,  # type: ignore[arg-type]  # an address is no Path
        layout.rows,
        failures,
        failed,
        sum(len(layout.rows_of(part)) for part in standing),
        _write_failures(target, failures),
        already_complete=not todo,
        totals=Counts(layout.rows, failed, len(failures)),
        remarks=dict(remarks),
        fresh=sum(len(layout.rows_of(part)) for part in todo),
    )


def _write_failures(target: str, failures: Sequence[MediaError]) -> Any:
    """List what failed beside the folder of parts."""
    if not is_address(target):
        return write_failures(failures, failures_path(target))
    folder, _, name = target.rpartition("/")
    place = Folder(folder)
    listed = failures_path(name).name
    if failures:
        rows = [(f.path, f.kind, f.message) for f in failures]
        frame = pl.DataFrame(rows, schema=["path", "kind", "message"], orient="row")
        place.write(listed, frame.write_csv().encode())
        return f"{folder}/{listed}"
    if listed in place.names():
        place.remove(listed)
    return None
