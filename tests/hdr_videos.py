"""Small HDR videos of flat patches, whose colours are known, and what the ffmpeg program makes of them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from tests.support import run_ffmpeg

PQ, HLG = 16, 18
PATCH = 32
"""Pixels of a patch's side."""
COLOURS = ((1, 1, 1), (1, 0.5, 0.2), (0.2, 1, 0.5), (0.3, 0.4, 1), (1, 0.2, 0.2), (0.9, 0.7, 0.6))
MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
"""A display of DCI-P3 with 0.005 to 1000 cd/m², as x265 writes it."""


def patches(levels: list[float]) -> np.ndarray:
    """Each colour of `COLOURS` in a row of patches, times each level.

    Returns:
        float64, shape (rows, levels, 3).
    """
    return np.array(COLOURS)[:, None] * np.array(levels)[None, :, None]


def middles(image: np.ndarray) -> np.ndarray:
    """The patches of a picture: the pixel in the middle of each, as int."""
    return image[PATCH // 2 :: PATCH, PATCH // 2 :: PATCH].astype(int)


def make_hdr_video(
    path: Path,
    signal: np.ndarray,
    transfer: int = PQ,
    *,
    num_frames: int = 12,
    light: tuple[int, int] | None = (1000, 400),
) -> Path:
    """Write HEVC with 10 bits in BT.2020, limited range, the way HDR10 and HLG are broadcast.

    The matrix is that of BT.2020 (item 4, non-constant luminance), by hand.

    Args:
        path: Where to.
        signal: R', G' and B' of the patches, 0 to 1, shape (rows, columns, 3).
        transfer: `PQ` or `HLG`.
        num_frames: Frames, 25 a second, a key frame every sixth.
        light: MaxCLL and MaxFALL, written with `MASTERING`; None for neither.
    """
    rgb = np.kron(signal, np.ones((PATCH, PATCH, 1)))
    height, width = rgb.shape[:2]
    luma = rgb @ [0.2627, 0.6780, 0.0593]
    chroma = [(rgb[..., 2] - luma) / 1.8814, (rgb[..., 0] - luma) / 1.4746]
    planes = [np.rint(876 * luma + 64)]
    planes += [np.rint(896 * c[::2, ::2] + 512) for c in chroma]
    params = "log-level=none:pools=none:crf=4:keyint=6:min-keyint=6:scenecut=0"
    if light:
        params += f":master-display={MASTERING}:max-cll={light[0]},{light[1]}"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx265", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p10le"
        stream.options = {"preset": "ultrafast", "x265-params": params}
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = (
            transfer,
            9,
            9,
            1,
        )
        for number in range(num_frames):
            picture = av.VideoFrame(width, height, "yuv420p10le")
            for plane, values in zip(picture.planes, planes, strict=True):
                lines = np.zeros((values.shape[0], plane.line_size // 2), np.uint16)
                lines[:, : values.shape[1]] = values
                plane.update(lines.tobytes())
            picture.pts = number
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return path


def zscale(path: Path, tonemap: str | None = None) -> np.ndarray:
    """The first frame as SDR by the zscale (zimg) of the ffmpeg program, 1.0 being 203 cd/m².

    Args:
        path: An HDR video.
        tonemap: Operator of the filter tonemap; without, what is brighter than 203 cd/m² is clipped.

    Returns:
        uint8, shape (height, width, 3), RGB of BT.709.
    """
    width, height = _size(path)
    mapped = f"tonemap={tonemap}:desat=0," if tonemap else ""
    filters = f"zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,{mapped}zscale=t=bt709:m=gbr:r=pc"
    raw = run_ffmpeg(["-i", str(path), "-vf", f"{filters},format=gbrp", "-frames:v", "1", *_RAW.split(), "-"])
    return np.frombuffer(raw, np.uint8).reshape(height, width, 3)


_RAW = "-f rawvideo -pix_fmt rgb24"


def _size(path: Path) -> tuple[int, int]:
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return context.width, context.height
