"""The failures file: the rows that failed, with kind and message."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tools.base.disk import writing
from tools.base.temporary_files import write_whole
from tools.errors import MediaError
from tools.stage.shards import STATE_FOLDER


def write_failures(failures: Iterable[MediaError], path: Path) -> Path | None:
    """Write a failures file with the columns path, kind and message.

    The file of an earlier run is replaced, or removed when there are no failures, so that an old one is never
    beside a new table. A file of this name that no run has written stays; the new one then has a number in
    its name (``<stem>.failures-2.csv``).

    Args:
        failures: What went wrong, in the order of the rows.
        path: Where; see `tools.table.failures_path`.

    Returns:
        The path, or None when there are no failures.

    Raises:
        UserError: It cannot be written.
    """
    import polars as pl

    from tools.table import write_table

    failures = list(failures)
    earlier = own_list(path)
    if not failures:
        if earlier is not None:
            with writing(earlier, "the failures"):
                earlier.unlink(missing_ok=True)
        return None
    path = earlier or next(name for name in _names(path) if not os.path.lexists(name))
    # A zero byte, which a CSV file cannot have, is written as \x00.
    rows = [(f.path.replace("\0", "\\x00"), f.kind, f.message.replace("\0", "\\x00")) for f in failures]
    table = pl.DataFrame(rows, schema=["path", "kind", "message"], orient="row")
    # The digests are written first: a run that is killed in between leaves the old file, which is known, too.
    known = [hashlib.sha256(table.write_csv().encode()).hexdigest()]
    with writing(path, "the failures"):
        _digests(path).parent.mkdir(parents=True, exist_ok=True)
        known += [_digest(path)] if earlier else []
    write_whole(_digests(path), json.dumps(known).encode(), "the failures")
    return write_table(table, path)


def own_list(path: Path) -> Path | None:
    """The failures file that an earlier run has written, unchanged since; None when there is none."""
    for name in _names(path):
        if not os.path.lexists(name):
            return None
        try:
            if _digest(name) in json.loads(_digests(name).read_text()):
                return name
        except (OSError, ValueError, TypeError):  # a file of the user's, which no run has written
            continue
    return None  # never reached: names do not end


def _names(path: Path) -> Iterator[Path]:
    """The names that a failures file may have, in the order in which they are tried."""
    yield path
    for number in itertools.count(2):
        yield path.with_name(f"{path.name.removesuffix('.csv')}-{number}.csv")


def _digests(path: Path) -> Path:
    """The file with the digests by which a failures file of a run is known from one of the user's."""
    return path.parent / STATE_FOLDER / f"{path.name}.json"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def count_kinds(failures: Iterable[MediaError]) -> str:
    """``timeout 1, unreadable 2``: how often each kind occurs, the most frequent first."""
    return ", ".join(f"{kind} {count}" for kind, count in Counter(f.kind for f in failures).most_common())
