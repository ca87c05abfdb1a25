"""The progress bar: rows done from the first on, rows per second, time left, failures; one for all ranks."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tools.errors import MediaError
from tools.stage.estimate.sample import Rates
from tools.stage.outcomes import Outcome, failed_kinds
from tools.stage.progress.status_file import EVERY, Count, StatusFile

_REFRESH = 0.5  # seconds, on a terminal
_FIRST_LINE, _NEXT_LINE = 2.0, 30.0  # seconds, where standard error is a file or a pipe
_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}, {rate_fmt}{postfix}]"


class Progress:
    """A bar on standard error, shown from row 0 on; where that is no terminal, a line every 30 s.

    Of several ranks the first shows one bar for all whose progress it can read; its label says of how many.

    Args:
        total: Rows to do.
        label: What is being done.
        shown: False for no bar at all.
        status: Where the progress of this rank is written down, and that of others is read.
        cost: Sum of the costs of the rows, see `tools.stage.estimate.costs`: long rows come first, so the
            time that is left is not in proportion to their number.
        note: Returns a line that is to be written once, as soon as it is there.

    Attributes:
        rates: What a row takes, and what its cost adds; by default both add up to the same.
    """

    def __init__(
        self,
        total: int,
        label: str,
        *,
        shown: bool = True,
        status: StatusFile | None = None,
        cost: float | None = None,
        note: Callable[[], str | None] | None = None,
    ) -> None:
        self._label = label
        self._total = total
        self._cost = float(total if cost is None else cost)
        self.rates = Rates(1 / max(1, total), 1 / max(1e-300, self._cost))
        self._done = self._failed = 0
        self._cost_done = 0.0
        self._status = status
        self._note = note
        self._shown = shown and os.environ.get("RANK", "0") == "0"
        self._bar: Any = None
        self._written: Count | None = None  # of the last line
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Progress:
        self._start = self._published = time.monotonic()
        if self._status:
            self._status.publish(self._own, phase="rows")
        if self._shown and sys.stderr.isatty():
            from tqdm import tqdm

            total, label = self._sum()
            self._bar = tqdm(total=total.rows, desc=label, unit=" rows", dynamic_ncols=True, bar_format=_BAR)
        if self._shown or self._status:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._status:
            self._status.publish(self._own, phase="table")
        with suppress(OSError, ValueError):  # standard error was closed
            if self._bar is not None:
                self._refresh()
                self._bar.close()
            elif self._written is not None and self._written[:3] != self._sum()[0][:3]:
                self._write_line()

    def count(self, results: list[tuple[str, Outcome]], cost: float | None = None) -> None:
        """Rows have finished.

        Args:
            results: Their keys and outcomes.
            cost: The sum of their costs.
        """
        if self._status and (
            kinds := Counter(kind for _, outcome in results for kind in failed_kinds(outcome))
        ):
            self._status.failed(kinds)
        self.advance(len(results), sum(isinstance(outcome, MediaError) for _, outcome in results), cost)

    def advance(self, rows: int, failed: int = 0, cost: float | None = None) -> None:
        """So many rows have finished, of which some have failed."""
        self._done += rows
        self._failed += failed
        self._cost_done += rows if cost is None else cost

    @property
    def _own(self) -> Count:
        return Count(self._total, self._done, self._failed, self.left())

    def left(self) -> float | None:
        """Seconds until all rows are done, if it goes on as it went."""
        whole = self.rates.row * self._total + self.rates.cost * self._cost
        done = self.rates.row * self._done + self.rates.cost * self._cost_done
        if self._done >= self._total:
            return 0.0
        return (time.monotonic() - self._start) * max(0.0, whole - done) / done if done > 0 else None

    def _watch(self) -> None:
        """In a thread: one row may take minutes, and other ranks continue meanwhile."""
        next_line = self._start + _FIRST_LINE
        while not self._ended.wait(_REFRESH):
            try:
                if self._status and time.monotonic() - self._published >= (
                    _REFRESH if self._status.together else EVERY
                ):
                    self._status.publish(self._own)
                    self._published = time.monotonic()
                if self._note is not None and (line := self._note()):
                    self._note = None
                    self._say(line)
                if self._bar is not None:
                    self._refresh()
                elif self._shown and time.monotonic() >= next_line:
                    self._write_line()
                    next_line = time.monotonic() + _NEXT_LINE
            except (OSError, ValueError):  # standard error was closed
                return

    def _say(self, line: str) -> None:
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        elif self._shown:
            print(line, file=sys.stderr, flush=True)

    def _sum(self) -> tuple[Count, str]:
        """The progress of all known ranks, and the label of the bar."""
        if self._status is None or not self._status.several:
            return self._own, self._label
        others = self._status.others()
        counts = [self._own, *others.values()]
        rows, done, failed = map(sum, zip(*(count[:3] for count in counts), strict=True))
        left = [count.left for count in counts if count.left is not None]
        return Count(
            rows, done, failed, max(left, default=None)
        ), f"{self._label}, {self._status.label(others)}"

    def _refresh(self) -> None:
        count, label = self._sum()
        self._bar.total, self._bar.n = count.rows, count.done
        self._bar.set_description(label, refresh=False)
        said = {"failed": count.failed} if count.failed else {}
        if count.left and count.done < count.rows:
            said = {"left": spell_seconds(count.left), **said}
        self._bar.set_postfix(said, refresh=False)
        self._bar.refresh()

    def _write_line(self) -> None:
        count, label = self._sum()
        rate = count.done / max(time.monotonic() - self._start, 1e-3)
        line = f"{label}: {count.done} of {count.rows} rows"
        if count.done:
            line += f", {spell_rate(rate)}"
        if 0 < count.done < count.rows and count.left is not None:
            line += f", {spell_seconds(count.left)} left"
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
