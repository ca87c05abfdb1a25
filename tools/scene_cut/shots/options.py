"""The options of each shot detector, with PySceneDetect's names, defaults and ranges."""

from __future__ import annotations

import dataclasses
import math
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tools import cli
from tools.errors import UserError
from tools.options import Option, check_options, option, option_field, options_of
from tools.options.values import Choice, Number, Parsed, Whole


def parse_weights(weights: str | Sequence[float]) -> tuple[float, ...]:
    """Four numbers, as text separated by commas.

    Raises:
        ValueError: Something else, a negative number, or nothing but zeros (they are divided by their sum).
    """
    given = weights.split(",") if isinstance(weights, str) else weights
    try:
        numbers = tuple(float(weight) for weight in given)
    except TypeError:
        raise ValueError(f"not four numbers: {weights}") from None
    if len(numbers) != 4 or not all(0 <= n < math.inf for n in numbers) or not any(numbers):
        raise ValueError(f"not four weights: {weights}")
    return numbers


def _weights_text(weights: str | Sequence[float]) -> str:
    return ",".join(f"{weight:g}" for weight in parse_weights(weights))


_WEIGHTS = Option(
    "weights of the changes in hue, saturation, luma and edges",
    Parsed(_weights_text, "W,W,W,W", "four numbers of 0 or more, not all 0, as in 1,1,1,0"),
)
_LUMA = Option("compare brightness alone")
# PySceneDetect's pictures have 256 pixels on their longer side.
_KERNEL = Option("size of the kernel that widens edges (from the frame size)", Whole(3, 255, odd=True))


@dataclasses.dataclass
class AdaptiveOptions:
    """Options of detector adaptive."""

    adaptive_threshold: float = option(
        3.0, "content change by its average over the window that makes a cut", Number(0, 255)
    )
    window_width: int = option(2, "frames on either side that are averaged", Whole(1))
    min_content_val: float = option(15.0, "smallest content change of a cut", Number(0, 255))
    weights: str = option_field("1,1,1,0", _WEIGHTS)
    luma_only: bool = option_field(False, _LUMA)
    kernel_size: int | None = option_field(None, _KERNEL)


@dataclasses.dataclass
class ContentOptions:
    """Options of detector content."""

    threshold: float = option(27.0, "content change that makes a cut", Number(0, 255))
    weights: str = option_field("1,1,1,0", _WEIGHTS)
    luma_only: bool = option_field(False, _LUMA)
    kernel_size: int | None = option_field(None, _KERNEL)
    filter_mode: str = option(
        "merge", "what becomes of cuts that follow too fast", Choice(("merge", "suppress"))
    )


@dataclasses.dataclass
class ThresholdOptions:
    """Options of detector threshold."""

    # PySceneDetect cuts off decimals without a word.
    threshold: int = option(12, "mean brightness below which the picture is black", Whole(0, 255))
    fade_bias: float = option(0.0, "where in the black the cut is, from out to in", Number(-1, 1))
    add_final_scene: bool = option(False, "cut also where the video ends in black")
    method: str = option("floor", "fade to black, or to white", Choice(("floor", "ceiling")))


@dataclasses.dataclass
class HashOptions:
    """Options of detector hash."""

    threshold: float = option(0.35, "share of hash bits that change at a cut", Number(0, 1))
    size: int = option(8, "side of the hash in bits", Whole(1, 256))
    lowpass: int = option(2, "how much fine detail is ignored", Whole(1, 256))


@dataclasses.dataclass
class HistogramOptions:
    """Options of detector histogram."""

    threshold: float = option(0.2, "difference of brightness histograms that makes a cut", Number(0, 1))
    bins: int = option(128, "bins of the histogram", Whole(1, 256))


@dataclasses.dataclass
class TransNetOptions:
    """Options of detector transnetv2."""

    threshold: float = option(0.5, "probability above which a frame is in a transition", Number(0, 1))


@dataclasses.dataclass
class FastOptions:
    """Detector fast has no options."""


DETECTORS: dict[str, type] = {
    "adaptive": AdaptiveOptions,
    "content": ContentOptions,
    "threshold": ThresholdOptions,
    "hash": HashOptions,
    "histogram": HistogramOptions,
    "transnetv2": TransNetOptions,
    "fast": FastOptions,
}
"""Every detector with its options; ``min_scene_len`` is common to all but transnetv2 and fast.

Ranges are those of PySceneDetect 0.7's own command and classes.
"""


def detector_options(detector: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a detector, with defaults for those that are not given or None.

    Raises:
        UserError: An option that belongs to another detector, or a value that is not supported.
    """
    options = DETECTORS[detector]
    names = {name for name, _, _ in options_of(options)}
    for name in given:
        if name not in names:
            owners = _owners().get(name, {})
            whose = f"it is an option of {', '.join(owners)}" if owners else "no detector has it"
            raise UserError(f"--{name.replace('_', '-')}: not an option of detector {detector}, {whose}")
    chosen = options(**{name: value for name, value in given.items() if value is not None})
    check_options(chosen)
    return dataclasses.asdict(chosen)


class DetectorOptions(Option):
    """The option of a field that is a dict of the options of one detector: a flag for each that there is."""

    def check(self, name: str, value: Any, default: Any) -> Any:
        """A dict; which options it may have depends on the detector, see `detector_options`."""
        return dict(value)

    def add(self, group: Any, name: str, default: Any) -> None:
        """Add the flags."""
        for option_name, owners in _owners().items():
            first, _ = next(iter(owners.values()))
            flag = f"--{option_name.replace('_', '-')}"
            if first.values is None:
                text = f"{first.help} ({', '.join(owners)})"
                action = group.add_argument(flag, action="store_true", default=None, help=text)
            else:
                action = group.add_argument(
                    flag,
                    type=_number_named(option_name) if isinstance(first.values, Number) else None,
                    choices=first.values.choices,
                    metavar=first.values.metavar,
                    help=_help(owners),
                )
            if option_name != "threshold":
                cli.advanced(action)

    def read(self, args: Namespace, name: str, default: Any) -> dict[str, Any]:
        """The options that are given."""
        given = {option_name: getattr(args, option_name) for option_name in _owners()}
        return {option_name: value for option_name, value in given.items() if value is not None}


def _number_named(name: str) -> Callable[[str], float]:
    """A type for argparse: any number, since the detector decides which are allowed."""
    return lambda text: Number().check(name, text)


def _owners() -> dict[str, dict[str, tuple[Option, Any]]]:
    """Every option once: the detectors that have it, with its `Option` and default there."""
    owners: dict[str, dict[str, tuple[Option, Any]]] = {}
    for detector, options in DETECTORS.items():
        for name, made, default in options_of(options):
            owners.setdefault(name, {})[detector] = made, default
    return owners


def _help(owners: Mapping[str, tuple[Option, Any]]) -> str:
    """What an option does, its range and its default, for each detector that has it."""
    texts: dict[str, list[str]] = {}
    for detector, (made, default) in owners.items():
        values = made.values
        supported = f": {values.supported}" if values is not None and not values.choices else ""
        shown = "" if default is None else f", default {default}"
        texts.setdefault(f"{made.help}{supported}{shown}", []).append(detector)
    return "; ".join(f"{', '.join(detectors)}: {text}" for text, detectors in texts.items())
