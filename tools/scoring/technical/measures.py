"""The technical measures by name, and what each needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tools.errors import UserError

THUMBNAIL = (160, 90)
"""Width and height of the small pictures of all frames."""


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        meaning: What its number says, for ``--help``.
        columns: Columns that it fills; the first has its name.
        frames: It reads a few frames in full size.
        thumbnails: It reads a thumbnail of every frame.
        model: It needs parameters that are no part of the software.
    """

    meaning: str
    columns: tuple[str, ...]
    frames: bool = False
    thumbnails: bool = False
    model: bool = False


MEASURES: dict[str, Measure] = {
    "sharpness": Measure("variance of the Laplacian at 360 lines", ("sharpness",), frames=True),
    "luminance": Measure("mean luma, 0 to 255", ("luminance",), frames=True),
    "contrast": Measure("standard deviation of luma", ("contrast",), frames=True),
    "colorfulness": Measure("Hasler and Süsstrunk; 0 is grey", ("colorfulness",), frames=True),
    "blockiness": Measure("edges on the grid of a codec by others; 1 is none", ("blockiness",), frames=True),
    "upscaled": Measure("times the picture seems to be enlarged; 1 is not", ("upscaled",), frames=True),
    "black_bars": Measure(
        "share of the frame in black bars, and the picture as crop w:h:x:y",
        ("black_bars", "crop"),
        frames=True,
        thumbnails=True,
    ),
    "interlaced": Measure("share of frames whose fields differ in time", ("interlaced",), frames=True),
    "static_ratio": Measure("share of the time the picture is static", ("static_ratio",), thumbnails=True),
    "true_fps": Measure("new pictures per second where it moves", ("true_fps",), thumbnails=True),
    "fade": Measure("share of frames that are black, fade or dissolve", ("fade",), thumbnails=True),
    "logo": Measure("confidence that a static overlay is there, 0 to 1", ("logo",), thumbnails=True),
    "niqe": Measure("naturalness, less is better; needs parameters", ("niqe",), frames=True, model=True),
}
"""Every measure by name, in the order of its columns."""

DEFAULT_MEASURES = tuple(name for name, measure in MEASURES.items() if not measure.model)
"""Measures that need nothing but the file."""


def check_measures(names: Iterable[str]) -> tuple[str, ...]:
    """Names of measures in the order of `MEASURES`, each once.

    Raises:
        UserError: A name that there is not, or none at all.
    """
    wanted = set(names)
    if unknown := sorted(wanted - set(MEASURES)):
        raise UserError(f"Invalid measure ({unknown[0]}). Supported values are {', '.join(MEASURES)}.")
    if not wanted:
        raise UserError(f"measures: name at least one of {', '.join(MEASURES)}")
    return tuple(name for name in MEASURES if name in wanted)
