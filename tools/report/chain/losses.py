"""Why rows were lost: what tables of rejected rows and failures files say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from tools.errors import UserError
from tools.report.chain.matching import Keys, Match, hashed, occurrence, pairs_of
from tools.report.chain.results import Change, FailureKind, Reason
from tools.stage.failures import own_list
from tools.table import failures_path, scan_table
from tools.table.files import column_names, unreadable

REJECTED_COLUMN = "rejected_by"
NO_CLIP = "no clip was cut from them"
NOT_RECORDED = "no reason is recorded"

_EXAMPLES = 3
_COLUMNS = ("path", "kind", "message")


@dataclass(frozen=True)
class Sources:
    """Where reasons are read from.

    Attributes:
        failures: Failures files beside the table.
        rejected: Tables of rejected rows that may be about any table of the chain.
        operation: What made the table, for rows of which neither speaks.
    """

    failures: Sequence[Path]
    rejected: Sequence[Path]
    operation: str


def change_between(before: Keys, after: Keys, found: Match | None, sources: Sources) -> Change:
    """Count the rows that went and came between two tables, by reason.

    Args:
        before: Keys of the earlier table.
        after: Keys of the later one.
        found: What `match` gives for them; None where they have nothing in common.
        sources: Where reasons are read from.
    """
    if found is None and not pairs_of(before, after):
        fewer, more = max(0, before.rows - after.rows), max(0, after.rows - before.rows)
        hours = max(0.0, _hours(before.seconds) - _hours(after.seconds)) if fewer else 0.0
        return Change("", fewer, hours, more, is_counted=True)
    if found is None:
        return Change("", before.rows, _hours(before.seconds), after.rows)
    rows = pl.DataFrame(
        {"key": before.hashes[found.before][found.lost], "seconds": before.seconds[found.lost]},
        schema={"key": pl.UInt64, "seconds": pl.Float64},
    )
    change = Change(found.column, rows.height, _hours(rows["seconds"].to_numpy()), found.new)
    if not rows.height:
        return change
    rows = _explained(rows, found.before, sources)
    last = NO_CLIP if found.column == "source" else sources.operation or NOT_RECORDED
    counted = rows.group_by("reason").agg(
        pl.len().alias("rows"), pl.col("seconds").fill_nan(None).sum() / 3600
    )
    ordered = counted.sort("rows", "reason", descending=[True, False], nulls_last=True)
    reasons = [Reason(text or last, count, hours, text is not None) for text, count, hours in ordered.rows()]
    return replace(change, reasons=tuple(reasons))


def _hours(lengths: np.ndarray) -> float:
    return float(np.nansum(lengths)) / 3600


def _explained(rows: pl.DataFrame, key: str, sources: Sources) -> pl.DataFrame:
    """Lost rows with a column ``reason``; null where nothing speaks of them."""
    rows = _with_places(rows)
    best, covered = rows.with_columns(pl.lit(None, pl.String).alias("reason")), 0
    for path in sources.rejected:
        told = _with_places(_read_reasons(path, key, pl.col(REJECTED_COLUMN).cast(pl.String)))
        joined = rows.join(told, on=["key", "place"], how="left")
        known = joined.height - joined["reason"].null_count()
        if known > covered:  # the other tables of rejected rows are about other steps, or other branches
            best, covered = joined, known
    for path in sources.failures:
        if key != "path" or best["reason"].null_count() == 0:
            break
        kinds = _read_reasons(path, key, "failed: " + pl.col("kind").cast(pl.String))
        joined = best.join(kinds.unique("key", keep="first"), on="key", how="left", suffix=" of failure")
        best = joined.with_columns(pl.coalesce("reason", "reason of failure").alias("reason")).drop(
            "reason of failure"
        )
    return best


def _with_places(rows: pl.DataFrame) -> pl.DataFrame:
    """Of rows with the same key the first is 0, the next 1, and so on: so rejected ones are told apart."""
    return rows.with_columns(pl.Series("place", occurrence(rows["key"].to_numpy())))


def _read_reasons(path: Path, key: str, reason: pl.Expr) -> pl.DataFrame:
    frame = scan_table(path)
    if key not in frame.collect_schema():
        return pl.DataFrame(schema={"key": pl.UInt64, "reason": pl.String})
    try:
        read = frame.select(hashed(key).fill_null(0).alias("key"), reason.alias("reason"))
        return read.collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise unreadable(path, error) from None


def is_rejected_table(columns: Sequence[str]) -> bool:
    """Whether a table with these columns is one of rejected rows."""
    return REJECTED_COLUMN in columns and ("path" in columns or "id" in columns)


def failures_files(table: Path, ranks: Sequence[int | None]) -> list[Path]:
    """The failures files of a table.

    Args:
        table: The table; of one in parts its name without the part.
        ranks: Ranks of the parts; None for a table that is in one file.
    """
    found = []
    for rank in ranks:
        path = failures_path(table, rank)
        known = own_list(path) or path
        if known.is_file() and _is_failures_table(known):
            found.append(known)
    return found


def _is_failures_table(path: Path) -> bool:
    """A file of that name that is the user's own may be anything."""
    try:
        return set(_COLUMNS) <= set(column_names(path))
    except UserError:
        return False


def count_failures(files: Sequence[Path]) -> tuple[FailureKind, ...]:
    """Rows of failures files by kind, the most frequent first, with a few examples of each.

    Raises:
        UserError: One cannot be read.
    """
    if not files:
        return ()
    frame = pl.concat([scan_table(path).select(_COLUMNS) for path in files])
    cells = [pl.col(name).fill_null("").alias(name) for name in _COLUMNS]
    kinds = frame.select(cells).group_by("kind", maintain_order=True)
    try:
        counted = kinds.agg(pl.len().alias("rows"), pl.col("path", "message").head(_EXAMPLES)).collect()
    except pl.exceptions.PolarsError as error:
        raise unreadable(", ".join(map(str, files)), error) from None
    ordered = counted.sort("rows", descending=True, maintain_order=True)
    return tuple(
        FailureKind(row["kind"], row["rows"], tuple(zip(row["path"], row["message"], strict=True)))
        for row in ordered.iter_rows(named=True)
    )
