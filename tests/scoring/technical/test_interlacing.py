"""Interlaced and telecined video made from film whose every field is known, and progressive video."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from tests.scoring.technical.scenes import canvas, filmed, pan, read, rendered
from tests.support import run_ffmpeg
from tools.media.reading.frames import iter_frames
from tools.scoring.technical.interlacing import combing, field_order, interlaced_share
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
    assert not any(field_order(a, b) for a, b in itertools.pairwise(pictures))


def test_a_still_picture_and_a_cut_are_no_interlacing():
    still = cv2.cvtColor(canvas(180, 320, 1), cv2.COLOR_RGB2GRAY)
    other = cv2.cvtColor(canvas(180, 320, 2), cv2.COLOR_RGB2GRAY)
    assert not field_order(still, still)
    assert not field_order(still, other)


def test_only_what_moves_counts():
    """The second differences of the frames woven, at the pixels that count."""
    random = np.random.default_rng(1)
    even, odd = random.integers(0, 256, (2, 10, 7)).astype(np.uint8)
    where = random.random((8, 7)) < 0.5
    lines = woven(even, odd).astype(int)
    expected = np.abs(lines[:-2] - 2 * lines[1:-1] + lines[2:])[where].sum()
    assert combing(even, odd, np.where(where, 255, 0).astype(np.uint8)) == expected


def test_pulldown_is_interlaced_in_three_frames_of_five():
    # 2:3 pulldown: film frames A B C D fill the fields AA BB BC CD DD. BB stands before the combed BC.
    pictures = []
    for i in range(0, 40, 4):
        a, b, c, d = PAN[i : i + 4]
        pictures += [a, b, woven(b, c), woven(c, d), d]
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
    orders = [field_order(x, y) for x, y in itertools.pairwise(grey)]
    assert orders[:5] == [0, 1, 1, 1, 0]
    assert interlaced_share(orders[:45]) == 27 / 45


def test_the_order_of_the_fields_is_told():
    for order, pictures in INTERLACED.items():
        grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
        expected = 1 if order == "top field first" else -1
        assert {field_order(x, y) for x, y in itertools.pairwise(grey)} == {expected}


def test_frames_of_both_orders_come_by_chance():
    assert interlaced_share([1, -1, 0, 0, 1, -1]) == 0
    assert interlaced_share([-1, -1, -1, 0]) == 0.75


def test_it_does_not_matter_which_frame_is_sharper():
    """An encoder keeps some frames better than others; the blur that this leaves is no interlacing."""
    sharp = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in PAN[:12]]
    soft = [cv2.GaussianBlur(picture, (0, 0), 1.5) for picture in sharp]
    assert not any(field_order(sharp[i], soft[i + 1]) for i in range(11))
    assert not any(field_order(soft[i], sharp[i + 1]) for i in range(11))


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
    assert not any(field_order(a, b) for a, b in itertools.pairwise(progressive))


SHORT = ("-frames:v", "40")


@pytest.mark.parametrize(
    ("name", "start", "crf"),
    [("skv_bikes.mp4", "3.1", 30), ("tc_nasa_13013.mp4", "6", 35), ("skv_bigbuckbunny.mp4", "0", 35)],
)
def test_real_progressive_film_at_a_low_rate_is_not_interlaced(videos_dir, tmp_path, name, start, crf):
    frames = rendered(
        videos_dir / name, tmp_path / "a.mp4", "scale=320:-2", *SHORT, crf=crf, before=["-ss", start]
    )
    assert measure(frames, frames.times, None, ["interlaced"])["interlaced"] == 0


def test_edges_that_move_down_a_test_pattern_are_no_interlacing(videos_dir):
    frames = read(videos_dir / "tc_bt709_full_range.mp4")
    assert measure(frames, frames.times, None, ["interlaced"])["interlaced"] == 0


@pytest.mark.parametrize("order", ["top", "bottom"])
@pytest.mark.parametrize("name", ["skv_bikes.mp4", "moviepy_chaplin.mp4"])
def test_real_film_encoded_as_fields_is_interlaced(videos_dir, tmp_path, name, order):
    woven = f"scale=320:-2,crop=iw:trunc(ih/4)*4,tinterlace=interleave_{order}"
    fields = ["-flags", "+ilme+ildct", "-x264-params", f"{order[0]}ff=1"]
    frames = rendered(videos_dir / name, tmp_path / "a.mp4", woven, *SHORT, *fields, crf=26)
    assert measure(frames, frames.times, None, ["interlaced"])["interlaced"] >= 0.5
