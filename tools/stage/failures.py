"""The failures file: which rows have no value, of what kind the trouble is, and what was said."""

from __future__ import annotations

import glob
import hashlib
import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tools.base.disk import writing
from tools.errors import MediaError
from tools.stage.shards import STATE_FOLDER


def write_failures(failures: Iterable[MediaError], path: Path) -> Path | None:
    """Write a failures file with the columns path, kind and message.

    A list of an earlier run is replaced, or removed when there are no failures, so that an old list never
    stands beside a new table. A file of this name that no run has written stays; the list then has a number
    in its name (``<stem>.failures-2.csv``).

    Args:
        failures: What went wrong, in the order of the rows.
        path: Where; see `tools.table.failures_path`.

    Returns:
        The path, or None when there was nothing to write.

    Raises:
        UserError: It cannot be written.
    """
    import polars as pl

    from tools.table import write_table

    failures = list(failures)
    there = own_list(path)
    if not failures:
        if there is not None:
            with writing(there, "the failures"):
                there.unlink(missing_ok=True)
        return None
    place = there or next(name for name in _names(path) if not os.path.lexists(name))
    # A zero byte, which no CSV holds, stands as \x00.
    rows = [(f.path.replace("\0", "\\x00"), f.kind, f.message.replace("\0", "\\x00")) for f in failures]
    table = pl.DataFrame(rows, schema=["path", "kind", "message"], orient="row")
    # Noted before it is written: a run that is killed in between leaves the old list, which is known, too.
    known = [hashlib.sha256(table.write_csv().encode()).hexdigest()]
    with writing(place, "the failures"):
        _note(place).parent.mkdir(parents=True, exist_ok=True)
        _note(place).write_text(json.dumps([*known, *([_digest(place)] if there else [])]))
    return write_table(table, place)


def own_list(path: Path) -> Path | None:
    """The failures file that an earlier run has written, as it wrote it; None when there is none."""
    for place in _names(path):
        if not os.path.lexists(place):
            return None
        try:
            if _digest(place) in json.loads(_note(place).read_text()):
                return place
        except (OSError, ValueError, TypeError):  # a file of the user's, which no run has noted
            continue
    return None  # never reached: names do not end


def _names(path: Path) -> Iterator[Path]:
    """The names that a failures file may have, the first one that is free in the first place."""
    yield path
    for number in itertools.count(2):
        yield path.with_name(f"{path.name.removesuffix('.csv')}-{number}.csv")


def _note(place: Path) -> Path:
    """What tells a failures file that a run has written from one of the user's."""
    return place.parent / STATE_FOLDER / f"{place.name}.json"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def remove_strays(path: Path, *, older_than: float = 0.0) -> None:
    """Remove what a run that was killed while it wrote a failures file has left beside it.

    Args:
        path: The failures file.
        older_than: Seconds; 0 where nobody else can be writing it now.
    """
    # Named as `tools.table.write_table` names what it has not finished.
    for stray in path.parent.glob(f".{glob.escape(path.name[:100])}.*.tmp*"):
        with suppress(OSError):
            if time.time() - stray.stat().st_mtime >= older_than:
                stray.unlink()


def count_kinds(failures: Iterable[MediaError]) -> str:
    """``timeout 1, unreadable 2``: how often each kind occurs, the most frequent first."""
    return ", ".join(f"{kind} {count}" for kind, count in Counter(f.kind for f in failures).most_common())
