"""The conversion of HDR to SDR as tables for filters of the ffmpeg program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tools.base.disk import writing
from tools.base.temporary_files import temporary_folder
from tools.media.reading.colour.hdr import HLG, Hdr
from tools.media.reading.colour.tonemap import light_to_sdr, signal_to_light

Filters = list[tuple[str, dict[str, Any]]]
"""Names and arguments of filters, in order."""

_STEPS = 16384  # of the signal of one component
_SIDE = 65  # of the cube, along each axis
_GAMMA = 2.4  # of the axes: that of the result, so that greys are nearly straight


@contextmanager
def sdr_filters(hdr: Hdr) -> Iterator[Filters]:
    """Filters that convert pictures to SDR as `tonemap` does, with tables in temporary files.

    A curve brings each component to the power of its light that SDR has; a cube of 65 entries along each axis
    does the rest.

    Args:
        hdr: What the numbers of the pictures mean.

    Yields:
        The filters. Their result is limited BT.709 in the pixel format of the filter that follows.
    """
    top = hdr.peak if hdr.transfer == HLG else 2 * hdr.peak
    with temporary_folder() as folder:
        curve, cube = folder / "curve.cube", folder / "colours.cube"
        light = signal_to_light(np.linspace(0, 1, _STEPS), hdr)
        values = np.minimum(light / top, 1) ** (1 / _GAMMA)
        _write(curve, f"LUT_1D_SIZE {_STEPS}", np.repeat(values[:, None], 3, axis=1))
        axis = top * np.linspace(0, 1, _SIDE) ** _GAMMA
        blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")  # red is the fastest in a cube file
        colours = light_to_sdr(np.stack([red, green, blue], axis=-1), hdr)
        _write(cube, f"LUT_3D_SIZE {_SIDE}", colours.reshape(-1, 3))
        yield [
            ("scale", {"flags": "bicubic+accurate_rnd+full_chroma_int", "in_color_matrix": "bt2020"}),
            ("format", {"pix_fmts": "gbrp16le"}),
            ("lut1d", {"file": str(curve)}),
            ("lut3d", {"file": str(cube)}),
            ("scale", {"out_color_matrix": "bt709", "out_range": "limited"}),
            ("sidedata", {"mode": "delete"}),  # mastering display, MaxCLL
        ]


def _write(path: Path, head: str, values: np.ndarray) -> None:
    with writing(path):
        np.savetxt(path, values, "%.7g", header=head, comments="")
