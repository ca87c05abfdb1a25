"""Operations with a second table: by path, difference, intersection, union, and new captions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from tools.base.terminal import counted
from tools.datasets.operations.base import Context, Operation, Phase, Split, split_rows

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from tools.table.external_join import Joined


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
    import polars as pl

    from tools.table.external_join import rows_in

    found = rows_in(frame, _open(file, "--difference"), "path", context.scratch_folder)
    if not isinstance(found, pl.DataFrame):
        return split_rows(frame, ~found)
    other = found.lazy()
    return Split(
        frame.join(other, on="path", how="anti", maintain_order="left"),
        frame.join(other, on="path", how="semi", maintain_order="left"),
    )


def _intersection(frame: pl.LazyFrame, file: str, context: Context) -> Split:
    import polars as pl

    from tools.table.external_join import FOUND

    other = _open(file, "--intersection")
    mine = frame.collect_schema().names()
    new = [name for name in other.collect_schema() if name not in mine]
    joined = _joined(frame, other.select("path", *new), f"--intersection {file}", context).frame
    return Split(
        joined.filter(pl.col(FOUND)).drop(FOUND), joined.filter(pl.col(FOUND).is_null()).select(mine)
    )


def _union(frame: pl.LazyFrame, file: str, context: Context) -> pl.LazyFrame:
    """Rows of both; where both have a path, filled cells of the first table win."""
    import polars as pl

    from tools.table import concat_tables, with_one_type
    from tools.table.external_join import FOUND

    frame, other = with_one_type([frame, _open(file, "--union")])
    mine, theirs = frame.collect_schema(), other.collect_schema()
    shared = {name: f"{name}\0" for name in theirs if name in mine and name != "path"}
    joined = _joined(frame, other.rename(shared), f"--union {file}", context)
    filled = [pl.coalesce(name, copy).alias(name) for name, copy in shared.items()]
    rest = joined.rest.rename({copy: name for name, copy in shared.items()})
    return concat_tables([joined.frame.with_columns(filled).drop([*shared.values(), FOUND]), rest])


def _update_text(frame: pl.LazyFrame, file: str, context: Context) -> pl.LazyFrame:
    import polars as pl

    from tools.table.external_join import FOUND

    other = _open(file, "--update-text", "text").select(
        "path", pl.col("text").cast(pl.String).alias("text\0")
    )
    names = frame.collect_schema().names()
    old = pl.col("text").cast(pl.String) if "text" in names else pl.lit(None, pl.String)
    joined = _joined(frame, other, f"--update-text {file}", context, keep="last").frame
    text = pl.when(pl.col(FOUND)).then("text\0").otherwise(old)
    return joined.with_columns(text.alias("text")).drop("text\0", FOUND)


def _joined(
    frame: pl.LazyFrame,
    other: pl.LazyFrame,
    label: str,
    context: Context,
    keep: Literal["first", "last"] = "first",
) -> Joined:
    """The table with the columns of another, of which one row counts for each path."""
    from tools.table.external_join import join_rows

    joined = join_rows(frame, other, "path", context.scratch_folder, keep)
    if joined.repeated:
        repeated = f"{counted(joined.repeated, 'row')} with the path of another"
        context.notes.append(f"{label}: {repeated}, the {keep} of each path counts")
    return joined


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
