"""When a stage finds what it works with: after everything that is cheaper to check.

A command makes its stage with that postponed, so that wrong options are told at once, and the columns of the
table before any weights; then all weights that are missing are told together, and only then is anything
hashed or PyTorch imported.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from tools.base.log import LOG

if TYPE_CHECKING:
    from tools.stage.stage import Stage

_POSTPONED: ContextVar[bool] = ContextVar("postponed", default=False)


@contextmanager
def postponed() -> Iterator[None]:
    """Within it, making a stage checks its options alone; `make_ready` does the rest."""
    token = _POSTPONED.set(True)
    try:
        yield
    finally:
        _POSTPONED.reset(token)


def is_postponed() -> bool:
    """Whether stages are made without what they work with."""
    return _POSTPONED.get()


def make_ready(stage: Stage) -> None:
    """Let a stage find what it works with, unless it has; and tell the user what is to be known of it.

    Raises:
        UserError: Weights are missing (the message names all) or wrong, or a device is not there.
    """
    if stage.is_ready:
        return
    from tools.models.required import require_weights

    require_weights(stage.required_weights())
    stage.ready()
    for note in stage.notes():
        word, _, text = note.partition(": ")
        LOG.log(logging.WARNING if word == "warning" else logging.INFO, "%s", text)
