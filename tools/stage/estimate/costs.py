"""About how much work each row of a table is, from its columns or from the sizes of its files.

The costs order rows and share them out; no value depends on them. A row costs its frames x pixels x a factor
of its codec, in any unit; where the table does not say, the size of its file, in the same unit.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tools.base.addresses import local_path

if TYPE_CHECKING:
    import polars as pl

CODEC_FACTORS: Mapping[str, float] = {
    "hevc": 1.3,
    "vp9": 1.5,
    "vp8": 1.8,
    "mpeg4": 0.7,
    "mpeg2video": 0.6,
    "mpeg1video": 0.5,
    "mjpeg": 0.6,
    "prores": 4.4,
}
"""CPU time to decode a picture, as a multiple of H.264's; of other codecs (AV1: 0.94) about 1.

Measured by one thread of FFmpeg 8 on 100 pictures of 640 x 272, encoded by the encoders of FFmpeg.
"""


def file_state(path: object) -> list[int]:
    """Size and modification time (nanoseconds) of a row's file; empty where there is none on this machine."""
    try:
        # Not Path.stat(): Path keeps every part of every path for good.
        status = os.stat(os.fspath(local_path(path)))  # type: ignore[arg-type]  # noqa: PTH116
    except (OSError, ValueError, TypeError):
        return []
    return [status.st_size, status.st_mtime_ns]


def file_sizes(table: pl.DataFrame) -> np.ndarray:
    """The size of each row's file, float64; NaN where there is none on this machine."""
    if "path" not in table.columns:
        return np.full(table.height, np.nan)
    states = map(file_state, table["path"])
    return np.fromiter((state[0] if state else math.nan for state in states), np.float64, table.height)


def costs_by_columns(table: pl.DataFrame) -> np.ndarray:
    """Frames x pixels x factor of the codec, float64; NaN where the table does not say.

    Args:
        table: Columns ``num_frames`` (or ``duration``) and ``resolution`` (or ``height`` and ``width``), and
            ``codec``, as numbers or as text.
    """
    import polars as pl

    frames = _known(table, "num_frames")
    frames = np.where(np.isnan(frames), _known(table, "duration") * _FRAMES_PER_SECOND, frames)
    pixels = _known(table, "resolution")
    pixels = np.where(np.isnan(pixels), _known(table, "height") * _known(table, "width"), pixels)
    costs = frames * pixels
    if "codec" in table.columns:
        codecs = table["codec"].cast(pl.String, strict=False).fill_null("").str.to_lowercase()
        costs = (
            costs
            * codecs.replace_strict(dict(CODEC_FACTORS), default=1.0, return_dtype=pl.Float64).to_numpy()
        )
    return costs


_FRAMES_PER_SECOND = 25.0  # where only the duration is known


def row_costs(table: pl.DataFrame, sizes: np.ndarray | None = None) -> np.ndarray:
    """About how much work each row is.

    The result is the same on every machine: no sum depends on an order.

    Args:
        table: The rows, with all columns of the table.
        sizes: Sizes of their files in bytes, NaN where unknown; of column ``filesize`` where it is known.

    Returns:
        float64, positive; all 1 where nothing is known.
    """
    costs = costs_by_columns(table)
    unknown = np.isnan(costs)
    if unknown.any():
        bytes_of = _known(table, "filesize") * 2**20
        if sizes is not None:
            bytes_of = np.where(np.isnan(bytes_of), sizes, bytes_of)
        both = ~unknown & ~np.isnan(bytes_of)
        size = math.fsum(bytes_of[both])
        scale = math.fsum(costs[both]) / size if size else 1.0
        costs = np.where(unknown, bytes_of * scale, costs)
    known = costs[~np.isnan(costs)]
    middle = float(np.sort(known)[len(known) // 2]) if len(known) else 1.0
    costs = np.where(np.isnan(costs), middle, costs)
    most = float(costs.max(initial=0.0))
    return costs if most > 0 else np.ones(len(costs))


def are_known(table: pl.DataFrame) -> bool:
    """Whether the table says enough, so that no file need be looked at."""
    costs = costs_by_columns(table)
    return bool((~np.isnan(costs) | ~np.isnan(_known(table, "filesize"))).all())


def _known(table: pl.DataFrame, name: str) -> np.ndarray:
    """A column of numbers, float64; NaN where a cell is no finite number from 0 on."""
    import polars as pl

    if name not in table.columns or table[name].dtype.is_nested():
        return np.full(table.height, np.nan)
    values = table[name].cast(pl.Float64, strict=False).fill_null(math.nan).to_numpy()
    return np.where(np.isfinite(values) & (values >= 0), values, np.nan)
