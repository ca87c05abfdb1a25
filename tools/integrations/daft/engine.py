"""Run a stage over a table on Daft, on this machine or on a Ray cluster, into a folder of Parquet parts."""

from __future__ import annotations

import dataclasses
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from tools.base.addresses import is_address
from tools.base.log import LOG
from tools.base.packages import how_to_install
from tools.errors import PASSING_KINDS, MediaError, UserError, VidsieveError
from tools.integrations.daft.connection import connect
from tools.integrations.daft.packages import import_daft
from tools.integrations.daft.parts import Layout, Parts, error_column, state_folder
from tools.integrations.daft.resources import Workers, share_of_a_machine, spread_workers
from tools.integrations.daft.stage_udf import StageWorker, daft_type, outcome_of, outcomes_udf, portion
from tools.integrations.daft.storage import Folder, local_table
from tools.stage.failures import write_failures
from tools.stage.ledger import stage_config
from tools.stage.outcomes import Outcome
from tools.stage.output import Counts
from tools.stage.plan import paths_of, read_input
from tools.stage.progress import Progress
from tools.stage.provenance import Provenance, digest_file
from tools.stage.recorded import stage_records
from tools.stage.run_options import RunOptions
from tools.stage.runner import RunResult
from tools.stage.shards import current_shard
from tools.stage.spec import StageSpec
from tools.stage.stage import Stage
from tools.table import failures_path, output_path, table_extension
from tools.table.formats.types import contract_types
from tools.table.recording import Recording
from tools.table.sidecar import SUFFIX, folder_digest, is_content

