"""The progress bar: rows done from the first on, rows per second, time left, failures; one for all ranks."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from tools.errors import MediaError
from tools.stage.outcomes import Outcome
from tools.stage.rank_progress import Count, RankProgress

_REFRESH = 0.5  # seconds, on a terminal
_FIRST_LINE, _NEXT_LINE = 2.0, 30.0  # seconds, where standard error is a file or a pipe


class Progress:
    """A bar on standard error, shown from row 0 on; where that is no terminal, a line every 30 s.

    Of several ranks the first shows one bar for all whose counts it can read; its label says of how many.

    Args:
        total: Rows to do.
        label: What is being done.
        shown: False for no bar at all.
        ranks: The counts of the other ranks; None for a run of one.
    """

    def __init__(
        self, total: int, label: str, *, shown: bool = True, ranks: RankProgress | None = None
    ) -> None:
        self._label = label
        self._own = Count(total)
        self._ranks = ranks
        self._shown = shown and os.environ.get("RANK", "0") == "0"
        self._bar: Any = None
        self._written: Count | None = None  # of the last line
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Progress:
        self._start = time.monotonic()
        if self._ranks:
            self._ranks.publish(self._own)
        if self._shown and sys.stderr.isatty():
            from tqdm import tqdm

            total, label = self._sum()
            self._bar = tqdm(total=total.rows, desc=label, unit=" rows", dynamic_ncols=True)
        if self._shown or self._ranks:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._ranks:
            self._ranks.publish(self._own)
        with suppress(OSError, ValueError):  # standard error was closed
            if self._bar is not None:
                self._refresh()
                self._bar.close()
            elif self._written not in (None, self._sum()[0]):
                self._write_line()
        if self._ranks:
            self._ranks.remove_files()

    def count(self, results: list[tuple[str, Outcome]]) -> None:
        """Rows have finished."""
        failed = sum(isinstance(outcome, MediaError) for _, outcome in results)
        self.advance(len(results), failed)

    def advance(self, rows: int, failed: int = 0) -> None:
        """So many rows have finished, of which some have failed."""
        self._own = Count(self._own.rows, self._own.done + rows, self._own.failed + failed)

    def _watch(self) -> None:
        """In a thread: one row may take minutes, and other ranks continue meanwhile."""
        next_line = self._start + _FIRST_LINE
        while not self._ended.wait(_REFRESH):
            try:
                if self._ranks:
                    self._ranks.publish(self._own)
                if self._bar is not None:
                    self._refresh()
                elif self._shown and time.monotonic() >= next_line:
                    self._write_line()
                    next_line = time.monotonic() + _NEXT_LINE
            except (OSError, ValueError):  # standard error was closed
                return

    def _sum(self) -> tuple[Count, str]:
        """The counts of all known ranks, and the label of the bar."""
        if self._ranks is None:
            return self._own, self._label
        others = self._ranks.others()
        rows, done, failed = (sum(numbers) for numbers in zip(self._own, *others.values(), strict=True))
        return Count(rows, done, failed), f"{self._label}, {self._ranks.label(others)}"

    def _refresh(self) -> None:
        count, label = self._sum()
        self._bar.total, self._bar.n = count.rows, count.done
        self._bar.set_description(label, refresh=False)
        if count.failed:
            self._bar.set_postfix(failed=count.failed, refresh=False)
        self._bar.refresh()

    def _write_line(self) -> None:
        count, label = self._sum()
        rate = count.done / max(time.monotonic() - self._start, 1e-3)
        line = f"{label}: {count.done} of {count.rows} rows"
        if count.done:
            line += f", {spell_rate(rate)}"
        if 0 < count.done < count.rows:
            line += f", {spell_seconds((count.rows - count.done) / rate)} left"
        if count.failed:
            line += f", {count.failed} failed"
        print(line, file=sys.stderr, flush=True)
        self._written = count


def spell_rate(rate: float) -> str:
    """A speed in words: 0.0125 rows/s, 3.5 rows/s, 1200 rows/s."""
    return f"{rate:.0f} rows/s" if rate >= 100 else f"{rate:.3g} rows/s"


def spell_seconds(seconds: float) -> str:
    """A time in words: 0.4 s, 12 s, 7 min, 3.5 h, 2.1 days."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.{1 if seconds < 10 * size and unit != 'min' else 0}f} {unit}"
    return f"{seconds:.{1 if seconds < 10 else 0}f} s"
