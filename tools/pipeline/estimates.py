"""What a step would take: from a few of its rows on trial, or from the time and the rows of its last run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tools.base.terminal import counted
from tools.pipeline.lines import Numbers
from tools.pipeline.plan import Step
from tools.pipeline.running import try_step
from tools.stage.estimate import Estimate
from tools.stage.progress import spell_seconds
from tools.table import count_rows

_EXPLAINS = ("export",)
"""Commands whose dry run explains every row, and estimates nothing."""


def step_estimate(step: Step, document: Path) -> Estimate | None:
    """What a step would take, by its own dry run; None where that does not tell.

    Args:
        step: A step whose input is there, and that works row by row.
        document: The file of the pipeline.
    """
    if not step.does.by_rows or step.does.command.name in _EXPLAINS:
        return None
    printed = try_step(step, document)
    try:
        found: dict[str, Any] = json.loads(printed.splitlines()[-1])["estimate"]
        return Estimate(**found)
    except (ValueError, LookupError, TypeError):  # it has failed, nothing is left to do, or it cannot tell
        return None


def by_last_run(step: Step, last: Numbers, *, ready: bool) -> float | None:
    """Seconds that a step would take, from the time and the rows of its last run; None without one.

    Args:
        step: The step.
        last: Its numbers.
        ready: Whether its input is there.
    """
    if not last.seconds:
        return None
    share = 1.0
    if ready and last.rows_in:
        share = sum(map(count_rows, step.inputs)) / last.rows_in
    return last.seconds * share


class Sum:
    """What several steps take together."""

    def __init__(self) -> None:
        self._seconds = self._cpu = self._gpu = self._written = 0.0
        self._steps = self._unknown = 0

    def add(self, seconds: float | None, found: Estimate | None = None) -> None:
        """Add a step.

        Args:
            seconds: Its time, where that is known.
            found: What else is known of it.
        """
        self._steps += 1
        self._unknown += seconds is None
        self._seconds += seconds or 0.0
        if found is not None:
            self._cpu += found.cpu_hours
            self._gpu += found.gpu_hours or 0.0
            self._written += found.written

    def line(self) -> str:
        """``in all about 3 h, 12 CPU hours, 1.3 GB written, without 2 steps of which nothing is known``."""
        if self._unknown == self._steps:
            return ""
        parts = [f"in all about {spell_seconds(self._seconds)}"]
        if self._cpu:
            gpu = self._gpu or None
            parts.append(Estimate(0, 0, None, self._cpu, gpu, self._written).work())
        if self._unknown:
            steps = counted(self._unknown, "step")
            parts.append(f"without {steps} whose input is not there yet")
        return ", ".join(parts)
