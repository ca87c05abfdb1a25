"""What an operation on a table is, and what it may know of the run it is part of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

    from tools.errors import MediaError
    from tools.stage.engine import RunOptions


class Number(float):
    """A number that remembers how it was typed, which is how it stands in the names of outputs.

    Args:
        typed: A finite number, as text or as a number.

    Raises:
        ValueError: It is not one.
    """

    typed: str

    def __new__(cls, typed: str | float) -> Number:  # noqa: D102  (see the class)
        number = super().__new__(cls, typed)
        if not math.isfinite(number):
            raise ValueError(f"not a finite number: {typed}")
        number.typed = str(typed).strip()
        return number

    def __str__(self) -> str:
        return self.typed


@dataclass
class Context:
    """What operations share in one run.

    Attributes:
        source: What the table is called in error messages.
        options: Workers, time limit and progress of operations that open files.
        seed: For what is random.
        failures: Files that could not be read; operations add to it.
        notes: Lines for the user; operations add to it.
    """

    source: str
    options: RunOptions
    seed: int = 42
    failures: list[MediaError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Operation:
    """One thing that datautil does to a table.

    Attributes:
        name: Name of its flag, with underscores.
        help: What it does, for ``--help`` and the docs.
        apply: Function of frame, value and context that gives the new frame.
        suffix: What output names get; ``{}`` stands for the value (for the seed in that of shuffle).
        parse: Type of its value; None for a switch.
        metavar: Name of its value in ``--help``.
        needs: Columns that must be there.
    """

    name: str
    help: str
    apply: Callable[[pl.LazyFrame, Any, Context], pl.LazyFrame]
    suffix: str
    parse: Callable[[str], Any] | None = None
    metavar: str | None = None
    needs: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """``--fmin``."""
        return "--" + self.name.replace("_", "-")

    def suffix_for(self, value: object) -> str:
        """The suffix with this value."""
        return self.suffix.format(value)

    def run(self, frame: pl.LazyFrame, value: object, context: Context) -> pl.LazyFrame:
        """Check the columns, then apply.

        Raises:
            UserError: A column is missing.
        """
        from tools.table import require_columns

        require_columns(frame, self.needs, f"{context.source}: {self.flag}")
        return self.apply(frame, value, context)
