"""Operations that choose columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tools.datasets.operations.base import Context, Operation, Phase

if TYPE_CHECKING:
    import polars as pl

TRAIN_COLUMNS = (
    "path",
    "text",
    "num_frames",
    "fps",
    "height",
    "width",
    "aspect_ratio",
    "resolution",
    "text_len",
)
"""What Open-Sora's training reads."""


def _stay_train(value: object, present: Sequence[str]) -> list[str]:
    return [name for name in TRAIN_COLUMNS if name in present]


def _stay_select(names: list[str], present: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _stay_drop(names: list[str], present: Sequence[str]) -> list[str]:
    return [name for name in present if name not in names]


def _train(frame: pl.LazyFrame, value: object, context: Context) -> pl.LazyFrame:
    present = frame.collect_schema().names()
    if missing := [name for name in TRAIN_COLUMNS if name not in present]:
        context.notes.append(f"--train-column: the table has no {', '.join(missing)}")
    return frame.select(_stay_train(value, present))


def _select(frame: pl.LazyFrame, names: list[str], context: Context) -> pl.LazyFrame:
    return _of_names(frame, _stay_select(names, ()))


def _drop(frame: pl.LazyFrame, names: list[str], context: Context) -> pl.LazyFrame:
    from tools.errors import UserError

    left = _stay_drop(names, frame.collect_schema().names())
    if not left:
        raise UserError(f"{context.source}: --drop-columns: no column would be left")
    return _of_names(frame, left)


def _of_names(frame: pl.LazyFrame, names: list[str]) -> pl.LazyFrame:
    """These columns, whose names are no patterns."""
    import polars.selectors as cs

    return frame.select(cs.by_name(names))


OPERATIONS = (
    Operation(
        "train_column",
        "keep the columns that Open-Sora's training reads",
        _train,
        Phase.COLUMNS,
        requires=("path", "text"),
        chooses=_stay_train,
        details=", ".join(TRAIN_COLUMNS),
    ),
    Operation(
        "select",
        "keep these columns, in this order",
        _select,
        Phase.COLUMNS,
        parse=str,
        metavar="COLUMN",
        many=True,
        requires=list,
        chooses=_stay_select,
    ),
    Operation(
        "drop_columns",
        "remove these columns",
        _drop,
        Phase.COLUMNS,
        parse=str,
        metavar="COLUMN",
        many=True,
        requires=list,
        chooses=_stay_drop,
    ),
)
