"""Failures by kind, and within a kind by what those files have in common."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

import polars as pl

from tools.base.addresses import without_query
from tools.failures.reading import Failed


@dataclass(frozen=True)
class Share:
    """Failures that have something in common.

    Attributes:
        name: What: a folder, a codec, an extension, a message.
        failed: How many failed so.
        rows: How many rows of the table have it; None where that is not known.
    """

    name: str
    failed: int
    rows: int | None = None


@dataclass(frozen=True)
class Group:
    """The failures of one kind.

    Attributes:
        kind: See `tools.errors.FAILURE_KINDS`.
        count: How many.
        codecs: By codec where the table has it (``datautil --info``), else by extension, most first.
        folders: By the folder of the file, likewise.
        messages: By message; numbers and quoted names in it are shown as ``…`` where they differ.
        examples: Paths, each once, in the order of the failures file.
    """

    kind: str
    count: int
    codecs: tuple[Share, ...]
    folders: tuple[Share, ...]
    messages: tuple[Share, ...]
    examples: tuple[str, ...]


_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|0x[0-9a-fA-F]+|\d+(?:[.,]\d+)*")


def group_failures(failed: Failed, *, examples: int = 3) -> list[Group]:
    """Group the failures of a table, the most frequent kind first.

    Args:
        failed: Of `tools.failures.reading.read_failed`.
        examples: Paths of each kind.
    """
    rows = _rows(failed)
    codec_of = dict(zip(rows["path"], rows["codec"], strict=True))
    totals = Counter(codec_of.get(path) or extension(path) for path in rows["path"])
    folders = Counter(map(folder_of, rows["path"]))
    known = failed.table is not None
    found = []
    for (kind,), group in failed.failures.group_by("kind", maintain_order=True):
        paths = list(dict.fromkeys(group["path"]))
        codecs = (codec_of.get(path) or extension(path) for path in paths)
        found.append(
            Group(
                str(kind),
                group.height,
                _shares(codecs, totals if known else None),
                _shares(map(folder_of, paths), folders if known else None),
                _messages(group["message"]),
                tuple(paths[:examples]),
            )
        )
    return sorted(found, key=lambda group: -group.count)


def extension(path: str) -> str:
    """``.mp4``, in lower case; ``(none)`` where a name has none."""
    return PurePosixPath(without_query(path)).suffix.lower() or "(none)"


def folder_of(path: str) -> str:
    """The folder of a file, ``.`` for the current one; of an address all but the last part."""
    return without_query(path).rpartition("/")[0] or "."


def _rows(failed: Failed) -> pl.DataFrame:
    """Path and codec of each row of the table; without rows where there is no table."""
    empty = pl.DataFrame(schema={"path": pl.String, "codec": pl.String})
    if failed.table is None or "path" not in failed.table.columns:
        return empty
    codec = pl.col("codec").cast(pl.String) if "codec" in failed.table.columns else pl.lit(None, pl.String)
    frame = failed.table.frame().select(pl.col("path").cast(pl.String).fill_null(""), codec.alias("codec"))
    return frame.collect()


def _shares(names: Iterable[str], totals: Counter[str] | None) -> tuple[Share, ...]:
    """Each name with how many failed; with how many rows have it, unless fewer do than failed.

    Of a table whose rows are others than those that failed (clips of videos) the totals say nothing.
    """
    counted = Counter(names).most_common()
    sound = totals is not None and all(totals[name] >= count for name, count in counted)
    return tuple(Share(name, count, totals[name] if sound and totals else None) for name, count in counted)


def _messages(messages: Iterable[str]) -> tuple[Share, ...]:
    """Messages that differ in numbers and names alone are one."""
    found: dict[str, Counter[str]] = {}
    for message in messages:
        found.setdefault(_VARYING.sub("…", message), Counter())[message] += 1
    shares = [
        Share(next(iter(same)) if len(same) == 1 else pattern, sum(same.values()))
        for pattern, same in found.items()
    ]
    return tuple(sorted(shares, key=lambda share: -share.failed))
