"""Black bars of known width, and dark pictures that have none."""

from __future__ import annotations

import re
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

from tests.scoring.technical.scenes import canvas, filmed, noisy, pan, read, rendered
from tools.scoring.technical.bars import Box, covered, find_picture
from tools.scoring.technical.scorer import measure

WIDTH, HEIGHT = 320, 180


def boxed(top: int = 0, bottom: int = 0, left: int = 0, right: int = 0, level: int = 0) -> np.ndarray:
    picture = canvas(HEIGHT, WIDTH, 2)
    picture[:top] = picture[HEIGHT - bottom :] = level
    picture[:, :left] = picture[:, WIDTH - right :] = level
    return picture


def picture_of(*images: np.ndarray, small: np.ndarray | None = None) -> Box:
    return find_picture(np.maximum.reduce([image.max(axis=2) for image in images]), small)


@pytest.mark.parametrize("level", [0, 16, 35])
@pytest.mark.parametrize(
    "bars",
    [
        (0, 0, 0, 0),
        (22, 22, 0, 0),
        (0, 0, 40, 40),
        (20, 20, 30, 30),
        (13, 0, 0, 0),
        (9, 31, 0, 57),
        (2, 3, 0, 0),
    ],
)
def test_bars_are_found_to_the_pixel(bars, level):
    top, bottom, left, right = bars
    box = picture_of(boxed(*bars, level=level))
    assert box == Box(left, top, WIDTH - left - right, HEIGHT - top - bottom)
    area = (WIDTH - left - right) * (HEIGHT - top - bottom)
    assert covered(box, HEIGHT, WIDTH) == pytest.approx(1 - area / (WIDTH * HEIGHT))


def test_bars_hold_through_noise():
    frames = noisy(boxed(22, 22, 40, 40, level=20), 6, sigma=2.5)
    assert picture_of(*frames) == Box(40, 22, 240, 136)


@pytest.mark.parametrize("crf", [18, 35])
def test_bars_are_found_within_two_pixels_after_encoding(tmp_path, crf):
    pictures = []
    for picture in pan(20):
        picture[:22] = picture[-22:] = 2
        picture[:, :40] = picture[:, -40:] = 2
        pictures.append(picture)
    found = measure(*_parts(filmed(tmp_path / "a.mp4", pictures, crf=crf)), ["black_bars"])
    width, height, x, y = map(int, found["crop"].split(":"))
    assert np.abs(np.array([x, y, x + width, y + height]) - [40, 22, 280, 158]).max() <= 2
    assert found["black_bars"] == pytest.approx(1 - 240 * 136 / (320 * 180), abs=0.03)


def _parts(frames):
    return frames, frames.times, frames.thumbnails


def test_a_logo_and_a_subtitle_in_the_bar_do_not_end_it():
    picture = boxed(30, 30)
    picture[8:20, 250:290] = 230
    picture[158:170, 100:220] = 250
    assert picture_of(picture) == Box(0, 30, WIDTH, HEIGHT - 60)


def test_what_is_bright_in_any_frame_is_picture():
    dark, bright = boxed(60, 60), boxed(20, 20)
    assert picture_of(dark, bright) == Box(0, 20, WIDTH, HEIGHT - 40)
    thumbnail = bright.max(axis=2).reshape(90, 2, 160, 2).mean(axis=(1, 3)).astype(np.uint8)
    assert picture_of(dark, small=thumbnail) == Box(0, 20, WIDTH, HEIGHT - 40)


def test_dark_scenes_are_no_bars():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    spot = 230 * np.exp(-((x - 160) ** 2 + (y - 90) ** 2) / 900)
    whole = Box(0, 0, WIDTH, HEIGHT)
    assert picture_of(np.repeat(spot[..., None], 3, axis=2).astype(np.uint8)) == whole
    title = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    title[80:100, 120:200] = canvas(20, 80)
    assert picture_of(title).height > 0  # a plain rectangle is a picture inside bars; text is not:
    text = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    text[80:100, 120:200:6] = 240
    assert picture_of(text) == whole
    assert picture_of(np.zeros((HEIGHT, WIDTH, 3), np.uint8)) == whole
    assert picture_of(np.full((HEIGHT, WIDTH, 3), 255, np.uint8)) == whole


