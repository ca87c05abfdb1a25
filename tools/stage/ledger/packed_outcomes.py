"""The outcomes of many rows in little memory."""

from __future__ import annotations

import marshal
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING

from tools.errors import MediaError
from tools.stage.ledger.row_keys import RowKeys, RowValues
from tools.stage.outcomes import Outcome, with_path

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

_FAILURE = -1  # instead of the number of a set of columns


class PackedOutcomes(MutableMapping[str, Outcome]):
    """Outcomes by the keys of their rows, each as a few bytes: a dict of two numbers takes 250, packed 60.

    Values must be plain, as `tools.stage.values.check_values` makes them; they come back to the last bit.

    Args:
        keys: Of all rows, where these are known and others not to be kept.
    """

    def __init__(self, keys: RowKeys | None = None) -> None:
        self._packed: MutableMapping[str, bytes] = {} if keys is None else RowValues(keys)
        self._columns: list[tuple[str, ...]] = []
        self._numbers: dict[tuple[str, ...], int] = {}

    def __setitem__(self, key: str, outcome: Outcome) -> None:
        if isinstance(outcome, MediaError):
            self._packed[key] = marshal.dumps((_FAILURE, outcome.kind, outcome.path, outcome.message))
            return
        columns = tuple(outcome)
        number = self._numbers.setdefault(columns, len(self._columns))
        if number == len(self._columns):
            self._columns.append(columns)
        self._packed[key] = marshal.dumps((number, *outcome.values()))

    def __getitem__(self, key: str) -> Outcome:
        return self._unpacked(self._packed[key])

    def at(self, row: int) -> Outcome:
        """The outcome of a row by its number, where all keys are known; of rows with the same key the first.

        Raises:
            KeyError: It has none.
        """
        assert isinstance(self._packed, RowValues)
        return self._unpacked(self._packed.at(row))

    def _unpacked(self, packed: bytes) -> Outcome:
        number, *values = marshal.loads(packed)
        if number == _FAILURE:
            return MediaError(*values)
        return dict(zip(self._columns[number], values, strict=True))

    def __delitem__(self, key: str) -> None:
        del self._packed[key]

    def __contains__(self, key: object) -> bool:
        return key in self._packed

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


class RowOutcomes:
    """The outcomes of rows, in their order; each is made as it is read, with the name of its file.

    Args:
        outcomes: Outcomes of all rows of a run.
        numbers: For each row the first one with its key, see `RowKeys.firsts`.
        paths: The file of each row.
    """

    def __init__(self, outcomes: PackedOutcomes, numbers: np.ndarray, paths: pl.Series) -> None:
        self._outcomes = outcomes
        self._numbers = numbers.data  # whose elements are `int`
        self._paths = paths

    def __iter__(self) -> Iterator[Outcome]:
        for number, path in zip(self._numbers, self._paths, strict=True):
            yield with_path(self._outcomes.at(number), path)

    def __len__(self) -> int:
        return len(self._numbers)
