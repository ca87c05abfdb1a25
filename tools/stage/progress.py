"""The progress bar: rows per second, time left, failures so far; one bar, also under torchrun."""

from __future__ import annotations

import os
import sys
from typing import Any

from tools.errors import MediaError
from tools.stage.ledger import Outcome


class Progress:
    """A bar on standard error. Rank 0 shows its own rows (the label says so), the other ranks show none.

    Nothing appears in the first two seconds; where standard error is no terminal, a line comes every 30 s.

    Args:
        total: Rows to do.
        label: What is being done.
        shown: False for no bar at all.
    """

    def __init__(self, total: int, label: str, *, shown: bool = True) -> None:
        self._total = total
        self._label = label
        self._shown = shown and os.environ.get("RANK", "0") == "0"
        self._failed = 0

    def __enter__(self) -> Progress:
        from tqdm import tqdm

        terminal = sys.stderr.isatty()
        self._bar: Any = tqdm(
            total=self._total,
            desc=self._label,
            unit=" rows",
            disable=not self._shown,
            delay=2,
            mininterval=0.2 if terminal else 30,
            dynamic_ncols=terminal,
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def count(self, results: list[tuple[str, Outcome]]) -> None:
        """Rows have finished."""
        self._failed += sum(isinstance(outcome, MediaError) for _, outcome in results)
        if self._failed:
            self._bar.set_postfix(failed=self._failed, refresh=False)
        self._bar.update(len(results))
