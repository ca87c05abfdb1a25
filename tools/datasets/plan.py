"""What datautil is going to do: its settings, and a plan that can be shown before anything is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.datasets.operations import OPERATIONS, Context
from tools.datasets.pipeline import in_order

if TYPE_CHECKING:
    import polars as pl

    from tools.stage.engine import RunOptions


@dataclass(frozen=True)
class Settings:
    """How operations are carried out, where that is not their value.

    Attributes:
        seed: Of --shuffle, --sample and --score-to-text.
        lang_threshold: Confidence that --lang asks for, 0 to 1; None for its default.
        per_source: Rows that --sample takes of one source video at most.
        options: Workers and limits; None for the defaults.
    """

    seed: int = 42
    lang_threshold: float | None = None
    per_source: int | None = None
    options: RunOptions | None = None


@dataclass(frozen=True)
class Plan:
    """What would be done; nothing has been, but for a look at the inputs.

    Attributes:
        paths: The input tables.
        read: They, and those that operations read.
        frame: Them as one, before any operation.
        values: Operations with parsed values.
        target: Table to write.
        places: It, or the tables that it is split into; none when no table is to be written.
        context: What the operations share.
    """

    paths: list[Path]
    read: list[Path]
    frame: pl.LazyFrame
    values: dict[str, Any]
    target: Path
    places: list[Path]
    context: Context

    def describe(self) -> list[str]:
        """The operations, as typed, in the order in which they would be carried out."""
        return [OPERATIONS[name].label(self.values[name]) for name in in_order(self.values)]
