"""Run a stage over a table on disk: the rows of this rank that the ledger does not have, then the output."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from tools.base.temporary_files import remove_left_folders
from tools.errors import MediaError
from tools.media.workers.spawning import end_if_starting
from tools.stage.failures import own_list, write_failures
from tools.stage.ledger import Ledger, digest_outcomes
from tools.stage.ledger.packed_outcomes import RowOutcomes
from tools.stage.outcomes import count_remarks, failed_kinds, failures_of
from tools.stage.output import Counts
from tools.stage.plan import RunPlan, drop_changed_files, open_ledger, plan_run, remaining_rows
from tools.stage.processing import process_rows
from tools.stage.progress.status_file import StatusFile
from tools.stage.recorded import stage_records
from tools.stage.results import output_frame, sync_made_files, write_vectors
from tools.stage.run_options import RunOptions
from tools.stage.session import map_rows
from tools.stage.shards import STATE_FOLDER
from tools.stage.stage import MADE_FILES, REMARKS, Stage
from tools.table.files import column_names
from tools.table.recording import Recording

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
        already_complete: The output existed, made from the same input with the same options.
        totals: Counts over all ranks; None when other ranks are still at work.
        vectors: The file of vectors written, or None.
        remarks: Remarks on rows, and how many rows each applies to.
        left: Rows that the limit of the run left out; they are not in the output.
        fresh: Rows that this run processed.
        seconds: How long it took.
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


def run_stage(
    stage: Stage,
    meta: str | Path,
    *,
    output: str | Path | None = None,
    options: RunOptions | None = None,
) -> RunResult:
    """Run a stage over the rows of a table that belong to this rank, and write the table of them.

    Finished rows go to a ledger beside the output as they finish. After a kill at any moment the same call
    resumes there, also with another number of ranks, and writes the same bytes as an uninterrupted run. For
    rows in memory see `tools.stage.session.map_rows`.

    Args:
        stage: What to do with each row.
        meta: The table.
        output: Where to write; by default beside ``meta``, with the stage's suffix. Under ``torchrun`` each
            rank writes ``<stem>_part<rank>`` of it.
        options: How to run.

    Returns:
        What was done.

    Raises:
        UserError: The table cannot be read, is empty or lacks a column; the output exists and must not be
            replaced; weights are missing; workers cannot start; the ledger cannot be written.
    """
    end_if_starting()
    remove_left_folders(tempfile.gettempdir())
    begun = time.monotonic()
    options = options or RunOptions()
    plan = plan_run(stage, meta, output=output, options=options)
    written, vectors = plan.output, plan.vectors
    recording = Recording([meta], stages=stage_records(stage))
    if vectors:
        vectors.check_existing((Path(meta), written.path), overwrite=options.overwrite)
    exists = written.check_existing(overwrite=options.overwrite)
    with open_ledger(stage, plan) as ledger, ExitStack() as stack:
        if drop_changed_files(ledger, plan) and exists:
            written.refuse_changed(overwrite=options.overwrite)
        todo, is_fresh, is_later = remaining_rows(stage, ledger, plan, options)
        fresh, later = len(todo), int(is_later.sum())
        reused = np.flatnonzero(~is_fresh & ~is_later)
        status = _status_of(plan, ledger, reused, rows=len(plan.keys) - later)
        if fresh or not exists or not status.was_finished:  # else nothing is done, and nothing written
            stack.enter_context(status)
        if fresh:
            ledger.forget(plan.keys[number] for number in todo.data)
            process_rows(stage, plan, todo, ledger, options, status)
        # Of the rows that go to the output: their numbers in the table, keys, files and outcomes.
        numbers: Sequence[int] = plan.numbers
        keys: Sequence[str] = plan.keys
        firsts, paths = plan.keys.firsts, plan.paths
        if later:
            kept = np.flatnonzero(~is_later).tolist()
            firsts = firsts[kept]
            numbers, keys, paths = [numbers[i] for i in kept], [keys[i] for i in kept], paths[kept]
        outcomes = RowOutcomes(ledger.outcomes, firsts, paths)
        failures, failed = [], 0
        for outcome, path in zip(outcomes, paths, strict=True):
            failures += failures_of(outcome, path)
            failed += isinstance(outcome, MediaError)
        counts = Counts(len(keys), failed, len(failures))
        digest = digest_outcomes(outcomes)
        complete = exists and not fresh and written.has_outcomes(digest)
        written.remove_strays()
        listed = own_list(written.failures)
        if not complete or bool(failures) != bool(listed):
            listed = write_failures(failures, written.failures)
        added = None
        if not complete:
            frame = output_frame(stage, plan.table, plan.shard, numbers, outcomes, options)
            if MADE_FILES in stage.output_columns:
                sync_made_files(outcomes)
            added = frame.select(list(stage.added_columns))
            written.write(frame, counts, digest, left=later)
            recording.write(written.path, frame.columns, made=stage.added_columns)
        else:
            recording.write_missing(written.path, column_names(written.path), made=stage.added_columns)
        if vectors:
            write_vectors(vectors, ledger, numbers, keys, paths, outcomes, options)
    if not later:
        written.remove_parts()
    return RunResult(
        written.path,
        counts.rows,
        failures,
        counts.failed,
        len(reused),
        listed,
        already_complete=complete,
        totals=written.totals(),
        vectors=vectors.path if vectors else None,
        remarks=count_remarks(outcomes) if REMARKS in stage.output_columns else {},
        left=len(plan.keys) - len(keys),
        fresh=fresh,
        seconds=time.monotonic() - begun,
        added=added,
    )


def _status_of(plan: RunPlan, ledger: Ledger, reused: np.ndarray, *, rows: int) -> StatusFile:
    """The record of this run, with the failures of the rows that earlier runs have finished."""
    firsts = plan.keys.firsts[reused].data
    kinds = Counter(kind for number in firsts for kind in failed_kinds(ledger.outcomes.at(number)))
    return StatusFile(
        plan.output.state, plan.shard, rows=rows, earlier=len(reused), failures=kinds, number=ledger.run
    )
