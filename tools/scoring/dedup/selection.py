"""Which of several duplicates is kept: the criteria, the order of rows by them, and the greedy selection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tools.errors import UserError

if TYPE_CHECKING:
    import polars as pl

    from tools.scoring.dedup.candidates import Candidates
    from tools.scoring.dedup.fingerprint import FileInfo

FILE_CRITERIA = ("resolution", "frames", "filesize", "first")
"""Criteria that need no column: they follow from the fingerprint, or from the order of the table."""
KEEP = ("resolution", "frames", "sharpness", "filesize")
"""The default criteria for the better of two duplicates, in this order.

docs/dedup.md has the measurements behind them."""
LESS_IS_BETTER = frozenset(
    {"niqe", "blockiness", "upscaled", "black_bars", "static_ratio", "interlaced", "logo"}
)
"""Columns in which the smaller number is the better one."""
SURE = 0.97
"""Similarity that ends the search for a better match."""

_AREA_STEPS = 16  # the area inside the bars is known to about this many parts
_FRAMES_STEP = 1.08  # longer by less is not longer; a tenth of a copy may lie outside of what is kept
_STEPS_FROM = 60  # frames; a copy of less than 2 s has to lie in what is kept as a whole
_MAX_COMPARED = 8  # rows that one row is compared with; many may be copies of one


class Match(NamedTuple):
    """The kept row that another duplicates.

    Attributes:
        kept: Number of the row.
        similarity: 0 to 1.
    """

    kept: int
    similarity: float


def check_keep(keep: Sequence[str], columns: Sequence[str]) -> None:
    """Check criteria before any file is read.

    Args:
        keep: The criteria.
        columns: Columns of the table.

    Raises:
        UserError: There is no such criterion.
    """
    if tuple(keep) != KEEP:  # default criteria without a column are skipped
        for name in keep:
            if name not in (*FILE_CRITERIA, *columns):
                there = ", ".join(dict.fromkeys([*FILE_CRITERIA, *columns]))
                raise UserError(f"--keep {name}: no such column (there are: {there})")


def check_numbers(table: pl.DataFrame | pl.LazyFrame, keep: Sequence[str]) -> None:
    """Check that columns named as criteria can tell rows apart; cells are read, so after `check_keep`.

    Args:
        table: The table.
        keep: The criteria. A column of the default ones may be without numbers.

    Raises:
        UserError: A column has filled cells, and none of them is a number.
    """
    import polars as pl

    if tuple(keep) == KEEP:
        return
    columns = table.lazy().collect_schema()
    for name in keep:
        dtype = columns.get(name)
        if name in FILE_CRITERIA or dtype is None:
            continue
        if dtype.is_nested():
            raise UserError(f"--keep {name}: its cells are lists or objects, not numbers")
        if dtype == pl.String:
            cells = pl.col(name).filter(pl.col(name).str.strip_chars() != "")
            numbers = cells.cast(pl.Float64, strict=False)
            counts = table.lazy().select(cells.count().alias("cells"), numbers.count().alias("numbers"))
            filled, read = counts.collect().row(0)
            if filled and not read:
                raise UserError(f"--keep {name}: no cell of this column is a number")


def rank(table: pl.DataFrame, infos: Sequence[FileInfo | None], keep: Sequence[str] = KEEP) -> list[int]:
    """Order the rows from the best to the worst.

    Args:
        table: The table.
        infos: For each row its file info; None without a fingerprint.
        keep: Criteria; of two rows the first criterion in which they differ decides:

            - ``resolution``: pixels inside the bars.
            - ``frames``: number of frames; from 60 frames on, about 8 % more do not count as more, so that
              the next criterion decides between copies that were cut a frame apart.
            - ``filesize``: bytes of the file.
            - ``first``: place in the table.
            - A column of numbers, in which the larger is better, except for `LESS_IS_BETTER`. A row without a
              number is the worst. Columns that are not in the table are skipped.

    Returns:
        Numbers of the rows; equally good ones in the order of the table.
    """
    from tools.table import numeric

    keys = []
    for name in keep:
        if name == "first":
            break
        if name in FILE_CRITERIA:
            keys.append(np.array([_measure(info, name) for info in infos]))
        elif name in table.columns:
            sign = -1.0 if name in LESS_IS_BETTER else 1.0
            keys.append(table.select((numeric(name) * sign).fill_null(-np.inf))[name].to_numpy())
    if not keys:
        return list(range(len(infos)))
    return np.lexsort([-key for key in reversed(keys)]).tolist()


def _measure(info: FileInfo | None, name: str) -> float:
    if info is None:
        return 0.0
    if name == "filesize":
        return info.num_bytes
    if name == "frames":
        if info.num_frames < _STEPS_FROM:
            return np.log(max(info.num_frames, 1)) / np.log(_FRAMES_STEP)
        return np.floor(np.log(info.num_frames) / np.log(_FRAMES_STEP))
    left, right, top, bottom = info.box
    fraction = round((right - left) * (bottom - top) * _AREA_STEPS) / _AREA_STEPS
    return info.height * info.width * fraction


def select_duplicates(
    candidates: Candidates, similarity: Callable[[int, int, list[int]], float], threshold: float
) -> dict[int, Match]:
    """Go through the rows from the best to the worst, and keep each that duplicates no kept one.

    Args:
        candidates: Pairs of rows to compare. Where the better row is a duplicate itself, the kept row that it
            duplicates is compared instead.
        similarity: Compares the worse row of a pair with the better one, in the views that are given (see
            `tools.scoring.dedup.candidates.decode_views`; none if the pair is no candidate itself): 0 to 1.
        threshold: Minimum similarity of a duplicate.

    Returns:
        The duplicates.
    """
    found: dict[int, Match] = {}
    starts = np.flatnonzero(np.diff(candidates.later, prepend=-1))
    for start, end in pairwise([*starts, len(candidates.later)]):
        later = int(candidates.later[start])
        partners: dict[int, list[int]] = {}
        for earlier, views in zip(candidates.earlier[start:end], candidates.views[start:end], strict=True):
            if match := found.get(int(earlier)):
                partners.setdefault(match.kept, [])
            else:
                partners.setdefault(int(earlier), []).append(int(views))
        best = Match(-1, 0.0)
        for earlier, views in islice(partners.items(), _MAX_COMPARED):
            score = similarity(later, earlier, views)
            if score > best.similarity:
                best = Match(earlier, score)
            if score >= max(SURE, threshold):
                break
        if best.similarity >= threshold:
            found[later] = best
    return found
