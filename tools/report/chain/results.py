"""Results of reading a chain of tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl


@dataclass(frozen=True)
class Reason:
    """Why rows were lost.

    Attributes:
        text: The flag that removed them, the kind of failure, or what made the table.
        rows: How many.
        hours: Length of those whose length is known.
        recorded: A table of rejected rows or a failures file says so of each row; otherwise it follows from
            what made the table.
    """

    text: str
    rows: int
    hours: float
    recorded: bool


@dataclass(frozen=True)
class FailureKind:
    """Rows of a failures file with the same kind.

    Attributes:
        kind: See docs/troubleshooting.md.
        rows: How many.
        examples: Path and message of the first few.
    """

    kind: str
    rows: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Change:
    """A table against the one before it.

    Attributes:
        matched_by: The column by which rows were matched with ``path`` (or ``id``) of the table before:
            ``path`` and ``id`` one to one; ``source`` and ``original_path``, of which there may be many for
            one row before. Empty where no row matches.
        lost: Rows before that have no row now. Where the tables share no column to match rows by
            (``is_counted``), no more than the difference of their numbers of rows is known.
        lost_hours: Length of those whose length is known.
        new: Rows now that had no row before.
        reasons: Why rows were lost, the most frequent first; they add up to ``lost``.
        is_counted: Rows could only be counted, not matched.
    """

    matched_by: str
    lost: int
    lost_hours: float
    new: int
    reasons: tuple[Reason, ...] = ()
    is_counted: bool = False

    @property
    def is_split(self) -> bool:
        """Whether one row before may have become several, as the clips of a video."""
        return self.matched_by in ("source", "original_path")


@dataclass(frozen=True)
class ChainStep:
    """One table of a chain.

    Attributes:
        path: The table; of one that ranks wrote in parts, the name without the part.
        name: What it is called: its file name.
        files: The files it is in: one, or all parts.
        rows: Its rows.
        hours: Length of the rows whose length is known, see `tools.report.rows.seconds`.
        unknown_length: Rows whose length is not known; images have none.
        operation: What made it, in a few words; empty where neither receipt nor name tells.
        options: Options of the stage that made it, from its receipt; empty without one.
        change: Against the table before; None for the first.
        columns_added: Columns that the table before lacks.
        columns_dropped: Columns that it has lost.
        failures: Rows of its failures file by kind, the most frequent first.
    """

    path: Path
    name: str
    files: tuple[Path, ...]
    rows: int
    hours: float
    unknown_length: int
    operation: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    change: Change | None = None
    columns_added: tuple[str, ...] = ()
    columns_dropped: tuple[str, ...] = ()
    failures: tuple[FailureKind, ...] = ()


@dataclass(frozen=True)
class Chain:
    """Tables that were made one from the other.

    Attributes:
        steps: In the order in which they were made; at least one.
        notes: What else was found, a line each: other branches, and tables that were left out.
    """

    steps: tuple[ChainStep, ...]
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> Path:
        """The table that is shown: the last one."""
        return self.steps[-1].path

    def frame(self) -> pl.LazyFrame:
        """The rows of the table that is shown; parts are merged in the order of their rows."""
        from tools.table import merge_tables

        return merge_tables(self.steps[-1].files)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON takes it; paths are text."""
        steps = []
        for step in self.steps:
            whole = asdict(step)
            whole.update(path=str(step.path), files=[str(path) for path in step.files])
            if step.change is not None:
                whole["change"]["is_split"] = step.change.is_split
            steps.append(whole)
        return {"steps": steps, "notes": list(self.notes)}
