"""What the rows of a sample take, measured while a run processes them."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from tools.errors import MediaError
from tools.stage.estimate.sample import Sample
from tools.stage.outcomes import Outcome
from tools.stage.stage import MADE_FILES, VECTOR


class Meter:
    """Time and bytes of the rows of a sample; other rows are not looked at.

    Args:
        sample: The sample.
        keys: The keys of its rows, and their numbers in it.

    Attributes:
        sample: The sample.
        is_complete: Whether all its rows have finished.
        prepare: Seconds that a worker took for each row, by its number; those of rows without a measure miss.
        prepare_cpu: CPU seconds of these.
        score: Seconds on the device, or in the model.
        score_cpu: CPU seconds of these.
        written: Bytes that each row leaves on disk, apart from what the table has of it already.
    """

    def __init__(self, sample: Sample, keys: Mapping[str, int]) -> None:
        self.sample = sample
        self._numbers = dict(keys)
        self._open = set(keys)
        self.prepare: dict[int, float] = {}
        self.prepare_cpu: dict[int, float] = {}
        self.score: dict[int, float] = {}
        self.score_cpu: dict[int, float] = {}
        self.written: dict[int, float] = {}

    @property
    def is_complete(self) -> bool:
        """Whether all rows of the sample have finished."""
        return not self._open

    def prepared(self, key: str, seconds: float, cpu: float) -> None:
        """A worker has prepared a row."""
        if (number := self._numbers.get(key)) is not None:
            self.prepare[number], self.prepare_cpu[number] = seconds, cpu

    def scored(self, keys: Iterable[str], seconds: float, cpu: float) -> None:
        """A batch was scored; each of its rows took the same part."""
        keys = list(keys)
        for key in self._numbers.keys() & set(keys):
            number = self._numbers[key]
            self.score[number], self.score_cpu[number] = seconds / len(keys), cpu / len(keys)

    def finished(self, results: Iterable[tuple[str, Outcome]]) -> None:
        """Rows have finished."""
        for key, outcome in results if self._open else ():
            if key in self._open:
                self._open.discard(key)
                self.written[self._numbers[key]] = float(bytes_of(outcome))

    def forget(self, numbers: Iterable[int]) -> None:
        """Leave rows out of what was measured: those for which workers had to start."""
        for number in numbers:
            for values in (self.prepare, self.prepare_cpu, self.score, self.score_cpu, self.written):
                values.pop(number, None)

    def total(self, values: Mapping[int, float]) -> float:
        """The estimated sum over all rows; of rows that took part in another measure alone it counts as 0."""
        known = {number: values.get(number, 0.0) for number in self.prepare}
        return self.sample.total(known) if known else 0.0


def bytes_of(outcome: Outcome) -> int:
    """Bytes that a row leaves on disk: its new cells, its vector, and the files that were made of it."""
    if isinstance(outcome, MediaError):
        return len(str(outcome))
    vector = outcome.get(VECTOR)
    made = [size for _, size, *_ in outcome.get(MADE_FILES) or ()]
    rows = outcome.get("rows")
    if not made and isinstance(rows, list):
        made = [_size(row.get("path")) for row in rows if isinstance(row, dict)]
    cells: dict[str, Any] = {n: v for n, v in outcome.items() if n not in (VECTOR, MADE_FILES)}
    return len(json.dumps(cells, default=str)) + sum(made) + (0 if vector is None else vector.nbytes)


def _size(path: object) -> int:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return os.stat(path).st_size  # type: ignore[arg-type]  # noqa: PTH116
    return 0


def uses_gpu() -> bool:
    """Whether this process computes on a GPU."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized()
