"""A difference of two tables as text for a terminal, and as a table of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from tools.base.terminal import counted, one_line, shortened
from tools.datasets.diff.compare import ColumnChange, Difference
from tools.report.text_style import Style


def difference_text(
    found: Difference, names: Sequence[str], why: Sequence[str], examples: int, style: Style
) -> str:
    """What differs.

    Args:
        found: Of `tools.datasets.diff.compare.compare`.
        names: What the two tables are called.
        why: Of `tools.datasets.diff.why.reasons`.
        examples: Rows and cells that are shown of each kind.
        style: How wide the terminal is.
    """
    by = f"rows matched by {found.key}" if found.key else "rows matched by their place"
    tables = " → ".join(
        f"{name}, {counted(rows, 'row', ',')}" for name, rows in zip(names, found.rows, strict=True)
    )
    lines = style.wrapped(f"{tables}; {by}", indent="    ", first="")
    if found.is_empty:
        lines.append("no difference")
    for sign, keys, columns in zip("-+", found.only, found.columns_only, strict=True):
        if columns:
            lines += style.wrapped(", ".join(map(one_line, columns)), indent="    ", first=f"columns {sign} ")
        if keys:
            lines.append(f"rows {sign} {len(keys):,}")
            for key in keys[:examples]:
                lines.append(f"    {shortened(one_line(key), style.width - 4, keep_end=True)}")
    if found.moved:
        lines.append("rows of both are in another order")
    for change in found.changes:
        lines += _change_lines(change, examples, style)
    lines += [line for reason in why for line in style.wrapped(reason, indent="    ", first="why ")]
    return style.encodable("\n".join(lines))


def _change_lines(change: ColumnChange, examples: int, style: Style) -> Iterator[str]:
    said = [f"{change.changed:,} cells differ"]
    said += [f"{change.filled:,} were empty"] if change.filled else []
    said += [f"{change.emptied:,} are empty now"] if change.emptied else []
    said += [f"by {change.largest:.4g} at most"] if change.largest is not None else []
    yield f"{one_line(change.name)}: {', '.join(said)}"
    room = max(12, (style.width - 10) // 3)
    for row in change.cells.head(examples).iter_rows(named=True):
        key, a, b = (one_line("(empty)" if row[name] is None else row[name]) for name in ("key", "a", "b"))
        yield f"    {shortened(key, room, keep_end=True)}  {shortened(a, room)} → {shortened(b, room)}"


def as_table(found: Difference) -> pl.DataFrame:
    """Every row and cell that differs.

    Returns:
        Columns ``change`` (``-`` a row of the first table alone, ``+`` of the second, ``~`` a cell), ``key``,
        ``column``, ``a`` and ``b``, all text.
    """
    columns = ["change", "key", "column", "a", "b"]
    empty = pl.DataFrame(schema=[(name, pl.String()) for name in columns])
    rows = [
        pl.DataFrame({"key": keys}, schema={"key": pl.String}).with_columns(pl.lit(sign).alias("change"))
        for sign, keys in zip("-+", found.only, strict=True)
    ]
    cells = [
        change.cells.select("key", pl.lit(change.name).alias("column"), "a", "b", pl.lit("~").alias("change"))
        for change in found.changes
    ]
    return pl.concat([empty, *rows, *cells], how="diagonal").select(columns)
