"""A dry run: what a run would do, and about how long it would take, from a few rows processed on trial."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from tools.base.disk import system_message
from tools.base.temporary_folder import TemporaryFolder
from tools.errors import MediaError, UserError
from tools.media.fetching.sources import FetchOptions
from tools.media.workers.pool import usable_cores
from tools.stage.failures import count_kinds
from tools.stage.outcomes import Outcome
from tools.stage.plan import RunPlan, drop_changed_files, open_ledger, plan_run, remaining_rows
from tools.stage.progress import spell_rate, spell_seconds
from tools.stage.run_options import RunOptions
from tools.stage.session import Session
from tools.stage.stage import Row, Stage

_FEWEST_ROWS, _MOST_ROWS = 4, 32  # of one round; between them, one for each worker
_LONG = 10.0  # seconds of a first round in which what starting took no longer matters


def dry_run(stage: Stage, meta: str | Path, *, output: str | Path | None = None, options: RunOptions) -> None:
    """Print what `tools.stage.runner.run_stage` would do with the same arguments; of several ranks the first.

    A few rows are processed as in a run, in worker processes and with the models; what they write goes to a
    temporary folder, which is removed. The stage cannot be used afterwards.

    Raises:
        UserError: What would end the run: a missing column, missing weights, an output that must not be
            replaced.
    """
    plan = plan_run(stage, meta, output=output, options=options)
    if plan.shard.rank:
        return
    if plan.vectors:
        tables = (Path(meta), plan.output.path)
        plan.vectors.check_existing(tables, overwrite=options.overwrite, read_only=True)
    exists = plan.output.check_existing(overwrite=options.overwrite, read_only=True)
    with open_ledger(stage, plan, read_only=True) as ledger:
        if drop_changed_files(ledger, plan) and exists:
            plan.output.refuse_changed(overwrite=options.overwrite)
        todo, later = remaining_rows(stage, ledger, plan, options)
    for line in _describe(stage, meta, plan, len(todo), len(later), exists=exists):
        print(line, flush=True)
    if not todo:
        return
    if stage.no_trial:
        print(f"time: not estimated, {stage.no_trial}")
        return
    rows = [plan.rows.row(number, named=True) for number in _spread(list(todo.values()), 2 * _round(options))]
    fetch = plan.fetch and dataclasses.replace(plan.fetch, cache=None)  # of which nothing stays
    for line in _estimate(stage, rows, len(todo), options, fetch):
        print(line, flush=True)


def _describe(
    stage: Stage, meta: str | Path, plan: RunPlan, todo: int, later: int, *, exists: bool
) -> list[str]:
    """What would be done, as far as it is known without opening a file."""
    done = len(set(plan.keys)) - todo - later
    counts = [f"{todo} to do"]
    if done:
        counts.insert(0, f"{done} done by an earlier run")
    if later:
        counts.append(f"{later} left by --limit")
    rank = "" if plan.shard.alone else f" of rank {plan.shard.rank} of {plan.shard.world}"
    if repeated := len(plan.keys) - len(set(plan.keys)):
        counts.append(f"{repeated} the same as others")
    return [
        "dry run: nothing is written",
        f"reads {meta}: {plan.table.height} rows",
        f"writes {plan.output.path}" + (f" and {plan.vectors.path}" if plan.vectors else ""),
        f"{'rows of columns' if stage.one_to_many else 'columns'}: {', '.join(stage.added_columns)}",
        f"rows{rank}: {', '.join(counts)}",
        *(["complete already, nothing to do"] if exists and not todo else []),
    ]


def _round(options: RunOptions) -> int:
    """Rows of a round: a few, the same number for each worker."""
    workers = max(1, min(options.num_workers, usable_cores()))
    return min(_MOST_ROWS, workers * -(-_FEWEST_ROWS // workers))


def _spread(numbers: Sequence[int], count: int) -> list[int]:
    """Some of the numbers, evenly spread over all: long videos are often neighbours."""
    if len(numbers) <= count:
        return list(numbers)
    return [numbers[i * len(numbers) // count] for i in range(count)]


def _estimate(
    stage: Stage, rows: list[Row], total: int, options: RunOptions, fetch: FetchOptions | None
) -> Iterator[str]:
    """Process rows on trial; yield lines on them, and on the time that all would take."""
    options = dataclasses.replace(options, progress=False)
    with closing(_temporary_folder()) as folder, Session(stage, options, fetch=fetch) as session:
        stage.write_under(folder.path / "made")
        begun = time.monotonic()
        session.setup()
        loading = time.monotonic() - begun
        # In the first round workers start and import modules; its time counts only if there is no second.
        outcomes, seconds = _timed(session, rows[::2])
        per_row = seconds / len(outcomes)
        if seconds < _LONG and len(rows) > 1:
            further, again = _timed(session, rows[1::2])
            per_row = min(per_row, again / len(further))
            loading += seconds - per_row * len(outcomes)
            outcomes += further
    failures = [outcome for outcome in outcomes if isinstance(outcome, MediaError)]
    if failures:
        yield f"on trial: {len(outcomes)} rows, {len(failures)} failed: {count_kinds(failures)}"
        yield f"the first: {failures[0]}"
    else:
        yield f"on trial: {len(outcomes)} rows, none failed"
    if len(failures) == len(outcomes):
        yield "time: not estimated, every row on trial failed"
        return
    rate = f"to start {spell_seconds(loading)}, then {spell_rate(1 / max(per_row, 1e-6))}"
    yield f"time: about {spell_seconds(loading + total * per_row)} ({rate})"


def _temporary_folder() -> TemporaryFolder:
    path = tempfile.gettempdir()
    try:
        return TemporaryFolder(path)
    except OSError as error:
        raise UserError(
            f"{path}: no folder for rows on trial: {system_message(error)}; set TMPDIR to another"
        ) from None


def _timed(session: Session, rows: list[Row]) -> tuple[list[Outcome], float]:
    begun = time.monotonic()
    outcomes = session.map_rows(rows)
    return outcomes, time.monotonic() - begun
