"""--status: how far a run of a pipeline is, from its records and those of the step that it is at."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tools.base.terminal import counted
from tools.stage.progress import spell_seconds
from tools.stage.progress.status import EXIT_CODES, KILLED, UNKNOWN, describe_status, read_status, totals
from tools.stage.progress.status_file import FINISHED, RUNNING

if TYPE_CHECKING:
    from tools.pipeline.chain import Chain
    from tools.pipeline.plan import Step
    from tools.stage.progress.status import RankStatus

LEFT_OUT, TO_DO, STALE = "left out", "to do", "to do again"
"""Further states of a step."""


@dataclass(frozen=True)
class StepStatus:
    """How far a step is.

    Attributes:
        name: Its name.
        state: ``finished``, ``running``, ``killed`` (it has begun and not ended), ``to do``, ``to do again``
            or ``left out``.
        seconds: How long its last run took.
        rows: Rows of its table.
        failures: Failures by kind.
        ranks: Of a step that has begun and works row by row, how far each rank is.
    """

    name: str
    state: str
    seconds: float = 0.0
    rows: int | None = None
    failures: dict[str, int] = field(default_factory=dict)
    ranks: tuple[RankStatus, ...] = ()


def chain_status(chain: Chain) -> tuple[str, list[StepStatus]]:
    """The state of a pipeline, and of each step that is chosen."""
    at_work = chain.state.is_locked()
    steps = [_step_status(chain, step, at_work=at_work) for step in chain.chosen]
    states = {step.state for step in steps} - {LEFT_OUT}
    if at_work:
        return RUNNING, steps
    if states <= {FINISHED}:
        return FINISHED, steps
    return (UNKNOWN if states == {TO_DO} else KILLED), steps


def _step_status(chain: Chain, step: Step, *, at_work: bool) -> StepStatus:
    record = chain.state.of(step.name)
    numbers = record.numbers
    rows, failures = numbers.get("rows_out"), dict(numbers.get("failed") or {})
    if record.begun:
        ranks = tuple(read_status(step.table)) if step.table is not None and step.does.by_rows else ()
        return StepStatus(step.name, RUNNING if at_work else KILLED, ranks=ranks)
    if step.output is not None and not record.outputs:
        return StepStatus(step.name, TO_DO)
    if step.output is not None and step.does.reads_tables and not record.key:
        return StepStatus(step.name, STALE, failures=failures, rows=rows)
    if step.output is None and not numbers:
        return StepStatus(step.name, TO_DO)
    return StepStatus(step.name, FINISHED, numbers.get("seconds", 0.0), rows, failures)


def show_chain_status(chain: Chain, *, as_json: bool = False) -> int:
    """Print how far a pipeline is; the exit code is that of `tools.stage.progress.status.EXIT_CODES`."""
    state, steps = chain_status(chain)
    if as_json:
        print(
            json.dumps(
                {"pipeline": str(chain.document.path), "state": state, "steps": list(map(_json, steps))}
            )
        )
    else:
        words = {KILLED: "not at work, and not at its end", UNKNOWN: "never begun"}
        print(f"{chain.document.path}: {words.get(state, state)}")
        tables = {step.name: step.table for step in chain.chosen}
        for step in steps:
            print(f"  {step.name}: {_words(step)}")
            table = tables[step.name]
            if step.ranks and table is not None:
                print(*(f"    {line}" for line in describe_status(table, step.ranks)), sep="\n")
    return EXIT_CODES[state]


def _words(step: StepStatus) -> str:
    parts = ["begun, and not ended" if step.state == KILLED else step.state]
    if step.rows is not None:
        parts.append(counted(step.rows, "row"))
    if step.seconds:
        parts.append(spell_seconds(step.seconds))
    if step.failures:
        kinds = ", ".join(f"{kind} {count}" for kind, count in step.failures.items())
        parts.append(f"{counted(sum(step.failures.values()), 'failure')}: {kinds}")
    return ", ".join(parts)


def _json(step: StepStatus) -> dict[str, Any]:
    made = {name: getattr(step, name) for name in ("name", "state", "seconds", "rows", "failures")}
    return made | ({"run": totals(step.ranks)} if step.ranks else {})
