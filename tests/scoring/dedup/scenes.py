"""Rendered scenes, continuous in time, and what people do to clips: every kind of copy, and what is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tests.scoring.technical.scenes import canvas
from tests.support import make_video
from tools.scoring.dedup.fingerprint import SNAPSHOTS, Fingerprint
from tools.scoring.dedup.stage import make_fingerprint

SIZE = (320, 180)
FPS = 24
Pictures = list[np.ndarray]


class Scene:
    """A camera that moves over a picture, and two things that move before it.

    Args:
        seed: Another seed is another picture and other motion.
        fixed: Number of the place that a fixed camera looks at; scenes of one place share the background.
    """

    def __init__(self, seed: int, *, fixed: int | None = None) -> None:
        rng = np.random.default_rng(seed)
        width, height = SIZE
        self._fixed = fixed is not None
        self._back = canvas(2 * height, 2 * width, 1000 + fixed if self._fixed else seed)
        self._things = [canvas(50, 60, 5000 + 10 * seed + i) for i in range(2)]
        self._phases = rng.uniform(0, 6, (3, 2))
        self._speeds = rng.uniform(0.3, 0.9, (3, 2))

    def at(self, time: float) -> np.ndarray:
        """The picture at a time in seconds: uint8, (180, 320, 3)."""
        width, height = SIZE
        x, y = 0 if self._fixed else self._place(0, time, width, height)[0], 0
        picture = self._back[y : y + height, x : x + width].copy()
        for number, thing in enumerate(self._things, 1):
            x, y = self._place(number, time, width - thing.shape[1], height - thing.shape[0])
            picture[y : y + thing.shape[0], x : x + thing.shape[1]] = thing
        return picture

    def _place(self, number: int, time: float, width: int, height: int) -> tuple[int, int]:
        across, down = 0.5 + 0.5 * np.sin(self._phases[number] + self._speeds[number] * time)
        return int(across * width), int(down * height)

    def film(self, start: float, end: float, fps: float = FPS) -> Pictures:
        """Frames of a part of it."""
        return [self.at(start + i / fps) for i in range(round((end - start) * fps))]


def resized(pictures: Pictures, width: int, height: int) -> Pictures:
    """Scaled."""
    return [
        np.asarray(Image.fromarray(p).resize((width, height), Image.Resampling.BICUBIC)) for p in pictures
    ]


def cropped(pictures: Pictures, left: float, right: float, top: float, bottom: float) -> Pictures:
    """Parts of the width and height cut off, to even numbers."""
    height, width = pictures[0].shape[:2]
    x, y = (
        slice(2 * round(a * n / 2), n - 2 * round(b * n / 2))
        for a, b, n in ((left, right, width), (top, bottom, height))
    )
    return [np.ascontiguousarray(p[y, x]) for p in pictures]


def padded(pictures: Pictures, beside: int, above: int) -> Pictures:
    """Black bars around."""
    return [np.pad(p, ((above, above), (beside, beside), (0, 0))) for p in pictures]


COPIES: dict[str, Callable[[Scene, Path], Path]] = {
    "crf 35": lambda s, p: film(p, s.film(0, 6), options={"crf": "35"}),
    "hevc": lambda s, p: film(p, s.film(0, 6), codec="hevc"),
    "vp9": lambda s, p: film(p.with_suffix(".webm"), s.film(0, 6), codec="vp9"),
    "quarter": lambda s, p: film(p, resized(s.film(0, 6), 80, 44)),
    "cropped 5 %": lambda s, p: film(p, cropped(s.film(0, 6), 0.05, 0.05, 0.05, 0.05)),
    "cropped 10 %": lambda s, p: film(p, cropped(s.film(0, 6), 0.1, 0.1, 0.1, 0.1)),
    "cropped 15 %": lambda s, p: film(p, cropped(s.film(0, 6), 0.15, 0.15, 0.15, 0.15)),
    "4 to 3": lambda s, p: film(p, cropped(s.film(0, 6), 0.125, 0.125, 0, 0)),
    "without the bottom": lambda s, p: film(p, cropped(s.film(0, 6), 0, 0, 0, 0.1)),
    "mirrored": lambda s, p: film(p, [f[:, ::-1] for f in s.film(0, 6)]),
    "15 frames per second": lambda s, p: film(p, s.film(0, 6, 15), fps=15),
    "60 frames per second": lambda s, p: film(p, s.film(0, 6, 60), fps=60),
    "piece": lambda s, p: film(p, s.film(1.37, 4.1)),
    "short piece": lambda s, p: film(p, s.film(3.1, 4.2)),
    "brighter": lambda s, p: film(p, [(f * 0.7 + 60).astype(np.uint8) for f in s.film(0, 6)]),
    "letterbox": lambda s, p: film(p, padded(s.film(0, 6), 0, 30)),
    "pillarbox": lambda s, p: film(p, padded(s.film(0, 6), 52, 0)),
    "mirrored, cropped piece": lambda s, p: film(
        p, [f[:, ::-1] for f in cropped(s.film(0.8, 4.4), 0.06, 0.06, 0.06, 0.06)]
    ),
}
"""Name of a kind of copy to what makes one of the first six seconds of a scene."""


def film(path: Path, pictures: Pictures, *, fps: float = FPS, **options: object) -> Path:
    """Encode, h264 and crf 23 by default."""
    pictures = [np.ascontiguousarray(p) for p in pictures]
    options = {"options": {"crf": "23"}} | options if "codec" not in options else options
    return make_video(path, pictures=pictures, fps=fps, gop=48, **options)


def slide(lines: list[str], size: tuple[int, int] = (960, 540)) -> np.ndarray:
    """A slide: dark text on white."""
    image = Image.new("RGB", size, "white")
    font = ImageFont.load_default(size=30)
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((60, 50 + 55 * number), line, fill=(20, 20, 60), font=font)
    return np.asarray(image)


def snapshot(picture: np.ndarray, box: tuple[float, float, float, float] | None = None) -> np.ndarray:
    """A part of a picture, left, top, right and bottom as fractions, grey and in the size of a snapshot."""
    image = Image.fromarray(picture).convert("L")
    width, height = image.size
    part = box and (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
    return np.asarray(
        image.resize(SNAPSHOTS.size, Image.Resampling.BOX if not box else Image.Resampling.BICUBIC, part)
    )


def fingerprint(
    scene: Scene, start: float, end: float, *, height: int = 180, is_video: bool = True
) -> Fingerprint:
    """The fingerprint of a part of a scene, without stills."""
    pictures = [p.mean(axis=2).reshape(36, 5, 64, 5).mean(axis=(1, 3)) for p in scene.film(start, end)]
    times = np.arange(len(pictures)) / FPS
    thumbnails = np.stack(pictures).astype(np.uint8)
    return make_fingerprint(thumbnails, times, height=height, width=320, is_video=is_video)
