"""Which of several copies is the better one: an order of all rows, by what is known of their files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from tools.scoring.dedup.criteria import KEEP, KNOWN, LESS_IS_BETTER
from tools.scoring.dedup.fingerprint import About
from tools.table import numeric

_AREA_STEPS = 16  # the area within bars is known to about so many parts
_FRAMES_STEP = 1.08  # longer by less is not longer; a tenth of a copy may lie outside of what is kept
_STEPS_FROM = 60  # frames; a copy of less than 2 s has to lie in what is kept as a whole


def rank(table: pl.DataFrame, known: Sequence[About | None], keep: Sequence[str] = KEEP) -> list[int]:
    """Put the rows in order, the best first.

    Args:
        table: The table.
        known: What is known of each row's file; None without a fingerprint.
        keep: Criteria, the first first:

            - ``resolution``: pixels inside bars.
            - ``frames``: number of frames; from 60 frames on, about 8 % more do not count as more, so that
              copies that were cut a frame apart are told by what comes next.
            - ``filesize``: bytes of the file.
            - ``first``: place in the table.
            - A column of numbers, of which the larger is better, but for `LESS_IS_BETTER`. A row without a
              number is the worst. Columns that the table lacks are left out.

    Returns:
        Numbers of the rows; equally good ones as in the table.
    """
    keys = []
    for name in keep:
        if name == "first":
            break
        if name in KNOWN:
            keys.append(np.array([_measure(about, name) for about in known]))
        elif name in table.columns:
            sign = -1.0 if name in LESS_IS_BETTER else 1.0
            keys.append(table.select((numeric(name) * sign).fill_null(-np.inf))[name].to_numpy())
    if not keys:
        return list(range(len(known)))
    return np.lexsort([-key for key in reversed(keys)]).tolist()


def _measure(about: About | None, name: str) -> float:
    if about is None:
        return 0.0
    if name == "filesize":
        return about.num_bytes
    if name == "frames":
        if about.num_frames < _STEPS_FROM:
            return np.log(max(about.num_frames, 1)) / np.log(_FRAMES_STEP)
        return np.floor(np.log(about.num_frames) / np.log(_FRAMES_STEP))
    left, right, top, bottom = about.box
    part = round((right - left) * (bottom - top) * _AREA_STEPS) / _AREA_STEPS
    return about.height * about.width * part
