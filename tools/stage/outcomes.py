"""The outcome of a row: its values, or the failure that left it without any; its failures and remarks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tools.base.addresses import local_path
from tools.errors import MediaError
from tools.stage.stage import FAILURES, REMARKS

Outcome = dict[str, Any] | MediaError
"""What became of a row: its values, or why there are none."""


def failed_kinds(outcome: Outcome) -> list[str]:
    """Kinds of the failures of a row, as a whole or in parts."""
    if isinstance(outcome, MediaError):
        return [outcome.kind]
    return [kind for kind, _ in outcome.get(FAILURES) or ()]


def failures_of(outcome: Outcome, path: str) -> list[MediaError]:
    """The failures of a row, as a whole or in parts.

    Args:
        outcome: What became of the row.
        path: Its file, for failures of parts; that of a whole row names its own.
    """
    if isinstance(outcome, MediaError):
        return [outcome]
    return [MediaError(kind, path, message) for kind, message in outcome.get(FAILURES) or ()]


def error_text(outcome: Outcome, separator: str = "; ") -> str | None:
    """The failures of a row as a cell: ``kind: message``, joined; None when there are none."""
    return separator.join(failure.reason for failure in failures_of(outcome, "")) or None


def count_remarks(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """The remarks on rows, and how many rows each applies to, the most frequent first."""
    values = (outcome for outcome in outcomes if not isinstance(outcome, MediaError))
    return dict(
        Counter(
            remark for value in values for remark in dict.fromkeys(value.get(REMARKS) or ())
        ).most_common()
    )


def with_path(outcome: Outcome, path: str | None) -> Outcome:
    """The outcome, with its failure under the file's name in the table, not under that of a local copy.

    If another file failed, one that a further column names, the message names that one.
    """
    if not isinstance(outcome, MediaError) or not path or outcome.path == path:
        return outcome
    other = outcome.path and _normal(outcome.path) != _normal(path)
    return MediaError(outcome.kind, path, f"{outcome.path}: {outcome.message}" if other else outcome.message)


def _normal(path: str) -> str:
    return os.path.normpath(local_path(path))
