"""Operations that remove rows by a number in a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.datasets.operations.base import Context, Number, Operation

if TYPE_CHECKING:
    import polars as pl


def _at_least(name: str, column: str, meaning: str) -> Operation:
    def apply(frame: pl.LazyFrame, value: float, context: Context) -> pl.LazyFrame:
        from tools.table import numeric

        return frame.filter(numeric(column) >= value)

    return _threshold(name, f"keep rows with {meaning} >= X (empty cells go)", apply, (column,))


def _at_most(name: str, column: str, meaning: str) -> Operation:
    def apply(frame: pl.LazyFrame, value: float, context: Context) -> pl.LazyFrame:
        from tools.table import numeric

        return frame.filter(numeric(column) <= value)

    return _threshold(name, f"keep rows with {meaning} <= X (empty cells go)", apply, (column,))


def _threshold(name: str, help: str, apply: object, needs: tuple[str, ...]) -> Operation:
    return Operation(name, help, apply, suffix=f"_{name}{{}}", parse=Number, metavar="X", needs=needs)


def _fpsmax(frame: pl.LazyFrame, value: float, context: Context) -> pl.LazyFrame:
    from tools.table import numeric

    return frame.filter((numeric("fps") <= value) | numeric("fps").is_null())


def _hwmax(frame: pl.LazyFrame, value: float, context: Context) -> pl.LazyFrame:
    from tools.table import numeric, require_columns

    if "resolution" in frame.collect_schema():
        return frame.filter(numeric("resolution") <= value)
    require_columns(frame, ("height", "width"), f"{context.source}: --hwmax")
    return frame.filter(numeric("height") * numeric("width") <= value)


def _fsmax(frame: pl.LazyFrame, value: float, context: Context) -> pl.LazyFrame:
    from tools.datasets.operations.probing import filesize
    from tools.table import numeric

    if "filesize" in frame.collect_schema():
        return frame.filter(numeric("filesize") <= value)
    return frame.filter(filesize() <= value)


OPERATIONS = (
    _threshold("fsmax", "keep files of at most X MiB (missing files go)", _fsmax, ("path",)),
    _at_least("fmin", "num_frames", "num_frames"),
    _at_most("fmax", "num_frames", "num_frames"),
    _threshold("fpsmax", "keep rows with fps <= X, and those without fps (images)", _fpsmax, ("fps",)),
    _threshold("hwmax", "keep rows with height x width <= X pixels (empty cells go)", _hwmax, ()),
    _at_least("aesmin", "aes", "the aesthetic score aes"),
    _at_least("matchmin", "match", "the text match score match"),
    _at_least("flowmin", "flow", "the optical flow score flow"),
)
