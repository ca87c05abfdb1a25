"""The failures file: which rows have no value, of what kind the trouble is, and what was said."""

from __future__ import annotations

import glob
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tools.errors import MediaError


def write_failures(failures: Iterable[MediaError], path: Path) -> Path | None:
    """Write a failures file with the columns path, kind and message.

    Args:
        failures: What went wrong, in the order of the rows.
        path: Where; see `tools.table.failures_path`. Removed when there are no failures, so that an old list
            never stands beside a new table.

    Returns:
        The path, or None when there was nothing to write.
    """
    import polars as pl

    from tools.table import write_table

    failures = list(failures)
    if not failures:
        path.unlink(missing_ok=True)
        return None
    rows = [(f.path, f.kind, f.message) for f in failures]
    return write_table(pl.DataFrame(rows, schema=["path", "kind", "message"], orient="row"), path)


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
