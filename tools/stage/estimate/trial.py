"""A dry run: what a run would do, and about what it would take, from at most 30 rows processed on trial."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from tools.base.disk import system_message
from tools.base.temporary_files import TemporaryFolder
from tools.base.terminal import counted, one_line
from tools.errors import MediaError, UserError
from tools.media.fetching.sources import source_name
from tools.media.workers.pool import usable_cores
from tools.stage.estimate import Estimate, estimate
from tools.stage.estimate.meter import Meter, uses_gpu
from tools.stage.estimate.sample import Sample
from tools.stage.failures import count_kinds
from tools.stage.outcomes import Outcome, with_path
from tools.stage.plan import RunPlan, drop_changed_files, open_ledger, plan_run, remaining_rows
from tools.stage.progress import spell_rate, spell_seconds
from tools.stage.run_options import RunOptions
from tools.stage.session import Session
from tools.stage.stage import Row, Stage

_ROUNDS = 3
_LONG = 20.0  # seconds after which no further round begins


def dry_run(
    stage: Stage,
    meta: str | Path,
    *,
    output: str | Path | None = None,
    options: RunOptions,
    as_json: bool = False,
) -> None:
    """Print what `tools.stage.runner.run_stage` would do with the same arguments; of several ranks the first.

    A few rows are processed as in a run, in worker processes and with the models; what they write goes to a
    temporary folder, which is removed. The stage cannot be used afterwards.

    Args:
        stage: The stage.
        meta: The table.
        output: Where it would write.
        options: How it would run.
        as_json: One line of JSON instead, with the numbers alone.

    Raises:
        UserError: What would end the run: a missing column, missing weights, an output that must not be
            replaced.
    """
    plan = plan_run(stage, meta, output=output, options=options, read_only=True)
    if plan.shard.rank:
        return
    if plan.vectors:
        tables = (Path(meta), plan.output.path)
        plan.vectors.check_existing(tables, overwrite=options.overwrite, read_only=True)
    exists = plan.output.check_existing(overwrite=options.overwrite, read_only=True)
    with open_ledger(stage, plan, read_only=True) as ledger:
        if drop_changed_files(ledger, plan) and exists:
            plan.output.refuse_changed(overwrite=options.overwrite)
        todo, _, later = remaining_rows(stage, ledger, plan, options)
    said = print if not as_json else (lambda *_, **__: None)
    firsts = plan.keys.firsts == np.arange(len(plan.keys))
    for line in _describe(stage, meta, plan, len(todo), int(later[firsts].sum()), exists=exists):
        said(line, flush=True)
    trial = _Trial(stage, plan, options) if len(todo) else None
    if trial is not None:
        trial.run(todo)
        for line in trial.lines():
            said(line, flush=True)
    if as_json:
        found = None if trial is None else trial.estimate
        what = {"output": str(plan.output.path), "rows": len(plan.keys), "todo": len(todo)}
        print(json.dumps({**what, "estimate": None if found is None else found.as_json()}))


def _describe(
    stage: Stage, meta: str | Path, plan: RunPlan, todo: int, later: int, *, exists: bool
) -> list[str]:
    """What would be done, as far as it is known without opening a file."""
    distinct = len(np.unique(plan.keys.firsts))
    done = distinct - todo - later
    counts = [f"{todo} to do"]
    if done:
        counts.insert(0, f"{done} done by an earlier run")
    if later:
        counts.append(f"{later} left by --limit")
    rank = "" if plan.shard.alone else f" of rank {plan.shard.rank} of {plan.shard.world}"
    if repeated := len(plan.keys) - distinct:
        counts.append(f"{repeated} the same as others")
    return [
        "dry run: nothing is written",
        f"reads {meta}: {counted(plan.table.height, 'row')}",
        f"writes {plan.output.path}" + (f" and {plan.vectors.path}" if plan.vectors else ""),
        f"{'rows of columns' if stage.one_to_many else 'columns'}: {', '.join(stage.added_columns)}",
        f"rows{rank}: {', '.join(counts)}",
        *(["complete already, nothing to do"] if exists and not todo else []),
    ]


class _Trial:
    """Some rows of a run, processed on trial.

    Args:
        stage: The stage.
        plan: What the run is about.
        options: How it would run.

    Attributes:
        estimate: What the run would take; None where that is not known.
    """

    def __init__(self, stage: Stage, plan: RunPlan, options: RunOptions) -> None:
        self._stage = stage
        self._plan = plan
        self._options = dataclasses.replace(options, progress=False)
        self._outcomes: list[Outcome] = []
        self._loading = 0.0
        self._wall = 0.0  # of the rounds that were measured
        self.estimate: Estimate | None = None

    def run(self, numbers: np.ndarray) -> None:
        """Process a sample of the rows with these numbers."""
        plan, stage = self._plan, self._stage
        sample = Sample.of(plan.costs[numbers])
        self._meter = Meter(sample, {str(i): i for i in sample.numbers.tolist()})
        rows = {i: plan.rows.row(int(numbers[i]), named=True) for i in sample.numbers.tolist()}
        fetch = plan.fetch and dataclasses.replace(plan.fetch, cache=None)  # of which nothing stays
        with (
            closing(_temporary_folder()) as folder,
            Session(stage, self._options, fetch=fetch) as session,
        ):
            stage.write_under(folder.path / "made")
            begun = time.monotonic()
            session.setup()
            self._rounds(session, rows)
            self._loading = max(0.0, time.monotonic() - begun - self._wall)
            if self._meter.prepare:
                self.estimate = self._estimated()

    def _rounds(self, session: Session, rows: dict[int, Row]) -> None:
        """Process the rows in rounds, each of which is spread over all costs, until it has taken long enough.

        First come the cheapest ones, one for each worker: in it workers start and import modules, so it
        counts only if there is no other.
        """
        chosen = list(rows)  # the most expensive first
        workers = max(1, min(self._options.num_workers, usable_cores()))
        first = chosen[-min(workers, max(1, len(chosen) // 2)) :]
        rest = chosen[: -len(first)]
        rounds = [rest[start::_ROUNDS] for start in range(_ROUNDS)]
        until = time.monotonic() + _LONG
        self._round(session, rows, first)
        for part in filter(None, rounds):
            if first:
                self._meter.forget(first)
                self._wall, first = 0.0, []
            self._round(session, rows, part)
            if time.monotonic() > until:
                break

    def _round(self, session: Session, rows: dict[int, Row], part: Sequence[int]) -> None:
        begun = time.monotonic()

        def finished(results: list[tuple[str, Outcome]]) -> None:
            self._outcomes += [
                with_path(outcome, source_name(rows[int(key)].get("path"))) for key, outcome in results
            ]

        session.process(((str(number), rows[number]) for number in part), finished, meter=self._meter)
        self._wall += time.monotonic() - begun

    def _estimated(self) -> Estimate:
        plan, meter, cores = self._plan, self._meter, usable_cores()
        found = estimate(
            meter,
            workers=min(self._options.num_workers, cores),
            cores=cores,
            gpu=uses_gpu(),
            ranks=plan.shard.world,
            table_bytes=float(plan.table.estimated_size()) / plan.table.height * meter.sample.rows,
        )
        rows, spent = self._stage.spent()
        requests = {name: value / rows * found.rows for name, value in spent.items()} if rows else {}
        seconds = found.seconds
        if plan.fetch is not None:  # the network may be the slowest of all
            seconds = self._wall / len(meter.prepare) * meter.sample.rows
        if self._stage.no_trial:
            seconds = None
        return dataclasses.replace(found, seconds=seconds, requests=requests)

    def lines(self) -> Iterator[str]:
        """What was found: failures, and what the run would take."""
        failures = [outcome for outcome in self._outcomes if isinstance(outcome, MediaError)]
        on_trial = f"on trial: {counted(len(self._outcomes), 'row')}"
        if failures:
            yield f"{on_trial}, {len(failures)} failed: {count_kinds(failures)}"
            yield f"the first: {one_line(str(failures[0]))}"
        else:
            yield f"{on_trial}, none failed"
        found = self.estimate
        if found is None or len(failures) == len(self._outcomes):
            self.estimate = None
            yield "time: not estimated, every row on trial failed"
            return
        if found.requests:
            yield f"requests: {found.asked()}{self._stage.spent_how}"
        yield f"work: {found.work()}"
        if found.seconds is None:
            yield f"time: not estimated, {self._stage.no_trial}"
            return
        rate = spell_rate(self._meter.sample.rows / max(found.seconds, 1e-6))
        loading = spell_seconds(self._loading)
        yield f"time: about {spell_seconds(self._loading + found.seconds)} (to start {loading}, then {rate})"


def _temporary_folder() -> TemporaryFolder:
    path = tempfile.gettempdir()
    try:
        return TemporaryFolder(path)
    except OSError as error:
        raise UserError(
            f"{path}: no folder for rows on trial: {system_message(error)}; set TMPDIR to another"
        ) from None
