"""What the thresholds of a recipe keep of a table: each step alone, in its turn, and what is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from tools.columns import COLUMNS
from tools.errors import UserError
from tools.report.rows import seconds
from tools.table.files import unreadable
from tools.table.recipes import Recipe, RecipeStep

_SECONDS = "\0seconds"  # no real column


@dataclass(frozen=True)
class Amount:
    """Some rows of a table.

    Attributes:
        rows: How many.
        hours: Length of those whose length is known, see `tools.report.rows.seconds`.
    """

    rows: int
    hours: float


@dataclass(frozen=True)
class OverlayStep:
    """One threshold of a recipe on one table.

    Attributes:
        name: What is judged.
        threshold: The bound as the source states it.
        where: The condition; empty where no column of this toolkit stands for the measure.
        source: Paper and section, or file and line.
        scale: What the number measures.
        note: In what the column differs from the measure of the source.
        skipped: Why it is not applied; empty for a step that is.
        missing: Columns that the table lacks, and the command that adds each (empty for one of the user's).
        alone: What it removes from the whole table; None, as the next two, when it is not applied.
        in_turn: What it removes of the rows that the steps before it have left.
        left: What is left after it.
    """

    name: str
    threshold: str
    where: str
    source: str
    scale: str
    note: str
    skipped: str = ""
    missing: Mapping[str, str] | None = None
    alone: Amount | None = None
    in_turn: Amount | None = None
    left: Amount | None = None


@dataclass(frozen=True)
class Overlay:
    """A recipe on a table.

    Attributes:
        recipe: The name, or the path of the file, by which it was asked for.
        title: What it is.
        source: Paper or repository.
        kept: What the source says was left; empty when it does not say.
        total: The whole table.
        left: What all applied steps leave.
        steps: All steps in the order of the recipe, those that are not applied included.
        where: The condition of all applied steps together, as ``datautil --where`` takes it.
    """

    recipe: str
    title: str
    source: str
    kept: str
    total: Amount
    left: Amount
    steps: tuple[OverlayStep, ...]
    where: str

    @property
    def applied(self) -> list[OverlayStep]:
        """Steps that were applied."""
        return [step for step in self.steps if not step.skipped]

    @property
    def is_whole(self) -> bool:
        """Whether every step with a condition is applied, as ``datautil --recipe`` does it."""
        return all(not step.skipped or not step.where for step in self.steps)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON takes it."""
        return {**asdict(self), "is_whole": self.is_whole}


def overlays(frame: pl.LazyFrame, recipes: Sequence[Recipe], *, source: str = "the table") -> list[Overlay]:
    """Count what each step of recipes removes and leaves.

    A step whose columns are not in the table is left out. The others keep exactly the rows that
    ``datautil --recipe`` keeps: where a cell that a condition uses is empty, the row goes.

    Args:
        frame: The table, as `tools.table.scan_table` reads it; it is read once for all recipes, in a stream.
        recipes: From `tools.table.recipes.load_recipe`.
        source: What the table is called in error messages.

    Returns:
        The counts of each recipe.

    Raises:
        UserError: The table cannot be read.
    """
    if not recipes:
        return []
    schema = frame.collect_schema()
    conditions: list[dict[int, pl.Expr]] = []
    refusals: list[dict[int, str]] = []
    for recipe in recipes:
        fitting, refused = _conditions(recipe, schema)
        conditions.append(fitting)
        refusals.append(refused)
    try:
        counts = _count(frame, schema, conditions)
    except pl.exceptions.PolarsError as error:
        raise unreadable(source, error) from None
    return [
        _overlay(recipe, schema, counts, place, conditions[place], refusals[place])
        for place, recipe in enumerate(recipes)
    ]


def _conditions(
    recipe: Recipe, schema: Mapping[str, pl.DataType]
) -> tuple[dict[int, pl.Expr], dict[int, str]]:
    """By the number of the step: the conditions that fit the table, and why others do not."""
    conditions: dict[int, pl.Expr] = {}
    refusals: dict[int, str] = {}
    for number, step in enumerate(recipe.steps):
        if not step.where or _missing(step, schema):
            continue
        try:
            conditions[number] = step.condition(schema).fill_null(False)
        except UserError as error:  # a column of another type than the recipe expects
            refusals[number] = str(error)
    return conditions, refusals


def _overlay(
    recipe: Recipe,
    schema: Mapping[str, pl.DataType],
    counts: _Counts,
    place: int,
    conditions: Mapping[int, pl.Expr],
    refusals: Mapping[int, str],
) -> Overlay:
    """One recipe, of the counts of all."""
    total = counts("total")
    steps = []
    before = total
    for number, step in enumerate(recipe.steps):
        if number in conditions:
            left = counts(f"left {place} {number}")
            alone = _difference(total, counts(f"alone {place} {number}"))
            steps.append(_step(step, alone=alone, in_turn=_difference(before, left), left=left))
            before = left
        else:
            missing = _missing(step, schema) if step.where else {}
            reason = step.left_out or refusals.get(number) or _lacks(missing)
            steps.append(_step(step, skipped=reason, missing=missing))
    return Overlay(
        recipe=str(recipe),
        title=recipe.title,
        source=recipe.source,
        kept=recipe.kept,
        total=total,
        left=before,
        steps=tuple(steps),
        where=_joined([recipe.steps[number].where for number in conditions]),
    )


def applicable(recipes: Iterable[Recipe], schema: Mapping[str, pl.DataType]) -> list[Recipe]:
    """The recipes of which a table with these columns has what at least one step needs."""
    return [
        recipe for recipe in recipes if any(not _missing(step, schema) for step in recipe.steps if step.where)
    ]


class _Counts:
    """Rows and hours by label, out of a frame of one row."""

    def __init__(self, found: pl.DataFrame) -> None:
        self._found = found

    def __call__(self, label: str) -> Amount:
        return Amount(self._found[f"{label} rows"][0], float(self._found[f"{label} seconds"][0]) / 3600)


def _count(
    frame: pl.LazyFrame, schema: Mapping[str, pl.DataType], conditions: Sequence[Mapping[int, pl.Expr]]
) -> _Counts:
    """One pass: the rows and seconds that each condition keeps alone, and together with those before it."""
    marks = []
    aggregates = [pl.len().alias("total rows"), pl.col(_SECONDS).sum().alias("total seconds")]
    for place, of_recipe in enumerate(conditions):
        so_far = pl.lit(True)
        for number, condition in of_recipe.items():
            name = f"alone {place} {number}"
            marks.append(condition.alias(name))
            so_far = so_far & pl.col(name)
            for label, kept in ((name, pl.col(name)), (f"left {place} {number}", so_far)):
                aggregates.append(kept.sum().alias(f"{label} rows"))
                aggregates.append(pl.col(_SECONDS).filter(kept).sum().alias(f"{label} seconds"))
    derived = [seconds(schema).alias(_SECONDS), *marks]
    return _Counts(_rows_kept(frame, derived).select(aggregates).collect(engine="streaming"))


def _rows_kept(frame: pl.LazyFrame, derived: list[pl.Expr]) -> pl.LazyFrame:
    """The derived columns with as many rows as the table, also where all of them are constants."""
    index = "\0row"
    return frame.with_row_index(index).select(pl.col(index), *derived)


def _difference(more: Amount, less: Amount) -> Amount:
    # Sums of the same rows in another order differ in their last digits.
    return Amount(more.rows - less.rows, max(0.0, more.hours - less.hours) if more.rows > less.rows else 0.0)


def _step(step: RecipeStep, **counted: Any) -> OverlayStep:
    return OverlayStep(step.name, step.threshold, step.where, step.source, step.scale, step.note, **counted)


def _missing(step: RecipeStep, schema: Mapping[str, pl.DataType]) -> dict[str, str]:
    return {name: _command(name) for name in step.columns if name not in schema}


def _command(column: str) -> str:
    maker = COLUMNS[column].made_by if column in COLUMNS else ""
    return f"python -m {maker}" if maker else ""


def _lacks(missing: Mapping[str, str]) -> str:
    commands: dict[str, list[str]] = {}
    for name, command in missing.items():
        commands.setdefault(command, []).append(name)
    parts = [
        " and ".join(names) + (f" (`{command}`)" if command else "") for command, names in commands.items()
    ]
    return f"the table lacks {' and '.join(parts)}"


def _joined(wheres: list[str]) -> str:
    """All of some conditions; a line of one may end in a comment."""
    if len(wheres) < 2:
        return "".join(wheres)
    return " and ".join(f"({where}\n)" if "#" in where else f"({where})" for where in wheres)
