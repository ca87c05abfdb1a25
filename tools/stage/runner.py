"""Run a stage over a table: this rank's rows, what the ledger has already, the rest, and the output."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import polars as pl

from tools.base.addresses import refuse_address
from tools.base.log import LOG
from tools.errors import MediaError, UserError
from tools.media.workers.spawning import end_if_starting
from tools.stage.board import Board
from tools.stage.engine import RunOptions, map_rows, with_path, work
from tools.stage.failures import own_list, remove_strays, write_failures
from tools.stage.ledger import Ledger, digest, digest_outcomes, row_key, stage_config
from tools.stage.ledger_files import Outcome
from tools.stage.output import Counts, Output, Provenance, digest_file
from tools.stage.progress import Progress
from tools.stage.readiness import make_ready
from tools.stage.results import columns_of, count_remarks, output_frame, write_vectors
from tools.stage.shards import STATE_FOLDER, Shard, current_shard
from tools.stage.stage import FAILURES, Stage
from tools.stage.todo import rows_to_do
from tools.stage.values import unfit
from tools.stage.vectors import VectorFile, check_vector_name
from tools.table import (
    PART_COLUMN,
    check_types,
    count_addresses,
    output_path,
    read_table,
    require_columns,
    require_single_values,
    table_format,
)

__all__ = ["STATE_FOLDER", "RunOptions", "RunResult", "map_rows", "run_stage"]


@dataclass(frozen=True)
class RunResult:
    """What a run did.

    Attributes:
        output: The table written (of this rank).
        rows: Rows of this rank.
        failures: What went wrong, in the order of the rows; a row of many parts may have several.
        failed: Rows without values.
        reused: Rows that an earlier run had finished.
        failures_file: Where the failures are listed, or None.
        already_complete: The output was there, made from the same input with the same options.
        totals: Counts over all ranks; None when other ranks are still at work.
        vectors: The file of vectors written, or None.
        remarks: What was said of rows, and of how many.
        left: Rows that the limit of the run left out; they are not in the output.
        fresh: Rows that this run did.
        seconds: What it took.
        added: The columns of the output that the stage fills; None when the output was complete already.
    """

    output: Path
    rows: int
    failures: list[MediaError]
    failed: int
    reused: int
    failures_file: Path | None
    already_complete: bool = False
    totals: Counts | None = None
    vectors: Path | None = None
    remarks: dict[str, int] = field(default_factory=dict)
    left: int = 0
    fresh: int = 0
    seconds: float = 0.0
    added: pl.DataFrame | None = None


@dataclass(frozen=True)
class Job:
    """What a run is about, before any work.

    Attributes:
        shard: This rank's share.
        table: The input.
        rows: The cells that the stage reads, of this rank's rows.
        keys: Their keys.
        origin: What the output is made of.
        place: Where it is written.
        vectors: Where vectors go, or None.
    """

    shard: Shard
    table: pl.DataFrame
    rows: pl.DataFrame
    keys: list[str]
    provenance: Provenance
    place: Output
    vectors: VectorFile | None


def run_stage(
    stage: Stage,
    meta: str | Path,
    *,
    output: str | Path | None = None,
    options: RunOptions | None = None,
) -> RunResult:
    """Run a stage over the rows of a table that belong to this rank, and write the table of them.

    Finished rows go to a ledger beside the output as they finish. After a kill at any moment the same call
    goes on there, also with another number of ranks, and writes the same bytes as an uninterrupted run.

    Args:
        stage: What to do with each row.
        meta: The table.
        output: Where to write; by default beside ``meta``, with the stage's suffix. Under ``torchrun`` each
            rank writes ``<stem>_part<rank>`` of it.
        options: How to run.

    Returns:
        What was done.

    Raises:
        UserError: The table cannot be read, is empty or lacks a column; the output is in the way; weights are
            missing; workers cannot start; the ledger cannot be written.
    """
    end_if_starting()
    begun = time.monotonic()
    options = options or RunOptions()
    job = open_job(stage, meta, output=output, options=options)
    shard, keys, place, vectors = job.shard, job.keys, job.place, job.vectors
    if vectors:
        vectors.clear_the_way((Path(meta), place.path), overwrite=options.overwrite)
    standing = place.clear_the_way(overwrite=options.overwrite)
    with open_ledger(stage, job) as ledger:
        todo, later = rows_to_do(stage, ledger, keys, options, shard)
        ledger.forget(todo)
        reused = sum(key not in todo and key not in later for key in keys)
        _work_off(stage, job, todo, ledger, options)
        numbers, keys, paths = _finished(job, later)
        outcomes = [with_path(ledger.outcomes[key], path) for key, path in zip(keys, paths, strict=True)]
        failures = _failures(stage, outcomes, paths)
        counts = Counts(len(keys), sum(isinstance(o, MediaError) for o in outcomes), len(failures))
        written = digest_outcomes(outcomes)
        complete = standing and not todo and place.holds(written)
        remove_strays(place.failures)
        listed = own_list(place.failures)
        if not complete or bool(failures) != bool(listed):
            listed = write_failures(failures, place.failures)
        added = None
        if not complete:
            frame = output_frame(stage, job.table, shard, numbers, outcomes, options)
            added = frame.select(list(columns_of(stage)))
            place.write(frame, counts, written, left=len(later))
        if vectors:
            write_vectors(vectors, ledger, numbers, keys, paths, outcomes, options)
    if not later:
        place.tidy()
    return RunResult(
        place.path,
        counts.rows,
        failures,
        counts.failed,
        reused,
        listed,
        already_complete=complete,
        totals=place.totals(),
        vectors=vectors.path if vectors else None,
        remarks=count_remarks(outcomes),
        left=len(job.keys) - len(keys),
        fresh=len(todo),
        seconds=time.monotonic() - begun,
        added=added,
    )


def open_job(stage: Stage, meta: str | Path, *, output: str | Path | None = None, options: RunOptions) -> Job:
    """Look at what a run is about: nothing is written, and no file of a row is opened.

    Arguments and errors are those of `run_stage`.
    """
    shard = current_shard()
    refuse_address(meta)
    meta = Path(meta)
    target = output_path(meta, stage.suffix, output=output)
    table_format(target)  # a name that is none of a table is told before the work, not after it
    if stage.vector_file:
        check_vector_name(stage.vector_file)
    table = read_input(stage, meta)
    if "path" in stage.required_columns:
        count_addresses(table, meta)
    check_types(table.schema, target)
    make_ready(stage)
    # Rows first: what follows from the whole table must not depend on the rank.
    rows = _rows(stage, table, shard, target)
    keys = [row_key(row) for row in rows.iter_rows(named=True)]
    provenance = Provenance(
        stage_config(stage), digest_file(meta), digest(keys), shard.world, options.on_error
    )
    place = Output(target, shard, provenance, meta)
    vectors = VectorFile(stage.vector_file, shard, place.state) if stage.vector_file else None
    return Job(shard, table, rows, keys, provenance, place, vectors)


def open_ledger(stage: Stage, job: Job, *, look_only: bool = False) -> Ledger:
    """The ledger of a run; what cannot be used of it is logged.

    Args:
        stage: Whose values it holds.
        job: What the run is about.
        look_only: See `Ledger`, as for errors.
    """
    ledger = Ledger(
        job.place.state,
        job.shard.rank,
        job.provenance.ask,
        set(job.keys),
        partial(unfit, stage),
        look_only=look_only,
    )
    if ledger.notice:
        LOG.warning("%s", ledger.notice)
    return ledger


def read_input(stage: Stage, meta: str | Path, *, file: Path | None = None) -> pl.DataFrame:
    """Read the table that a stage is to run over, and check that it can.

    Args:
        stage: Who needs its columns.
        meta: What the table is called.
        file: Where it is, when it is a copy.

    Raises:
        UserError: It cannot be read, is a part of a table, is empty, or lacks a column.
    """
    table = read_table(file or meta)
    require_columns(table, stage.required_columns, meta)
    require_single_values(table.schema, ("path",) if stage.takes_lists else stage.required_columns, meta)
    if PART_COLUMN in table.columns:
        raise UserError(
            f"{meta}: is one part of a table; merge the parts first: tools.datasets.datautil PART..."
        )
    if not table.height:
        raise UserError(f"{meta}: has no rows, there is nothing to do")
    return table


def _rows(stage: Stage, table: pl.DataFrame, shard: Shard, target: Path) -> pl.DataFrame:
    """The cells that the stage reads, for this rank's rows."""
    planned = stage.claim(stage.plan(table), target)
    wanted = [name for name in (*stage.required_columns, *stage.optional_columns) if name in planned.columns]
    return planned.select(wanted)[list(shard.rows(table.height))]


