"""Rendered scenes whose motion, edges and frame times are known, and what a file of them decodes to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.support import make_video, run_ffmpeg
from tools.media.reading.requests import FrameRequest, Frames, read_requests
from tools.scoring.technical.measures import THUMBNAIL
from tools.scoring.technical.stage import FramePairs

SIZE = (320, 180)


def canvas(height: int, width: int, seed: int = 0, *, dark: int = 40, bright: int = 220) -> np.ndarray:
    """A picture with texture at all scales and sharp edges: uint8, shape (height, width, 3).

    It is drawn twice as large and averaged down, as a lens and a sensor would.
    """
    rng = np.random.default_rng(seed)
    down, across = np.fft.fftfreq(2 * height)[:, None], np.fft.fftfreq(2 * width)[None]
    spectrum = np.fft.fft2(rng.normal(size=(2 * height, 2 * width))) / (np.hypot(down, across) + 0.002) ** 1.3
    texture = np.fft.ifft2(spectrum).real
    picture = np.repeat((texture / texture.std() * 18 + 128)[..., None], 3, axis=2)
    for _ in range(height * width // 900):
        y, x = rng.integers(0, 2 * height), rng.integers(0, 2 * width)
        h, w = rng.integers(8, 80, 2)
        picture[y : y + h, x : x + w] = rng.uniform(dark, bright, 3)
    small = picture.reshape(height, 2, width, 2, 3).mean(axis=(1, 3))
    return np.clip(small, dark, bright).astype(np.uint8)


def pan(
    number: int, *, speed: int = 4, size: tuple[int, int] = SIZE, seed: int = 0, down: int = 0
) -> list[np.ndarray]:
    """Frames of a camera that moves `speed` pixels to the right, and `down` pixels down, in each."""
    width, height = size
    whole = canvas(height + down * number, width + speed * number, seed)
    return [
        np.ascontiguousarray(whole[i * down : i * down + height, i * speed : i * speed + width])
        for i in range(number)
    ]


def noisy(picture: np.ndarray, number: int, sigma: float, seed: int = 1) -> list[np.ndarray]:
    """The same picture again and again, with new noise each time, as a live camera sees it."""
    rng = np.random.default_rng(seed)
    return [
        np.clip(picture + rng.normal(scale=sigma, size=picture.shape), 0, 255).astype(np.uint8)
        for _ in range(number)
    ]


def filmed(
    path: Path,
    pictures: Sequence[np.ndarray],
    *,
    crf: int = 23,
    fps: int = 30,
    gop: int = 250,
    **options: object,
) -> Frames:
    """Encode pictures as h264, and read back what the technical stage gets of the file."""
    make_video(path, pictures=pictures, fps=fps, gop=gop, options={"crf": str(crf)}, **options)
    return read(path)


def read(path: Path) -> Frames:
    """What the technical stage gets of a file."""
    (frames,) = read_requests(path, [FrameRequest(FramePairs(), THUMBNAIL)])
    assert isinstance(frames, Frames), frames
    return frames


def rendered(
    source: Path, path: Path, filters: str, *arguments: str, crf: int = 23, before: Sequence[str] = ()
) -> Frames:
    """Change a real clip with the ffmpeg program, encode it as h264, and read back what the stage gets of it.

    Args:
        source: The clip, or a picture.
        path: Where to.
        filters: ffmpeg's filter graph.
        arguments: Further arguments of the encoder.
        crf: Of x264.
        before: Arguments ahead of the input.
    """
    coded = ["-c:v", "libx264", "-preset", "veryfast", "-crf", str(crf), "-pix_fmt", "yuv420p"]
    run_ffmpeg(
        [*before, "-i", str(source), "-vf", filters, *coded, *arguments, "-threads", "1", "-an", str(path)]
    )
    return read(path)
