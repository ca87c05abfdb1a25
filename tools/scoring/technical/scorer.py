"""The technical measures of one file, from its frames."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from tools.media.reading.frames import Frame
from tools.scoring.technical import (
    bars,
    blockiness,
    cadence,
    colour,
    fades,
    interlacing,
    niqe,
    overlay,
    repeats,
    sharpness,
    spectrum,
)
from tools.scoring.technical.measures import DEFAULT_MEASURES, MEASURES
from tools.scoring.technical.niqe_model import NiqeModel

_DECIMALS = 4


def measure(
    frames: Sequence[Frame],
    times: np.ndarray,
    thumbnails: np.ndarray | None,
    measures: Sequence[str] = DEFAULT_MEASURES,
    niqe_model: NiqeModel | None = None,
) -> dict[str, Any]:
    """Measure one video or image.

    What is measured of the picture itself (`sharpness` to `upscaled`, and `niqe`) is measured inside black
    bars that all of `frames` have, and averaged over frames.

    Args:
        frames: A few frames in full, ascending. Of two neighbours the first is measured, both are compared.
        times: float64, shape (n,): when each frame of the video is shown, in seconds.
        thumbnails: uint8, shape (n, height, width): luma of every frame, averaged over areas. `THUMBNAIL` is
            the size that thresholds were chosen for.
        measures: Names from `MEASURES`.
        niqe_model: Parameters, for `niqe`.

    Returns:
        The columns of the measures. Cells are None where there is nothing to measure: those of an image or a
        single frame that concern time, `niqe` of a picture below 194 pixels, `upscaled` without edges.
    """
    values: dict[str, Any] = {column: None for name in measures for column in MEASURES[name].columns}
    if any(MEASURES[name].frames for name in measures):
        lumas = [cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY) for frame in frames]
        brightest = functools.reduce(np.maximum, lumas)
        if "black_bars" in measures:
            small = None if thumbnails is None else thumbnails.max(axis=0)
            box = bars.find_picture(brightest, small)
            values |= {"black_bars": bars.covered(box, *brightest.shape), "crop": str(box)}
        pairs = _pairs(frames)
        if "interlaced" in measures:
            values["interlaced"] = _interlaced([(lumas[i], lumas[j]) for i, j in pairs if j is not None])
        firsts = [frames[i].image for i, _ in pairs]
        values |= _of_pictures(firsts, bars.find_picture(brightest), measures, niqe_model)
    if thumbnails is not None and len(thumbnails) > 1:
        values |= _over_time(thumbnails, times, measures)
    return {name: round(v, _DECIMALS) if isinstance(v, float) else v for name, v in values.items()}


def _pairs(frames: Sequence[Frame]) -> list[tuple[int, int | None]]:
    """Positions in `frames` of each frame to be measured, and of its neighbour, if it has one."""
    pairs: list[tuple[int, int | None]] = []
    position = 0
    while position < len(frames):
        follows = position + 1 < len(frames) and frames[position + 1].index == frames[position].index + 1
        pairs.append((position, position + 1 if follows else None))
        position += 2 if follows else 1
    return pairs


def _interlaced(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float | None:
    return interlacing.interlaced_share([interlacing.field_order(*pair) for pair in pairs]) if pairs else None


def _of_pictures(
    images: Sequence[np.ndarray], box: bars.Box, measures: Sequence[str], niqe_model: NiqeModel | None
) -> dict[str, float | None]:
    """Measures of pictures, averaged over them."""
    found: dict[str, list[Any]] = {name: [] for name in measures}
    for image in images:
        for name, value in _of_picture(box.cut(image), measures, niqe_model).items():
            if value is not None:
                found[name].append(value)
    values: dict[str, float | None] = {
        name: float(np.mean(numbers))
        for name, numbers in found.items()
        if numbers and name not in ("blockiness", "upscaled")
    }
    if found.get("blockiness"):
        values["blockiness"] = blockiness.blockiness(found["blockiness"])
    if found.get("upscaled"):
        values["upscaled"] = spectrum.typical_factor(found["upscaled"])
    return values


def _of_picture(image: np.ndarray, measures: Sequence[str], niqe_model: NiqeModel | None) -> dict[str, Any]:
    """Measures of one picture; for blockiness, its inputs."""
    wanted = {name for name in measures if MEASURES[name].frames} - {"black_bars", "interlaced"}
    if not wanted:
        return {}
    luma = colour.luma(image)
    values: dict[str, Any] = {}
    if wanted & set(colour.STATISTICS):
        statistics = colour.colour_statistics(image, luma)
        values = {name: value for name, value in statistics.items() if name in wanted}
    if "sharpness" in wanted:
        values["sharpness"] = sharpness.sharpness(luma)
    if "blockiness" in wanted:
        values["blockiness"] = blockiness.grid_profile(luma)
    if "upscaled" in wanted:
        values["upscaled"] = spectrum.upscale_factor(luma)
    if "niqe" in wanted and niqe_model is not None:
        values["niqe"] = niqe.niqe(luma, niqe_model)
    return values


def _over_time(thumbnails: np.ndarray, times: np.ndarray, measures: Sequence[str]) -> dict[str, float]:
    values: dict[str, float] = {}
    if "static_ratio" in measures or "true_fps" in measures:
        changes = repeats.frame_changes(thumbnails)
        repeated = repeats.find_repeats(changes, times) | cadence.find_cadence(thumbnails, changes)
        values["static_ratio"] = repeats.static_ratio(repeated, times)
        values["true_fps"] = repeats.true_fps(repeated, times)
    if "fade" in measures:
        values["fade"] = float(fades.find_fades(thumbnails, times).mean())
    if "logo" in measures and len(thumbnails) >= overlay.FEWEST:
        values["logo"] = overlay.overlay_confidence(thumbnails)
    return {name: value for name, value in values.items() if name in measures}
