"""Interlaced and telecined video made from film whose every field is known, and progressive video."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from tests.scoring.technical.scenes import canvas, filmed, pan, read
from tests.support import run_ffmpeg
from tools.media.frames import iter_frames
from tools.scoring.technical.interlacing import fields_differ
from tools.scoring.technical.scorer import measure

PAN = pan(60, speed=3)


def woven(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    frame = upper.copy()
    frame[1::2] = lower[1::2]
    return frame


INTERLACED = {
    "top field first": [woven(PAN[2 * i], PAN[2 * i + 1]) for i in range(30)],
    "bottom field first": [woven(PAN[2 * i + 1], PAN[2 * i]) for i in range(30)],
}


def interlaced(path, pictures, crf: int = 23) -> float:
    frames = filmed(path, pictures, crf=crf)
    return measure(frames, frames.times, None, ["interlaced"])["interlaced"]


@pytest.mark.parametrize("crf", [18, 30])
@pytest.mark.parametrize("order", INTERLACED)
def test_interlaced_video_is_recognised_after_encoding(tmp_path, order, crf):
    assert interlaced(tmp_path / "a.mp4", INTERLACED[order], crf) == 1


@pytest.mark.parametrize("down", [0, 1, 2])
def test_progressive_motion_is_not(tmp_path, down):
    assert interlaced(tmp_path / "a.mp4", pan(30, speed=3, down=down)) == 0


def test_fine_lines_are_no_interlacing():
    lines = np.zeros((180, 320, 3), np.uint8)
    lines[::2] = 200
    pictures = []
    for i in range(6):
        picture = canvas(180, 320, 1)
        picture[40:140, 20 + 5 * i : 150 + 5 * i] = lines[40:140, :130]
        pictures.append(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    assert not any(fields_differ(a, b) for a, b in itertools.pairwise(pictures))


def test_a_still_picture_and_a_cut_are_no_interlacing():
    still = cv2.cvtColor(canvas(180, 320, 1), cv2.COLOR_RGB2GRAY)
    other = cv2.cvtColor(canvas(180, 320, 2), cv2.COLOR_RGB2GRAY)
    assert not fields_differ(still, still)
    assert not fields_differ(still, other)


def test_pulldown_is_interlaced_in_three_frames_of_five():
    # 2:3 pulldown: film frames A B C D fill the fields AA BB BC CD DD. BB stands before the combed BC.
    pictures = []
    for i in range(0, 40, 4):
        a, b, c, d = PAN[i : i + 4]
        pictures += [a, b, woven(b, c), woven(c, d), d]
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
    flags = [fields_differ(x, y) for x, y in itertools.pairwise(grey)]
    assert flags[:5] == [False, True, True, True, False]
    assert sum(flags[:45]) == 27


@pytest.mark.parametrize("name", ["sam2_bedroom.mp4", "skv_bikes.mp4"])
def test_real_film_interlaced_by_ffmpeg(videos_dir, tmp_path, name):
    path = tmp_path / "interlaced.mp4"
    filters = [
        "-vf",
        "tinterlace=interleave_top",
        "-frames:v",
        "30",
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
    ]
    run_ffmpeg(["-i", str(videos_dir / name), *filters, "-an", str(path)])
    frames = read(path)
    assert measure(frames, frames.times, None, ["interlaced"])["interlaced"] > 0.8
    progressive = [f.image for f in iter_frames(videos_dir / name, format="gray", end=1.0)]
    assert not any(fields_differ(a, b) for a, b in itertools.pairwise(progressive))
