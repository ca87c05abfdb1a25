"""``--balance``: a part of a table that is even over groups of rows."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.datasets.operations.amounts import (
    SECONDS,
    Goal,
    check_goal,
    check_measured,
    measured,
    missing_note,
)
from tools.datasets.operations.base import DETAIL_COLUMN, Context, Operation, Phase, Split
from tools.datasets.operations.bounds import TOLERANCE
from tools.datasets.operations.ranks import levels_of, scales_of
from tools.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

FLAG = "--balance"
_GROUP = "group\0"


@dataclass(frozen=True)
class Balance:
    """What is drawn, and over what it is even.

    Attributes:
        columns: Rows with the same values of all of these are one group.
        goal: How much is drawn, and by which scores the best of each group; without scores at random.
    """

    columns: tuple[str, ...]
    goal: Goal = dataclasses.field(default=Goal(None, "rows"))

    def __str__(self) -> str:
        return ",".join(self.columns)

    def __format__(self, spec: str) -> str:
        """As it stands in names of outputs."""
        return f"{self.goal}{'h' if self.goal.in_hours else 'rows'}"

    @property
    def words(self) -> list[str]:
        """As typed, without the flag."""
        unit, *more = self.goal.words
        return [str(self), f"--{self.goal.unit}", unit, *more]

    @property
    def needs(self) -> list[str]:
        """The columns that have to be there; a source video may also be derived from ``path``."""
        return [name for name in self.columns if name != "source"] + self.goal.columns


def _parse(text: str) -> Balance:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ValueError(f"must be columns with commas between them, such as source,cmotion, not {text!r}")
    return Balance(tuple(dict.fromkeys(names)))


def _check(balance: Balance, schema: Mapping[str, pl.DataType]) -> None:
    import polars as pl

    if balance.goal.number is None:
        raise UserError(f"{FLAG}: how much? Give --hours or --rows")
    if "source" in balance.columns and not {"source", "path"} & set(schema):
        raise UserError(f"{FLAG}: no column 'source', and no 'path' to derive it from")
    for name in balance.columns:
        if name in schema and (schema[name].is_nested() or schema[name] in (pl.Binary, pl.Object)):
            raise UserError(f"{FLAG}: the column '{name}' holds {schema[name]}; groups need single values")
    check_goal(balance.goal, schema, f"{FLAG} … --hours")


def _balance(frame: pl.LazyFrame, balance: Balance, context: Context) -> Split:
    import polars as pl

    from tools.table.row_files import ROW, of_rows, rows_where

    goal = balance.goal
    keys = [_key(name, frame).alias(f"{_GROUP}{i}") for i, name in enumerate(balance.columns)]
    table = measured(frame, goal, *keys)
    if table.is_empty():
        context.notes.append(f"{FLAG} {balance!s}: no row is left to choose from")
        return Split(frame, frame.filter(pl.lit(False)))
    sources = None
    if context.per_source:
        from tools.table.external_join import key_numbers
        from tools.table.source_videos import source_video

        sources = key_numbers(frame, source_video(frame.collect_schema()), context.scratch_folder)
    reason, words = _choose(table, sources, balance, context)
    detail = of_rows(reason, pl.UInt8).replace_strict(words, return_dtype=pl.String)
    removed = frame.with_row_index(ROW).filter(of_rows(reason > 0, pl.Boolean))
    return Split(rows_where(frame, reason == 0), removed.with_columns(detail.alias(DETAIL_COLUMN)).drop(ROW))


def _key(name: str, frame: pl.LazyFrame) -> pl.Expr:
    """The group that a row belongs to in one column: text, null where the cell is empty or NaN."""
    import polars as pl

    from tools.columns import COLUMNS
    from tools.table.source_videos import source_video
    from tools.table.where_values import NUMBER, TRUTH, column

    schema = frame.collect_schema()
    if name == "source":
        cells = source_video(schema)
    else:
        cells, read = pl.col(name), column(name, schema[name])
        if name in COLUMNS and read.kind == NUMBER:
            cells = read.expr  # in a CSV 24 and 24.0 are texts
        if name in COLUMNS and read.kind == TRUTH:
            cells = cells.cast(pl.String).str.to_lowercase()  # True is true; 1 and 0 are two values
        if read.kind == NUMBER and (name in COLUMNS or schema[name].is_float()):
            cells = pl.when(cells == 0).then(0.0).otherwise(cells.fill_nan(None))  # -0.0 is 0
        if schema[name] == pl.Duration:
            cells = cells.to_physical()
    text = cells.cast(pl.String)
    return pl.when(text != "").then(text).cast(pl.Categorical).to_physical()


def _choose(
    table: pl.DataFrame, sources: np.ndarray | None, balance: Balance, context: Context
) -> tuple[np.ndarray, dict[int, str]]:
    """For each row 0 if it is drawn, else a number that stands for why not, uint8; and these in words."""
    import numpy as np

    goal, caller = balance.goal, f"{context.source}: {FLAG}"
    check_measured(table, goal, caller)
    notes = missing_note(table, goal)
    keys = {f"{_GROUP}{i}": name for i, name in enumerate(balance.columns)}
    reason = np.zeros(table.height, np.uint8)
    words: dict[int, str] = {}
    for column, name in [*keys.items(), *zip(goal.columns, goal.columns, strict=True), (SECONDS, "length")]:
        if column not in table.columns:
            continue
        empty = table[column].is_null().to_numpy()
        words[len(words) + 1] = f"no {name}"
        reason[empty & (reason == 0)] = len(words)
        if column in keys and empty.any():
            notes.append(f"{int(empty.sum()):,} rows without {name} belong to no group, and are removed")
    rows = np.flatnonzero(reason == 0)
    if not rows.size:
        raise UserError(f"{caller}: no row has all of {', '.join(balance.columns)}")
    groups = _numbered(table, len(balance.columns), rows)
    rank = np.random.RandomState(context.seed).permutation(table.height)[rows]
    if goal.by:
        numbers = [table[name].to_numpy()[rows] for name in goal.columns]
        best = levels_of(scales_of(numbers, goal.by))
        order = np.lexsort((rank, -best))
        rank[order] = np.arange(order.size)
    amount = table[SECONDS].to_numpy()[rows] if goal.in_hours else np.ones(rows.size)
    wanted = goal.of(table.height)
    if sources is not None and context.per_source:
        drawn = take_turns_capped(groups, rank, amount, wanted, sources[rows], context.per_source)
    else:
        drawn = take_turns(groups, rank, amount, wanted)
    words[len(words) + 1] = "the others of its group or video come first"
    reason[rows] = len(words)
    reason[rows[drawn]] = 0
    context.notes += [*_describe(groups, amount, drawn, balance, wanted), *notes]
    return reason, words


def _numbered(table: pl.DataFrame, columns: int, rows: np.ndarray) -> np.ndarray:
    """The number of the group of each of some rows, int64 from 0 on."""
    import numpy as np

    numbers = np.zeros(rows.size, np.int64)
    for i in range(columns):
        _, codes = np.unique(table[f"{_GROUP}{i}"].to_numpy()[rows], return_inverse=True)
        _, numbers = np.unique(numbers * (codes.max() + 1) + codes, return_inverse=True)
    return numbers


def take_turns(groups: np.ndarray, rank: np.ndarray, amount: np.ndarray, goal: float) -> np.ndarray:
    """Draw rows so that all groups get the same, as far as they have it.

    The next row is always one of the group that has got least so far, and of that group the one with the
    smallest rank; so a small group gives all it has, and the others share what is left (water-filling). What
    two groups have got differs by no more than one row, unless the one with less has no more to give.

    Args:
        groups: The number of each row's group, int64 (rows), from 0 on.
        rank: Which rows come first, int64 (rows), all different; also between groups that have got the same.
        amount: What each row counts, float64 (rows), above 0.
        goal: Rows are drawn until they count so much.

    Returns:
        Places of the rows that are drawn, int64, in the order in which they are.
    """
    import numpy as np

    order = np.lexsort((rank, groups))
    before = np.cumsum(amount[order]) - amount[order]
    first = np.searchsorted(groups[order], groups[order])
    got = np.round(before - before[first], 6)  # what its group has when it is the row's turn
    turns = order[np.lexsort((rank[order], got))]
    total = np.cumsum(amount[turns])
    return turns[: np.searchsorted(total, goal * (1 - TOLERANCE)) + 1]


def take_turns_capped(
    groups: np.ndarray, rank: np.ndarray, amount: np.ndarray, goal: float, sources: np.ndarray, most: int
) -> np.ndarray:
    """As `take_turns`; a row whose source video has given ``most`` rows already is passed over.

    Args:
        groups: As there.
        rank: As there.
        amount: As there.
        goal: As there.
        sources: The number of each row's source video, int64 (rows), from 0 on.
        most: The most rows of one source video.
    """
    import numpy as np

    order = np.lexsort((rank, groups))
    ends = np.append(np.flatnonzero(np.diff(groups[order])) + 1, order.size).tolist()
    starts = [0, *ends[:-1]]
    # Read one by one, which views of memory do as quickly as lists, in a fifth of the room.
    rows, ranks, amounts, source = (
        column.data for column in (order, rank[order], amount[order], sources[order])
    )
    given = np.zeros(sources.max() + 1, np.int64).data
    waiting = [(0.0, ranks[start], start, end) for start, end in zip(starts, ends, strict=True)]
    heapq.heapify(waiting)
    drawn: list[int] = []
    total, enough = 0.0, goal * (1 - TOLERANCE)
    while waiting and total < enough:
        got, _, place, end = waiting[0]
        if given[source[place]] < most:
            given[source[place]] += 1
            drawn.append(rows[place])
            total += amounts[place]
            got = round(got + amounts[place], 6)
        place += 1
        if place < end:
            heapq.heapreplace(waiting, (got, ranks[place], place, end))
        else:
            heapq.heappop(waiting)
    return np.array(drawn, np.int64)


def _describe(
    groups: np.ndarray, amount: np.ndarray, drawn: np.ndarray, balance: Balance, wanted: float
) -> list[str]:
    """What was drawn, of how many groups, and how even it is."""
    import numpy as np

    spell = balance.goal.spell
    got = np.bincount(groups[drawn], amount[drawn], minlength=groups.max() + 1)
    there = np.bincount(groups, amount)
    total = float(got.sum())
    what = f"{FLAG} {balance!s}: {spell(total)} of {spell(float(amount.sum()))}, of {got.size:,} groups"
    if total < wanted * (1 - TOLERANCE):
        return [f"{what}; there is no more to draw (goal: {spell(wanted)})"]
    whole = got >= there * (1 - TOLERANCE)
    parts = [f"{int(whole.sum()):,} groups give all that they have"] if whole.any() else []
    if not whole.all():
        shares = [spell(float(share)) for share in (got[~whole].min(), got[~whole].max())]
        parts.append(f"each of the others gives {' to '.join(dict.fromkeys(shares))}")
    return [what, "; ".join(parts)]


OPERATIONS = (
    Operation(
        "balance",
        "draw --hours H or --rows N, even over groups",
        _balance,
        Phase.AMOUNT,
        "_balance_{}",
        parse=_parse,
        metavar="COLUMN,...",
        requires=lambda balance: balance.needs,
        check=_check,
        details="rows with the same values are a group; small groups give all they have, the others the "
        "same; at random, or the best by --by; with --per-source K at most K of one source video",
    ),
)