def test_bright_borders_are_no_black_bars():
    assert picture_of(boxed(30, 30, level=90)) == Box(0, 0, WIDTH, HEIGHT)
    assert picture_of(boxed(0, 0, 40, 40, level=255)) == Box(0, 0, WIDTH, HEIGHT)


def cropdetect(path) -> str:
    """Last word of ffmpeg's cropdetect on the first ten seconds."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-t", "10", "-i", str(path)]
    command += ["-vf", "cropdetect=limit=24:round=2:reset=0", "-an", "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    return re.findall(r"crop=([\d:]+)", done.stderr)[-1]


@pytest.mark.parametrize(
    "name", ["moviepy_chaplin.mp4", "iscc_demo.mpg", "skv_bikes.mp4", "nemo_test_video.mp4"]
)
def test_crop_of_real_videos_is_that_of_cropdetect(videos_dir, name):
    assert measure(*_parts(read(videos_dir / name)), ["black_bars"])["crop"] == cropdetect(videos_dir / name)


@pytest.mark.parametrize("name", ["gradio_b.avi", "tc_nasa_13013.mp4"])
def test_dark_real_videos_have_no_bars(videos_dir, name):
    """The night side of the earth, and people in a dark hall; cropdetect cuts both."""
    assert measure(*_parts(read(videos_dir / name)), ["black_bars"])["black_bars"] == 0


DARK = {
    "night": "eq=brightness=-0.25:contrast=1.3",
    "deep night": "eq=brightness=-0.45:contrast=1.2",
    "a quarter as bright": "lutyuv=y=16+(val-16)*0.25",
    "crushed": "lutyuv=y=clip(val-120\\,16\\,235)",
    "dark above": "geq=lum='16+(lum(X,Y)-16)*clip(Y/H*1.6-0.3,0,1)':cb='cb(X,Y)':cr='cr(X,Y)'",
    "dark beside": "geq=lum='16+(lum(X,Y)-16)*clip(2.2*sin(PI*X/W)-0.6,0,1)':cb='cb(X,Y)':cr='cr(X,Y)'",
    "spot": "geq=lum='16+(lum(X,Y)-16)*exp(-((X-W/2)^2+(Y-H/2)^2)/(W*W/40))':cb=128:cr=128",
    "vignette": "vignette=PI/2.2",
}


@pytest.mark.parametrize(
    ("name", "start", "how"),
    [*(("skv_bikes.mp4", "3.1", how) for how in DARK), ("sam2_bedroom.mp4", "0", "dark beside")],
)
def test_real_film_made_dark_has_no_bars(videos_dir, tmp_path, name, start, how):
    made = f"scale=320:-2,setsar=1,{DARK[how]}"
    frames = rendered(videos_dir / name, tmp_path / "a.mp4", made, "-frames:v", "25", before=["-ss", start])
    assert measure(*_parts(frames), ["black_bars"])["black_bars"] == 0


def test_bars_beside_a_picture_that_is_black_at_one_edge():
    """The hall to the left is as black as the bar; the bar to the right tells its width."""
    picture = boxed(left=40, right=40)
    for row in range(HEIGHT):
        picture[row, 40 : 60 + row // 2] = 0
    assert picture_of(picture) == Box(40, 0, WIDTH - 80, HEIGHT)
    assert picture_of(picture[:, ::-1]) == Box(40, 0, WIDTH - 80, HEIGHT)


def test_dark_stripes_are_no_bars():
    """An edge that is straight, but a stripe that is not even: no crop."""
    rng = np.random.default_rng(3)
    picture = boxed()
    picture[:30] = np.clip(rng.normal(18, 7, (30, WIDTH, 1)), 0, 30)
    dim = np.clip(picture.astype(int) // 4, 0, 255).astype(np.uint8)
    dim[:30] = picture[:30] // 2
    assert picture_of(dim) == Box(0, 0, WIDTH, HEIGHT)