def _paths(rows: pl.DataFrame) -> list[str]:
    """The file of each row; empty where there is none."""
    if "path" not in rows.columns:
        return [""] * rows.height
    return rows["path"].cast(pl.String).fill_null("").to_list()


def _work_off(stage: Stage, job: Job, todo: dict[str, int], ledger: Ledger, options: RunOptions) -> None:
    if not todo:
        return
    rows, paths = job.rows, _paths(job.rows)
    board = None if job.shard.alone else Board(job.place.state, job.shard)
    with Progress(len(todo), stage.name, shown=options.progress, board=board) as progress:

        def finished(results: list[tuple[str, Outcome]]) -> None:
            ledger.add([(key, with_path(outcome, paths[todo[key]])) for key, outcome in results])
            progress.count(results)

        work(stage, ((key, rows.row(n, named=True)) for key, n in todo.items()), options, finished)


def _finished(job: Job, later: set[str]) -> tuple[list[int], list[str], list[str]]:
    """Of the rows that go to the output: their numbers in the table, keys and files."""
    rows = zip(job.shard.rows(job.table.height), job.keys, _paths(job.rows), strict=True)
    kept = [row for row in rows if row[1] not in later]
    return [n for n, _, _ in kept], [key for _, key, _ in kept], [path for _, _, path in kept]


def _failures(stage: Stage, outcomes: list[Outcome], paths: list[str]) -> list[MediaError]:
    failures = []
    for outcome, path in zip(outcomes, paths, strict=True):
        if isinstance(outcome, MediaError):
            failures.append(outcome)
        else:
            failures += [MediaError(kind, path, message) for kind, message in outcome.get(FAILURES) or ()]
    return failures