_ATTEMPTS = 3  # without a finished part, before the run ends with an error
_LARGEST_PART = 1000  # rows
_PARTS_PER_WORKER = 4  # at least, where there are rows enough: so no worker waits long for the last one
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
    one with the failures (`error_column`), and the columns ``_row`` and ``_part`` by which ``datautil``
    merges them. Parts appear as they are finished. After a kill, or after the loss of the cluster, the same
    call resumes with those that are missing; of a lost node only unfinished parts are computed again.

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
        UserError: As `run_stage`; Daft or Ray is not installed, there is no such cluster, or it is too small.
    """
    begun = time.monotonic()
    options, where = options or RunOptions(), where or DaftOptions()
    _check_stage(stage)
    import_daft()
    target = _target(stage, meta, output)
    with local_table(meta) as file:
        table = read_input(stage, meta, file=file)
        stage.ready(report=True)
        provenance = Provenance(stage_config(stage), digest_file(file), "", 0, options.on_error)
        recording = Recording([file], names=[str(meta)], stages=stage_records(stage))
    connect(where.ray)
    workers = _workers(where, options)
    layout = _layout(table.height, where, workers)
    parts = Parts(Folder(target), Folder(state_folder(target)), provenance, layout)
    parts.check_existing(overwrite=options.overwrite)
    parts.drop_failed(PASSING_KINDS | options.retried_kinds)
    done = parts.done()
    todo = [part for part in range(parts.layout.parts) if part not in done]
    if todo:
        _Run(stage, table, parts, options, where).finish(todo)
    _write_sidecar(target, parts, recording, table.columns, stage)
    seconds = time.monotonic() - begun
    return dataclasses.replace(_result(target, parts, done, todo), seconds=seconds)


def _check_stage(stage: Stage) -> None:
    """Refuse stages that cannot run on other machines.

    Raises:
        UserError: The stage writes vectors or several rows; or there are several ranks.
    """
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
    spread = partial(spread_workers, gpus=where.gpus, cpus=where.cpus, num_workers=options.num_workers)
    if not after_a_loss:
        return spread(concurrency=where.concurrency)
    fitting = spread()
    concurrency = where.concurrency or fitting.concurrency
    return dataclasses.replace(fitting, concurrency=min(concurrency, fitting.concurrency))


def _layout(rows: int, where: DaftOptions, workers: Workers) -> Layout:
    share = -(-rows // (_PARTS_PER_WORKER * workers.concurrency))
    return Layout(rows, where.part_rows or min(_LARGEST_PART, share))


class _Run:
    """Computes the parts that are missing."""

    def __init__(
        self,
        stage: Stage,
        table: pl.DataFrame,
        parts: Parts,
        options: RunOptions,
        where: DaftOptions,
    ) -> None:
        self._stage = stage
        self._parts = parts
        self._layout = parts.layout
        self._options = options
        self._where = where
        self._table = contract_types(table.lazy()).collect()
        planned = stage.plan(table)
        self._names = tuple(stage.input_columns(planned.columns))
        self._rows = planned.select(self._names).with_row_index(_NUMBER)
        self._paths = paths_of(self._rows)
        self._missing: set[int] = set()
        self._lost = False

    def finish(self, todo: Sequence[int]) -> None:
        """Compute and write parts; after an interruption start again with those that are still missing."""
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
                except Exception as error:  # which ones a lost node causes is documented nowhere
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
            if part not in self._missing:  # computed twice: its worker was lost after it had answered
                continue
            rows = arrived.setdefault(part, {})
            rows[number] = outcome
            if len(rows) == len(self._layout.rows_of(part)):
                numbers = self._layout.rows_of(part)
                frame = self._table[numbers.start : numbers.stop]
                drop = self._options.on_error == "drop"
                self._parts.write(part, frame, self._stage, [rows[n] for n in numbers], drop=drop)
                progress.count([(str(n), outcome) for n, outcome in arrived.pop(part).items()])
                self._missing.remove(part)

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
        dtypes = {name: daft_type(dtype) for name, dtype in self._stage.added_columns.items()}
        workers = dataclasses.replace(workers, batch_size=self._layout.part_rows)
        score = outcomes_udf(worker, dtypes, workers, self._stage.name)
        slices = (self._layout.rows_of(part) for part in parts)
        frame = daft.from_arrow([self._rows[s.start : s.stop].to_arrow() for s in slices])
        found = frame.select(daft.col(_NUMBER), score(*map(daft.col, self._names)).alias("outcome"))
        for batch in found.to_arrow_iter(results_buffer_size=workers.concurrency + 1):
            for number, record in zip(*(batch.column(i).to_pylist() for i in range(2)), strict=True):
                outcome, config = outcome_of(record, self._paths[number])
                self._parts.check_config(config)
                yield number, outcome

    def _session_options(self, workers: Workers) -> RunOptions:
        options = self._options
        return RunOptions(
            batch_size=min(options.batch_size, portion(self._layout.part_rows)),
            num_workers=workers.num_workers,
            timeout=options.timeout,
            memory_gb=options.memory_gb,
            max_pixels=options.max_pixels,
            cache=options.cache,
            cache_size=options.cache_size,
            fetch_ahead=options.fetch_ahead,
            progress=False,
        )


def _refuse_missing_module(error: Exception) -> None:
    """End the run where a package is missing: no further attempt can change that."""
    if missing := re.search(r"ModuleNotFoundError: No module named [\\'\"]*([\w.]+)", str(error)):
        raise UserError(
            f"the workers cannot import {missing[1]}: {how_to_install(missing[1])} on every node"
        ) from error


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), "").strip()[:200]


def _result(target: str, parts: Parts, done: set[int], todo: Sequence[int]) -> RunResult:
    layout = parts.layout
    summaries = [parts.summary(part) for part in range(layout.parts)]
    failures = [failure for summary in summaries for failure in summary.failures]
    remarks: Counter[str] = Counter()
    for summary in summaries:
        remarks.update(summary.remarks)
    failed = sum(summary.failed for summary in summaries)
    return RunResult(
        target,  # type: ignore[arg-type]  # an address is no Path
        layout.rows,
        failures,
        failed,
        sum(len(layout.rows_of(part)) for part in done),
        _write_failures(target, failures),
        already_complete=not todo,
        totals=Counts(layout.rows, failed, len(failures)),
        remarks=dict(remarks),
        fresh=sum(len(layout.rows_of(part)) for part in todo),
    )


def _write_sidecar(
    target: str, parts: Parts, recording: Recording, columns: Sequence[str], stage: Stage
) -> None:
    """Write where the values come from beside the folder of parts."""
    made = [*stage.added_columns, error_column(stage)]
    columns = list(dict.fromkeys([*columns, *made]))
    if not is_address(target):
        recording.write(target, columns, made=made)
        return
    url, _, name = target.rpartition("/")
    folder = Folder(url)
    there = folder.read(f"{name}{SUFFIX}")
    if there is None or is_content(there):  # a file of the user's stays
        digest = folder_digest(parts.folder.sizes())
        folder.write(f"{name}{SUFFIX}", recording.content(name, digest, columns, made))


def _write_failures(target: str, failures: Sequence[MediaError]) -> Any:
    """Write the failures file beside the folder of parts."""
    if not is_address(target):
        return write_failures(failures, failures_path(target))
    url, _, name = target.rpartition("/")
    folder = Folder(url)
    listed = failures_path(name).name
    if failures:
        rows = [(f.path, f.kind, f.message) for f in failures]
        frame = pl.DataFrame(rows, schema=["path", "kind", "message"], orient="row")
        folder.write(listed, frame.write_csv().encode())
        return f"{url}/{listed}"
    if listed in folder.names():
        folder.remove(listed)
    return None
