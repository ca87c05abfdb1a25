"""Known rows among those of a batch: proof that results are those of the rows at whose places they are.

A model, or the code around it, that gives results in another order, or those of an earlier batch, makes no
error: its numbers look right, and are those of other files. So a row whose values are known is scored again
and again, at a random place of a batch of other rows, and its values are compared with the known ones.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np

from tools.base.log import LOG
from tools.errors import MediaError, OrderError
from tools.stage.outcomes import Outcome
from tools.stage.stage import FAILURES, MADE_FILES, REMARKS, Stage

ROWS_PER_CHECK = 500
"""Rows from one known row to the next: 0.2 % of the work."""

_RELATIVE, _ABSOLUTE = 5e-3, 1e-4  # far above what other kernels or precisions change in a row's values
_VECTOR = 0.02  # of the length of a vector
_WORDS = 0.5  # of the words of two texts: what a model writes may differ in a word
_LARGEST = 32 << 20  # bytes of a known row, which is kept
_IGNORED = (FAILURES, REMARKS, MADE_FILES)

Score = Callable[[Sequence[Any]], list[Outcome]]
"""Values, or a `MediaError`, for each of some prepared rows."""


class OrderCheck:
    """Checks the order of a stage's results.

    The first batch gives the known row: one of its rows, at random, is scored once more by itself, and has to
    have the values that it had among the others.

    A difference alone is no proof, as a GPU may round otherwise. It is one if the row alone has the known
    values again, and among the others once more has not.

    Args:
        stage: The stage. Places are drawn with its name as the seed: they differ from batch to batch, and
            are the same in each run.
        largest: Most rows of a batch.
    """

    def __init__(self, stage: Stage, largest: int) -> None:
        self._stage = stage
        self._largest = largest
        self._random = random.Random(stage.name)
        self._row: Any = None
        self._known: Mapping[str, Any] | None = None
        self._copies = 0
        self._is_steady = True

    @property
    def has_row(self) -> bool:
        """Whether there is a known row, which takes a place in a batch."""
        return self._known is not None and self._is_steady

    def score(self, score: Score, prepared: Sequence[Any]) -> list[Outcome]:
        """Score rows, a known one among them.

        Args:
            score: Scores rows.
            prepared: What `Stage.prepare` returned for each.

        Returns:
            Values or a `MediaError` for each, in order, without the known row.

        Raises:
            OrderError: The known row has the values of another one.
        """
        if not self._is_steady:
            return score(prepared)
        if self._known is None:
            return self._learn(score, prepared)
        outcomes, got = self._among(score, prepared)
        self._compare(score, prepared, got)
        return outcomes

    def _learn(self, score: Score, prepared: Sequence[Any]) -> list[Outcome]:
        place = self._choose(prepared)
        if place is None:
            return score(prepared)
        row = copy.deepcopy(prepared[place])
        outcomes = score(prepared)
        got = outcomes[place]
        if not _says_something(got):
            return outcomes
        self._row = row
        if len(prepared) == 1:
            self._known = got
            return outcomes
        known = self._alone(score)
        if _says_something(known):
            self._known = known
            self._compare(score, prepared, got)
        return outcomes

    def _choose(self, prepared: Sequence[Any]) -> int | None:
        """The place of a row that can be kept: a small one, as it costs time, too."""
        sizes = [_size(row) for row in prepared]
        most = min(_LARGEST, sorted(sizes)[len(sizes) // 2])
        places = [place for place, size in enumerate(sizes) if size <= most]
        return self._random.choice(places) if places else None

    def _among(self, score: Score, prepared: Sequence[Any]) -> tuple[list[Outcome], Outcome]:
        """The outcomes of rows and, taken out of them, that of the known row."""
        if len(prepared) >= self._largest:  # of one row: no other fits beside it
            return score(prepared), self._alone(score)
        place = self._random.randrange(len(prepared) + 1)
        outcomes = score([*prepared[:place], self._copy(self._row), *prepared[place:]])
        return outcomes, outcomes.pop(place)

    def _alone(self, score: Score) -> Outcome:
        return score([self._copy(self._row)])[0]

    def _copy(self, row: Any) -> Any:
        self._copies += 1
        return self._stage.as_other_row(copy.deepcopy(row), self._copies)

    def _compare(self, score: Score, prepared: Sequence[Any], got: Outcome) -> None:
        assert self._known is not None, "a known row"
        if isinstance(got, MediaError) or not _differing(self._known, got):
            return
        alone = self._alone(score)
        if isinstance(alone, MediaError):
            return
        if _differing(self._known, alone):
            self._is_steady = False
            LOG.warning(
                "stage %s: the same row has other values each time, so that their order cannot be checked",
                self._stage.name,
            )
            return
        again = self._among(score, list(map(self._copy, prepared)))[1]
        if isinstance(again, MediaError) or not _differing(self._known, again):
            return
        name = _differing(self._known, again)
        raise OrderError(
            f"stage {self._stage.name}: values come back in another order than the rows: a row whose {name} "
            f"is {_spelled(self._known[name])} got {_spelled(again.get(name))} among {len(prepared)} others. "
            "Rows since the last check are not kept; run the same command with --bs 1, and report it"
        )


def _size(value: Any) -> int:
    """Bytes of the arrays in a prepared row."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, Mapping):
        value = list(value.values())
    return sum(map(_size, value)) if isinstance(value, (tuple, list)) else 0


def _says_something(outcome: Outcome) -> TypeGuard[dict[str, Any]]:
    """Whether an outcome has values by which it can be told from others."""
    if isinstance(outcome, MediaError):
        return False
    return any(value is not None for name, value in outcome.items() if name not in _IGNORED)


def _differing(known: Mapping[str, Any], got: Mapping[str, Any]) -> str:
    """The first column in which two outcomes are not those of the same row; empty if there is none."""
    for name, value in known.items():
        if name not in _IGNORED and not _same(value, got.get(name)):
            return name
    return ""


def _same(first: Any, second: Any) -> bool:
    if first is None or second is None:
        return first is second
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        if first.shape != second.shape:
            return False
        return float(np.linalg.norm(first - second)) <= _VECTOR * float(np.linalg.norm(first)) + _ABSOLUTE
    if isinstance(first, (int, float)) and isinstance(second, (int, float)):
        if first != first or second != second:
            return (first != first) == (second != second)
        return abs(first - second) <= _RELATIVE * max(abs(first), abs(second)) + _ABSOLUTE
    if isinstance(first, str) and isinstance(second, str):
        return first == second or _alike(first, second)
    return first == second


def _alike(first: str, second: str) -> bool:
    """Whether two texts have most words in common."""
    words, others = (set(re.findall(r"\w+", text.lower())) for text in (first, second))
    return bool(words | others) and len(words & others) >= _WORDS * len(words | others)


def _spelled(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
