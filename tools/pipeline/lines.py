"""What a pipeline says: of each step its rows, hours, time and failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tools.base.terminal import padded, width
from tools.pipeline.plan import Step
from tools.report.rows import seconds
from tools.stage.failures import own_list
from tools.stage.progress import spell_seconds
from tools.table import count_rows, failures_path, read_table, scan_table

_HEAD = ("step", "command", "rows in", "rows out", "hours", "time", "failed rows")


@dataclass(frozen=True)
class Numbers:
    """The numbers of a step.

    Attributes:
        rows_in: Rows of the tables that it read; None where it read none.
        rows_out: Rows of the table that it wrote; None where it wrote none.
        hours: Length of their videos; None where no length is known.
        seconds: How long it took.
        failed: Rows of its failures file, by kind.
    """

    rows_in: int | None = None
    rows_out: int | None = None
    hours: float | None = None
    seconds: float = 0.0
    failed: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As it is kept."""
        return asdict(self)


def measure(step: Step, taken: float) -> Numbers:
    """The numbers of a step that has just ended.

    Args:
        step: The step.
        taken: Seconds.

    Raises:
        UserError: A table cannot be read.
    """
    rows_in = sum(count_rows(path) for path in step.inputs) if step.inputs else None
    table = step.table
    if table is None or not table.is_file():
        return Numbers(rows_in, seconds=taken)
    frame = scan_table(table)
    length = frame.select(seconds(frame.collect_schema().names())).collect(engine="streaming")["seconds"]
    hours = float(length.sum()) / 3600 if length.null_count() < len(length) else None
    return Numbers(rows_in, count_rows(table), hours, taken, failures_by_kind(table))


def failures_by_kind(table: Path) -> dict[str, int]:
    """How often each kind is in the failures file of a table, the most frequent first."""
    listed = own_list(failures_path(table))
    if listed is None:
        return {}
    return dict(Counter(read_table(listed)["kind"].to_list()).most_common())


def results(lines: Sequence[tuple[Step, str, Numbers]]) -> str:
    """A table with a line for each step.

    Args:
        lines: The steps with what became of each (empty: it was run) and its numbers.
    """
    grid = [_HEAD, *(_line(step, outcome, numbers) for step, outcome, numbers in lines)]
    widths = [max(width(row[i]) for row in grid) for i in range(len(_HEAD))]
    shown = []
    for row in grid:
        cells = [
            padded(cell, size) if i < 2 else cell.rjust(size)
            for i, (cell, size) in enumerate(zip(row[:-1], widths[:-1], strict=True))
        ]
        shown.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(shown)


def _line(step: Step, outcome: str, numbers: Numbers) -> tuple[str, ...]:
    if step.left_out:
        return (step.name, step.does.command.name, "", "", "", "left out", step.left_out)
    return (
        step.name,
        step.does.command.name,
        _count(numbers.rows_in),
        _count(numbers.rows_out),
        "" if numbers.hours is None else f"{numbers.hours:.3g}",
        outcome or spell_seconds(numbers.seconds),
        failed(numbers),
    )


def failed(numbers: Numbers) -> str:
    """``3 (timeout 2, unreadable 1)``; empty where no row has failed."""
    if not numbers.failed:
        return ""
    kinds = ", ".join(f"{kind} {count}" for kind, count in numbers.failed.items())
    return f"{sum(numbers.failed.values())} ({kinds})"


def _count(number: int | None) -> str:
    return "" if number is None else f"{number}"
