"""Kinds of options that EMScore alone has: names or ``all``, intervals between frames, weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tools.errors import UserError
from tools.options import Option
from tools.options.values import Number, Values, Whole
from tools.scoring.emscore.idf import Idf
from tools.scoring.emscore.metrics import ALL
from tools.stage.common_options import FramesOption

_INTERVALS = {
    "every_n_seconds": Option("a frame every S seconds, from 0 on", Number(0, above=True, metavar="S")),
    "every_n_frames": Option("every N-th frame; 1: all", Whole(1), everyday=False),
}
_POLICIES = {"every_n_seconds": "interval_time", "every_n_frames": "interval_frames"}


class NamedValues(Values):
    """One of a few names, or ``all``.

    Args:
        names: The names.
        metavar: Placeholder of one in ``--help``.
        short: Other names of them.
    """

    def __init__(self, names: Iterable[str], metavar: str, short: Mapping[str, str] | None = None) -> None:
        self._short = short or {}
        self._names = (*names, ALL)
        self.metavar = metavar
        self.supported = ", ".join([*self._short, *self._names])

    def convert(self, value: Any) -> str:
        """The full name."""
        name = self._short.get(value, value)
        if name not in self._names:
            raise ValueError
        return name


@dataclasses.dataclass(frozen=True)
class EMScoreFrames(FramesOption):
    """The frames, with two further flags that are short for a value of ``--sampling``."""

    def parts(self, name: str, default: Any) -> dict[str, Option]:
        """The flags by name."""
        return {**_INTERVALS, **super().parts(name, default)}

    def combine(self, given: Mapping[str, Any], name: str, default: Any) -> Any:
        """The frames from the values of the flags.

        Raises:
            UserError: More than one flag says which frames.
        """
        given = {part: value for part, value in given.items() if value is not None}
        chosen = [part for part in (*_INTERVALS, name) if part in given]
        if len(chosen) > 1:
            flags = " and ".join(f"--{part.replace('_', '-')}" for part in chosen)
            raise UserError(f"{flags} exclude each other: give one")
        for part, policy in _POLICIES.items():
            if part in given:
                given[name] = f"{policy}:{_INTERVALS[part].check(part, given.pop(part), None)}"
        return super().combine(given, name, default)


def idf_or_file(value: Any) -> Any:
    """Weights of tokens, or the path of their file, as it is.

    Raises:
        ValueError: It is neither.
    """
    if not isinstance(value, (Idf, str, Path)):
        raise ValueError
    return value
