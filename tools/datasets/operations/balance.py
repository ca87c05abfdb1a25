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
_INDEX, _GROUP, _SOURCE = "row\0", "group\0", "source\0"


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

    goal = balance.goal
    keys = [_key(name, frame).alias(f"{_GROUP}{i}") for i, name in enumerate(balance.columns)]
    if context.per_source:
        from tools.table.source_videos import source_video

        keys.append(source_video(frame.collect_schema()).alias(_SOURCE))
    table = measured(frame, goal, *keys)
    if table.is_empty():
        context.notes.append(f"{FLAG} {balance!s}: no row is left to choose from")
        return Split(frame, frame.filter(pl.lit(False)))
    details = _choose(table, balance, context)
    row = frame.with_row_index(_INDEX).join(details.lazy(), on=_INDEX, how="left", maintain_order="left")
    removed = row.filter(pl.col(DETAIL_COLUMN).is_not_null())
    return Split(
        row.filter(pl.col(DETAIL_COLUMN).is_null()).drop(_INDEX, DETAIL_COLUMN), removed.drop(_INDEX)
    )


def _key(name: str, frame: pl.LazyFrame) -> pl.Expr:
    """The group that a row belongs to in one column: text, null where the cell is empty or NaN."""
    import polars as pl

    schema = frame.collect_schema()
    from tools.table.source_videos import source_video

    cells = source_video(schema) if name == "source" else pl.col(name)
    if name != "source" and schema[name].is_float():
        cells = cells.fill_nan(None)
    text = cells.cast(pl.String)
    return pl.when(text != "").then(text).cast(pl.Categorical).to_physical()


def _choose(table: pl.DataFrame, balance: Balance, context: Context) -> pl.DataFrame:
    """For each row its number and why it is not drawn, null for one that is."""
    import numpy as np
    import polars as pl

    goal, caller = balance.goal, f"{context.source}: {FLAG}"
    check_measured(table, goal, caller)
    notes = missing_note(table, goal)
    keys = {f"{_GROUP}{i}": name for i, name in enumerate(balance.columns)}
    reason = np.full(table.height, "", object)
    for column, name in [*keys.items(), *zip(goal.columns, goal.columns, strict=True), (SECONDS, "length")]:
        if column not in table.columns:
            continue
        empty = table[column].is_null().to_numpy()
        reason[empty & (reason == "")] = f"no {name}"
        if column in keys and empty.any():
            notes.append(f"{int(empty.sum()):,} rows without {name} belong to no group, and are removed")
    rows = np.flatnonzero(reason == "")
    if not rows.size:
        raise UserError(f"{caller}: no row has all of {', '.join(balance.columns)}")
    groups = _numbered(table, len(balance.columns), rows)
    rank = np.random.RandomState(context.seed).permutation(table.height)[rows]
    if goal.by:
        numbers = [table[name].to_numpy()[rows] for name in goal.columns]
        best = levels_of(scales_of(numbers, goal.by))
        rank = np.lexsort((rank, -best)).argsort()
    amount = table[SECONDS].to_numpy()[rows] if goal.in_hours else np.ones(rows.size)
    wanted = goal.of(table.height)
    if context.per_source:
        sources = table[_SOURCE].rank("dense").fill_null(0).to_numpy()[rows]
        drawn = take_turns_capped(groups, rank, amount, wanted, sources, context.per_source)
    else:
        drawn = take_turns(groups, rank, amount, wanted)
    reason[rows] = "the others of its group or video come first"
    reason[rows[drawn]] = None
    context.notes += [*_describe(groups, amount, drawn, balance, wanted), *notes]
    index = pl.int_range(table.height, eager=True, dtype=pl.get_index_type())
    return pl.DataFrame({_INDEX: index, DETAIL_COLUMN: pl.Series(reason.tolist(), dtype=pl.String)})


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
    rows, ranks, amounts = order.tolist(), rank[order].tolist(), amount[order].tolist()
    source = sources[order].tolist()
    given = [0] * (max(source) + 1)
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
