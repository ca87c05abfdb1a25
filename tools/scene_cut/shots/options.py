"""The shot detectors' options: names, PySceneDetect's defaults, and the values allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from tools.errors import UserError


@dataclass(frozen=True)
class Option:
    """One option of a detector.

    Attributes:
        kind: Its type; bool options are switches.
        default: PySceneDetect's own.
        help: What it does.
        choices: Allowed values, for names.
        least: Smallest value allowed, for numbers.
        most: Largest value allowed; None for no limit.
        odd: Whether even numbers are refused.
    """

    kind: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    least: float = 0
    most: float | None = None
    odd: bool = False

    @property
    def supported(self) -> str:
        """The values allowed, in words."""
        if self.kind is bool:
            return "True, False"
        if self.choices:
            return ", ".join(self.choices)
        if self.kind is str:
            return "four numbers of 0 or more, not all 0, as in 1,1,1,0"
        what = "odd whole numbers" if self.odd else "whole numbers" if self.kind is int else "numbers"
        until = "on" if self.most is None else f"to {self.most:g}"
        return f"{what} from {self.least:g} {until}"

    def check(self, name: str, value: Any) -> Any:
        """The value in the type of the option.

        Raises:
            UserError: It is not one of those allowed.
        """
        try:
            if self.kind is str and not self.choices:
                return ",".join(f"{weight:g}" for weight in parse_weights(value))
            if self._allows(value):
                return self.kind(value)
        except ValueError:
            pass
        raise invalid(name, value, self.supported)

    def _allows(self, value: Any) -> bool:
        if self.choices:
            return isinstance(value, str) and value in self.choices
        if self.kind is bool or isinstance(value, bool):
            return self.kind is bool and isinstance(value, bool)
        if not _is_finite(value):
            return False
        if self.kind is int and (value != int(value) or (self.odd and value % 2 == 0)):
            return False
        return self.least <= value and (self.most is None or value <= self.most)


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


_WEIGHTS = Option(str, "1,1,1,0", "weights of the changes in hue, saturation, luma and edges")
_LUMA = Option(bool, False, "look at brightness alone")
# PySceneDetect's pictures have 256 pixels on their longer side.
_KERNEL = Option(
    int, None, "size of the kernel that widens edges (from the frame size)", least=3, most=255, odd=True
)

DETECTORS: dict[str, dict[str, Option]] = {
    "adaptive": {
        "adaptive_threshold": Option(
            float, 3.0, "content change by its average over the window that makes a cut", most=255
        ),
        "window_width": Option(int, 2, "frames on either side that are averaged", least=1),
        "min_content_val": Option(float, 15.0, "least content change of a cut", most=255),
        "weights": _WEIGHTS,
        "luma_only": _LUMA,
        "kernel_size": _KERNEL,
    },
    "content": {
        "threshold": Option(float, 27.0, "content change that makes a cut", most=255),
        "weights": _WEIGHTS,
        "luma_only": _LUMA,
        "kernel_size": _KERNEL,
        "filter_mode": Option(
            str, "merge", "what becomes of cuts that follow too fast", ("merge", "suppress")
        ),
    },
    "threshold": {
        # PySceneDetect cuts off decimals without a word.
        "threshold": Option(int, 12, "mean brightness below which the picture is black", most=255),
        "fade_bias": Option(float, 0.0, "where in the black the cut is, from out to in", least=-1, most=1),
        "add_final_scene": Option(bool, False, "cut also where the video ends in black"),
        "method": Option(str, "floor", "fade to black, or to white", ("floor", "ceiling")),
    },
    "hash": {
        "threshold": Option(float, 0.35, "share of hash bits that change at a cut", most=1),
        "size": Option(int, 8, "side of the hash in bits", least=1, most=256),
        "lowpass": Option(int, 2, "how much fine detail is ignored", least=1, most=256),
    },
    "histogram": {
        "threshold": Option(float, 0.2, "difference of brightness histograms that makes a cut", most=1),
        "bins": Option(int, 128, "bins of the histogram", least=1, most=256),
    },
    "transnetv2": {
        "threshold": Option(float, 0.5, "probability above which a frame is in a transition", most=1),
    },
}
"""Every detector with its options; ``min_scene_len`` is common to all but transnetv2.

Ranges are those of PySceneDetect 0.7's own command and classes.
"""


def check_options(detector: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a detector, with defaults for those not given (or None).

    Raises:
        UserError: Unknown detector, an option that belongs to another one, or a value out of range.
    """
    if detector not in DETECTORS:
        raise invalid("detector", detector, f"{', '.join(DETECTORS)}, auto")
    known = DETECTORS[detector]
    for name in options:
        if name not in known:
            owners = [d for d, o in DETECTORS.items() if name in o]
            whose = f"it is an option of {', '.join(owners)}" if owners else "no detector has it"
            raise UserError(f"--{name.replace('_', '-')}: not an option of detector {detector}, {whose}")
    return {
        name: option.default if options.get(name) is None else option.check(name, options[name])
        for name, option in known.items()
    }


def parse_weights(weights: str | Sequence[float]) -> tuple[float, ...]:
    """Four numbers, as text separated by commas.

    Raises:
        ValueError: Something else, a negative number, or nothing but zeros (they are divided by their sum).
    """
    pieces = weights.split(",") if isinstance(weights, str) else weights
    try:
        numbers = tuple(float(piece) for piece in pieces)
    except TypeError:
        raise ValueError(f"not four numbers: {weights}") from None
    if len(numbers) != 4 or not all(0 <= n < math.inf for n in numbers) or not any(numbers):
        raise ValueError(f"not four weights: {weights}")
    return numbers


def invalid(name: str, value: Any, supported: str) -> UserError:
    """The error for a value that is not allowed."""
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return UserError(f"Invalid {name} ({shown}). Supported values are {supported}.")
