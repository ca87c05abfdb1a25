"""Operations that keep a given amount of a table, and say by which bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tools.base.terminal import counted
from tools.datasets.operations.base import DETAIL_COLUMN, Context, Number, Operation, Phase, Split, count
from tools.datasets.operations.bounds import (
    TOLERANCE,
    Clause,
    bound_clause,
    find_bounds,
    spell_column,
    spell_number,
)
from tools.datasets.operations.ranks import By, Scale, Score, number_of, scales_of, score_examples
from tools.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

SECONDS = "seconds\0"
"""Where the length of a row stands beside the columns of ``--by``."""
_LARGEST = "1.7976931348623157e308"


@dataclass(frozen=True)
class Goal:
    """How much of a table is asked for.

    Attributes:
        number: As typed; None where it is not said.
        unit: ``hours``, ``rows``, or ``fraction`` of the rows.
        by: By which scores; None where it is not said.
    """

    number: Number | int | None
    unit: str
    by: By | None = None

    def __str__(self) -> str:
        return str(self.number)

    @property
    def words(self) -> list[str]:
        """As typed, without the flag."""
        return [str(self.number), *(["--by", self.by.typed] if self.by else [])]

    @property
    def columns(self) -> list[str]:
        """Columns of numbers that it needs."""
        return self.by.columns if self.by else []

    @property
    def in_hours(self) -> bool:
        """Whether rows count by their length."""
        return self.unit == "hours"

    def of(self, rows: int) -> float:
        """The goal in seconds or in rows, of a table with so many rows."""
        number = self.number or 0
        if self.in_hours:
            return float(number) * 3600
        if self.unit == "rows":
            return float(number)
        return float(math.ceil(Decimal(str(number)) * rows))  # exact: 0.07 of 100 rows is 7

    def spell(self, amount: float) -> str:
        """An amount of this unit, in seconds or in rows."""
        if not self.in_hours:
            return f"{round(amount):,} rows"
        if amount < 36:
            return f"{amount:.3g} seconds"
        return f"{amount / 3600:,.2f} hours" if amount >= 3600 else f"{amount / 3600:.4g} hours"


def check_goal(goal: Goal, schema: Mapping[str, pl.DataType], flag: str) -> None:
    """Check that a table with these columns can be measured and ranked so.

    Raises:
        UserError: It has no lengths, or a column of ``--by`` holds no numbers.
    """
    if goal.in_hours and "duration" not in schema and not {"num_frames", "fps"} <= set(schema):
        raise UserError(
            f"{flag}: no column 'duration', and not both 'num_frames' and 'fps' "
            f"(it has: {', '.join(schema)}); `python -m tools.datasets.datautil META --info` makes them"
        )
    for name in goal.columns:
        number_of(name, schema[name])


def measured(frame: pl.LazyFrame, goal: Goal, *more: pl.Expr) -> pl.DataFrame:
    """The columns of ``--by`` as numbers, for hours `SECONDS`, and more; null where a cell says nothing."""
    from tools.report.rows import seconds

    schema = frame.collect_schema()
    numbers = [number_of(name, schema[name]).alias(name) for name in goal.columns]
    length = [seconds(schema).alias(SECONDS)] if goal.in_hours else []
    return frame.select(*numbers, *length, *more).collect(engine="streaming")


def check_measured(table: pl.DataFrame, goal: Goal, caller: str) -> np.ndarray:
    """Which rows have all numbers and, for hours, a length.

    Args:
        table: From `measured`, with at least one row.
        goal: What it was measured for.
        caller: Begins messages: the table and the flag.

    Raises:
        UserError: No row has them.
    """
    names = [*goal.columns, *([SECONDS] if goal.in_hours else [])]
    filled = {name: table[name].is_not_null().to_numpy() for name in names}
    for name, cells in filled.items():
        if not cells.any():
            what = "row has a length" if name == SECONDS else f"cell of '{name}' is a number"
            raise UserError(f"{caller}: no {what}, of {table.height:,} rows")
    whole = _all(filled.values(), table.height)
    if not whole.any():
        all_of = ", ".join("a length" if name == SECONDS else name for name in names)
        raise UserError(f"{caller}: no row has all of {all_of}, of {table.height:,} rows")
    return whole


def _all(parts: Iterable[np.ndarray], rows: int) -> np.ndarray:
    import numpy as np

    return np.logical_and.reduce([np.ones(rows, bool), *parts])


def missing_note(table: pl.DataFrame, goal: Goal) -> list[str]:
    """Lines that say how many rows go because a cell of theirs says nothing."""
    notes = []
    for name in goal.columns:
        if rows := table[name].null_count():
            notes.append(f"removed: {counted(rows, 'row', ',')} without a number in {name}")
    if goal.in_hours and (rows := table[SECONDS].null_count()):
        notes.append(
            f"removed: {counted(rows, 'row', ',')} of unknown length (no duration, nor num_frames and fps)"
        )
    return notes


def _keep(frame: pl.LazyFrame, goal: Goal, context: Context, flag: str) -> Split:
    import polars as pl

    from tools.table.where import parse_where

    assert goal.by is not None
    table = measured(frame, goal)
    if table.is_empty():
        context.notes.append(f"{flag} {goal}: no row is left to choose from")
        return Split(frame, frame.filter(pl.lit(False)))
    whole = check_measured(table, goal, f"{context.source}: {flag}")
    clauses, notes = _clauses(frame, table, whole, goal)
    context.notes += [f"{flag} {goal}: {notes[0]}", *notes[1:], *missing_note(table, goal)]
    condition = " and ".join(clause.text for clause in clauses)
    context.condition = condition
    if not condition:
        context.notes.append("every row is kept, without a bound")
        return Split(frame, frame.filter(pl.lit(False)))
    context.notes.append(f"bounds: {condition}")
    # The filter is the condition that is shown, so that typed again it keeps the same rows.
    keep = parse_where(condition, frame)
    removed = frame.filter(~keep.fill_null(False)).with_columns(_detail(clauses, frame))
    return Split(frame.filter(keep), removed)


def _clauses(
    frame: pl.LazyFrame, table: pl.DataFrame, whole: np.ndarray, goal: Goal
) -> tuple[list[Clause], list[str]]:
    """The parts of the condition, and lines that say what it keeps; the first begins them."""
    import numpy as np

    assert goal.by is not None
    rows, wanted = int(whole.sum()), goal.of(table.height)
    amount = table[SECONDS].to_numpy()[whole] if goal.in_hours else np.ones(rows)
    there = float(amount.sum())
    clauses: list[Clause] = []
    if there < wanted * (1 - TOLERANCE):
        notes = [f"there are only {goal.spell(there)}, and all of them are kept (goal: {goal.spell(wanted)})"]
    else:
        scales = scales_of([table[name].to_numpy()[whole] for name in goal.columns], goal.by)
        found = find_bounds(scales, amount, wanted)
        bounded = list(zip(goal.by.scores, scales, found.worst, strict=True))
        clauses = [bound_clause(score, scale, worst) for score, scale, worst in bounded if worst]
        notes = [f"{goal.spell(found.kept)} of {goal.spell(there)} are kept (goal: {goal.spell(wanted)})"]
        if goal.spell(found.kept) != goal.spell(wanted):
            notes.append(f"the next tighter bounds would keep {goal.spell(found.next)}")
        notes += [
            _unbounded(score, scale) for score, scale, worst in bounded if not worst and found.next < there
        ]
    return [*clauses, *_clauses_of_empty_cells(frame, table, goal, clauses)], notes


def _clauses_of_empty_cells(
    frame: pl.LazyFrame, table: pl.DataFrame, goal: Goal, bounds: Sequence[Clause]
) -> list[Clause]:
    """That there is a number, or a length, where the bounds alone would let an empty cell through."""
    schema, bound = frame.collect_schema(), {clause.column for clause in bounds}
    known = _all((table[name].is_not_null().to_numpy() for name in bound), table.height)
    clauses = []
    for name in [*goal.columns, *([SECONDS] if goal.in_hours else [])]:
        filled = table[name].is_not_null().to_numpy()
        if (known & ~filled).any():
            clauses.append(_length(frame) if name == SECONDS else _filled(name, schema[name]))
            known &= filled
    return clauses


def _unbounded(score: Score, scale: Scale) -> str:
    worst = spell_number(float(scale.values[0]) * (-1 if score.low else 1))
    share = int((scale.index == 0).sum()) / scale.index.size
    return f"{score.column} gets no bound: {share:.1%} of the rows have {worst}, its worst number"


def _filled(name: str, dtype: pl.DataType) -> Clause:
    from tools.table.where_values import NUMBER, column

    spelled = spell_column(name)
    text = f"{spelled}.notna()" if column(name, dtype).kind == NUMBER else f"num({spelled}).notna()"
    return Clause(text, f"no {name}", name)


def _length(frame: pl.LazyFrame) -> Clause:
    """That a row has a length, as `tools.report.rows.seconds` finds it."""
    from tools.report.rows import seconds
    from tools.table.where import parse_where

    schema = frame.collect_schema()

    def condition(positive: str) -> str:
        both = " and ".join(positive.format(name) for name in ("num_frames", "fps"))
        if not {"num_frames", "fps"} <= set(schema):
            return positive.format("duration")
        return f"({positive.format('duration')} or {both})" if "duration" in schema else both

    plain = condition("{} > 0")
    known = seconds(schema).is_not_null()
    differs = (parse_where(plain, frame).fill_null(False) != known).any()
    if frame.select(differs).collect(engine="streaming").item():  # an infinite length is none
        plain = condition(f"0 < {{}} <= {_LARGEST}")
    return Clause(plain, "no length")


def _detail(clauses: Sequence[Clause], frame: pl.LazyFrame) -> pl.Expr:
    """What the first clause that a row fails says of it."""
    import polars as pl

    from tools.table.where import parse_where

    schema = frame.collect_schema()
    reason = pl.lit(None, pl.String)
    for clause in reversed(clauses):
        failed = pl.lit(clause.failed)
        if clause.column:
            known = number_of(clause.column, schema[clause.column]).is_not_null()
            failed = pl.when(known).then(failed).otherwise(pl.lit(f"no {clause.column}"))
        reason = pl.when(parse_where(clause.text, frame).fill_null(False)).then(reason).otherwise(failed)
    return reason.alias(DETAIL_COLUMN)


def hours(text: str) -> Number:
    """A number of hours.

    Raises:
        ValueError: It is not a number above 0.
    """
    number = Number(text)
    if number <= 0:
        raise ValueError(f"must be a number of hours above 0, not {text}")
    return number


def _fraction(text: str) -> Number:
    number = Number(text)
    if not 0 < number <= 1:
        raise ValueError(f"must be a share of the rows above 0 and up to 1, such as 0.3, not {text}")
    return number


def _operation(
    unit: str, help: str, parse: Callable[[str], Number | int], suffix: str, metavar: str, **more: Any
) -> Operation:
    flag = f"--keep-{unit}"

    def check(goal: Goal, schema: Mapping[str, pl.DataType]) -> None:
        if goal.by is None:
            raise UserError(f"{flag}: by which scores? Give --by, for example --by {score_examples(schema)}")
        check_goal(goal, schema, flag)

    def apply(frame: pl.LazyFrame, goal: Goal, context: Context) -> Split:
        return _keep(frame, goal, context, flag)

    return Operation(
        f"keep_{unit}",
        help,
        apply,
        Phase.AMOUNT,
        suffix,
        parse=lambda text: Goal(parse(text), unit),
        metavar=metavar,
        requires=lambda goal: goal.columns,
        check=check,
        **more,
    )


OPERATIONS = (
    _operation(
        "hours",
        "keep the best H hours, and print the bounds",
        hours,
        "_keep{}h",
        "H",
        details='bounds on the columns of --by: "aes:2 motion:1"',
    ),
    _operation(
        "fraction",
        "keep the best share of the rows, as --keep-hours",
        _fraction,
        "_keep{}",
        "F",
        details="0.3 for three tenths",
    ),
    _operation(
        "rows",
        "keep the best N rows, as --keep-hours",
        count,
        "_keep{}rows",
        "N",
        everyday=False,
    ),
)
