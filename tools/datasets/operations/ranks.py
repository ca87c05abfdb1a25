"""``--by``: by which scores rows are chosen, and how far each row is from being the next to go."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.columns import COLUMNS
from tools.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


@dataclass(frozen=True)
class Score:
    """One column of ``--by``.

    Attributes:
        column: Its name.
        weight: Above 0; bounds cut shares of the rows in proportion to it.
        low: Small numbers are good.
    """

    column: str
    weight: float = 1.0
    low: bool = False


@dataclass(frozen=True)
class By:
    """The value of ``--by``.

    Attributes:
        typed: As it was typed.
        scores: Its columns, each once.
    """

    typed: str
    scores: tuple[Score, ...]

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return [score.column for score in self.scores]


_ITEM = re.compile(
    r"(?P<low>-?)(?:`(?P<quoted>[^`\n]+)`|(?P<plain>[^\s,`]+?))(?::(?P<weight>[^\s,:`]+))?(?=[\s,]|$)"
)
_GAP = re.compile(r"[\s,]+")


def parse_by(text: str) -> By:
    """Read ``aes:2 motion:1 -ocr_area:1``.

    Args:
        text: Columns with spaces or commas between them, each with a weight (1) after a colon. A minus before
            the name says that small numbers are good. A name with spaces, commas or colons goes in backticks.

    Raises:
        ValueError: It cannot be read so; the message begins with "must be".
    """
    scores: dict[str, Score] = {}
    place, text = 0, text.strip()
    while place < len(text):
        item = _ITEM.match(text, place)
        if item is None:
            raise ValueError(f'must be columns with their weights, such as "aes:2 motion:1", not {text!r}')
        name = item["quoted"] or item["plain"]
        if name in scores:
            raise ValueError(f"must be different columns, and {name} is there twice")
        scores[name] = Score(name, _weight(item["weight"], name), bool(item["low"]))
        gap = _GAP.match(text, item.end())
        place = gap.end() if gap else item.end()
    if not scores:
        raise ValueError('must be columns with their weights, such as "aes:2 motion:1"; none is given')
    return By(text, tuple(scores.values()))


def _weight(text: str | None, name: str) -> float:
    try:
        weight = 1.0 if text is None else float(text)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        hint = f"; where small numbers are good, write -{name}" if weight < 0 else ""
        raise ValueError(f"must be numbers above 0 as weights, not {text} for {name}{hint}")
    return weight


_LARGER_IS_BETTER = ("suitability", "aes", "quality", "match", "emscore", "motion", "flow", "sharpness")
"""Scores for an example of ``--by``: who copies it keeps no clips full of text or black bars."""


def score_examples(schema: Mapping[str, pl.DataType]) -> str:
    """What to give as ``--by`` for a table with these columns, as the end of a message."""
    there = [name for name in schema if name in COLUMNS and COLUMNS[name].score]
    shown = f" (scores of the table: {', '.join(there)})" if there else ""
    best = [name for name in _LARGER_IS_BETTER if name in there]
    example = f"{best[0]}:2 {best[1]}:1" if len(best) > 1 else best[0] if best else "aes:2 motion:1"
    return f'"{example}"{shown}'


def number_of(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column as Float64, read as `--where` reads it in a comparison with a number.

    Raises:
        UserError: It holds texts, truth values, lists or dates.
    """
    from tools.table.where_values import Mismatch, column, number

    try:
        return number(column(name, dtype))
    except Mismatch:
        raise UserError(f"--by: the column '{name}' holds no numbers") from None


@dataclass(frozen=True)
class Scale:
    """The numbers of one column of ``--by``, larger meaning better.

    Attributes:
        values: The distinct numbers, the worst first; negated where small ones are good.
        index: For each row the place of its number in ``values``, int32.
        level: For each of ``values`` the setting at which a bound cuts it, see `scales_of`.
    """

    values: np.ndarray
    index: np.ndarray
    level: np.ndarray


def scales_of(numbers: Sequence[np.ndarray], by: By) -> list[Scale]:
    """The columns of ``--by`` as scales.

    One setting moves the bounds of all columns together. At setting t a column may cut the worst ``t * w`` of
    the rows, where w is its weight divided by the largest weight; rows with the same number are cut together,
    as soon as this share covers all of them. So a number is cut at the share of the rows that have no better
    one, divided by w. The best number of a column is never cut.

    Args:
        numbers: For each column a float64 array (rows), without NaN.
        by: Weights and directions.
    """
    import numpy as np

    heaviest = max(score.weight for score in by.scores)
    scales = []
    for cells, score in zip(numbers, by.scores, strict=True):
        values, index, counts = np.unique(
            -cells if score.low else cells, return_inverse=True, return_counts=True
        )
        level = np.cumsum(counts) / cells.size / (score.weight / heaviest)
        level[-1:] = np.inf
        scales.append(Scale(values, index.reshape(-1).astype(np.int32), level))
    return scales


def levels_of(scales: Sequence[Scale]) -> np.ndarray:
    """For each row the setting at which the first bound cuts it, float64 (rows): the larger, the better."""
    import numpy as np

    return np.minimum.reduce([scale.level[scale.index] for scale in scales])
