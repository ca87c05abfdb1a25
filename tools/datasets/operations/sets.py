"""Operations with a second table: by path, difference, intersection, union, and new captions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from tools.datasets.operations.base import Context, Operation, Phase, Split

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl


def _open(file: str, flag: str, *requires: str) -> pl.LazyFrame:
    """Other tables are opened by the operation that needs them; parts of one run count as one table."""
    from tools.table import expand_inputs, merge_tables, require_columns, require_single_values

    paths = expand_inputs([file])
    other = merge_tables(paths)
    require_columns(other, ("path", *requires), f"{flag} {file}")
    require_single_values(other.collect_schema(), ("path", *requires), f"{flag} {file}")
    return other


def other_tables(values: dict[str, object]) -> list[Path]:
    """Files that these operations read besides the inputs."""
    from tools.table import expand_inputs

    files = [str(values[operation.name]) for operation in OPERATIONS if operation.name in values]
    return expand_inputs(files)


def _columns_of(file: str) -> list[str]:
    return _open(file, "the table").collect_schema().names()


def stem(file: str) -> str:
    """Name of the other table in output names."""
    from tools.table import split_part, table_stem

    part = split_part(file)
    return table_stem(part[0] if part else file).replace("*", "")


class TableName(str):
    """Name of a table; in output names, its stem."""

    def __format__(self, spec: str) -> str:
        return stem(str(self))


def _difference(frame: pl.LazyFrame, file: str, context: Context) -> Split:
    other = _open(file, "--difference").select("path")
    return Split(
        frame.join(other, on="path", how="anti", maintain_order="left"),
        frame.join(other, on="path", how="semi", maintain_order="left"),
    )


def _intersection(frame: pl.LazyFrame, file: str, context: Context) -> Split:
    import polars as pl

    other = _once(_open(file, "--intersection"), f"--intersection {file}", context)
    new = [name for name in other.collect_schema() if name not in frame.collect_schema()]
    return Split(
        frame.join(other.select(pl.col("path"), *new), on="path", how="inner", maintain_order="left"),
        frame.join(other.select("path"), on="path", how="anti", maintain_order="left"),
    )


def _union(frame: pl.LazyFrame, file: str, context: Context) -> pl.LazyFrame:
    """Rows of both; where both have a path, filled cells of the first table win."""
    import polars as pl

    from tools.table import concat_tables, with_one_type

    other = _once(_open(file, "--union"), f"--union {file}", context)
    mine, theirs = frame.collect_schema(), other.collect_schema()
    shared = [name for name in theirs if name in mine and name != "path"]
    frame, other = with_one_type([frame, other])
    joined = frame.join(other, on="path", how="left", maintain_order="left", suffix="\0")
    filled = [pl.coalesce(name, f"{name}\0").alias(name) for name in shared]
    joined = joined.with_columns(filled).drop([f"{name}\0" for name in shared])
    return concat_tables(
        [joined, other.join(frame.select("path"), on="path", how="anti", maintain_order="left")]
    )


def _update_text(frame: pl.LazyFrame, file: str, context: Context) -> pl.LazyFrame:
    import polars as pl

    other = _open(file, "--update-text", "text").select(
        "path", pl.col("text").cast(pl.String).alias("text\0")
    )
    other = _once(other, f"--update-text {file}", context, keep="last")
    other = other.with_columns(pl.lit(True).alias("found\0"))
    names = frame.collect_schema().names()
    old = pl.col("text").cast(pl.String) if "text" in names else pl.lit(None, pl.String)
    joined = frame.join(other, on="path", how="left", maintain_order="left")
    text = pl.when(pl.col("found\0")).then("text\0").otherwise(old)
    return joined.with_columns(text.alias("text")).drop("text\0", "found\0")


def _once(
    other: pl.LazyFrame, label: str, context: Context, keep: Literal["first", "last"] = "first"
) -> pl.LazyFrame:
    """The table with one row for each path: a second one would make two rows out of one."""
    import polars as pl

    rows, paths = other.select(pl.len(), pl.col("path").n_unique().alias("paths")).collect().row(0)
    if rows == paths:
        return other
    context.notes.append(f"{label}: {rows - paths} rows repeat a path, the {keep} of each path counts")
    return other.unique("path", keep=keep, maintain_order=True)


def _operation(
    name: str,
    help: str,
    apply: Callable[[pl.LazyFrame, str, Context], pl.LazyFrame | Split],
    phase: Phase,
    suffix: str = "",
    **more: Any,
) -> Operation:
    """An operation whose value is another table."""
    return Operation(
        name, help, apply, phase, suffix, parse=TableName, metavar="TABLE", requires=("path",), **more
    )


OPERATIONS = (
    _operation(
        "difference",
        "keep rows whose path is not in TABLE",
        _difference,
        Phase.TABLES,
        "-{}",
        aliases=("path_subtract",),
    ),
    _operation(
        "intersection",
        "keep rows with a path of TABLE, add its columns",
        _intersection,
        Phase.TABLES,
        adds=_columns_of,
        aliases=("path_intersect",),
        details="those that the input does not have",
    ),
    _operation(
        "union",
        "add the rows of TABLE with new paths",
        _union,
        Phase.TABLES,
        "+{}",
        adds=_columns_of,
        details="for known paths fill empty cells and add columns",
    ),
    _operation(
        "update_text",
        "take text from TABLE where it has the path",
        _update_text,
        Phase.CAPTIONS,
        "_update",
        adds=("text",),
        everyday=False,
    ),
)
