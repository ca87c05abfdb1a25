"""Process the remaining rows of a run: a sample first, then longest first; outcomes go to the ledger."""

from __future__ import annotations

import dataclasses
import time
from array import array

import numpy as np

from tools.errors import OrderError
from tools.media.workers.pool import usable_cores
from tools.stage.dealing import longest_first
from tools.stage.estimate import Estimate, estimate, rates_of
from tools.stage.estimate.meter import Meter, uses_gpu
from tools.stage.estimate.sample import Sample
from tools.stage.ledger import Ledger
from tools.stage.outcomes import Outcome, with_path
from tools.stage.plan import RunPlan
from tools.stage.progress import Progress, spell_seconds
from tools.stage.progress.status_file import StatusFile
from tools.stage.run_options import RunOptions
from tools.stage.session import Session
from tools.stage.stage import Stage

_MANY = 100  # rows; of fewer no sample comes first
_LONG = 60.0  # seconds; of a run that takes less nothing is said beforehand


def process_rows(
    stage: Stage,
    plan: RunPlan,
    todo: np.ndarray,
    ledger: Ledger,
    options: RunOptions,
    status: StatusFile,
) -> None:
    """Run the stage over the remaining rows.

    Args:
        stage: The stage.
        plan: What the run is about.
        todo: The numbers of the rows in the plan.
        ledger: Where outcomes go as they come.
        options: How.
        status: Where the progress is written down.

    Raises:
        OrderError: See `tools.stage.order_check`; what was finished since the last check is struck out.
        UserError: See `Session.process`.
    """
    order, cost, meter = _in_order(plan, todo)
    forecast = None if meter is None else _Forecast(stage, plan, meter, options, status)
    with (
        Progress(
            len(todo),
            stage.name,
            shown=options.progress,
            status=status,
            cost=cost,
            note=None if forecast is None else forecast.line,
        ) as progress,
        Session(stage, options, fetch=plan.fetch) as session,
    ):
        if forecast is not None:
            forecast.progress = progress
        on_version = None if plan.fetch is None else ledger.versions.__setitem__

        def finished(results: list[tuple[str, Outcome]]) -> None:
            numbers = [plan.keys.row(key) for key, _ in results]
            ledger.add(
                [
                    (key, with_path(outcome, plan.paths[number]))
                    for number, (key, outcome) in zip(numbers, results, strict=True)
                ]
            )
            progress.count(results, float(plan.costs[numbers].sum(dtype=np.float64)))

        rows = ((plan.keys[n], plan.rows.row(n, named=True)) for n in order)
        try:
            session.process(rows, finished, on_version, meter)
        except OrderError as error:
            ledger.forget(error.keys)
            raise


def _in_order(plan: RunPlan, todo: np.ndarray) -> tuple[array[int], float, Meter | None]:
    """The numbers of the rows in the order in which they are processed, their costs together, and a meter.

    The meter is for the rows of a sample, which come first; a run of few rows has none.
    """
    costs = plan.costs[todo]
    order, meter = longest_first(costs), None
    if len(order) >= _MANY:
        sample = Sample.of(costs)
        order = np.concatenate([sample.numbers, order[~np.isin(order, sample.numbers)]])
        meter = Meter(sample, {plan.keys[int(todo[i])]: int(i) for i in sample.numbers})
    # Four bytes a row; a list of numbers would take nine times as many.
    return array("I", todo[order].tobytes()), float(costs.sum(dtype=np.float64)), meter


class _Forecast:
    """The estimate of a run from the rows of a sample, which are processed first; it is made once."""

    def __init__(
        self, stage: Stage, plan: RunPlan, meter: Meter, options: RunOptions, status: StatusFile
    ) -> None:
        self._stage = stage
        self._plan = plan
        self._meter = meter
        self._options = options
        self._status = status
        self._begun = time.monotonic()
        self._is_made = False
        self.progress: Progress | None = None

    def line(self) -> str | None:
        """What is said of a long run, as soon as the sample is done."""
        if self._is_made or not self._meter.is_complete or self.progress is None:
            return None
        self._is_made = True
        if not self._meter.prepare:  # each of them ended its worker
            return None
        self.progress.rates = rates_of(self._meter)
        found = self._estimate()
        self._status.publish(estimate=found.as_json())
        if found.seconds is None or found.seconds < _LONG:
            return None
        parts = [f"about {spell_seconds(found.seconds)} in all", found.work()]
        if asked := found.asked():
            parts.append(asked)
        return f"by the first {found.measured} rows: {', '.join(parts)}"

    def _estimate(self) -> Estimate:
        plan, cores = self._plan, usable_cores()
        found = estimate(
            self._meter,
            workers=min(self._options.num_workers, cores),
            cores=cores,
            gpu=uses_gpu(),
            ranks=plan.shard.world,
            table_bytes=float(plan.table.estimated_size()) / plan.table.height * self._meter.sample.rows,
        )
        rows, spent = self._stage.spent()
        requests = {name: value / rows * found.rows for name, value in spent.items()} if rows else {}
        seconds = found.seconds
        if plan.fetch is not None or rows:  # what waits for others is as fast as they are
            left = self.progress.left() if self.progress else None
            seconds = None if left is None else time.monotonic() - self._begun + left
        return dataclasses.replace(found, seconds=seconds, requests=requests)
