"""The last lines of a run: what was done, how fast, what failed, and what is in the new columns."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import polars as pl

from tools.base.terminal import counted
from tools.columns import COLUMNS
from tools.stage.progress import spell_rate, spell_seconds
from tools.stage.shards import Shard, current_shard

if TYPE_CHECKING:
    from tools.stage.runner import RunResult

_NO_LABELS = frozenset(
    ("path", "id", "relpath", "source", "original_path", "first_frame_path", "stats", "dup_of")
) | frozenset(
    ("text", "ocr_text", "timestamp", "boundary", "frame_details", "crop", "fingerprint", "clip_feature")
)
"""Columns of text of which a count of each value says nothing."""

_POSITIONS = frozenset(("scene", "start", "end", "start_frame", "end_frame", "frame", "time", "point"))
"""Columns of numbers that are positions in the source; their median says nothing."""

_JOINED = frozenset(("cmotion", "caption_flags"))
"""Columns whose cells hold labels joined by +."""

_MOST_LABELS = 20  # different ones; a column with more is no column of labels
_SHOWN_LABELS = 6


def summary(result: RunResult) -> str:
    """The last lines of a run.

    Rows and failures, remarks and how many rows each applies to, the file of vectors, each new column
    (minimum, median and maximum of numbers, how often each label occurs), and the time.
    """
    from tools.stage.failures import count_kinds

    if result.already_complete:
        done = f"{counted(result.rows, 'row')}: complete already, nothing to do"
    else:
        done = f"{counted(result.rows, 'row')}: {result.rows - result.failed} done"
        if result.reused:
            done += f" ({result.reused} by an earlier run)"
    if result.failures:
        what = f"{result.failed} failed" if result.failed else counted(len(result.failures), "failure")
        done += f", {what}: {count_kinds(result.failures)}; see {result.failures_file}"
    shard = current_shard()
    lines = [done if shard.alone else f"rank {shard.rank} of {shard.world}: {done}"]
    if result.left:
        lines.append(
            f"{counted(result.left, 'row')} left by --limit: the same command without it does the rest"
        )
    lines += [f"{counted(count, 'row')}: {remark}" for remark, count in result.remarks.items()]
    if result.vectors:
        lines.append(f"vectors: {result.vectors}")
    if result.added is not None:
        lines += describe(result.added if shard.alone else _added_by_all(result, shard))
    if result.fresh:
        rate = spell_rate(result.fresh / max(result.seconds, 1e-3))
        lines.append(f"{spell_seconds(result.seconds)}, {rate}")
    return "\n".join(lines)


def _added_by_all(result: RunResult, shard: Shard) -> pl.DataFrame:
    """The new columns of all ranks, for the one that finishes last; of no column for the others."""
    from tools.table import part_path, scan_table, split_part

    split = split_part(result.output)
    if result.totals is None or result.added is None or split is None:
        return pl.DataFrame()
    filled = result.added.schema.items()
    types = pl.Schema({name: dtype for name, dtype in filled if dtype != pl.Boolean})
    parts = [
        scan_table(part_path(split[0], rank)).select(result.added.columns) for rank in range(shard.world)
    ]
    return pl.concat(parts).cast(types, strict=False).collect()


def describe(table: pl.DataFrame) -> list[str]:
    """A line for each column of numbers or labels of a table."""
    lines = []
    for name in table.columns:
        cells = table[name]
        if cells.dtype.is_numeric():
            text = None if name in _POSITIONS else _numbers(cells)
        elif cells.dtype in (pl.String, pl.Boolean):
            text = None if name in _NO_LABELS else _labels(name, cells)
        else:
            text = None
        if text is not None:
            empty = cells.null_count()
            lines.append(f"{name}: {text}" + (f"; {empty} empty" if empty else ""))
    return lines


def _numbers(cells: pl.Series) -> str | None:
    known = cells.drop_nulls()
    if known.dtype.is_float():
        known = known.drop_nans()
    if not len(known):
        return None
    return f"min {_number(known.min())}, median {_number(known.median())}, max {_number(known.max())}"


def _number(value: Any) -> str:
    """Four digits of a fraction, all of a whole number."""
    return f"{value:.4g}" if abs(value) < 1000 and not isinstance(value, int) else f"{value:.0f}"


def _labels(name: str, cells: pl.Series) -> str | None:
    known = cells.drop_nulls().to_list()
    if isinstance(next(iter(known), None), bool):
        known = [str(cell).lower() for cell in known]
    counts = Counter(
        label for cell in known for label in (cell.split("+") if name in _JOINED else [cell]) if label
    )
    if not 0 < len(counts) <= _MOST_LABELS:
        return None
    if name not in COLUMNS and len(counts) == len(known) > 1:  # each row its own: perhaps no labels
        return None
    shown = [f"{label} {count}" for label, count in counts.most_common(_SHOWN_LABELS)]
    others = len(counts) - len(shown)
    return ", ".join(shown) + (f", {others} others" if others else "")
